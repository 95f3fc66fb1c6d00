/* Native histograms: bounds, alignment of layouts, addition, resets. See histogram.h for the
 * memory. */
#include "query/promql/histogram.h"

#include <float.h>
#include <math.h>

bool histogram_is_stale(const struct promql_histogram *h) {
    uint64_t bits;

    memcpy(&bits, &h->sum, sizeof(bits));
    return bits == PROMQL_STALE_BITS;
}

/* ---- Bounds. ---- */

static double exponential_bound(int32_t schema, int32_t index) {
    if (schema <= 0) {
        int64_t exponent = (int64_t) index * (1 << -schema);

        if (exponent == 1024)
            return DBL_MAX; /* the bucket before the one of infinities */
        return ldexp(1, exponent > 2000 ? 2000 : exponent < -2000 ? -2000 : (int) exponent);
    }
    int32_t per_power = 1 << schema, whole = index >> schema, part = index & (per_power - 1);

    if (part == 0 && whole == 1024)
        return DBL_MAX;
    return ldexp(exp2((double) part / per_power), whole);
}

double histogram_bound(const struct promql_histogram *h, int32_t index) {
    if (!histogram_custom(h))
        return exponential_bound(h->schema, index);
    if (index < 0)
        return -INFINITY;
    return (uint32_t) index < h->n_custom ? h->custom[index] : (double) INFINITY;
}

size_t histogram_bucket_count(const struct promql_histogram *h) {
    return (size_t) h->negative.n + 1 + h->positive.n;
}

struct promql_bucket histogram_bucket(const struct promql_histogram *h, size_t i) {
    const struct promql_buckets *b = &h->negative;

    if (i < b->n) {
        size_t k = b->n - 1 - i;

        return (struct promql_bucket){-histogram_bound(h, b->index[k]),
                                      -histogram_bound(h, b->index[k] - 1), b->count[k], true,
                                      false};
    }
    i -= b->n;
    if (i == 0)
        return (struct promql_bucket){-h->zero_threshold, h->zero_threshold, h->zero_count, true,
                                      true};
    b = &h->positive;
    i--;
    return (struct promql_bucket){histogram_bound(h, b->index[i] - 1),
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

static int copy_buckets(struct arena *a, struct promql_buckets *b) {
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
    return copy_buckets(a, &c->positive) < 0 || copy_buckets(a, &c->negative) < 0 ? NULL : c;
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

/* ---- Bringing layouts together. ---- */

/* Maps ascending buckets to a coarser layout with `map`, adding up what falls together. */
static int remap(struct arena *a, struct promql_buckets *b,
                 int32_t (*map)(const void *ctx, int32_t index), const void *ctx) {
    struct promql_buckets out = *b;
    uint32_t n = 0;

    if (copy_buckets(a, &out) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < b->n; i++) {
        int32_t to = map(ctx, b->index[i]);

        if (n && out.index[n - 1] == to) {
            out.count[n - 1] += b->count[i];
        } else {
            out.index[n] = to;
            out.count[n++] = b->count[i];
        }
    }
    out.n = n;
    *b = out;
    return 0;
}

static int32_t map_schema(const void *ctx, int32_t index) {
    int shift = *(const int *) ctx;

    return (int32_t) ((((int64_t) index - 1) >> shift) + 1);
}

int histogram_to_schema(struct arena *a, struct promql_histogram *h, int32_t schema) {
    int shift = h->schema - schema;
    int r;

    if (shift <= 0)
        return 0;
    r = remap(a, &h->positive, map_schema, &shift);
    if (r == 0)
        r = remap(a, &h->negative, map_schema, &shift);
    h->schema = schema;
    return r;
}

/* The zero threshold that `h` would need to be at least `want`, grown to the end of a populated
 * bucket that `want` would cut. */
static double reachable_threshold(const struct promql_histogram *h, double want) {
    for (bool again = true; again;) {
        again = false;
        for (int side = 0; side < 2; side++) {
            const struct promql_buckets *b = side ? &h->negative : &h->positive;

            for (uint32_t i = 0; i < b->n; i++) {
                if (histogram_bound(h, b->index[i] - 1) >= want)
                    break;
                double upper = histogram_bound(h, b->index[i]);
                if (upper > want && b->count[i] != 0) {
                    want = upper;
                    again = true;
                }
            }
        }
    }
    return want;
}

/* Moves the buckets up to `threshold` into the zero bucket. */
static void absorb_zero(struct promql_histogram *h, double threshold) {
    for (int side = 0; side < 2; side++) {
        struct promql_buckets *b = side ? &h->negative : &h->positive;
        uint32_t n = 0;

        while (n < b->n && histogram_bound(h, b->index[n] - 1) < threshold)
            h->zero_count += b->count[n++];
        b->index += n;
        b->count += n;
        b->n -= n;
    }
    h->zero_threshold = threshold;
}

static void align_zero(struct promql_histogram *x, struct promql_histogram *rest,
                       struct promql_histogram *y) {
    while (x->zero_threshold != y->zero_threshold) {
        bool x_less = x->zero_threshold < y->zero_threshold;
        struct promql_histogram *h = x_less ? x : y;
        double want = x_less ? y->zero_threshold : x->zero_threshold;

        want = reachable_threshold(h, want);
        absorb_zero(h, want);
        if (x_less && rest)
            absorb_zero(rest, want);
    }
}

static bool same_bounds(const struct promql_histogram *x, const struct promql_histogram *y) {
    if (x->n_custom != y->n_custom)
        return false;
    if (x->custom == y->custom)
        return true;
    for (uint32_t i = 0; i < x->n_custom; i++)
        if (x->custom[i] != y->custom[i])
            return false;
    return true;
}

struct bounds_map {
    const struct promql_histogram *from;
    const double *to;
    uint32_t n_to;
};

static int32_t map_bounds(const void *ctx, int32_t index) {
    const struct bounds_map *m = ctx;
    double upper = histogram_bound(m->from, index);
    uint32_t i = 0;

    while (i < m->n_to && m->to[i] < upper)
        i++;
    return (int32_t) i;
}

static int map_to_bounds(struct arena *a, struct promql_histogram *h, const double *to,
                         uint32_t n_to) {
    struct promql_histogram from = *h;
    struct bounds_map m = {&from, to, n_to};
    int r = remap(a, &h->positive, map_bounds, &m);

    h->custom = to;
    h->n_custom = n_to;
    return r;
}

static int align_bounds(struct arena *a, struct promql_histogram *x, struct promql_histogram *rest,
                        struct promql_histogram *y) {
    double *common = arena_alloc(a, (x->n_custom < y->n_custom ? x->n_custom : y->n_custom) *
                                            sizeof(double));
    uint32_t n = 0, i = 0, k = 0;
    int r;

    if (!common)
        return -ENOMEM;
    while (i < x->n_custom && k < y->n_custom) {
        if (x->custom[i] == y->custom[k]) {
            common[n++] = x->custom[i++];
            k++;
        } else if (x->custom[i] < y->custom[k]) {
            i++;
        } else {
            k++;
        }
    }
    r = map_to_bounds(a, x, common, n);
    if (r == 0 && rest)
        r = map_to_bounds(a, rest, common, n);
    return r < 0 ? r : map_to_bounds(a, y, common, n);
}

/* Makes x (with its rest, maybe NULL) and y alike in schema, bounds and zero bucket. Their bucket
 * arrays are replaced, not changed. */
static int align(struct arena *a, struct promql_histogram *x, struct promql_histogram *rest,
                 struct promql_histogram *y, unsigned *flags) {
    int r = 0;

    if (histogram_custom(x) != histogram_custom(y))
        return HISTOGRAM_MISMATCH;
    if (histogram_custom(x)) {
        if (same_bounds(x, y))
            return 0;
        *flags |= HISTOGRAM_RECONCILED;
        return align_bounds(a, x, rest, y);
    }
    align_zero(x, rest, y);
    int32_t schema = x->schema < y->schema ? x->schema : y->schema;
    r = histogram_to_schema(a, x, schema);
    if (r == 0 && rest)
        r = histogram_to_schema(a, rest, schema);
    return r < 0 ? r : histogram_to_schema(a, y, schema);
}

static enum promql_reset_hint join_hints(enum promql_reset_hint x, enum promql_reset_hint y,
                                         unsigned *flags) {
    if (x == y)
        return x;
    if (x == PROMQL_GAUGE || y == PROMQL_GAUGE)
        return PROMQL_GAUGE;
    if (x != PROMQL_RESET_UNKNOWN && y != PROMQL_RESET_UNKNOWN)
        *flags |= HISTOGRAM_COLLISION;
    return PROMQL_RESET_UNKNOWN;
}

/* ---- Addition. ---- */

static int merge(struct arena *a, const struct promql_buckets *x, const struct promql_buckets *y,
                 double sign, struct promql_buckets *ret) {
    uint32_t n = 0, i = 0, k = 0;
    int32_t *index = arena_alloc(a, ((size_t) x->n + y->n) * sizeof(*index));
    double *count = arena_alloc(a, ((size_t) x->n + y->n) * sizeof(*count));

    if (!index || !count)
        return -ENOMEM;
    while (i < x->n || k < y->n) {
        bool take_x = i < x->n && (k == y->n || x->index[i] <= y->index[k]);
        bool take_y = k < y->n && (i == x->n || y->index[k] <= x->index[i]);
        double v = take_x ? x->count[i] : 0;

        index[n] = take_x ? x->index[i] : y->index[k];
        if (take_y)
            v += sign * y->count[k];
        count[n++] = v;
        i += take_x;
        k += take_y;
    }
    *ret = (struct promql_buckets){n, index, count};
    return 0;
}

int histogram_combine(struct arena *a, const struct promql_histogram *x_in,
                      const struct promql_histogram *y_in, double sign,
                      struct promql_histogram **ret, unsigned *flags) {
    struct promql_histogram x = *x_in, y = *y_in, *out;
    int r = align(a, &x, NULL, &y, flags);

    if (r < 0)
        return r;
    out = arena_alloc(a, sizeof(*out));
    if (!out)
        return -ENOMEM;
    *out = x;
    out->hint = join_hints(x.hint, y.hint, flags);
    out->count += sign * y.count;
    out->sum += sign * y.sum;
    out->zero_count += sign * y.zero_count;
    r = merge(a, &x.positive, &y.positive, sign, &out->positive);
    if (r == 0)
        r = merge(a, &x.negative, &y.negative, sign, &out->negative);
    if (r == 0)
        *ret = out;
    return r;
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
           same_bounds(x, y) && equal_buckets(&x->positive, &y->positive) &&
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
        if (!same_bounds(&prev, &cur) && align_bounds(a, &prev, NULL, &cur) < 0)
            return true;
        return decreased(&prev.positive, &cur.positive);
    }
    if (cur.schema > prev.schema || cur.zero_threshold < prev.zero_threshold)
        return true;
    if (cur.zero_threshold > prev.zero_threshold) {
        if (reachable_threshold(&prev, cur.zero_threshold) != cur.zero_threshold)
            return true; /* the threshold now lies inside a populated bucket */
        absorb_zero(&prev, cur.zero_threshold);
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

/* ---- Sums with compensation. ---- */

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
    r = merge(a, sum, y, 0, &wider);
    if (r < 0)
        return r;
    *sum = wider;
    r = merge(a, rest, y, 0, &wider);
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
    s->sum = histogram_copy(a, h);
    s->rest = histogram_copy(a, h);
    if (!s->sum || !s->rest)
        return -ENOMEM;
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
    r = align(a, s->sum, s->rest, &y, flags);
    if (r == 0)
        r = cover(a, &s->sum->positive, &s->rest->positive, &y.positive);
    if (r == 0)
        r = cover(a, &s->sum->negative, &s->rest->negative, &y.negative);
    if (r < 0)
        return r;
    s->sum->hint = join_hints(s->sum->hint, y.hint, flags);
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
