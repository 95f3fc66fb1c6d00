/*
 * Series that pass: what aggregations take is made series by series and forgotten after each, so
 * that of a million series only the groups are held. What a series needs lies in an arena of its
 * own, which takes the evaluation's place meanwhile.
 */
#include "query/promql/engine.h"

#include <errno.h>

int pass_series(struct eval *e, struct passing *p, const struct range_series *s,
                passing_prepare *prepare, void *prepare_ctx) {
    struct range_series own = *s;
    struct series out = {s->samples.labels, s->drop_name, p->column, NULL};
    struct arena kept = e->arena;
    uint64_t held = e->held;
    int r = 0;

    for (size_t k = 0; k < p->g->n; k++)
        p->column[k] = absent_value();
    e->arena = p->arena;
    if (prepare)
        r = prepare(prepare_ctx, &own.samples);
    if (r == 0)
        r = p->fill(e, p->fill_ctx, &own, &out);
    p->arena = e->arena;
    e->arena = kept;
    e->held = held;
    if (r == 1)
        r = p->sink(p->sink_ctx, &out);
    arena_clear(&p->arena);
    return r < 0 ? r : 0;
}

bool eval_can_pass(const struct eval *e, const struct node *n, const struct grid *g) {
    if (g->n > 1 && node_is_invariant(n))
        return false;
    if (n->kind == NODE_SELECTOR)
        return true;
    return n->kind == NODE_CALL && n->call.function->kind == FUNCTION_RANGE &&
           !(n->call.function->experimental && e->options.no_experimental);
}

int eval_each(struct eval *e, const struct node *n, const struct grid *g, series_sink *sink,
              void *ctx) {
    struct passing p = {.g = g, .sink = sink, .sink_ctx = ctx};

    p.column = column_new(e, g->n, absent_value());
    if (!p.column)
        return -ENOMEM;
    arena_init(&p.arena, e->options.memory_bytes_max / 2);
    int r = n->kind == NODE_SELECTOR ? eval_selector_each(e, n, g, &p)
                                     : eval_range_each(e, n, g, &p);
    arena_done(&p.arena);
    return r;
}
