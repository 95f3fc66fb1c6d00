/*
 * Native histograms of remote write: spans and deltas (integers) or counts (floats), the same
 * fields in both versions. See remote_write_decode.h.
 */
#include "receive/remote_write_decode.h"

#define FIELD(number, wire) ((number) << 3 | (wire))
#define FIELD_OF(f) ((f).number << 3 | (f).wire)

static int64_t zigzag(uint64_t v) {
    return (int64_t) (v >> 1) ^ -(int64_t) (v & 1);
}

static double double_of(uint64_t bits) {
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static int too_many(struct remote_decoder *d, int r) {
    return r == -ENOBUFS ? remote_malformed(d, "a histogram has too many buckets") : r;
}

static int add_span(struct remote_decoder *d, struct remote_buckets *b, struct slice message) {
    struct pb_reader r = pb_reader(message);
    int64_t offset = 0;
    uint64_t length = 0;
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_VARINT))
            offset = zigzag(f.u64);
        else if (FIELD_OF(f) == FIELD(2, PB_VARINT))
            length = f.u64;
    }
    if (more < 0 || offset < INT32_MIN || offset > INT32_MAX || length > INT32_MAX)
        return remote_malformed(d, "BucketSpan");
    int error = vector_push(&b->spans, (int32_t) offset, 2 * REMOTE_BUCKETS_MAX);
    if (error == 0)
        error = vector_push(&b->spans, (int32_t) length, 2 * REMOTE_BUCKETS_MAX);
    return too_many(d, error);
}

static int add_delta(struct remote_decoder *d, struct remote_buckets *b, const struct pb_field *f) {
    struct pb_reader r = pb_reader(f->bytes);
    uint64_t v;
    int more = 0, error = 0;

    if (f->wire == PB_VARINT)
        return too_many(d, vector_push(&b->deltas, zigzag(f->u64), REMOTE_BUCKETS_MAX));
    if (f->wire != PB_BYTES)
        return remote_malformed(d, "Histogram");
    while (error == 0 && (more = pb_packed(&r, PB_VARINT, &v)) > 0)
        error = vector_push(&b->deltas, zigzag(v), REMOTE_BUCKETS_MAX);
    return more < 0 ? remote_malformed(d, "Histogram") : too_many(d, error);
}

#define ADD_DOUBLES(d, to, f, max)                                                                 \
    ({                                                                                             \
        struct pb_reader _reader = pb_reader((f)->bytes);                                          \
        uint64_t _bits;                                                                            \
        int _more = 0, _error = 0;                                                                 \
        if ((f)->wire == PB_FIXED64)                                                               \
            _error = vector_push((to), double_of((f)->u64), (max));                                \
        else if ((f)->wire != PB_BYTES)                                                            \
            _more = -EBADMSG;                                                                      \
        else                                                                                       \
            while (_error == 0 && (_more = pb_packed(&_reader, PB_FIXED64, &_bits)) > 0)           \
                _error = vector_push((to), double_of(_bits), (max));                               \
        _more < 0 ? remote_malformed((d), "Histogram") : too_many((d), _error);                    \
    })

static void buckets_clear(struct remote_buckets *b) {
    b->spans.n = b->deltas.n = b->counts.n = b->index.n = b->absolute.n = 0;
}

/* Spans and their counts as ascending indices with absolute counts; empty buckets are left out.
 * NULL, or what is wrong with them. */
static const char *settle(struct remote_buckets *b, bool floats, int *ret_r) {
    size_t given = floats ? b->counts.n : b->deltas.n, at = 0;
    int64_t index = 0, count = 0;

    *ret_r = 0;
    for (size_t i = 0; i < b->spans.n; i += 2) {
        int64_t offset = b->spans.items[i];
        if (i && offset < 0)
            return "spans of its buckets overlap";
        index += offset;
        for (int32_t k = 0; k < b->spans.items[i + 1]; k++, index++, at++) {
            if (at == given)
                return "its spans need more buckets than there are";
            if (index < INT32_MIN || index > INT32_MAX)
                return "the index of a bucket is out of range";
            if (!floats && __builtin_add_overflow(count, b->deltas.items[at], &count))
                return "the count of a bucket is out of range";
            double v = floats ? b->counts.items[at] : (double) count;
            if (v < 0)
                return "the count of a bucket is negative";
            if (v == 0)
                continue;
            *ret_r = vector_push(&b->index, (int32_t) index, REMOTE_BUCKETS_MAX);
            if (*ret_r == 0)
                *ret_r = vector_push(&b->absolute, v, REMOTE_BUCKETS_MAX);
            if (*ret_r == -ENOBUFS)
                *ret_r = 0;
            else if (*ret_r == 0)
                continue;
            return "it has too many buckets";
        }
    }
    return at == given ? NULL : "its spans need fewer buckets than there are";
}

struct wire_histogram {
    struct histogram h;
    int64_t time_ms, start_ms;
    bool floats;
};

static int scalar_field(const struct pb_field *f, struct wire_histogram *w) {
    switch (FIELD_OF(*f)) {
    case FIELD(1, PB_VARINT): w->h.count = (double) f->u64; break;
    case FIELD(2, PB_FIXED64):
        w->h.count = pb_double(f);
        w->floats = true;
        break;
    case FIELD(3, PB_FIXED64): w->h.sum = pb_double(f); break;
    case FIELD(4, PB_VARINT): {
        int64_t schema = zigzag(f->u64);
        if (schema < INT32_MIN || schema > INT32_MAX)
            return -EBADMSG;
        w->h.schema = (int32_t) schema;
        break;
    }
    case FIELD(5, PB_FIXED64): w->h.zero_threshold = pb_double(f); break;
    case FIELD(6, PB_VARINT): w->h.zero_count = (double) f->u64; break;
    case FIELD(7, PB_FIXED64): w->h.zero_count = pb_double(f); break;
    case FIELD(14, PB_VARINT):
        w->h.hint = f->u64 <= HISTOGRAM_GAUGE ? (enum histogram_reset_hint) f->u64
                                              : HISTOGRAM_RESET_UNKNOWN;
        break;
    case FIELD(15, PB_VARINT): w->time_ms = (int64_t) f->u64; break;
    case FIELD(17, PB_VARINT):
        if (f->u64)
            w->start_ms = (int64_t) f->u64;
        break;
    default: break;
    }
    return 0;
}

static int decode(struct remote_decoder *d, struct slice message, struct wire_histogram *w) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more = 0, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        switch (f.number) {
        case 8:
        case 11:
            error = f.wire == PB_BYTES
                            ? add_span(d, f.number == 8 ? &d->negative : &d->positive, f.bytes)
                            : remote_malformed(d, "Histogram");
            break;
        case 9: error = add_delta(d, &d->negative, &f); break;
        case 10: error = ADD_DOUBLES(d, &d->negative.counts, &f, REMOTE_BUCKETS_MAX); break;
        case 12: error = add_delta(d, &d->positive, &f); break;
        case 13: error = ADD_DOUBLES(d, &d->positive.counts, &f, REMOTE_BUCKETS_MAX); break;
        case 16: error = ADD_DOUBLES(d, &d->custom, &f, REMOTE_CUSTOM_MAX); break;
        default:
            if (scalar_field(&f, w) < 0)
                error = remote_malformed(d, "Histogram");
        }
    }
    return error < 0 ? error : more < 0 ? remote_malformed(d, "Histogram") : 0;
}

static struct histogram_buckets buckets_of(const struct remote_buckets *b) {
    return (struct histogram_buckets){b->index.n, b->index.items, b->absolute.items};
}

int remote_add_histogram(struct remote_decoder *d, struct slice message, int64_t start_ms) {
    struct wire_histogram w = {.start_ms = start_ms};
    const char *why;
    int r;

    buckets_clear(&d->positive);
    buckets_clear(&d->negative);
    d->custom.n = 0;
    r = decode(d, message, &w);
    if (r < 0)
        return r;
    why = settle(&d->positive, w.floats, &r);
    if (!why)
        why = settle(&d->negative, w.floats, &r);
    if (r < 0)
        return r;
    if (why) {
        struct error e;
        r = error_set(&e, -EINVAL, "a histogram is not well-formed: %s", why);
        return remote_outcome(d, r, &e, &d->histograms);
    }
    w.h.positive = buckets_of(&d->positive);
    w.h.negative = buckets_of(&d->negative);
    w.h.custom = d->custom.items;
    w.h.n_custom = d->custom.n;
    struct sample s = {.labels = d->labels,
                       .n_labels = d->n_labels,
                       .time_ms = w.time_ms,
                       .histogram = &w.h,
                       .start_ms = w.start_ms};
    return remote_add(d, &s, &d->histograms);
}
