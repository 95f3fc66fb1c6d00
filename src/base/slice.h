/*
 * Slices: (pointer, length) views of bytes owned by somebody else. No terminating NUL is promised
 * or needed. A slice is passed by value. Pure functions: any thread.
 */
#ifndef VARAN_BASE_SLICE_H
#define VARAN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t size;
};

#define SLICE_EMPTY ((struct slice){NULL, 0})
/* A string literal as a slice. */
#define SLICE(literal) ((struct slice){(const uint8_t *) (literal), sizeof(literal) - 1})
/* For printf: "%.*s", SLICE_ARG(s). These are two arguments, so `s` is evaluated twice: nothing
 * that changes something may stand there. */
#define SLICE_ARG(s) (int) ((s).size > INT32_MAX ? INT32_MAX : (s).size), (const char *) (s).data

static inline struct slice slice_new(const void *data, size_t size) {
    return (struct slice){(const uint8_t *) data, size};
}

/* A NUL-terminated string as a slice; NULL gives the empty slice. */
static inline struct slice slice_from(const char *text) {
    return text ? slice_new(text, strlen(text)) : SLICE_EMPTY;
}

static inline bool slice_equal(struct slice a, struct slice b) {
    size_t n = a.size;

    if (n != b.size)
        return false;
    if (n - 8 <= 8) { /* 8 … 16 bytes, as most names: two overlapping words instead of a call */
        uint64_t a0, a1, b0, b1;
        memcpy(&a0, a.data, 8);
        memcpy(&b0, b.data, 8);
        memcpy(&a1, a.data + n - 8, 8);
        memcpy(&b1, b.data + n - 8, 8);
        return ((a0 ^ b0) | (a1 ^ b1)) == 0;
    }
    return n == 0 || memcmp(a.data, b.data, n) == 0;
}

static inline bool slice_is(struct slice a, const char *text) {
    return slice_equal(a, slice_from(text));
}

static inline bool slice_starts(struct slice s, struct slice prefix) {
    return s.size >= prefix.size &&
           (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

static inline bool slice_ends(struct slice s, struct slice suffix) {
    return s.size >= suffix.size && (suffix.size == 0 || memcmp(s.data + s.size - suffix.size,
                                                                suffix.data, suffix.size) == 0);
}

/* The part from `from` (clamped) to the end. */
static inline struct slice slice_skip(struct slice s, size_t from) {
    if (from > s.size)
        from = s.size;
    return slice_new(s.data ? s.data + from : NULL, s.size - from);
}

/* The first `size` bytes (clamped). */
static inline struct slice slice_take(struct slice s, size_t size) {
    return slice_new(s.data, size < s.size ? size : s.size);
}

/* Orders as memcmp does, a prefix before the longer one. */
int slice_compare(struct slice a, struct slice b);
/* Equal, letters A-Z and a-z taken as the same. */
bool slice_equal_nocase(struct slice a, struct slice b);
/* Position of the first `byte`, or -1. */
ptrdiff_t slice_find_byte(struct slice s, uint8_t byte);
/* Position of the first `needle`, or -1; the empty needle is found at 0. */
ptrdiff_t slice_find(struct slice s, struct slice needle);
/* Without leading and trailing spaces, tabs, CR and LF. */
struct slice slice_trim(struct slice s);
/* Cuts `*rest` at the first `byte`: returns what stands before it, leaves what stands after it.
 * Without the byte all of it is returned and `*rest` becomes empty. */
struct slice slice_cut(struct slice *rest, uint8_t byte);
/* Decimal unsigned integer that fills the whole slice: 0, -EINVAL or -ERANGE. */
int slice_to_u64(struct slice s, uint64_t *ret);
/* The same with an optional sign. */
int slice_to_i64(struct slice s, int64_t *ret);
/* A finite or non-finite decimal number in C's form that fills the whole slice: 0 or -EINVAL. */
int slice_to_double(struct slice s, double *ret);
/* Length of the well-formed UTF-8 character that a non-empty slice begins with, or 0 with the
 * length of its ill-formed part (what one U+FFFD stands for) in *ret_bad. */
size_t slice_utf8_character(struct slice s, size_t *ret_bad);
/* Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong
 * forms). */
bool slice_is_utf8(struct slice s);
/* Lower-case hexadecimal of `s` into `ret`, 2 * size characters, no NUL. */
void slice_to_hex(struct slice s, char *ret);
/* Hexadecimal, either case, exactly 2 * size digits: 0 or -EINVAL. */
int slice_from_hex(struct slice hex, uint8_t *ret, size_t size);
/* 64-bit hash (XXH3), the same within one build; seed 0. */
uint64_t slice_hash(struct slice s);

#endif
