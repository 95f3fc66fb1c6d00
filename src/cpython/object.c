/* str and bytes objects (PEP 393 representations). One owner at a time. */
#include "cpython/object.h"

static size_t put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        to[0] = (char) c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char) (0xc0 | c >> 6);
        to[1] = (char) (0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        if (c >= 0xd800 && c < 0xe000)
            c = 0xfffd; /* a lone surrogate has no UTF-8 */
        to[0] = (char) (0xe0 | c >> 12);
        to[1] = (char) (0x80 | (c >> 6 & 63));
        to[2] = (char) (0x80 | (c & 63));
        return 3;
    }
    c = c > 0x10ffff ? 0x10ffff : c;
    to[0] = (char) (0xf0 | c >> 18);
    to[1] = (char) (0x80 | (c >> 12 & 63));
    to[2] = (char) (0x80 | (c >> 6 & 63));
    to[3] = (char) (0x80 | (c & 63));
    return 4;
}

static const char *to_utf8(const uint8_t *from, size_t n, unsigned kind, struct arena *to) {
    char *text = arena_alloc(to, n * 4 + 1);
    size_t size = 0;

    if (!text)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = 0;
        memcpy(&c, from + i * kind, kind);
        size += put_utf8(text + size, c);
    }
    text[size] = 0;
    return text;
}

const char *cpython_read_text(struct memory_reader *m, const struct cpython_offsets *o,
                              uint64_t object, struct arena *to) {
    uint8_t head[128], data[CPYTHON_TEXT_MAX * 4];
    size_t size = o->unicode.compact_size > sizeof(head) ? sizeof(head) : o->unicode.compact_size;

    if (memory_read(m, object, head, size) < 0)
        return NULL;
    /* state: interned (2 bits; a byte in free-threaded 3.14), kind (3 bits), compact, ascii */
    uint32_t state = field_u32(head, size, o->unicode.state);
    unsigned shift = o->free_threaded && o->minor >= 14 ? 8 : 2;
    unsigned kind = state >> shift & 7;
    bool compact = state >> (shift + 3) & 1, ascii = state >> (shift + 4) & 1;
    uint64_t n = field_u64(head, size, o->unicode.length);
    if ((kind != 1 && kind != 2 && kind != 4) || !compact || n > UINT32_MAX)
        return NULL;
    if (n > CPYTHON_TEXT_MAX)
        n = CPYTHON_TEXT_MAX;
    uint64_t at = object + (ascii ? o->unicode.ascii_size : o->unicode.compact_size);
    if (n && memory_read(m, at, data, n * kind) < 0)
        return NULL;
    return to_utf8(data, n, kind, to);
}

struct slice cpython_read_bytes(struct memory_reader *m, const struct cpython_offsets *o,
                                uint64_t object, struct arena *to) {
    uint64_t size;

    if (memory_read_u64(m, object + o->bytes.size, &size) < 0 || size > CPYTHON_LINE_TABLE_MAX)
        return SLICE_EMPTY;
    uint8_t *bytes = arena_alloc(to, size);
    if (!bytes || (size && memory_read(m, object + o->bytes.data, bytes, size) < 0))
        return SLICE_EMPTY;
    return slice_new(bytes, size);
}
