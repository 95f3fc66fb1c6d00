/*
 * Retention: a thread that drops what is too old, what is over the byte limit, and what stands in
 * the way of the disk's free floor, always whole partitions, the oldest day over all tables first.
 * The present day is never dropped: when it alone fills the disk, writes are refused instead.
 *
 * Days are dropped here and not by the engine's TTL, because a changed limit then holds at once,
 * for parts that are already written too.
 */
#include "base/clock.h"
#include "store/private.h"

#include <sys/statvfs.h>
#include <time.h>

#define ROUND_NS (10 * NS_PER_S)      /* the disk is looked at this often */
#define PARTITIONS_NS (60 * NS_PER_S) /* … and the partitions */
#define PARTITIONS_MAX 100000u
#define DAY_S 86400

struct partition {
    char table[32], id[16];
    int last_day; /* days since 1970 of its last row at most */
    int days;     /* that its table's rows are kept */
    uint64_t bytes;
};

struct partitions {
    VECTOR(struct partition) list;
    uint64_t bytes;
};

/* ---- Partitions ---- */

static int days_of(int year, int month, int day) {
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};

    return (int) (timegm(&tm) / DAY_S);
}

/* The last day of partition "20261120" (a day) or "202611" (a month); -1 for other names. */
static int partition_last_day(struct slice id) {
    uint64_t n;

    if (slice_to_u64(id, &n) < 0)
        return -1;
    if (id.size == 8)
        return days_of((int) (n / 10000), (int) (n / 100 % 100), (int) (n % 100));
    if (id.size == 6)
        return days_of((int) (n / 100), (int) (n % 100) + 1, 1) - 1;
    return -1;
}

/* For how long rows of the table are kept: as long as any signal needs them. */
static int days_of_table(const struct store *s, struct slice table) {
    unsigned days = 0;

    for (size_t t = 0; t < kept_tables_n; t++)
        for (enum store_signal i = 0; i < SIGNAL_COUNT; i++)
            if (slice_is(table, kept_tables[t].name) && (kept_tables[t].signals >> i & 1) &&
                store_kept_days(s, i) > days)
                days = store_kept_days(s, i);
    return (int) (days ? days : s->options.retention_days);
}

static int order_by_day(const void *a, const void *b) {
    const struct partition *x = a, *y = b;

    return x->last_day < y->last_day ? -1 : x->last_day > y->last_day;
}

static int partitions_read(struct store *s, struct partitions *ret, struct error *e) {
    struct buffer answer;

    buffer_init(&answer, ENGINE_EXECUTE_BYTES_MAX);
    int r = s->engine->ops->execute(
            s->engine,
            "SELECT table, partition_id, sum(bytes_on_disk) FROM system.parts WHERE active AND "
            "database = currentDatabase() GROUP BY table, partition_id",
            &answer, e);
    struct slice rest = buffer_slice(&answer);
    while (r == 0 && rest.size) {
        struct slice line = slice_cut(&rest, '\n'), table = slice_cut(&line, '\t');
        struct slice id = slice_cut(&line, '\t');
        table = table_name_plain(s, table);
        struct partition p = {.last_day = partition_last_day(id), .days = days_of_table(s, table)};
        if (slice_to_u64(line, &p.bytes) < 0)
            continue;
        ret->bytes += p.bytes;
        if (p.last_day < 0 || table.size >= sizeof(p.table) || id.size >= sizeof(p.id))
            continue;
        snprintf(p.table, sizeof(p.table), "%.*s", SLICE_ARG(table));
        snprintf(p.id, sizeof(p.id), "%.*s", SLICE_ARG(id));
        r = vector_push(&ret->list, p, PARTITIONS_MAX);
    }
    buffer_done(&answer);
    if (r == 0 && ret->list.n)
        qsort(ret->list.items, ret->list.n, sizeof(*ret->list.items), order_by_day);
    return r;
}

static int partition_drop(struct store *s, const struct partition *p, struct error *e) {
    struct buffer sql;

    buffer_init(&sql, 1024);
    buffer_append_text(&sql, "ALTER TABLE ");
    table_name_write(s, p->table, &sql);
    buffer_printf(&sql, " DROP PARTITION ID '%s'", p->id);
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = s->engine->ops->execute(s->engine, (const char *) sql.data, NULL, e);
    buffer_done(&sql);
    if (r == 0) {
        pthread_mutex_lock(&s->stats_lock);
        s->stats.dropped_partitions++;
        pthread_mutex_unlock(&s->stats_lock);
    }
    return r;
}

/* Drops the oldest day (all tables' partitions that end with it), when it is before `today`. The
 * number of partitions, 0 when nothing may be dropped. */
static int drop_oldest_day(struct store *s, struct partitions *ps, int today, struct error *e) {
    size_t n = 0;

    if (ps->list.n == 0 || ps->list.items[0].last_day >= today)
        return 0;
    int day = ps->list.items[0].last_day;
    for (; n < ps->list.n && ps->list.items[n].last_day == day; n++) {
        int r = partition_drop(s, &ps->list.items[n], e);
        if (r < 0)
            return r;
        ps->bytes -= ps->list.items[n].bytes;
    }
    ps->list.n -= n;
    memmove(ps->list.items, ps->list.items + n, ps->list.n * sizeof(*ps->list.items));
    return (int) n;
}

/* ---- The disk ---- */

static int disk_read(struct store *s, uint64_t *ret_free, uint64_t *ret_used, struct error *e) {
    struct statvfs v;

    if (s->options.clickhouse_url) {
        int r = engine_number(s->engine, "SELECT min(free_space) FROM system.disks", ret_free, e);
        return r < 0 ? r
                     : engine_number(s->engine,
                                     "SELECT sum(bytes_on_disk) FROM system.parts WHERE active",
                                     ret_used, e);
    }
    if (statvfs(s->data_dir, &v) < 0)
        return error_set(e, -errno, "%s: %s", s->data_dir, error_name(-errno));
    *ret_free = (uint64_t) v.f_bavail * v.f_frsize;
    *ret_used = (uint64_t) (v.f_blocks - v.f_bfree) * v.f_frsize;
    return 0;
}

static void set_notice(struct store *s, const char *text) {
    pthread_mutex_lock(&s->stats_lock);
    snprintf(s->stats.notice, sizeof(s->stats.notice), "%.250s", text);
    pthread_mutex_unlock(&s->stats_lock);
}

/* Drops days until the disk has its free floor again. */
static int guard_disk(struct store *s, struct partitions *ps, int today, struct error *e) {
    uint64_t free_bytes, used;
    char notice[256] = "";
    int dropped = 0;
    bool full = false;

    for (;;) {
        int r = disk_read(s, &free_bytes, &used, e);
        if (r < 0)
            return r;
        if (free_bytes >= s->options.free_bytes_min)
            break;
        r = drop_oldest_day(s, ps, today, e);
        if (r < 0)
            return r;
        if (r == 0) {
            full = true;
            break;
        }
        dropped += r;
    }
    if (full)
        snprintf(notice, sizeof(notice),
                 "The disk has %llu MB free, less than the floor of %llu MB, and only today's data "
                 "is "
                 "left: new data is refused.",
                 (unsigned long long) free_bytes >> 20,
                 (unsigned long long) s->options.free_bytes_min >> 20);
    else if (dropped)
        snprintf(notice, sizeof(notice),
                 "The disk was nearly full: the oldest data was dropped to keep %llu MB free.",
                 (unsigned long long) s->options.free_bytes_min >> 20);
    atomic_store(&s->disk_full, full);
    pthread_mutex_lock(&s->stats_lock);
    s->stats.disk_free_bytes = free_bytes;
    s->stats.disk_used_bytes = ps->bytes;
    bool was_full = strstr(s->stats.notice, "refused") != NULL;
    pthread_mutex_unlock(&s->stats_lock);
    if (*notice || was_full)
        set_notice(s, notice);
    return 0;
}

/* Drops the partitions that are older than their table's rows are kept. */
static int drop_expired(struct store *s, struct partitions *ps, int today, struct error *e) {
    size_t kept = 0;
    int r = 0;

    for (size_t i = 0; i < ps->list.n; i++) {
        const struct partition *p = &ps->list.items[i];
        if (r == 0 && p->last_day < today - p->days) {
            r = partition_drop(s, p, e);
            ps->bytes -= p->bytes;
        } else {
            ps->list.items[kept++] = *p;
        }
    }
    ps->list.n = kept;
    return r;
}

int keeper_round(struct store *s, struct error *e) {
    struct partitions ps = {0};
    int today = (int) (clock_now_ns() / NS_PER_S / DAY_S);
    int r = partitions_read(s, &ps, e);

    if (r == 0)
        r = drop_expired(s, &ps, today, e);
    while (r == 0 && s->options.retention_bytes && ps.bytes > s->options.retention_bytes) {
        r = drop_oldest_day(s, &ps, today, e);
        if (r == 0)
            break; /* only today is left */
        if (r > 0)
            r = 0;
    }
    if (r == 0)
        r = guard_disk(s, &ps, today, e);
    vector_done(&ps.list);
    return r;
}

/* ---- The thread ---- */

static bool disk_is_low(struct store *s) {
    uint64_t free_bytes, used;

    if (disk_read(s, &free_bytes, &used, NULL) < 0)
        return false;
    pthread_mutex_lock(&s->stats_lock);
    s->stats.disk_free_bytes = free_bytes;
    pthread_mutex_unlock(&s->stats_lock);
    return free_bytes < s->options.free_bytes_min || atomic_load(&s->disk_full);
}

static void *keeper_main(void *arg) {
    struct store *s = arg;
    int64_t next_ns = 0;

    pthread_mutex_lock(&s->lock);
    while (!s->keeper_ends) {
        pthread_mutex_unlock(&s->lock);
        int64_t now = clock_monotonic_ns();
        if (now >= next_ns || disk_is_low(s)) {
            struct error e = ERROR_NONE;
            if (keeper_round(s, &e) < 0)
                set_notice(s, e.text);
            next_ns = now + PARTITIONS_NS;
        }
        int64_t until = clock_monotonic_ns() + ROUND_NS;
        struct timespec t = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
        pthread_mutex_lock(&s->lock);
        if (!s->keeper_ends)
            pthread_cond_timedwait(&s->keeper_wake, &s->lock, &t);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int keeper_start(struct store *s, struct error *e) {
    int r = pthread_create(&s->keeper, NULL, keeper_main, s);

    if (r)
        return error_set(e, -r, "The retention thread could not be started: %s", error_name(-r));
    s->keeper_runs = true;
    return 0;
}

void keeper_stop(struct store *s) {
    if (!s->keeper_runs)
        return;
    pthread_mutex_lock(&s->lock);
    s->keeper_ends = true;
    pthread_cond_signal(&s->keeper_wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->keeper, NULL);
    s->keeper_runs = false;
}
