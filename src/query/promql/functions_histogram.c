/*
 * histogram_… functions. Series are put into groups by their labels without `le`: a group is a
 * classic histogram (one series per bucket), a native one, or by mistake both, which is told and
 * answered by nothing.
 */
#include "query/promql/functions_impl.h"

#include <errno.h>

VALUES_FUNCTION(values_histogram_stat) {
    const char *name = call->call.function->name + strlen("histogram_");

    *ret = args[0];
    for (size_t i = 0; i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        s->drop_name = true;
        for (size_t k = 0; k < g->n; k++) {
            const struct promql_histogram *h = s->h ? s->h[k] : NULL;

            if (!h)
                s->v[k] = absent_value();
            else if (strcmp(name, "count") == 0)
                s->v[k] = h->count;
            else if (strcmp(name, "sum") == 0)
                s->v[k] = h->sum;
            else if (strcmp(name, "avg") == 0)
                s->v[k] = h->sum / h->count;
            else if (strcmp(name, "stdvar") == 0)
                s->v[k] = histogram_variance(h);
            else
                s->v[k] = sqrt(histogram_variance(h));
        }
        s->h = NULL;
    }
    vector_prune(&ret->vector, g);
    return eval_tick(e, ret->vector.n * g->n);
}

struct member {
    const struct series *series;
    bool has_bound;
    double upper;
};

struct job {
    struct eval *e;
    const struct grid *g;
    const struct node *arg; /* of the vector, for annotations */
    bool fraction;
    double *const *columns; /* quantiles; of a fraction: lower, upper */
    size_t n_quantiles;
    struct slice label; /* of the quantile in the answer; empty: none */
    struct vector *out;
    struct labels_table table;
    struct classic_bucket *buckets; /* room for the largest group */
};

/* "1.0", "+Inf": a bound as `le` has it. */
static bool parse_bound(struct slice s, double *ret) {
    if (s.size && slice_equal_nocase(s, SLICE("+inf"))) {
        *ret = INFINITY;
        return true;
    }
    if (s.size && slice_equal_nocase(s, SLICE("-inf"))) {
        *ret = -INFINITY;
        return true;
    }
    return s.size && slice_to_double(s, ret) == 0;
}

static const struct promql_labels *with_quantile(struct job *j, const struct promql_labels *l,
                                                 double q) {
    struct buffer b;

    if (!j->label.size)
        return l;
    buffer_init(&b, 400);
    print_float_openmetrics(&b, q);
    struct slice text = arena_dup(&j->e->arena, buffer_slice(&b));
    buffer_done(&b);
    return text.data ? labels_set(&j->e->arena, l, j->label, text) : NULL;
}

static int put(struct job *j, const struct promql_labels *l, double q, size_t step, double v) {
    const struct promql_labels *labels = with_quantile(j, l, q);
    int64_t id = labels ? labels_table_put(&j->table, labels) : -ENOMEM;

    if (id < 0)
        return eval_memory(j->e);
    if ((size_t) id == j->out->n && !vector_add(j->e, j->out, j->g, labels, true))
        return -ENOMEM;
    struct series *s = &j->out->items[id];
    if (!is_absent(s->v[step]))
        return eval_fail(j->e, PROMQL_EXECUTION,
                         "vector cannot contain metrics with the same labelset");
    s->v[step] = v;
    return 0;
}

static void tell(struct job *j, const struct promql_labels *l, unsigned flags, bool forced) {
    struct slice name = metric_name(l);
    const char *of = name.size ? " for metric name \"" : "", *end = name.size ? "\"" : "";

    if (forced)
        annotate(j->e, true, j->arg, name,
                 "input to histogram_quantile needed to be fixed for monotonicity (see "
                 "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                 "#histogram_quantile)%s%.*s%s",
                 of, SLICE_ARG(name), end);
    if (flags & HISTOGRAM_NAN_RESULT)
        annotate(j->e, true, j->arg, name,
                 "input to histogram_quantile has NaN observations, result is NaN%s%.*s%s", of,
                 SLICE_ARG(name), end);
    if (flags & HISTOGRAM_NAN_SKEW)
        annotate(
                j->e, true, j->arg, name,
                "input to histogram_quantile has NaN observations, result is skewed higher%s%.*s%s",
                of, SLICE_ARG(name), end);
}

static int native_step(struct job *j, const struct series *s, size_t step) {
    const struct promql_histogram *h = s->h[step];
    struct slice name = metric_name(s->labels);
    int r = 0;

    if (j->fraction) {
        if (isnan(h->sum))
            annotate(
                    j->e, true, j->arg, name,
                    "input to histogram_fraction has NaN observations, which are excluded from all "
                    "fractions for metric name \"%.*s\"",
                    SLICE_ARG(name));
        return put(j, s->labels, 0, step,
                   histogram_fraction(h, j->columns[0][step], j->columns[1][step]));
    }
    for (size_t i = 0; r == 0 && i < j->n_quantiles; i++) {
        unsigned flags = 0;
        double q = j->columns[i][step], v = histogram_quantile(h, q, &flags);

        tell(j, s->labels, flags, false);
        r = put(j, s->labels, q, step, v);
    }
    return r;
}

static int classic_step(struct job *j, const struct promql_labels *labels, size_t n, size_t step) {
    int r = 0;

    if (j->fraction)
        return put(j, labels, 0, step,
                   classic_fraction(j->buckets, n, j->columns[0][step], j->columns[1][step]));
    for (size_t i = 0; r == 0 && i < j->n_quantiles; i++) {
        double q = j->columns[i][step];
        bool forced;
        double v = classic_quantile(j->buckets, n, q, &forced);

        tell(j, labels, 0, forced);
        r = put(j, labels, q, step, v);
    }
    return r;
}

static int run_group(struct job *j, const struct promql_labels *labels, const struct member *m,
                     size_t n) {
    for (size_t step = 0; step < j->g->n; step++) {
        size_t n_buckets = 0, n_native = 0;
        int r = eval_tick(j->e, n * 4);

        for (size_t i = 0; i < n; i++) {
            const struct series *s = m[i].series;

            if (s->h && s->h[step])
                n_native++;
            else if (!is_absent(s->v[step]) && m[i].has_bound)
                j->buckets[n_buckets++] = (struct classic_bucket){m[i].upper, s->v[step]};
            else if (!is_absent(s->v[step]))
                annotate(j->e, false, j->arg,
                         s->labels->items ? s->labels->items->value : labels->items->value,
                         "bucket label \"le\" is missing or has a malformed value of "
                         "\"%.*s\"%s%.*s%s",
                         SLICE_ARG(promql_labels_get(s->labels, PROMQL_BUCKET_LABEL)),
                         metric_name(s->labels).size ? " for metric name \"" : "",
                         SLICE_ARG(metric_name(s->labels)),
                         metric_name(s->labels).size ? "\"" : "");
        }
        if (n_native && n_buckets) {
            struct slice name = metric_name(labels);

            annotate(j->e, false, j->arg, name,
                     "vector contains a mix of classic and native histograms%s%.*s%s",
                     name.size ? " for metric name \"" : "", SLICE_ARG(name),
                     name.size ? "\"" : "");
            continue;
        }
        for (size_t i = 0; r == 0 && n_native && i < n; i++)
            if (m[i].series->h && m[i].series->h[step])
                r = native_step(j, m[i].series, step);
        if (r == 0 && n_buckets)
            r = classic_step(j, labels, n_buckets, step);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sorts the series into groups: members of group i are ret_members[ret_from[i] … ret_from[i + 1]).
 */
static int make_groups(struct job *j, const struct vector *v, struct labels_table *groups,
                       struct member **ret_members, size_t **ret_from) {
    struct eval *e = j->e;
    static const struct slice le = {(const uint8_t *) "le", 2};
    uint32_t *id = arena_array(&e->arena, uint32_t, v->n);
    size_t *from = arena_array(&e->arena, size_t, v->n + 2), largest = 0;
    struct member *members = arena_array(&e->arena, struct member, v->n);

    labels_table_init(groups, &e->arena);
    if (!id || !from || !members)
        return eval_memory(e);
    for (size_t i = 0; i < v->n; i++) {
        const struct promql_labels *l = labels_select(&e->arena, v->items[i].labels, &le, 1, false);
        int64_t n = l ? labels_table_put(groups, l) : -ENOMEM;

        if (n < 0)
            return eval_memory(e);
        id[i] = (uint32_t) n;
        from[n + 2]++;
    }
    for (size_t i = 2; i < groups->n + 2; i++) {
        largest = from[i] > largest ? from[i] : largest;
        from[i] += from[i - 1];
    }
    for (size_t i = 0; i < v->n; i++) {
        struct member *m = &members[from[id[i] + 1]++];

        m->series = &v->items[i];
        m->has_bound =
                parse_bound(promql_labels_get(v->items[i].labels, PROMQL_BUCKET_LABEL), &m->upper);
    }
    j->buckets = arena_array(&e->arena, struct classic_bucket, largest + 1);
    *ret_members = members;
    *ret_from = from;
    return j->buckets ? 0 : eval_memory(e);
}

static int run_job(struct job *j, const struct vector *v) {
    struct labels_table groups;
    struct member *members = NULL;
    size_t *from = NULL;
    int r = make_groups(j, v, &groups, &members, &from);

    labels_table_init(&j->table, &j->e->arena);
    for (size_t i = 0; r == 0 && i < groups.n; i++)
        r = run_group(j, groups.sets[i], members + from[i], from[i + 1] - from[i]);
    return r;
}

static void check_quantile(struct job *j, const struct node *arg, const double *q) {
    for (size_t k = 0; k < j->g->n; k++)
        if (!(q[k] >= 0 && q[k] <= 1)) {
            annotate_quantile(j->e, arg, q[k]);
            return;
        }
}

VALUES_FUNCTION(values_histogram_quantile) {
    double *columns[1] = {args[0].scalar};
    struct job j = {.e = e,
                    .g = g,
                    .arg = call->call.args[1],
                    .columns = columns,
                    .n_quantiles = 1,
                    .out = &ret->vector};

    check_quantile(&j, call->call.args[0], columns[0]);
    return run_job(&j, &args[1].vector);
}

VALUES_FUNCTION(values_histogram_quantiles) {
    double **columns = arena_array(&e->arena, double *, n_args);
    struct job j = {.e = e,
                    .g = g,
                    .arg = call->call.args[0],
                    .columns = columns,
                    .n_quantiles = n_args - 2,
                    .label = args[1].string,
                    .out = &ret->vector};

    if (!columns)
        return eval_memory(e);
    if (!args[1].string.size || !slice_is_utf8(args[1].string))
        return eval_fail(e, PROMQL_EXECUTION, "invalid label name in histogram_quantiles(): %.*s",
                         SLICE_ARG(args[1].string));
    for (size_t i = 2; i < n_args; i++) {
        columns[i - 2] = args[i].scalar;
        check_quantile(&j, call->call.args[i], columns[i - 2]);
    }
    return run_job(&j, &args[0].vector);
}

VALUES_FUNCTION(values_histogram_fraction) {
    double *columns[2] = {args[0].scalar, args[1].scalar};
    struct job j = {.e = e,
                    .g = g,
                    .arg = call->call.args[2],
                    .fraction = true,
                    .columns = columns,
                    .out = &ret->vector};

    return run_job(&j, &args[2].vector);
}
