/* rate, increase, delta, irate, idelta, resets, changes over one window. */
#include "query/promql/functions_impl.h"

#include <errno.h>

/* A problem of two histograms: told, and no sample. */
static int cannot(struct eval *e, const struct window *w, int r) {
    if (!eval_is_mismatch(r))
        return eval_memory(e);
    annotate_mixed_schemas(e, w->node, metric_name(w->labels));
    return 0;
}

static void warn_overlap(struct eval *e, const struct window *w, const int64_t *t,
                         const int64_t *st, size_t n) {
    for (size_t i = 1; st && i < n; i++)
        if (st[i] != 0 && st[i] < t[i - 1] && st[i] != st[i - 1]) {
            annotate(
                    e, false, w->node, metric_name(w->labels),
                    "sample has start time that overlaps with previous sample timestamp for metric "
                    "\"%.*s\"",
                    SLICE_ARG(metric_name(w->labels)));
            return;
        }
}

/* What the floats rose by; each value before a reset counts once more. */
static double float_increase(struct eval *e, const struct window *w, bool counter) {
    double sum = w->v[w->n - 1] - w->v[0];

    if (!counter)
        return sum;
    if (w->st) {
        warn_overlap(e, w, w->t, w->st, w->n);
        for (size_t i = 1; i < w->n; i++)
            if (w->v[i] < w->v[i - 1] ||
                start_time_reset(w->st[i - 1], w->t[i - 1], w->st[i], w->t[i]))
                sum += w->v[i - 1];
        return sum;
    }
    for (size_t i = 1; i < w->n; i++)
        if (w->v[i] < w->v[i - 1])
            sum += w->v[i - 1];
    return sum;
}

static bool histogram_fell(struct eval *e, const struct window *w, size_t i,
                           const struct promql_histogram *prev) {
    return (w->st_h && start_time_reset(w->st_h[i - 1], w->t_h[i - 1], w->st_h[i], w->t_h[i])) ||
           histogram_reset_between(&e->scratch, prev, w->h[i]);
}

/* Looks over the window: false when layouts are mixed. */
static bool histograms_fit(struct eval *e, const struct window *w, bool counter, bool custom) {
    struct slice name = metric_name(w->labels);
    bool gauge = w->h[0]->hint == PROMQL_GAUGE;

    if (histogram_custom(w->h[w->n_h - 1]) != custom)
        return false;
    for (size_t i = 1; counter && i < w->n_h; i++) {
        gauge |= w->h[i]->hint == PROMQL_GAUGE;
        if (histogram_custom(w->h[i]) != custom)
            return false;
    }
    if (counter && gauge)
        annotate_not_counter(e, w->node, name);
    if (!counter && (w->h[0]->hint != PROMQL_GAUGE || w->h[w->n_h - 1]->hint != PROMQL_GAUGE))
        annotate_not_gauge(e, w->node, name);
    return true;
}

/* What the histograms rose by, at least two. 1, 0, negative. */
static int histogram_increase(struct eval *e, const struct window *w, bool counter,
                              struct promql_histogram **ret) {
    const struct promql_histogram *prev = w->h[0], *last = w->h[w->n_h - 1];
    struct promql_histogram empty = {0}, *sum;
    unsigned flags = 0, added = 0;
    int r;

    if (counter && histogram_fell(e, w, 1, prev)) {
        /* The first sample counts for nothing then, so its layout must not matter either. */
        empty.schema = w->h[1]->schema;
        empty.custom = w->h[1]->custom;
        empty.n_custom = w->h[1]->n_custom;
        empty.zero_threshold = w->h[1]->zero_threshold;
        prev = &empty;
    }
    if (!histograms_fit(e, w, counter, histogram_custom(prev))) {
        annotate_mixed_schemas(e, w->node, metric_name(w->labels));
        return 0;
    }
    r = histogram_combine(&e->arena, last, prev, -1, &sum, &flags);
    for (size_t i = 1; r == 0 && counter && i < w->n_h; i++)
        r = histogram_to_schema(&e->arena, sum, w->h[i]->schema);
    if (r < 0)
        return cannot(e, w, r);
    if (counter) {
        warn_overlap(e, w, w->t_h, w->st_h, w->n_h);
        for (size_t i = 1; i < w->n_h; i++) {
            if (prev != &empty && histogram_fell(e, w, i, prev))
                r = histogram_combine(&e->arena, sum, prev, 1, &sum, &added);
            if (r < 0)
                return cannot(e, w, r);
            prev = w->h[i];
        }
    }
    annotate_flags(e, w->node, flags & HISTOGRAM_RECONCILED, "subtraction");
    annotate_flags(e, w->node, added & HISTOGRAM_RECONCILED, "addition");
    sum->hint = PROMQL_GAUGE;
    histogram_compact(sum);
    *ret = sum;
    return 1;
}

/* How far a series reaches beyond its first and last sample: to the window's ends when those are
 * near, else half a sample interval; a counter never below its zero. Seconds. */
static inline double extrapolated(const struct window *w, double sampled, double average,
                                  double to_start, double to_end, bool counter, double first,
                                  double increase) {
    double threshold = average * 1.1;

    if (to_start >= threshold)
        to_start = average / 2;
    if (counter && increase > 0 && first >= 0) {
        double to_zero = sampled * (first / increase);

        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    return sampled + to_start + to_end;
}

/* How many samples the floats of the window stand for. */
static size_t samples_in(const struct window *w) {
    uint64_t n = 0;

    for (size_t i = 0; w->counts && i < w->n; i++)
        n += w->counts[i];
    return n > 1 ? n : w->n;
}

static int extrapolated_rate(struct eval *e, const struct window *w, bool counter, bool per_second,
                             struct point *ret) {
    size_t n = w->n ? w->n : w->n_h;
    const int64_t *t = w->n ? w->t : w->t_h, *st = w->n ? w->st : w->st_h;
    struct promql_histogram *h = NULL;
    double rise = 0, factor = 1;
    int r;

    if (w->anchored || w->smoothed)
        return extended_rate(e, w, counter, per_second, ret);
    if (w->n && w->n_h) {
        annotate_mixed(e, w->node, metric_name(w->labels));
        return 0;
    }
    /* A start time within the window is a sample of value zero. */
    bool began = counter && st && st[0] != 0 && st[0] > w->start && st[0] < t[0];
    if (n < 2 && !began)
        return 0;
    if (w->n) {
        rise = float_increase(e, w, counter) + (began ? w->v[0] : 0);
    } else if (n > 1) {
        r = histogram_increase(e, w, counter, &h);
        if (r != 1)
            return r;
    }
    double to_start = (double) (t[0] - w->start) / 1000,
           to_end = (double) (w->end - t[n - 1]) / 1000;
    double sampled = (double) (t[n - 1] - t[0]) / 1000;
    double average = n > 1 ? sampled / (double) ((w->n ? samples_in(w) : n) - 1) : 0;
    if (began) {
        unsigned flags = 0;

        sampled = (double) (t[n - 1] - st[0]) / 1000;
        if (!w->n) {
            h = h ? h : NULL;
            r = 0;
            if (!h)
                h = histogram_copy(&e->arena, w->h[0]);
            else
                r = histogram_combine(&e->arena, h, w->h[0], 1, &h, &flags);
            if (r < 0 || !h)
                return cannot(e, w, r);
            annotate_flags(e, w->node, flags & HISTOGRAM_RECONCILED, "addition");
            h->hint = PROMQL_GAUGE;
        }
        if (to_end >= average * 1.1)
            to_end = average / 2;
        factor = sampled != 0 ? (sampled + to_end) / sampled : 1;
    } else if (sampled != 0) {
        double first = h ? w->h[0]->count : w->v[0];

        factor = extrapolated(w, sampled, average, to_start, to_end, counter, first,
                              h ? h->count : rise) /
                 sampled;
    }
    if (per_second)
        factor /= (double) w->range_ms / 1000;
    if (h)
        histogram_scale(h, factor);
    *ret = (struct point){rise * factor, h};
    return 1;
}

/* extrapolated_rate() for all steps of a series of floats without start times. */
static inline void rate_column(const struct range_input *in, const struct promql_samples *s,
                               const uint32_t *resets, const struct grid *g, double *out,
                               bool counter, bool per_second) {
    const int64_t *t = s->float_ms;
    const double *v = s->floats;
    size_t lo = 0, hi = 0, n = s->n_floats;
    double seconds = (double) in->range_ms / 1000;

    for (size_t k = 0; k < g->n; k++) {
        struct window w = {.end = (in->fixed ? in->fixed_ms : grid_at(g, k)) - in->offset_ms};

        w.start = w.end - in->range_ms;
        while (lo < n && t[lo] <= w.start)
            lo++;
        while (hi < n && t[hi] <= w.end)
            hi++;
        if (hi < lo + 2)
            continue;
        double rise = v[hi - 1] - v[lo];
        if (counter && resets[hi - 1] != resets[lo])
            for (size_t i = lo + 1; i < hi; i++)
                if (v[i] < v[i - 1])
                    rise += v[i - 1];
        double sampled = (double) (t[hi - 1] - t[lo]) / 1000;
        double length = extrapolated(&w, sampled, sampled / (double) (hi - lo - 1),
                                     (double) (t[lo] - w.start) / 1000,
                                     (double) (w.end - t[hi - 1]) / 1000, counter, v[lo], rise);
        double factor = length / sampled;

        if (per_second)
            factor /= seconds;
        out[k] = rise * factor;
    }
}

void column_rate(const struct range_input *in, const struct promql_samples *s,
                 const uint32_t *resets, const struct grid *g, double *out) {
    rate_column(in, s, resets, g, out, true, true);
}

void column_increase(const struct range_input *in, const struct promql_samples *s,
                     const uint32_t *resets, const struct grid *g, double *out) {
    rate_column(in, s, resets, g, out, true, false);
}

void column_delta(const struct range_input *in, const struct promql_samples *s,
                  const uint32_t *resets, const struct grid *g, double *out) {
    rate_column(in, s, resets, g, out, false, false);
}

RANGE_FUNCTION(range_rate) {
    return extrapolated_rate(e, w, true, true, ret);
}

RANGE_FUNCTION(range_increase) {
    return extrapolated_rate(e, w, true, false, ret);
}

RANGE_FUNCTION(range_delta) {
    return extrapolated_rate(e, w, false, false, ret);
}

/* ---- irate, idelta. ---- */

struct timed {
    int64_t t, st;
    struct point p;
};

/* The newest two samples of both kinds, the older first; returns how many there are. */
static size_t newest_two(const struct window *w, struct timed two[2]) {
    size_t i = w->n, k = w->n_h, n = 0;

    while (n < 2 && (i || k)) {
        struct timed *s = &two[1 - n++];

        if (k == 0 || (i && w->t[i - 1] > w->t_h[k - 1])) {
            i--;
            *s = (struct timed){w->t[i], w->st ? w->st[i] : 0, {w->v[i], NULL}};
        } else {
            k--;
            *s = (struct timed){w->t_h[k], w->st_h ? w->st_h[k] : 0, {0, w->h[k]}};
        }
    }
    return n;
}

static int instant_histograms(struct eval *e, const struct window *w, const struct timed *two,
                              bool rate, struct point *ret) {
    const struct promql_histogram *a = two[0].p.h, *b = two[1].p.h;
    struct promql_histogram *h = NULL;
    unsigned flags = 0;
    int r = 0;

    if (rate && (a->hint == PROMQL_GAUGE || b->hint == PROMQL_GAUGE))
        annotate_not_counter(e, w->node, metric_name(w->labels));
    if (!rate && (a->hint != PROMQL_GAUGE || b->hint != PROMQL_GAUGE))
        annotate_not_gauge(e, w->node, metric_name(w->labels));
    if (rate && (start_time_reset(two[0].st, two[0].t, two[1].st, two[1].t) ||
                 histogram_reset_between(&e->scratch, a, b)))
        h = histogram_copy(&e->arena, b);
    else
        r = histogram_combine(&e->arena, b, a, -1, &h, &flags);
    if (r < 0 || !h)
        return cannot(e, w, r);
    annotate_flags(e, w->node, flags & HISTOGRAM_RECONCILED, "subtraction");
    h->hint = PROMQL_GAUGE;
    histogram_compact(h);
    ret->h = h;
    return 1;
}

static int instant_value(struct eval *e, const struct window *w, bool rate, struct point *ret) {
    struct timed two[2];
    int r;

    if (newest_two(w, two) < 2 || two[0].t == two[1].t)
        return 0;
    double seconds = (double) (two[1].t - two[0].t) / 1000;
    if (!two[0].p.h != !two[1].p.h) {
        annotate_mixed(e, w->node, metric_name(w->labels));
        return 0;
    }
    if (two[0].p.h) {
        r = instant_histograms(e, w, two, rate, ret);
        if (r == 1 && rate)
            histogram_divide((struct promql_histogram *) ret->h, seconds);
        return r;
    }
    bool reset = rate && (two[1].p.v < two[0].p.v ||
                          start_time_reset(two[0].st, two[0].t, two[1].st, two[1].t));
    ret->v = reset ? two[1].p.v : two[1].p.v - two[0].p.v;
    if (rate)
        ret->v /= seconds;
    return 1;
}

RANGE_FUNCTION(range_irate) {
    return instant_value(e, w, true, ret);
}

RANGE_FUNCTION(range_idelta) {
    return instant_value(e, w, false, ret);
}

/* ---- resets, changes. ---- */

/* Skips what lies before the anchor: the newest sample at or before the window's start. 0: nothing
 * is in the window. */
static int skip_to_anchor(const struct window *w, size_t *ret_i, size_t *ret_k) {
    size_t i = 0, k = 0;

    *ret_i = *ret_k = 0;
    if (!w->anchored)
        return 1;
    while (i < w->n && w->t[i] <= w->start)
        i++;
    while (k < w->n_h && w->t_h[k] <= w->start)
        k++;
    if (i == w->n && k == w->n_h)
        return 0;
    if (i && (k == 0 || w->t[i - 1] >= w->t_h[k - 1]))
        i--;
    else if (k)
        k--;
    *ret_i = i;
    *ret_k = k;
    return 1;
}

static bool is_reset(struct eval *e, const struct timed *prev, const struct timed *cur) {
    if (!prev->p.h != !cur->p.h)
        return true;
    if (start_time_reset(prev->st, prev->t, cur->st, cur->t))
        return true;
    return cur->p.h ? histogram_reset_between(&e->scratch, prev->p.h, cur->p.h)
                    : cur->p.v < prev->p.v;
}

static bool is_change(const struct timed *prev, const struct timed *cur) {
    if (!prev->p.h != !cur->p.h)
        return true;
    if (cur->p.h)
        return !histogram_equal(prev->p.h, cur->p.h);
    return cur->p.v != prev->p.v && !(isnan(cur->p.v) && isnan(prev->p.v));
}

static int count_events(struct eval *e, const struct window *w, bool resets, struct point *ret) {
    struct timed prev = {0};
    bool first = true;
    size_t i, k, n = 0;

    if (!skip_to_anchor(w, &i, &k))
        return 0;
    while (i < w->n || k < w->n_h) {
        struct timed cur;

        if (k == w->n_h || (i < w->n && w->t[i] < w->t_h[k])) {
            cur = (struct timed){w->t[i], w->st ? w->st[i] : 0, {w->v[i], NULL}};
            i++;
        } else {
            cur = (struct timed){w->t_h[k], w->st_h ? w->st_h[k] : 0, {0, w->h[k]}};
            k++;
        }
        if (!first)
            n += resets ? is_reset(e, &prev, &cur) : is_change(&prev, &cur);
        first = false;
        prev = cur;
    }
    ret->v = (double) n;
    return 1;
}

RANGE_FUNCTION(range_resets) {
    return count_events(e, w, true, ret);
}

RANGE_FUNCTION(range_changes) {
    return count_events(e, w, false, ret);
}
