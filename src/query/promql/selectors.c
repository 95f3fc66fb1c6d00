/*
 * Selectors: samples from the source, instant vectors by lookback (or, smoothed, by interpolation),
 * and the windows of range vectors. Arrays of the source are used where they lie.
 */
#include "query/promql/engine.h"

#include <errno.h>
#include <stdio.h>

/* ---- Samples from the source. ---- */

struct collector {
    struct eval *e;
    struct range_input *out;
    bool keep_stale, stats;
};

static bool stale_floats(const struct promql_samples *s) {
    uint64_t any = 0;

    for (size_t i = 0; i < s->n_floats; i++)
        any |= is_absent(s->floats[i]);
    return any;
}

static int drop_stale_floats(struct eval *e, struct promql_samples *s) {
    int64_t *t = arena_alloc(&e->arena, s->n_floats * sizeof(*t));
    double *v = arena_alloc(&e->arena, s->n_floats * sizeof(*v));
    int64_t *st = s->float_start_ms ? arena_alloc(&e->arena, s->n_floats * sizeof(*st)) : NULL;
    uint32_t *c = s->float_counts ? arena_alloc(&e->arena, s->n_floats * sizeof(*c)) : NULL;
    size_t n = 0;

    if (!t || !v || (s->float_start_ms && !st) || (s->float_counts && !c))
        return eval_memory(e);
    for (size_t i = 0; i < s->n_floats; i++) {
        if (is_absent(s->floats[i]))
            continue;
        t[n] = s->float_ms[i];
        v[n] = s->floats[i];
        if (st)
            st[n] = s->float_start_ms[i];
        if (c)
            c[n] = s->float_counts[i];
        n++;
    }
    s->float_ms = t;
    s->floats = v;
    s->float_start_ms = st;
    s->float_counts = c;
    s->n_floats = n;
    return 0;
}

/* For count, sum and mean the buckets are not needed; but the resets that only they show are. */
static struct promql_histogram *stats_of(struct eval *e, const struct promql_histogram *h,
                                         const struct promql_histogram *prev) {
    struct promql_histogram *c = arena_alloc(&e->arena, sizeof(*c));

    if (!c)
        return NULL;
    *c = *h;
    c->positive.n = c->negative.n = 0;
    c->zero_count = c->zero_threshold = 0;
    c->n_custom = 0;
    c->custom = NULL;
    if (h->hint == PROMQL_RESET_UNKNOWN && prev)
        c->hint = histogram_reset_between(&e->scratch, prev, h) ? PROMQL_RESET : PROMQL_NOT_RESET;
    return c;
}

static int own_histograms(struct collector *c, struct promql_samples *s) {
    struct eval *e = c->e;
    const struct promql_histogram **h = arena_alloc(&e->arena, s->n_histograms * sizeof(*h));
    int64_t *t = arena_alloc(&e->arena, s->n_histograms * sizeof(*t));
    int64_t *st = arena_alloc(&e->arena, s->n_histograms * sizeof(*st));
    const struct promql_histogram *prev = NULL;
    size_t n = 0;

    if (!h || !t || !st)
        return eval_memory(e);
    for (size_t i = 0; i < s->n_histograms; i++) {
        const struct promql_histogram *x = s->histograms[i];
        bool stale = histogram_is_stale(x);

        if (stale && !c->keep_stale)
            continue;
        h[n] = x;
        if (c->stats && !stale) {
            h[n] = stats_of(e, x, prev);
            prev = x;
            if (!h[n])
                return eval_memory(e);
        }
        t[n] = s->histogram_ms[i];
        st[n++] = s->histogram_start_ms ? s->histogram_start_ms[i] : 0;
    }
    arena_clear(&e->scratch);
    s->histogram_ms = t;
    s->histograms = h;
    if (s->histogram_start_ms)
        s->histogram_start_ms = st;
    s->n_histograms = n;
    return 0;
}

/* Takes out what is not wanted. */
static int own_samples(void *ctx, struct promql_samples *s) {
    struct collector *c = ctx;
    int r = eval_hold(c->e, s->n_floats + s->n_histograms * 8);

    if (r == 0 && !c->keep_stale && stale_floats(s))
        r = drop_stale_floats(c->e, s);
    if (r == 0 && s->n_histograms)
        r = own_histograms(c, s);
    return r;
}

static int collect(void *ctx, const struct promql_samples *samples) {
    struct collector *c = ctx;
    struct eval *e = c->e;
    struct range_input *out = c->out;
    struct promql_samples s = *samples;
    int r = eval_tick(e, 16 + s.n_floats + s.n_histograms);

    e->samples += s.n_floats + s.n_histograms;
    if (r == 0 && out->passing)
        return pass_series(e, out->passing, &(struct range_series){s, false}, own_samples, c);
    if (r == 0)
        r = own_samples(c, &s);
    if (r < 0)
        return r;
    if (out->n == out->allocated) {
        size_t want = out->allocated ? out->allocated * 2 : 16;
        struct range_series *items = arena_alloc(&e->arena, want * sizeof(*items));

        if (!items)
            return eval_memory(e);
        if (out->n)
            memcpy(items, out->items, out->n * sizeof(*items));
        out->items = items;
        out->allocated = want;
    }
    out->items[out->n++] = (struct range_series){s, false};
    return 0;
}

int select_series(struct eval *e, const struct node *at, const struct promql_matcher *m, size_t n_m,
                  int64_t from, int64_t to, const struct promql_hints *hints, bool keep_stale,
                  struct range_input *ret) {
    struct collector c = {e, ret, keep_stale, e->stats_root != NULL};
    struct promql_error error = {0};
    int r = e->source->select(e->source, m, n_m, from, to, hints, &e->arena, collect, &c, &error);

    if (r >= 0 || e->error->kind != PROMQL_OK)
        return r < 0 ? r : 0;
    if (r == -ENOMEM && error.kind == PROMQL_OK)
        return eval_memory(e);
    return eval_fail(e, error.kind ? error.kind : PROMQL_STORAGE, "%s",
                     error.text[0] ? error.text : "reading samples failed");
}

/* First index with t[i] > at. */
size_t first_after(const int64_t *t, size_t n, int64_t at) {
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t[mid] > at)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* ---- Instant selectors. ---- */

struct instant {
    int64_t offset_ms, lookback_ms;
    bool fixed;
    int64_t fixed_ms;
    enum selector_mode mode;
    const struct node *n;
    const struct grid *g;
};

static int64_t reference(const struct instant *in, const struct grid *g, size_t k) {
    return (in->fixed ? in->fixed_ms : grid_at(g, k)) - in->offset_ms;
}

/* The newest sample in (ref - lookback, ref] at each step. */
static int fill_latest(struct eval *e, const struct instant *in, const struct grid *g,
                       const struct promql_samples *s, struct series *out) {
    size_t i = 0, k_h = 0;

    i = first_after(s->float_ms, s->n_floats, reference(in, g, 0));
    k_h = first_after(s->histogram_ms, s->n_histograms, reference(in, g, 0));
    for (size_t k = 0; k < g->n; k++) {
        int64_t ref = reference(in, g, k), t = INT64_MIN;
        const struct promql_histogram *h = NULL;

        while (i < s->n_floats && s->float_ms[i] <= ref)
            i++;
        while (k_h < s->n_histograms && s->histogram_ms[k_h] <= ref)
            k_h++;
        if (i)
            t = s->float_ms[i - 1];
        if (k_h && s->histogram_ms[k_h - 1] >= t) {
            t = s->histogram_ms[k_h - 1];
            h = s->histograms[k_h - 1];
        }
        if (t == INT64_MIN || t <= ref - in->lookback_ms)
            continue;
        if (h ? histogram_is_stale(h) : is_absent(s->floats[i - 1]))
            continue;
        if (in->mode == SELECT_TIMES) {
            out->v[k] = (double) t / 1000;
        } else if (in->mode == SELECT_START_TIMES) {
            const int64_t *st = h ? s->histogram_start_ms : s->float_start_ms;
            out->v[k] = st ? (double) st[h ? k_h - 1 : i - 1] / 1000 : 0;
        } else if (series_set(e, out, g, k, (struct point){h ? 0 : s->floats[i - 1], h}) < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* Histogram at `ref` between two others. 1, 0 (cannot), negative. */
static int interpolate_histograms(struct eval *e, const struct node *n,
                                  const struct promql_samples *s, size_t i, int64_t ref,
                                  struct point *ret) {
    const struct promql_histogram *a = s->histograms[i], *b = s->histograms[i + 1];
    double part = (double) (ref - s->histogram_ms[i]) /
                  (double) (s->histogram_ms[i + 1] - s->histogram_ms[i]);
    bool counter = a->hint != PROMQL_GAUGE && b->hint != PROMQL_GAUGE;
    struct promql_histogram *x;
    unsigned flags = 0;
    int r;

    if (counter && !(histogram_custom(a) != histogram_custom(b)) &&
        histogram_reset_between(&e->arena, a, b)) {
        x = histogram_copy(&e->arena, b);
        if (!x)
            return eval_memory(e);
        histogram_scale(x, part);
        ret->h = x;
        return 1;
    }
    r = histogram_combine(&e->arena, b, a, -1, &x, &flags);
    if (r == 0) {
        histogram_scale(x, part);
        r = histogram_combine(&e->arena, x, a, 1, &x, &flags);
    }
    if (eval_is_mismatch(r)) {
        annotate_mixed_schemas(e, n, metric_name(s->labels));
        return 0;
    }
    if (r < 0)
        return eval_memory(e);
    annotate_flags(e, n, flags & HISTOGRAM_RECONCILED, "addition");
    ret->h = x;
    return 1;
}

/* Interpolates between the samples around ref, both within the lookback; behind the last one it
 * stays. */
static int fill_smoothed(struct eval *e, const struct node *n, const struct instant *in,
                         const struct grid *g, const struct promql_samples *s, struct series *out) {
    for (size_t k = 0; k < g->n; k++) {
        int64_t ref = reference(in, g, k);
        size_t lo = first_after(s->float_ms, s->n_floats, ref - in->lookback_ms);
        size_t hi = first_after(s->float_ms, s->n_floats, ref + in->lookback_ms);
        size_t lo_h = first_after(s->histogram_ms, s->n_histograms, ref - in->lookback_ms);
        size_t hi_h = first_after(s->histogram_ms, s->n_histograms, ref + in->lookback_ms);
        struct point p = {0};
        int r = 1;

        if (lo < hi && lo_h < hi_h) {
            annotate_mixed(e, n, metric_name(s->labels));
            continue;
        }
        if (lo < hi) {
            size_t i = first_after(s->float_ms, s->n_floats, ref);

            if (i == lo)
                continue; /* nothing before */
            i--;
            p.v = s->floats[i];
            if (s->float_ms[i] < ref && i + 1 < hi)
                p.v += (s->floats[i + 1] - p.v) * (double) (ref - s->float_ms[i]) /
                       (double) (s->float_ms[i + 1] - s->float_ms[i]);
        } else if (lo_h < hi_h) {
            size_t i = first_after(s->histogram_ms, s->n_histograms, ref);

            if (i == lo_h)
                continue;
            i--;
            p.h = s->histograms[i];
            if (s->histogram_ms[i] < ref && i + 1 < hi_h)
                r = interpolate_histograms(e, n, s, i, ref, &p);
        } else {
            continue;
        }
        if (r == 1)
            r = series_set(e, out, g, k, p);
        if (r < 0)
            return r;
    }
    return 0;
}

static int fill(struct eval *e, const struct instant *in, const struct promql_samples *samples,
                struct series *out) {
    int r = in->n->selector.smoothed && in->mode == SELECT_VALUES
                    ? fill_smoothed(e, in->n, in, in->g, samples, out)
                    : fill_latest(e, in, in->g, samples, out);

    return r < 0 ? r : eval_tick(e, in->g->n + 16);
}

/* Reads the selector's series, into ret->passing or into ret. */
static int read_instant(struct eval *e, const struct node *n, const struct grid *g,
                        enum selector_mode mode, struct instant *in, struct range_input *ret) {
    const struct selector *s = &n->selector;
    struct promql_hints hints = {.step_ms = g->step,
                                 .lookback_ms = e->options.lookback_ms,
                                 .passing = ret->passing != NULL,
                                 .series_bytes = ret->passing ? 0 : g->n * sizeof(double)};

    *in = (struct instant){.lookback_ms = e->options.lookback_ms, .mode = mode, .n = n, .g = g};
    int r = eval_duration_ms(e, s->offset, false, &in->offset_ms);
    if (r < 0)
        return r;
    in->fixed = s->at.kind != AT_NONE;
    in->fixed_ms = at_ms(e, &s->at);
    if (!in->fixed && !s->smoothed)
        hints.window_ms = in->lookback_ms;
    return select_series(e, n, s->matchers, s->n_matchers,
                         reference(in, g, 0) - in->lookback_ms + 1,
                         reference(in, g, g->n - 1) + (s->smoothed ? in->lookback_ms : 0), &hints,
                         !s->smoothed, ret);
}

int eval_selector(struct eval *e, const struct node *n, const struct grid *g,
                  enum selector_mode mode, struct value *ret) {
    struct range_input input = {0};
    struct instant in;
    int r = read_instant(e, n, g, mode, &in, &input);

    ret->type = PROMQL_VECTOR;
    for (size_t i = 0; r == 0 && i < input.n; i++) {
        const struct promql_samples *samples = &input.items[i].samples;
        struct series *out = vector_add(e, &ret->vector, g, samples->labels, false);

        if (!out)
            return -ENOMEM;
        r = fill(e, &in, samples, out);
        if (!series_any(out, g->n))
            ret->vector.n--;
    }
    return r;
}

static int fill_passing(struct eval *e, void *ctx, const struct range_series *s,
                        struct series *out) {
    const struct instant *in = ctx;
    int r = fill(e, in, &s->samples, out);

    return r < 0 ? r : series_any(out, in->g->n);
}

int eval_selector_each(struct eval *e, const struct node *n, const struct grid *g,
                       struct passing *p) {
    struct range_input input = {.passing = p};
    struct instant in;

    p->fill = fill_passing;
    p->fill_ctx = &in;
    return read_instant(e, n, g, SELECT_VALUES, &in, &input);
}
