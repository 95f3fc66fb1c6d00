/* The dictionary of a low-cardinality column: see native_dictionary.h. One thread at a time. */
#include "wire/native_dictionary.h"

#include <assert.h>
#include <errno.h>

#define SLOTS_MIN 64u
#define ENTRIES_MAX (1u << 28)

void dictionary_init(struct dictionary *d) {
    *d = (struct dictionary){0};
    buffer_init(&d->strings, SIZE_MAX / 2);
    buffer_init(&d->indexes, SIZE_MAX / 2);
}

void dictionary_done(struct dictionary *d) {
    buffer_done(&d->strings);
    buffer_done(&d->indexes);
    free(d->entries);
    free(d->slots);
    dictionary_init(d);
}

void dictionary_clear(struct dictionary *d) {
    buffer_clear(&d->strings);
    buffer_clear(&d->indexes);
    d->n = d->last = 0;
    d->items = 0;
    d->width_log2 = 0;
    if (d->slots_n)
        memset(d->slots, 0, d->slots_n * sizeof(*d->slots));
}

void dictionary_truncate(struct dictionary *d, size_t items) {
    assert(items <= d->items);
    d->items = items;
    buffer_truncate(&d->indexes, items << d->width_log2);
}

size_t dictionary_bytes(const struct dictionary *d) {
    return d->strings.size + d->indexes.size;
}

static bool entry_is(const struct dictionary *d, uint32_t i, struct slice s) {
    const struct dictionary_entry *e = &d->entries[i];

    return e->size == s.size &&
           (s.size == 0 || memcmp(d->strings.data + e->offset, s.data, s.size) == 0);
}

static int slots_grow(struct dictionary *d) {
    uint32_t n = d->slots_n ? d->slots_n * 2 : SLOTS_MIN;
    uint32_t *slots = memory_alloc(n * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    memset(slots, 0, n * sizeof(*slots));
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t at = d->entries[i].hash & (n - 1);
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = i + 1;
    }
    free(d->slots);
    d->slots = slots;
    d->slots_n = n;
    return 0;
}

/* Adds an entry for `s`, which is not there yet; `at` is its free slot. */
static int entry_add(struct dictionary *d, struct slice s, uint32_t hash, uint32_t at) {
    if (d->n == d->allocated) {
        uint32_t want = d->allocated ? d->allocated * 2 : 16;
        struct dictionary_entry *p = memory_realloc(d->entries, want * sizeof(*p));
        if (!p)
            return -ENOMEM;
        d->entries = p;
        d->allocated = want;
    }
    uint8_t *to = native_room(&d->strings, NATIVE_LEB128_MAX + s.size);
    if (!to)
        return -ENOMEM;
    size_t head = native_leb128(to, s.size);
    if (s.size)
        memcpy(to + head, s.data, s.size);
    d->entries[d->n] = (struct dictionary_entry){
            .hash = hash,
            .offset = (uint32_t) (d->strings.size + head),
            .size = (uint32_t) s.size,
            .next = d->n,
    };
    d->strings.size += head + s.size;
    d->slots[at] = ++d->n;
    return 0;
}

/* The entry of `s`, added when new. */
static int entry_find(struct dictionary *d, struct slice s, size_t room, uint32_t *ret) {
    if (s.size > room)
        return -ENOBUFS;
    if ((uint64_t) d->n * 4 >= (uint64_t) d->slots_n * 3) {
        int r = slots_grow(d);
        if (r < 0)
            return r;
    }
    uint32_t hash = (uint32_t) slice_hash(s), at = hash & (d->slots_n - 1);
    for (; d->slots[at]; at = (at + 1) & (d->slots_n - 1)) {
        uint32_t i = d->slots[at] - 1;
        if (d->entries[i].hash == hash && entry_is(d, i, s)) {
            *ret = i;
            return 0;
        }
    }
    if (s.size > UINT32_MAX - NATIVE_LEB128_MAX - d->strings.size || d->n >= ENTRIES_MAX)
        return -ENOBUFS;
    *ret = d->n;
    return entry_add(d, s, hash, at);
}

/* Doubles the width of the indexes, from the last one down, in place. */
static int indexes_widen(struct dictionary *d) {
    if (!native_room(&d->indexes, d->indexes.size))
        return -ENOMEM;
    uint8_t *data = d->indexes.data;
    if (d->width_log2 == 0)
        for (size_t i = d->items; i-- > 0;) {
            uint16_t v = data[i];
            memcpy(data + i * 2, &v, 2);
        }
    else
        for (size_t i = d->items; i-- > 0;) {
            uint16_t narrow;
            memcpy(&narrow, data + i * 2, 2);
            uint32_t v = narrow;
            memcpy(data + i * 4, &v, 4);
        }
    d->width_log2++;
    d->indexes.size *= 2;
    return 0;
}

ssize_t dictionary_put(struct dictionary *d, struct slice s, size_t room) {
    size_t before = d->strings.size;
    uint32_t i;

    if (d->n && entry_is(d, d->entries[d->last].next, s)) {
        i = d->entries[d->last].next;
    } else {
        int r = entry_find(d, s, room, &i);
        if (r < 0)
            return r;
        d->entries[d->last].next = i;
    }
    while (d->width_log2 < 2 && i >> (8u << d->width_log2)) {
        int r = indexes_widen(d);
        if (r < 0)
            return r;
    }
    uint8_t *to = native_room(&d->indexes, 4);
    if (!to)
        return -ENOMEM;
    uint32_t v = i; /* little-endian, as the format is */
    if (d->width_log2 == 0)
        *to = (uint8_t) v;
    else
        memcpy(to, &v, d->width_log2 == 1 ? 2 : 4);
    d->indexes.size += (size_t) 1 << d->width_log2;
    d->items++;
    d->last = i;
    return (ssize_t) (d->strings.size - before + ((size_t) 1 << d->width_log2));
}
