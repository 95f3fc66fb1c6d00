/* OTLP metrics in JSON. See otlp_decode.h; one thread at a time. */
#include "receive/otlp_metrics.h"

#include <jansson.h>

static int doubles_of(struct otlp_decoder *d, json_t *list, const double **ret, size_t *ret_n) {
    size_t n = json_array_size(list);
    double *items = arena_array(&d->record, double, n);

    if (!items)
        return -E2BIG;
    for (size_t i = 0; i < n; i++) {
        int r = otlp_json_double(d, json_array_get(list, i), &items[i]);
        if (r < 0)
            return r;
    }
    *ret = items;
    *ret_n = n;
    return 0;
}

static int counts_of(struct otlp_decoder *d, json_t *list, const uint64_t **ret, size_t *ret_n) {
    size_t n = json_array_size(list);
    uint64_t *items = arena_array(&d->record, uint64_t, n);

    if (!items)
        return -E2BIG;
    for (size_t i = 0; i < n; i++) {
        json_t *v = json_array_get(list, i);
        struct slice text = json_is_string(v) ? slice_from(json_string_value(v)) : SLICE_EMPTY;
        if (json_is_integer(v))
            items[i] = (uint64_t) json_integer_value(v);
        else if (slice_to_u64(text, &items[i]) < 0)
            return otlp_json_malformed(d, "bucketCounts");
    }
    *ret = items;
    *ret_n = n;
    return 0;
}

static int quantiles_of(struct otlp_decoder *d, json_t *list, struct otlp_point *p) {
    size_t n = json_array_size(list);
    struct otlp_quantile *items = arena_array(&d->record, struct otlp_quantile, n);
    int r = items ? 0 : -E2BIG;

    for (size_t i = 0; i < n && r == 0; i++) {
        json_t *v = json_array_get(list, i), *quantile = json_object_get(v, "quantile"),
               *value = json_object_get(v, "value");
        if (quantile)
            r = otlp_json_double(d, quantile, &items[i].quantile);
        if (r == 0 && value)
            r = otlp_json_double(d, value, &items[i].value);
    }
    p->quantiles = items;
    p->n_quantiles = n;
    return r;
}

static int distribution_of(struct otlp_decoder *d, json_t *v, struct otlp_point *p) {
    json_t *sum = json_object_get(v, "sum"), *list;

    int r = otlp_json_u64(d, v, "count", &p->count);
    if (r == 0 && sum) {
        p->has_sum = true;
        r = otlp_json_double(d, sum, &p->sum);
    }
    if (r == 0)
        r = otlp_json_list(d, v, "bucketCounts", &list);
    if (r == 0)
        r = counts_of(d, list, &p->counts, &p->n_counts);
    if (r == 0)
        r = otlp_json_list(d, v, "explicitBounds", &list);
    if (r == 0)
        r = doubles_of(d, list, &p->bounds, &p->n_bounds);
    if (r == 0)
        r = otlp_json_list(d, v, "quantileValues", &list);
    if (r == 0)
        r = quantiles_of(d, list, p);
    if (r == 0 && (p->n_counts > OTLP_BUCKETS_MAX || p->n_quantiles > OTLP_QUANTILES_MAX))
        return otlp_json_malformed(d, "too many buckets");
    return r;
}

/* One sign of an exponential histogram. */
static int exponential_of(struct otlp_decoder *d, json_t *v, struct otlp_buckets *ret) {
    json_t *offset = json_object_get(v, "offset"), *list;
    double number = 0;
    int r = 0;

    if (!v || json_is_null(v))
        return 0;
    if (!json_is_object(v))
        return otlp_json_malformed(d, "positive, negative");
    if (offset)
        r = otlp_json_double(d, offset, &number);
    if (r == 0 && !(number >= INT32_MIN && number <= INT32_MAX))
        return otlp_json_malformed(d, "offset");
    ret->offset = (int32_t) number;
    if (r == 0)
        r = otlp_json_list(d, v, "bucketCounts", &list);
    if (r == 0)
        r = counts_of(d, list, &ret->counts, &ret->n);
    if (r == 0 && ret->n > OTLP_BUCKETS_MAX)
        return otlp_json_malformed(d, "too many buckets");
    return r;
}

static int scale_of(struct otlp_decoder *d, json_t *v, struct otlp_point *p) {
    json_t *scale = json_object_get(v, "scale"), *zero = json_object_get(v, "zeroThreshold");
    double number = 0;
    int r = scale ? otlp_json_double(d, scale, &number) : 0;

    if (r == 0 && !(number >= INT32_MIN && number <= INT32_MAX))
        return otlp_json_malformed(d, "scale");
    p->scale = (int32_t) number;
    if (r == 0)
        r = otlp_json_u64(d, v, "zeroCount", &p->zero_count);
    if (r == 0 && zero)
        r = otlp_json_double(d, zero, &p->zero_threshold);
    if (r == 0)
        r = exponential_of(d, json_object_get(v, "positive"), &p->positive);
    if (r == 0)
        r = exponential_of(d, json_object_get(v, "negative"), &p->negative);
    return r;
}

static bool id_of(json_t *v, const char *key, uint8_t *ret, size_t size) {
    struct slice text = otlp_json_text(v, key);

    return text.size && slice_from_hex(text, ret, size) == 0;
}

static int exemplar_of(struct otlp_decoder *d, json_t *v, struct otlp_exemplar *x) {
    json_t *value = json_object_get(v, "asDouble"), *list;
    uint64_t time_ns;

    if (!value)
        value = json_object_get(v, "asInt");
    int r = value ? otlp_json_double(d, value, &x->value) : 0;
    if (r == 0)
        r = otlp_json_u64(d, v, "timeUnixNano", &time_ns);
    if (r == 0)
        r = otlp_json_list(d, v, "filteredAttributes", &list);
    if (r == 0)
        r = otlp_json_attributes(d, &d->record, list, &x->attributes);
    if (r < 0)
        return r;
    x->time_ns = (int64_t) time_ns;
    x->has_trace = id_of(v, "traceId", x->trace_id, sizeof(x->trace_id));
    x->has_span = id_of(v, "spanId", x->span_id, sizeof(x->span_id));
    return 0;
}

static int exemplars_of(struct otlp_decoder *d, json_t *v, struct otlp_point *p) {
    json_t *list;
    int r = otlp_json_list(d, v, "exemplars", &list);
    size_t n = json_array_size(list);

    if (r < 0)
        return r;
    n = n > OTLP_EXEMPLARS_MAX ? OTLP_EXEMPLARS_MAX : n;
    struct otlp_exemplar *items = arena_array(&d->record, struct otlp_exemplar, n);
    if (!items)
        return -E2BIG;
    for (size_t i = 0; i < n && r == 0; i++)
        r = exemplar_of(d, json_array_get(list, i), &items[i]);
    p->exemplars = items;
    p->n_exemplars = n;
    return r;
}

static int number_of(struct otlp_decoder *d, json_t *v, struct otlp_point *p) {
    json_t *x = json_object_get(v, "asDouble");

    if (!x)
        x = json_object_get(v, "asInt");
    if (!x)
        x = json_object_get(v, "as_double");
    if (!x)
        x = json_object_get(v, "as_int");
    return x ? otlp_json_double(d, x, &p->value) : 0;
}

static int point_of(struct otlp_decoder *d, struct otlp_target *t, struct otlp_metric *m,
                    json_t *v) {
    struct otlp_point p = {.count = 0};
    uint64_t start_ns, time_ns, flags;
    json_t *list;

    if (!json_is_object(v))
        return otlp_json_malformed(d, "a data point is not an object");
    arena_clear(&d->record);
    int r = otlp_json_u64(d, v, "timeUnixNano", &time_ns);
    if (r == 0)
        r = otlp_json_u64(d, v, "startTimeUnixNano", &start_ns);
    if (r == 0)
        r = otlp_json_u64(d, v, "flags", &flags);
    if (r == 0)
        r = otlp_json_list(d, v, "attributes", &list);
    if (r == 0)
        r = otlp_json_attributes(d, &d->record, list, &p.attributes);
    if (r == 0)
        r = m->kind == OTLP_GAUGE || m->kind == OTLP_SUM ? number_of(d, v, &p)
                                                         : distribution_of(d, v, &p);
    if (r == 0 && m->kind == OTLP_EXPONENTIAL)
        r = scale_of(d, v, &p);
    if (r == 0)
        r = exemplars_of(d, v, &p);
    if (r < 0)
        return r;
    p.start_ns = (int64_t) start_ns;
    p.time_ns = (int64_t) time_ns;
    p.flags = (uint32_t) flags;
    return otlp_add_point(d, t, m, &p);
}

static int metric_of(struct otlp_decoder *d, struct otlp_target *t, json_t *v) {
    static const struct {
        const char *key;
        enum otlp_metric_kind kind;
    } kinds[] = {{"gauge", OTLP_GAUGE},
                 {"sum", OTLP_SUM},
                 {"histogram", OTLP_HISTOGRAM},
                 {"exponentialHistogram", OTLP_EXPONENTIAL},
                 {"summary", OTLP_SUMMARY}};
    struct otlp_metric m = {.name = otlp_json_text(v, "name"),
                            .unit = otlp_json_text(v, "unit"),
                            .description = otlp_json_text(v, "description")};
    json_t *data = NULL, *list;
    uint64_t temporality;

    if (!json_is_object(v))
        return otlp_json_malformed(d, "a metric is not an object");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && !data; i++) {
        data = json_object_get(v, kinds[i].key);
        m.kind = kinds[i].kind;
    }
    if (!data)
        return 0;
    int r = otlp_json_u64(d, data, "aggregationTemporality", &temporality);
    if (r == 0)
        r = otlp_json_list(d, data, "dataPoints", &list);
    if (r < 0)
        return r;
    m.delta = temporality == 1;
    m.monotonic = json_is_true(json_object_get(data, "isMonotonic"));
    r = otlp_metric_finish(d, &m);
    for (size_t i = 0; i < json_array_size(list) && r == 0; i++)
        r = point_of(d, t, &m, json_array_get(list, i));
    return r;
}

int otlp_json_resource_metrics(struct otlp_decoder *d, json_t *v) {
    const struct resource *resource = NULL;
    struct otlp_target t;
    json_t *scopes, *list;

    int r = otlp_json_resource(d, json_object_get(v, "resource"), &resource);
    if (r == 0)
        r = otlp_target_init(d, resource, &t);
    if (r == 0)
        r = otlp_json_list(d, v, "scopeMetrics", &scopes);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_array_size(scopes) && r == 0; i++) {
        r = otlp_json_list(d, json_array_get(scopes, i), "metrics", &list);
        for (size_t k = 0; r == 0 && k < json_array_size(list); k++)
            r = metric_of(d, &t, json_array_get(list, k));
    }
    return r < 0 ? r : otlp_target_finish(d, &t);
}
