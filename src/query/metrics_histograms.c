/* Native histograms of the series that were found, with the hints on resets that PromQL expects. */
#include "query/metrics_private.h"
#include "query/promql/histogram.h"
#include "signal/histogram.h"

#include <errno.h>
#include <inttypes.h>

#define ROWS_PER_SELECT 200000
#define INTERVAL_GUESS_MS 10000

static int no_room(struct error *e) {
    return error_set(e, -ENOBUFS,
                     "the histograms take more memory than a query may have: ask for fewer series "
                     "or a shorter range");
}

enum { ID, TS, START, SCHEMA, HINT, COUNT, SUM, ZERO_COUNT, ZERO_THRESHOLD, BUCKETS };

static struct promql_buckets buckets_of(const struct histogram_buckets *b) {
    /* The arrays are our own, of the arena. */
    return (struct promql_buckets){(uint32_t) b->n, (int32_t *) (uintptr_t) b->index,
                                   (double *) (uintptr_t) b->count};
}

static int decode(const struct native_reader *rows, size_t i, struct arena *arena,
                  const struct promql_histogram **ret) {
    struct promql_histogram *h = arena_new(arena, struct promql_histogram);
    struct histogram stored;

    if (!h)
        return -ENOMEM;
    int r = histogram_decode(native_reader_cell(rows, i, BUCKETS).text, arena, &stored);
    if (r < 0)
        return r;
    *h = (struct promql_histogram){
            .count = native_reader_cell(rows, i, COUNT).f64,
            .sum = native_reader_cell(rows, i, SUM).f64,
            .zero_count = native_reader_cell(rows, i, ZERO_COUNT).f64,
            .zero_threshold = native_reader_cell(rows, i, ZERO_THRESHOLD).f64,
            .schema = (int32_t) (int64_t) native_reader_cell(rows, i, SCHEMA).u64,
            .hint = (enum promql_reset_hint) native_reader_cell(rows, i, HINT).u64,
            .positive = buckets_of(&stored.positive),
            .negative = buckets_of(&stored.negative),
            .n_custom = (uint32_t) stored.n_custom,
            .custom = stored.custom};
    *ret = h;
    return 0;
}

static int grow(struct histograms *s, struct arena *arena) {
    size_t room = s->room ? s->room * 2 : 16;
    int64_t *times = arena_alloc(arena, room * sizeof(*times));
    int64_t *starts = arena_alloc(arena, room * sizeof(*starts));
    const struct promql_histogram **items = arena_alloc(arena, room * sizeof(*items));

    if (!times || !starts || !items)
        return -ENOMEM;
    if (s->n) {
        memcpy(times, s->times, s->n * sizeof(*times));
        memcpy(starts, s->starts, s->n * sizeof(*starts));
        memcpy(items, s->items, s->n * sizeof(*items));
    }
    *s = (struct histograms){s->n, room, times, starts, items};
    return 0;
}

static int order_found(const void *a, const void *b) {
    const struct found *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int take_row(const struct native_reader *rows, size_t i, const struct finding *f,
                    struct arena *arena, struct histograms *ret) {
    struct found key = {.id = native_reader_cell(rows, i, ID).u64};
    const struct found *s = bsearch(&key, f->series.items, f->series.n, sizeof(key), order_found);

    if (!s)
        return 0;
    struct histograms *to = &ret[s->slot];
    int r = to->n == to->room ? grow(to, arena) : 0;
    if (r < 0)
        return r;
    int64_t time = (int64_t) native_reader_cell(rows, i, TS).u64;
    size_t at = to->n; /* another id's rows may come between */
    while (at > 0 && to->times[at - 1] > time)
        at--;
    if (at > 0 && to->times[at - 1] == time)
        return 0;
    r = decode(rows, i, arena, &to->items[to->n]);
    if (r < 0)
        return r;
    const struct promql_histogram *h = to->items[to->n];
    memmove(to->times + at + 1, to->times + at, (to->n - at) * sizeof(*to->times));
    memmove(to->starts + at + 1, to->starts + at, (to->n - at) * sizeof(*to->starts));
    memmove(to->items + at + 1, to->items + at, (to->n - at) * sizeof(*to->items));
    to->times[at] = time;
    to->starts[at] = (int64_t) native_reader_cell(rows, i, START).u64;
    to->items[at] = h;
    to->n++;
    return 0;
}

static int read_part(const struct metrics_turn *t, const struct finding *f, size_t from, size_t to,
                     int64_t from_ms, int64_t to_ms, struct arena *arena, struct histograms *ret,
                     struct metrics_source *stats) {
    struct metrics_answer a;
    struct buffer sql;

    buffer_init(&sql, 1 << 20);
    buffer_printf(&sql,
                  "SELECT id, ts, start, schema, hint, count, sum, zero_count, zero_threshold, "
                  "buckets FROM histograms FINAL WHERE ts >= fromUnixTimestamp64Milli(%" PRId64
                  ") AND ts <= fromUnixTimestamp64Milli(%" PRId64 ")",
                  from_ms, to_ms);
    metrics_add_ids(&sql, f, from, to);
    buffer_append_text(&sql, " ORDER BY id, ts SETTINGS max_threads = 1, max_query_size = 1048576, "
                             "do_not_merge_across_partitions_select_final = 1");
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = metrics_ask(t, (const char *) sql.data, NULL, 0,
                        (arena->cap - arena->used) / sizeof(struct promql_histogram) + 1, &a);
    else
        error_set(t->error, r, "the selector finds too many series for one statement");
    buffer_done(&sql);
    if (r < 0)
        return r;
    for (size_t i = 0; i < native_reader_rows(a.rows) && r == 0; i++)
        r = take_row(a.rows, i, f, arena, ret);
    if (r == -EBADMSG)
        error_set(t->error, r, "a stored histogram cannot be read");
    else if (r < 0)
        no_room(t->error);
    stats->bytes += a.bytes.size;
    metrics_answer_done(&a);
    return r;
}

/* What is known about a reset between two neighbours. Only a sample that the one before it leads to
 * without one is known not to follow a reset. */
static void set_hints(struct histograms *s, struct arena *scratch) {
    for (size_t i = s->n; i-- > 0;) {
        struct promql_histogram *h = (struct promql_histogram *) (uintptr_t) s->items[i];
        const struct promql_histogram *before = i ? s->items[i - 1] : NULL;
        if (h->hint == PROMQL_GAUGE)
            continue;
        if (h->hint != PROMQL_RESET && before && before->hint != PROMQL_GAUGE &&
            !histogram_is_stale(before) && h->schema == before->schema &&
            h->zero_threshold == before->zero_threshold) {
            h->hint = PROMQL_RESET_UNKNOWN;
            if (!histogram_reset_between(scratch, before, h))
                h->hint = PROMQL_NOT_RESET;
        } else {
            h->hint = PROMQL_RESET_UNKNOWN;
        }
    }
}

int metrics_read_histograms(const struct metrics_turn *t, const struct finding *f, int64_t from_ms,
                            int64_t to_ms, struct arena *arena, struct histograms *ret,
                            struct metrics_source *stats) {
    size_t rows_each = (size_t) ((to_ms - from_ms) / INTERVAL_GUESS_MS) + 2;
    size_t step = ROWS_PER_SELECT / rows_each + 1, n = f->series.n;
    struct arena scratch;
    int r = 0;

    if (!f->dense && step > METRICS_IDS_MAX)
        step = METRICS_IDS_MAX;
    for (size_t i = 0; i < n && r == 0; i += step)
        r = read_part(t, f, i, i + step < n ? i + step : n, from_ms, to_ms, arena, ret, stats);
    arena_init(&scratch, 64 << 20);
    for (uint32_t i = 0; i < f->n_slots && r == 0; i++) {
        set_hints(&ret[i], &scratch);
        arena_clear(&scratch);
        stats->samples += ret[i].n;
    }
    arena_done(&scratch);
    return r;
}
