/* Walks over the text formats line by line. See the header; owns nothing. */
#include "wire/prometheus_text.h"

#include <math.h>

#define LINE_SHOWN_MAX 120u /* bytes of a line in an error */

void prometheus_text_init(struct prometheus_text *p, struct slice body,
                          enum prometheus_format format) {
    *p = (struct prometheus_text){.body = body, .format = format};
}

static int fail(struct prometheus_text *p, size_t at, const char *why) {
    p->why = why;
    p->why_at = at;
    return -EBADMSG;
}

int prometheus_text_fail(struct prometheus_text *p, struct slice place, const char *why) {
    size_t at = 0;

    if (place.data >= p->body.data && place.data <= p->body.data + p->body.size)
        at = (size_t) (place.data - p->body.data);
    return fail(p, at, why);
}

int prometheus_text_error(const struct prometheus_text *p, struct error *e) {
    size_t line = 1, begin = 0, end;

    for (size_t i = 0; i < p->why_at && i < p->body.size; i++)
        if (p->body.data[i] == '\n') {
            line++;
            begin = i + 1;
        }
    for (end = begin; end < p->body.size && p->body.data[end] != '\n';)
        end++;
    struct slice shown = slice_take(slice_new(p->body.data + begin, end - begin), LINE_SHOWN_MAX);
    while (shown.size && !slice_is_utf8(shown) && shown.size + 4 > LINE_SHOWN_MAX)
        shown.size--; /* a character cut in half */
    return error_set(e, -EBADMSG, "line %zu, column %zu: %s: `%.*s`", line, p->why_at - begin + 1,
                     p->why ? p->why : "malformed", SLICE_ARG(shown));
}

/* ---- Characters ---- */

enum { NAME_FIRST = 1, NAME_NEXT = 2 };

static const uint8_t classes[256] = {
        ['a' ... 'z'] = NAME_FIRST | NAME_NEXT,
        ['A' ... 'Z'] = NAME_FIRST | NAME_NEXT,
        ['_'] = NAME_FIRST | NAME_NEXT,
        [':'] = NAME_FIRST | NAME_NEXT,
        ['0' ... '9'] = NAME_NEXT,
};

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

/* The byte at the place, a newline behind the end: the last line may lack one. */
static uint8_t byte_at(const struct prometheus_text *p, size_t at) {
    return at < p->body.size ? p->body.data[at] : '\n';
}

static struct slice cut(const struct prometheus_text *p, size_t from, size_t to) {
    return slice_new(p->body.data + from, to - from);
}

static size_t skip_blanks(const struct prometheus_text *p, size_t at) {
    while (at < p->body.size && is_blank(p->body.data[at]))
        at++;
    return at;
}

/* Behind the closing quote of the string whose opening quote stands at `at`; 0: it is not closed.
 */
static size_t skip_string(const struct prometheus_text *p, size_t at) {
    const uint8_t *data = p->body.data;

    for (at++; at < p->body.size; at++) {
        if (data[at] == '"')
            return at + 1;
        if (data[at] == '\\')
            at++;
    }
    return 0;
}

/* Behind the closing brace of the labels that open at `at`; 0: they are not closed. */
static size_t skip_labels(const struct prometheus_text *p, size_t at) {
    const uint8_t *data = p->body.data;

    for (at++; at < p->body.size;) {
        uint8_t c = data[at];
        if (c == '}')
            return at + 1;
        if (c == '\n')
            return 0;
        if (c != '"') {
            at++;
            continue;
        }
        at = skip_string(p, at);
        if (!at)
            return 0;
    }
    return 0;
}

static size_t skip_name(const struct prometheus_text *p, size_t at) {
    if (!(classes[byte_at(p, at)] & NAME_FIRST))
        return at;
    while (at < p->body.size && classes[p->body.data[at]] & NAME_NEXT)
        at++;
    return at;
}

static size_t line_end(const struct prometheus_text *p, size_t at) {
    const uint8_t *found =
            at < p->body.size ? memchr(p->body.data + at, '\n', p->body.size - at) : NULL;

    return found ? (size_t) (found - p->body.data) : p->body.size;
}

/* ---- Numbers and times ---- */

static int read_number(struct prometheus_text *p, double *ret) {
    size_t from = p->at, to = from;

    while (to < p->body.size && p->body.data[to] > ' ')
        to++;
    if (to == from)
        return fail(p, from, "a value is missing");
    if (prometheus_number(cut(p, from, to), ret) < 0)
        return fail(p, from, "this is not a number");
    p->at = to;
    return 0;
}

/* Milliseconds as an integer, or with OpenMetrics seconds as any number. */
static int read_time(struct prometheus_text *p, int64_t *ret) {
    size_t from = p->at, to = from;
    double s;

    if (p->format == PROMETHEUS_OPENMETRICS) {
        int r = read_number(p, &s);
        if (r < 0)
            return r;
        if (!(s > -9e15 && s < 9e15))
            return fail(p, from, "this time is out of bounds");
        *ret = (int64_t) (s * 1000);
        return 0;
    }
    while (to < p->body.size && p->body.data[to] > ' ')
        to++;
    if (slice_to_i64(cut(p, from, to), ret) < 0)
        return fail(p, from, "a time is a whole number of milliseconds since 1970");
    p->at = to;
    return 0;
}

/* ---- Samples ---- */

static int read_exemplar(struct prometheus_text *p, struct prometheus_entry *ret) {
    p->at++; /* # */
    if (byte_at(p, p->at) != ' ' || byte_at(p, p->at + 1) != '{')
        return fail(p, p->at, "an exemplar is: # {labels} value [time]");
    size_t from = ++p->at, to = skip_labels(p, from);
    if (!to)
        return fail(p, from, "the exemplar's labels are not closed");
    ret->exemplar = cut(p, from, to);
    if (byte_at(p, to) != ' ')
        return fail(p, to, "an exemplar has a value after its labels");
    p->at = to + 1;
    int r = read_number(p, &ret->exemplar_value);
    if (r < 0)
        return r;
    ret->has_exemplar = true;
    if (byte_at(p, p->at) != ' ')
        return 0;
    p->at++;
    ret->exemplar_has_time = true;
    return read_time(p, &ret->exemplar_time_ms);
}

/* What stands behind the value: a time, an exemplar, the end of the line. */
static int read_rest(struct prometheus_text *p, struct prometheus_entry *ret) {
    bool open = p->format == PROMETHEUS_OPENMETRICS;
    int r = 0;

    if (open && byte_at(p, p->at) == ' ' && byte_at(p, p->at + 1) != '\n')
        p->at++;
    else if (!open)
        p->at = skip_blanks(p, p->at);
    uint8_t c = byte_at(p, p->at);
    if (c != '\n' && c != '#') {
        r = read_time(p, &ret->time_ms);
        ret->has_time = r == 0;
        if (r == 0 && open && byte_at(p, p->at) == ' ' && byte_at(p, p->at + 1) == '#')
            p->at++;
        else if (r == 0 && !open)
            p->at = skip_blanks(p, p->at);
    }
    if (r == 0 && open && byte_at(p, p->at) == '#')
        r = read_exemplar(p, ret);
    if (r < 0)
        return r;
    if (byte_at(p, p->at) != '\n')
        return fail(p, p->at, "the line goes on behind its end");
    p->at++;
    return 0;
}

/* Whether the series that is expected stands here: its text, a blank, and no labels behind. */
static bool expected_here(const struct prometheus_text *p) {
    size_t from = p->at, n = p->expected.size;

    return n && n < p->body.size - from && is_blank(p->body.data[from + n]) &&
           memcmp(p->body.data + from, p->expected.data, n) == 0 &&
           (p->body.data[from + n - 1] == '}' || byte_at(p, skip_blanks(p, from + n)) != '{');
}

static int read_sample(struct prometheus_text *p, struct prometheus_entry *ret) {
    size_t from = p->at, to;
    bool open = p->format == PROMETHEUS_OPENMETRICS;

    if (expected_here(p)) {
        to = from + p->expected.size;
    } else {
        to = skip_name(p, from);
        size_t brace = open ? to : skip_blanks(p, to);
        if (byte_at(p, brace) == '{') {
            to = skip_labels(p, brace);
            if (!to)
                return fail(p, brace, "the labels are not closed");
        } else if (to == from) {
            return fail(p, from, "a metric's name or a comment should begin here");
        } else if (!is_blank(byte_at(p, to))) {
            return fail(p, to, "this cannot stand in a name, and a value is missing");
        }
    }
    ret->kind = PROMETHEUS_SAMPLE;
    ret->series = cut(p, from, to);
    ret->has_time = ret->has_exemplar = ret->exemplar_has_time = false;
    if (open && byte_at(p, to) != ' ')
        return fail(p, to, "one space and a value should follow");
    p->at = open ? to + 1 : skip_blanks(p, to);
    int r = read_number(p, &ret->value);
    return r < 0 ? r : read_rest(p, ret);
}

/* ---- Comments ---- */

static const struct {
    const char *name;
    enum prometheus_type type;
    bool open_only, text_only;
} types[] = {
        {"counter", PROMETHEUS_COUNTER},
        {"gauge", PROMETHEUS_GAUGE},
        {"histogram", PROMETHEUS_HISTOGRAM},
        {"summary", PROMETHEUS_SUMMARY},
        {"untyped", PROMETHEUS_UNKNOWN, .text_only = true},
        {"unknown", PROMETHEUS_UNKNOWN, .open_only = true},
        {"info", PROMETHEUS_INFO, .open_only = true},
        {"stateset", PROMETHEUS_STATE_SET, .open_only = true},
        {"gaugehistogram", PROMETHEUS_GAUGE_HISTOGRAM, .open_only = true},
};

static int read_type(struct prometheus_text *p, size_t from, struct prometheus_entry *ret) {
    bool open = p->format == PROMETHEUS_OPENMETRICS;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (slice_is(ret->text, types[i].name) &&
            !(open ? types[i].text_only : types[i].open_only)) {
            ret->type = types[i].type;
            return 0;
        }
    return fail(p, from, "there is no such metric type");
}

static int read_metadata(struct prometheus_text *p, enum prometheus_kind kind, size_t at,
                         struct prometheus_entry *ret) {
    bool open = p->format == PROMETHEUS_OPENMETRICS;
    size_t end, to;

    at = open ? at + 1 : skip_blanks(p, at);
    ret->quoted = byte_at(p, at) == '"';
    to = ret->quoted ? skip_string(p, at) : skip_name(p, at);
    if (!to || to == at)
        return fail(p, at, "a metric's name should stand here");
    if (!is_blank(byte_at(p, to)) && byte_at(p, to) != '\n')
        return fail(p, to, "this cannot stand in a metric's name");
    ret->metric = ret->quoted ? cut(p, at + 1, to - 1) : cut(p, at, to);
    at = open && is_blank(byte_at(p, to)) ? to + 1 : skip_blanks(p, to);
    end = line_end(p, to);
    if (at > end)
        at = end;
    ret->kind = kind;
    ret->text = cut(p, at, end);
    if (!open && ret->text.size && ret->text.data[ret->text.size - 1] == '\r')
        ret->text.size--;
    ret->escaped = kind == PROMETHEUS_HELP && memchr(ret->text.data, '\\', ret->text.size);
    p->at = end + 1;
    if (kind == PROMETHEUS_TYPE)
        return read_type(p, at, ret);
    if (kind == PROMETHEUS_HELP && !slice_is_utf8(ret->text))
        return fail(p, at, "this help text is not UTF-8");
    if (kind == PROMETHEUS_UNIT && ret->text.size &&
        (!slice_ends(ret->metric, ret->text) || ret->metric.size == ret->text.size ||
         ret->metric.data[ret->metric.size - ret->text.size - 1] != '_'))
        return fail(p, at, "the metric's name must end with its unit");
    return 0;
}

/* Whether the word stands there, with a blank behind. */
static bool word_at(const struct prometheus_text *p, size_t at, const char *word) {
    size_t n = strlen(word);

    return p->body.size - at > n && memcmp(p->body.data + at, word, n) == 0 &&
           is_blank(p->body.data[at + n]);
}

/* A line that begins with #. 1: a comment without meaning, or the end. */
static int read_comment(struct prometheus_text *p, struct prometheus_entry *ret) {
    bool open = p->format == PROMETHEUS_OPENMETRICS;
    size_t end = line_end(p, p->at), at = p->at + 1;

    if (open) {
        if (slice_equal(cut(p, p->at, end), SLICE("# EOF"))) {
            if (end + 1 < p->body.size)
                return fail(p, end + 1, "something stands behind # EOF");
            p->ended = true;
            p->at = p->body.size;
            return 1;
        }
        if (byte_at(p, at) != ' ')
            return fail(p, at, "a space should follow the #");
        at++;
    } else if (!is_blank(byte_at(p, at))) {
        p->at = end + 1;
        return 1;
    } else {
        at = skip_blanks(p, at);
    }
    if (word_at(p, at, "HELP"))
        return read_metadata(p, PROMETHEUS_HELP, at + 4, ret);
    if (word_at(p, at, "TYPE"))
        return read_metadata(p, PROMETHEUS_TYPE, at + 4, ret);
    if (open && word_at(p, at, "UNIT"))
        return read_metadata(p, PROMETHEUS_UNIT, at + 4, ret);
    if (open)
        return fail(p, at, "after # stands one of TYPE, HELP, UNIT, EOF");
    p->at = end + 1;
    return 1;
}

int prometheus_text_next(struct prometheus_text *p, struct prometheus_entry *ret) {
    bool open = p->format == PROMETHEUS_OPENMETRICS;

    for (;;) {
        if (!open)
            while (p->at < p->body.size &&
                   (p->body.data[p->at] == '\n' || is_blank(p->body.data[p->at])))
                p->at++;
        if (p->at >= p->body.size)
            break;
        if (p->body.data[p->at] != '#')
            return read_sample(p, ret);
        int r = read_comment(p, ret);
        if (r <= 0)
            return r;
    }
    if (open && !p->ended)
        return fail(p, p->body.size, "the body does not end with # EOF");
    ret->kind = PROMETHEUS_END;
    return 0;
}
