/*
 * The dictionary of one low-cardinality column inside one block: text → index, and the indexes of
 * the rows. Private to the native writer. Owner: the block; one thread at a time.
 *
 * Telemetry repeats itself in sequences (the same attribute keys in the same order, span after
 * span), so each entry remembers which one followed it last time: most lookups are one comparison,
 * no hash.
 */
#ifndef VARAN_WIRE_NATIVE_DICTIONARY_H
#define VARAN_WIRE_NATIVE_DICTIONARY_H

#include "base/memory.h"

struct dictionary_entry {
    uint32_t hash, offset, size; /* text at strings.data + offset */
    uint32_t next;               /* the entry that followed this one last time */
};

struct dictionary {
    struct buffer strings; /* as written: length (LEB128), bytes, for each entry */
    struct dictionary_entry *entries;
    uint32_t n, allocated;
    uint32_t *slots;  /* entry + 1, or 0; open addressing */
    uint32_t slots_n; /* power of two, or 0 */
    uint32_t last;    /* the entry used before */
    struct buffer indexes;
    uint8_t width_log2; /* of one index: 0, 1, 2 → 1, 2, 4 bytes */
    size_t items;       /* indexes stored */
};

void dictionary_init(struct dictionary *d);
void dictionary_done(struct dictionary *d);
/* No entries, no indexes; keeps the memory. */
void dictionary_clear(struct dictionary *d);
/* Forgets the indexes from `items` on; entries stay. */
void dictionary_truncate(struct dictionary *d, size_t items);
/* Appends the index of `s`. The bytes it took (≥ 1), or -ENOMEM or -ENOBUFS when more than `room`
 * bytes would be needed; nothing is appended then. */
ssize_t dictionary_put(struct dictionary *d, struct slice s, size_t room);
/* Bytes of texts and indexes. */
size_t dictionary_bytes(const struct dictionary *d);

/* Appends `n` bytes' room to `f` without its sticky failure: NULL without memory. */
static inline uint8_t *native_room(struct buffer *f, size_t n) {
    if (__builtin_expect(f->allocated - f->size >= n && f->data, 1))
        return f->data + f->size;
    uint8_t *p = buffer_reserve(f, n);
    f->failed = 0;
    return p;
}

/* Writes `v` as LEB128 (at most 10 bytes) and returns how many bytes it took. */
static inline size_t native_leb128(uint8_t *to, uint64_t v) {
    size_t n = 0;

    while (v >= 0x80) {
        to[n++] = (uint8_t) (v | 0x80);
        v >>= 7;
    }
    to[n++] = (uint8_t) v;
    return n;
}

#define NATIVE_LEB128_MAX 10u

#endif
