/* Native histograms: bounds, alignment of layouts, addition, resets. See histogram.h for the
 * memory. */
#include "query/promql/histogram_layout.h"

#include <float.h>
#include <math.h>

bool histogram_is_stale(const struct promql_histogram *h) {
    uint64_t bits;

    memcpy(&bits, &h->sum, sizeof(bits));
    return bits == PROMQL_STALE_BITS;
}

/* ---- Bounds. ---- */

static double exponential_bound(int32_t schema, int64_t index) {
    if (schema <= 0) {
        int64_t exponent = index * (1 << -schema);

        if (exponent == 1024)
            return DBL_MAX; /* the bucket before the one of infinities */
        return ldexp(1, exponent > 2000 ? 2000 : exponent < -2000 ? -2000 : (int) exponent);
    }
    int64_t per_power = 1 << schema, whole = index >> schema, part = index & (per_power - 1);

    if (part == 0 && whole == 1024)
        return DBL_MAX;
    return ldexp(exp2((double) part / (double) per_power), whole > 2000    ? 2000
                                                           : whole < -2000 ? -2000
                                                                           : (int) whole);
}

double histogram_bound(const struct promql_histogram *h, int64_t index) {
    if (!histogram_custom(h))
        return exponential_bound(h->schema, index);
    if (index < 0)
        return -INFINITY;
    return index < h->n_custom ? h->custom[index] : (double) INFINITY;
}

size_t histogram_bucket_count(const struct promql_histogram *h) {
    return (size_t) h->negative.n + 1 + h->positive.n;
}

struct promql_bucket histogram_bucket(const struct promql_histogram *h, size_t i) {
    const struct promql_buckets *b = &h->negative;

    if (i < b->n) {
        size_t k = b->n - 1 - i;

        return (struct promql_bucket){-histogram_bound(h, b->index[k]),
                                      -histogram_bound(h, (int64_t) b->index[k] - 1), b->count[k],
                                      true, false};
    }
    i -= b->n;
    if (i == 0)
        return (struct promql_bucket){-h->zero_threshold, h->zero_threshold, h->zero_count, true,
                                      true};
    b = &h->positive;
    i--;
    return (struct promql_bucket){histogram_bound(h, (int64_t) b->index[i] - 1),
                                  histogram_bound(h, b->index[i]), b->count[i],
                                  histogram_custom(h) && b->index[i] == 0, true};
}

size_t promql_histogram_buckets(const struct promql_histogram *h, struct promql_bucket *ret,
                                size_t max) {
    size_t n = 0;

    for (size_t i = 0; i < histogram_bucket_count(h); i++) {
        struct promql_bucket b = histogram_bucket(h, i);

        if (b.count == 0)
            continue;
        if (n < max)
            ret[n] = b;
        n++;
    }
    return n;
}

/* ---- Copies. ---- */

int buckets_copy(struct arena *a, struct promql_buckets *b) {
    int32_t *index = arena_alloc(a, b->n * sizeof(*index));
    double *count = arena_alloc(a, b->n * sizeof(*count));

    if (!index || !count)
        return -ENOMEM;
    if (b->n) {
        memcpy(index, b->index, b->n * sizeof(*index));
        memcpy(count, b->count, b->n * sizeof(*count));
    }
    b->index = index;
    b->count = count;
    return 0;
}

struct promql_histogram *histogram_copy(struct arena *a, const struct promql_histogram *h) {
    struct promql_histogram *c = arena_alloc(a, sizeof(*c));

    if (!c)
        return NULL;
    *c = *h;
    return buckets_copy(a, &c->positive) < 0 || buckets_copy(a, &c->negative) < 0 ? NULL : c;
}

static void compact_buckets(struct promql_buckets *b) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n; i++)
        if (b->count[i] != 0) {
            b->index[n] = b->index[i];
            b->count[n++] = b->count[i];
        }
    b->n = n;
}

void histogram_compact(struct promql_histogram *h) {
    compact_buckets(&h->positive);
    compact_buckets(&h->negative);
}

static void scale_buckets(struct promql_buckets *b, double factor, double divisor) {
    for (uint32_t i = 0; i < b->n; i++)
        b->count[i] = b->count[i] * factor / divisor;
}

void histogram_scale(struct promql_histogram *h, double factor) {
    h->count *= factor;
    h->sum *= factor;
    h->zero_count *= factor;
    scale_buckets(&h->positive, factor, 1);
    scale_buckets(&h->negative, factor, 1);
    if (factor < 0)
        h->hint = PROMQL_GAUGE;
}

void histogram_divide(struct promql_histogram *h, double divisor) {
    h->count /= divisor;
    h->sum /= divisor;
    h->zero_count /= divisor;
    if (divisor == 0)
        h->positive.n = h->negative.n = 0;
    scale_buckets(&h->positive, 1, divisor);
    scale_buckets(&h->negative, 1, divisor);
    if (divisor < 0)
        h->hint = PROMQL_GAUGE;
}

/* ---- Comparison. ---- */

static bool equal_buckets(const struct promql_buckets *x, const struct promql_buckets *y) {
    uint32_t i = 0, k = 0;

    for (;;) {
        while (i < x->n && x->count[i] == 0)
            i++;
        while (k < y->n && y->count[k] == 0)
            k++;
        if (i == x->n || k == y->n)
            return i == x->n && k == y->n;
        if (x->index[i] != y->index[k] || x->count[i] != y->count[k])
            return false;
        i++;
        k++;
    }
}

bool histogram_equal(const struct promql_histogram *x, const struct promql_histogram *y) {
    bool same_sum = x->sum == y->sum || (isnan(x->sum) && isnan(y->sum));

    return x->schema == y->schema && x->count == y->count && same_sum &&
           x->zero_count == y->zero_count && x->zero_threshold == y->zero_threshold &&
           histogram_same_bounds(x, y) && equal_buckets(&x->positive, &y->positive) &&
           equal_buckets(&x->negative, &y->negative);
}

/* Whether some bucket of cur holds less than it held in prev. */
static bool decreased(const struct promql_buckets *prev, const struct promql_buckets *cur) {
    uint32_t k = 0;

    for (uint32_t i = 0; i < prev->n; i++) {
        while (k < cur->n && cur->index[k] < prev->index[i])
            k++;
        double now = k < cur->n && cur->index[k] == prev->index[i] ? cur->count[k] : 0;
        if (now < prev->count[i])
            return true;
    }
    return false;
}

bool histogram_reset_between(struct arena *a, const struct promql_histogram *prev_in,
                             const struct promql_histogram *cur_in) {
    struct promql_histogram prev = *prev_in, cur = *cur_in;

    if (cur.hint == PROMQL_RESET)
        return true;
    if (cur.hint == PROMQL_NOT_RESET)
        return false;
    if (cur.count < prev.count || histogram_custom(&cur) != histogram_custom(&prev))
        return true;
    if (histogram_custom(&cur)) {
        if (!histogram_same_bounds(&prev, &cur) && histogram_align_bounds(a, &prev, NULL, &cur) < 0)
            return true;
        return decreased(&prev.positive, &cur.positive);
    }
    if (cur.schema > prev.schema || cur.zero_threshold < prev.zero_threshold)
        return true;
    if (cur.zero_threshold > prev.zero_threshold) {
        if (histogram_reachable_zero(&prev, cur.zero_threshold) != cur.zero_threshold)
            return true; /* the threshold now lies inside a populated bucket */
        histogram_absorb_zero(&prev, cur.zero_threshold);
    }
    if (cur.zero_count < prev.zero_count || histogram_to_schema(a, &prev, cur.schema) < 0)
        return true;
    return decreased(&prev.positive, &cur.positive) || decreased(&prev.negative, &cur.negative);
}

static bool infinite_buckets(const struct promql_buckets *b) {
    for (uint32_t i = 0; i < b->n; i++)
        if (isinf(b->count[i]))
            return true;
    return false;
}

bool histogram_overflows(const struct promql_histogram *h) {
    return isinf(h->zero_count) || isinf(h->count) || isinf(h->sum) ||
           infinite_buckets(&h->positive) || infinite_buckets(&h->negative);
}
