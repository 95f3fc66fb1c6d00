/*
 * JSON (RFC 8259): a streaming writer of our own, and jansson behind limits for reading.
 *
 * The writer owns nothing: it appends to the caller's buffer, whose `failed` tells at the end
 * whether everything fitted. Commas are its business. One owner at a time.
 *
 *     struct json_writer w = json_writer(&buffer);
 *     json_begin_object(&w);
 *     json_put_key(&w, "count");
 *     json_put_uint(&w, 3);
 *     json_end_object(&w);
 */
#ifndef VARAN_WIRE_JSON_H
#define VARAN_WIRE_JSON_H

#include "base/error.h"
#include "base/memory.h"

struct json_writer {
    struct buffer *out;
    bool comma; /* a value stands before */
};

static inline struct json_writer json_writer(struct buffer *out) {
    return (struct json_writer){.out = out};
}

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
/* The key of the next value. */
void json_put_key(struct json_writer *w, const char *key);
void json_put_key_slice(struct json_writer *w, struct slice key);
/* A string; ill-formed UTF-8 becomes U+FFFD, so the output is always well-formed. */
void json_put_string(struct json_writer *w, struct slice s);
void json_put_text(struct json_writer *w, const char *text); /* NULL: null */
/* Every digit of the number, whatever its size. */
void json_put_int(struct json_writer *w, int64_t v);
void json_put_uint(struct json_writer *w, uint64_t v);
/* A number where a double of a page holds it exactly (|v| ≤ 2^53), else a string of its digits. */
void json_put_int_safe(struct json_writer *w, int64_t v);
/* A string of the number's digits, for times in nanoseconds. */
void json_put_int_text(struct json_writer *w, int64_t v);
/* The shortest form that reads back equal; null for NaN and infinities. */
void json_put_double(struct json_writer *w, double v);
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
/* Lower-case hexadecimal in quotes. */
void json_put_hex(struct json_writer *w, struct slice bytes);
/* Base64 (RFC 4648, with padding) in quotes. */
void json_put_base64(struct json_writer *w, struct slice bytes);
/* One value that is JSON already. */
void json_put_raw(struct json_writer *w, struct slice json);

/* "key": value, in one call. */
void json_field_string(struct json_writer *w, const char *key, struct slice s);
void json_field_text(struct json_writer *w, const char *key, const char *text);
void json_field_int(struct json_writer *w, const char *key, int64_t v);
void json_field_uint(struct json_writer *w, const char *key, uint64_t v);
void json_field_double(struct json_writer *w, const char *key, double v);
void json_field_bool(struct json_writer *w, const char *key, bool v);

#define NUMBER_TEXT_MAX 32
/* The shortest decimal text that reads back equal ("0.1", "1e+300", "-0", "3"); "NaN", "Infinity"
 * and
 * "-Infinity" for the others. `ret` has room for NUMBER_TEXT_MAX bytes; returns the length, no NUL.
 */
size_t double_to_text(double v, char *ret);
/* As Prometheus' answers have it: the shortest digits, without exponent from 1e-6 to 1e21; "NaN",
 * "+Inf", "-Inf". The same room. */
size_t double_to_prometheus(double v, char *ret);
/* The shortest digits that read back equal: |v| = digits × 10^exponent, digits without zeros at the
 * end. `v` is finite. */
struct decimal {
    uint64_t digits;
    int exponent;
};
struct decimal double_to_decimal(double v);
/* A decimal without exponent from 10^low to below 10^high, else as 1.5e+21; at most
 * NUMBER_TEXT_MAX bytes when the two lie within -6 … 21. Digits not 0. */
size_t decimal_to_text(struct decimal d, int low, int high, char *ret);
/* Decimal digits of `v`; the same room. */
size_t int_to_text(int64_t v, char *ret);
size_t uint_to_text(uint64_t v, char *ret);

/* Appends the base64 of `bytes`. */
int base64_encode(struct slice bytes, struct buffer *out);
/* Standard or URL-safe alphabet, padding optional: appends the bytes; 0, -EINVAL or the buffer's
 * error. */
int base64_decode(struct slice text, struct buffer *out);

/* ---- Reading ---- */

struct json_t; /* jansson's */

struct json_limits {
    size_t bytes_max;   /* 0: 64 MiB */
    size_t values_max;  /* 0: 4,000,000; bounds the tree's memory */
    unsigned depth_max; /* 0: 64 */
};

/* Parses one value that fills `text`. Ill-formed UTF-8 is repaired (U+FFFD) first; *ret_repaired,
 * which may be NULL, says so. The caller ends it with json_decref(). 0, -EBADMSG with line and
 * column in `e`, -ENOBUFS (a limit), -ENOMEM. */
int json_parse(struct slice text, const struct json_limits *limits, struct json_t **ret,
               bool *ret_repaired, struct error *e);

#endif
