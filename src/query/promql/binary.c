/* Binary operators: on scalars, on a vector and a scalar, on two samples. Vectors meet in match.c.
 */
#include "query/promql/engine.h"

#include <errno.h>

double combine_floats(enum binary_op op, double l, double r) {
    switch (op) {
    case OP_ADD: return l + r;
    case OP_SUB: return l - r;
    case OP_MUL: return l * r;
    case OP_DIV: return l / r;
    case OP_MOD: return fmod(l, r);
    case OP_POW: return pow(l, r);
    case OP_ATAN2: return atan2(l, r);
    case OP_EQ: return l == r;
    case OP_NE: return l != r;
    case OP_LT: return l < r;
    case OP_LE: return l <= r;
    case OP_GT: return l > r;
    case OP_GE: return l >= r;
    default: return NAN;
    }
}

static int incompatible(struct eval *e, const struct node *n, struct point l, struct point r) {
    const char *op = binary_op_names[n->binary.op];

    annotate(e, true, n, slice_from(op),
             "incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
             l.h ? "histogram" : "float", op, r.h ? "histogram" : "float");
    return 0;
}

static int combine_two_histograms(struct eval *e, const struct node *n, struct point l,
                                  struct point r, struct point *ret) {
    enum binary_op op = n->binary.op;
    struct promql_histogram *h;
    unsigned flags = 0;
    int result;

    if (op == OP_EQ || op == OP_NE) {
        bool holds = histogram_equal(l.h, r.h) == (op == OP_EQ);

        *ret = n->binary.return_bool ? (struct point){holds, NULL} : l;
        return holds || n->binary.return_bool;
    }
    if (op != OP_ADD && op != OP_SUB)
        return incompatible(e, n, l, r);
    result = histogram_combine(&e->arena, l.h, r.h, op == OP_ADD ? 1 : -1, &h, &flags);
    if (eval_is_mismatch(result)) {
        annotate(e, false, n, slice_from(binary_op_names[op]),
                 "incompatible bucket layout encountered for binary operator %s",
                 binary_op_names[op]);
        return 0;
    }
    if (result < 0)
        return eval_memory(e);
    annotate_flags(e, n, flags, op == OP_ADD ? "addition" : "subtraction");
    if (op == OP_SUB)
        h->hint = PROMQL_GAUGE;
    histogram_compact(h);
    *ret = (struct point){0, h};
    return 1;
}

static int combine_with_float(struct eval *e, const struct node *n, struct point l, struct point r,
                              struct point *ret) {
    enum binary_op op = n->binary.op;
    struct promql_histogram *h;

    if (l.h && op_is_trim(op)) {
        h = histogram_trim(&e->arena, l.h, r.v, op == OP_TRIM_UPPER);
    } else if (op == OP_MUL || (op == OP_DIV && l.h)) {
        h = histogram_copy(&e->arena, l.h ? l.h : r.h);
        if (h && op == OP_MUL)
            histogram_scale(h, l.h ? r.v : l.v);
        else if (h)
            histogram_divide(h, r.v);
    } else {
        return incompatible(e, n, l, r);
    }
    if (!h)
        return eval_memory(e);
    *ret = (struct point){0, h};
    return 1;
}

int combine_points(struct eval *e, const struct node *n, struct point l, struct point r,
                   struct point *ret) {
    enum binary_op op = n->binary.op;

    if (l.h && r.h)
        return combine_two_histograms(e, n, l, r, ret);
    if (l.h || r.h)
        return combine_with_float(e, n, l, r, ret);
    if (op_is_trim(op))
        return incompatible(e, n, l, r);
    double v = combine_floats(op, l.v, r.v);
    if (!op_is_comparison(op) || n->binary.return_bool) {
        *ret = (struct point){v, NULL};
        return 1;
    }
    *ret = l;
    return v != 0;
}

/* ---- Scalars. ---- */

#define EACH_STEP(expression)                                                                      \
    for (size_t k = 0; k < n; k++) {                                                               \
        double x = l[k], y = r[k];                                                                 \
        out[k] = (expression);                                                                     \
    }

/* The common operators in loops of their own, so that the compiler can vectorise them. */
void combine_columns(enum binary_op op, const double *l, const double *r, double *out, size_t n) {
    switch (op) {
    case OP_ADD: EACH_STEP(x + y); break;
    case OP_SUB: EACH_STEP(x - y); break;
    case OP_MUL: EACH_STEP(x * y); break;
    case OP_DIV: EACH_STEP(x / y); break;
    default: EACH_STEP(combine_floats(op, x, y)); break;
    }
}

/* ---- A vector and a scalar. ---- */

#define EACH_SAMPLE(expression)                                                                    \
    for (size_t k = 0; k < n; k++) {                                                               \
        double x = scalar_left ? scalar[k] : v[k], y = scalar_left ? v[k] : scalar[k];             \
        double z = (expression);                                                                   \
        v[k] = is_absent(v[k]) ? v[k] : z;                                                         \
    }
#define EACH_KEPT(condition)                                                                       \
    for (size_t k = 0; k < n; k++) {                                                               \
        double x = scalar_left ? scalar[k] : v[k], y = scalar_left ? v[k] : scalar[k];             \
        v[k] = (condition) ? v[k] : nothing;                                                       \
    }

/* A column of floats and a scalar. An absent value is a NaN: a comparison other than != drops it.
 */
static void float_column(enum binary_op op, bool keeps, double *v, const double *scalar,
                         bool scalar_left, size_t n) {
    const double nothing = absent_value();

    if (keeps) {
        switch (op) {
        case OP_EQ: EACH_KEPT(x == y); return;
        case OP_LT: EACH_KEPT(x < y); return;
        case OP_LE: EACH_KEPT(x <= y); return;
        case OP_GT: EACH_KEPT(x > y); return;
        case OP_GE: EACH_KEPT(x >= y); return;
        default: EACH_KEPT(x != y); return; /* keeps an absent value as it is */
        }
    }
    switch (op) {
    case OP_ADD: EACH_SAMPLE(x + y); return;
    case OP_SUB: EACH_SAMPLE(x - y); return;
    case OP_MUL: EACH_SAMPLE(x * y); return;
    case OP_DIV: EACH_SAMPLE(x / y); return;
    default: EACH_SAMPLE(combine_floats(op, x, y)); return;
    }
}

static int vector_scalar(struct eval *e, const struct node *n, const struct grid *g,
                         struct vector *v, const double *scalar, bool scalar_left) {
    enum binary_op op = n->binary.op;
    bool keeps = op_is_comparison(op) && !n->binary.return_bool;

    for (size_t i = 0; i < v->n; i++) {
        struct series *s = &v->items[i];
        int r = eval_tick(e, g->n);

        if (!(op_is_comparison(op) || op_is_trim(op)) || n->binary.return_bool)
            s->drop_name = true;
        if (r == 0 && !s->h && !op_is_trim(op)) {
            float_column(op, keeps, s->v, scalar, scalar_left, g->n);
            continue;
        }
        for (size_t k = 0; r == 0 && k < g->n; k++) {
            struct point p = series_point(s, k), scalar_point = {scalar[k], NULL}, out;

            if (!p.h && is_absent(p.v))
                continue;
            if (!p.h && !op_is_trim(op)) {
                double x = scalar_left ? combine_floats(op, scalar[k], p.v)
                                       : combine_floats(op, p.v, scalar[k]);

                if (!keeps)
                    s->v[k] = x;
                else if (x == 0)
                    s->v[k] = absent_value();
                continue;
            }
            r = scalar_left ? combine_points(e, n, scalar_point, p, &out)
                            : combine_points(e, n, p, scalar_point, &out);
            if (r < 0)
                return r;
            if (r == 0)
                series_clear(s, k);
            else if (series_set(e, s, g, k, out) < 0)
                return -ENOMEM;
            r = 0;
        }
        if (r < 0)
            return r;
    }
    vector_prune(v, g);
    return 0;
}

int eval_binary(struct eval *e, const struct node *n, const struct grid *g, struct value *ret) {
    const struct node *stats = e->stats_root;
    struct value l, r;
    int result;

    e->stats_root = NULL;
    result = eval_node(e, n->binary.lhs, g, &l);
    if (result == 0)
        result = eval_node(e, n->binary.rhs, g, &r);
    e->stats_root = stats;
    if (result < 0)
        return result;
    ret->type = n->type;
    if (n->type == PROMQL_SCALAR) {
        ret->scalar = l.scalar;
        combine_columns(n->binary.op, l.scalar, r.scalar, ret->scalar, g->n);
        return eval_tick(e, g->n);
    }
    if (l.type == PROMQL_SCALAR || r.type == PROMQL_SCALAR) {
        bool left = l.type == PROMQL_SCALAR;

        ret->vector = left ? r.vector : l.vector;
        return vector_scalar(e, n, g, &ret->vector, left ? l.scalar : r.scalar, left);
    }
    if (op_is_set(n->binary.op))
        return match_sets(e, n, g, &l.vector, &r.vector, ret);
    return match_vectors(e, n, g, &l.vector, &r.vector, ret);
}
