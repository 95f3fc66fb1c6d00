/*
 * Exponential histograms as Prometheus' native ones: the same buckets, whose numbers are one
 * higher, in schemas -4 … 8
 * (opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics). Pure functions;
 * memory: the arena given.
 */
#include "receive/otlp_metrics.h"

#define SCHEMA_MIN (-4)
#define SCHEMA_MAX 8
#define ZERO_THRESHOLD_DEFAULT 1e-128

/* Bucket i of a finer schema lies in this one, `shift` schemas coarser (rounds towards +Inf). */
static int64_t coarser(int64_t i, unsigned shift) {
    return shift > 62 ? i > 0 : ((i - 1) >> shift) + 1;
}

/* ---- From OTLP ---- */

static int convert(struct arena *a, const struct otlp_buckets *b, unsigned shift,
                   struct histogram_buckets *ret) {
    int32_t *index = arena_alloc(a, b->n * sizeof(*index));
    double *count = arena_alloc(a, b->n * sizeof(*count));
    size_t n = 0;

    if (!index || !count)
        return -E2BIG;
    for (size_t i = 0; i < b->n; i++) {
        if (b->counts[i] == 0)
            continue;
        int64_t at = coarser((int64_t) b->offset + (int64_t) i + 1, shift);
        if (at > INT32_MAX)
            return -EINVAL;
        if (n && index[n - 1] == at) {
            count[n - 1] += (double) b->counts[i];
            continue;
        }
        index[n] = (int32_t) at;
        count[n++] = (double) b->counts[i];
    }
    *ret = (struct histogram_buckets){n, index, count};
    return 0;
}

int otlp_native_histogram(struct arena *a, const struct otlp_point *p, struct histogram *ret,
                          struct error *e) {
    unsigned shift = p->scale > SCHEMA_MAX ? (unsigned) (p->scale - SCHEMA_MAX) : 0;
    struct histogram h = {.count = (double) p->count,
                          .sum = p->has_sum ? p->sum : 0,
                          .zero_count = (double) p->zero_count,
                          .zero_threshold = p->zero_threshold > 0 ? p->zero_threshold
                                                                  : ZERO_THRESHOLD_DEFAULT,
                          .schema = shift ? SCHEMA_MAX : p->scale};

    if (p->scale < SCHEMA_MIN)
        return error_set(e, -EINVAL,
                         "an exponential histogram of scale %d: native histograms begin at %d; "
                         "let the sender use finer buckets",
                         p->scale, SCHEMA_MIN);
    int r = convert(a, &p->positive, shift, &h.positive);
    if (r == 0)
        r = convert(a, &p->negative, shift, &h.negative);
    if (r == -EINVAL)
        return error_set(e, r, "the number of a bucket is out of range");
    if (r == 0)
        *ret = h;
    return r;
}

/* ---- Adding ---- */

/* The union of both, each made coarser by its shift. */
static int merge(struct arena *a, const struct histogram_buckets *x, unsigned x_shift,
                 const struct histogram_buckets *y, unsigned y_shift,
                 struct histogram_buckets *ret) {
    int32_t *index = arena_alloc(a, (x->n + y->n) * sizeof(*index));
    double *count = arena_alloc(a, (x->n + y->n) * sizeof(*count));
    size_t i = 0, k = 0, n = 0;

    if (!index || !count)
        return -E2BIG;
    while (i < x->n || k < y->n) {
        int64_t from_x = i < x->n ? coarser(x->index[i], x_shift) : INT64_MAX,
                from_y = k < y->n ? coarser(y->index[k], y_shift) : INT64_MAX;
        bool take_x = from_x <= from_y;
        int32_t at = (int32_t) (take_x ? from_x : from_y);
        double v = take_x ? x->count[i++] : y->count[k++];
        if (n && index[n - 1] == at) {
            count[n - 1] += v;
            continue;
        }
        index[n] = at;
        count[n++] = v;
    }
    *ret = (struct histogram_buckets){n, index, count};
    return 0;
}

static bool is_exponential(const struct histogram *h) {
    return h->schema >= SCHEMA_MIN && h->schema <= SCHEMA_MAX;
}

int otlp_histogram_add(struct arena *a, const struct histogram *x, const struct histogram *y,
                       struct histogram *ret) {
    if (!is_exponential(x) || !is_exponential(y))
        return -EINVAL;
    int schema = x->schema < y->schema ? x->schema : y->schema;
    unsigned x_shift = (unsigned) (x->schema - schema), y_shift = (unsigned) (y->schema - schema);
    struct histogram h = {
            .count = x->count + y->count,
            .sum = x->sum + y->sum,
            .zero_count = x->zero_count + y->zero_count,
            /* Buckets below the larger threshold stay as they are: the counts remain right. */
            .zero_threshold =
                    x->zero_threshold > y->zero_threshold ? x->zero_threshold : y->zero_threshold,
            .schema = schema,
    };

    int r = merge(a, &x->positive, x_shift, &y->positive, y_shift, &h.positive);
    if (r == 0)
        r = merge(a, &x->negative, x_shift, &y->negative, y_shift, &h.negative);
    if (r == 0)
        *ret = h;
    return r;
}
