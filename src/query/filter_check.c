/* Keys of the filter language, and whether operators and values suit them. Any thread. */
#include "query/filter_parser.h"

#include "base/clock.h"
#include "query/filter_fields.h"

#include <math.h>
#include <stdio.h>

#define RESOURCE "resource."

struct filter_key key_of_name(enum filter_signal signal, struct slice name) {
    const struct filter_field *field = filter_field_find(signal, name);

    if (field)
        return (struct filter_key){KEY_FIELD, signal, field, slice_from(field->name)};
    return (struct filter_key){KEY_ATTRIBUTE, signal, NULL, name};
}

/* A name in quotes, or bare ones. */
static int parse_name(struct parser *p, struct slice *ret) {
    size_t start = p->at;
    int r = 0;

    if (p->at < p->text.size && (p->text.data[p->at] == '"' || p->text.data[p->at] == '\''))
        r = scan_quoted(p, ret);
    else {
        size_t size = scan_word_size(p);
        *ret = arena_dup(p->arena, slice_take(scan_rest(p), size));
        p->at += size;
        if (!ret->data)
            return -ENOMEM;
        if (!scan_is_plain_key(*ret))
            r = filter_fail(p, "filter_key", start, size,
                            size ? "write an odd key as @\"odd key\"" : NULL,
                            size ? "this is not a key" : "a key is missing here");
    }
    if (r == 0 && (ret->size == 0 || ret->size > FILTER_KEY_BYTES_MAX))
        r = filter_fail(p, "filter_key", start, p->at - start, NULL, "a key has 1 to %u bytes",
                        FILTER_KEY_BYTES_MAX);
    return r;
}

int parse_key(struct parser *p, struct filter_key *ret) {
    size_t start = p->at;
    struct slice name;
    char hint[200];
    int r;

    if (p->at < p->text.size && p->text.data[p->at] == '@') {
        p->at++;
        r = parse_name(p, &name);
        if (r == 0)
            *ret = (struct filter_key){KEY_ATTRIBUTE, p->signal, NULL, name};
        return r;
    }
    if (slice_starts(scan_rest(p), SLICE(RESOURCE))) {
        p->at += strlen(RESOURCE);
        r = parse_name(p, &name);
        if (r == 0)
            *ret = (struct filter_key){KEY_RESOURCE, p->signal, NULL, name};
        return r;
    }
    r = parse_name(p, &name);
    if (r < 0)
        return r;
    *ret = key_of_name(p->signal, name);
    const struct filter_field *near = filter_field_near(p->signal, name);
    if (ret->kind == KEY_ATTRIBUTE && near) {
        snprintf(hint, sizeof(hint), "did you mean %s? An attribute of this name is @%.*s",
                 near->name, SLICE_ARG(slice_take(name, 60)));
        return filter_fail(p, "filter_key", start, p->at - start, hint, "there is no field %.*s",
                           SLICE_ARG(slice_take(name, 60)));
    }
    return 0;
}

bool value_is_pattern(const struct filter_value *v) {
    return !v->quoted && slice_find_byte(v->text, '*') >= 0;
}

bool value_number(struct slice text, double *ret) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0},
                 {"kB", 1e3},     {"KB", 1e3},        {"MB", 1e6},
                 {"GB", 1e9},     {"TB", 1e12},       {"TiB", 1099511627776.0},
                 {"B", 1.0}};
    double v, factor = 1;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (slice_ends(text, slice_from(units[i].unit))) {
            text = slice_take(text, text.size - strlen(units[i].unit));
            factor = units[i].factor;
            break;
        }
    /* Only digits, signs, point and exponent: no hexadecimal, no NaN. */
    for (size_t i = 0; i < text.size; i++)
        if (!strchr("0123456789+-.eE", text.data[i]))
            return false;
    if (slice_to_double(text, &v) < 0 || !isfinite(v * factor))
        return false;
    *ret = v * factor;
    return true;
}

bool value_flag(struct slice text, bool *ret) {
    if (slice_equal_nocase(text, SLICE("true")) || slice_is(text, "1"))
        *ret = true;
    else if (slice_equal_nocase(text, SLICE("false")) || slice_is(text, "0"))
        *ret = false;
    else
        return false;
    return true;
}

static int wrong_value(struct parser *p, const struct filter_value *v, const char *hint,
                       const char *what) {
    return filter_fail(p, "filter_syntax", v->offset, v->size, hint, "%s", what);
}

static int check_names(struct parser *p, const struct filter_field *field,
                       const struct filter_value *v) {
    const struct filter_name *names = filter_field_names(field);
    char hint[200] = "one of";
    size_t n = strlen(hint);

    if (filter_name_find(names, v->text))
        return 0;
    for (const struct filter_name *name = names; name->name && n < sizeof(hint); name++)
        n += (size_t) snprintf(hint + n, sizeof(hint) - n, "%s %s", name == names ? "" : ",",
                               name->name);
    return filter_fail(p, "filter_syntax", v->offset, v->size, hint, "%s has no value %.*s",
                       field->name, SLICE_ARG(slice_take(v->text, 60)));
}

static int check_id(struct parser *p, const struct filter_value *v, size_t size) {
    uint8_t id[16];

    if (slice_from_hex(v->text, id, size) == 0)
        return 0;
    return filter_fail(p, "filter_syntax", v->offset, v->size, NULL,
                       "an id of %zu hexadecimal digits is expected", size * 2);
}

static int check_duration(struct parser *p, const struct filter_value *v) {
    int64_t ns;
    double number;
    char hint[100];

    if (duration_parse(v->text, &ns) == 0 && !value_number(v->text, &number))
        return ns >= 0 ? 0 : wrong_value(p, v, NULL, "a duration is not negative");
    snprintf(hint, sizeof(hint), "for example %.*s",
             value_number(v->text, &number) && v->text.size < 40 ? (int) v->text.size : 3,
             value_number(v->text, &number) && v->text.size < 40 ? (const char *) v->text.data
                                                                 : "200");
    size_t n = strlen(hint);
    snprintf(hint + n, sizeof(hint) - n, "ms");
    return wrong_value(p, v, hint, "a duration needs a unit: ns, us, ms, s, m, h");
}

/* A value that is compared in order with an attribute or a number. */
static int check_number(struct parser *p, const struct filter *f, const struct filter_value *v) {
    int64_t ns;
    double number;
    char hint[200];

    if (value_number(v->text, &number))
        return 0;
    const struct filter_field *other =
            f->key.kind == KEY_ATTRIBUTE ? filter_field_find_any(f->key.name) : NULL;
    if (other && !other->attribute) {
        snprintf(hint, sizeof(hint), "the field %s is one of %s; here it is an attribute",
                 other->name, other->span ? "spans" : "log lines");
        return wrong_value(p, v, hint, "a number is expected");
    }
    if (duration_parse(v->text, &ns) == 0)
        return wrong_value(p, v, "write the number alone; units of time go with duration",
                           "an attribute has no unit of time");
    return wrong_value(p, v, "numbers may have a unit of bytes: 10MB, 4KiB",
                       "a number is expected");
}

static int check_regex(struct parser *p, struct filter *f) {
    const struct filter_value *v = &f->values[0];
    char reason[160];
    size_t at = 0;

    if (f->key.field && f->key.field->type != FIELD_TEXT && f->key.field->type != FIELD_RESOURCE &&
        f->key.field->type != FIELD_RESOURCE_ATTR && f->key.field->type != FIELD_NUMBER)
        return filter_fail(p, "filter_syntax", f->offset, f->size, NULL,
                           "%s cannot be matched with a regular expression", f->key.field->name);
    if (++p->regexes > FILTER_REGEX_MAX)
        return wrong_value(p, v, NULL, "too many regular expressions in one filter");
    if (v->text.size > FILTER_REGEX_BYTES_MAX)
        return wrong_value(p, v, NULL, "this regular expression is too long");
    if (filter_check_regex(v->text, reason, &at) == 0)
        return 0;
    /* The column is exact as long as nothing before it was escaped. */
    size_t offset = v->offset + (v->quoted ? 1 : 0) + at;
    if (offset >= v->offset + v->size)
        offset = v->offset + v->size - 1;
    return filter_fail(p, "filter_syntax", offset, 1, "RE2 syntax, for example \"^/api/v[0-9]+\"",
                       "regular expression: %s", reason);
}

static bool is_order(enum filter_op op) {
    return op == OP_GT || op == OP_GE || op == OP_LT || op == OP_LE;
}

static int check_value(struct parser *p, const struct filter *f, const struct filter_value *v) {
    const struct filter_field *field = f->key.field;
    bool order = f->kind == FILTER_COMPARE && is_order(f->op), flag;

    if (!field)
        return order ? check_number(p, f, v) : 0;
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_RESOURCE:
    case FIELD_RESOURCE_ATTR:
        if (order)
            return filter_fail(p, "filter_syntax", f->offset, f->size, "use =, !=, ~ or IN",
                               "%s is text and has no order", field->name);
        return 0;
    case FIELD_NUMBER: return value_is_pattern(v) && !order ? 0 : check_number(p, f, v);
    case FIELD_DURATION: return check_duration(p, v);
    case FIELD_KIND:
    case FIELD_STATUS:
        if (order)
            return filter_fail(p, "filter_syntax", f->offset, f->size, "use =, != or IN",
                               "%s has no order", field->name);
        return check_names(p, field, v);
    case FIELD_LEVEL: return check_names(p, field, v);
    case FIELD_TRACE_ID:
    case FIELD_SPAN_ID:
    case FIELD_FLAG:
        if (order)
            return filter_fail(p, "filter_syntax", f->offset, f->size,
                               "use = or !=", "%s has no order", field->name);
        if (field->type == FIELD_FLAG)
            return value_flag(v->text, &flag) ? 0 : wrong_value(p, v, NULL, "true or false");
        return check_id(p, v, field->type == FIELD_TRACE_ID ? 16 : 8);
    }
    return 0;
}

int check_condition(struct parser *p, struct filter *f) {
    if (f->kind == FILTER_COMPARE && (f->op == OP_MATCH || f->op == OP_NOT_MATCH))
        return check_regex(p, f);
    for (size_t i = 0; i < f->n_values; i++) {
        int r = check_value(p, f, &f->values[i]);
        if (r < 0)
            return r;
    }
    return 0;
}
