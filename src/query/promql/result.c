/* Starting an evaluation and handing its result over: columns, sorted, in an arena of their own. */
#include "query/promql/engine.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

#define LOOKBACK_MS_DEFAULT 300000
#define SUBQUERY_STEP_MS_DEFAULT 60000
#define TIMEOUT_MS_DEFAULT 120000
#define MEMORY_BYTES_DEFAULT ((size_t) 512 << 20)
#define SAMPLES_DEFAULT 50000000
#define STEPS_DEFAULT 11000
#define NOTES_BYTES_MAX (1u << 20)
#define TIME_MS_MAX INT64_C(9000000000000000)

static void set_options(struct eval *e, const struct promql_options *o) {
    struct promql_options x = o ? *o : (struct promql_options){0};

    if (!x.lookback_ms)
        x.lookback_ms = LOOKBACK_MS_DEFAULT;
    if (!x.subquery_step_ms)
        x.subquery_step_ms = SUBQUERY_STEP_MS_DEFAULT;
    if (!x.timeout_ms)
        x.timeout_ms = TIMEOUT_MS_DEFAULT;
    if (!x.memory_bytes_max)
        x.memory_bytes_max = MEMORY_BYTES_DEFAULT;
    if (!x.samples_max)
        x.samples_max = SAMPLES_DEFAULT;
    if (!x.steps_max)
        x.steps_max = STEPS_DEFAULT;
    if (x.steps_max > PROMQL_STEPS_MAX)
        x.steps_max = PROMQL_STEPS_MAX;
    e->options = x;
    e->deadline_ns = clock_monotonic_ns() + x.timeout_ms * NS_PER_MS;
    arena_init(&e->arena, x.memory_bytes_max);
    arena_init(&e->scratch, x.memory_bytes_max / 2);
    arena_init(&e->notes, NOTES_BYTES_MAX);
}

/* Deferred removal of names, after which equal label sets become one. */
static int clean_names(struct eval *e, struct vector *v) {
    for (size_t i = 0; i < v->n; i++) {
        struct series *s = &v->items[i];

        if (s->drop_name)
            s->labels = labels_drop_name(&e->arena, s->labels);
        if (!s->labels)
            return eval_memory(e);
    }
    return vector_merge(e, v, &e->grid);
}

static int compare_columns(const void *a, const void *b) {
    const struct promql_column *x = a, *y = b;

    return labels_compare(x->labels, y->labels);
}

static int fill_column(struct eval *e, const int64_t *times, const struct series *s,
                       struct promql_column *c) {
    size_t n = 0, count = 0, n_h = 0, steps = e->grid.n;

    for (size_t i = 0; i < steps; i++) {
        count += series_has(s, i);
        n_h += s->h && s->h[i];
    }
    *c = (struct promql_column){.labels = s->labels, .n = count};
    if (count == steps && n_h == 0) {
        c->times_ms = times;
        c->values = s->v;
        return 0;
    }
    int64_t *t = arena_alloc(&e->arena, count * sizeof(*t));
    double *v = arena_alloc(&e->arena, count * sizeof(*v));
    const struct promql_histogram **h = n_h ? arena_alloc(&e->arena, count * sizeof(*h)) : NULL;
    if (!t || !v || (n_h && !h))
        return eval_memory(e);
    for (size_t i = 0; i < steps; i++) {
        if (!series_has(s, i))
            continue;
        t[n] = times[i];
        v[n] = s->h && s->h[i] ? 0 : s->v[i];
        if (h)
            h[n] = s->h ? s->h[i] : NULL;
        n++;
    }
    c->times_ms = t;
    c->values = v;
    c->histograms = h;
    return 0;
}

static int fill_columns(struct eval *e, struct value *v, struct promql_result *ret) {
    struct promql_column *columns = arena_array(&e->arena, struct promql_column, v->vector.n);
    int64_t *times = arena_alloc(&e->arena, e->grid.n * sizeof(*times));
    size_t n = 0;
    int r = columns && times ? 0 : eval_memory(e);

    for (size_t i = 0; r == 0 && i < e->grid.n; i++)
        times[i] = grid_at(&e->grid, i);
    for (size_t i = 0; r == 0 && i < v->vector.n; i++) {
        r = fill_column(e, times, &v->vector.items[i], &columns[n]);
        if (r == 0 && columns[n].n)
            n++;
        if (r == 0)
            r = eval_tick(e, e->grid.n);
    }
    if (r < 0)
        return r;
    if (e->range)
        qsort(columns, n, sizeof(*columns), compare_columns);
    ret->columns = columns;
    ret->n_columns = n;
    return 0;
}

/* A range vector by itself: the samples of the window as they are. */
static int fill_matrix(struct eval *e, const struct node *n, struct promql_result *ret) {
    struct range_input in;
    int r = eval_range_input(e, n, &e->grid, SLICE_EMPTY, NULL, &in);
    struct promql_column *columns =
            r == 0 ? arena_array(&e->arena, struct promql_column, in.n) : NULL;

    if (r == 0 && !columns)
        r = eval_memory(e);
    for (size_t i = 0; r == 0 && i < in.n; i++) {
        const struct range_series *s = &in.items[i];
        struct promql_column *c = &columns[ret->n_columns];
        struct window w = {0};
        size_t at[4] = {0}, a = 0, b = 0, k = 0;

        window_move(&in, s, &e->grid, 0, at, &w);
        size_t count = w.n + w.n_h;
        int64_t *t = arena_alloc(&e->arena, count * sizeof(*t));
        double *v = arena_alloc(&e->arena, count * sizeof(*v));
        const struct promql_histogram **h = arena_zalloc(&e->arena, count, sizeof(*h));
        if (!t || !v || !h)
            return eval_memory(e);
        for (; a < w.n || b < w.n_h; k++) {
            bool is_float = b == w.n_h || (a < w.n && w.t[a] < w.t_h[b]);

            t[k] = is_float ? w.t[a] : w.t_h[b];
            v[k] = is_float ? w.v[a] : 0;
            h[k] = is_float ? NULL : w.h[b];
            a += is_float;
            b += !is_float;
        }
        if (count == 0)
            continue;
        *c = (struct promql_column){s->drop_name ? labels_drop_name(&e->arena, s->samples.labels)
                                                 : s->samples.labels,
                                    count, t, v, w.n_h ? h : NULL};
        if (!c->labels)
            return eval_memory(e);
        ret->n_columns++;
    }
    ret->columns = columns;
    if (r == 0 && ret->n_columns)
        qsort(columns, ret->n_columns, sizeof(*columns), compare_columns);
    return r;
}

static int run(struct eval *e, struct promql_result *ret) {
    const struct node *root = e->query->root;
    struct value v;
    int r;

    if (root->type == PROMQL_MATRIX && !e->range) {
        ret->type = PROMQL_MATRIX;
        return fill_matrix(e, root, ret);
    }
    if (root->type != PROMQL_SCALAR && root->type != PROMQL_VECTOR && e->range)
        return eval_fail(
                e, PROMQL_BAD_QUERY,
                "invalid expression type \"%s\" for range query, must be Scalar or instant "
                "Vector",
                promql_type_name(root->type));
    r = eval_node(e, root, &e->grid, &v);
    if (r < 0)
        return r;
    ret->type = e->range ? PROMQL_MATRIX : v.type;
    if (v.type == PROMQL_STRING) {
        ret->string = arena_dup(&e->arena, v.string);
        return ret->string.data ? 0 : eval_memory(e);
    }
    if (v.type == PROMQL_SCALAR) {
        struct series *s = arena_array(&e->arena, struct series, 1);

        if (!s)
            return eval_memory(e);
        *s = (struct series){&promql_no_labels, false, v.scalar, NULL};
        v.vector = (struct vector){s, 1, 1};
    } else {
        r = clean_names(e, &v.vector);
    }
    return r < 0 ? r : fill_columns(e, &v, ret);
}

/* Makes the result, which owns the arena from here on. */
static int finish(struct eval *e, int r, struct promql_result **ret) {
    struct promql_result *out = r == 0 ? arena_new(&e->arena, struct promql_result) : NULL;
    struct promql_annotation *a =
            out ? arena_array(&e->arena, struct promql_annotation, e->n_annotations) : NULL;

    if (r == 0 && !a)
        r = eval_memory(e);
    for (size_t i = 0; r == 0 && i < e->n_annotations; i++) {
        struct slice text = arena_dup(&e->arena, slice_from(e->annotations[i].text));

        if (!text.data)
            r = eval_memory(e);
        a[i] = (struct promql_annotation){e->annotations[i].info, (const char *) text.data};
    }
    arena_done(&e->scratch);
    arena_done(&e->notes);
    if (r < 0) {
        arena_done(&e->arena);
        return r;
    }
    out->annotations = a;
    out->n_annotations = e->n_annotations;
    *ret = out;
    return 0;
}

static int evaluate(struct eval *e, struct promql_result **ret) {
    struct promql_result result = {0}, *out = NULL;
    int r = run(e, &result);

    r = finish(e, r, &out);
    if (r < 0)
        return r;
    result.annotations = out->annotations;
    result.n_annotations = out->n_annotations;
    result.samples = e->samples;
    result.memory_bytes = e->arena.used;
    *out = result;
    out->arena = e->arena;
    *ret = out;
    return 0;
}

static bool time_ok(int64_t ms) {
    return ms > -TIME_MS_MAX && ms < TIME_MS_MAX;
}

int promql_eval_instant(const struct promql_query *q, struct promql_source *source, int64_t at,
                        const struct promql_options *options, struct promql_result **ret,
                        struct promql_error *e) {
    struct eval ev = {.query = q, .source = source, .error = e, .grid = {at, 1, 1}, .end_ms = at};

    *e = (struct promql_error){0};
    if (!time_ok(at)) {
        ev.error->kind = PROMQL_BAD_QUERY;
        snprintf(e->text, sizeof(e->text), "the evaluation time is out of bounds");
        return -EINVAL;
    }
    set_options(&ev, options);
    return evaluate(&ev, ret);
}

int promql_eval_range(const struct promql_query *q, struct promql_source *source, int64_t from,
                      int64_t to, int64_t step, const struct promql_options *options,
                      struct promql_result **ret, struct promql_error *e) {
    struct eval ev = {.query = q, .source = source, .error = e, .end_ms = to, .range = true};

    *e = (struct promql_error){0};
    set_options(&ev, options);
    if (!time_ok(from) || !time_ok(to) || step <= 0 || step > TIME_MS_MAX || to < from)
        return eval_fail(&ev, PROMQL_BAD_QUERY,
                         "a range query wants start ≤ end and a step greater than 0");
    uint64_t n = (uint64_t) (to - from) / (uint64_t) step + 1;
    if (n > ev.options.steps_max)
        return eval_fail(&ev, PROMQL_BAD_QUERY,
                         "exceeded maximum resolution of %zu points per timeseries. Try decreasing "
                         "the query resolution (?step=XX)",
                         ev.options.steps_max);
    ev.grid = (struct grid){from, step, (size_t) n};
    return evaluate(&ev, ret);
}

void promql_result_free(struct promql_result *r) {
    if (!r)
        return;
    struct arena a = r->arena; /* the result itself lies in it */
    arena_done(&a);
}
