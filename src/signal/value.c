/* Values as text. Memory is the caller's; any thread. */
#include "signal/value.h"

#include <math.h>

static int put_json(struct json_writer *w, const struct value *v, unsigned depth);

static int put_pairs(struct json_writer *w, const struct attribute *items, size_t n,
                     unsigned depth) {
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key_slice(w, items[i].key);
        int r = put_json(w, &items[i].value, depth);
        if (r < 0)
            return r;
    }
    json_end_object(w);
    return 0;
}

/* A number with a point or exponent, so that it is told from an integer. */
static void put_double(struct json_writer *w, double v) {
    char text[NUMBER_TEXT_MAX + 2];
    size_t n = double_to_text(v, text);

    if (!isfinite(v)) {
        json_begin_object(w);
        json_field_string(w, "$double", slice_new(text, n));
        json_end_object(w);
        return;
    }
    if (!memchr(text, '.', n) && !memchr(text, 'e', n)) {
        text[n++] = '.';
        text[n++] = '0';
    }
    json_put_raw(w, slice_new(text, n));
}

static int put_json(struct json_writer *w, const struct value *v, unsigned depth) {
    int r;

    if (depth >= VALUE_DEPTH_MAX)
        return -EINVAL;
    switch (v->type) {
    case VALUE_STRING: json_put_string(w, v->text); break;
    case VALUE_BOOL: json_put_bool(w, v->boolean); break;
    case VALUE_INT: json_put_int(w, v->integer); break;
    case VALUE_DOUBLE: put_double(w, v->number); break;
    case VALUE_BYTES:
        json_begin_object(w);
        json_put_key(w, "$bytes");
        json_put_base64(w, v->text);
        json_end_object(w);
        break;
    case VALUE_ARRAY:
        json_begin_array(w);
        for (size_t i = 0; i < v->array.n; i++) {
            r = put_json(w, &v->array.items[i], depth + 1);
            if (r < 0)
                return r;
        }
        json_end_array(w);
        break;
    case VALUE_MAP: return put_pairs(w, v->map.items, v->map.n, depth + 1);
    default: json_put_null(w); break;
    }
    return 0;
}

int value_put_json(struct json_writer *w, const struct value *v) {
    return put_json(w, v, 0);
}

int attributes_put_json(struct json_writer *w, const struct attributes *a) {
    return put_pairs(w, a->items, a->n, 0);
}

static int copy_text(const char *text, size_t size, struct arena *a, struct slice *ret) {
    uint8_t *copy = arena_alloc(a, size);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, text, size);
    *ret = slice_new(copy, size);
    return 0;
}

int value_text(const struct value *v, struct buffer *scratch, struct arena *a, struct slice *ret) {
    char text[NUMBER_TEXT_MAX];
    struct json_writer w = json_writer(scratch);
    int r = 0;

    switch (v->type) {
    case VALUE_STRING: *ret = v->text; return 0;
    case VALUE_BOOL: *ret = v->boolean ? SLICE("true") : SLICE("false"); return 0;
    case VALUE_INT: return copy_text(text, int_to_text(v->integer, text), a, ret);
    case VALUE_DOUBLE: return copy_text(text, double_to_text(v->number, text), a, ret);
    case VALUE_BYTES:
        buffer_clear(scratch);
        base64_encode(v->text, scratch);
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        buffer_clear(scratch);
        r = value_put_json(&w, v);
        break;
    default: *ret = slice_new("", 0); return 0;
    }
    if (r < 0)
        return r;
    if (scratch->failed)
        return scratch->failed;
    return copy_text((const char *) scratch->data, scratch->size, a, ret);
}

const char *value_type_name(enum value_type type) {
    static const char *const names[] = {"empty",  "string", "bool",  "int",
                                        "double", "bytes",  "array", "map"};

    return (unsigned) type < sizeof(names) / sizeof(*names) ? names[type] : "string";
}
