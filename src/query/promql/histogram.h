/*
 * Arithmetic on native histograms. Histograms handed in are never changed; results are new, in the
 * arena given. One owner of an arena at a time. Formulas: Prometheus' specification of native
 * histograms (prometheus.io/docs/specs/native_histograms).
 */
#ifndef VARAN_PROMQL_HISTOGRAM_H
#define VARAN_PROMQL_HISTOGRAM_H

#include "query/promql/promql.h"

#include <errno.h>

/* An exponential and a custom histogram cannot be combined. */
#define HISTOGRAM_MISMATCH (-EPROTOTYPE)

/* What happened on the way, or-ed together. */
#define HISTOGRAM_COLLISION 1u  /* a counter reset met its absence */
#define HISTOGRAM_RECONCILED 2u /* custom bounds differed; the common ones were kept */

static inline bool histogram_custom(const struct promql_histogram *h) {
    return h->schema == PROMQL_SCHEMA_CUSTOM;
}
bool histogram_is_stale(const struct promql_histogram *h);

/* Upper bound of bucket `index` (positive side). */
double histogram_bound(const struct promql_histogram *h, int64_t index);
/* Bucket i of histogram_bucket_count(), ascending: negative ones, the zero bucket, positive ones.
 */
size_t histogram_bucket_count(const struct promql_histogram *h);
struct promql_bucket histogram_bucket(const struct promql_histogram *h, size_t i);

struct promql_histogram *histogram_copy(struct arena *a, const struct promql_histogram *h);
/* Without empty buckets; changes `h` in place. */
void histogram_compact(struct promql_histogram *h);
/* x + sign * y. 0, HISTOGRAM_MISMATCH or -ENOMEM; adds to *flags. */
int histogram_combine(struct arena *a, const struct promql_histogram *x,
                      const struct promql_histogram *y, double sign, struct promql_histogram **ret,
                      unsigned *flags);
/* Fewer, wider buckets: `schema` at most h's own. In place, with new arrays from `a`. */
int histogram_to_schema(struct arena *a, struct promql_histogram *h, int32_t schema);
/* In place; a negative factor makes a gauge. */
void histogram_scale(struct promql_histogram *h, double factor);
/* In place; dividing by zero loses the buckets. */
void histogram_divide(struct promql_histogram *h, double divisor);
bool histogram_equal(const struct promql_histogram *x, const struct promql_histogram *y);
/* Whether a counter began anew between prev and cur; scratch memory from `a`. */
bool histogram_reset_between(struct arena *a, const struct promql_histogram *prev,
                             const struct promql_histogram *cur);
bool histogram_overflows(const struct promql_histogram *h);
/* The observations below `at` (upper) or above it. NULL without memory. */
struct promql_histogram *histogram_trim(struct arena *a, const struct promql_histogram *h,
                                        double at, bool upper);

/* ---- Sums with compensation (Neumaier). ---- */

struct histogram_sum {
    struct promql_histogram *sum, *rest; /* rest: what rounding lost, same buckets; NULL at first */
};

/* Adds h; the first one is copied. 0, HISTOGRAM_MISMATCH or -ENOMEM. Changes the sums in place. */
int histogram_sum_add(struct arena *a, struct histogram_sum *s, const struct promql_histogram *h,
                      unsigned *flags);
int histogram_sum_copy(struct arena *a, const struct histogram_sum *s, struct histogram_sum *ret);
/* sum + rest, in place; compacted. */
struct promql_histogram *histogram_sum_finish(struct histogram_sum *s);

/* The mean of histograms: direct as long as nothing overflows, then incremental. */
struct histogram_mean {
    struct histogram_sum sum; /* the mean itself when incremental */
    double n;
    bool incremental;
};
int histogram_mean_add(struct arena *a, struct histogram_mean *m, const struct promql_histogram *h,
                       unsigned *flags);
struct promql_histogram *histogram_mean_finish(struct histogram_mean *m);

/* ---- Statistics. ---- */

#define HISTOGRAM_NAN_RESULT 4u /* flags: NaN observations made the quantile NaN */
#define HISTOGRAM_NAN_SKEW 8u   /* … or too high */

double histogram_quantile(const struct promql_histogram *h, double q, unsigned *flags);
double histogram_fraction(const struct promql_histogram *h, double lower, double upper);
double histogram_variance(const struct promql_histogram *h);

/* Classic buckets: cumulative counts by upper bound. */
struct classic_bucket {
    double upper, count;
};
/* Sorts and merges `b` in place. *ret_forced: counts had to be made monotonic. */
double classic_quantile(struct classic_bucket *b, size_t n, double q, bool *ret_forced);
double classic_fraction(struct classic_bucket *b, size_t n, double lower, double upper);

/* Neumaier's sum: adds v to *sum, what is lost to *rest. */
static inline void kahan_add(double v, double *sum, double *rest) {
    double t = *sum + v;

    if (__builtin_isinf_sign(t))
        *rest = 0;
    else if (__builtin_fabs(*sum) >= __builtin_fabs(v))
        *rest += (*sum - t) + v;
    else
        *rest += (v - t) + *sum;
    *sum = t;
}

#endif
