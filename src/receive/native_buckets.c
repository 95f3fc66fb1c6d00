/* See native_buckets.h. */
#include "receive/native_buckets.h"

#define FIELD(number, wire) ((number) << 3 | (wire))
#define FIELD_OF(f) ((f).number << 3 | (f).wire)

void native_buckets_clear(struct native_buckets *b) {
    b->spans.n = b->deltas.n = b->counts.n = b->index.n = b->absolute.n = 0;
}

void native_buckets_done(struct native_buckets *b) {
    vector_done(&b->spans);
    vector_done(&b->deltas);
    vector_done(&b->counts);
    vector_done(&b->index);
    vector_done(&b->absolute);
}

int native_buckets_add_span(struct native_buckets *b, struct slice message) {
    struct pb_reader r = pb_reader(message);
    int64_t offset = 0;
    uint64_t length = 0;
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (FIELD_OF(f) == FIELD(1, PB_VARINT))
            offset = pb_from_zigzag(f.u64);
        else if (FIELD_OF(f) == FIELD(2, PB_VARINT))
            length = f.u64;
    }
    if (more < 0 || offset < INT32_MIN || offset > INT32_MAX || length > INT32_MAX)
        return -EBADMSG;
    int error = vector_push(&b->spans, (int32_t) offset, 2 * NATIVE_BUCKETS_MAX);
    return error ? error : vector_push(&b->spans, (int32_t) length, 2 * NATIVE_BUCKETS_MAX);
}

int native_buckets_add_deltas(struct native_buckets *b, const struct pb_field *f) {
    struct pb_reader r = pb_reader(f->bytes);
    uint64_t v;
    int more = 0, error = 0;

    if (f->wire == PB_VARINT)
        return vector_push(&b->deltas, pb_from_zigzag(f->u64), NATIVE_BUCKETS_MAX);
    if (f->wire != PB_BYTES)
        return -EBADMSG;
    while (error == 0 && (more = pb_packed(&r, PB_VARINT, &v)) > 0)
        error = vector_push(&b->deltas, pb_from_zigzag(v), NATIVE_BUCKETS_MAX);
    return more < 0 ? -EBADMSG : error;
}

int native_buckets_add_counts(struct native_buckets *b, const struct pb_field *f) {
    struct pb_reader r = pb_reader(f->bytes);
    uint64_t bits;
    int more = 0, error = 0;

    if (f->wire == PB_FIXED64)
        return vector_push(&b->counts, pb_double(f), NATIVE_BUCKETS_MAX);
    if (f->wire != PB_BYTES)
        return -EBADMSG;
    while (error == 0 && (more = pb_packed(&r, PB_FIXED64, &bits)) > 0)
        error = vector_push(&b->counts, pb_double_of(bits), NATIVE_BUCKETS_MAX);
    return more < 0 ? -EBADMSG : error;
}

const char *native_buckets_settle(struct native_buckets *b, bool floats, int *ret_r) {
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
            *ret_r = vector_push(&b->index, (int32_t) index, NATIVE_BUCKETS_MAX);
            if (*ret_r == 0)
                *ret_r = vector_push(&b->absolute, v, NATIVE_BUCKETS_MAX);
            if (*ret_r == -ENOBUFS)
                *ret_r = 0;
            else if (*ret_r == 0)
                continue;
            return "it has too many buckets";
        }
    }
    return at == given ? NULL : "its spans need fewer buckets than there are";
}

/* Bucket i holds (base^(i-1), base^i]: it lies in bucket ceil(i / 2) of the next coarser schema. */
void native_buckets_coarsen(struct native_buckets *b, unsigned shift) {
    size_t n = 0;

    for (size_t i = 0; i < b->index.n; i++) {
        int32_t at = (int32_t) ((((int64_t) b->index.items[i] - 1) >> shift) + 1);
        if (n && b->index.items[n - 1] == at) {
            b->absolute.items[n - 1] += b->absolute.items[i];
            continue;
        }
        b->index.items[n] = at;
        b->absolute.items[n++] = b->absolute.items[i];
    }
    b->index.n = b->absolute.n = n;
}

struct histogram_buckets native_buckets_view(const struct native_buckets *b) {
    return (struct histogram_buckets){b->index.n, b->index.items, b->absolute.items};
}
