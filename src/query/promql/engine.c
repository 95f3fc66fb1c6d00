/* The evaluator: its limits, columns, and the walk over the tree. See engine.h for the memory. */
#include "query/promql/engine.h"

#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- Errors and limits. ---- */

int eval_fail(struct eval *e, enum promql_failure kind, const char *format, ...) {
    va_list args;

    e->error->kind = kind;
    va_start(args, format);
    vsnprintf(e->error->text, sizeof(e->error->text), format, args);
    va_end(args);
    return kind == PROMQL_TIMEOUT ? -ETIMEDOUT : kind == PROMQL_CANCELED ? -ECANCELED : -EINVAL;
}

int eval_memory(struct eval *e) {
    eval_fail(
            e, PROMQL_LIMIT,
            "query would use more than %zu bytes of memory; ask for fewer series, a shorter range "
            "or a longer step",
            e->options.memory_bytes_max);
    return -ENOMEM;
}

int eval_tick(struct eval *e, size_t work) {
    e->unchecked = work > UINT32_MAX - e->unchecked ? UINT32_MAX : e->unchecked + (unsigned) work;
    if (e->unchecked < CHECK_EVERY)
        return 0;
    e->unchecked = 0;
    if (e->options.cancel && atomic_load_explicit(e->options.cancel, memory_order_relaxed))
        return eval_fail(e, PROMQL_CANCELED, "query was canceled in expression evaluation");
    if (clock_monotonic_ns() > e->deadline_ns)
        return eval_fail(e, PROMQL_TIMEOUT, "query timed out in expression evaluation");
    return 0;
}

int eval_hold(struct eval *e, uint64_t n) {
    e->held += n;
    if (e->held > e->options.samples_max)
        return eval_fail(
                e, PROMQL_LIMIT,
                "query processing would load too many samples into memory (more than %llu)",
                (unsigned long long) e->options.samples_max);
    return 0;
}

/* ---- Columns. ---- */

double *column_new(struct eval *e, size_t n, double fill) {
    double *v = n <= SIZE_MAX / sizeof(*v) ? arena_alloc(&e->arena, n * sizeof(*v)) : NULL;

    if (!v) {
        eval_memory(e);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        v[i] = fill;
    return v;
}

const struct promql_histogram **column_histograms(struct eval *e, size_t n) {
    const struct promql_histogram **h = arena_zalloc(&e->arena, n, sizeof(*h));

    if (!h)
        eval_memory(e);
    return h;
}

struct series *vector_add(struct eval *e, struct vector *v, const struct grid *g,
                          const struct promql_labels *labels, bool drop_name) {
    if (!labels) {
        eval_memory(e);
        return NULL;
    }
    if (v->n == v->allocated) {
        size_t want = v->allocated ? v->allocated * 2 : 16;
        struct series *items = arena_alloc(&e->arena, want * sizeof(*items));

        if (!items) {
            eval_memory(e);
            return NULL;
        }
        if (v->n)
            memcpy(items, v->items, v->n * sizeof(*items));
        v->items = items;
        v->allocated = want;
    }
    double *column = column_new(e, g->n, absent_value());
    if (!column || eval_hold(e, g->n) < 0)
        return NULL;
    struct series *s = &v->items[v->n++];
    *s = (struct series){labels, drop_name, column, NULL};
    return s;
}

int series_set(struct eval *e, struct series *s, const struct grid *g, size_t i, struct point p) {
    if (!p.h) {
        s->v[i] = p.v;
        if (s->h)
            s->h[i] = NULL;
        return 0;
    }
    if (!s->h) {
        s->h = column_histograms(e, g->n);
        if (!s->h)
            return -ENOMEM;
    }
    s->h[i] = p.h;
    s->v[i] = absent_value();
    return 0;
}

void series_clear(struct series *s, size_t i) {
    s->v[i] = absent_value();
    if (s->h)
        s->h[i] = NULL;
}

bool series_any(const struct series *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (series_has(s, i))
            return true;
    return false;
}

void vector_prune(struct vector *v, const struct grid *g) {
    size_t n = 0;

    for (size_t i = 0; i < v->n; i++)
        if (series_any(&v->items[i], g->n))
            v->items[n++] = v->items[i];
    v->n = n;
}

int vector_merge(struct eval *e, struct vector *v, const struct grid *g) {
    struct labels_table table;
    size_t n = 0;

    labels_table_init(&table, &e->scratch);
    for (size_t i = 0; i < v->n; i++) {
        int64_t id = labels_table_put(&table, v->items[i].labels);

        if (id < 0)
            return eval_memory(e);
        if ((size_t) id == n) {
            v->items[n++] = v->items[i];
            continue;
        }
        struct series *into = &v->items[id], *from = &v->items[i];
        for (size_t k = 0; k < g->n; k++) {
            if (!series_has(from, k))
                continue;
            if (series_has(into, k))
                return eval_fail(e, PROMQL_EXECUTION,
                                 "vector cannot contain metrics with the same labelset");
            int r = series_set(e, into, g, k, series_point(from, k));
            if (r < 0)
                return r;
        }
        into->drop_name |= from->drop_name;
        int r = eval_tick(e, g->n);
        if (r < 0)
            return r;
    }
    v->n = n;
    arena_clear(&e->scratch);
    return 0;
}

/* ---- Durations. ---- */

static double duration_value(const struct eval *e, const struct duration *d) {
    double a = d->a ? duration_value(e, d->a) : 0, b = d->b ? duration_value(e, d->b) : 0;

    switch (d->op) {
    case DURATION_NUMBER: return d->seconds;
    case DURATION_STEP: return e->range ? (double) e->grid.step / 1000 : 0;
    case DURATION_RANGE: return (double) (e->end_ms - e->grid.start) / 1000;
    case DURATION_PAREN:
    case DURATION_PLUS: return a;
    case DURATION_MINUS: return -a;
    case DURATION_MIN: return a < b ? a : b;
    case DURATION_MAX: return a > b ? a : b;
    case DURATION_ADD: return a + b;
    case DURATION_SUB: return a - b;
    case DURATION_MUL: return a * b;
    case DURATION_DIV: return a / b;
    case DURATION_MOD: return fmod(a, b);
    case DURATION_POW: return pow(a, b);
    }
    return 0;
}

int eval_duration_ms(struct eval *e, const struct duration *d, bool positive, int64_t *ret) {
    double seconds = d ? duration_value(e, d) : 0;

    if (!(fabs(seconds) < 9.2e12))
        return eval_fail(e, PROMQL_EXECUTION, "duration is out of bounds or divides by zero");
    *ret = (int64_t) round(seconds * 1000);
    if (positive && *ret <= 0)
        return eval_fail(e, PROMQL_EXECUTION, "duration must be greater than 0");
    return 0;
}

int64_t at_ms(const struct eval *e, const struct at *at) {
    if (at->kind == AT_START)
        return e->grid.start;
    return at->kind == AT_END ? e->end_ms : at->ms;
}

/* ---- Nodes. ---- */

struct invariance {
    bool all, any;
};

static void visit_invariance(void *ctx, struct node *child) {
    struct invariance *v = ctx;

    v->all = v->all && node_is_invariant(child);
}

bool node_is_invariant(const struct node *n) {
    struct invariance v = {true, false};

    switch (n->kind) {
    case NODE_NUMBER:
    case NODE_STRING: return true;
    case NODE_SELECTOR: return n->selector.at.kind != AT_NONE;
    case NODE_SUBQUERY: return n->subquery.at.kind != AT_NONE;
    case NODE_CALL:
        if (n->call.function->at_unsafe)
            return false;
        break;
    default: break;
    }
    node_children(n, visit_invariance, &v);
    return v.all;
}

static int broadcast(struct eval *e, const struct grid *g, struct value *v) {
    for (size_t i = 0; i < v->vector.n; i++) {
        struct series *s = &v->vector.items[i];
        struct point p = series_point(s, 0);

        s->v = column_new(e, g->n, p.h ? absent_value() : p.v);
        if (!s->v || eval_hold(e, g->n) < 0)
            return -ENOMEM;
        s->h = NULL;
        if (!p.h)
            continue;
        s->h = column_histograms(e, g->n);
        if (!s->h)
            return -ENOMEM;
        for (size_t k = 0; k < g->n; k++)
            s->h[k] = p.h;
    }
    if (v->type == PROMQL_SCALAR) {
        v->scalar = column_new(e, g->n, v->scalar[0]);
        if (!v->scalar)
            return -ENOMEM;
    }
    return 0;
}

static int eval_unary(struct eval *e, const struct node *n, const struct grid *g,
                      struct value *ret) {
    int r = eval_node(e, n->unary.expr, g, ret);

    if (r < 0 || !n->unary.minus)
        return r;
    for (size_t k = 0; ret->type == PROMQL_SCALAR && k < g->n; k++)
        ret->scalar[k] = -ret->scalar[k];
    for (size_t i = 0; i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        s->drop_name = true;
        for (size_t k = 0; k < g->n; k++) {
            if (s->h && s->h[k]) {
                struct promql_histogram *h = histogram_copy(&e->arena, s->h[k]);

                if (!h)
                    return eval_memory(e);
                histogram_scale(h, -1);
                s->h[k] = h;
            } else if (!is_absent(s->v[k])) {
                s->v[k] = -s->v[k];
            }
        }
    }
    return eval_tick(e, ret->vector.n * g->n);
}

static int eval_call_in(struct eval *e, const struct node *n, const struct grid *g,
                        struct value *ret) {
    const struct function *f = n->call.function;
    struct value *args;
    int r;

    if (f->kind == FUNCTION_NODE)
        return f->node(e, n, g, ret);
    if (f->kind == FUNCTION_RANGE)
        return eval_range_function(e, n, g, ret);
    args = arena_array(&e->arena, struct value, n->call.n_args + 1);
    if (!args)
        return eval_memory(e);
    for (size_t i = 0; i < n->call.n_args; i++) {
        r = eval_node(e, n->call.args[i], g, &args[i]);
        if (r < 0)
            return r;
    }
    if (f->kind == FUNCTION_VALUES)
        return f->values(e, n, g, args, n->call.n_args, ret);
    *ret = args[0];
    for (size_t i = 0; i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        s->drop_name = true;
        s->h = NULL; /* these functions know floats only */
        for (size_t k = 0; k < g->n; k++)
            if (!is_absent(s->v[k]))
                s->v[k] = f->map(s->v[k]);
    }
    return eval_tick(e, ret->vector.n * g->n);
}

static int eval_call(struct eval *e, const struct node *n, const struct grid *g,
                     struct value *ret) {
    const struct function *f = n->call.function;
    const struct node *stats = e->stats_root;

    if (f->experimental && e->options.no_experimental)
        return eval_fail(e, PROMQL_EXECUTION, "function \"%s\" is experimental and not enabled",
                         f->name);
    if (f->buckets)
        e->stats_root = NULL;
    else if (f->stats && e->subqueries == 0)
        e->stats_root = n;
    int r = eval_call_in(e, n, g, ret);
    e->stats_root = stats;
    return r;
}

static int eval_kind(struct eval *e, const struct node *n, const struct grid *g,
                     struct value *ret) {
    switch (n->kind) {
    case NODE_NUMBER:
        ret->type = PROMQL_SCALAR;
        ret->scalar = column_new(e, g->n, n->number.value);
        return ret->scalar ? 0 : -ENOMEM;
    case NODE_STRING:
        ret->type = PROMQL_STRING;
        ret->string = n->string;
        return 0;
    case NODE_SELECTOR: return eval_selector(e, n, g, SELECT_VALUES, ret);
    case NODE_MATRIX:
    case NODE_SUBQUERY:
        return eval_fail(e, PROMQL_EXECUTION, "a range vector is no value by itself");
    case NODE_CALL: return eval_call(e, n, g, ret);
    case NODE_AGGREGATE: return eval_aggregate(e, n, g, ret);
    case NODE_BINARY: return eval_binary(e, n, g, ret);
    case NODE_UNARY: return eval_unary(e, n, g, ret);
    case NODE_PAREN: return eval_node(e, n->paren, g, ret);
    }
    return 0;
}

int eval_node(struct eval *e, const struct node *n, const struct grid *g, struct value *ret) {
    struct grid one = {g->start, g->step, 1};

    *ret = (struct value){.type = n->type};
    int r = eval_tick(e, 64);
    if (r < 0)
        return r;
    /* What is the same at every step is computed once. */
    if (g->n > 1 && n->kind != NODE_NUMBER && n->kind != NODE_STRING && node_is_invariant(n)) {
        r = eval_kind(e, n, &one, ret);
        return r < 0 ? r : broadcast(e, g, ret);
    }
    return eval_kind(e, n, g, ret);
}

int eval_scalar_column(struct eval *e, const struct node *n, const struct grid *g, double **ret) {
    struct value v;
    int r = eval_node(e, n, g, &v);

    *ret = v.scalar;
    return r;
}
