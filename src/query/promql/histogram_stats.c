/* Quantiles, fractions and spread of native and classic histograms; trimming; text. Pure functions.
 */
#include "query/promql/histogram.h"

#include "query/promql/ast.h"

#include <math.h>

/* ---- Native. ---- */

/* In a histogram with observations of one sign only, the zero bucket holds that sign only. */
static void narrow_zero(const struct promql_histogram *h, struct promql_bucket *b) {
    if (h->negative.n == 0 && h->positive.n > 0)
        b->lower = 0;
    else if (h->positive.n == 0 && h->negative.n > 0)
        b->upper = 0;
}

/* Where in bucket b its fraction-th part ends. */
static double interpolate(const struct promql_histogram *h, const struct promql_bucket *b,
                          double fraction) {
    if (histogram_custom(h) || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * fraction;
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper));

    if (b->lower > 0)
        return exp2(lower + (upper - lower) * fraction);
    return -exp2(upper + (lower - upper) * (1 - fraction));
}

double histogram_quantile(const struct promql_histogram *h, double q, unsigned *flags) {
    struct promql_bucket b = {0};
    size_t n = histogram_bucket_count(h);
    /* NaN observations are in no bucket, so the count from above would be wrong. */
    bool forward = isnan(h->sum) || q < 0.5;
    double seen = 0, rank = forward ? q * h->count : (1 - q) * h->count;

    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (h->count == 0 || isnan(q))
        return NAN;
    for (size_t i = 0; i < n; i++) {
        struct promql_bucket next = histogram_bucket(h, forward ? i : n - 1 - i);

        if (next.count == 0)
            continue;
        b = next;
        seen += b.count;
        if (seen >= rank)
            break;
    }
    if (!histogram_custom(h)) {
        if (b.lower < 0 && b.upper > 0)
            narrow_zero(h, &b);
    } else if (isinf(b.lower)) {
        if (b.upper <= 0)
            return b.upper;
        b.lower = 0;
    } else if (isinf(b.upper)) {
        return b.lower;
    }
    if (seen > h->count)
        seen = h->count;
    if (seen < rank) {
        if (!isnan(h->sum))
            return b.upper;
        *flags |= HISTOGRAM_NAN_RESULT;
        return NAN;
    }
    if (isnan(h->sum))
        *flags |= HISTOGRAM_NAN_SKEW;
    rank = forward ? rank - (seen - b.count) : seen - rank;
    return interpolate(h, &b, rank / b.count);
}

/* How many observations of the buckets so far and of b lie at or below v. */
static double rank_in(const struct promql_histogram *h, const struct promql_bucket *b, bool zero,
                      double before, double v) {
    if (histogram_custom(h) || zero) {
        if (isinf(b->lower))
            return before + b->count;
        return before + b->count * (v - b->lower) / (b->upper - b->lower);
    }
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper)), at = log2(fabs(v));
    double fraction = v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);

    return before + b->count * fraction;
}

/* How many observations lie at or below v. */
static double rank_of(const struct promql_histogram *h, double v) {
    double rank = 0;

    for (size_t i = 0; i < histogram_bucket_count(h); i++) {
        struct promql_bucket b = histogram_bucket(h, i);
        bool zero = b.lower <= 0 && b.upper >= 0;

        if (b.count == 0)
            continue;
        if (zero)
            narrow_zero(h, &b);
        if (b.lower >= v)
            return fmin(rank, h->count);
        if (b.upper > v)
            return fmin(rank_in(h, &b, zero, rank, v), h->count);
        rank += b.count;
    }
    /* Above all buckets: everything, except NaN observations, which are in no bucket. */
    return isnan(h->sum) ? rank : h->count;
}

double histogram_fraction(const struct promql_histogram *h, double lower, double upper) {
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    return (rank_of(h, upper) - rank_of(h, lower)) / h->count;
}

double histogram_variance(const struct promql_histogram *h) {
    double mean = h->sum / h->count, sum = 0, rest = 0;

    for (size_t i = 0; i < histogram_bucket_count(h); i++) {
        struct promql_bucket b = histogram_bucket(h, i);
        double v;

        if (b.count == 0)
            continue;
        if (histogram_custom(h))
            v = (b.upper + b.lower) / 2;
        else if (b.lower <= 0 && b.upper >= 0)
            v = 0;
        else
            v = b.upper < 0 ? -sqrt(b.upper * b.lower) : sqrt(b.upper * b.lower);
        kahan_add(b.count * (v - mean) * (v - mean), &sum, &rest);
    }
    return (sum + rest) / h->count;
}

/* ---- Trimming. ---- */

static double midpoint(double lower, double upper, bool positive, bool linear) {
    if (isinf(lower) && isinf(upper))
        return 0;
    if (isinf(lower))
        return upper > 0 ? upper / 2 : upper;
    if (isinf(upper))
        return lower;
    if (linear)
        return (lower + upper) / 2;
    double mean = sqrt(fabs(lower * upper));
    return positive ? mean : -mean;
}

struct kept {
    double count, middle;
};

static double finite_or_zero(double v) {
    return isinf(v) ? 0 : v;
}

/* A bucket without an end says nothing about where in it the observations are. */
static struct kept trim_endless(const struct promql_bucket *b, double at, bool upper) {
    if (isinf(b->lower) && b->lower < 0) {
        bool ends = !isinf(b->upper);

        if (upper) {
            if (at >= b->upper)
                return (struct kept){b->count, 0};
            if (at > 0 && b->upper > 0 && ends)
                return (struct kept){b->count * at / b->upper, at / 2};
            if (b->upper <= 0)
                return (struct kept){b->count, at};
            return (struct kept){0, finite_or_zero(b->upper)};
        }
        if (at <= b->lower)
            return (struct kept){b->count, 0};
        if (at >= 0 && b->upper > at && ends)
            return (struct kept){b->count * (1 - at / b->upper), (at + b->upper) / 2};
        return (struct kept){0, finite_or_zero(b->upper)};
    }
    if (!upper && at >= b->lower)
        return (struct kept){b->count, at};
    return (struct kept){0, finite_or_zero(b->lower)};
}

/* The part of b's observations at or below `at`, which lies inside b. */
static double part_below(const struct promql_bucket *b, double at, bool positive, bool linear) {
    if (linear)
        return b->count * (at - b->lower) / (b->upper - b->lower);
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper)), v = log2(fabs(at));

    return b->count *
           (positive ? (v - lower) / (upper - lower) : 1 - (v - upper) / (lower - upper));
}

static struct kept trim_bucket(const struct promql_bucket *b, double at, bool upper, bool positive,
                               bool linear) {
    if (upper ? b->upper <= at : b->lower >= at)
        return (struct kept){b->count, midpoint(b->lower, b->upper, positive, linear)};
    if (upper ? b->lower >= at : b->upper <= at)
        return (struct kept){0, 0};
    if (isinf(b->lower) || isinf(b->upper))
        return trim_endless(b, at, upper);
    double below = part_below(b, at, positive, linear);

    return upper ? (struct kept){below, midpoint(b->lower, at, positive, linear)}
                 : (struct kept){b->count - below, midpoint(at, b->upper, positive, linear)};
}

static struct kept trim_zero(const struct promql_histogram *h, double at, bool upper, bool negative,
                             bool positive) {
    double low = negative || !positive ? -h->zero_threshold : 0;
    double high = positive || !negative ? h->zero_threshold : 0;

    if (upper ? at <= low : at >= high)
        return (struct kept){0, 0};
    if (upper ? at >= high : at <= low)
        return (struct kept){h->zero_count, (low + high) / 2};
    if (upper)
        return (struct kept){h->zero_count * (at - low) / (high - low), (low + at) / 2};
    return (struct kept){h->zero_count * (high - at) / (high - low), (at + high) / 2};
}

struct promql_histogram *histogram_trim(struct arena *a, const struct promql_histogram *h,
                                        double at, bool upper) {
    struct promql_histogram *t = histogram_copy(a, h);
    bool changed = false, populated[2] = {false, false};
    double count = 0, sum = 0;

    if (!t)
        return NULL;
    for (int side = 0; side < 2; side++) {
        struct promql_buckets *buckets = side ? &t->positive : &t->negative;

        for (uint32_t i = 0; i < buckets->n; i++) {
            size_t position = side ? (size_t) h->negative.n + 1 + i : h->negative.n - 1u - i;
            struct promql_bucket b = histogram_bucket(h, position);

            if (b.count == 0)
                continue;
            populated[side] = true;
            struct kept k = trim_bucket(&b, at, upper, side, histogram_custom(h));
            changed |= k.count != b.count;
            buckets->count[i] = k.count;
            count += k.count;
            sum += k.middle * k.count;
        }
    }
    if (h->zero_count > 0) {
        struct kept k = trim_zero(h, at, upper, populated[0], populated[1]);

        changed |= k.count != h->zero_count;
        t->zero_count = k.count;
        count += k.count;
        sum += k.middle * k.count;
    }
    if (changed) {
        t->count = count;
        t->sum = sum;
        histogram_compact(t);
    }
    return t;
}

/* ---- Classic. ---- */

static int compare_upper(const void *a, const void *b) {
    const struct classic_bucket *x = a, *y = b;

    return (x->upper > y->upper) - (x->upper < y->upper);
}

/* Sorts, and adds up buckets of the same bound. */
static size_t coalesce(struct classic_bucket *b, size_t n) {
    size_t m = 0;

    qsort(b, n, sizeof(*b), compare_upper);
    for (size_t i = 0; i < n; i++) {
        if (m && b[m - 1].upper == b[i].upper)
            b[m - 1].count += b[i].count;
        else
            b[m++] = b[i];
    }
    return m;
}

static bool almost_equal(double a, double b, double tolerance) {
    return a == b || fabs(a - b) < tolerance * (fabs(a) + fabs(b));
}

double classic_quantile(struct classic_bucket *b, size_t n, double q, bool *ret_forced) {
    *ret_forced = false;
    if (isnan(q))
        return NAN;
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    if (n == 0)
        return NAN;
    n = coalesce(b, n);
    if (!(isinf(b[n - 1].upper) && b[n - 1].upper > 0))
        return NAN;
    for (size_t i = 1; i < n; i++) {
        double prev = b[i - 1].count;

        if (b[i].count == prev)
            continue;
        if (almost_equal(prev, b[i].count, 1e-12)) {
            b[i].count = prev;
        } else if (b[i].count < prev) {
            b[i].count = prev;
            *ret_forced = true;
        }
    }
    if (n < 2 || b[n - 1].count == 0 || isnan(b[n - 1].count))
        return NAN;
    double rank = q * b[n - 1].count, lower = 0, count;
    size_t i = 0;
    while (i < n - 1 && !(b[i].count >= rank))
        i++;
    if (i == n - 1)
        return b[n - 2].upper;
    if (i == 0 && b[0].upper <= 0)
        return b[0].upper;
    count = b[i].count;
    if (i > 0) {
        lower = b[i - 1].upper;
        count -= b[i - 1].count;
        rank -= b[i - 1].count;
    }
    return lower + (b[i].upper - lower) * (rank / count);
}

static double classic_rank(const struct classic_bucket *b, size_t n, double v) {
    double rank = 0;

    for (size_t i = 0; i < n; i++) {
        double lower = i ? b[i - 1].upper : b[i].upper > 0 ? 0 : -INFINITY;

        if (lower >= v)
            return rank;
        if (b[i].upper > v) {
            if (isinf(lower))
                return b[i].count;
            if (isinf(b[i].upper))
                return rank;
            return rank + (b[i].count - rank) * (v - lower) / (b[i].upper - lower);
        }
        rank = b[i].count;
    }
    return rank;
}

double classic_fraction(struct classic_bucket *b, size_t n, double lower, double upper) {
    if (n == 0)
        return NAN;
    n = coalesce(b, n);
    double count = b[n - 1].count;
    if (!(isinf(b[n - 1].upper) && b[n - 1].upper > 0) || count == 0 || isnan(count) ||
        isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    double low = classic_rank(b, n, lower), high = classic_rank(b, n, upper);
    return ((high > count ? count : high) - (low > count ? count : low)) / count;
}

/* ---- Text. ---- */

void promql_histogram_print(const struct promql_histogram *h, struct buffer *out) {
    buffer_append_text(out, "{count:");
    print_float_g(out, h->count);
    buffer_append_text(out, ", sum:");
    print_float_g(out, h->sum);
    for (size_t i = 0; i < histogram_bucket_count(h); i++) {
        struct promql_bucket b = histogram_bucket(h, i);

        if (b.count == 0)
            continue;
        buffer_printf(out, ", %c", b.lower_inclusive ? '[' : '(');
        print_float_g(out, b.lower);
        buffer_append_u8(out, ',');
        print_float_g(out, b.upper);
        buffer_printf(out, "%c:", b.upper_inclusive ? ']' : ')');
        print_float_g(out, b.count);
    }
    buffer_append_u8(out, '}');
}
