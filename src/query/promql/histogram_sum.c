/* Sums and means of many histograms, with compensation for rounding (Neumaier). Memory: the arena
 * given. */
#include "query/promql/histogram_layout.h"

#include <float.h>
#include <math.h>

/* Adds empty buckets so that s has all of y's, in both the sum and its rest. */
static int cover(struct arena *a, struct promql_buckets *sum, struct promql_buckets *rest,
                 const struct promql_buckets *y) {
    struct promql_buckets wider;
    uint32_t k = 0;
    int r;

    for (uint32_t i = 0; i < y->n; i++) {
        while (k < sum->n && sum->index[k] < y->index[i])
            k++;
        if (k == sum->n || sum->index[k] != y->index[i])
            goto missing;
    }
    return 0;
missing:
    r = buckets_merge(a, sum, y, 0, &wider);
    if (r < 0)
        return r;
    *sum = wider;
    r = buckets_merge(a, rest, y, 0, &wider);
    *rest = wider;
    return r;
}

static void sum_buckets(struct promql_buckets *sum, struct promql_buckets *rest,
                        const struct promql_buckets *y) {
    uint32_t k = 0;

    for (uint32_t i = 0; i < y->n; i++, k++) {
        while (sum->index[k] < y->index[i])
            k++;
        kahan_add(y->count[i], &sum->count[k], &rest->count[k]);
    }
}

static int sum_start(struct arena *a, struct histogram_sum *s, const struct promql_histogram *h) {
    double *custom = arena_alloc(a, h->n_custom * sizeof(*custom));

    s->sum = histogram_copy(a, h);
    s->rest = histogram_copy(a, h);
    if (!s->sum || !s->rest || !custom)
        return -ENOMEM;
    /* The sum may outlive what it was made of. */
    if (h->n_custom)
        memcpy(custom, h->custom, h->n_custom * sizeof(*custom));
    s->sum->custom = s->rest->custom = custom;
    s->rest->count = s->rest->sum = s->rest->zero_count = 0;
    for (uint32_t i = 0; i < s->rest->positive.n; i++)
        s->rest->positive.count[i] = 0;
    for (uint32_t i = 0; i < s->rest->negative.n; i++)
        s->rest->negative.count[i] = 0;
    return 0;
}

int histogram_sum_add(struct arena *a, struct histogram_sum *s, const struct promql_histogram *h,
                      unsigned *flags) {
    struct promql_histogram y = *h;
    int r;

    if (!s->sum)
        return sum_start(a, s, h);
    r = histogram_align(a, s->sum, s->rest, &y, flags);
    if (r == 0)
        r = cover(a, &s->sum->positive, &s->rest->positive, &y.positive);
    if (r == 0)
        r = cover(a, &s->sum->negative, &s->rest->negative, &y.negative);
    if (r < 0)
        return r;
    s->sum->hint = histogram_join_hints(s->sum->hint, y.hint, flags);
    kahan_add(y.count, &s->sum->count, &s->rest->count);
    kahan_add(y.sum, &s->sum->sum, &s->rest->sum);
    kahan_add(y.zero_count, &s->sum->zero_count, &s->rest->zero_count);
    sum_buckets(&s->sum->positive, &s->rest->positive, &y.positive);
    sum_buckets(&s->sum->negative, &s->rest->negative, &y.negative);
    return 0;
}

int histogram_sum_copy(struct arena *a, const struct histogram_sum *s, struct histogram_sum *ret) {
    ret->sum = histogram_copy(a, s->sum);
    ret->rest = histogram_copy(a, s->rest);
    return ret->sum && ret->rest ? 0 : -ENOMEM;
}

struct promql_histogram *histogram_sum_finish(struct histogram_sum *s) {
    struct promql_histogram *h = s->sum;

    if (!h)
        return NULL;
    h->count += s->rest->count;
    h->sum += s->rest->sum;
    h->zero_count += s->rest->zero_count;
    for (uint32_t i = 0; i < h->positive.n; i++)
        h->positive.count[i] += s->rest->positive.count[i];
    for (uint32_t i = 0; i < h->negative.n; i++)
        h->negative.count[i] += s->rest->negative.count[i];
    histogram_compact(h);
    return h;
}

/* One more for an incremental mean: mean * (n - 1) / n + h / n. */
static int mean_step(struct arena *a, struct histogram_mean *m, const struct promql_histogram *h,
                     unsigned *flags) {
    double q = (m->n - 1) / m->n;
    struct promql_histogram *part = histogram_copy(a, h);

    if (!part)
        return -ENOMEM;
    histogram_divide(part, m->n);
    histogram_scale(m->sum.sum, q);
    histogram_scale(m->sum.rest, q);
    return histogram_sum_add(a, &m->sum, part, flags);
}

int histogram_mean_add(struct arena *a, struct histogram_mean *m, const struct promql_histogram *h,
                       unsigned *flags) {
    struct histogram_sum before = {0};
    int r;

    m->n++;
    if (m->incremental)
        return mean_step(a, m, h, flags);
    if (m->sum.sum) {
        /* Only a large sum can overflow; spare the others the copy. */
        bool large = fabs(m->sum.sum->count) + fabs(h->count) > DBL_MAX / 1e3 ||
                     fabs(m->sum.sum->sum) + fabs(h->sum) > DBL_MAX / 1e3 ||
                     !isfinite(m->sum.sum->count + m->sum.sum->sum);
        if (large) {
            r = histogram_sum_copy(a, &m->sum, &before);
            if (r < 0)
                return r;
        }
    }
    r = histogram_sum_add(a, &m->sum, h, flags);
    if (r < 0 || !before.sum || !histogram_overflows(m->sum.sum))
        return r;
    m->sum = before;
    m->incremental = true;
    histogram_divide(m->sum.sum, m->n - 1);
    histogram_divide(m->sum.rest, m->n - 1);
    return mean_step(a, m, h, flags);
}

struct promql_histogram *histogram_mean_finish(struct histogram_mean *m) {
    if (!m->sum.sum)
        return NULL;
    if (!m->incremental) {
        histogram_divide(m->sum.sum, m->n);
        histogram_divide(m->sum.rest, m->n);
    }
    return histogram_sum_finish(&m->sum);
}
