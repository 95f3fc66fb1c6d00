/* Subqueries: the inner expression on a grid of its own, whose columns become samples. */
#include "query/promql/engine.h"

#include <errno.h>

/* The grid of the subquery: multiples of its step in (first end - range, last end]. */
static int inner_grid(struct eval *e, const struct range_input *in, const struct grid *g,
                      int64_t step, struct grid *ret) {
    int64_t first = (in->fixed ? in->fixed_ms : g->start) - in->offset_ms - in->range_ms;
    int64_t last = (in->fixed ? in->fixed_ms : grid_at(g, g->n - 1)) - in->offset_ms;
    int64_t start = step * (first / step);

    if (start <= first)
        start += step;
    uint64_t n = last < start ? 0 : (uint64_t) (last - start) / (uint64_t) step + 1;
    if (n > PROMQL_STEPS_MAX)
        return eval_fail(e, PROMQL_LIMIT,
                         "a subquery would have %llu steps, at most %u are allowed; use a longer "
                         "step or a shorter range",
                         (unsigned long long) n, PROMQL_STEPS_MAX);
    *ret = (struct grid){start, step, (size_t) n};
    return 0;
}

static const struct promql_histogram *without_hint(struct eval *e,
                                                   const struct promql_histogram *h) {
    struct promql_histogram *c;

    /* Steps are not the samples' neighbours: what their hints said holds no longer. */
    if (h->hint == PROMQL_GAUGE || h->hint == PROMQL_RESET_UNKNOWN)
        return h;
    c = arena_alloc(&e->arena, sizeof(*c));
    if (c) {
        *c = *h;
        c->hint = PROMQL_RESET_UNKNOWN;
    }
    return c;
}

static int series_to_samples(struct eval *e, const struct grid *g, const int64_t *times,
                             const struct series *s, struct promql_samples *ret) {
    size_t n = 0, n_h = 0;

    for (size_t i = 0; i < g->n; i++) {
        n += !is_absent(s->v[i]);
        n_h += s->h && s->h[i];
    }
    *ret = (struct promql_samples){.labels = s->labels, .n_floats = n, .n_histograms = n_h};
    if (n == g->n) {
        ret->float_ms = times;
        ret->floats = s->v;
        return 0;
    }
    int64_t *t = arena_alloc(&e->arena, n * sizeof(*t));
    double *v = arena_alloc(&e->arena, n * sizeof(*v));
    int64_t *t_h = arena_alloc(&e->arena, n_h * sizeof(*t_h));
    const struct promql_histogram **h = arena_alloc(&e->arena, n_h * sizeof(*h));
    if (!t || !v || !t_h || !h)
        return eval_memory(e);
    ret->float_ms = t;
    ret->floats = v;
    ret->histogram_ms = t_h;
    ret->histograms = h;
    for (size_t i = 0; i < g->n; i++) {
        if (!is_absent(s->v[i])) {
            *t++ = times[i];
            *v++ = s->v[i];
        } else if (s->h && s->h[i]) {
            *t_h++ = times[i];
            *h = without_hint(e, s->h[i]);
            if (!*h++)
                return eval_memory(e);
        }
    }
    return 0;
}

static int vector_to_input(struct eval *e, const struct grid *g, const struct vector *v,
                           struct range_input *ret) {
    int64_t *times = arena_alloc(&e->arena, g->n * sizeof(*times));

    ret->items = arena_array(&e->arena, struct range_series, v->n);
    if (!ret->items || !times)
        return eval_memory(e);
    for (size_t i = 0; i < g->n; i++)
        times[i] = grid_at(g, i);
    for (size_t i = 0; i < v->n; i++) {
        int r = series_to_samples(e, g, times, &v->items[i], &ret->items[i].samples);

        if (r == 0)
            r = eval_tick(e, g->n);
        if (r < 0)
            return r;
        ret->items[i].drop_name = v->items[i].drop_name;
    }
    ret->n = v->n;
    return 0;
}

int eval_subquery(struct eval *e, const struct node *n, const struct grid *g,
                  struct range_input *ret) {
    int64_t step = e->options.subquery_step_ms;
    const struct node *stats = e->stats_root;
    struct value inner;
    struct grid grid;
    int r = eval_duration_ms(e, n->subquery.range, true, &ret->range_ms);

    if (r == 0)
        r = eval_duration_ms(e, n->subquery.offset, false, &ret->offset_ms);
    if (r == 0 && n->subquery.step)
        r = eval_duration_ms(e, n->subquery.step, true, &step);
    if (r < 0)
        return r;
    ret->fixed = n->subquery.at.kind != AT_NONE;
    ret->fixed_ms = at_ms(e, &n->subquery.at);
    r = inner_grid(e, ret, g, step, &grid);
    if (r < 0 || grid.n == 0)
        return r;
    /* Resets between steps show in the buckets only. */
    e->stats_root = NULL;
    e->subqueries++;
    r = eval_node(e, n->subquery.expr, &grid, &inner);
    e->stats_root = stats;
    e->subqueries--;
    if (r < 0)
        return r;
    if (inner.type == PROMQL_SCALAR) {
        struct series *items = arena_array(&e->arena, struct series, 1);

        if (!items)
            return eval_memory(e);
        items[0] = (struct series){&promql_no_labels, false, inner.scalar, NULL};
        inner.vector = (struct vector){items, 1, 1};
    }
    return vector_to_input(e, &grid, &inner.vector, ret);
}
