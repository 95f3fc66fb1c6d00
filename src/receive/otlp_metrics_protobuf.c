/* OTLP metrics in protobuf. See otlp_decode.h; one thread at a time. */
#include "receive/otlp_metrics.h"
#include "wire/protobuf.h"

#define FIELD(number, wire) ((number) << 3 | (wire))
#define FIELD_OF(f) ((f).number << 3 | (f).wire)

/* Where the fields of a point are, which differ between its kinds. */
static const struct layout {
    uint32_t attributes, flags, exemplars; /* exemplars 0: there are none */
} layouts[] = {
        [OTLP_GAUGE] = {7, 8, 5},         [OTLP_SUM] = {7, 8, 5},     [OTLP_HISTOGRAM] = {9, 10, 8},
        [OTLP_EXPONENTIAL] = {1, 10, 11}, [OTLP_SUMMARY] = {7, 8, 0},
};

/* Appends a packed run of `packed` numbers, or the single number of an unpacked one, to an array of
 * at most `most`. */
static int numbers(struct otlp_decoder *d, const struct pb_field *f, enum pb_wire packed,
                   size_t most, uint64_t *items, size_t *n) {
    struct pb_reader r = pb_reader(f->bytes);
    uint64_t v;
    int more;

    if (f->wire == packed) {
        if (*n == most)
            return otlp_pb_malformed(d, "too many buckets");
        items[(*n)++] = f->u64;
        return 0;
    }
    if (f->wire != PB_BYTES)
        return otlp_pb_malformed(d, "a data point");
    while ((more = pb_packed(&r, packed, &v)) > 0) {
        if (*n == most)
            return otlp_pb_malformed(d, "too many buckets");
        items[(*n)++] = v;
    }
    return more < 0 ? otlp_pb_malformed(d, "a packed field") : 0;
}

static int quantile(struct otlp_decoder *d, struct slice message, struct otlp_quantile *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    *ret = (struct otlp_quantile){0};
    while ((more = pb_next(&r, &f)) > 0) {
        if (f.wire != PB_FIXED64)
            return otlp_pb_malformed(d, "ValueAtQuantile");
        *(f.number == 1 ? &ret->quantile : &ret->value) = pb_double(&f);
    }
    return more < 0 ? otlp_pb_malformed(d, "ValueAtQuantile") : 0;
}

/* Growing parts of one point. */
struct parts {
    uint64_t counts[OTLP_BUCKETS_MAX];
    uint64_t bounds[OTLP_BUCKETS_MAX]; /* bits of doubles */
    struct otlp_quantile quantiles[OTLP_QUANTILES_MAX];
    uint64_t positive[OTLP_BUCKETS_MAX], negative[OTLP_BUCKETS_MAX];
    struct slice exemplars[OTLP_EXEMPLARS_MAX];
    size_t n_counts, n_bounds, n_quantiles, n_positive, n_negative, n_exemplars;
};

static int32_t zigzag32(uint64_t v) {
    return (int32_t) pb_from_zigzag((uint32_t) v);
}

/* One sign of an exponential histogram. */
static int exponential_buckets(struct otlp_decoder *d, struct slice message, int32_t *ret_offset,
                               uint64_t *counts, size_t *n) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more = 0, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            *ret_offset = zigzag32(f.u64);
        else if (f.number == 1)
            return otlp_pb_malformed(d, "offset");
        else if (f.number == 2)
            error = numbers(d, &f, PB_VARINT, OTLP_BUCKETS_MAX, counts, n);
    }
    return error < 0 ? error : more < 0 ? otlp_pb_malformed(d, "Buckets") : 0;
}

/* The fields that only an exponential histogram has. */
static int exponential_field(struct otlp_decoder *d, const struct pb_field *f, struct otlp_point *p,
                             struct parts *parts) {
    static const enum pb_wire wires[] = {
            [6] = PB_VARINT, [7] = PB_FIXED64, [8] = PB_BYTES, [9] = PB_BYTES, [14] = PB_FIXED64};

    if (f->number > 14 || (f->number > 9 && f->number < 14))
        return 0;
    if (f->wire != wires[f->number])
        return otlp_pb_malformed(d, "ExponentialHistogramDataPoint");
    switch (f->number) {
    case 6: p->scale = zigzag32(f->u64); return 0;
    case 7: p->zero_count = f->u64; return 0;
    case 8:
        return exponential_buckets(d, f->bytes, &p->positive.offset, parts->positive,
                                   &parts->n_positive);
    case 9:
        return exponential_buckets(d, f->bytes, &p->negative.offset, parts->negative,
                                   &parts->n_negative);
    default: p->zero_threshold = pb_double(f); return 0;
    }
}

static int decode_exemplar(struct otlp_decoder *d, struct slice message,
                           struct otlp_exemplar *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(2, PB_FIXED64): ret->time_ns = (int64_t) f.u64; break;
        case FIELD(3, PB_FIXED64): ret->value = pb_double(&f); break;
        case FIELD(6, PB_FIXED64): ret->value = (double) (int64_t) f.u64; break;
        case FIELD(4, PB_BYTES):
            ret->has_span = f.bytes.size == sizeof(ret->span_id);
            if (ret->has_span)
                memcpy(ret->span_id, f.bytes.data, sizeof(ret->span_id));
            break;
        case FIELD(5, PB_BYTES):
            ret->has_trace = f.bytes.size == sizeof(ret->trace_id);
            if (ret->has_trace)
                memcpy(ret->trace_id, f.bytes.data, sizeof(ret->trace_id));
            break;
        default: break;
        }
    }
    if (more < 0)
        return otlp_pb_malformed(d, "Exemplar");
    return otlp_pb_attributes(d, &d->record, message, 7, &ret->attributes);
}

static int decode_exemplars(struct otlp_decoder *d, const struct parts *parts,
                            struct otlp_point *p) {
    struct otlp_exemplar *items = arena_array(&d->record, struct otlp_exemplar, parts->n_exemplars);
    int r = items ? 0 : -E2BIG;

    for (size_t i = 0; i < parts->n_exemplars && r == 0; i++)
        r = decode_exemplar(d, parts->exemplars[i], &items[i]);
    p->exemplars = items;
    p->n_exemplars = parts->n_exemplars;
    return r;
}

static int exemplar_field(struct otlp_decoder *d, const struct pb_field *f, struct parts *parts) {
    if (f->wire != PB_BYTES)
        return otlp_pb_malformed(d, "exemplars");
    if (parts->n_exemplars < OTLP_EXEMPLARS_MAX)
        parts->exemplars[parts->n_exemplars++] = f->bytes;
    return 0;
}

static int distribution_field(struct otlp_decoder *d, enum otlp_metric_kind kind,
                              const struct pb_field *f, struct otlp_point *p, struct parts *parts) {
    if (kind == OTLP_EXPONENTIAL && f->number >= 6)
        return exponential_field(d, f, p, parts);
    switch (f->number) {
    case 4: p->count = f->u64; return f->wire == PB_FIXED64 ? 0 : otlp_pb_malformed(d, "count");
    case 5:
        p->sum = pb_double(f);
        p->has_sum = true;
        return f->wire == PB_FIXED64 ? 0 : otlp_pb_malformed(d, "sum");
    case 6:
        if (kind == OTLP_HISTOGRAM)
            return numbers(d, f, PB_FIXED64, OTLP_BUCKETS_MAX, parts->counts, &parts->n_counts);
        if (kind != OTLP_SUMMARY)
            return 0;
        if (f->wire != PB_BYTES || parts->n_quantiles == OTLP_QUANTILES_MAX)
            return otlp_pb_malformed(d, "quantile_values");
        return quantile(d, f->bytes, &parts->quantiles[parts->n_quantiles++]);
    case 7:
        if (kind == OTLP_HISTOGRAM)
            return numbers(d, f, PB_FIXED64, OTLP_BUCKETS_MAX, parts->bounds, &parts->n_bounds);
        return 0;
    default: return 0;
    }
}

static int number_field(struct otlp_decoder *d, const struct pb_field *f, struct otlp_point *p) {
    if (f->number != 4 && f->number != 6)
        return 0;
    if (f->wire != PB_FIXED64)
        return otlp_pb_malformed(d, "NumberDataPoint");
    p->value = f->number == 4 ? pb_double(f) : (double) (int64_t) f->u64;
    return 0;
}

/* Points at what was collected. */
static void take_parts(struct otlp_point *p, const struct parts *parts, double *bounds) {
    memcpy(bounds, parts->bounds, parts->n_bounds * sizeof(*bounds));
    p->counts = parts->counts;
    p->bounds = bounds;
    p->quantiles = parts->quantiles;
    p->n_counts = parts->n_counts;
    p->n_bounds = parts->n_bounds;
    p->n_quantiles = parts->n_quantiles;
    p->positive.counts = parts->positive;
    p->positive.n = parts->n_positive;
    p->negative.counts = parts->negative;
    p->negative.n = parts->n_negative;
}

static int decode_point(struct otlp_decoder *d, struct otlp_target *t, struct otlp_metric *m,
                        struct slice message) {
    const struct layout *layout = &layouts[m->kind];
    struct otlp_point p = {.count = 0};
    struct pb_reader r = pb_reader(message);
    struct parts parts;
    struct pb_field f;
    int more, error = 0;

    arena_clear(&d->record);
    parts.n_counts = parts.n_bounds = parts.n_quantiles = 0;
    parts.n_positive = parts.n_negative = parts.n_exemplars = 0;
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 3 && f.wire == PB_FIXED64)
            p.time_ns = (int64_t) f.u64;
        else if (f.number == 2 && f.wire == PB_FIXED64)
            p.start_ns = (int64_t) f.u64;
        else if (f.number == 3 || f.number == 2)
            error = otlp_pb_malformed(d, "time_unix_nano");
        else if (f.number == layout->flags && f.wire == PB_VARINT)
            p.flags = (uint32_t) f.u64;
        else if (f.number == layout->attributes)
            continue;
        else if (f.number == layout->exemplars)
            error = exemplar_field(d, &f, &parts);
        else if (m->kind == OTLP_GAUGE || m->kind == OTLP_SUM)
            error = number_field(d, &f, &p);
        else
            error = distribution_field(d, m->kind, &f, &p, &parts);
    }
    if (error < 0)
        return error;
    if (more < 0)
        return otlp_pb_malformed(d, "a data point");
    error = otlp_pb_attributes(d, &d->record, message, layout->attributes, &p.attributes);
    if (error < 0)
        return error;
    error = decode_exemplars(d, &parts, &p);
    if (error < 0)
        return error;
    double bounds[OTLP_BUCKETS_MAX];
    take_parts(&p, &parts, bounds);
    return otlp_add_point(d, t, m, &p);
}

/* Gauge, Sum, Histogram, …: data_points is field 1 of each. */
static int decode_points(struct otlp_decoder *d, struct otlp_target *t, struct otlp_metric *m,
                         struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error;

    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number == 2 && f.wire == PB_VARINT)
            m->delta = f.u64 == 1;
        else if (f.number == 3 && f.wire == PB_VARINT)
            m->monotonic = f.u64 != 0;
        else if (f.number == 1 && f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "data_points");
    }
    if (more < 0)
        return otlp_pb_malformed(d, "Metric");
    error = otlp_metric_finish(d, m);
    r = pb_reader(message);
    while (error == 0 && pb_next(&r, &f) > 0)
        if (f.number == 1)
            error = decode_point(d, t, m, f.bytes);
    return error;
}

static int decode_metric(struct otlp_decoder *d, struct otlp_target *t, struct slice message) {
    struct otlp_metric m = {.name = SLICE(""), .unit = SLICE(""), .description = SLICE("")};
    struct pb_reader r = pb_reader(message);
    struct slice points = SLICE_EMPTY;
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        switch (FIELD_OF(f)) {
        case FIELD(1, PB_BYTES): m.name = otlp_text(d, &d->message, f.bytes); continue;
        case FIELD(2, PB_BYTES): m.description = otlp_text(d, &d->message, f.bytes); continue;
        case FIELD(3, PB_BYTES): m.unit = otlp_text(d, &d->message, f.bytes); continue;
        case FIELD(5, PB_BYTES): m.kind = OTLP_GAUGE; break;
        case FIELD(7, PB_BYTES): m.kind = OTLP_SUM; break;
        case FIELD(9, PB_BYTES): m.kind = OTLP_HISTOGRAM; break;
        case FIELD(10, PB_BYTES): m.kind = OTLP_EXPONENTIAL; break;
        case FIELD(11, PB_BYTES): m.kind = OTLP_SUMMARY; break;
        default:
            if (f.number <= 11 && f.wire != PB_BYTES)
                return otlp_pb_malformed(d, "Metric");
            continue;
        }
        points = f.bytes;
    }
    if (more < 0)
        return otlp_pb_malformed(d, "Metric");
    return points.data ? decode_points(d, t, &m, points) : 0;
}

static int decode_scope(struct otlp_decoder *d, struct otlp_target *t, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number != 2)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "ScopeMetrics");
        error = decode_metric(d, t, f.bytes);
    }
    return error < 0 ? error : more < 0 ? otlp_pb_malformed(d, "ScopeMetrics") : 0;
}

int otlp_pb_resource_metrics(struct otlp_decoder *d, struct slice message) {
    struct pb_reader r = pb_reader(message);
    const struct resource *resource = NULL;
    struct slice found;
    struct otlp_target t;
    struct pb_field f;
    int more = 0;

    int error = otlp_pb_find(d, message, 1, &found);
    if (error == 0)
        error = otlp_pb_resource(d, found, &resource);
    if (error == 0)
        error = otlp_target_init(d, resource, &t);
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number != 2)
            continue;
        if (f.wire != PB_BYTES)
            return otlp_pb_malformed(d, "ResourceMetrics");
        error = decode_scope(d, &t, f.bytes);
    }
    return error < 0 ? error : otlp_target_finish(d, &t);
}
