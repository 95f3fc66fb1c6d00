/*
 * UTF-8 from outside: fast recognition, repair, and cutting without splitting a character. Pure
 * functions: any thread.
 */
#ifndef VARAN_WIRE_UTF8_H
#define VARAN_WIRE_UTF8_H

#include "base/memory.h"

/* Whether all bytes are below 0x80; what nearly every string on the wire is. */
static inline bool utf8_is_ascii(struct slice s) {
    const uint64_t high = 0x8080808080808080ull;
    const uint8_t *p = s.data;
    uint64_t a = 0, b;

    if (s.size >= 8) {
        for (size_t i = 0; i + 8 <= s.size; i += 8) {
            memcpy(&b, p + i, 8);
            a |= b;
        }
        memcpy(&b, p + s.size - 8, 8); /* overlaps: no tail loop */
        return ((a | b) & high) == 0;
    }
    uint32_t c, d;
    if (s.size >= 4) {
        memcpy(&c, p, 4);
        memcpy(&d, p + s.size - 4, 4);
        return ((c | d) & 0x80808080u) == 0;
    }
    uint8_t bits = 0;
    for (size_t i = 0; i < s.size; i++)
        bits |= p[i];
    return bits < 0x80;
}

static inline bool utf8_valid(struct slice s) {
    return utf8_is_ascii(s) || slice_is_utf8(s);
}

/* Appends `s` with each maximal ill-formed part replaced by U+FFFD (Unicode 15, section 3.9). */
int utf8_repair(struct slice s, struct buffer *out);
/* `s` itself when well-formed, else a repaired copy in the arena, counted in *repaired. data NULL
 * only when the arena is exhausted. */
struct slice utf8_clean(struct slice s, struct arena *a, uint64_t *repaired);
/* The longest beginning of at most `size` bytes that does not end within a character. */
struct slice utf8_cut(struct slice s, size_t size);

#endif
