/* Functions of values: clamp, round, scalar, vector, absent and their like. */
#include "query/promql/functions_impl.h"

#include <errno.h>

double map_sgn(double v) {
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

double map_rad(double v) {
    return v * M_PI / 180;
}

double map_deg(double v) {
    return v * 180 / M_PI;
}

/* As Go's math.Max: NaN when either is, +0 above -0. */
static double max_of(double a, double b) {
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

static double min_of(double a, double b) {
    return -max_of(-a, -b);
}

/* Each sample within [low, high] of its step; NULL: no bound. */
static int clamp(struct eval *e, const struct grid *g, struct value *v, const double *low,
                 const double *high, struct value *ret) {
    *ret = *v;
    for (size_t i = 0; i < v->vector.n; i++) {
        struct series *s = &v->vector.items[i];

        s->drop_name = true;
        s->h = NULL;
        for (size_t k = 0; k < g->n; k++) {
            double a = low ? low[k] : -INFINITY, b = high ? high[k] : INFINITY;

            if (is_absent(s->v[k]))
                continue;
            s->v[k] = b < a ? absent_value() : max_of(a, min_of(b, s->v[k]));
        }
    }
    return eval_tick(e, v->vector.n * g->n);
}

VALUES_FUNCTION(values_clamp) {
    return clamp(e, g, &args[0], args[1].scalar, args[2].scalar, ret);
}

VALUES_FUNCTION(values_clamp_min) {
    return clamp(e, g, &args[0], args[1].scalar, NULL, ret);
}

VALUES_FUNCTION(values_clamp_max) {
    return clamp(e, g, &args[0], NULL, args[1].scalar, ret);
}

VALUES_FUNCTION(values_round) {
    *ret = args[0];
    for (size_t i = 0; i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        s->drop_name = true;
        s->h = NULL;
        for (size_t k = 0; k < g->n; k++) {
            /* The inverse loses less in floating point. */
            double inverse = 1 / (n_args > 1 ? args[1].scalar[k] : 1);

            if (!is_absent(s->v[k]))
                s->v[k] = floor(s->v[k] * inverse + 0.5) / inverse;
        }
    }
    return eval_tick(e, ret->vector.n * g->n);
}

VALUES_FUNCTION(values_pi) {
    ret->scalar = column_new(e, g->n, M_PI);
    return ret->scalar ? 0 : -ENOMEM;
}

VALUES_FUNCTION(values_min_of) {
    ret->scalar = args[0].scalar;
    for (size_t k = 0; k < g->n; k++)
        ret->scalar[k] = min_of(args[0].scalar[k], args[1].scalar[k]);
    return 0;
}

VALUES_FUNCTION(values_max_of) {
    ret->scalar = args[0].scalar;
    for (size_t k = 0; k < g->n; k++)
        ret->scalar[k] = max_of(args[0].scalar[k], args[1].scalar[k]);
    return 0;
}

/* The value of the only float of a step, NaN when there are none or several. */
VALUES_FUNCTION(values_scalar) {
    double *out = column_new(e, g->n, absent_value());

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < args[0].vector.n; i++) {
        const double *v = args[0].vector.items[i].v;

        for (size_t k = 0; k < g->n; k++)
            if (!is_absent(v[k]))
                out[k] = is_absent(out[k]) ? v[k] : (double) NAN;
    }
    for (size_t k = 0; k < g->n; k++)
        if (is_absent(out[k]))
            out[k] = NAN;
    ret->scalar = out;
    return 0;
}

VALUES_FUNCTION(values_vector) {
    struct series *s = vector_add(e, &ret->vector, g, &promql_no_labels, false);

    if (!s)
        return -ENOMEM;
    memcpy(s->v, args[0].scalar, g->n * sizeof(*s->v));
    return 0;
}

const struct promql_labels *absent_labels(struct eval *e, const struct node *arg) {
    const struct selector *s;
    struct promql_label *items;
    uint32_t n = 0;

    arg = node_strip(arg);
    if (arg->kind == NODE_MATRIX)
        arg = arg->matrix.selector;
    if (arg->kind != NODE_SELECTOR)
        return &promql_no_labels;
    s = &arg->selector;
    items = arena_array(&e->arena, struct promql_label, s->n_matchers);
    if (!items)
        return NULL;
    for (size_t i = 0; i < s->n_matchers; i++) {
        const struct promql_matcher *m = &s->matchers[i];
        bool only = m->type == PROMQL_EQUAL && !slice_equal(m->name, PROMQL_METRIC_NAME);

        /* As Prometheus reads it: the last matcher of a label decides, and only a first equality.
         */
        for (size_t k = 0; only && k < s->n_matchers; k++)
            only = k == i || !slice_equal(s->matchers[k].name, m->name) ||
                   (k < i && s->matchers[k].type != PROMQL_EQUAL);
        if (only)
            items[n++] = (struct promql_label){m->name, m->value};
    }
    return labels_make(&e->arena, items, n);
}

VALUES_FUNCTION(values_absent) {
    struct series *s = vector_add(e, &ret->vector, g, absent_labels(e, call->call.args[0]), false);

    if (!s)
        return -ENOMEM;
    for (size_t k = 0; k < g->n; k++)
        s->v[k] = 1;
    for (size_t i = 0; i < args[0].vector.n; i++)
        for (size_t k = 0; k < g->n; k++)
            if (series_has(&args[0].vector.items[i], k))
                s->v[k] = absent_value();
    vector_prune(&ret->vector, g);
    return eval_tick(e, args[0].vector.n * g->n);
}
