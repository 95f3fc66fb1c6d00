/* The series index from inside: what series*.c share. Guarded by the index's lock, except what is
 * atomic. */
#ifndef VARAN_DERIVE_SERIES_PRIVATE_H
#define VARAN_DERIVE_SERIES_PRIVATE_H

#include "base/map.h"
#include "base/vector.h"
#include "derive/series.h"

#include <pthread.h>
#include <stdatomic.h>

#define SERIES_CHUNK 4096u /* series never move: readers without the lock touch their times */
#define LABEL_CHUNK_BYTES 65536u

struct series {
    _Atomic uint64_t id; /* 0: free */
    uint64_t hash[2];    /* of its labels, keyed: taken as equality */
    uint32_t *pairs;     /* in the order of the labels */
    _Atomic int64_t start_ms;
    _Atomic uint32_t first_s, last_s; /* of its samples */
    _Atomic uint32_t row_last_s;      /* the last_s that its row has */
    _Atomic uint32_t written_s;       /* when its row was written; 0: not yet, not shown */
    _Atomic uint32_t token;           /* of the transaction that wrote the row last */
    uint32_t n;
};

struct pair {
    uint8_t *value; /* NULL: free */
    uint32_t size, name, n, allocated;
    union {
        uint32_t one;   /* when n is 1 */
        uint32_t *refs; /* ascending; when allocated */
    };
};

struct label_name {
    struct slice name;
    VECTOR(uint32_t) pairs;
};

/* Open addressing; a slot holds 32 bits of the hash and the number + 1. */
struct slots {
    uint64_t *items;
    size_t n, used, dead;
};

struct other_id {
    uint32_t at;
    uint64_t id;
};

struct series_index {
    pthread_rwlock_t lock;
    size_t series_max, instance_max;
    uint64_t key; /* of the hashes */
    struct series **chunks;
    size_t n_chunks;
    uint32_t n_series, high; /* present; places ever used */
    VECTOR(uint32_t) free_series;
    struct slots by_labels, by_id;
    struct pair *pairs;
    uint32_t n_pairs, pairs_allocated, pairs_present;
    VECTOR(uint32_t) free_pairs;
    struct slots pair_slots;
    VECTOR(struct label_name) names;
    struct map name_numbers;
    struct arena names_arena, labels_arena;
    void *free_labels[SERIES_LABELS_MAX + 1];
    VECTOR(struct other_id) others;
    uint32_t gap_s;
    size_t bytes; /* of values, postings, tables */
    uint64_t added, evicted;
    _Atomic uint64_t refused;
    uint64_t hour, added_now, gone_now, added_before, gone_before;
};

static inline struct series *series_at(const struct series_index *x, uint32_t at) {
    return &x->chunks[at / SERIES_CHUNK][at % SERIES_CHUNK];
}

static inline uint64_t id_hash(uint64_t id) {
    return (id * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
}

/* ---- series_evict.c; the lock is held for writing ---- */

void series_labels_return(struct series_index *x, uint32_t *pairs, size_t n);
/* Adds to a counter of the present hour. */
void series_count_hour(struct series_index *x, uint64_t *counter, uint64_t n);
/* Forgets a series; pairs that have it in their lists must be swept after. */
void series_forget(struct series_index *x, uint32_t at);
size_t series_evict_locked(struct series_index *x, uint32_t now_s, uint32_t idle_s);

/* ---- series_pairs.c ---- */

/* Appends number `v` under `hash`; -ENOMEM. */
int slots_put(struct slots *s, uint64_t hash, uint32_t v);
void slots_remove(struct slots *s, uint64_t hash, uint32_t v);
/* Walks the numbers under `hash`: *at starts with 0. False at the end. */
bool slots_next(const struct slots *s, uint64_t hash, size_t *at, uint32_t *ret);

/* The number of a pair, or UINT32_MAX. */
uint32_t pair_find(const struct series_index *x, uint32_t name, struct slice value);
uint32_t name_find(const struct series_index *x, struct slice name);
/* The same, added when new. -ENOMEM, -ENOSPC (label names). */
int pair_put(struct series_index *x, struct label l, uint32_t *ret);
int pair_add_series(struct series_index *x, uint32_t pair, uint32_t at);
/* Removes the series that are no longer there (id 0). */
void pair_sweep(struct series_index *x, uint32_t pair);
/* Removes a pair without series; its name's list is the caller's. */
void pair_drop(struct series_index *x, uint32_t pair);
static inline const uint32_t *pair_refs(const struct pair *p) {
    return p->allocated ? p->refs : &p->one;
}
static inline struct slice pair_value(const struct pair *p) {
    return slice_new(p->value, p->size);
}

#endif
