/* UTF-8 repair. Pure functions: any thread; memory is the caller's. */
#include "wire/utf8.h"

static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};

/* Length of the well-formed character at `p`, or 0 with *bad = bytes of the ill-formed part. */
static size_t character(const uint8_t *p, const uint8_t *end, size_t *bad) {
    uint8_t c = *p, low = 0x80, high = 0xbf;
    size_t need;

    *bad = 1;
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
        if (p + i >= end || p[i] < low || p[i] > high) {
            *bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return need + 1;
}

int utf8_repair(struct slice s, struct buffer *out) {
    const uint8_t *p = s.data, *end = p + s.size, *good = p;
    size_t bad;

    while (p < end) {
        size_t n = character(p, end, &bad);
        if (n) {
            p += n;
            continue;
        }
        buffer_append(out, good, (size_t) (p - good));
        buffer_append(out, replacement, sizeof(replacement));
        p += bad;
        good = p;
    }
    return buffer_append(out, good, (size_t) (p - good));
}

struct slice utf8_clean(struct slice s, struct arena *a, uint64_t *repaired) {
    size_t bad, size = 0;

    if (utf8_valid(s))
        return s.data ? s : slice_new("", 0);
    for (const uint8_t *p = s.data, *end = p + s.size; p < end;) {
        size_t n = character(p, end, &bad);
        size += n ? n : sizeof(replacement);
        p += n ? n : bad;
    }
    uint8_t *copy = arena_alloc(a, size);
    if (!copy)
        return SLICE_EMPTY;
    /* A buffer over the arena's bytes, which are exactly as many as will be written. */
    struct buffer b = {.data = copy, .allocated = size, .cap = size};
    utf8_repair(s, &b);
    ++*repaired;
    return buffer_slice(&b);
}

struct slice utf8_cut(struct slice s, size_t size) {
    if (s.size <= size)
        return s;
    while (size && (s.data[size] & 0xc0) == 0x80)
        size--;
    return slice_take(s, size);
}
