/* Histograms of the protobuf format: native, classic, or both. See scrape_protobuf.h. */
#include "receive/scrape_protobuf_private.h"
#include "signal/histogram.h"

#include <math.h>

/* Fields of Histogram, and of Bucket. */
#define BUCKETS_FIELD PROTO_FIELD(3, PB_BYTES)
#define EXEMPLARS_FIELD PROTO_FIELD(16, PB_BYTES)
#define BUCKET_EXEMPLAR_FIELD PROTO_FIELD(3, PB_BYTES)

int scrape_schema_of_factor(double factor) {
    double floor_of = factor > 1 ? floor(log2(log2(factor))) : -NATIVE_SCHEMA_MAX;

    if (floor_of <= -NATIVE_SCHEMA_MAX)
        return NATIVE_SCHEMA_MAX;
    return floor_of >= -NATIVE_SCHEMA_MIN ? NATIVE_SCHEMA_MIN : -(int) floor_of;
}

struct proto_histogram {
    struct histogram h;
    bool floats; /* counts are floats */
    bool native; /* it has fields that only a native one has */
    size_t n_classic;
    bool has_own_exemplars;
};

static int add_bucket_field(struct proto_walk *w, const struct pb_field *f) {
    struct native_buckets *b = f->number < 12 ? &w->negative : &w->positive;

    switch (f->number) {
    case 9:
    case 12: return f->wire == PB_BYTES ? native_buckets_add_span(b, f->bytes) : -EBADMSG;
    case 10:
    case 13: return native_buckets_add_deltas(b, f);
    default: return native_buckets_add_counts(b, f);
    }
}

static int read_field(struct proto_walk *w, const struct pb_field *f, struct proto_histogram *p) {
    switch (PROTO_FIELD_OF(*f)) {
    case PROTO_FIELD(1, PB_VARINT):
        if (!p->floats)
            p->h.count = (double) f->u64;
        return 0;
    case PROTO_FIELD(2, PB_FIXED64): p->h.sum = pb_double(f); return 0;
    case BUCKETS_FIELD: p->n_classic++; return 0;
    case PROTO_FIELD(4, PB_FIXED64):
        if (pb_double(f) > 0) {
            p->h.count = pb_double(f);
            p->floats = true;
        }
        return 0;
    case PROTO_FIELD(5, PB_VARINT): {
        int64_t schema = pb_from_zigzag(f->u64);
        p->h.schema = schema < INT32_MIN || schema > INT32_MAX ? INT32_MAX : (int32_t) schema;
        return 0;
    }
    case PROTO_FIELD(6, PB_FIXED64):
        p->h.zero_threshold = pb_double(f);
        p->native = p->native || p->h.zero_threshold > 0;
        return 0;
    case PROTO_FIELD(7, PB_VARINT):
        if (f->u64) {
            p->h.zero_count = (double) f->u64;
            p->native = true;
        }
        return 0;
    case PROTO_FIELD(8, PB_FIXED64):
        if (pb_double(f) > 0) {
            p->h.zero_count = pb_double(f);
            p->native = true;
        }
        return 0;
    case EXEMPLARS_FIELD: p->has_own_exemplars = true; return 0;
    default: break;
    }
    if (f->number < 9 || f->number > 14)
        return 0;
    p->native = p->native || f->number == 9 || f->number == 12;
    return add_bucket_field(w, f);
}

static int read_histogram(struct proto_walk *w, struct slice message, struct proto_histogram *p) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    native_buckets_clear(&w->positive);
    native_buckets_clear(&w->negative);
    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        error = read_field(w, &f, p);
    if (error == -ENOBUFS)
        return proto_fail(w, "a histogram has too many buckets");
    if (error == -ENOMEM)
        return error_set(w->e, error, "out of memory");
    return error < 0 || more < 0 ? proto_fail(w, "a Histogram is malformed") : 0;
}

/* ---- Native ---- */

/* As coarse as the options want it. */
static int coarsen(struct proto_walk *w, struct proto_histogram *p) {
    const struct scrape_protobuf_options *o = w->options;

    if (p->h.schema >= NATIVE_SCHEMA_MIN && p->h.schema <= NATIVE_SCHEMA_MAX &&
        p->h.schema > o->schema_max) {
        native_buckets_coarsen(&w->positive, (unsigned) (p->h.schema - o->schema_max));
        native_buckets_coarsen(&w->negative, (unsigned) (p->h.schema - o->schema_max));
        p->h.schema = o->schema_max;
    }
    while (o->bucket_limit && w->positive.index.n + w->negative.index.n > o->bucket_limit) {
        if (p->h.schema <= NATIVE_SCHEMA_MIN || p->h.schema > NATIVE_SCHEMA_MAX)
            return proto_fail(w, "native_histogram_bucket_limit exceeded, with the coarsest "
                                 "buckets too");
        native_buckets_coarsen(&w->positive, 1);
        native_buckets_coarsen(&w->negative, 1);
        p->h.schema--;
    }
    return 0;
}

/* Its own exemplars; those of its classic buckets when it has none. */
static int emit_exemplars(struct proto_walk *w, struct slice message, bool own) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f, inner;
    unsigned n = 0;
    int error = 0;

    while (error == 0 && pb_next(&r, &f) > 0) {
        struct slice exemplar = SLICE_EMPTY;
        if (own && PROTO_FIELD_OF(f) == EXEMPLARS_FIELD) {
            exemplar = f.bytes;
        } else if (!own && PROTO_FIELD_OF(f) == BUCKETS_FIELD) {
            struct pb_reader bucket = pb_reader(f.bytes);
            while (pb_next(&bucket, &inner) > 0)
                if (PROTO_FIELD_OF(inner) == BUCKET_EXEMPLAR_FIELD)
                    exemplar = inner.bytes;
        }
        if (exemplar.size && n++ < SCRAPE_EXEMPLARS_MAX)
            error = proto_emit_exemplar(w, exemplar);
    }
    return error;
}

static int emit_native(struct proto_walk *w, struct slice message, struct proto_histogram *p) {
    static const struct proto_sample sample = {.suffix = ""};
    struct error e = ERROR_NONE;
    const char *why;
    int r;

    why = native_buckets_settle(&w->positive, p->floats, &r);
    if (!why)
        why = native_buckets_settle(&w->negative, p->floats, &r);
    if (r < 0)
        return error_set(w->e, r, "out of memory");
    if (why)
        return proto_fail(w, why);
    r = coarsen(w, p);
    if (r < 0)
        return r;
    p->h.positive = native_buckets_view(&w->positive);
    p->h.negative = native_buckets_view(&w->negative);
    p->h.hint = w->type == PROTO_GAUGE_HISTOGRAM ? HISTOGRAM_GAUGE : HISTOGRAM_RESET_UNKNOWN;
    if (histogram_check(&p->h, &e) < 0)
        return proto_fail(w, e.text);
    r = proto_emit(w, &sample, &p->h);
    return r < 0 ? r : emit_exemplars(w, message, p->has_own_exemplars);
}

/* ---- Classic ---- */

static int emit_bucket(struct proto_walk *w, struct slice message, bool *has_inf) {
    struct proto_sample s = {.suffix = "_bucket", .label = "le"};
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        switch (PROTO_FIELD_OF(f)) {
        case PROTO_FIELD(1, PB_VARINT):
            if (f.u64)
                s.value = (double) f.u64;
            break;
        case PROTO_FIELD(2, PB_FIXED64): s.label_value = pb_double(&f); break;
        case BUCKET_EXEMPLAR_FIELD: s.exemplar = f.bytes; break;
        case PROTO_FIELD(4, PB_FIXED64):
            if (pb_double(&f) > 0)
                s.value = pb_double(&f);
            break;
        default: break;
        }
    }
    if (more < 0)
        return proto_fail(w, "a Bucket is malformed");
    *has_inf = *has_inf || s.label_value == INFINITY;
    return proto_emit(w, &s, NULL);
}

/* The bucket for everything is often not sent. */
static int emit_classic(struct proto_walk *w, struct slice message,
                        const struct proto_histogram *p) {
    const struct proto_sample count = {.suffix = "_count", .value = p->h.count},
                              sum = {.suffix = "_sum", .value = p->h.sum},
                              all = {.suffix = "_bucket",
                                     .label = "le",
                                     .label_value = INFINITY,
                                     .value = p->h.count};
    struct pb_reader r = pb_reader(message);
    bool has_inf = false;
    struct pb_field f;

    int error = proto_emit(w, &count, NULL);
    if (error == 0)
        error = proto_emit(w, &sum, NULL);
    while (error == 0 && pb_next(&r, &f) > 0)
        if (PROTO_FIELD_OF(f) == BUCKETS_FIELD)
            error = emit_bucket(w, f.bytes, &has_inf);
    return error || has_inf ? error : proto_emit(w, &all, NULL);
}

int proto_histogram(struct proto_walk *w, struct slice message) {
    struct proto_histogram p = {0};
    int r = read_histogram(w, message, &p);

    if (r < 0)
        return r;
    if (!w->options->native || !p.native)
        return emit_classic(w, message, &p);
    r = emit_native(w, message, &p);
    if (r == 0 && w->options->classic_too && p.n_classic)
        r = emit_classic(w, message, &p);
    return r;
}
