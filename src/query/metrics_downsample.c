/*
 * Downsampling: whole hours of `samples` become rows of samples_5m and samples_1h, by the engine,
 * on the keeper's thread. An hour is done when no sample can come for it any more that ingest does
 * not note as late (derive/late.h); hours with late samples are done again. Both may be repeated:
 * of two rows of a bucket the one made of more samples counts.
 */
#include "base/log.h"
#include "query/metrics_private.h"

#include <errno.h>
#include <inttypes.h>

#define DUE_AFTER_MS (40 * 60 * INT64_C(1000)) /* the end of the hour */
#define SERIES_PER_INSERT 50000u               /* about a second's work */
#define PACE 3                                 /* how long it rests, as a multiple of its work */
#define MEMORY_BYTES_MAX 536870912
#define DAYS_MAX 10000u

static const struct {
    const char *table;
    int64_t ms;
} tiers[TIERS] = {{"samples", 0}, {"samples_5m", 300000}, {"samples_1h", HOUR_MS}};

int64_t tier_ms(enum tier t) {
    return tiers[t].ms;
}

/* ---- What the tables hold ---- */

static int64_t partition_begin_ms(uint64_t id) {
    struct tm tm = {.tm_year = (int) (id > 999999 ? id / 10000 : id / 100) - 1900,
                    .tm_mon = (int) (id > 999999 ? id / 100 : id) % 100 - 1,
                    .tm_mday = id > 999999 ? (int) (id % 100) : 1};

    return (int64_t) timegm(&tm) * 1000;
}

struct day { /* or a month, of samples_1h */
    int64_t ms, since_ms;
    uint64_t rows[TIERS];
};

struct days {
    VECTOR(struct day) list; /* ascending */
};

static int read_days(struct metrics *m, struct days *ret, struct error *e) {
    struct native_reader *rows = NULL;
    struct buffer answer;

    buffer_init(&answer, 4 << 20);
    int r = store_query(m->store,
                        "SELECT toUInt64OrZero(partition_id) AS p, "
                        "sumIf(rows, table LIKE 'samples%' AND table NOT LIKE 'samples\\_%h%' AND "
                        "table NOT LIKE 'samples\\_5m%') AS raw, "
                        "sumIf(rows, table LIKE 'samples\\_5m%') AS fine, "
                        "sumIf(rows, table LIKE 'samples\\_1h%') AS coarse, "
                        "toUInt64(minIf(min_time, table LIKE 'samples\\_1h%')) AS since "
                        "FROM system.parts "
                        "WHERE active AND database = currentDatabase() AND table LIKE 'samples%' "
                        "GROUP BY p ORDER BY p",
                        NULL, 0, "Native", NULL, &answer, e);
    if (r == 0)
        r = native_reader_new(buffer_slice(&answer), &rows);
    for (size_t i = 0; r == 0 && i < native_reader_rows(rows); i++) {
        struct day d = {.ms = partition_begin_ms(native_reader_cell(rows, i, 0).u64)};
        for (enum tier t = 0; t < TIERS; t++)
            d.rows[t] = native_reader_cell(rows, i, t + 1).u64;
        d.since_ms = (int64_t) native_reader_cell(rows, i, TIERS + 1).u64 * 1000 - HOUR_MS;
        r = vector_push(&ret->list, d, DAYS_MAX);
    }
    native_reader_free(rows);
    buffer_done(&answer);
    return r;
}

/* Where raw samples begin: the first day that has enough of them for the buckets it has. A late
 * sample of a day that was dropped does not bring it back. */
static bool is_whole(const struct day *d, enum tier t) {
    return d->rows[t] > 0 && (t != TIER_RAW || 2 * d->rows[TIER_RAW] >= d->rows[TIER_5M]);
}

static void note_oldest(struct metrics *m, const struct days *days) {
    for (enum tier t = 0; t < TIERS; t++) {
        int64_t oldest = INT64_MAX;
        vector_each(&days->list, d) {
            int64_t begins = t == TIER_1H && d->since_ms > d->ms ? d->since_ms : d->ms;
            if (is_whole(d, t) && begins < oldest)
                oldest = begins;
        }
        int64_t before = atomic_exchange(&m->oldest_ms[t], oldest);
        if (t == TIER_RAW && before < oldest && m->cache) /* a day was dropped */
            metrics_cache_clear(m->cache);
    }
}

int metrics_look_at_tiers(struct metrics *m, struct error *e) {
    struct days days = {0};
    int r = read_days(m, &days, e);

    if (r == 0)
        note_oldest(m, &days);
    vector_done(&days.list);
    return r;
}

/* Whether the hour may have samples. Hour h ends with the first millisecond of the next. */
static bool has_samples(const struct days *days, uint32_t hour) {
    int64_t from = hour * HOUR_MS, day = 24 * HOUR_MS;

    vector_each(&days->list, d) {
        if (d->rows[TIER_RAW] && d->ms <= from + HOUR_MS && from < d->ms + day)
            return true;
    }
    return false;
}

/* ---- One hour ---- */

/* Prometheus' stale marker, which is no sample. */
#define STALE "reinterpretAsUInt64(value) = 9218868437227405314"

static int insert_buckets(struct metrics *m, enum tier t, uint32_t hour, uint64_t from_id,
                          uint64_t to_id, struct error *e) {
    int64_t from_ms = hour * HOUR_MS;
    struct buffer sql;

    buffer_init(&sql, 16384);
    buffer_printf(
            &sql,
            "INSERT INTO %s (id, ts, count, min, max, sum, first, last, dropped, first_ago, "
            "last_ago, stale) "
            "WITH arraySort((v, t) -> t, vs, ts_all) AS v "
            "SELECT id, toDateTime(b), length(vs), if(some, low, nan), if(some, high, nan), total, "
            "v[1], v[-1], "
            "arraySum(arrayMap((x, y) -> if(y < x, x, 0), arrayPopBack(v), arrayPopFront(v))), "
            "b * 1000 - arrayMin(ts_all), b * 1000 - arrayMax(ts_all), newest > arrayMax(ts_all) "
            "FROM (SELECT id, intDiv(toUnixTimestamp64Milli(ts) + %" PRId64 ", %" PRId64
            ") * %" PRId64 " AS b, "
            "groupArrayIf(value, NOT stale) AS vs, "
            "groupArrayIf(toUnixTimestamp64Milli(ts), NOT stale) AS ts_all, "
            "minIf(value, NOT isNaN(value)) AS low, maxIf(value, NOT isNaN(value)) AS high, "
            "countIf(NOT isNaN(value)) > 0 AS some, sumKahanIf(value, NOT stale) AS total, "
            "max(toUnixTimestamp64Milli(ts)) AS newest "
            "FROM (SELECT id, ts, value, " STALE " AS stale FROM samples FINAL "
            "WHERE ts > fromUnixTimestamp64Milli(%" PRId64
            ") AND ts <= fromUnixTimestamp64Milli(%" PRId64 ") AND id BETWEEN %" PRIu64
            " AND %" PRIu64 ") GROUP BY id, b HAVING length(vs) > 0) "
            "SETTINGS max_threads = 1, optimize_aggregation_in_order = 1, max_memory_usage = %d, "
            "do_not_merge_across_partitions_select_final = 1",
            tiers[t].table, tiers[t].ms - 1, tiers[t].ms, tiers[t].ms / 1000, from_ms,
            from_ms + HOUR_MS, from_id, to_id, MEMORY_BYTES_MAX);
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = store_execute(m->store, (const char *) sql.data, e);
    buffer_done(&sql);
    return r;
}

/* In parts of the series, so that none takes long. */
static int downsample_hour(struct metrics *m, uint32_t hour, bool paced, struct error *e) {
    struct series_stats stats;
    int r = 0;

    series_read_stats(m->series, &stats);
    uint64_t parts = stats.series / SERIES_PER_INSERT + 1, width = UINT64_MAX / parts + 1;
    for (uint64_t i = 0; i < parts && r == 0; i++) {
        uint64_t from = i * width, to = i + 1 == parts ? UINT64_MAX : from + width - 1;
        int64_t begun = clock_monotonic_ns();
        if (m->make_5m)
            r = insert_buckets(m, TIER_5M, hour, from, to, e);
        if (r == 0 && m->make_1h)
            r = insert_buckets(m, TIER_1H, hour, from, to, e);
        if (r == 0 && paced && !metrics_keeper_wait(m, PACE * (clock_monotonic_ns() - begun)))
            return error_set(e, -ECANCELED, "the server ends");
    }
    return r;
}

/* ---- Rounds ---- */

static int do_new_hours(struct metrics *m, const struct days *days, uint32_t due, bool paced,
                        struct error *e) {
    uint32_t hour = late_hours_until(m->late);
    int r = 0;

    if (hour == 0) { /* the first time: all there is */
        for (size_t i = 0; i < days->list.n && hour == 0; i++)
            if (days->list.items[i].rows[TIER_RAW])
                hour = (uint32_t) (days->list.items[i].ms / HOUR_MS);
        if (hour == 0 || hour > due)
            hour = due;
        late_hours_set_until(m->late, hour, true);
    }
    for (; hour < due && r == 0; hour++) {
        bool has = has_samples(days, hour);
        /* From here on samples of this hour are late. */
        late_hours_set_until(m->late, hour + 1, false);
        if (has)
            r = downsample_hour(m, hour, paced, e);
        if (r == 0 && (has || hour + 1 == due))
            late_hours_set_until(m->late, hour + 1, true);
    }
    if (r < 0) { /* that hour is tried again */
        uint32_t failed = hour - 1;
        late_hours_mark(m->late, &failed, 1, 0);
    }
    return r;
}

static int do_late_hours(struct metrics *m, bool paced, struct error *e) {
    struct store_stats stats;
    uint32_t hour = 0;
    uint64_t number;
    int r = 0;

    for (; r == 0; hour++) {
        store_read_stats(m->store, &stats);
        if (!late_hours_next(m->late, stats.commits, &hour, &number))
            break;
        r = downsample_hour(m, hour, paced, e);
        if (r == 0)
            late_hours_end(m->late, hour, number);
    }
    return r;
}

int metrics_downsample(struct metrics *m, int64_t now_ms, bool paced, struct error *e) {
    int64_t due = (now_ms - DUE_AFTER_MS) / HOUR_MS;
    struct days days = {0};

    if (due <= 0)
        return 0;
    int r = read_days(m, &days, e);
    if (r == 0 && (m->make_5m || m->make_1h)) {
        r = do_new_hours(m, &days, (uint32_t) due, paced, e);
        if (r == 0)
            r = do_late_hours(m, paced, e);
        days.list.n = 0;
        if (r == 0)
            r = read_days(m, &days, e);
    }
    if (r == 0)
        note_oldest(m, &days);
    vector_done(&days.list);
    return r;
}
