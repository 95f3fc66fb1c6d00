/* OTLP points to samples. See otlp_metrics.h; one thread at a time. */
#include "receive/otlp_metrics.h"
#include "base/clock.h"

#include <math.h>

#define METRIC_TEXT_MAX 200u

static double stale_nan(void) {
    uint64_t bits = STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* ---- Metrics ---- */

static enum metric_type type_of(const struct otlp_metric *m) {
    switch (m->kind) {
    case OTLP_SUM: return m->monotonic ? METRIC_COUNTER : METRIC_GAUGE;
    case OTLP_HISTOGRAM:
    case OTLP_EXPONENTIAL: return METRIC_HISTOGRAM;
    case OTLP_SUMMARY: return METRIC_SUMMARY;
    default: return METRIC_GAUGE;
    }
}

int otlp_metric_finish(struct otlp_decoder *d, struct otlp_metric *m) {
    struct error e;

    m->series = prometheus_metric_name(&d->message, m->name, m->unit,
                                       m->kind == OTLP_SUM && m->monotonic, m->kind == OTLP_GAUGE);
    if (!m->series.data)
        return -E2BIG;
    if (m->series.size == 0 || otlp_is_red(m))
        return 0;
    struct metric_metadata metadata = {
            .metric = m->series, .type = type_of(m), .help = m->description, .unit = m->unit};
    int r = ingest_metadata(d->txn, &metadata, &e);
    return r == -EINVAL ? 0 : r;
}

/* ---- Samples ---- */

/* What the values of one point have in common. */
struct giving {
    struct otlp_decoder *d;
    const struct otlp_metric *metric;
    const struct otlp_point *point;
    bool stale;
};

static int add_sample(const struct giving *g, const struct otlp_labels *set, double value,
                      const struct histogram *h) {
    const struct otlp_point *p = g->point;
    struct otlp_decoder *d = g->d;
    struct error e;

    if (g->metric->delta && !g->stale)
        return otlp_delta_note(d, set, p, value, h);
    struct sample s = {.labels = set->items,
                       .n_labels = set->n,
                       .time_ms = p->time_ns / NS_PER_MS,
                       .value = g->stale ? stale_nan() : value,
                       .histogram = g->stale ? NULL : h,
                       .start_ms = g->metric->kind == OTLP_GAUGE ? 0 : p->start_ns / NS_PER_MS};
    /* A point of many samples is rejected once: by its first one. */
    int r = ingest_sample(d->txn, &s, &e);
    return r == -EINVAL ? error_set(&d->error, r, "%s", e.text) : r;
}

static int name_series(struct otlp_decoder *d, struct slice base, const char *suffix,
                       struct slice *ret) {
    char *name = *suffix ? arena_printf(&d->record, "%.*s%s", SLICE_ARG(base), suffix) : NULL;

    if (*suffix && !name)
        return -E2BIG;
    *ret = *suffix ? slice_from(name) : base;
    return 0;
}

/* name_sum (when there is one) and name_count, which is what classic distributions have. */
static int add_sum_and_count(const struct giving *g, struct otlp_target *t) {
    const struct otlp_point *p = g->point;
    struct otlp_labels set;

    int r = otlp_labels_of(g->d, t, &p->attributes, NULL, &set);
    if (r == 0)
        r = name_series(g->d, g->metric->series, "_count", set.name);
    if (r == 0)
        r = add_sample(g, &set, (double) p->count, NULL);
    if (r < 0 || (!p->has_sum && !g->stale))
        return r;
    r = name_series(g->d, g->metric->series, "_sum", set.name);
    return r < 0 ? r : add_sample(g, &set, p->sum, NULL);
}

int otlp_set_bound(struct otlp_decoder *d, double v, struct slice *ret) {
    char text[NUMBER_TEXT_MAX];

    if (isinf(v) && v > 0) {
        *ret = SLICE("+Inf");
        return 0;
    }
    *ret = arena_dup(&d->record, slice_new(text, double_to_text(v, text)));
    return ret->data ? 0 : -E2BIG;
}

static int add_buckets(const struct giving *g, struct otlp_target *t) {
    const struct otlp_point *p = g->point;
    struct otlp_labels set;
    uint64_t sum = 0;

    int r = otlp_labels_of(g->d, t, &p->attributes, "le", &set);
    if (r == 0)
        r = name_series(g->d, g->metric->series, "_bucket", set.name);
    for (size_t i = 0; r == 0 && i < p->n_bounds; i++) {
        if (isinf(p->bounds[i]) && p->bounds[i] > 0)
            break; /* the count of all stands for it */
        sum += i < p->n_counts ? p->counts[i] : 0;
        r = otlp_set_bound(g->d, p->bounds[i], set.extra);
        if (r == 0)
            r = add_sample(g, &set, (double) sum, NULL);
    }
    if (r == 0)
        r = otlp_set_bound(g->d, INFINITY, set.extra);
    if (r == 0)
        r = add_sample(g, &set, (double) p->count, NULL);
    return r < 0 ? r : otlp_add_bucket_exemplars(g->d, &set, p);
}

static int add_quantiles(const struct giving *g, struct otlp_target *t) {
    const struct otlp_point *p = g->point;
    struct otlp_labels set;

    int r = otlp_labels_of(g->d, t, &p->attributes, "quantile", &set);
    if (r == 0)
        *set.name = g->metric->series;
    for (size_t i = 0; r == 0 && i < p->n_quantiles; i++) {
        r = otlp_set_bound(g->d, p->quantiles[i].quantile, set.extra);
        if (r == 0)
            r = add_sample(g, &set, p->quantiles[i].value, NULL);
    }
    return r;
}

static int add_exponential(const struct giving *g, struct otlp_target *t) {
    const struct otlp_point *p = g->point;
    struct histogram h = {.count = 0};
    struct otlp_labels set;
    struct error e;

    int r = otlp_labels_of(g->d, t, &p->attributes, NULL, &set);
    if (r < 0)
        return r;
    *set.name = g->metric->series;
    r = g->stale ? 0 : otlp_native_histogram(&g->d->record, p, &h, &e);
    if (r == -EINVAL)
        return error_set(&g->d->error, r, "%s", e.text);
    if (r == 0)
        r = add_sample(g, &set, 0, &h);
    return r < 0 ? r : otlp_add_exemplars(g->d, &set, p);
}

static int add_number(const struct giving *g, struct otlp_target *t) {
    struct otlp_labels set;

    int r = otlp_labels_of(g->d, t, &g->point->attributes, NULL, &set);
    if (r < 0)
        return r;
    *set.name = g->metric->series;
    r = add_sample(g, &set, g->point->value, NULL);
    if (r == 0 && g->metric->kind == OTLP_SUM && g->metric->monotonic)
        r = otlp_add_exemplars(g->d, &set, g->point);
    return r;
}

/* ---- Points ---- */

static int check_point(struct otlp_decoder *d, const struct otlp_metric *m,
                       const struct otlp_point *p) {
    if (m->series.size == 0)
        return error_set(&d->error, -EINVAL, "the metric has no name");
    if (m->kind == OTLP_HISTOGRAM && p->n_counts && p->n_counts != p->n_bounds + 1)
        return error_set(&d->error, -EINVAL, "%zu bucket counts for %zu bounds", p->n_counts,
                         p->n_bounds);
    for (size_t i = 1; m->kind == OTLP_HISTOGRAM && i < p->n_bounds; i++)
        if (!(p->bounds[i - 1] < p->bounds[i]))
            return error_set(&d->error, -EINVAL, "the bounds are not ascending");
    return 0;
}

static int add_point(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                     const struct otlp_point *p) {
    struct giving g = {d, m, p, p->flags & OTLP_NO_RECORDED_VALUE};
    int r = check_point(d, m, p);

    if (r < 0)
        return r;
    d->points++;
    if (m->kind == OTLP_GAUGE || m->kind == OTLP_SUM)
        return add_number(&g, t);
    if (m->kind == OTLP_EXPONENTIAL)
        return add_exponential(&g, t);
    r = add_sum_and_count(&g, t);
    if (r < 0)
        return r;
    return m->kind == OTLP_HISTOGRAM ? add_buckets(&g, t) : add_quantiles(&g, t);
}

/* Target, metric and point before the reason. */
static void name_place(struct otlp_decoder *d, const struct otlp_target *t,
                       const struct otlp_metric *m) {
    struct slice job = slice_take(t->job, METRIC_TEXT_MAX),
                 instance = slice_take(t->instance, METRIC_TEXT_MAX);

    error_prefix(&d->error,
                 "job \"%.*s\", instance \"%.*s\", metric \"%.*s\", point %u: ", SLICE_ARG(job),
                 SLICE_ARG(instance), SLICE_ARG(slice_take(m->name, METRIC_TEXT_MAX)), m->points);
}

int otlp_add_point(struct otlp_decoder *d, struct otlp_target *t, struct otlp_metric *m,
                   const struct otlp_point *p) {
    m->points++;
    int r = otlp_is_red(m) ? otlp_add_red(d, t, m, p) : add_point(d, t, m, p);

    if (r == 0 && !otlp_is_red(m) && p->time_ns > t->newest_ns)
        t->newest_ns = p->time_ns;
    if (r == -EINVAL && !d->error.code)
        error_set(&d->error, r, "an attribute is nested too deeply");
    if (r == -EINVAL)
        name_place(d, t, m);
    r = otlp_rejected(d, r, 1, &d->error);
    d->error = ERROR_NONE;
    return r;
}
