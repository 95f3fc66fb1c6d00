/* UTF-8 repair. Pure functions: any thread; memory is the caller's. */
#include "wire/utf8.h"

static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};

int utf8_repair(struct slice s, struct buffer *out) {
    const uint8_t *p = s.data, *end = p + s.size, *good = p;
    size_t bad;

    while (p < end) {
        size_t n = slice_utf8_character(slice_new(p, (size_t) (end - p)), &bad);
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
        size_t n = slice_utf8_character(slice_new(p, (size_t) (end - p)), &bad);
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
