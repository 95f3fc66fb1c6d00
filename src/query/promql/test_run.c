/*
 * Running one case of a conformance file: the query itself, then, for instant queries, a range
 * query around it whose middle step must agree, and both again with @ on every selector at other
 * times.
 */
#include "query/promql/test_lang.h"

#include "base/regex.h"
#include "query/promql/ast.h"
#include "query/promql/functions.h"
#include "query/promql/histogram.h"
#include "query/promql/labels.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define TOLERANCE 1e-6

struct run {
    struct promql_source *source;
    const struct promql_options *options;
    const struct test_case *c;
    struct buffer *why;
};

static int fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct run *r, const char *format, ...) {
    char text[2000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buffer_append_text(r->why, text);
    return 1;
}

/* ---- Equality. ---- */

static bool almost_equal(double a, double b) {
    uint64_t x, y;

    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    if (x == PROMQL_STALE_BITS || y == PROMQL_STALE_BITS)
        return x == y;
    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < TOLERANCE * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < TOLERANCE;
}

static bool same_buckets(const struct promql_buckets *a, const struct promql_buckets *b) {
    uint32_t i = 0, k = 0;

    while (i < a->n || k < b->n) {
        bool in_a = i < a->n && (k == b->n || a->index[i] <= b->index[k]);
        bool in_b = k < b->n && (i == a->n || b->index[k] <= a->index[i]);

        if (!almost_equal(in_a ? a->count[i] : 0, in_b ? b->count[k] : 0))
            return false;
        i += in_a;
        k += in_b;
    }
    return true;
}

static bool same_histogram(const struct test_value *want, const struct promql_histogram *got) {
    const struct promql_histogram *w = want->h;

    if (w->schema != got->schema || w->n_custom != got->n_custom ||
        w->zero_threshold != got->zero_threshold || (want->hint_set && w->hint != got->hint))
        return false;
    for (uint32_t i = 0; i < w->n_custom; i++)
        if (w->custom[i] != got->custom[i])
            return false;
    return almost_equal(w->count, got->count) && almost_equal(w->sum, got->sum) &&
           almost_equal(w->zero_count, got->zero_count) &&
           same_buckets(&w->positive, &got->positive) && same_buckets(&w->negative, &got->negative);
}

static void print_value(struct buffer *out, double v, const struct promql_histogram *h) {
    static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"};

    if (!h) {
        print_float(out, v);
        return;
    }
    promql_histogram_print(h, out);
    buffer_printf(out, " schema:%d hint:%s z_w:%g", h->schema, hints[h->hint], h->zero_threshold);
    for (uint32_t i = 0; i < h->n_custom; i++)
        buffer_printf(out, "%s%g", i ? " " : " custom:", h->custom[i]);
}

static int compare_sample(struct run *r, const struct promql_labels *l, int64_t ms,
                          const struct test_value *want, double v,
                          const struct promql_histogram *h) {
    bool same = want->is_histogram ? h && same_histogram(want, h) : !h && almost_equal(want->v, v);

    if (same)
        return 0;
    promql_labels_print(l, r->why);
    buffer_printf(r->why, " at %lld ms: expected ", (long long) ms);
    print_value(r->why, want->v, want->h);
    buffer_append_text(r->why, ", got ");
    print_value(r->why, v, h);
    return 1;
}

/* ---- Results. ---- */

static const struct promql_column *find_column(const struct promql_result *res,
                                               const struct promql_labels *l) {
    for (size_t i = 0; i < res->n_columns; i++)
        if (labels_equal(res->columns[i].labels, l))
            return &res->columns[i];
    return NULL;
}

static const struct test_series *find_series(const struct test_case *c,
                                             const struct promql_labels *l) {
    for (size_t i = 0; i < c->n_series; i++)
        if (labels_equal(c->series[i].labels, l))
            return &c->series[i];
    return NULL;
}

static ptrdiff_t sample_at(const struct promql_column *c, int64_t ms) {
    for (size_t i = 0; i < c->n; i++)
        if (c->times_ms[i] == ms)
            return (ptrdiff_t) i;
    return -1;
}

static int unexpected(struct run *r, const struct promql_column *c, size_t i) {
    buffer_append_text(r->why, "unexpected ");
    promql_labels_print(c->labels, r->why);
    buffer_printf(r->why, " at %lld ms: ", (long long) c->times_ms[i]);
    print_value(r->why, c->values[i], c->histograms ? c->histograms[i] : NULL);
    return 1;
}

/* Sequences over steps: what is expected at from, from + step, … */
static int compare_matrix(struct run *r, const struct promql_result *res, int64_t from,
                          int64_t step) {
    const struct test_case *c = r->c;

    for (size_t i = 0; i < c->n_series; i++) {
        const struct test_series *s = &c->series[i];
        const struct promql_column *column = find_column(res, s->labels);
        size_t seen = 0;

        for (size_t k = 0; k < s->n; k++) {
            int64_t ms = from + step * (int64_t) k;
            ptrdiff_t at = column ? sample_at(column, ms) : -1;

            if (s->values[k].omitted)
                continue;
            if (at < 0) {
                promql_labels_print(s->labels, r->why);
                return fail(r, " at %lld ms: expected a sample, got none", (long long) ms);
            }
            seen++;
            if (compare_sample(r, s->labels, ms, &s->values[k], column->values[at],
                               column->histograms ? column->histograms[at] : NULL))
                return 1;
        }
        if (column && column->n != seen) {
            promql_labels_print(s->labels, r->why);
            return fail(r, ": expected %zu samples, got %zu", seen, column->n);
        }
    }
    for (size_t i = 0; i < res->n_columns; i++)
        if (!find_series(c, res->columns[i].labels))
            return unexpected(r, &res->columns[i], 0);
    return 0;
}

/* The samples at one time. */
static int compare_vector(struct run *r, const struct promql_result *res, int64_t ms,
                          bool any_time) {
    const struct test_case *c = r->c;
    size_t position = 0;

    for (size_t i = 0; i < res->n_columns; i++) {
        const struct promql_column *column = &res->columns[i];
        ptrdiff_t at = any_time ? 0 : sample_at(column, ms);
        const struct test_series *s = find_series(c, column->labels);

        if (at < 0)
            continue;
        if (!s || s->n == 0)
            return unexpected(r, column, (size_t) at);
        if (c->ordered && any_time && s != &c->series[position])
            return fail(r, "series are not in the expected order at position %zu", position + 1);
        position++;
        if (compare_sample(r, column->labels, ms, &s->values[0], column->values[at],
                           column->histograms ? column->histograms[at] : NULL))
            return 1;
    }
    for (size_t i = 0; i < c->n_series; i++) {
        const struct promql_column *column = find_column(res, c->series[i].labels);

        if (column && (any_time || sample_at(column, ms) >= 0))
            continue;
        buffer_append_text(r->why, "expected ");
        promql_labels_print(c->series[i].labels, r->why);
        return fail(r, ", got nothing of it");
    }
    return 0;
}

static int compare_scalar(struct run *r, const struct promql_result *res, int64_t ms,
                          bool any_time) {
    ptrdiff_t at = res->n_columns != 1 ? -1 : any_time ? 0 : sample_at(&res->columns[0], ms);
    struct test_value want = {.v = r->c->scalar};

    if (at < 0 || (any_time && res->type != PROMQL_SCALAR))
        return fail(r, "expected a scalar, got %s", promql_type_name(res->type));
    return compare_sample(r, &promql_no_labels, ms, &want, res->columns[0].values[at], NULL);
}

/* ---- Annotations. ---- */

static bool text_matches(const struct test_expectation *x, struct slice text) {
    struct regex *regex;
    struct buffer pattern;
    bool found;

    if (!x->message.size)
        return true;
    if (!x->regex)
        return slice_equal(x->message, text);
    /* Anywhere in the text. */
    buffer_init(&pattern, 100000);
    buffer_printf(&pattern, ".*(?:%.*s).*", SLICE_ARG(x->message));
    found = regex_compile(buffer_slice(&pattern), &regex, NULL) == 0;
    if (found) {
        found = regex_match(regex, text) == 1;
        regex_unref(regex);
    }
    buffer_done(&pattern);
    return found;
}

static int check_annotations(struct run *r, const struct promql_result *res) {
    for (size_t i = 0; i < r->c->n_expect; i++) {
        const struct test_expectation *x = &r->c->expect[i];
        bool info = x->kind == EXPECT_INFO || x->kind == EXPECT_NO_INFO;
        bool none = x->kind == EXPECT_NO_INFO || x->kind == EXPECT_NO_WARN, found = false;

        if (x->kind == EXPECT_FAIL)
            continue;
        for (size_t k = 0; k < res->n_annotations; k++) {
            const struct promql_annotation *a = &res->annotations[k];

            if (a->info != info)
                continue;
            if (none)
                return fail(r, "unexpected annotation: %s", a->text);
            found |= text_matches(x, slice_from(a->text));
        }
        if (!none && !found) {
            fail(r, "expected %s \"%.*s\", got", info ? "info" : "warning", SLICE_ARG(x->message));
            for (size_t k = 0; k < res->n_annotations; k++)
                fail(r, " \"%s\"", res->annotations[k].text);
            return 1;
        }
    }
    return 0;
}

/* 0: as expected (a failure), 1: not, -1: the query succeeded. */
static int check_failure(struct run *r, int result, const struct promql_error *e) {
    const struct test_expectation *x = NULL;

    for (size_t i = 0; i < r->c->n_expect; i++)
        if (r->c->expect[i].kind == EXPECT_FAIL)
            x = &r->c->expect[i];
    if (result == 0)
        return x ? fail(r, "expected a failure, got a result") : -1;
    if (!x)
        return fail(r, "failed: %s", e->text);
    if (!text_matches(x, slice_from(e->text)))
        return fail(r, "expected failure \"%.*s\", got \"%s\"", SLICE_ARG(x->message), e->text);
    return 0;
}

/* ---- Queries. ---- */

static int run_range(struct run *r, struct slice query) {
    const struct test_case *c = r->c;
    struct promql_query *q = NULL;
    struct promql_result *res = NULL;
    struct promql_error e;
    int result = promql_parse(query, &q, &e);

    if (result == 0)
        result = promql_eval_range(q, r->source, c->from, c->to, c->step, r->options, &res, &e);
    result = check_failure(r, result, &e);
    if (result < 0)
        result = check_annotations(r, res);
    if (result == 0 && res)
        result = compare_matrix(r, res, c->from, c->step);
    promql_result_free(res);
    promql_query_free(q);
    return result;
}

static int compare_instant(struct run *r, const struct promql_result *res, int64_t at) {
    const struct test_case *c = r->c;

    if (c->has_string) {
        if (res->type != PROMQL_STRING || !slice_equal(res->string, c->string))
            return fail(r, "expected string \"%.*s\", got \"%.*s\"", SLICE_ARG(c->string),
                        SLICE_ARG(res->string));
        return 0;
    }
    if (c->range_vector)
        return compare_matrix(r, res, c->vector_from, c->vector_step);
    return c->has_scalar ? compare_scalar(r, res, at, true) : compare_vector(r, res, at, true);
}

/* A duration or function whose value depends on the query's own range. */
static void find_context(void *ctx, struct node *n) {
    bool *found = ctx;
    const struct duration *stack[3] = {NULL};

    if (n->kind == NODE_CALL) {
        struct slice name = slice_from(n->call.function->name);

        *found |= slice_is(name, "step") || slice_is(name, "range") || slice_is(name, "start") ||
                  slice_is(name, "end");
    } else if (n->kind == NODE_SELECTOR) {
        stack[0] = n->selector.offset;
        *found |= n->selector.at.kind >= AT_START;
    } else if (n->kind == NODE_MATRIX) {
        stack[0] = n->matrix.range;
    } else if (n->kind == NODE_SUBQUERY) {
        stack[0] = n->subquery.range;
        stack[1] = n->subquery.step;
        stack[2] = n->subquery.offset;
        *found |= n->subquery.at.kind >= AT_START;
    }
    for (int i = 0; i < 3; i++)
        if (stack[i] && stack[i]->op != DURATION_NUMBER &&
            !(stack[i]->op == DURATION_MINUS && stack[i]->a->op == DURATION_NUMBER))
            *found = true; /* arithmetic: it may well be step() or range() */
    node_children(n, find_context, found);
}

static int run_instant(struct run *r, struct slice query, int64_t at) {
    struct promql_query *q = NULL;
    struct promql_result *res = NULL;
    struct promql_error e;
    bool context = false;
    int result = promql_parse(query, &q, &e);

    if (result == 0)
        result = promql_eval_instant(q, r->source, at, r->options, &res, &e);
    result = check_failure(r, result, &e);
    if (result < 0)
        result = check_annotations(r, res);
    if (result == 0 && res)
        result = compare_instant(r, res, at);
    if (q)
        find_context(&context, q->root);
    bool again = result == 0 && res && !context && !r->c->ordered && !r->c->has_string &&
                 !r->c->range_vector && res->type != PROMQL_MATRIX;
    promql_result_free(res);
    res = NULL;
    if (again) {
        result = promql_eval_range(q, r->source, at - 60000, at + 60000, 60000, r->options, &res,
                                   &e);
        if (result < 0)
            result = fail(r, "as a range query: %s", e.text);
        else
            result = r->c->has_scalar ? compare_scalar(r, res, at, false)
                                      : compare_vector(r, res, at, false);
        if (result)
            fail(r, " [as a range query]");
        promql_result_free(res);
    }
    promql_query_free(q);
    return result;
}

/* ---- @ on every selector. ---- */

struct pin {
    int64_t ms;
    bool unsafe, under_at;
};

static void pin_node(void *ctx, struct node *n) {
    struct pin *p = ctx, below = *p;
    struct at *at = NULL;

    if (n->kind == NODE_SELECTOR)
        at = &n->selector.at;
    else if (n->kind == NODE_SUBQUERY)
        at = &n->subquery.at;
    else if (n->kind == NODE_CALL)
        p->unsafe |= n->call.function->at_unsafe;
    below.unsafe = p->unsafe;
    below.under_at |= at && at->kind;
    if (at && !at->kind && !p->under_at)
        *at = (struct at){AT_TIME, p->ms};
    if (at && at->kind)
        below.under_at = true;
    node_children(n, pin_node, &below);
    p->unsafe |= below.unsafe;
}

static int run_pinned(struct run *r) {
    int64_t ts = r->c->from, times[5] = {-10 * ts, 0, ts / 5, ts, 10 * ts};
    size_t n = 5;
    struct pin p = {.ms = ts};
    struct promql_query *q;
    struct promql_error e;
    struct buffer text;
    int result = 0;

    if (promql_parse(r->c->query, &q, &e) < 0)
        return 0; /* a failure was expected, and came */
    if (ts == 0) {
        times[0] = -1000;
        times[1] = 0;
        times[2] = 1000;
        n = 3;
    }
    pin_node(&p, q->root);
    buffer_init(&text, PROMQL_QUERY_BYTES_MAX);
    promql_format(q, &text);
    promql_query_free(q);
    for (size_t i = 0; result == 0 && !p.unsafe && i < n; i++) {
        result = run_instant(r, buffer_slice(&text), times[i]);
        if (result)
            fail(r, " [as %.*s at %lld ms]", (int) text.size, text.data, (long long) times[i]);
    }
    buffer_done(&text);
    return result;
}

int test_run_case(struct promql_source *source, const struct promql_options *options,
                  const struct test_case *c, struct buffer *why) {
    struct run r = {source, options, c, why};
    int result;

    if (c->range)
        return run_range(&r, c->query);
    result = run_instant(&r, c->query, c->from);
    return result == 0 ? run_pinned(&r) : result;
}
