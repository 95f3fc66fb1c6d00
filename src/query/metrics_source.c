/*
 * The source that PromQL evaluates over: one selector at a time. Start times stay in storage:
 * Prometheus does not use them either unless it is told to, and its answers are the measure.
 */
#include "query/metrics_private.h"

#include <errno.h>

#define ROWS_AT_ONCE 1000000.0
#define SERIES_BYTES_GUESS 300 /* labels and a column */
#define ROOM_SHARE 4           /* of the memory that is left, for those read at a time */

static enum promql_failure failure_of(int r) {
    switch (r) {
    case -ETIMEDOUT: return PROMQL_TIMEOUT;
    case -ECANCELED: return PROMQL_CANCELED;
    case -ENOBUFS:
    case -ENOMEM:
    case -E2BIG: return PROMQL_LIMIT;
    case -EINVAL: return PROMQL_EXECUTION;
    default: return PROMQL_STORAGE;
    }
}

static int tell(int r, const struct error *from, struct promql_error *e) {
    if (e->kind == PROMQL_OK || !*e->text) {
        *e = (struct promql_error){.kind = failure_of(r)};
        snprintf(e->text, sizeof(e->text), "%s", *from->text ? from->text : error_name(r));
    }
    return r;
}

static bool has_histograms(struct metrics *m) {
    struct store_stats stats;

    if (atomic_load(&m->histograms_stored))
        return true;
    store_read_stats(m->store, &stats);
    return stats.rows[TABLE_HISTOGRAMS] > 0;
}

struct selection {
    struct finding found;
    struct floats *floats;
    struct histograms *histograms;
    const struct promql_labels **labels;
};

/* Downsampled ones first, then raw ones, as the plan says. */
static int read_floats(struct metrics_source *s, const struct metrics_turn *t, int64_t from_ms,
                       int64_t to_ms, const struct promql_hints *hints, struct arena *arena,
                       struct selection *x) {
    uint32_t n = x->found.n_slots;
    struct floats *raw = x->floats;
    struct tier_plan plan;
    int r = 0;

    metrics_plan(s->metrics, hints, from_ms, to_ms, x->found.n_all, &plan);
    for (size_t i = 0; i < plan.n && r == 0; i++) {
        const struct tier_part *p = &plan.parts[i];
        if (p->tier != TIER_RAW) {
            r = metrics_read_buckets(t, &x->found, p, hints, arena, x->floats, s);
            continue;
        }
        if (i > 0 && !(raw = arena_array(arena, struct floats, n)))
            return error_set(t->error, -ENOBUFS,
                             "the series take more memory than a query may have");
        struct samples_range range = {p->from_ms, p->to_ms, hints->step_ms, hints->window_ms,
                                      from_ms};
        r = metrics_read_samples(t, &x->found, &range, arena, raw, s);
    }
    for (uint32_t i = 0; i < n && r == 0 && raw != x->floats; i++)
        if (metrics_append_floats(&x->floats[i], &raw[i], arena) < 0)
            r = error_set(t->error, -ENOBUFS, "the samples take more memory than a query may have");
    return r;
}

/* Histograms go into `lasting`: what is made of them refers to them. */
static int read_all(struct metrics_source *s, const struct metrics_turn *t, int64_t from_ms,
                    int64_t to_ms, const struct promql_hints *hints, struct arena *arena,
                    struct arena *lasting, struct selection *ret) {
    uint32_t n = ret->found.n_slots;
    int r = 0;

    ret->floats = arena_array(arena, struct floats, n);
    ret->histograms = arena_array(arena, struct histograms, n);
    ret->labels = arena_array(arena, const struct promql_labels *, n);
    if (!ret->floats || !ret->histograms || !ret->labels)
        return error_set(t->error, -ENOBUFS, "the series take more memory than a query may have");
    vector_each(&ret->found.series, f) {
        ret->labels[f->slot] = f->labels;
    }
    s->series += n;
    if (n)
        r = read_floats(s, t, from_ms, to_ms, hints, arena, ret);
    if (r == 0 && n && has_histograms(s->metrics))
        r = metrics_read_histograms(t, &ret->found, from_ms, to_ms, lasting, ret->histograms, s);
    return r;
}

static int hand_over(const struct selection *x, promql_add_fn *add, void *ctx) {
    for (uint32_t i = 0; i < x->found.n_slots; i++) {
        const struct floats *f = &x->floats[i];
        const struct histograms *h = &x->histograms[i];
        struct promql_samples samples = {.labels = x->labels[i],
                                         .n_floats = f->n,
                                         .float_ms = f->times,
                                         .floats = f->values,
                                         .float_counts = f->counts,
                                         .n_histograms = h->n,
                                         .histogram_ms = h->times,
                                         .histograms = h->items};
        int r = f->n || h->n ? add(ctx, &samples) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* How many series are read at a time when they need not be held all at once. */
static uint32_t series_at_once(const struct promql_hints *hints, int64_t from_ms, int64_t to_ms,
                               size_t room) {
    double share = 1, rows, series;

    if (hints->window_ms && hints->step_ms > hints->window_ms)
        share = (double) hints->window_ms / (double) hints->step_ms;
    rows = 2 + share * (double) (to_ms - from_ms) / METRICS_INTERVAL_MS;
    series = (double) room / ROOM_SHARE / (SERIES_BYTES_GUESS + rows * 2 * sizeof(double));
    return (uint32_t) (series < ROWS_AT_ONCE / rows ? series : ROWS_AT_ONCE / rows) + 1;
}

/* Series [from, to) of those that were found, each of one id: read, handed over, forgotten. */
static int pass_part(struct metrics_source *s, const struct metrics_turn *t,
                     const struct finding *all, uint32_t from, uint32_t to, int64_t from_ms,
                     int64_t to_ms, const struct promql_hints *hints, struct arena *scratch,
                     struct arena *lasting, promql_add_fn *add, void *add_ctx) {
    struct selection x = {.found = {.n_slots = to - from,
                                    .n_all = all->n_all,
                                    .dense = all->dense,
                                    .lazy = all->lazy}};
    int r = 0;

    x.found.series.n = to - from;
    x.found.series.items = arena_array(scratch, struct found, to - from);
    if (!x.found.series.items)
        return error_set(t->error, -ENOBUFS, "the series take more memory than a query may have");
    for (uint32_t i = 0; i < to - from; i++) {
        x.found.series.items[i] = all->series.items[from + i];
        x.found.series.items[i].slot = i;
    }
    if (all->lazy)
        r = metrics_make_labels(t, &x.found, scratch);
    if (r == 0)
        r = read_all(s, t, from_ms, to_ms, hints, scratch, lasting, &x);
    return r < 0 ? r : hand_over(&x, add, add_ctx);
}

static int pass_all(struct metrics_source *s, const struct metrics_turn *t,
                    const struct finding *all, int64_t from_ms, int64_t to_ms,
                    const struct promql_hints *hints, struct arena *arena, promql_add_fn *add,
                    void *add_ctx) {
    uint32_t n = all->n_slots,
             step = series_at_once(hints, from_ms, to_ms, arena->cap - arena->used);
    struct arena scratch;
    int r = 0;

    arena_init(&scratch, arena->cap - arena->used);
    for (uint32_t i = 0; i < n && r == 0; i += step) {
        r = pass_part(s, t, all, i, n - i > step ? i + step : n, from_ms, to_ms, hints, &scratch,
                      arena, add, add_ctx);
        arena_clear(&scratch);
    }
    arena_done(&scratch);
    return r;
}

static int read_and_add(struct metrics_source *s, const struct metrics_turn *t, struct selection *x,
                        int64_t from_ms, int64_t to_ms, const struct promql_hints *hints,
                        struct arena *arena, promql_add_fn *add, void *add_ctx) {
    if (hints->series_bytes && x->found.n_slots > (arena->cap - arena->used) / hints->series_bytes)
        return error_set(t->error, -ENOBUFS,
                         "%u series take more memory than a query may have: ask for fewer series, "
                         "a shorter range or a longer step",
                         x->found.n_slots);
    if (hints->passing && x->found.n_slots == x->found.series.n)
        return pass_all(s, t, &x->found, from_ms, to_ms, hints, arena, add, add_ctx);
    int r = read_all(s, t, from_ms, to_ms, hints, arena, arena, x);
    return r < 0 ? r : hand_over(x, add, add_ctx);
}

static int select_stored(struct promql_source *source, const struct promql_matcher *matchers,
                         size_t n_matchers, int64_t from_ms, int64_t to_ms,
                         const struct promql_hints *hints, struct arena *arena, promql_add_fn *add,
                         void *add_ctx, struct promql_error *e) {
    struct metrics_source *s = (struct metrics_source *) source;
    struct error error = ERROR_NONE;
    struct metrics_turn t = {
            s->metrics, s->deadline_ns ? s->deadline_ns : clock_monotonic_ns() + 120 * NS_PER_S,
            s->cancel, &error};
    struct selection x = {0};

    if (from_ms < 0)
        from_ms = 0;
    if (to_ms < from_ms)
        return 0;
    int r = metrics_find(&t, matchers, n_matchers, from_ms, to_ms, hints->passing, arena, &x.found);
    if (r == 0)
        r = read_and_add(s, &t, &x, from_ms, to_ms, hints, arena, add, add_ctx);
    if (r < 0 && *error.text) /* else it is the consumer's own error */
        tell(r, &error, e);
    finding_done(&x.found);
    return r;
}

void metrics_source_init(struct metrics_source *s, struct metrics *m) {
    *s = (struct metrics_source){.source = {select_stored}, .metrics = m};
}

void metrics_source_done(const struct metrics_source *s) {
    if (s->metrics && s->bytes + s->samples * 2 * sizeof(double) + s->series * SERIES_BYTES_GUESS >
                              METRICS_TRIM_BYTES)
        metrics_keeper_trim(s->metrics);
}
