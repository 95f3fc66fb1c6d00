/* Distributions: explicit buckets, and OpenTelemetry's base-2 exponential ones (data model,
 * "ExponentialHistogram"): at most 160 buckets per sign at the finest scale that covers all values.
 * No Python. */
#include <math.h>
#include <stddef.h>

#include "metrics.h"

size_t distribution_size(const struct instrument *m) {
    size_t explicit_size =
            offsetof(struct distribution, counts) + (m->bounds_n + 1u) * sizeof(uint64_t);

    return m->exponential ? sizeof(struct distribution) : explicit_size;
}

void distribution_clear(const struct instrument *m, struct distribution *d) {
    memset(d, 0, distribution_size(m));
    d->scale = EXPONENTIAL_SCALE_MAX;
}

/* Bucket i holds (base^i, base^(i+1)]. */
static int32_t index_of(double v, int32_t scale) {
    int exponent;
    double fraction = frexp(v, &exponent); /* v = fraction * 2^exponent, 0.5 <= fraction < 1 */

    if (scale <= 0) {
        if (fraction == 0.5)
            exponent--;
        return (int32_t) ((exponent - 1) >> -scale);
    }
    if (fraction == 0.5) /* a power of two closes its bucket: exactly, whatever log() rounds to */
        return (int32_t) (((int64_t) (exponent - 1) << scale) - 1);
    return (int32_t) ceil(log2(v) * (double) (1 << scale)) - 1;
}

static void downscale(struct exponential_buckets *b, unsigned by) {
    struct exponential_buckets old = *b;

    if (!b->n || !by)
        return;
    memset(b->counts, 0, sizeof(b->counts));
    b->first = old.first >> by;
    b->n = 0;
    for (uint32_t i = 0; i < old.n; i++) {
        uint32_t at = (uint32_t) (((old.first + (int32_t) i) >> by) - b->first);
        b->counts[at] += old.counts[i];
        b->n = at + 1;
    }
}

/* By how much the scale must sink so that the bucket `index` fits among the others. */
static unsigned shift_needed(const struct exponential_buckets *b, int32_t index) {
    int64_t low = index < b->first ? index : b->first, last = (int64_t) b->first + b->n - 1;
    int64_t high = index > last ? index : last;
    unsigned by = 0;

    while (b->n && (high >> by) - (low >> by) >= EXPONENTIAL_BUCKETS_MAX)
        by++;
    return by;
}

static void increment(struct exponential_buckets *b, int32_t index) {
    if (!b->n) {
        b->first = index;
        b->n = 1;
    } else if (index < b->first) {
        uint32_t by = (uint32_t) (b->first - index);
        memmove(b->counts + by, b->counts, b->n * sizeof(b->counts[0]));
        memset(b->counts, 0, by * sizeof(b->counts[0]));
        b->first = index;
        b->n += by;
    } else if (index >= b->first + (int32_t) b->n) {
        b->n = (uint32_t) (index - b->first) + 1;
    }
    b->counts[index - b->first]++;
}

static void lower_scale(struct distribution *d, unsigned by) {
    d->scale -= (int32_t) by;
    downscale(&d->buckets[0], by);
    downscale(&d->buckets[1], by);
}

static void record_exponential(struct distribution *d, double v) {
    struct exponential_buckets *b = &d->buckets[v < 0];
    int32_t index;
    unsigned by;

    if (v == 0) {
        d->zero_count++;
        return;
    }
    index = index_of(fabs(v), d->scale);
    by = shift_needed(b, index);
    if (by) {
        if (d->scale - (int32_t) by < EXPONENTIAL_SCALE_MIN)
            by = (unsigned) (d->scale - EXPONENTIAL_SCALE_MIN);
        lower_scale(d, by);
        index = index_of(fabs(v), d->scale);
    }
    increment(b, index);
}

static unsigned bucket_of(const struct instrument *m, double v) {
    unsigned low = 0, high = m->bounds_n;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (m->bounds[middle] < v)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

unsigned distribution_record(const struct instrument *m, struct distribution *d, double v) {
    uint32_t epoch = metrics_config.temporality == TEMPORALITY_CUMULATIVE
                             ? 1
                             : atomic_load_explicit(&metrics_epoch, memory_order_relaxed);
    unsigned bucket = 0;

    if (d->epoch != epoch) {
        d->min = d->max = v;
        d->epoch = epoch;
    } else {
        d->min = v < d->min ? v : d->min;
        d->max = v > d->max ? v : d->max;
    }
    d->count++;
    d->sum += v;
    if (m->exponential)
        record_exponential(d, v);
    else
        d->counts[bucket = bucket_of(m, v)]++;
    return bucket;
}

/* Of b's counts those of a, whose scale is the same. */
static void subtract_buckets(struct exponential_buckets *b, const struct exponential_buckets *a) {
    for (uint32_t i = 0; i < a->n; i++) {
        int64_t at = (int64_t) a->first + i - b->first;
        if (at >= 0 && at < b->n)
            b->counts[at] -= a->counts[i];
    }
}

void distribution_subtract(const struct instrument *m, struct distribution *now,
                           struct distribution *before) {
    now->count -= before->count;
    now->sum -= before->sum;
    if (!m->exponential) {
        for (unsigned i = 0; i <= m->bounds_n; i++)
            now->counts[i] -= before->counts[i];
        return;
    }
    if (before->scale > now->scale)
        lower_scale(before, (unsigned) (before->scale - now->scale));
    now->zero_count -= before->zero_count;
    subtract_buckets(&now->buckets[0], &before->buckets[0]);
    subtract_buckets(&now->buckets[1], &before->buckets[1]);
}
