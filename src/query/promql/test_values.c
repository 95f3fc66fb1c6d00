/* Series lines of the test language: a metric and a sequence of values, compactly written. */
#include "query/promql/test_lang.h"

#include "base/vector.h"
#include "query/promql/ast.h"
#include "query/promql/histogram.h"
#include "query/promql/labels.h"
#include "query/promql/lexer.h"

#include <errno.h>
#include <math.h>

/* Times this long after each other, TEST_VALUES_MAX of them, are still 64 bits of milliseconds. */
#define TIME_SECONDS_MAX 4e9

typedef VECTOR(struct test_value) values_t;

struct reader {
    struct slice s;
    size_t at;
    struct arena *arena;
    struct error *e;
};

static int peek(const struct reader *r) {
    return r->at < r->s.size ? r->s.data[r->at] : -1;
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct reader *r) {
    while (peek(r) == ' ' || peek(r) == '\t')
        r->at++;
}

static int bad(struct reader *r, const char *what) {
    struct slice rest = slice_take(slice_skip(r->s, r->at), 40);

    return error_set(r->e, -EINVAL, "%s at \"%.*s\"", what, SLICE_ARG(rest));
}

/* A number without hexadecimal: in 0x3 the x repeats. */
static int read_number(struct reader *r, double *ret) {
    size_t from = r->at, digits = 0;
    bool minus = peek(r) == '-';

    if (minus || peek(r) == '+')
        r->at++;
    struct slice word = slice_take(slice_skip(r->s, r->at), 3);
    if (slice_equal_nocase(word, SLICE("inf")) || slice_equal_nocase(word, SLICE("nan"))) {
        *ret = (word.data[0] | 32) == 'n' ? (double) NAN : minus ? -INFINITY : INFINITY;
        r->at += 3;
        return 0;
    }
    for (; is_digit(peek(r)); digits++)
        r->at++;
    if (peek(r) == '.')
        for (r->at++; is_digit(peek(r)); digits++)
            r->at++;
    if (!digits) {
        r->at = from;
        return bad(r, "number expected");
    }
    if ((peek(r) | 32) == 'e') {
        size_t e = r->at + 1;

        if (e < r->s.size && (r->s.data[e] == '-' || r->s.data[e] == '+'))
            e++;
        if (e < r->s.size && is_digit(r->s.data[e])) {
            r->at = e;
            while (is_digit(peek(r)))
                r->at++;
        }
    }
    struct slice text = slice_new(r->s.data + from, r->at - from);
    if (text.data[0] == '+')
        text = slice_skip(text, 1);
    return parse_number(text, ret) < 0 ? bad(r, "bad number") : 0;
}

/* A duration or a number of seconds, as milliseconds, with an optional sign. */
static int read_duration(struct reader *r, double *ret) {
    bool minus = peek(r) == '-';
    size_t from;
    double seconds;

    if (minus || peek(r) == '+')
        r->at++;
    from = r->at;
    while (is_digit(peek(r)) || (peek(r) >= 'a' && peek(r) <= 'z' && peek(r) != 'x'))
        r->at++;
    struct slice text = slice_new(r->s.data + from, r->at - from);
    if (!slice_is(text, "0") && parse_duration_seconds(text, &seconds) < 0) {
        r->at = from;
        return bad(r, "duration expected");
    }
    if (slice_is(text, "0"))
        seconds = 0;
    *ret = (minus ? -seconds : seconds) * 1000;
    return 0;
}

int test_parse_time(struct slice s, int64_t *ret_ms) {
    bool minus = s.size && s.data[0] == '-';
    double v;

    if (minus)
        s = slice_skip(s, 1);
    if (parse_duration_seconds(s, &v) < 0 && slice_to_double(s, &v) < 0)
        return -EINVAL;
    if (!(fabs(v) < TIME_SECONDS_MAX))
        return -EINVAL;
    *ret_ms = (int64_t) llround(v * 1000) * (minus ? -1 : 1);
    return 0;
}

bool test_parse_scalar(struct slice s, double *ret) {
    struct reader r = {.s = s};
    struct error e = ERROR_NONE;

    r.e = &e;
    return s.size && read_number(&r, ret) == 0 && r.at == s.size;
}

/* ---- Histograms: {{schema:1 count:2 buckets:[1 1]}} ---- */

static int read_list(struct reader *r, double **ret, uint32_t *ret_n) {
    VECTOR(double) v = {0};
    int result = 0;

    if (peek(r) != '[')
        return bad(r, "\"[\" expected");
    r->at++;
    for (skip_blanks(r); result == 0 && peek(r) != ']'; skip_blanks(r)) {
        double x;

        result = read_number(r, &x);
        if (result == 0)
            result = vector_push(&v, x, 10000);
    }
    r->at++;
    if (result == 0) {
        *ret = arena_array(r->arena, double, v.n);
        *ret_n = (uint32_t) v.n;
        if (!*ret)
            result = -ENOMEM;
        else if (v.n)
            memcpy(*ret, v.items, v.n * sizeof(double));
    }
    vector_done(&v);
    return result;
}

static int read_hint(struct reader *r, struct test_value *v) {
    static const struct {
        const char *name;
        enum promql_reset_hint hint;
    } hints[] = {{"unknown", PROMQL_RESET_UNKNOWN},
                 {"not_reset", PROMQL_NOT_RESET},
                 {"reset", PROMQL_RESET},
                 {"gauge", PROMQL_GAUGE}};

    for (size_t i = 0; i < 4; i++)
        if (slice_starts(slice_skip(r->s, r->at), slice_from(hints[i].name))) {
            r->at += strlen(hints[i].name);
            v->h->hint = hints[i].hint;
            v->hint_set = true;
            return 0;
        }
    return bad(r, "counter reset hint expected");
}

struct layout {
    double *positive, *negative;
    uint32_t n_positive, n_negative;
    double offset, n_offset, schema;
};

static int read_field(struct reader *r, struct test_value *v, struct layout *l) {
    struct promql_histogram *h = v->h;
    const struct {
        const char *name;
        double *number;
        double **list;
        uint32_t *n;
    } fields[] = {
            {"schema:", &l->schema, NULL, NULL},
            {"sum:", &h->sum, NULL, NULL},
            {"count:", &h->count, NULL, NULL},
            {"z_bucket:", &h->zero_count, NULL, NULL},
            {"z_bucket_w:", &h->zero_threshold, NULL, NULL},
            {"buckets:", NULL, &l->positive, &l->n_positive},
            {"n_buckets:", NULL, &l->negative, &l->n_negative},
            {"offset:", &l->offset, NULL, NULL},
            {"n_offset:", &l->n_offset, NULL, NULL},
            {"custom_values:", NULL, (double **) (void *) &h->custom, &h->n_custom},
    };
    struct slice rest = slice_skip(r->s, r->at);

    if (slice_starts(rest, SLICE("counter_reset_hint:"))) {
        r->at += strlen("counter_reset_hint:");
        return read_hint(r, v);
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!slice_starts(rest, slice_from(fields[i].name)))
            continue;
        r->at += strlen(fields[i].name);
        return fields[i].number ? read_number(r, fields[i].number)
                                : read_list(r, fields[i].list, fields[i].n);
    }
    return bad(r, "histogram field expected");
}

static int set_buckets(struct arena *a, struct promql_buckets *b, double *counts, uint32_t n,
                       double offset) {
    b->n = n;
    b->count = counts;
    b->index = arena_array(a, int32_t, n);
    if (!b->index)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        b->index[i] = (int32_t) offset + (int32_t) i;
    return 0;
}

static int read_histogram(struct reader *r, struct test_value *v) {
    struct layout l = {0};
    int result = 0;

    *v = (struct test_value){.is_histogram = true};
    v->h = arena_new(r->arena, struct promql_histogram);
    if (!v->h)
        return -ENOMEM;
    r->at += 2;
    for (skip_blanks(r); result == 0 && peek(r) != '}'; skip_blanks(r))
        result = peek(r) < 0 ? bad(r, "\"}}\" expected") : read_field(r, v, &l);
    if (result < 0)
        return result;
    if (!slice_starts(slice_skip(r->s, r->at), SLICE("}}")))
        return bad(r, "\"}}\" expected");
    r->at += 2;
    if (l.schema != PROMQL_SCHEMA_CUSTOM &&
        !(l.schema >= PROMQL_SCHEMA_MIN && l.schema <= PROMQL_SCHEMA_MAX))
        return bad(r, "schema out of range before this");
    if (!(fabs(l.offset) < 1e6) || !(fabs(l.n_offset) < 1e6))
        return bad(r, "offset out of range before this");
    v->h->schema = (int32_t) l.schema;
    result = set_buckets(r->arena, &v->h->positive, l.positive, l.n_positive, l.offset);
    if (result == 0)
        result = set_buckets(r->arena, &v->h->negative, l.negative, l.n_negative, l.n_offset);
    return result;
}

/* ---- Sequences. ---- */

static int read_repeat(struct reader *r, size_t *ret) {
    double n;
    size_t from = ++r->at;

    while (is_digit(peek(r)))
        r->at++;
    if (from == r->at || slice_to_double(slice_new(r->s.data + from, r->at - from), &n) < 0)
        return bad(r, "number of repetitions expected");
    if (n > TEST_VALUES_MAX)
        return bad(r, "too many repetitions before this");
    *ret = (size_t) n;
    return 0;
}

static int push(struct reader *r, values_t *out, struct test_value v) {
    int result = vector_push(out, v, TEST_VALUES_MAX);

    return result == -ENOBUFS ? bad(r, "too many values before this") : result;
}

static int repeat_omitted(struct reader *r, values_t *out) {
    size_t n = 1;
    int result = 0;

    r->at++;
    if (peek(r) == 'x')
        result = read_repeat(r, &n);
    for (size_t i = 0; result == 0 && i < n; i++)
        result = push(r, out, (struct test_value){.omitted = true});
    return result;
}

/* a, axN, a+bxN, a-bxN for numbers and, in start time lines, durations. */
static int read_numbers(struct reader *r, values_t *out, bool durations) {
    int (*read)(struct reader *, double *) = durations ? read_duration : read_number;
    double v, step = 0;
    size_t n = 0;
    int result = read(r, &v);

    if (result == 0 && (peek(r) == '+' || peek(r) == '-')) {
        result = read(r, &step);
        if (result == 0 && peek(r) != 'x')
            return bad(r, "\"x\" expected");
    }
    if (result == 0 && peek(r) == 'x')
        result = read_repeat(r, &n);
    for (size_t i = 0; result == 0 && i <= n; i++) {
        result = push(r, out, (struct test_value){.v = v});
        v += step;
    }
    return result;
}

static int read_histograms(struct reader *r, values_t *out) {
    struct test_value v, step = {0};
    double sign = 0;
    unsigned flags = 0;
    size_t n = 0;
    int result = read_histogram(r, &v);

    if (result == 0 && (peek(r) == '+' || peek(r) == '-')) {
        sign = peek(r) == '+' ? 1 : -1;
        r->at++;
        if (!slice_starts(slice_skip(r->s, r->at), SLICE("{{")))
            return bad(r, "histogram expected");
        result = read_histogram(r, &step);
    }
    if (result == 0 && peek(r) == 'x')
        result = read_repeat(r, &n);
    for (size_t i = 0; result == 0 && i <= n; i++) {
        result = push(r, out, v);
        if (result == 0 && sign != 0 && i < n)
            result = histogram_combine(r->arena, v.h, step.h, sign, &v.h, &flags);
    }
    return result == HISTOGRAM_MISMATCH ? bad(r, "histograms do not fit together before this")
                                        : result;
}

static int read_values(struct reader *r, values_t *out, bool durations) {
    int result = 0;

    for (skip_blanks(r); result == 0 && r->at < r->s.size; skip_blanks(r)) {
        struct slice rest = slice_skip(r->s, r->at);

        if (peek(r) == '#')
            break;
        if (peek(r) == '_') {
            result = repeat_omitted(r, out);
        } else if (slice_starts(rest, SLICE("stale"))) {
            struct test_value v = {0};
            const uint64_t bits = PROMQL_STALE_BITS;

            memcpy(&v.v, &bits, sizeof(v.v));
            r->at += 5;
            result = push(r, out, v);
        } else if (slice_starts(rest, SLICE("{{"))) {
            result = read_histograms(r, out);
        } else {
            result = read_numbers(r, out, durations);
        }
        if (result == 0 && r->at < r->s.size && peek(r) != ' ' && peek(r) != '\t')
            result = bad(r, "blank expected");
    }
    return result;
}

/* ---- The metric. ---- */

static int token_text(struct arena *a, const struct token *t, struct slice *ret) {
    *ret = t->text;
    return t->kind == TOKEN_STRING ? string_unquote(a, t->text, ret) : 0;
}

/* name{a="b", …}, {…} or {"quoted.name", …}; leaves r behind it. */
static int read_metric(struct reader *r, const struct promql_labels **ret) {
    VECTOR(struct promql_label) v = {0};
    struct lexer l;
    struct token t, name;
    struct slice key, value;
    int result = 0;

    lexer_init(&l, r->s);
    l.at = (uint32_t) r->at;
    t = lexer_next(&l);
    if (t.kind == TOKEN_NAME) {
        result = vector_push(&v, ((struct promql_label){PROMQL_METRIC_NAME, t.text}), 1000);
        r->at = t.end;
        t = r->at < r->s.size && r->s.data[r->at] == '{' ? lexer_next(&l) : (struct token){0};
    } else if (t.kind != TOKEN_LEFT_BRACE) {
        return bad(r, "metric expected");
    }
    if (result == 0 && t.kind == TOKEN_LEFT_BRACE) {
        for (name = lexer_next(&l); result == 0 && name.kind != TOKEN_RIGHT_BRACE;) {
            result = name.kind == TOKEN_NAME || name.kind == TOKEN_STRING
                             ? token_text(r->arena, &name, &key)
                             : -EINVAL;
            t = lexer_next(&l);
            if (result == 0 && t.kind == TOKEN_ASSIGN) {
                t = lexer_next(&l);
                result = t.kind == TOKEN_STRING ? token_text(r->arena, &t, &value) : -EINVAL;
                t = lexer_next(&l);
            } else {
                value = key;
                key = PROMQL_METRIC_NAME;
                result = name.kind == TOKEN_STRING ? result : -EINVAL;
            }
            if (result == 0)
                result = vector_push(&v, ((struct promql_label){key, value}), 1000);
            if (result == 0 && t.kind == TOKEN_COMMA)
                t = lexer_next(&l);
            else if (result == 0 && t.kind != TOKEN_RIGHT_BRACE)
                result = -EINVAL;
            name = t;
        }
        r->at = name.end;
    }
    if (result == 0) {
        *ret = labels_make(r->arena, v.items, (uint32_t) v.n);
        result = *ret ? 0 : -ENOMEM;
    }
    vector_done(&v);
    return result == -EINVAL ? bad(r, "malformed metric") : result;
}

int test_parse_series(struct arena *a, struct slice line, struct test_series *ret,
                      struct error *e) {
    struct reader r = {slice_trim(line), 0, a, e};
    values_t v = {0};
    int result = read_metric(&r, &ret->labels);

    ret->start_times = false;
    if (result == 0 && slice_starts(slice_skip(r.s, r.at), SLICE("@st"))) {
        ret->start_times = true;
        r.at += 3;
    }
    if (result == 0)
        result = read_values(&r, &v, ret->start_times);
    if (result == 0) {
        ret->values = arena_array(a, struct test_value, v.n);
        ret->n = v.n;
        if (!ret->values)
            result = -ENOMEM;
        else if (v.n)
            memcpy(ret->values, v.items, v.n * sizeof(*v.items));
    }
    vector_done(&v);
    return result;
}
