/*
 * Attributes, events and links as JSON for the page. Values are stored as text beside their types
 * (docs/internals/storage.md); JSON that is stored is checked before it is passed on. Any thread.
 */
#include "query/internal.h"

#include "signal/value.h"

#include <jansson.h>

#define JSON_DEPTH_MAX 64u

/* ---- Is it one JSON value? ---- */

struct check {
    const uint8_t *at, *end;
};

static void check_space(struct check *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool check_string(struct check *c) {
    if (c->at == c->end || *c->at++ != '"')
        return false;
    while (c->at < c->end && *c->at != '"') {
        if (*c->at < 0x20)
            return false;
        if (*c->at == '\\') {
            if (++c->at == c->end || !strchr("\"\\/bfnrtu", *c->at) || *c->at == 0)
                return false;
            if (*c->at == 'u') {
                for (int i = 0; i < 4; i++)
                    if (++c->at == c->end || !memchr("0123456789abcdefABCDEF", *c->at, 22))
                        return false;
            }
        }
        c->at++;
    }
    return c->at++ < c->end;
}

static bool check_digits(struct check *c) {
    const uint8_t *start = c->at;

    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > start;
}

static bool check_number(struct check *c) {
    if (c->at < c->end && *c->at == '-')
        c->at++;
    bool zero = c->at < c->end && *c->at == '0';
    const uint8_t *start = c->at;
    if (!check_digits(c) || (zero && c->at - start > 1))
        return false;
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!check_digits(c))
            return false;
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-'))
            c->at++;
        return check_digits(c);
    }
    return true;
}

static bool check_word(struct check *c, const char *word) {
    struct slice rest = slice_new(c->at, (size_t) (c->end - c->at));

    if (!slice_starts(rest, slice_from(word)))
        return false;
    c->at += strlen(word);
    return true;
}

static bool check_value(struct check *c, unsigned depth);

static bool check_container(struct check *c, unsigned depth) {
    bool object = *c->at++ == '{';
    uint8_t close = object ? '}' : ']';

    if (depth == JSON_DEPTH_MAX)
        return false;
    check_space(c);
    if (c->at < c->end && *c->at == close)
        return c->at++, true;
    for (;;) {
        check_space(c);
        if (object) {
            if (!check_string(c))
                return false;
            check_space(c);
            if (c->at == c->end || *c->at++ != ':')
                return false;
        }
        if (!check_value(c, depth + 1))
            return false;
        check_space(c);
        if (c->at == c->end)
            return false;
        if (*c->at == close)
            return c->at++, true;
        if (*c->at++ != ',')
            return false;
    }
}

static bool check_value(struct check *c, unsigned depth) {
    check_space(c);
    if (c->at == c->end)
        return false;
    switch (*c->at) {
    case '{':
    case '[': return check_container(c, depth);
    case '"': return check_string(c);
    case 't': return check_word(c, "true");
    case 'f': return check_word(c, "false");
    case 'n': return check_word(c, "null");
    default: return check_number(c);
    }
}

bool json_is_value(struct slice text) {
    struct check c = {text.data, text.data + text.size};

    if (!slice_is_utf8(text) || !check_value(&c, 0))
        return false;
    check_space(&c);
    return c.at == c.end;
}

/* ---- Values of attributes ---- */

void json_value(struct json_writer *w, unsigned type, struct slice text) {
    int64_t integer;
    double number;

    switch (type) {
    case VALUE_EMPTY: json_put_null(w); return;
    case VALUE_BOOL:
        if (slice_is(text, "true") || slice_is(text, "false")) {
            json_put_bool(w, slice_is(text, "true"));
            return;
        }
        break;
    case VALUE_INT:
        if (slice_to_i64(text, &integer) == 0) {
            json_put_int_safe(w, integer);
            return;
        }
        break;
    case VALUE_DOUBLE:
        if (slice_to_double(text, &number) == 0 && number - number == 0) {
            json_put_double(w, number);
            return;
        }
        break; /* NaN and infinities stay text */
    case VALUE_ARRAY:
    case VALUE_MAP:
        if (json_is_value(text)) {
            json_put_raw(w, text);
            return;
        }
        break;
    default: break;
    }
    json_put_string(w, text);
}

static void write_attribute(struct json_writer *w, struct slice key, unsigned type,
                            struct slice text) {
    json_begin_object(w);
    json_field_string(w, "key", key);
    json_field_text(w, "type", value_type_name(type));
    json_put_key(w, "value");
    json_value(w, type, text);
    json_end_object(w);
}

void json_attributes(struct json_writer *w, const struct rows *r, size_t row, unsigned map,
                     unsigned types) {
    size_t n = native_reader_length(r->reader, row, map);
    size_t n_types = native_reader_length(r->reader, row, types);

    json_put_key(w, "attributes");
    json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        unsigned type = i < n_types ? (unsigned) native_reader_item(r->reader, row, types, i).u64
                                    : VALUE_STRING;
        write_attribute(w, native_reader_key(r->reader, row, map, i).text, type,
                        native_reader_item(r->reader, row, map, i).text);
    }
    json_end_array(w);
}

/* ---- Events and links, stored as JSON ---- */

static enum value_type type_of(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_STRING: return VALUE_STRING;
    case JSON_INTEGER: return VALUE_INT;
    case JSON_REAL: return VALUE_DOUBLE;
    case JSON_TRUE:
    case JSON_FALSE: return VALUE_BOOL;
    case JSON_ARRAY: return VALUE_ARRAY;
    case JSON_OBJECT:
        return json_object_get(v, "$bytes")    ? VALUE_BYTES
               : json_object_get(v, "$double") ? VALUE_DOUBLE
                                               : VALUE_MAP;
    default: return VALUE_EMPTY;
    }
}

static void write_json(struct json_writer *w, const json_t *v) {
    const char *key;
    json_t *item;
    size_t i;

    switch (json_typeof(v)) {
    case JSON_STRING:
        json_put_string(w, slice_new(json_string_value(v), json_string_length(v)));
        break;
    case JSON_INTEGER: json_put_int_safe(w, json_integer_value(v)); break;
    case JSON_REAL: json_put_double(w, json_real_value(v)); break;
    case JSON_TRUE: json_put_bool(w, true); break;
    case JSON_FALSE: json_put_bool(w, false); break;
    case JSON_NULL: json_put_null(w); break;
    case JSON_ARRAY:
        json_begin_array(w);
        json_array_foreach((json_t *) v, i, item) write_json(w, item);
        json_end_array(w);
        break;
    case JSON_OBJECT:
        json_begin_object(w);
        json_object_foreach((json_t *) v, key, item) {
            json_put_key(w, key);
            write_json(w, item);
        }
        json_end_object(w);
        break;
    }
}

static void write_attribute_object(struct json_writer *w, const json_t *attributes) {
    const char *key;
    json_t *v;

    json_put_key(w, "attributes");
    json_begin_array(w);
    json_object_foreach((json_t *) attributes, key, v) {
        enum value_type type = type_of(v);
        json_t *inner = type == VALUE_BYTES    ? json_object_get(v, "$bytes")
                        : type == VALUE_DOUBLE ? json_object_get(v, "$double")
                                               : NULL;
        json_begin_object(w);
        json_field_text(w, "key", key);
        json_field_text(w, "type", value_type_name(type));
        json_put_key(w, "value");
        write_json(w, inner ? inner : v);
        json_end_object(w);
    }
    json_end_array(w);
}

/* Calls `each` for the objects of a stored array; what cannot be read is left out. */
static void each_stored(struct json_writer *w, struct slice text, int64_t start_ns,
                        void (*each)(struct json_writer *, const json_t *, int64_t)) {
    json_t *array = NULL, *item;
    size_t i;

    if (text.size && json_parse(text, NULL, &array, NULL, NULL) == 0)
        json_array_foreach(array, i, item) if (json_is_object(item)) each(w, item, start_ns);
    json_decref(array);
}

static struct slice text_of(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);

    return json_is_string(v) ? slice_new(json_string_value(v), json_string_length(v)) : SLICE_EMPTY;
}

static void write_event(struct json_writer *w, const json_t *event, int64_t start_ns) {
    int64_t time_ns = start_ns;

    slice_to_i64(text_of(event, "time_ns"), &time_ns);
    json_begin_object(w);
    json_field_int(w, "time_ns", time_ns - start_ns);
    json_field_string(w, "name", text_of(event, "name"));
    write_attribute_object(w, json_object_get(event, "attributes"));
    json_end_object(w);
}

static void write_link(struct json_writer *w, const json_t *link, int64_t start_ns) {
    json_begin_object(w);
    json_field_string(w, "trace_id", text_of(link, "trace_id"));
    json_field_string(w, "span_id", text_of(link, "span_id"));
    write_attribute_object(w, json_object_get(link, "attributes"));
    json_end_object(w);
}

void json_events(struct json_writer *w, struct slice events, int64_t start_ns) {
    json_put_key(w, "events");
    json_begin_array(w);
    each_stored(w, events, start_ns, write_event);
    json_end_array(w);
}

void json_links(struct json_writer *w, struct slice links) {
    json_put_key(w, "links");
    json_begin_array(w);
    each_stored(w, links, 0, write_link);
    json_end_array(w);
}
