/* Line tables: three formats. Pure; reads each table once up to the instruction. */
#include "cpython/lines.h"
#include "base/hot.h"

/* 3.8, 3.9: pairs (bytes of code, signed lines). */
static int line_lnotab(struct slice t, int line, int64_t offset) {
    int64_t at = 0;

    for (size_t i = 0; i + 1 < t.size; i += 2) {
        at += t.data[i];
        if (at > offset)
            break;
        line += (int8_t) t.data[i + 1];
    }
    return line;
}

/* 3.10: pairs (bytes of code, signed lines); -128: these bytes have no line. */
static int line_pairs(struct slice t, int line, int64_t offset) {
    int64_t end = 0;

    for (size_t i = 0; i + 1 < t.size; i += 2) {
        int delta = (int8_t) t.data[i + 1];
        end += t.data[i];
        if (delta != -128)
            line += delta;
        if (end > offset)
            return delta == -128 ? 0 : line;
    }
    return 0;
}

/* Six bits a byte, lowest first, bit 6 says that more follow. */
static HOT bool take_varint(struct slice *t, uint32_t *ret) {
    uint32_t value = 0;

    for (unsigned shift = 0; shift < 30 && t->size; shift += 6) {
        uint8_t byte = t->data[0];
        *t = slice_skip(*t, 1);
        value |= (uint32_t) (byte & 63) << shift;
        if (!(byte & 64)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static HOT bool take_signed(struct slice *t, int *ret) {
    uint32_t v;

    if (!take_varint(t, &v))
        return false;
    *ret = v & 1 ? -(int) (v >> 1) : (int) (v >> 1);
    return true;
}

struct entry {
    int64_t bytes; /* of code */
    int line, end_line;
    bool has_line;
};

/* 3.11+: one head byte (bit 7, four bits of kind, three of length - 1) and its data. False at the
 * end, and when it is malformed. `line`: of the entry before. */
static HOT bool take_entry(struct slice *t, int line, struct entry *ret) {
    uint32_t more_lines = 0, skipped;
    int delta = 0;

    if (t->size == 0 || !(t->data[0] & 0x80))
        return false;
    uint8_t head = t->data[0];
    unsigned kind = head >> 3 & 15;
    *t = slice_skip(*t, 1);
    if (kind == 13 && !take_signed(t, &delta))
        return false;
    if (kind == 14 && !(take_signed(t, &delta) && take_varint(t, &more_lines) &&
                        take_varint(t, &skipped) && take_varint(t, &skipped)))
        return false;
    if (kind >= 10 && kind <= 12) {
        delta = (int) kind - 10;
        *t = slice_skip(*t, 2);
    } else if (kind < 10) {
        *t = slice_skip(*t, 1);
    }
    if (__builtin_add_overflow(line, delta, &ret->line) ||
        __builtin_add_overflow(ret->line, (int) more_lines, &ret->end_line))
        return false;
    ret->bytes = 2 * (int64_t) ((head & 7) + 1);
    ret->has_line = kind != 15;
    return true;
}

static HOT int line_entries(struct slice t, int line, int64_t offset) {
    struct entry e = {.line = line};

    for (int64_t end = 0; take_entry(&t, e.line, &e);) {
        end += e.bytes;
        if (end > offset)
            return e.has_line ? e.line : 0;
    }
    return 0;
}

HOT int cpython_line(unsigned minor, struct slice table, int first_line, int64_t offset) {
    int line;

    if (minor >= 11)
        line = line_entries(table, first_line, offset < 0 ? 0 : offset);
    else if (minor == 10)
        line = line_pairs(table, first_line, offset < 0 ? 0 : offset);
    else
        line = line_lnotab(table, first_line, offset);
    return line > 0 ? line : 0;
}

int cpython_last_line(unsigned minor, struct slice table, int first_line) {
    struct entry e = {.line = first_line};
    int line = first_line, last = 0;

    if (minor >= 11) {
        while (take_entry(&table, e.line, &e))
            if (e.has_line && e.end_line > last)
                last = e.end_line;
        return last;
    }
    last = first_line > 0 ? first_line : 0;
    for (size_t i = 0; i + 1 < table.size; i += 2) {
        int delta = (int8_t) table.data[i + 1];
        if (minor == 10 && delta == -128)
            continue;
        if (__builtin_add_overflow(line, delta, &line))
            return last;
        if (line > last)
            last = line;
    }
    return last;
}
