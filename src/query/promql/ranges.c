/*
 * Range vectors: the windows of matrix selectors and subqueries, and running range functions over
 * them, series by series.
 */
#include "query/promql/engine.h"

#include <errno.h>

/* ---- Windows. ---- */

static int check_extension(struct eval *e, const struct selector *s, struct slice function) {
    const struct function *f = function_find(function);
    bool safe = s->anchored ? f && f->anchored_safe : f && f->smoothed_safe;

    if ((!s->anchored && !s->smoothed) || safe)
        return 0;
    return eval_fail(e, PROMQL_EXECUTION, "%s modifier can only be used with: %s - not with %.*s",
                     s->anchored ? "anchored" : "smoothed",
                     s->anchored ? "changes, delta, increase, rate, resets"
                                 : "delta, increase, rate",
                     SLICE_ARG(function));
}

int eval_range_input(struct eval *e, const struct node *n, const struct grid *g,
                     struct slice function, struct passing *passing, struct range_input *ret) {
    n = node_strip(n);
    *ret = (struct range_input){.node = n, .passing = passing};
    if (n->kind == NODE_SUBQUERY)
        return eval_subquery(e, n, g, ret);
    const struct selector *s = &n->matrix.selector->selector;
    struct promql_hints hints = {.step_ms = g->step,
                                 .lookback_ms = e->options.lookback_ms,
                                 .function = function,
                                 .passing = passing != NULL};
    int r = check_extension(e, s, function);

    if (r == 0)
        r = eval_duration_ms(e, n->matrix.range, true, &ret->range_ms);
    if (r == 0)
        r = eval_duration_ms(e, s->offset, false, &ret->offset_ms);
    if (r < 0)
        return r;
    ret->fixed = s->at.kind != AT_NONE;
    ret->fixed_ms = at_ms(e, &s->at);
    ret->anchored = s->anchored;
    ret->smoothed = s->smoothed;
    ret->before_ms = s->anchored || s->smoothed ? e->options.lookback_ms : 0;
    ret->after_ms = s->smoothed ? e->options.lookback_ms : 0;
    hints.range_ms = ret->range_ms;
    if (!ret->fixed && !ret->anchored && !ret->smoothed)
        hints.window_ms = ret->range_ms;
    int64_t first = (ret->fixed ? ret->fixed_ms : g->start) - ret->offset_ms;
    int64_t last = (ret->fixed ? ret->fixed_ms : grid_at(g, g->n - 1)) - ret->offset_ms;
    return select_series(e, n, s->matchers, s->n_matchers,
                         first - ret->range_ms - ret->before_ms + 1, last + ret->after_ms, &hints,
                         false, ret);
}

void window_move(const struct range_input *in, const struct range_series *s, const struct grid *g,
                 size_t i, size_t at[4], struct window *w) {
    const struct promql_samples *p = &s->samples;
    int64_t end = (in->fixed ? in->fixed_ms : grid_at(g, i)) - in->offset_ms;
    int64_t from = end - in->range_ms - in->before_ms, to = end + in->after_ms;

    if (i == 0) {
        at[0] = first_after(p->float_ms, p->n_floats, from);
        at[1] = first_after(p->float_ms, p->n_floats, to);
        at[2] = first_after(p->histogram_ms, p->n_histograms, from);
        at[3] = first_after(p->histogram_ms, p->n_histograms, to);
    } else {
        while (at[0] < p->n_floats && p->float_ms[at[0]] <= from)
            at[0]++;
        while (at[1] < p->n_floats && p->float_ms[at[1]] <= to)
            at[1]++;
        while (at[2] < p->n_histograms && p->histogram_ms[at[2]] <= from)
            at[2]++;
        while (at[3] < p->n_histograms && p->histogram_ms[at[3]] <= to)
            at[3]++;
    }
    w->ts = grid_at(g, i);
    w->end = end;
    w->start = end - in->range_ms;
    w->n = at[1] - at[0];
    w->n_h = at[3] - at[2];
    w->t = w->n ? p->float_ms + at[0] : NULL;
    w->v = w->n ? p->floats + at[0] : NULL;
    w->st = w->n && p->float_start_ms ? p->float_start_ms + at[0] : NULL;
    w->counts = w->n && p->float_counts ? p->float_counts + at[0] : NULL;
    w->t_h = w->n_h ? p->histogram_ms + at[2] : NULL;
    w->h = w->n_h ? p->histograms + at[2] : NULL;
    w->st_h = w->n_h && p->histogram_start_ms ? p->histogram_start_ms + at[2] : NULL;
}

/* How often the value fell up to each sample: tells windows without a reset at once. */
static int count_resets(struct eval *e, const struct promql_samples *s, const uint32_t **ret) {
    uint32_t *n = arena_alloc(&e->scratch, s->n_floats * sizeof(*n)), count = 0;

    if (!n)
        return eval_memory(e);
    for (size_t i = 0; i < s->n_floats; i++) {
        count += i && s->floats[i] < s->floats[i - 1];
        n[i] = count;
    }
    *ret = n;
    return 0;
}

static int run_series(struct eval *e, const struct node *call, const struct grid *g,
                      const struct range_input *in, const struct range_series *s,
                      double *const *columns, size_t n_columns, struct series *out) {
    const struct function *f = call->call.function;
    struct window w = {.labels = s->samples.labels,
                       .node = in->node,
                       .range_ms = in->range_ms,
                       .anchored = in->anchored,
                       .smoothed = in->smoothed};
    const uint32_t *resets = NULL;
    double args[FUNCTION_ARGS_MAX] = {0};
    size_t at[4] = {0};
    int r = 0;

    if (f->column && !s->samples.n_histograms && !s->samples.float_start_ms &&
        !s->samples.float_counts && !in->smoothed && !in->anchored) {
        r = count_resets(e, &s->samples, &resets);
        if (r < 0)
            return r;
        f->column(in, &s->samples, resets, g, out->v);
        arena_clear(&e->scratch);
        return eval_tick(e, g->n);
    }
    for (size_t i = 0; i < g->n; i++) {
        struct point p = {0};

        window_move(in, s, g, i, at, &w);
        if (w.n + w.n_h == 0)
            continue;
        for (size_t k = 0; k < n_columns; k++)
            args[k] = columns[k][i];
        r = f->range(e, call, &w, args, &p);
        if (r == 1)
            r = series_set(e, out, g, i, p);
        if (r == 0)
            r = eval_tick(e, 1 + w.n / 8 + w.n_h * 4);
        if (r < 0)
            return r;
    }
    arena_clear(&e->scratch);
    return 0;
}

static void check_counter_name(struct eval *e, const struct node *at,
                               const struct range_series *s) {
    static const char *const suffixes[] = {"_total", "_sum", "_count", "_bucket"};
    struct slice name = metric_name(s->samples.labels);

    for (size_t i = 0; i < 4; i++)
        if (slice_ends(name, slice_from(suffixes[i])))
            return;
    if (name.size)
        annotate(e, true, at, name,
                 "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                 "\"%.*s\"",
                 SLICE_ARG(name));
}

/* A call of a range function with its arguments evaluated. */
struct range_call {
    const struct node *call, *range;
    const struct grid *g;
    double *columns[FUNCTION_ARGS_MAX];
    size_t n_columns;
    struct range_input in;
};

/* The arguments but the range. */
static int prepare_call(struct eval *e, const struct node *call, const struct grid *g,
                        struct range_call *ret) {
    int r = 0;

    *ret = (struct range_call){.call = call, .g = g};
    for (size_t i = 0; r == 0 && i < call->call.n_args; i++) {
        if (call->call.args[i]->type == PROMQL_MATRIX)
            ret->range = call->call.args[i];
        else
            r = eval_scalar_column(e, call->call.args[i], g, &ret->columns[ret->n_columns++]);
    }
    return r;
}

static int read_range(struct eval *e, struct passing *passing, struct range_call *c) {
    int r = eval_range_input(e, c->range, c->g, slice_from(c->call->call.function->name), passing,
                             &c->in);

    c->in.node = c->range; /* with its brackets, as annotations point at it */
    return r;
}

/* Runs the function over a series. 1: `out` has samples, 0: none, negative. */
static int run_call(struct eval *e, const struct range_call *c, const struct range_series *s,
                    struct series *out) {
    int r = run_series(e, c->call, c->g, &c->in, s, c->columns, c->n_columns, out);

    if (r < 0)
        return r;
    if (!series_any(out, c->g->n))
        return 0;
    if (c->call->call.function->counters && !out->h)
        check_counter_name(e, c->range, s);
    return 1;
}

int eval_range_function(struct eval *e, const struct node *call, const struct grid *g,
                        struct value *ret) {
    struct range_call c;
    int r = prepare_call(e, call, g, &c);

    if (r == 0)
        r = read_range(e, NULL, &c);
    ret->type = PROMQL_VECTOR;
    for (size_t i = 0; r >= 0 && i < c.in.n; i++) {
        const struct range_series *s = &c.in.items[i];
        struct series *out = vector_add(e, &ret->vector, g, s->samples.labels,
                                        s->drop_name || !call->call.function->keeps_name);

        if (!out)
            return -ENOMEM;
        r = run_call(e, &c, s, out);
        if (r == 0) {
            ret->vector.n--;
            e->held -= g->n;
        }
    }
    return r < 0 ? r : 0;
}

static int fill_call(struct eval *e, void *ctx, const struct range_series *s, struct series *out) {
    struct range_call *c = ctx;

    c->in.node = c->range;
    out->drop_name = s->drop_name || !c->call->call.function->keeps_name;
    return run_call(e, c, s, out);
}

int eval_range_each(struct eval *e, const struct node *call, const struct grid *g,
                    struct passing *p) {
    struct range_call c;
    int r = prepare_call(e, call, g, &c);

    p->fill = fill_call;
    p->fill_ctx = &c;
    if (r == 0)
        r = read_range(e, p, &c);
    for (size_t i = 0; r == 0 && i < c.in.n; i++) /* of a subquery */
        r = pass_series(e, p, &c.in.items[i], NULL, NULL);
    return r < 0 ? r : 0;
}

int eval_absent_over_time(struct eval *e, const struct node *call, const struct grid *g,
                          struct value *ret) {
    struct range_input in;
    int r = eval_range_input(e, call->call.args[0], g, SLICE("absent_over_time"), NULL, &in);

    ret->type = PROMQL_VECTOR;
    if (r < 0)
        return r;
    struct series *out = vector_add(e, &ret->vector, g, absent_labels(e, call->call.args[0]), true);
    if (!out)
        return -ENOMEM;
    for (size_t k = 0; k < g->n; k++)
        out->v[k] = 1;
    for (size_t i = 0; r == 0 && i < in.n; i++) {
        struct window w = {0};
        size_t at[4] = {0};

        for (size_t k = 0; k < g->n; k++) {
            window_move(&in, &in.items[i], g, k, at, &w);
            if (w.n + w.n_h)
                out->v[k] = absent_value();
        }
        r = eval_tick(e, g->n);
    }
    vector_prune(&ret->vector, g);
    return r;
}
