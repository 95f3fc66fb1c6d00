/* Aggregations that choose among series (topk, bottomk, limitk, limit_ratio), and count_values. */
#include "query/promql/engine.h"

#include <errno.h>

struct choice {
    uint32_t series;
    double v;
};

struct selection {
    struct eval *e;
    const struct node *n;
    const struct grid *g;
    enum aggregate_op op;
    struct vector *in;
    const uint32_t *group;
    struct choice **heap; /* per group: the best so far, the worst of them first */
    size_t *n_heap;
    double *ratio; /* of each series' hash, for limit_ratio */
};

/* Whether a is worse than b: the one that would be given up first. NaN is worst. */
static bool worse(const struct selection *s, const struct choice *a, const struct choice *b) {
    if (isnan(a->v) || isnan(b->v))
        return isnan(a->v) && (!isnan(b->v) || a->series > b->series);
    if (a->v == b->v)
        return a->series > b->series;
    return s->op == AGG_TOPK ? a->v < b->v : a->v > b->v;
}

static void sift_down(const struct selection *s, struct choice *h, size_t n, size_t i) {
    for (;;) {
        size_t c = 2 * i + 1;

        if (c >= n)
            return;
        if (c + 1 < n && worse(s, &h[c + 1], &h[c]))
            c++;
        if (!worse(s, &h[c], &h[i]))
            return;
        struct choice x = h[c];
        h[c] = h[i];
        h[i] = x;
        i = c;
    }
}

static void heap_offer(const struct selection *s, uint32_t group, struct choice c, size_t k) {
    struct choice *h = s->heap[group];
    size_t *n = &s->n_heap[group];

    if (*n < k) {
        size_t i = (*n)++;

        h[i] = c;
        while (i && worse(s, &h[i], &h[(i - 1) / 2])) {
            struct choice x = h[i];
            h[i] = h[(i - 1) / 2];
            h[(i - 1) / 2] = x;
            i = (i - 1) / 2;
        }
    } else if (worse(s, &h[0], &c) && !isnan(c.v)) {
        h[0] = c;
        sift_down(s, h, *n, 0);
    }
}

static int keep(struct selection *s, struct vector *out, uint32_t series, size_t step) {
    return series_set(s->e, &out->items[series], s->g, step,
                      series_point(&s->in->items[series], step));
}

/* How many to choose at a step; 0: none. Negative: not a number. */
static int count_at(struct selection *s, double param, size_t *ret) {
    if (isnan(param))
        return eval_fail(s->e, PROMQL_EXECUTION, "Parameter value is NaN");
    if (param >= 0x1p63 || param <= -0x1p63)
        return eval_fail(s->e, PROMQL_EXECUTION, "Scalar value %g %s int64", param,
                         param > 0 ? "overflows" : "underflows");
    *ret = param < 1 ? 0 : param > (double) s->in->n ? s->in->n : (size_t) param;
    return 0;
}

static int step_top(struct selection *s, double param, size_t n_groups, size_t step,
                    struct vector *out) {
    size_t k;
    int r = count_at(s, param, &k);

    if (r < 0 || k == 0)
        return r;
    memset(s->n_heap, 0, n_groups * sizeof(*s->n_heap));
    for (uint32_t i = 0; i < s->in->n; i++) {
        const struct series *x = &s->in->items[i];

        if (x->h && x->h[step])
            annotate_ignored_aggregation(s->e, s->n->aggregate.expr, aggregate_names[s->op]);
        else if (!is_absent(x->v[step]))
            heap_offer(s, s->group[i], (struct choice){i, x->v[step]}, k);
    }
    for (size_t j = 0; r == 0 && j < n_groups; j++)
        for (size_t i = 0; r == 0 && i < s->n_heap[j]; i++)
            r = keep(s, out, s->heap[j][i].series, step);
    return r;
}

static int step_limit(struct selection *s, double param, size_t n_groups, size_t step,
                      struct vector *out) {
    size_t k;
    int r = count_at(s, param, &k);

    memset(s->n_heap, 0, n_groups * sizeof(*s->n_heap));
    for (uint32_t i = 0; r == 0 && k && i < s->in->n; i++) {
        if (!series_has(&s->in->items[i], step) || s->n_heap[s->group[i]] == k)
            continue;
        s->n_heap[s->group[i]]++;
        r = keep(s, out, i, step);
    }
    return r;
}

static int step_ratio(struct selection *s, double param, size_t step, struct vector *out) {
    double ratio = param < -1 ? -1 : param > 1 ? 1 : param;
    struct buffer b;
    int r = 0;

    if (isnan(param))
        return eval_fail(s->e, PROMQL_EXECUTION, "Ratio value is NaN");
    if (ratio != param) {
        buffer_init(&b, 64);
        print_float_g(&b, param);
        annotate(s->e, false, s->n->aggregate.param, SLICE_EMPTY,
                 "ratio value should be between -1 and 1, got %.*s, capping to %d", (int) b.size,
                 b.data ? (const char *) b.data : "", ratio > 0 ? 1 : -1);
        buffer_done(&b);
    }
    if (ratio == 0)
        return 0;
    for (uint32_t i = 0; r == 0 && i < s->in->n; i++) {
        bool in = ratio >= 0 ? s->ratio[i] < ratio : s->ratio[i] >= 1 + ratio;

        if (in && series_has(&s->in->items[i], step))
            r = keep(s, out, i, step);
    }
    return r;
}

static int prepare(struct selection *s, size_t n_groups) {
    struct arena *a = &s->e->arena;
    size_t *sizes = arena_array(a, size_t, n_groups);

    s->n_heap = arena_array(a, size_t, n_groups);
    s->heap = arena_array(a, struct choice *, n_groups);
    s->ratio = arena_array(a, double, s->in->n);
    if (!sizes || !s->n_heap || !s->heap || !s->ratio)
        return eval_memory(s->e);
    for (size_t i = 0; i < s->in->n; i++) {
        sizes[s->group[i]]++;
        if (s->op == AGG_LIMIT_RATIO)
            s->ratio[i] = (double) labels_prometheus_hash(&s->e->scratch, s->in->items[i].labels) /
                          0x1p64;
    }
    arena_clear(&s->e->scratch);
    for (size_t i = 0; i < n_groups; i++) {
        s->heap[i] = arena_array(a, struct choice, sizes[i]);
        if (!s->heap[i])
            return eval_memory(s->e);
    }
    return 0;
}

/* An instant topk or bottomk answers in the order of the values. */
static void order_by_value(struct selection *s, struct vector *out) {
    for (size_t i = 1; i < out->n; i++) {
        struct series x = out->items[i];
        size_t k = i;

        for (; k > 0; k--) {
            struct choice a = {(uint32_t) (k - 1), out->items[k - 1].v[0]},
                          b = {(uint32_t) k, x.v[0]};

            if (!worse(s, &a, &b))
                break;
            out->items[k] = out->items[k - 1];
        }
        out->items[k] = x;
    }
}

int eval_aggregate_k(struct eval *e, const struct node *n, const struct grid *g,
                     const double *param, struct vector *in, const uint32_t *group, size_t n_groups,
                     struct value *ret) {
    struct selection s = {.e = e, .n = n, .g = g, .op = n->aggregate.op, .in = in, .group = group};
    struct vector *out = &ret->vector;
    int r = prepare(&s, n_groups);

    for (size_t i = 0; r == 0 && i < in->n; i++)
        if (!vector_add(e, out, g, in->items[i].labels, in->items[i].drop_name))
            return -ENOMEM;
    for (size_t k = 0; r == 0 && k < g->n && in->n; k++) {
        if (s.op == AGG_LIMIT_RATIO)
            r = step_ratio(&s, param[k], k, out);
        else if (s.op == AGG_LIMITK)
            r = step_limit(&s, param[k], n_groups, k, out);
        else
            r = step_top(&s, param[k], n_groups, k, out);
        if (r == 0)
            r = eval_tick(e, in->n * 4);
    }
    vector_prune(out, g);
    if (r == 0 && g->n == 1 && (s.op == AGG_TOPK || s.op == AGG_BOTTOMK) && out->n <= 4096)
        order_by_value(&s, out);
    return r;
}

/* ---- count_values ---- */

static const struct promql_labels *value_labels(struct eval *e, const struct node *n,
                                                const struct promql_labels *group, struct point p) {
    struct buffer b;

    buffer_init(&b, 1u << 20);
    if (p.h)
        promql_histogram_print(p.h, &b);
    else
        print_float(&b, p.v);
    struct slice text = arena_dup(&e->arena, buffer_slice(&b));
    buffer_done(&b);
    return text.data ? labels_set(&e->arena, group, node_strip(n->aggregate.param)->string, text)
                     : NULL;
}

int eval_count_values(struct eval *e, const struct node *n, const struct grid *g, struct vector *in,
                      struct value *ret) {
    struct labels_table table;
    struct vector *out = &ret->vector;

    labels_table_init(&table, &e->arena);
    for (size_t i = 0; i < in->n; i++) {
        const struct series *s = &in->items[i];
        const struct promql_labels *group = group_labels(&e->arena, n, s->labels);
        struct point last = {0};
        int64_t id = -1;

        if (!group)
            return eval_memory(e);
        for (size_t k = 0; k < g->n; k++) {
            struct point p = series_point(s, k);

            if (!series_has(s, k))
                continue;
            /* Values often stay: their label set is looked up once. */
            if (id < 0 || p.h != last.h || memcmp(&p.v, &last.v, sizeof(p.v)) != 0) {
                const struct promql_labels *l = value_labels(e, n, group, p);

                id = l ? labels_table_put(&table, l) : -ENOMEM;
                if (id < 0)
                    return eval_memory(e);
                if ((size_t) id == out->n && !vector_add(e, out, g, l, s->drop_name))
                    return -ENOMEM;
                last = p;
            }
            struct series *to = &out->items[id];
            to->v[k] = is_absent(to->v[k]) ? 1 : to->v[k] + 1;
            int r = eval_tick(e, 8);
            if (r < 0)
                return r;
        }
    }
    return 0;
}
