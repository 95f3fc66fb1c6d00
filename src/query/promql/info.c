/*
 * info(v, {…}): adds to each series the labels of the info series (target_info by default) that has
 * the same instance and job. Info series are read as of the time the samples of v are read.
 */
#include "query/promql/functions_impl.h"

#include "base/regex.h"
#include "base/vector.h"

#include <errno.h>

struct info {
    struct eval *e;
    const struct grid *g;
    const struct promql_matcher *names; /* of the info metrics */
    size_t n_names;
    const struct promql_matcher *data; /* on their labels */
    size_t n_data;
    bool fixed;
    int64_t fixed_ms, offset_ms;
    struct regex *some_info; /* .+_info, when only exclusions are given */
    struct range_input series;
    struct labels_table signatures;
    uint32_t *first, *next; /* info series by signature: chains of index + 1 */
};

/* When the samples below `n` are read: the outermost @ and the sum of the offsets inside it, along
 * the path to the first selector. */
static bool reference_time(struct info *in, const struct node *n);

struct first_child {
    struct info *in;
    bool found;
};

static void visit_first(void *ctx, struct node *child) {
    struct first_child *f = ctx;

    if (!f->found)
        f->found = reference_time(f->in, child);
}

static int add_time(struct info *in, const struct at *at, const struct duration *offset) {
    int64_t ms = 0;

    if (in->fixed)
        return 0;
    int r = eval_duration_ms(in->e, offset, false, &ms);
    in->offset_ms += ms;
    if (at->kind) {
        in->fixed = true;
        in->fixed_ms = at_ms(in->e, at);
    }
    return r;
}

static bool reference_time(struct info *in, const struct node *n) {
    struct first_child f = {in, false};

    if (n->kind == NODE_SELECTOR) {
        add_time(in, &n->selector.at, n->selector.offset);
        return true;
    }
    node_children(n, visit_first, &f);
    if (f.found && n->kind == NODE_SUBQUERY)
        add_time(in, &n->subquery.at, n->subquery.offset);
    return f.found;
}

/* 1: all match, 0, negative. */
static int names_match(struct info *in, struct slice name) {
    int r = 1;

    if (in->some_info)
        r = regex_match(in->some_info, name);
    for (size_t i = 0; r == 1 && i < in->n_names; i++)
        r = promql_matcher_test(&in->names[i], name);
    return r;
}

static int split_matchers(struct info *in, const struct node *call) {
    static const struct promql_matcher target = {PROMQL_EQUAL,
                                                 {(const uint8_t *) "__name__", 8},
                                                 {(const uint8_t *) "target_info", 11},
                                                 NULL};
    const struct selector *s = call->call.n_args > 1 ? &call->call.args[1]->selector : NULL;
    size_t n = s ? s->n_matchers : 0;
    struct promql_matcher *names = arena_array(&in->e->arena, struct promql_matcher, n);
    struct promql_matcher *data = arena_array(&in->e->arena, struct promql_matcher, n);
    bool positive = false;

    if (!names || !data)
        return eval_memory(in->e);
    in->names = names;
    in->data = data;
    for (size_t i = 0; i < n; i++) {
        const struct promql_matcher *m = &s->matchers[i];

        if (!slice_equal(m->name, PROMQL_METRIC_NAME)) {
            data[in->n_data++] = *m;
            continue;
        }
        names[in->n_names++] = *m;
        positive |= m->type == PROMQL_EQUAL || m->type == PROMQL_REGEX;
    }
    if (in->n_names == 0) {
        in->names = &target;
        in->n_names = 1;
    } else if (!positive && regex_compile(SLICE(".+_info"), &in->some_info, NULL) < 0) {
        return eval_memory(in->e);
    }
    return 0;
}

static const struct promql_labels *signature(struct info *in, const struct promql_labels *l) {
    static const struct slice identifying[] = {{(const uint8_t *) "instance", 8},
                                               {(const uint8_t *) "job", 3}};

    return labels_select(&in->e->scratch, l, identifying, 2, true);
}

static int fetch(struct info *in) {
    struct eval *e = in->e;
    struct promql_matcher *all =
            arena_array(&e->arena, struct promql_matcher, in->n_names + in->n_data + 1);
    struct promql_hints hints = {.step_ms = in->g->step, .function = SLICE("info")};
    int64_t first = (in->fixed ? in->fixed_ms : in->g->start) - in->offset_ms;
    int64_t last = (in->fixed ? in->fixed_ms : grid_at(in->g, in->g->n - 1)) - in->offset_ms;
    size_t n = in->n_names;
    int r;

    if (!all)
        return eval_memory(e);
    memcpy(all, in->names, in->n_names * sizeof(*all));
    if (in->n_data)
        memcpy(all + n, in->data, in->n_data * sizeof(*all));
    n += in->n_data;
    if (in->some_info)
        all[n++] = (struct promql_matcher){PROMQL_REGEX, PROMQL_METRIC_NAME, SLICE(".+_info"),
                                           in->some_info};
    r = select_series(e, NULL, all, n, first - e->options.lookback_ms + 1, last, &hints, true,
                      &in->series);
    labels_table_init(&in->signatures, &e->arena);
    in->first = arena_array(&e->arena, uint32_t, in->series.n);
    in->next = arena_array(&e->arena, uint32_t, in->series.n);
    if (r == 0 && (!in->first || !in->next))
        r = eval_memory(e);
    for (size_t i = in->series.n; r == 0 && i-- > 0;) {
        const struct promql_labels *l = signature(in, in->series.items[i].samples.labels);
        int64_t id;

        /* The table keeps what it is given: a set in the scratch arena would not last. */
        l = l ? labels_make(&e->arena, l->items, l->n) : NULL;
        id = l ? labels_table_put(&in->signatures, l) : -ENOMEM;
        if (id < 0)
            return eval_memory(e);
        in->next[i] = in->first[id];
        in->first[id] = (uint32_t) i + 1;
    }
    return r;
}

/* The time of the newest sample an info series has at a step; INT64_MIN: none. -1 in *ret_r: a
 * histogram. */
static int64_t newest(struct info *in, const struct promql_samples *s, size_t step, int *ret_r) {
    int64_t ref = (in->fixed ? in->fixed_ms : grid_at(in->g, step)) - in->offset_ms;
    int64_t oldest = ref - in->e->options.lookback_ms;
    size_t low = 0, high = s->n_floats;

    for (size_t i = s->n_histograms; i-- > 0;)
        if (s->histogram_ms[i] <= ref && s->histogram_ms[i] > oldest &&
            !histogram_is_stale(s->histograms[i])) {
            *ret_r = eval_fail(in->e, PROMQL_EXECUTION, "info sample should be float");
            return INT64_MIN;
        }
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (s->float_ms[mid] <= ref)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0 || s->float_ms[low - 1] <= oldest || is_absent(s->floats[low - 1]))
        return INT64_MIN;
    return s->float_ms[low - 1];
}

#define INFO_METRICS_MAX 64u /* of different names that one series may match */

struct choice {
    struct slice name;
    const struct promql_labels *labels;
    int64_t t;
};

/* For a signature and a step: the newest info series of each metric name. Number, or negative. */
static int choose(struct info *in, int64_t id, size_t step, struct choice *c) {
    size_t n = 0, k;
    int r = 0;

    for (uint32_t at = id >= 0 ? in->first[id] : 0; at; at = in->next[at - 1]) {
        const struct promql_samples *s = &in->series.items[at - 1].samples;
        struct slice name = metric_name(s->labels);
        int64_t t = newest(in, s, step, &r);
        if (r < 0)
            return r;
        if (t == INT64_MIN)
            continue;
        for (k = 0; k < n && !slice_equal(c[k].name, name); k++)
            ;
        if (k == INFO_METRICS_MAX)
            return eval_fail(in->e, PROMQL_LIMIT, "info(): more than %u info metrics match",
                             INFO_METRICS_MAX);
        if (k == n)
            c[n++] = (struct choice){name, s->labels, t};
        else if (c[k].t == t)
            return eval_fail(in->e, PROMQL_EXECUTION,
                             "found duplicate series for info metric \"%.*s\" at %lld",
                             SLICE_ARG(name), (long long) t);
        else if (c[k].t < t)
            c[k] = (struct choice){name, s->labels, t};
    }
    return (int) n;
}

static bool wanted(const struct info *in, struct slice label) {
    if (slice_equal(label, PROMQL_METRIC_NAME))
        return false;
    for (size_t i = 0; i < in->n_data; i++)
        if (slice_equal(in->data[i].name, label))
            return true;
    return in->n_data == 0;
}

/* The labels of `base` with those of the chosen info series; base's own win. NULL: error set. */
static const struct promql_labels *enrich(struct info *in, const struct promql_labels *base,
                                          const struct choice *c, size_t n) {
    VECTOR(struct promql_label) added = {0};
    const struct promql_labels *l = NULL;
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++)
        for (uint32_t k = 0; ok && k < c[i].labels->n; k++) {
            const struct promql_label *x = &c[i].labels->items[k];

            if (!wanted(in, x->name))
                continue;
            vector_each(&added, y) if (slice_equal(y->name, x->name) &&
                                       !slice_equal(y->value, x->value) && ok) {
                eval_fail(in->e, PROMQL_EXECUTION, "conflicting label: %.*s", SLICE_ARG(x->name));
                ok = false;
            }
            if (ok && !promql_labels_get(base, x->name).size &&
                vector_push(&added, *x, PROMQL_LABELS_MAX) < 0) {
                eval_memory(in->e);
                ok = false;
            }
        }
    for (uint32_t k = 0; ok && k < base->n; k++)
        if (vector_push(&added, base->items[k], 2 * PROMQL_LABELS_MAX) < 0) {
            eval_memory(in->e);
            ok = false;
        }
    if (ok) {
        l = labels_make(&in->e->arena, added.items, (uint32_t) added.n);
        if (!l)
            eval_memory(in->e);
    }
    vector_done(&added);
    return l;
}

static int combine_series(struct info *in, const struct series *s, struct labels_table *table,
                          struct vector *out) {
    struct choice choices[INFO_METRICS_MAX], last[INFO_METRICS_MAX];
    const struct promql_labels *labels = s->labels, *l = signature(in, s->labels);
    int64_t id = l && l->n ? labels_table_get(&in->signatures, l) : -1;
    int r = names_match(in, metric_name(s->labels)), n_last = -1;
    bool enrichable = r == 0, need = false;

    if (r < 0)
        return eval_fail(in->e, PROMQL_LIMIT, "info(): a matcher takes too long");
    for (size_t i = 0; i < in->n_data; i++)
        need |= promql_matcher_test(&in->data[i], SLICE_EMPTY) != 1;
    for (size_t k = 0; k < in->g->n; k++) {
        if (!series_has(s, k))
            continue;
        int n = enrichable ? choose(in, id, k, choices) : 0;
        if (n < 0)
            return n;
        if (enrichable && n == 0 && need)
            continue;
        if (n != n_last || memcmp(choices, last, (size_t) n * sizeof(*last)) != 0) {
            labels = n ? enrich(in, s->labels, choices, (size_t) n) : s->labels;
            if (!labels)
                return -EINVAL;
            n_last = n;
            memcpy(last, choices, (size_t) n * sizeof(*last));
        }
        int64_t at = labels_table_put(table, labels);
        if (at < 0)
            return eval_memory(in->e);
        if ((size_t) at == out->n && !vector_add(in->e, out, in->g, labels, s->drop_name))
            return -ENOMEM;
        if (series_has(&out->items[at], k))
            return eval_fail(in->e, PROMQL_EXECUTION,
                             "vector cannot contain metrics with the same labelset");
        r = series_set(in->e, &out->items[at], in->g, k, series_point(s, k));
        if (r == 0)
            r = eval_tick(in->e, 16);
        if (r < 0)
            return r;
    }
    return 0;
}

NODE_FUNCTION(node_info) {
    struct info in = {.e = e, .g = g};
    struct labels_table table;
    struct value base;
    int r = eval_node(e, call->call.args[0], g, &base);

    ret->type = PROMQL_VECTOR;
    if (r < 0 || base.vector.n == 0)
        return r;
    reference_time(&in, call->call.args[0]);
    r = split_matchers(&in, call);
    if (r == 0)
        r = fetch(&in);
    labels_table_init(&table, &e->arena);
    for (size_t i = 0; r == 0 && i < base.vector.n; i++)
        r = combine_series(&in, &base.vector.items[i], &table, &ret->vector);
    regex_unref(in.some_info);
    return r;
}
