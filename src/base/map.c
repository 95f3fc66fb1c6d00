/* Typed vectors' growth, and the hash map: linear probing, at most three quarters full. */
#include "base/map.h"
#include "base/hot.h"
#include "base/vector.h"

#include <errno.h>

#define MAP_SLOTS_MIN 16u

int vector_grow(void **items, size_t *allocated, size_t n, size_t item_size, size_t cap) {
    if (n >= cap)
        return -ENOBUFS;
    size_t want = *allocated ? *allocated * 2 : 8, bytes;
    if (want > cap)
        want = cap;
    if (__builtin_mul_overflow(want, item_size, &bytes))
        return -ENOMEM;
    void *p = memory_realloc(*items, bytes);
    if (!p)
        return -ENOMEM;
    *items = p;
    *allocated = want;
    return 0;
}

void map_init(struct map *m, size_t cap, size_t key_bytes_cap) {
    *m = (struct map){.cap = cap};
    arena_init(&m->keys, key_bytes_cap);
}

void map_done(struct map *m) {
    free(m->entries);
    m->entries = NULL;
    m->n = m->slots = 0;
    arena_done(&m->keys);
}

void map_clear(struct map *m) {
    if (m->entries)
        memset(m->entries, 0, m->slots * sizeof(*m->entries));
    m->n = 0;
    arena_clear(&m->keys);
}

/* The slot that holds the key, or the free one where it belongs. The table is never full. */
static HOT struct map_entry *probe(struct map_entry *entries, size_t slots, uint64_t hash,
                                   struct slice key) {
    for (size_t i = hash & (slots - 1);; i = (i + 1) & (slots - 1)) {
        struct map_entry *e = &entries[i];
        if (!e->key.data || (e->hash == hash && slice_equal(e->key, key)))
            return e;
    }
}

HOT struct map_entry *map_get(const struct map *m, struct slice key) {
    if (m->n == 0)
        return NULL;
    struct map_entry *e = probe(m->entries, m->slots, slice_hash(key), key);
    return e->key.data ? e : NULL;
}

static int map_rehash(struct map *m) {
    size_t slots = m->slots ? m->slots * 2 : MAP_SLOTS_MIN;
    struct map_entry *entries = memory_alloc(slots * sizeof(*entries));

    if (!entries)
        return -ENOMEM;
    memset(entries, 0, slots * sizeof(*entries));
    for (size_t i = 0; i < m->slots; i++)
        if (m->entries[i].key.data)
            *probe(entries, slots, m->entries[i].hash, m->entries[i].key) = m->entries[i];
    free(m->entries);
    m->entries = entries;
    m->slots = slots;
    return 0;
}

struct map_entry *map_put(struct map *m, struct slice key, bool *ret_new) {
    uint64_t hash = slice_hash(key);

    if (m->slots) {
        struct map_entry *e = probe(m->entries, m->slots, hash, key);
        if (e->key.data) {
            if (ret_new)
                *ret_new = false;
            return e;
        }
    }
    if (m->n >= m->cap)
        return NULL;
    if (m->slots == 0 || m->n + 1 > m->slots - m->slots / 4)
        if (map_rehash(m) < 0)
            return NULL;
    struct slice copy = arena_dup(&m->keys, key);
    if (!copy.data)
        return NULL;
    struct map_entry *e = probe(m->entries, m->slots, hash, key);
    *e = (struct map_entry){.hash = hash, .key = copy};
    m->n++;
    if (ret_new)
        *ret_new = true;
    return e;
}
