/*
 * Aggregation: sum, avg, count, min, max, group, stddev, stdvar, quantile. Series by series over
 * all steps, into one accumulator column per group.
 */
#include "query/promql/engine.h"

#include <errno.h>

/* One group over the steps. Which columns there are depends on the operator. */
struct accumulator {
    uint32_t *n, *n_h; /* floats and histograms so far */
    double *a, *a_rest;
    double *b, *b_rest; /* mean, when the sum overflowed (avg); squares (stddev) */
    struct histogram_mean *h;
    bool *broken;   /* histograms that do not fit together */
    uint8_t *hints; /* counter reset hints met, a bit each */
    bool *incremental;
    bool drop_name;
};

struct aggregation {
    struct eval *e;
    const struct node *n;
    const struct grid *g;
    enum aggregate_op op;
};

const struct promql_labels *group_labels(struct arena *a, const struct node *n,
                                         const struct promql_labels *l) {
    struct slice names[PROMQL_LABELS_MAX];
    size_t count = n->aggregate.n_grouping;

    if (!n->aggregate.without) {
        if (count == 0)
            return &promql_no_labels;
        return labels_select(a, l, n->aggregate.grouping, count, true);
    }
    if (count >= PROMQL_LABELS_MAX)
        count = PROMQL_LABELS_MAX - 1;
    memcpy(names, n->aggregate.grouping, count * sizeof(*names));
    names[count] = PROMQL_METRIC_NAME;
    return labels_select(a, l, names, count + 1, false);
}

static int accumulator_init(struct aggregation *a, struct accumulator *x) {
    struct arena *arena = &a->e->arena;
    size_t n = a->g->n;

    x->n = arena_array(arena, uint32_t, n);
    x->n_h = arena_array(arena, uint32_t, n);
    x->a = arena_array(arena, double, n);
    x->a_rest = arena_array(arena, double, n);
    if (!x->n || !x->n_h || !x->a || !x->a_rest)
        return eval_memory(a->e);
    if (a->op == AGG_AVG || a->op == AGG_STDDEV || a->op == AGG_STDVAR) {
        x->b = arena_array(arena, double, n);
        x->b_rest = arena_array(arena, double, n);
        x->incremental = arena_array(arena, bool, n);
        if (!x->b || !x->b_rest || !x->incremental)
            return eval_memory(a->e);
    }
    return eval_hold(a->e, 2 * n);
}

/* ---- Floats, one series at all steps. ---- */

static void add_sum(struct accumulator *x, const double *v, size_t n) {
    for (size_t k = 0; k < n; k++) {
        if (is_absent(v[k]))
            continue;
        kahan_add(v[k], &x->a[k], &x->a_rest[k]);
        x->n[k]++;
    }
}

static void add_avg(struct accumulator *x, const double *v, size_t n) {
    for (size_t k = 0; k < n; k++) {
        double sum = x->a[k], rest = x->a_rest[k], count;

        if (is_absent(v[k]))
            continue;
        count = ++x->n[k];
        if (!x->incremental[k]) {
            kahan_add(v[k], &sum, &rest);
            if (!isinf(sum) || count == 1) {
                x->a[k] = sum;
                x->a_rest[k] = rest;
                continue;
            }
            x->incremental[k] = true;
            x->b[k] = x->a[k] / (count - 1);
            x->b_rest[k] = x->a_rest[k] / (count - 1);
        }
        double q = (count - 1) / count;
        x->b[k] *= q;
        x->b_rest[k] *= q;
        kahan_add(v[k] / count, &x->b[k], &x->b_rest[k]);
    }
}

static void add_extreme(struct accumulator *x, const double *v, size_t n, bool max) {
    for (size_t k = 0; k < n; k++) {
        double y = x->a[k];

        if (is_absent(v[k]))
            continue;
        if (x->n[k]++ == 0 || (max ? v[k] > y : v[k] < y) || isnan(y))
            x->a[k] = v[k];
    }
}

static void add_spread(struct accumulator *x, const double *v, size_t n) {
    for (size_t k = 0; k < n; k++) {
        if (is_absent(v[k]))
            continue;
        double delta = v[k] - (x->a[k] + x->a_rest[k]);

        kahan_add(delta / ++x->n[k], &x->a[k], &x->a_rest[k]);
        kahan_add(delta * (v[k] - (x->a[k] + x->a_rest[k])), &x->b[k], &x->b_rest[k]);
    }
}

static void add_count(struct accumulator *x, const double *v, size_t n) {
    for (size_t k = 0; k < n; k++)
        x->n[k] += !is_absent(v[k]);
}

/* ---- Histograms. ---- */

static int add_histograms(struct aggregation *a, struct accumulator *x, const struct series *s) {
    struct eval *e = a->e;

    if (!x->h) {
        x->h = arena_array(&e->arena, struct histogram_mean, a->g->n);
        x->broken = arena_array(&e->arena, bool, a->g->n);
        x->hints = arena_array(&e->arena, uint8_t, a->g->n);
        if (!x->h || !x->broken || !x->hints)
            return eval_memory(e);
    }
    for (size_t k = 0; k < a->g->n; k++) {
        unsigned flags = 0;
        int r;

        if (!s->h[k])
            continue;
        x->n_h[k]++;
        x->hints[k] |= (uint8_t) (1u << s->h[k]->hint);
        if (x->broken[k])
            continue;
        r = a->op == AGG_AVG ? histogram_mean_add(&e->arena, &x->h[k], s->h[k], &flags)
                             : histogram_sum_add(&e->arena, &x->h[k].sum, s->h[k], &flags);
        if (eval_is_mismatch(r)) {
            x->broken[k] = true;
            annotate_mixed_schemas(e, a->n->aggregate.expr, metric_name(s->labels));
        } else if (r < 0) {
            return eval_memory(e);
        }
        annotate_flags(e, a->n->aggregate.expr, flags & HISTOGRAM_RECONCILED, "aggregation");
        r = eval_tick(e, 16);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_series(struct aggregation *a, struct accumulator *x, const struct series *s) {
    size_t n = a->g->n;
    bool any = false;

    x->drop_name |= s->drop_name;
    for (size_t k = 0; s->h && k < n; k++)
        any |= s->h[k] != NULL;
    switch (a->op) {
    case AGG_SUM:
    case AGG_AVG:
        a->op == AGG_SUM ? add_sum(x, s->v, n) : add_avg(x, s->v, n);
        return any ? add_histograms(a, x, s) : 0;
    case AGG_COUNT:
    case AGG_GROUP:
        add_count(x, s->v, n);
        for (size_t k = 0; any && k < n; k++)
            x->n[k] += s->h[k] != NULL;
        return 0;
    case AGG_MIN:
    case AGG_MAX: add_extreme(x, s->v, n, a->op == AGG_MAX); break;
    default: add_spread(x, s->v, n); break;
    }
    if (any)
        annotate_ignored_aggregation(a->e, a->n->aggregate.expr, aggregate_names[a->op]);
    return 0;
}

/* ---- Results. ---- */

static double finish_float(const struct aggregation *a, const struct accumulator *x, size_t k) {
    double n = x->n[k];

    switch (a->op) {
    case AGG_SUM: return isinf(x->a[k]) ? x->a[k] : x->a[k] + x->a_rest[k];
    case AGG_AVG:
        if (x->incremental[k])
            return x->b[k] + x->b_rest[k];
        return x->a[k] / n + x->a_rest[k] / n;
    case AGG_COUNT: return n;
    case AGG_GROUP: return 1;
    case AGG_STDVAR: return (x->b[k] + x->b_rest[k]) / n;
    case AGG_STDDEV: return sqrt((x->b[k] + x->b_rest[k]) / n);
    default: return x->a[k];
    }
}

static int finish(struct aggregation *a, struct accumulator *x, const struct promql_labels *labels,
                  struct vector *out) {
    struct series *s = vector_add(a->e, out, a->g, labels, x->drop_name);

    if (!s)
        return -ENOMEM;
    for (size_t k = 0; k < a->g->n; k++) {
        struct point p = {0};

        if (x->n[k] == 0 && x->n_h[k] == 0)
            continue;
        if (x->n[k] && x->n_h[k]) {
            annotate(a->e, false, a->n->aggregate.expr, SLICE("aggregation"),
                     "encountered a mix of histograms and floats for aggregation");
            continue;
        }
        if (x->n_h[k]) {
            const unsigned both = 1u << PROMQL_RESET | 1u << PROMQL_NOT_RESET;

            if ((x->hints[k] & both) == both)
                annotate_flags(a->e, a->n->aggregate.expr, HISTOGRAM_COLLISION, "aggregation");
            if (x->broken[k])
                continue;
            p.h = a->op == AGG_AVG ? histogram_mean_finish(&x->h[k])
                                   : histogram_sum_finish(&x->h[k].sum);
        } else {
            p.v = finish_float(a, x, k);
        }
        if (series_set(a->e, s, a->g, k, p) < 0)
            return -ENOMEM;
    }
    if (!series_any(s, a->g->n))
        out->n--;
    return 0;
}

static int aggregate_quantile(struct aggregation *a, const double *q, struct vector *in,
                              const uint32_t *group, struct labels_table *groups,
                              struct vector *out) {
    struct eval *e = a->e;
    size_t *from = arena_array(&e->arena, size_t, groups->n + 2);
    uint32_t *order = arena_array(&e->arena, uint32_t, in->n);
    double *values = arena_array(&e->arena, double, in->n);

    if (!from || !order || !values)
        return eval_memory(e);
    for (size_t i = 0; i < in->n; i++)
        from[group[i] + 2]++;
    for (size_t i = 2; i < groups->n + 2; i++)
        from[i] += from[i - 1];
    for (size_t i = 0; i < in->n; i++)
        order[from[group[i] + 1]++] = (uint32_t) i;
    for (size_t k = 0; k < a->g->n; k++)
        if (!(q[k] >= 0 && q[k] <= 1))
            annotate_quantile(e, a->n->aggregate.param, q[k]);
    for (size_t i = 0; i < groups->n; i++) {
        struct series *s = vector_add(e, out, a->g, groups->sets[i], false);

        if (!s)
            return -ENOMEM;
        for (size_t k = 0; k < a->g->n; k++) {
            size_t n = 0;

            for (size_t m = from[i]; m < from[i + 1]; m++) {
                const struct series *x = &in->items[order[m]];

                s->drop_name |= x->drop_name;
                if (x->h && x->h[k])
                    annotate_ignored_aggregation(e, a->n->aggregate.expr, "quantile");
                else if (!is_absent(x->v[k]))
                    values[n++] = x->v[k];
            }
            if (n)
                s->v[k] = quantile_of(values, n, q[k]);
            int r = eval_tick(e, n * 4);
            if (r < 0)
                return r;
        }
        if (!series_any(s, a->g->n))
            out->n--;
    }
    return 0;
}

/* The groups met so far, and their accumulators. */
struct groups {
    struct aggregation *a;
    struct labels_table table;
    struct accumulator *acc;
    size_t n, allocated;
};

/* Adds a series to its group. */
static int groups_add(void *ctx, const struct series *s) {
    struct groups *x = ctx;
    struct eval *e = x->a->e;
    const struct promql_labels *l = group_labels(&e->scratch, x->a->n, s->labels);
    int64_t id = l ? labels_table_get(&x->table, l) : -ENOMEM;
    int r = 0;

    if (l && id < 0) { /* the first of its group: of the series nothing lasts */
        l = labels_copy(&e->arena, l);
        id = l ? labels_table_put(&x->table, l) : -ENOMEM;
    }
    arena_clear(&e->scratch);
    if (id < 0)
        return eval_memory(e);
    if ((size_t) id == x->n) {
        if (x->n == x->allocated) {
            size_t want = x->allocated ? x->allocated * 2 : 16;
            struct accumulator *acc = arena_array(&e->arena, struct accumulator, want);

            if (!acc)
                return eval_memory(e);
            if (x->n)
                memcpy(acc, x->acc, x->n * sizeof(*acc));
            x->acc = acc;
            x->allocated = want;
        }
        r = accumulator_init(x->a, &x->acc[x->n++]);
    }
    if (r == 0)
        r = add_series(x->a, &x->acc[id], s);
    return r < 0 ? r : eval_tick(e, x->a->g->n);
}

static int aggregate_columns(struct aggregation *a, struct vector *out) {
    struct groups x = {.a = a};
    const struct node *expr = node_strip(a->n->aggregate.expr);
    struct value in;
    int r;

    labels_table_init(&x.table, &a->e->arena);
    if (eval_can_pass(a->e, expr, a->g)) {
        r = eval_each(a->e, expr, a->g, groups_add, &x);
    } else {
        r = eval_node(a->e, a->n->aggregate.expr, a->g, &in);
        for (size_t i = 0; r == 0 && i < in.vector.n; i++)
            r = groups_add(&x, &in.vector.items[i]);
    }
    for (size_t i = 0; r == 0 && i < x.n; i++)
        r = finish(a, &x.acc[i], x.table.sets[i], out);
    return r;
}

int eval_aggregate(struct eval *e, const struct node *n, const struct grid *g, struct value *ret) {
    struct aggregation a = {e, n, g, n->aggregate.op};
    struct labels_table groups;
    struct value in;
    double *param = NULL;
    int r = 0;

    ret->type = PROMQL_VECTOR;
    if (a.op < AGG_TOPK)
        return aggregate_columns(&a, &ret->vector);
    if (n->aggregate.param && n->aggregate.op != AGG_COUNT_VALUES)
        r = eval_scalar_column(e, n->aggregate.param, g, &param);
    if (r == 0)
        r = eval_node(e, n->aggregate.expr, g, &in);
    if (r < 0)
        return r;
    if ((a.op == AGG_LIMITK || a.op == AGG_LIMIT_RATIO) && e->options.no_experimental)
        return eval_fail(e, PROMQL_EXECUTION, "%s() is experimental and not enabled",
                         aggregate_names[a.op]);
    if (a.op == AGG_COUNT_VALUES)
        return eval_count_values(e, n, g, &in.vector, ret);
    uint32_t *group = arena_array(&e->arena, uint32_t, in.vector.n);
    if (!group)
        return eval_memory(e);
    labels_table_init(&groups, &e->arena);
    for (size_t i = 0; i < in.vector.n; i++) {
        const struct promql_labels *l = group_labels(&e->arena, n, in.vector.items[i].labels);
        int64_t id = l ? labels_table_put(&groups, l) : -ENOMEM;

        if (id < 0)
            return eval_memory(e);
        group[i] = (uint32_t) id;
    }
    if (a.op == AGG_QUANTILE)
        return aggregate_quantile(&a, param, &in.vector, group, &groups, &ret->vector);
    return eval_aggregate_k(e, n, g, param, &in.vector, group, groups.n, ret);
}
