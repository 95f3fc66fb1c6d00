/* The stored form of native histograms: see histogram.h. */
#include "signal/histogram.h"

#include <errno.h>
#include <math.h>

#define SCHEMA_MIN (-4)
#define SCHEMA_MAX 8
#define SCHEMA_CUSTOM (-53)
#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

/* ---- Checking ---- */

static bool is_stale(const struct histogram *h) {
    uint64_t bits;

    memcpy(&bits, &h->sum, sizeof(bits));
    return bits == STALE_BITS;
}

static int check_buckets(const struct histogram_buckets *b, const char *sign, struct error *e) {
    for (size_t i = 0; i < b->n; i++) {
        if (i && b->index[i] <= b->index[i - 1])
            return error_set(e, -EINVAL, "a histogram's %s buckets are not in ascending order",
                             sign);
        if (!(b->count[i] >= 0))
            return error_set(e, -EINVAL, "a histogram's %s bucket %d has the count %g", sign,
                             (int) b->index[i], b->count[i]);
    }
    return 0;
}

int histogram_check(const struct histogram *h, struct error *e) {
    bool custom = h->schema == SCHEMA_CUSTOM;
    int r;

    if (!custom && (h->schema < SCHEMA_MIN || h->schema > SCHEMA_MAX))
        return error_set(e, -EINVAL, "a histogram of schema %d; -4 to 8 and -53 are known",
                         (int) h->schema);
    if (h->positive.n > HISTOGRAM_BUCKETS_MAX || h->negative.n > HISTOGRAM_BUCKETS_MAX ||
        h->positive.n + h->negative.n + h->n_custom > HISTOGRAM_BUCKETS_MAX)
        return error_set(e, -EINVAL, "a histogram of more than %u buckets", HISTOGRAM_BUCKETS_MAX);
    if (is_stale(h))
        return 0;
    if (!(h->count >= 0) || !(h->zero_count >= 0) || !(h->zero_threshold >= 0))
        return error_set(e, -EINVAL,
                         "a histogram's count, zero count or zero threshold is negative or NaN");
    for (size_t i = 0; i < h->n_custom; i++)
        if (isnan(h->custom[i]) || (i && h->custom[i] <= h->custom[i - 1]))
            return error_set(e, -EINVAL, "a histogram's custom bounds are not in ascending order");
    if (custom && h->negative.n)
        return error_set(e, -EINVAL, "a histogram with custom bounds and negative buckets");
    if (custom && h->positive.n &&
        (h->positive.index[0] < 0 || (size_t) h->positive.index[h->positive.n - 1] > h->n_custom))
        return error_set(e, -EINVAL, "a histogram's bucket lies beyond its custom bounds");
    r = check_buckets(&h->positive, "positive", e);
    return r < 0 ? r : check_buckets(&h->negative, "negative", e);
}

/* ---- Writing ---- */

static void put_varint(struct buffer *to, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        buffer_append_u8(to, (uint8_t) (v | 0x80));
    buffer_append_u8(to, (uint8_t) v);
}

static void put_signed(struct buffer *to, int64_t v) {
    put_varint(to, ((uint64_t) v << 1) ^ (uint64_t) (v >> 63));
}

static bool is_whole(const struct histogram_buckets *b) {
    for (size_t i = 0; i < b->n; i++)
        if (!(b->count[i] >= 0 && b->count[i] < WHOLE_MAX && b->count[i] == floor(b->count[i])))
            return false;
    return true;
}

static void put_buckets(struct buffer *to, const struct histogram_buckets *b, bool whole) {
    int64_t index = 0, count = 0;

    put_varint(to, b->n);
    for (size_t i = 0; i < b->n; i++) {
        put_signed(to, b->index[i] - index);
        index = b->index[i];
        if (whole) {
            put_signed(to, (int64_t) b->count[i] - count);
            count = (int64_t) b->count[i];
        } else {
            buffer_append(to, &b->count[i], 8);
        }
    }
}

int histogram_encode(const struct histogram *h, struct buffer *to) {
    bool whole = is_whole(&h->positive) && is_whole(&h->negative);

    buffer_append_u8(to, whole ? HISTOGRAM_WHOLE : 0);
    put_varint(to, h->n_custom);
    if (h->n_custom)
        buffer_append(to, h->custom, h->n_custom * sizeof(*h->custom));
    put_buckets(to, &h->positive, whole);
    put_buckets(to, &h->negative, whole);
    return to->failed;
}

/* ---- Reading ---- */

static int take_varint(struct slice *rest, uint64_t *ret) {
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!rest->size)
            return -EBADMSG;
        uint8_t byte = *rest->data;
        *rest = slice_skip(*rest, 1);
        v |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = v;
            return 0;
        }
    }
    return -EBADMSG;
}

static int take_signed(struct slice *rest, int64_t *ret) {
    uint64_t v;
    int r = take_varint(rest, &v);

    if (r == 0)
        *ret = (int64_t) (v >> 1) ^ -(int64_t) (v & 1);
    return r;
}

static int take_double(struct slice *rest, double *ret) {
    if (rest->size < 8)
        return -EBADMSG;
    memcpy(ret, rest->data, 8);
    *rest = slice_skip(*rest, 8);
    return 0;
}

/* A number of items of which each takes at least `bytes`. */
static int take_length(struct slice *rest, size_t bytes, size_t *ret) {
    uint64_t n;
    int r = take_varint(rest, &n);

    if (r < 0 || n > HISTOGRAM_BUCKETS_MAX || n * bytes > rest->size)
        return -EBADMSG;
    *ret = (size_t) n;
    return 0;
}

static int take_buckets(struct slice *rest, bool whole, struct arena *a,
                        struct histogram_buckets *ret) {
    int64_t index = 0, count = 0, step;
    size_t n;
    int r = take_length(rest, whole ? 2 : 9, &n);

    if (r < 0)
        return r;
    int32_t *indices = arena_array(a, int32_t, n);
    double *counts = arena_array(a, double, n);
    if (!indices || !counts)
        return -ENOMEM;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = take_signed(rest, &step);
        if (r < 0 || step < -(INT64_C(1) << 33) || step > INT64_C(1) << 33 || (i && step <= 0))
            return -EBADMSG;
        index += step;
        if (index < INT32_MIN || index > INT32_MAX)
            return -EBADMSG;
        indices[i] = (int32_t) index;
        r = whole ? take_signed(rest, &step) : take_double(rest, &counts[i]);
        if (r == 0 && whole) {
            if (__builtin_add_overflow(count, step, &count) || count < 0)
                return -EBADMSG;
            counts[i] = (double) count;
        }
    }
    *ret = (struct histogram_buckets){n, indices, counts};
    return r;
}

int histogram_decode(struct slice bytes, struct arena *a, struct histogram *ret) {
    struct histogram_buckets positive = {0}, negative = {0};
    size_t n_custom = 0;

    if (!bytes.size || (*bytes.data & ~HISTOGRAM_WHOLE))
        return -EBADMSG;
    bool whole = *bytes.data & HISTOGRAM_WHOLE;
    struct slice rest = slice_skip(bytes, 1);
    int r = take_length(&rest, 8, &n_custom);
    double *custom = r == 0 ? arena_array(a, double, n_custom) : NULL;
    if (r == 0 && !custom)
        r = -ENOMEM;
    for (size_t i = 0; i < n_custom && r == 0; i++)
        r = take_double(&rest, &custom[i]);
    if (r == 0)
        r = take_buckets(&rest, whole, a, &positive);
    if (r == 0)
        r = take_buckets(&rest, whole, a, &negative);
    if (r == 0 && rest.size)
        r = -EBADMSG;
    if (r < 0)
        return r;
    ret->n_custom = n_custom;
    ret->custom = custom;
    ret->positive = positive;
    ret->negative = negative;
    return 0;
}
