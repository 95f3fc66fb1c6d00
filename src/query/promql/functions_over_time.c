/* Aggregation of one series over its window: …_over_time, deriv, predict_linear, smoothing. */
#include "query/promql/functions_impl.h"

#include <errno.h>

/* ---- Sums and means. ---- */

static double float_mean(const struct window *w) {
    double sum = w->v[0], rest = 0, mean = 0, n = 1;
    bool incremental = false;

    for (size_t i = 1; i < w->n; i++) {
        double x = w->v[i];

        n = (double) (i + 1);
        if (!incremental) {
            double next = sum, next_rest = rest;

            kahan_add(x, &next, &next_rest);
            if (!isinf(next)) {
                sum = next;
                rest = next_rest;
                continue;
            }
            /* The sum overflows, the mean need not. */
            incremental = true;
            mean = sum / (n - 1);
            rest /= n - 1;
        }
        double q = (n - 1) / n;
        mean *= q;
        rest *= q;
        kahan_add(x / n, &mean, &rest);
    }
    return incremental ? mean + rest : sum / n + rest / n;
}

static double float_sum(const struct window *w) {
    double sum = 0, rest = 0;

    for (size_t i = 0; i < w->n; i++)
        kahan_add(w->v[i], &sum, &rest);
    return isinf(sum) ? sum : sum + rest;
}

static double float_count(const struct window *w) {
    uint64_t n = w->counts ? 0 : w->n;

    for (size_t i = 0; w->counts && i < w->n; i++)
        n += w->counts[i];
    return (double) n;
}

/* Sum or mean of the histograms. 1, 0, negative. */
static int histogram_total(struct eval *e, const struct window *w, bool mean, struct point *ret) {
    struct histogram_mean m = {0};
    bool reset = false, not_reset = false;
    unsigned flags = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < w->n_h; i++) {
        reset |= w->h[i]->hint == PROMQL_RESET;
        not_reset |= w->h[i]->hint == PROMQL_NOT_RESET;
        r = mean ? histogram_mean_add(&e->arena, &m, w->h[i], &flags)
                 : histogram_sum_add(&e->arena, &m.sum, w->h[i], &flags);
    }
    if (eval_is_mismatch(r)) {
        annotate_mixed_schemas(e, w->node, metric_name(w->labels));
        return 0;
    }
    if (r < 0)
        return eval_memory(e);
    flags &= ~HISTOGRAM_COLLISION;
    if (reset && not_reset)
        flags |= HISTOGRAM_COLLISION;
    annotate_flags(e, w->node, flags, "aggregation");
    ret->h = mean ? histogram_mean_finish(&m) : histogram_sum_finish(&m.sum);
    return 1;
}

static int total(struct eval *e, const struct window *w, bool mean, struct point *ret) {
    if (w->n && w->n_h) {
        annotate_mixed(e, w->node, metric_name(w->labels));
        return 0;
    }
    if (!w->n)
        return histogram_total(e, w, mean, ret);
    if (mean && w->counts)
        ret->v = float_sum(w) / float_count(w);
    else
        ret->v = mean ? float_mean(w) : float_sum(w);
    return 1;
}

RANGE_FUNCTION(range_avg) {
    return total(e, w, true, ret);
}

RANGE_FUNCTION(range_sum) {
    return total(e, w, false, ret);
}

RANGE_FUNCTION(range_count) {
    ret->v = float_count(w) + (double) w->n_h;
    return 1;
}

RANGE_FUNCTION(range_present) {
    ret->v = 1;
    return 1;
}

/* ---- Picking one sample. ---- */

/* For functions of floats: whether there is one; tells of ignored histograms. */
static bool floats_only(struct eval *e, const struct window *w, size_t least) {
    if (w->n && w->n_h)
        annotate_ignored_range(e, w->node, metric_name(w->labels));
    return w->n >= least;
}

/* Index of the extreme; `ties`: of equal ones the last. */
static size_t extreme(const struct window *w, bool max, bool ties) {
    size_t best = 0;

    for (size_t i = 0; i < w->n; i++) {
        double x = w->v[i], y = w->v[best];
        bool better = max ? x > y || (ties && x == y) : x < y || (ties && x == y);

        if (better || isnan(y))
            best = i;
    }
    return best;
}

RANGE_FUNCTION(range_min) {
    if (!floats_only(e, w, 1))
        return 0;
    ret->v = w->v[extreme(w, false, false)];
    return 1;
}

RANGE_FUNCTION(range_max) {
    if (!floats_only(e, w, 1))
        return 0;
    ret->v = w->v[extreme(w, true, false)];
    return 1;
}

RANGE_FUNCTION(range_ts_of_min) {
    if (!floats_only(e, w, 1))
        return 0;
    ret->v = (double) w->t[extreme(w, false, true)] / 1000;
    return 1;
}

RANGE_FUNCTION(range_ts_of_max) {
    if (!floats_only(e, w, 1))
        return 0;
    ret->v = (double) w->t[extreme(w, true, true)] / 1000;
    return 1;
}

RANGE_FUNCTION(range_first) {
    if (w->n && (!w->n_h || w->t[0] < w->t_h[0]))
        ret->v = w->v[0];
    else
        ret->h = w->h[0];
    return 1;
}

RANGE_FUNCTION(range_last) {
    if (w->n && (!w->n_h || w->t[w->n - 1] > w->t_h[w->n_h - 1]))
        ret->v = w->v[w->n - 1];
    else
        ret->h = w->h[w->n_h - 1];
    return 1;
}

RANGE_FUNCTION(range_ts_of_first) {
    int64_t t = w->n ? w->t[0] : INT64_MAX;

    if (w->n_h && w->t_h[0] < t)
        t = w->t_h[0];
    ret->v = (double) t / 1000;
    return 1;
}

RANGE_FUNCTION(range_ts_of_last) {
    int64_t t = w->n ? w->t[w->n - 1] : INT64_MIN;

    if (w->n_h && w->t_h[w->n_h - 1] > t)
        t = w->t_h[w->n_h - 1];
    ret->v = (double) t / 1000;
    return 1;
}

/* ---- Spread. ---- */

static double variance(const struct window *w) {
    double mean = 0, mean_rest = 0, sum = 0, rest = 0;

    for (size_t i = 0; i < w->n; i++) {
        double delta = w->v[i] - (mean + mean_rest);

        kahan_add(delta / (double) (i + 1), &mean, &mean_rest);
        kahan_add(delta * (w->v[i] - (mean + mean_rest)), &sum, &rest);
    }
    return (sum + rest) / (double) w->n;
}

RANGE_FUNCTION(range_stdvar) {
    if (!floats_only(e, w, 1))
        return 0;
    ret->v = variance(w);
    return 1;
}

RANGE_FUNCTION(range_stddev) {
    if (!floats_only(e, w, 1))
        return 0;
    ret->v = sqrt(variance(w));
    return 1;
}

static int compare_values(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;

    if (isnan(x) || isnan(y))
        return isnan(y) - isnan(x); /* NaN first */
    return (x > y) - (x < y);
}

double quantile_of(double *v, size_t n, double q) {
    if (n == 0 || isnan(q))
        return NAN;
    if (q < 0 || q > 1)
        return q < 0 ? -INFINITY : INFINITY;
    qsort(v, n, sizeof(*v), compare_values);
    double rank = q * (double) (n - 1), low = floor(rank), weight = rank - low;
    size_t i = (size_t) low, k = i + 1 < n ? i + 1 : n - 1;

    return v[i] * (1 - weight) + v[k] * weight;
}

static double *copy_values(struct eval *e, const struct window *w) {
    double *v = arena_alloc(&e->scratch, w->n * sizeof(*v));

    if (v)
        memcpy(v, w->v, w->n * sizeof(*v));
    return v;
}

RANGE_FUNCTION(range_quantile) {
    if (!floats_only(e, w, 1))
        return 0;
    if (!(args[0] >= 0 && args[0] <= 1))
        annotate_quantile(e, call->call.args[0], args[0]);
    arena_clear(&e->scratch);
    double *v = copy_values(e, w);
    if (!v)
        return eval_memory(e);
    ret->v = quantile_of(v, w->n, args[0]);
    return 1;
}

RANGE_FUNCTION(range_mad) {
    if (!floats_only(e, w, 1))
        return 0;
    arena_clear(&e->scratch);
    double *v = copy_values(e, w);
    if (!v)
        return eval_memory(e);
    ret->v = NAN;
    for (size_t i = 0; i < w->n; i++)
        if (isnan(v[i]))
            return 1;
    double median = quantile_of(v, w->n, 0.5);
    for (size_t i = 0; i < w->n; i++)
        v[i] = fabs(v[i] - median);
    ret->v = quantile_of(v, w->n, 0.5);
    return 1;
}

/* ---- Trends. ---- */

/* Least squares; the intercept is at time `at`. */
static void regression(const struct window *w, int64_t at, double *ret_slope,
                       double *ret_intercept) {
    double x_sum = 0, x_rest = 0, y_sum = 0, y_rest = 0, xy_sum = 0, xy_rest = 0;
    double xx_sum = 0, xx_rest = 0, n = (double) w->n;
    bool constant = true;

    for (size_t i = 0; i < w->n; i++) {
        double x = (double) (w->t[i] - at) / 1000, y = w->v[i];

        constant = constant && y == w->v[0];
        kahan_add(x, &x_sum, &x_rest);
        kahan_add(y, &y_sum, &y_rest);
        kahan_add(x * y, &xy_sum, &xy_rest);
        kahan_add(x * x, &xx_sum, &xx_rest);
    }
    if (constant) {
        bool infinite = isinf(w->v[0]);

        *ret_slope = infinite ? (double) NAN : 0;
        *ret_intercept = infinite ? (double) NAN : w->v[0];
        return;
    }
    x_sum += x_rest;
    y_sum += y_rest;
    xy_sum += xy_rest;
    xx_sum += xx_rest;
    *ret_slope = (xy_sum - x_sum * y_sum / n) / (xx_sum - x_sum * x_sum / n);
    *ret_intercept = y_sum / n - *ret_slope * x_sum / n;
}

RANGE_FUNCTION(range_deriv) {
    double intercept;

    if (!floats_only(e, w, 2))
        return 0;
    regression(w, w->t[0], &ret->v, &intercept);
    return 1;
}

RANGE_FUNCTION(range_predict_linear) {
    double slope, intercept;

    if (!floats_only(e, w, 2))
        return 0;
    regression(w, w->ts, &slope, &intercept);
    ret->v = slope * args[0] + intercept;
    return 1;
}

/* Holt's linear method. */
RANGE_FUNCTION(range_smoothing) {
    double factor = args[0], trend_factor = args[1];

    if (!(factor > 0 && factor < 1))
        return eval_fail(e, PROMQL_EXECUTION,
                         "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", factor);
    if (!(trend_factor > 0 && trend_factor < 1))
        return eval_fail(e, PROMQL_EXECUTION, "invalid trend factor. Expected: 0 < tf < 1, got: %f",
                         trend_factor);
    if (!floats_only(e, w, 2))
        return 0;
    double before = 0, level = w->v[0], trend = w->v[1] - w->v[0];
    for (size_t i = 1; i < w->n; i++) {
        if (i > 1)
            trend = trend_factor * (level - before) + (1 - trend_factor) * trend;
        double next = factor * w->v[i] + (1 - factor) * (level + trend);

        before = level;
        level = next;
    }
    ret->v = level;
    return 1;
}
