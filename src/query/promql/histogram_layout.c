/* Bringing the layouts of two histograms together, and adding them. Memory: the arena given. */
#include "query/promql/histogram_layout.h"

/* ---- Bringing layouts together. ---- */

/* Maps ascending buckets to a coarser layout with `map`, adding up what falls together. */
static int remap(struct arena *a, struct promql_buckets *b,
                 int32_t (*map)(const void *ctx, int32_t index), const void *ctx) {
    struct promql_buckets out = *b;
    uint32_t n = 0;

    if (buckets_copy(a, &out) < 0)
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
double histogram_reachable_zero(const struct promql_histogram *h, double want) {
    for (bool again = true; again;) {
        again = false;
        for (int side = 0; side < 2; side++) {
            const struct promql_buckets *b = side ? &h->negative : &h->positive;

            for (uint32_t i = 0; i < b->n; i++) {
                if (histogram_bound(h, (int64_t) b->index[i] - 1) >= want)
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
void histogram_absorb_zero(struct promql_histogram *h, double threshold) {
    for (int side = 0; side < 2; side++) {
        struct promql_buckets *b = side ? &h->negative : &h->positive;
        uint32_t n = 0;

        while (n < b->n && histogram_bound(h, (int64_t) b->index[n] - 1) < threshold)
            h->zero_count += b->count[n++];
        if (n) {
            b->index += n;
            b->count += n;
            b->n -= n;
        }
    }
    h->zero_threshold = threshold;
}

static void align_zero(struct promql_histogram *x, struct promql_histogram *rest,
                       struct promql_histogram *y) {
    while (x->zero_threshold != y->zero_threshold) {
        bool x_less = x->zero_threshold < y->zero_threshold;
        struct promql_histogram *h = x_less ? x : y;
        double want = x_less ? y->zero_threshold : x->zero_threshold;

        want = histogram_reachable_zero(h, want);
        histogram_absorb_zero(h, want);
        if (x_less && rest)
            histogram_absorb_zero(rest, want);
    }
}

bool histogram_same_bounds(const struct promql_histogram *x, const struct promql_histogram *y) {
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

int histogram_align_bounds(struct arena *a, struct promql_histogram *x,
                           struct promql_histogram *rest, struct promql_histogram *y) {
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
int histogram_align(struct arena *a, struct promql_histogram *x, struct promql_histogram *rest,
                    struct promql_histogram *y, unsigned *flags) {
    int r = 0;

    if (histogram_custom(x) != histogram_custom(y))
        return HISTOGRAM_MISMATCH;
    if (histogram_custom(x)) {
        if (histogram_same_bounds(x, y))
            return 0;
        *flags |= HISTOGRAM_RECONCILED;
        return histogram_align_bounds(a, x, rest, y);
    }
    align_zero(x, rest, y);
    int32_t schema = x->schema < y->schema ? x->schema : y->schema;
    r = histogram_to_schema(a, x, schema);
    if (r == 0 && rest)
        r = histogram_to_schema(a, rest, schema);
    return r < 0 ? r : histogram_to_schema(a, y, schema);
}

enum promql_reset_hint histogram_join_hints(enum promql_reset_hint x, enum promql_reset_hint y,
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

int buckets_merge(struct arena *a, const struct promql_buckets *x, const struct promql_buckets *y,
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
    int r = histogram_align(a, &x, NULL, &y, flags);

    if (r < 0)
        return r;
    out = arena_alloc(a, sizeof(*out));
    if (!out)
        return -ENOMEM;
    *out = x;
    out->hint = histogram_join_hints(x.hint, y.hint, flags);
    out->count += sign * y.count;
    out->sum += sign * y.sum;
    out->zero_count += sign * y.zero_count;
    r = buckets_merge(a, &x.positive, &y.positive, sign, &out->positive);
    if (r == 0)
        r = buckets_merge(a, &x.negative, &y.negative, sign, &out->negative);
    if (r == 0)
        *ret = out;
    return r;
}
