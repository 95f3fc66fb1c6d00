/*
 * Samples of the series that were found: those that the cache has from there, the others from
 * storage, into the cache when the range reaches up to now, as what dashboards ask does.
 */
#include "query/metrics_cache.h"
#include "query/metrics_private.h"
#include "signal/columns.h"

#include <errno.h>

#define DAY_MS (24 * HOUR_MS)
#define SPAN_MAX_MS (15 * DAY_MS)
#define NEAR_NOW_MS (10 * 60 * INT64_C(1000))
#define FUTURE_MS (2 * DAY_MS) /* samples may be a day ahead */
#define SAMPLE_BYTES_GUESS 6   /* in the cache */
#define ROWS_AT_ONCE 1000000   /* of a fill */

static int no_room(struct error *e) {
    return error_set(e, -ENOBUFS,
                     "the samples take more memory than a query may have: ask for fewer series or "
                     "a shorter range");
}

/* ---- What was written ---- */

void metrics_written(void *ctx, struct store_batch *b, int result) {
    struct metrics *m = ctx;
    const struct native_block *block = store_batch_block(b, TABLE_SAMPLES);

    if (result < 0) /* perhaps in part */
        metrics_cache_clear(m->cache);
    else if (native_block_rows(block))
        metrics_cache_append(m->cache, native_block_wide(block, SAMPLES_ID),
                             native_block_wide(block, SAMPLES_TS),
                             native_block_wide(block, SAMPLES_VALUE), native_block_rows(block));
}

/* ---- Filling ---- */

/* A range that is asked up to now, or nearly, and will be asked again. */
static bool is_recent(const struct samples_range *r, int64_t now_ms) {
    int64_t near = r->to_ms - r->from_ms;

    if (near < NEAR_NOW_MS)
        near = NEAR_NOW_MS;
    return r->to_ms >= now_ms - near && r->from_ms < now_ms && r->from_ms >= now_ms - SPAN_MAX_MS;
}

/* Reading all samples instead of those in the windows is only for what is asked a second time. */
static bool was_asked(struct metrics *m, const struct finding *f) {
    uint64_t key = (f->series.items[0].id ^ f->series.items[f->series.n - 1].id * 31) + f->series.n;
    uint32_t tag = (uint32_t) (key * UINT64_C(0x9e3779b97f4a7c15) >> 32) | 1;

    return atomic_exchange(&m->asked[tag >> 8 & (METRICS_ASKED - 1)], tag) == tag;
}

static bool is_worth_it(struct metrics *m, const struct finding *missing,
                        const struct samples_range *r, int64_t now_ms) {
    struct metrics_cache_stats stats;
    double bytes = (double) missing->n_all * (double) (now_ms - r->from_ms) / METRICS_INTERVAL_MS *
                   SAMPLE_BYTES_GUESS;

    metrics_cache_read_stats(m->cache, &stats);
    return bytes <= (double) stats.bytes_max && (!samples_have_gaps(r) || was_asked(m, missing));
}

static int copy_wanted(const struct floats *from, const struct samples_range *r,
                       struct arena *arena, struct floats *to) {
    size_t before = to->n;

    if (floats_reserve(to, samples_take_wanted(r, from->times, from->values, from->n, NULL),
                       arena) < 0)
        return -ENOBUFS;
    samples_take_wanted(r, from->times, from->values, from->n, to);
    to->unsorted |= before && to->n > before && to->times[before] <= to->times[before - 1];
    to->twice |= from->twice;
    return 0;
}

/* Hands over what was read, which lies in `arena` when all of it is wanted but what is newer than
 * the range. */
static int take_over(struct floats *f, const struct samples_range *r, struct arena *arena,
                     struct floats *to) {
    if (samples_have_gaps(r) || to->n)
        return copy_wanted(f, r, arena, to);
    *to = *f;
    while (to->n && to->times[to->n - 1] > r->to_ms)
        to->n--;
    return 0;
}

/* Series [from, to) of those that are missing. `ret` NULL: for the cache alone. */
static int fill_part(const struct metrics_turn *t, const struct finding *missing, size_t from,
                     size_t to, const struct samples_range *r, struct arena *arena,
                     struct floats *ret, struct metrics_source *stats) {
    struct metrics_cache *cache = t->metrics->cache;
    struct samples_range all = {.from_ms = r->from_ms,
                                .to_ms = clock_now_ns() / NS_PER_MS + FUTURE_MS};
    struct finding part = {.dense = missing->dense, .n_slots = (uint32_t) (to - from)};
    struct arena scratch;
    int result = 0;

    arena_init(&scratch, METRICS_ANSWER_BYTES_MAX);
    struct floats *floats = arena_array(&scratch, struct floats, to - from);
    uint64_t *numbers = arena_array(&scratch, uint64_t, to - from);
    part.series.items = arena_array(&scratch, struct found, to - from);
    if (!floats || !numbers || !part.series.items) {
        arena_done(&scratch);
        return no_room(t->error);
    }
    part.series.n = to - from;
    for (size_t i = 0; i < part.series.n; i++) {
        part.series.items[i] = missing->series.items[from + i];
        part.series.items[i].slot = (uint32_t) i;
        numbers[i] = metrics_cache_begin(cache, part.series.items[i].id, r->from_ms);
    }
    result = metrics_read_stored(t, &part, &all, samples_have_gaps(r) ? &scratch : arena, floats,
                                 stats);
    for (size_t i = 0; i < part.series.n; i++) {
        struct floats *f = &floats[i];
        bool broken = result < 0 || (f->unsorted && floats_put_in_order(f) < 0) || f->twice;
        if (numbers[i])
            metrics_cache_fill(cache, part.series.items[i].id, numbers[i], f->times, f->values,
                               broken ? 0 : f->n, broken);
        if (result == 0 && ret &&
            (f->unsorted || take_over(f, r, arena, &ret[missing->series.items[from + i].slot]) < 0))
            result = no_room(t->error);
    }
    arena_done(&scratch);
    return result;
}

int metrics_fill_cache(const struct metrics_turn *t, const struct finding *missing,
                       const struct samples_range *r, int64_t now_ms, struct arena *arena,
                       struct floats *ret, struct metrics_source *stats) {
    size_t each = (size_t) ((now_ms - r->from_ms) / METRICS_INTERVAL_MS) + 2, n = missing->series.n;
    size_t step = ROWS_AT_ONCE / each + 1;
    int result = 0;

    for (size_t i = 0; i < n && result == 0; i += step)
        result = fill_part(t, missing, i, i + step < n ? i + step : n, r, arena, ret, stats);
    return result;
}

/* ---- Reading ---- */

static int read_cached(const struct metrics_turn *t, const struct finding *f,
                       const struct samples_range *r, struct arena *arena, struct floats *ret,
                       struct finding *missing) {
    missing->n_slots = f->n_slots;
    missing->n_all = f->n_all;
    vector_each(&f->series, s) {
        int result = metrics_cache_read(t->metrics->cache, s->id, r, arena, &ret[s->slot]);
        if (result == 0 && vector_push(&missing->series, *s, UINT32_MAX) < 0)
            result = -ENOBUFS;
        if (result < 0)
            return no_room(t->error);
    }
    missing->dense = f->dense && missing->series.n * 2 >= f->series.n;
    return 0;
}

int metrics_read_samples(const struct metrics_turn *t, const struct finding *f,
                         const struct samples_range *range, struct arena *arena, struct floats *ret,
                         struct metrics_source *stats) {
    int64_t now_ms = clock_now_ns() / NS_PER_MS;
    struct finding missing = {0};
    int r = 0;

    if (!t->metrics->cache || !is_recent(range, now_ms)) {
        r = metrics_read_stored(t, f, range, arena, ret, stats);
        return r < 0 ? r : metrics_finish_samples(t, f, range, arena, ret, stats);
    }
    r = read_cached(t, f, range, arena, ret, &missing);
    bool worth = r == 0 && missing.series.n && is_worth_it(t->metrics, &missing, range, now_ms);
    /* More than this query needs, for those that come: nobody waits for it. */
    if (worth && samples_have_gaps(range) && metrics_filler_add(t->metrics, &missing, range))
        worth = false;
    if (r == 0 && missing.series.n)
        r = worth ? metrics_fill_cache(t, &missing, range, now_ms, arena, ret, stats)
                  : metrics_read_stored(t, &missing, range, arena, ret, stats);
    finding_done(&missing);
    return r < 0 ? r : metrics_finish_samples(t, f, range, arena, ret, stats);
}
