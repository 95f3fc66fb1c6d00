/*
 * Native histograms of remote write: spans and deltas (integers) or counts (floats), the same
 * fields in both versions. See remote_write_decode.h.
 */
#include "receive/remote_write_decode.h"

#define FIELD(number, wire) ((number) << 3 | (wire))
#define FIELD_OF(f) ((f).number << 3 | (f).wire)

/* Spans, deltas and counts: 0, or the error that ends the message. */
static int outcome(struct remote_decoder *d, int r) {
    if (r == -EBADMSG)
        return remote_malformed(d, "Histogram");
    return r == -ENOBUFS ? remote_malformed(d, "a histogram has too many buckets") : r;
}

static int add_custom(struct remote_decoder *d, const struct pb_field *f) {
    struct pb_reader r = pb_reader(f->bytes);
    uint64_t bits;
    int more = 0, error = 0;

    if (f->wire == PB_FIXED64)
        return outcome(d, vector_push(&d->custom, pb_double(f), REMOTE_CUSTOM_MAX));
    if (f->wire != PB_BYTES)
        return remote_malformed(d, "Histogram");
    while (error == 0 && (more = pb_packed(&r, PB_FIXED64, &bits)) > 0)
        error = vector_push(&d->custom, pb_double_of(bits), REMOTE_CUSTOM_MAX);
    return outcome(d, more < 0 ? -EBADMSG : error);
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
        int64_t schema = pb_from_zigzag(f->u64);
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
        case 11: {
            struct native_buckets *b = f.number == 8 ? &d->negative : &d->positive;
            error = f.wire == PB_BYTES ? native_buckets_add_span(b, f.bytes) : -EBADMSG;
            error = error == -EBADMSG ? remote_malformed(d, "BucketSpan") : outcome(d, error);
            break;
        }
        case 9: error = outcome(d, native_buckets_add_deltas(&d->negative, &f)); break;
        case 10: error = outcome(d, native_buckets_add_counts(&d->negative, &f)); break;
        case 12: error = outcome(d, native_buckets_add_deltas(&d->positive, &f)); break;
        case 13: error = outcome(d, native_buckets_add_counts(&d->positive, &f)); break;
        case 16: error = add_custom(d, &f); break;
        default:
            if (scalar_field(&f, w) < 0)
                error = remote_malformed(d, "Histogram");
        }
    }
    return error < 0 ? error : more < 0 ? remote_malformed(d, "Histogram") : 0;
}

int remote_add_histogram(struct remote_decoder *d, struct slice message, int64_t start_ms) {
    struct wire_histogram w = {.start_ms = start_ms};
    const char *why;
    int r;

    native_buckets_clear(&d->positive);
    native_buckets_clear(&d->negative);
    d->custom.n = 0;
    r = decode(d, message, &w);
    if (r < 0)
        return r;
    why = native_buckets_settle(&d->positive, w.floats, &r);
    if (!why)
        why = native_buckets_settle(&d->negative, w.floats, &r);
    if (r < 0)
        return r;
    if (why) {
        struct error e;
        r = error_set(&e, -EINVAL, "a histogram is not well-formed: %s", why);
        return remote_outcome(d, r, &e, &d->histograms);
    }
    w.h.positive = native_buckets_view(&d->positive);
    w.h.negative = native_buckets_view(&d->negative);
    w.h.custom = d->custom.items;
    w.h.n_custom = d->custom.n;
    struct sample s = {.labels = d->labels,
                       .n_labels = d->n_labels,
                       .time_ms = w.time_ms,
                       .histogram = &w.h,
                       .start_ms = w.start_ms};
    return remote_add(d, &s, &d->histograms);
}
