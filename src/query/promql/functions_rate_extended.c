/*
 * rate, increase and delta over anchored and smoothed windows: no extrapolation; the value at each
 * end of the window is the nearest sample (anchored), or interpolated (smoothed).
 */
#include "query/promql/functions_impl.h"

#include <errno.h>

/* The samples first … last that matter: `first` is the last one at or before the window's start (or
 * 0). */
static bool bounds(const struct window *w, const int64_t *t, size_t n, size_t *ret_first,
                   size_t *ret_last) {
    size_t first = 0, last = n - 1;

    while (first < last && t[first] <= w->start)
        first++;
    if (first)
        first--;
    if (w->smoothed) {
        last = 0;
        while (last < n - 1 && t[last] < w->end)
            last++;
    }
    *ret_first = first;
    *ret_last = last;
    return t[last] > w->start && !(w->smoothed && t[first] > w->end);
}

static double interpolate(const struct window *w, size_t i, int64_t at, bool counter) {
    double a = w->v[i], b = w->v[i + 1];

    if (counter && b < a)
        a = 0;
    return a + (b - a) * (double) (at - w->t[i]) / (double) (w->t[i + 1] - w->t[i]);
}

static int extended_floats(const struct window *w, bool counter, struct point *ret) {
    size_t first, last;

    if (!bounds(w, w->t, w->n, &first, &last))
        return 0;
    double left = w->v[first], right = w->v[last];
    if (w->smoothed && w->t[first] < w->start)
        left = interpolate(w, first, w->start, counter);
    if (w->smoothed && last > 0 && w->t[last] > w->end)
        right = interpolate(w, last - 1, w->end, counter);
    ret->v = right - left;
    if (!counter)
        return 1;
    double prev = left;
    for (size_t i = first + (w->t[first] <= w->start); i <= last && w->t[i] < w->end; i++) {
        if (w->v[i] < prev)
            ret->v += prev;
        prev = w->v[i];
    }
    if (right < prev)
        ret->v += prev;
    return 1;
}

/* ---- Histograms. ---- */

struct state {
    struct eval *e;
    const struct window *w;
    unsigned flags;
};

static int cannot(struct state *s, int r) {
    if (!eval_is_mismatch(r))
        return eval_memory(s->e);
    annotate_mixed_schemas(s->e, s->w->node, metric_name(s->w->labels));
    return 0;
}

static int interpolate_histogram(struct state *s, size_t i, int64_t at, bool counter,
                                 const struct promql_histogram **ret) {
    const struct window *w = s->w;
    const struct promql_histogram *a = w->h[i], *b = w->h[i + 1];
    double part = (double) (at - w->t_h[i]) / (double) (w->t_h[i + 1] - w->t_h[i]);
    struct promql_histogram *h;
    int r = 0;

    if (at == w->t_h[i] || at == w->t_h[i + 1]) {
        *ret = at == w->t_h[i] ? a : b;
        return 0;
    }
    if (counter && histogram_reset_between(&s->e->scratch, a, b)) {
        h = histogram_copy(&s->e->arena, b);
        if (!h)
            return -ENOMEM;
        histogram_scale(h, part);
    } else {
        r = histogram_combine(&s->e->arena, b, a, -1, &h, &s->flags);
        if (r == 0) {
            histogram_scale(h, part);
            r = histogram_combine(&s->e->arena, h, a, 1, &h, &s->flags);
        }
    }
    if (r == 0)
        *ret = h;
    return r;
}

/* Adds to *sum what was counted before each reset between the two ends. */
static int correct_resets(struct state *s, size_t first, size_t last,
                          const struct promql_histogram *left, const struct promql_histogram *right,
                          struct promql_histogram **sum) {
    const struct window *w = s->w;
    struct arena *a = &s->e->arena;
    const struct promql_histogram *prev = left;
    size_t i = first + 1;

    if (w->smoothed && w->t_h[first] < w->start &&
        histogram_reset_between(&s->e->scratch, w->h[first], w->h[first + 1])) {
        /* The left end was interpolated across this reset, which is thereby accounted for. */
        prev = w->h[first + 1];
        i++;
    }
    /* The last sample is the right end, or gave it its hint: it must not be found twice. */
    if (i > last)
        return 0;
    for (; i < last; i++) {
        if (histogram_reset_between(&s->e->scratch, prev, w->h[i])) {
            int r = histogram_combine(a, *sum, prev, 1, sum, &s->flags);

            if (r < 0)
                return r;
        }
        prev = w->h[i];
    }
    return histogram_reset_between(&s->e->scratch, prev, right)
                   ? histogram_combine(a, *sum, prev, 1, sum, &s->flags)
                   : 0;
}

static bool histograms_fit(struct state *s, size_t first, size_t last, bool counter) {
    bool custom = histogram_custom(s->w->h[first]);

    for (size_t i = first; i <= last; i++) {
        if (histogram_custom(s->w->h[i]) != custom)
            return false;
        if (counter && s->w->h[i]->hint == PROMQL_GAUGE)
            annotate_not_counter(s->e, s->w->node, metric_name(s->w->labels));
    }
    return true;
}

static int extended_histograms(struct eval *e, const struct window *w, bool counter,
                               struct promql_histogram **ret) {
    struct state s = {e, w, 0};
    size_t first, last;
    int r = 0;

    if (!bounds(w, w->t_h, w->n_h, &first, &last))
        return 0;
    if (!histograms_fit(&s, first, last, counter))
        return cannot(&s, HISTOGRAM_MISMATCH);
    const struct promql_histogram *left = w->h[first], *right = w->h[last];
    if (w->smoothed && w->t_h[first] < w->start)
        r = interpolate_histogram(&s, first, w->start, counter, &left);
    if (r == 0 && w->smoothed && last > 0 && w->t_h[last] > w->end)
        r = interpolate_histogram(&s, last - 1, w->end, counter, &right);
    if (r < 0)
        return cannot(&s, r);
    if (!counter && (left->hint != PROMQL_GAUGE || right->hint != PROMQL_GAUGE))
        annotate_not_gauge(e, w->node, metric_name(w->labels));
    r = histogram_combine(&e->arena, right, left, -1, ret, &s.flags);
    if (r == 0 && counter)
        r = correct_resets(&s, first, last, left, right, ret);
    if (r < 0)
        return cannot(&s, r);
    annotate_flags(e, w->node, s.flags & HISTOGRAM_RECONCILED, "subtraction");
    (*ret)->hint = PROMQL_GAUGE;
    histogram_compact(*ret);
    return 1;
}

int extended_rate(struct eval *e, const struct window *w, bool counter, bool per_second,
                  struct point *ret) {
    double seconds = (double) w->range_ms / 1000;
    struct promql_histogram *h = NULL;
    int r;

    if (w->n && w->n_h) {
        annotate_mixed(e, w->node, metric_name(w->labels));
        return 0;
    }
    r = w->n ? extended_floats(w, counter, ret) : extended_histograms(e, w, counter, &h);
    if (r != 1)
        return r;
    ret->h = h;
    if (per_second && h)
        histogram_divide(h, seconds);
    else if (per_second)
        ret->v /= seconds;
    return 1;
}
