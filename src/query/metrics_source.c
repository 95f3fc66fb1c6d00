/*
 * The source that PromQL evaluates over: one selector at a time. Start times stay in storage:
 * Prometheus does not use them either unless it is told to, and its answers are the measure.
 */
#include "query/metrics_private.h"

#include <errno.h>

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

    metrics_plan(s->metrics, hints, from_ms, to_ms, n, &plan);
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

static int read_all(struct metrics_source *s, const struct metrics_turn *t, int64_t from_ms,
                    int64_t to_ms, const struct promql_hints *hints, struct arena *arena,
                    struct selection *ret) {
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
        r = metrics_read_histograms(t, &ret->found, from_ms, to_ms, arena, ret->histograms, s);
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
    int r = metrics_find(&t, matchers, n_matchers, from_ms, to_ms, arena, &x.found);
    if (r == 0)
        r = read_all(s, &t, from_ms, to_ms, hints, arena, &x);
    if (r < 0)
        tell(r, &error, e);
    else
        r = hand_over(&x, add, add_ctx);
    finding_done(&x.found);
    return r;
}

void metrics_source_init(struct metrics_source *s, struct metrics *m) {
    *s = (struct metrics_source){.source = {select_stored}, .metrics = m};
}
