/* JSON writer and limited reader. The caller's buffer holds what is written. One owner at a time.
 */
#include "wire/json.h"
#include "wire/utf8.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>

#define JSON_BYTES_MAX (64u << 20)
#define JSON_VALUES_MAX 4000000u
#define JSON_DEPTH_MAX 64u
#define JSON_EXACT_INT_MAX (INT64_C(1) << 53)

static void separate(struct json_writer *w) {
    if (w->comma)
        buffer_append_u8(w->out, ',');
    w->comma = true;
}

static void begin(struct json_writer *w, uint8_t bracket) {
    separate(w);
    buffer_append_u8(w->out, bracket);
    w->comma = false;
}

static void end(struct json_writer *w, uint8_t bracket) {
    buffer_append_u8(w->out, bracket);
    w->comma = true;
}

void json_begin_object(struct json_writer *w) {
    begin(w, '{');
}

void json_end_object(struct json_writer *w) {
    end(w, '}');
}

void json_begin_array(struct json_writer *w) {
    begin(w, '[');
}

void json_end_array(struct json_writer *w) {
    end(w, ']');
}

/* 0: stands for itself; 'u': \u00XX; else the letter behind the backslash. */
static const uint8_t escapes[256] = {
        [0] = 'u',    [1] = 'u',    [2] = 'u',    [3] = 'u',     [4] = 'u',    [5] = 'u',
        [6] = 'u',    [7] = 'u',    ['\b'] = 'b', ['\t'] = 't',  ['\n'] = 'n', [11] = 'u',
        ['\f'] = 'f', ['\r'] = 'r', [14] = 'u',   [15] = 'u',    [16] = 'u',   [17] = 'u',
        [18] = 'u',   [19] = 'u',   [20] = 'u',   [21] = 'u',    [22] = 'u',   [23] = 'u',
        [24] = 'u',   [25] = 'u',   [26] = 'u',   [27] = 'u',    [28] = 'u',   [29] = 'u',
        [30] = 'u',   [31] = 'u',   ['"'] = '"',  ['\\'] = '\\', [127] = 'u',
};

static void escape(struct buffer *out, struct slice s) {
    static const char hex[] = "0123456789abcdef";
    if (s.size == 0)
        return; /* its data may be NULL */
    const uint8_t *p = s.data, *stop = p + s.size, *run = p;
    for (; p < stop; p++) {
        uint8_t letter = escapes[*p];
        if (__builtin_expect(letter == 0, 1))
            continue;
        buffer_append(out, run, (size_t) (p - run));
        run = p + 1;
        uint8_t text[6] = {'\\', letter, '0', '0', (uint8_t) hex[*p >> 4], (uint8_t) hex[*p & 15]};
        buffer_append(out, text, letter == 'u' ? 6 : 2);
    }
    buffer_append(out, run, (size_t) (p - run));
}

static void quoted(struct buffer *out, struct slice s) {
    buffer_append_u8(out, '"');
    if (utf8_valid(s)) {
        escape(out, s);
    } else {
        struct buffer repaired;
        buffer_init(&repaired, s.size > SIZE_MAX / 3 ? SIZE_MAX : s.size * 3);
        int r = utf8_repair(s, &repaired);
        if (r < 0 && !out->failed)
            out->failed = r;
        escape(out, buffer_slice(&repaired));
        buffer_done(&repaired);
    }
    buffer_append_u8(out, '"');
}

void json_put_key_slice(struct json_writer *w, struct slice key) {
    separate(w);
    quoted(w->out, key);
    buffer_append_u8(w->out, ':');
    w->comma = false;
}

void json_put_key(struct json_writer *w, const char *key) {
    json_put_key_slice(w, slice_from(key));
}

void json_put_string(struct json_writer *w, struct slice s) {
    separate(w);
    quoted(w->out, s);
}

void json_put_text(struct json_writer *w, const char *text) {
    if (text)
        json_put_string(w, slice_from(text));
    else
        json_put_null(w);
}

void json_put_raw(struct json_writer *w, struct slice json) {
    separate(w);
    buffer_append_slice(w->out, json);
}

void json_put_int(struct json_writer *w, int64_t v) {
    char text[NUMBER_TEXT_MAX];

    json_put_raw(w, slice_new(text, int_to_text(v, text)));
}

void json_put_uint(struct json_writer *w, uint64_t v) {
    char text[NUMBER_TEXT_MAX];

    json_put_raw(w, slice_new(text, uint_to_text(v, text)));
}

void json_put_int_text(struct json_writer *w, int64_t v) {
    char text[NUMBER_TEXT_MAX + 2];
    size_t n = int_to_text(v, text + 1);

    text[0] = text[n + 1] = '"';
    json_put_raw(w, slice_new(text, n + 2));
}

void json_put_int_safe(struct json_writer *w, int64_t v) {
    if (v > JSON_EXACT_INT_MAX || v < -JSON_EXACT_INT_MAX)
        json_put_int_text(w, v);
    else
        json_put_int(w, v);
}

void json_put_double(struct json_writer *w, double v) {
    char text[NUMBER_TEXT_MAX];

    if (isfinite(v))
        json_put_raw(w, slice_new(text, double_to_text(v, text)));
    else
        json_put_null(w);
}

void json_put_bool(struct json_writer *w, bool v) {
    json_put_raw(w, v ? SLICE("true") : SLICE("false"));
}

void json_put_null(struct json_writer *w) {
    json_put_raw(w, SLICE("null"));
}

void json_put_hex(struct json_writer *w, struct slice bytes) {
    separate(w);
    uint8_t *p = bytes.size < SIZE_MAX / 4 ? buffer_reserve(w->out, bytes.size * 2 + 2) : NULL;
    if (!p) {
        w->out->failed = w->out->failed ? w->out->failed : -ENOBUFS;
        return;
    }
    p[0] = p[bytes.size * 2 + 1] = '"';
    slice_to_hex(bytes, (char *) p + 1);
    w->out->size += bytes.size * 2 + 2;
}

void json_put_base64(struct json_writer *w, struct slice bytes) {
    separate(w);
    buffer_append_u8(w->out, '"');
    base64_encode(bytes, w->out);
    buffer_append_u8(w->out, '"');
}

void json_field_string(struct json_writer *w, const char *key, struct slice s) {
    json_put_key(w, key);
    json_put_string(w, s);
}

void json_field_text(struct json_writer *w, const char *key, const char *text) {
    json_put_key(w, key);
    json_put_text(w, text);
}

void json_field_int(struct json_writer *w, const char *key, int64_t v) {
    json_put_key(w, key);
    json_put_int(w, v);
}

void json_field_uint(struct json_writer *w, const char *key, uint64_t v) {
    json_put_key(w, key);
    json_put_uint(w, v);
}

void json_field_double(struct json_writer *w, const char *key, double v) {
    json_put_key(w, key);
    json_put_double(w, v);
}

void json_field_bool(struct json_writer *w, const char *key, bool v) {
    json_put_key(w, key);
    json_put_bool(w, v);
}

/* Depth and number of values, before the parser allocates anything for them. It need not understand
 * malformed text: the parser rejects that. */
static int measure(struct slice text, size_t values_max, unsigned depth_max) {
    size_t values = 1;
    unsigned depth = 0;

    for (const uint8_t *p = text.data, *stop = p + text.size; p < stop; p++) {
        switch (*p) {
        case '"':
            for (p++; p < stop && *p != '"'; p++)
                if (*p == '\\')
                    p++;
            break;
        case '[':
        case '{':
            if (++depth > depth_max)
                return -ENOBUFS;
            values++;
            break;
        case ']':
        case '}': depth -= depth > 0; break;
        case ',':
        case ':': values++; break;
        }
    }
    return values > values_max ? -ENOBUFS : 0;
}

int json_parse(struct slice text, const struct json_limits *limits, struct json_t **ret,
               bool *ret_repaired, struct error *e) {
    size_t bytes_max = limits && limits->bytes_max ? limits->bytes_max : JSON_BYTES_MAX;
    size_t values_max = limits && limits->values_max ? limits->values_max : JSON_VALUES_MAX;
    unsigned depth_max = limits && limits->depth_max ? limits->depth_max : JSON_DEPTH_MAX;
    struct buffer repaired;
    json_error_t problem;

    if (text.size > bytes_max)
        return error_set(e, -ENOBUFS, "the JSON text is longer than %zu bytes", bytes_max);
    if (measure(text, values_max, depth_max) < 0)
        return error_set(e, -ENOBUFS, "the JSON text has more than %zu values or %u levels",
                         values_max, depth_max);
    buffer_init(&repaired, text.size * 3);
    bool valid = utf8_valid(text);
    if (!valid) {
        int r = utf8_repair(text, &repaired);
        if (r < 0) {
            buffer_done(&repaired);
            return error_set(e, r, "out of memory");
        }
        text = buffer_slice(&repaired);
    }
    json_t *value = json_loadb((const char *) text.data, text.size,
                               JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
    buffer_done(&repaired);
    if (!value && json_error_code(&problem) == json_error_out_of_memory)
        return error_set(e, -ENOMEM, "out of memory");
    if (!value)
        return error_set(e, -EBADMSG, "malformed JSON at line %d, column %d: %s", problem.line,
                         problem.column, problem.text);
    *ret = value;
    if (ret_repaired)
        *ret_repaired = !valid;
    return 0;
}
