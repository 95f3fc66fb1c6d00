/*
 * Hash map from bytes to a 64-bit number or a pointer. Open addressing, keys copied into the map's
 * own memory, a cap on the number of keys. Not thread-safe: one owner at a time.
 */
#ifndef VARAN_BASE_MAP_H
#define VARAN_BASE_MAP_H

#include "base/memory.h"

struct map_entry {
    uint64_t hash;
    struct slice key; /* data NULL: free slot */
    union {
        uint64_t number;
        void *pointer;
    };
};

struct map {
    struct map_entry *entries;
    size_t n, slots; /* slots: a power of two, or 0 */
    size_t cap;      /* most keys */
    struct arena keys;
};

/* `cap`: most keys; `key_bytes_cap`: most bytes of all keys together. Allocates nothing. */
void map_init(struct map *m, size_t cap, size_t key_bytes_cap);
void map_done(struct map *m);
/* Forgets all keys, keeps the table. */
void map_clear(struct map *m);
/* The entry of `key`, or NULL. Valid until the next map_put(). */
struct map_entry *map_get(const struct map *m, struct slice key);
/* Finds or adds `key` (number 0 when new; *ret_new tells, may be NULL). NULL when a cap or the
 * memory is exhausted; the map is unchanged then. */
struct map_entry *map_put(struct map *m, struct slice key, bool *ret_new);

#define map_each(m, e)                                                                             \
    for (struct map_entry *e = (m)->entries; e && e < (m)->entries + (m)->slots; e++)              \
        if (e->key.data)

#endif
