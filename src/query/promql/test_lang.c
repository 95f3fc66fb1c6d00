/* Conformance files: reading their commands and running them in order. */
#include "query/promql/test_lang.h"

#include "base/vector.h"
#include "query/promql/histogram.h"
#include "query/promql/labels.h"
#include "query/promql/lexer.h"
#include "query/promql/memstore.h"

#include <errno.h>
#include <stdio.h>

#define CASE_BYTES_MAX ((size_t) 1 << 30)

struct runner {
    struct slice rest;
    size_t line_number; /* of the last line taken */
    struct memstore *store;
    struct arena arena; /* of one command */
    struct promql_test_report *report;
    struct error *e;
};

/* The next line, trimmed; comments are blank. */
static bool next_line(struct runner *r, struct slice *ret) {
    if (r->rest.size == 0)
        return false;
    *ret = slice_trim(slice_cut(&r->rest, '\n'));
    r->line_number++;
    if (ret->size && ret->data[0] == '#')
        *ret = SLICE_EMPTY;
    return true;
}

static int bad_line(struct runner *r, const char *what) {
    return error_set(r->e, -EINVAL, "line %zu: %s", r->line_number, what);
}

/* Takes the next word off the front. */
static struct slice take_word(struct slice *s) {
    *s = slice_trim(*s);
    size_t n = 0;

    while (n < s->size && s->data[n] != ' ' && s->data[n] != '\t')
        n++;
    struct slice word = slice_take(*s, n);
    *s = slice_trim(slice_skip(*s, n));
    return word;
}

static bool take_this(struct slice *s, const char *word) {
    struct slice rest = *s;

    if (!slice_is(take_word(&rest), word))
        return false;
    *s = rest;
    return true;
}

/* ---- load ---- */

static int store_series(struct runner *r, const struct test_series *s, const struct test_series *st,
                        int64_t step) {
    for (size_t i = 0; i < s->n; i++) {
        int64_t ms = step * (int64_t) i, start = 0;
        const struct test_value *v = &s->values[i];
        int result;

        if (v->omitted)
            continue;
        if (st && i < st->n && !st->values[i].omitted && __builtin_fabs(st->values[i].v) < 4e15)
            start = ms + (int64_t) st->values[i].v;
        result = v->is_histogram ? memstore_add_histogram(r->store, s->labels, ms, v->h, start)
                                 : memstore_add(r->store, s->labels, ms, v->v, start);
        if (result < 0)
            return result;
    }
    return 0;
}

/* One classic histogram on its way to a native one. */
struct classic {
    const struct promql_labels *labels;
    size_t n, allocated;
    struct {
        double upper;
        const struct test_series *series;
    } * buckets;
    const struct test_series *sum, *count;
    size_t steps;
};

static const struct promql_labels *base_labels(struct arena *a, const struct promql_labels *l,
                                               const char **ret_suffix) {
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    static const struct slice le = {(const uint8_t *) "le", 2};
    struct slice name = promql_labels_get(l, PROMQL_METRIC_NAME);

    for (int i = 0; i < 3; i++) {
        struct slice suffix = slice_from(suffixes[i]);

        if (!slice_ends(name, suffix))
            continue;
        *ret_suffix = suffixes[i];
        l = labels_set(a, l, PROMQL_METRIC_NAME, slice_take(name, name.size - suffix.size));
        return l ? labels_select(a, l, &le, 1, false) : NULL;
    }
    return NULL;
}

static bool value_at(const struct test_series *s, size_t i, double *ret) {
    if (!s || i >= s->n || s->values[i].omitted || s->values[i].is_histogram)
        return false;
    *ret = s->values[i].v;
    return true;
}

/* The histogram of one time. 0: none. */
static int convert_step(struct runner *r, struct classic *c, size_t i, int64_t step) {
    struct promql_histogram h = {.schema = PROMQL_SCHEMA_CUSTOM};
    double *custom = arena_array(&r->arena, double, c->n + 1);
    double *counts = arena_array(&r->arena, double, c->n + 1);
    int32_t *index = arena_array(&r->arena, int32_t, c->n + 1);
    double before = 0, v;
    bool any = false;

    if (!custom || !counts || !index)
        return -ENOMEM;
    for (size_t k = 0; k < c->n; k++) {
        if (!value_at(c->buckets[k].series, i, &v))
            continue;
        any = true;
        if (!__builtin_isinf_sign(c->buckets[k].upper))
            custom[h.n_custom++] = c->buckets[k].upper;
        index[h.positive.n] = (int32_t) h.positive.n;
        counts[h.positive.n++] = v - before;
        before = v;
    }
    h.count = before;
    if (value_at(c->count, i, &v)) {
        any = true;
        if (v > h.count && h.positive.n == h.n_custom) {
            index[h.positive.n] = (int32_t) h.positive.n;
            counts[h.positive.n++] = v - h.count;
        }
        h.count = v;
    }
    any |= value_at(c->sum, i, &h.sum);
    if (!any)
        return 0;
    h.custom = custom;
    h.positive.count = counts;
    h.positive.index = index;
    histogram_compact(&h);
    return memstore_add_histogram(r->store, c->labels, step * (int64_t) i, &h, 0);
}

static int add_bucket(struct runner *r, struct classic *c, double upper,
                      const struct test_series *s) {
    if (c->n == c->allocated) {
        size_t want = c->allocated ? c->allocated * 2 : 8;
        void *p = arena_alloc(&r->arena, want * sizeof(*c->buckets));

        if (!p)
            return -ENOMEM;
        if (c->n)
            memcpy(p, c->buckets, c->n * sizeof(*c->buckets));
        c->buckets = p;
        c->allocated = want;
    }
    size_t i = c->n++;
    for (; i > 0 && c->buckets[i - 1].upper > upper; i--)
        c->buckets[i] = c->buckets[i - 1];
    c->buckets[i].upper = upper;
    c->buckets[i].series = s;
    return 0;
}

/* load_with_nhcb: classic histograms are stored a second time, as native ones with custom buckets.
 */
static int convert_classic(struct runner *r, const struct test_series *all, size_t n,
                           int64_t step) {
    struct classic *classics = arena_array(&r->arena, struct classic, n);
    struct labels_table table;
    int result = classics ? 0 : -ENOMEM;

    labels_table_init(&table, &r->arena);
    for (size_t i = 0; result == 0 && i < n; i++) {
        const char *suffix = NULL;
        const struct promql_labels *l = base_labels(&r->arena, all[i].labels, &suffix);
        struct slice le = promql_labels_get(all[i].labels, PROMQL_BUCKET_LABEL);
        double upper = __builtin_inf();

        if (!l)
            continue;
        if (strcmp(suffix, "_bucket") == 0 && slice_to_double(le, &upper) < 0 &&
            !slice_is(le, "+Inf"))
            continue;
        int64_t id = labels_table_put(&table, l);
        if (id < 0)
            return -ENOMEM;
        struct classic *c = &classics[id];
        c->labels = l;
        c->steps = all[i].n > c->steps ? all[i].n : c->steps;
        if (strcmp(suffix, "_bucket") == 0)
            result = add_bucket(r, c, upper, &all[i]);
        else if (strcmp(suffix, "_sum") == 0)
            c->sum = &all[i];
        else
            c->count = &all[i];
    }
    for (size_t i = 0; result == 0 && i < table.n; i++)
        for (size_t k = 0; result == 0 && classics[i].n && k < classics[i].steps; k++)
            result = convert_step(r, &classics[i], k, step);
    return result;
}

static int run_load(struct runner *r, struct slice head, bool nhcb) {
    VECTOR(struct test_series) all = {0};
    struct test_series start = {0};
    struct slice line;
    int64_t step;
    int result = 0;

    if (test_parse_time(head, &step) < 0 || step <= 0)
        return bad_line(r, "load wants an interval");
    while (result == 0 && next_line(r, &line) && line.size) {
        struct test_series s = {0};

        result = test_parse_series(&r->arena, line, &s, r->e);
        if (result < 0) {
            result = error_prefix(r->e, "line %zu: ", r->line_number);
            break;
        }
        if (s.start_times) {
            start = s;
            continue;
        }
        bool has_start = start.labels && labels_equal(start.labels, s.labels);
        result = store_series(r, &s, has_start ? &start : NULL, step);
        start.labels = NULL;
        if (result == 0)
            result = vector_push(&all, s, 100000);
    }
    if (result == 0 && nhcb)
        result = convert_classic(r, all.items, all.n, step);
    vector_done(&all);
    return result < 0 ? result : memstore_commit(r->store);
}

/* ---- eval ---- */

static int parse_expect(struct runner *r, struct slice s, struct test_case *c) {
    static const char *const kinds[] = {"fail", "warn", "no_warn", "info", "no_info"};
    struct test_expectation x = {0};
    size_t i = 0;

    if (take_this(&s, "ordered")) {
        c->ordered = true;
        return 0;
    }
    if (take_this(&s, "string")) {
        c->has_string = true;
        return string_unquote(&r->arena, s, &c->string) < 0 ? bad_line(r, "malformed string") : 0;
    }
    if (take_this(&s, "range")) {
        struct slice from, to, step;
        int64_t end;

        if (!take_this(&s, "vector") || !take_this(&s, "from"))
            return bad_line(r, "expect range vector from … to … step …");
        from = take_word(&s);
        if (!take_this(&s, "to"))
            return bad_line(r, "expect range vector from … to … step …");
        to = take_word(&s);
        step = take_this(&s, "step") ? take_word(&s) : SLICE_EMPTY;
        if (test_parse_time(from, &c->vector_from) < 0 || test_parse_time(to, &end) < 0 ||
            test_parse_time(step, &c->vector_step) < 0)
            return bad_line(r, "malformed time");
        c->range_vector = true;
        return 0;
    }
    while (i < 5 && !take_this(&s, kinds[i]))
        i++;
    if (i == 5)
        return bad_line(r, "unknown expectation");
    x.kind = (enum test_expectation_kind) i;
    if (slice_starts(s, SLICE("msg:")) || slice_starts(s, SLICE("regex:"))) {
        x.regex = s.data[0] == 'r';
        x.message = slice_trim(slice_skip(s, x.regex ? 6 : 4));
    } else if (s.size) {
        return bad_line(r, "msg: or regex: expected");
    }
    if (c->n_expect == TEST_EXPECTATIONS_MAX)
        return bad_line(r, "too many expectations");
    c->expect[c->n_expect++] = x;
    return 0;
}

static int parse_head(struct runner *r, struct slice s, struct test_case *c) {
    struct slice word = take_word(&s);

    if (slice_is(word, "instant")) {
        if (!take_this(&s, "at") || test_parse_time(take_word(&s), &c->from) < 0)
            return bad_line(r, "eval instant at <time> <query>");
        c->to = c->from;
    } else if (slice_is(word, "range")) {
        c->range = true;
        if (!take_this(&s, "from") || test_parse_time(take_word(&s), &c->from) < 0 ||
            !take_this(&s, "to") || test_parse_time(take_word(&s), &c->to) < 0 ||
            !take_this(&s, "step") || test_parse_time(take_word(&s), &c->step) < 0)
            return bad_line(r, "eval range from <time> to <time> step <duration> <query>");
    } else {
        return bad_line(r, "eval instant or eval range expected");
    }
    c->query = s;
    return 0;
}

static int add_series(struct runner *r, struct slice line, struct test_case *c) {
    if (c->n_series == c->allocated) {
        size_t want = c->allocated ? c->allocated * 2 : 16;
        struct test_series *p = arena_array(&r->arena, struct test_series, want);

        if (!p)
            return -ENOMEM;
        if (c->n_series)
            memcpy(p, c->series, c->n_series * sizeof(*p));
        c->series = p;
        c->allocated = want;
    }
    int result = test_parse_series(&r->arena, line, &c->series[c->n_series], r->e);
    if (result == -EINVAL)
        return error_prefix(r->e, "line %zu: ", r->line_number);
    c->n_series++;
    return result;
}

/* The older form: eval_fail, eval_warn, eval_info, eval_ordered. */
static int old_form(struct test_case *c, struct slice suffix) {
    static const char *const names[] = {"_fail", "_warn", NULL, "_info"};

    if (slice_is(suffix, "_ordered")) {
        c->ordered = true;
        return 0;
    }
    for (int i = 0; i < 4; i++)
        if (names[i] && slice_is(suffix, names[i])) {
            c->expect[c->n_expect++].kind = (enum test_expectation_kind) i;
            return 0;
        }
    return suffix.size ? -EINVAL : 0;
}

static int parse_body(struct runner *r, struct test_case *c) {
    struct slice line;
    int result = 0;

    while (result == 0 && next_line(r, &line) && line.size) {
        struct slice words = line;

        if (take_this(&words, "expect"))
            result = parse_expect(r, words, c);
        else if (take_this(&words, "expected_fail_message") && c->n_expect)
            c->expect[c->n_expect - 1].message = words;
        else if (take_this(&words, "expected_fail_regexp") && c->n_expect) {
            c->expect[c->n_expect - 1].message = words;
            c->expect[c->n_expect - 1].regex = true;
        } else if (!c->has_scalar && c->n_series == 0 && test_parse_scalar(line, &c->scalar))
            c->has_scalar = true;
        else
            result = add_series(r, line, c);
    }
    return result;
}

static int run_eval(struct runner *r, struct slice line) {
    struct slice command = take_word(&line);
    struct test_case c = {.line = r->line_number};
    struct buffer why;
    int result = old_form(&c, slice_skip(command, 4));

    if (result < 0)
        return bad_line(r, "unknown form of eval");
    result = parse_head(r, line, &c);
    if (result == 0)
        result = parse_body(r, &c);
    if (result < 0)
        return result;
    buffer_init(&why, 8000);
    result = test_run_case(memstore_source(r->store), r->report->options, &c, &why);
    if (result == 0) {
        r->report->passed++;
    } else if (result > 0) {
        r->report->failed++;
        buffer_append_u8(&why, 0);
        if (why.failed && why.size)
            why.data[why.size - 1] = 0;
        if (r->report->failure)
            r->report->failure(r->report->ctx, c.line, c.query,
                               why.size ? (const char *) why.data : "");
    }
    buffer_done(&why);
    return result < 0 ? result : 0;
}

static int run_command(struct runner *r, struct slice line) {
    struct slice words = line, word = take_word(&words);

    arena_clear(&r->arena);
    if (slice_is(word, "clear")) {
        memstore_clear(r->store);
        return 0;
    }
    if (slice_is(word, "load") || slice_is(word, "load_with_nhcb"))
        return run_load(r, words, word.size > 4);
    if (slice_starts(word, SLICE("eval")))
        return run_eval(r, line);
    return bad_line(r, "unknown command");
}

int promql_test_run(struct slice text, struct promql_test_report *report, struct error *e) {
    struct runner r = {.rest = text, .report = report, .e = e};
    struct slice line;
    int result = 0;

    report->passed = report->failed = 0;
    if (text.size > TEST_FILE_BYTES_MAX)
        return error_set(e, -EINVAL, "the file has more than %u bytes", TEST_FILE_BYTES_MAX);
    r.store = memstore_new(TEST_STORE_BYTES_MAX);
    if (!r.store)
        return -ENOMEM;
    arena_init(&r.arena, CASE_BYTES_MAX);
    while (result == 0 && next_line(&r, &line))
        if (line.size)
            result = run_command(&r, line);
    if (result == -ENOMEM)
        error_set(e, result, "line %zu: no memory", r.line_number);
    arena_done(&r.arena);
    memstore_free(r.store);
    return result;
}
