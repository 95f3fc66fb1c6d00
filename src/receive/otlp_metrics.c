/* OTLP points to samples. See otlp_metrics.h; one thread at a time. */
#include "receive/otlp_metrics.h"
#include "base/clock.h"

#include <math.h>

#define LABELS_EXTRA 5 /* __name__, job, instance, le or quantile, one to spare */
#define STALE_NAN UINT64_C(0x7ff0000000000002)
#define NAME_SUFFIX_MAX 8

/* A series' labels, sorted; the ones that change from sample to sample are pointed at. */
struct label_set {
    struct label *items;
    size_t n;
    struct slice *name, *extra; /* the values of __name__, and of le or quantile */
};

static double stale_nan(void) {
    uint64_t bits = STALE_NAN;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static int compare(const void *a, const void *b) {
    return slice_compare(((const struct label *) a)->name, ((const struct label *) b)->name);
}

static int add_attributes(struct otlp_decoder *d, const struct attributes *a, bool target,
                          struct label_set *set) {
    for (size_t i = 0; i < a->n; i++) {
        struct slice key = a->items[i].key, text;
        if (target && (slice_is(key, "service.name") || slice_is(key, "service.namespace") ||
                       slice_is(key, "service.instance.id")))
            continue;
        int r = value_text(&a->items[i].value, &d->build, &d->record, &text);
        if (r < 0)
            return r;
        struct slice name = prometheus_label_name(&d->record, key);
        if (!name.data)
            return -E2BIG;
        if (name.size && text.size)
            set->items[set->n++] = (struct label){name, text};
    }
    return 0;
}

/* Sorts; of labels whose names fell together the values are joined with ";". */
static int settle(struct otlp_decoder *d, struct label_set *set) {
    size_t n = 0;

    qsort(set->items, set->n, sizeof(*set->items), compare);
    for (size_t i = 0; i < set->n; i++) {
        struct label *last = n ? &set->items[n - 1] : NULL, *l = &set->items[i];
        if (!last || !slice_equal(last->name, l->name)) {
            set->items[n++] = *l;
            continue;
        }
        uint8_t *joined = arena_alloc(&d->record, last->value.size + l->value.size + 1);
        if (!joined)
            return -E2BIG;
        memcpy(joined, last->value.data, last->value.size);
        joined[last->value.size] = ';';
        memcpy(joined + last->value.size + 1, l->value.data, l->value.size);
        last->value = slice_new(joined, last->value.size + l->value.size + 1);
    }
    set->n = n;
    for (size_t i = 0; i < n; i++) {
        if (slice_is(set->items[i].name, "__name__"))
            set->name = &set->items[i].value;
        else if (set->extra == NULL && set->items[i].value.size == 0)
            set->extra = &set->items[i].value; /* the place kept for le or quantile */
    }
    return 0;
}

static int labels_of(struct otlp_decoder *d, const struct otlp_target *t,
                     const struct attributes *a, const char *extra, struct label_set *ret) {
    struct label_set set = {.items = arena_array(&d->record, struct label, a->n + LABELS_EXTRA)};

    if (!set.items)
        return -E2BIG;
    set.items[set.n++] = (struct label){SLICE("__name__"), SLICE("?")};
    if (t->job.size)
        set.items[set.n++] = (struct label){SLICE("job"), t->job};
    if (t->instance.size)
        set.items[set.n++] = (struct label){SLICE("instance"), t->instance};
    if (extra)
        set.items[set.n++] = (struct label){slice_from(extra), SLICE_EMPTY};
    int r = add_attributes(d, a, a == &t->resource->attributes, &set);
    if (r == 0)
        r = settle(d, &set);
    *ret = set;
    return r;
}

int otlp_target_init(struct otlp_decoder *d, const struct resource *r, struct otlp_target *ret) {
    struct slice name = attributes_text(&r->attributes, "service.name");

    *ret = (struct otlp_target){.resource = r, .instance = r->instance, .job = name};
    if (r->service_namespace.size && name.size) {
        char *joined = arena_printf(&d->message, "%.*s/%.*s", SLICE_ARG(r->service_namespace),
                                    SLICE_ARG(name));
        if (!joined)
            return -E2BIG;
        ret->job = slice_from(joined);
    }
    return 0;
}

int otlp_metric_finish(struct otlp_decoder *d, struct otlp_metric *m) {
    m->series = prometheus_metric_name(&d->message, m->name, m->unit,
                                       m->kind == OTLP_SUM && m->monotonic, m->kind == OTLP_GAUGE);
    return m->series.data ? 0 : -E2BIG;
}

static int add_sample(struct otlp_decoder *d, const struct label_set *set, int64_t time_ns,
                      double value) {
    struct sample s = {.labels = set->items,
                       .n_labels = set->n,
                       .time_ms = time_ns / NS_PER_MS,
                       .value = value};
    struct error e;
    int r = ingest_sample(d->txn, &s, &e);

    /* A point of many samples is rejected once: by its first one. */
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

/* name_sum (when there is one) and name_count, which is what all distributions have. */
static int add_sum_and_count(struct otlp_decoder *d, struct otlp_target *t,
                             const struct otlp_metric *m, const struct otlp_point *p, bool stale) {
    struct label_set set;

    int r = labels_of(d, t, &p->attributes, NULL, &set);
    if (r == 0)
        r = name_series(d, m->series, "_count", set.name);
    if (r == 0)
        r = add_sample(d, &set, p->time_ns, stale ? stale_nan() : (double) p->count);
    if (r < 0 || (!p->has_sum && !stale))
        return r;
    r = name_series(d, m->series, "_sum", set.name);
    return r < 0 ? r : add_sample(d, &set, p->time_ns, stale ? stale_nan() : p->sum);
}

static int set_number(struct otlp_decoder *d, double v, struct slice *ret) {
    char text[NUMBER_TEXT_MAX];

    if (isinf(v) && v > 0) {
        *ret = SLICE("+Inf");
        return 0;
    }
    *ret = arena_dup(&d->record, slice_new(text, double_to_text(v, text)));
    return ret->data ? 0 : -E2BIG;
}

static int add_buckets(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                       const struct otlp_point *p, bool stale) {
    struct label_set set;
    uint64_t sum = 0;

    int r = labels_of(d, t, &p->attributes, "le", &set);
    if (r == 0)
        r = name_series(d, m->series, "_bucket", set.name);
    if (r == 0 && !set.extra)
        r = error_set(&d->error, -EINVAL, "%.*s: a point has a label \"le\" of its own",
                      SLICE_ARG(m->name));
    for (size_t i = 0; r == 0 && i < p->n_bounds; i++) {
        sum += i < p->n_counts ? p->counts[i] : 0;
        r = set_number(d, p->bounds[i], set.extra);
        if (r == 0)
            r = add_sample(d, &set, p->time_ns, stale ? stale_nan() : (double) sum);
    }
    if (r == 0)
        r = set_number(d, INFINITY, set.extra);
    return r < 0 ? r : add_sample(d, &set, p->time_ns, stale ? stale_nan() : (double) p->count);
}

static int add_quantiles(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                         const struct otlp_point *p, bool stale) {
    struct label_set set;

    int r = labels_of(d, t, &p->attributes, "quantile", &set);
    if (r == 0 && !set.extra)
        r = error_set(&d->error, -EINVAL, "%.*s: a point has a label \"quantile\" of its own",
                      SLICE_ARG(m->name));
    if (r == 0)
        *set.name = m->series;
    for (size_t i = 0; r == 0 && i < p->n_quantiles; i++) {
        r = set_number(d, p->quantiles[i].quantile, set.extra);
        if (r == 0)
            r = add_sample(d, &set, p->time_ns, stale ? stale_nan() : p->quantiles[i].value);
    }
    return r;
}

static int add_point(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                     const struct otlp_point *p) {
    bool stale = p->flags & OTLP_NO_RECORDED_VALUE;
    struct label_set set;
    int r;

    if (m->series.size == 0)
        return error_set(&d->error, -EINVAL, "a metric without a name");
    if (m->delta)
        return error_set(&d->error, -EINVAL,
                         "%.*s: delta temporality is not supported; set "
                         "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative",
                         SLICE_ARG(slice_take(m->name, 200)));
    if (m->kind == OTLP_GAUGE || m->kind == OTLP_SUM) {
        r = labels_of(d, t, &p->attributes, NULL, &set);
        if (r < 0)
            return r;
        *set.name = m->series;
        return add_sample(d, &set, p->time_ns, stale ? stale_nan() : p->value);
    }
    if (m->kind == OTLP_HISTOGRAM && p->n_counts && p->n_counts != p->n_bounds + 1)
        return error_set(&d->error, -EINVAL, "%.*s: %zu bucket counts for %zu bounds",
                         SLICE_ARG(slice_take(m->name, 200)), p->n_counts, p->n_bounds);
    r = add_sum_and_count(d, t, m, p, stale);
    if (r == 0 && m->kind == OTLP_HISTOGRAM)
        r = add_buckets(d, t, m, p, stale);
    else if (r == 0 && m->kind == OTLP_SUMMARY)
        r = add_quantiles(d, t, m, p, stale);
    else if (r == 0)
        d->unsupported++;
    return r;
}

int otlp_add_point(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                   const struct otlp_point *p) {
    int r = add_point(d, t, m, p);

    if (r == 0 && p->time_ns > t->newest_ns)
        t->newest_ns = p->time_ns;
    if (r == -EINVAL && !d->error.code)
        error_set(&d->error, r, "an attribute is nested too deeply");
    r = otlp_rejected(d, r, 1, &d->error);
    d->error = ERROR_NONE;
    return r;
}

int otlp_target_finish(struct otlp_decoder *d, struct otlp_target *t) {
    struct label_set set;

    if (t->newest_ns == 0 || (t->job.size == 0 && t->instance.size == 0))
        return 0;
    arena_clear(&d->record);
    int r = labels_of(d, t, &t->resource->attributes, NULL, &set);
    if (r < 0)
        return r == -EINVAL ? 0 : r;
    if (set.n <= 1u + (t->job.size > 0) + (t->instance.size > 0))
        return 0;
    *set.name = SLICE("target_info");
    r = add_sample(d, &set, t->newest_ns, 1);
    d->error = ERROR_NONE;
    return r == -EINVAL ? 0 : r;
}
