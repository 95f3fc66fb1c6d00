/* Slices: comparing, searching, numbers, UTF-8, hexadecimal. Pure functions: any thread. */
#include "base/slice.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>

int slice_compare(struct slice a, struct slice b) {
    size_t n = a.size < b.size ? a.size : b.size;
    int r = n ? memcmp(a.data, b.data, n) : 0;

    if (r != 0)
        return r;
    return a.size < b.size ? -1 : a.size > b.size;
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t) (c + 32) : c;
}

bool slice_equal_nocase(struct slice a, struct slice b) {
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

ptrdiff_t slice_find_byte(struct slice s, uint8_t byte) {
    const uint8_t *p = s.size ? memchr(s.data, byte, s.size) : NULL;

    return p ? p - s.data : -1;
}

ptrdiff_t slice_find(struct slice s, struct slice needle) {
    if (needle.size == 0)
        return 0;
    if (s.size == 0)
        return -1;
    const uint8_t *p = memmem(s.data, s.size, needle.data, needle.size);
    return p ? p - s.data : -1;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s) {
    while (s.size && is_space(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size && is_space(s.data[s.size - 1]))
        s.size--;
    return s;
}

struct slice slice_cut(struct slice *rest, uint8_t byte) {
    ptrdiff_t at = slice_find_byte(*rest, byte);
    struct slice head = *rest;

    if (at < 0) {
        *rest = slice_skip(*rest, rest->size);
        return head;
    }
    head.size = (size_t) at;
    *rest = slice_skip(*rest, (size_t) at + 1);
    return head;
}

int slice_to_u64(struct slice s, uint64_t *ret) {
    uint64_t value = 0;

    if (s.size == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if (c < '0' || c > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t) (c - '0'), &value))
            return -ERANGE;
    }
    *ret = value;
    return 0;
}

int slice_to_i64(struct slice s, int64_t *ret) {
    bool negative = s.size && s.data[0] == '-';
    uint64_t value;

    if (negative || (s.size && s.data[0] == '+'))
        s = slice_skip(s, 1);
    int r = slice_to_u64(s, &value);
    if (r < 0)
        return r;
    if (value > (uint64_t) INT64_MAX + negative)
        return -ERANGE;
    *ret = negative ? (int64_t) (0 - value) : (int64_t) value;
    return 0;
}

int slice_to_double(struct slice s, double *ret) {
    char text[128], *end;

    if (s.size == 0 || s.size >= sizeof(text) || is_space(s.data[0]))
        return -EINVAL;
    memcpy(text, s.data, s.size);
    text[s.size] = 0;
    /* The process never calls setlocale(LC_NUMERIC, …), so the radix is always a point. */
    double value = strtod(text, &end);
    if (end != text + s.size)
        return -EINVAL;
    *ret = value;
    return 0;
}

size_t slice_utf8_character(struct slice s, size_t *ret_bad) {
    const uint8_t *p = s.data;
    uint8_t c = *p, low = 0x80, high = 0xbf;
    size_t need;

    *ret_bad = 1;
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf) {
        need = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        need = 2;
        low = c == 0xe0 ? 0xa0 : 0x80;
        high = c == 0xed ? 0x9f : 0xbf;
    } else if (c >= 0xf0 && c <= 0xf4) {
        need = 3;
        low = c == 0xf0 ? 0x90 : 0x80;
        high = c == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    for (size_t i = 1; i <= need; i++) {
        if (i >= s.size || p[i] < low || p[i] > high) {
            *ret_bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return need + 1;
}

bool slice_is_utf8(struct slice s) {
    if (s.size == 0)
        return true; /* its data may be NULL */
    const uint8_t *p = s.data, *end = s.data + s.size;
    while (p < end) {
        if (end - p >= 8) {
            uint64_t word;
            memcpy(&word, p, 8);
            if ((word & 0x8080808080808080ull) == 0) {
                p += 8;
                continue;
            }
        }
        size_t bad, n = slice_utf8_character(slice_new(p, (size_t) (end - p)), &bad);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

void slice_to_hex(struct slice s, char *ret) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < s.size; i++) {
        ret[2 * i] = digits[s.data[i] >> 4];
        ret[2 * i + 1] = digits[s.data[i] & 15];
    }
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int slice_from_hex(struct slice hex, uint8_t *ret, size_t size) {
    if (hex.size / 2 != size || hex.size % 2 != 0)
        return -EINVAL;
    for (size_t i = 0; i < hex.size; i++)
        if (hex_digit(hex.data[i]) < 0)
            return -EINVAL;
    for (size_t i = 0; i < size; i++)
        ret[i] = (uint8_t) (hex_digit(hex.data[2 * i]) << 4 | hex_digit(hex.data[2 * i + 1]));
    return 0;
}
