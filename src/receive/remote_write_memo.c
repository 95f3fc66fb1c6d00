/* See remote_write_memo.h. Shards of open addressing, each with a lock. */
#include "receive/remote_write_memo.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SHARDS 64u
#define SLOTS_MIN 64u
#define SLOTS_MAX 32768u /* of a shard: 64 MiB in all */

struct slot {
    struct remote_memo_key key; /* all zero: free */
    struct ingest_series series;
};

struct shard {
    pthread_mutex_t lock;
    struct slot *slots;
    size_t n, room;
};

struct remote_memo {
    uint64_t seed;
    struct shard shards[SHARDS];
};

int remote_memo_new(struct remote_memo **ret) {
    struct remote_memo *m = memory_alloc(sizeof(*m));

    if (!m)
        return -ENOMEM;
    memset(m, 0, sizeof(*m));
    if (getrandom(&m->seed, sizeof(m->seed), 0) != sizeof(m->seed)) {
        int r = -errno;
        free(m);
        return r;
    }
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_mutex_init(&m->shards[i].lock, NULL);
    *ret = m;
    return 0;
}

void remote_memo_free(struct remote_memo *m) {
    if (!m)
        return;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&m->shards[i].lock);
        free(m->shards[i].slots);
    }
    free(m);
}

struct remote_memo_key remote_memo_key(const struct remote_memo *m, struct slice labels) {
    XXH128_hash_t h = XXH3_128bits_withSeed(labels.data, labels.size, m->seed);

    return (struct remote_memo_key){h.low64 | 1, h.high64};
}

static struct shard *shard_of(struct remote_memo *m, struct remote_memo_key key) {
    return &m->shards[key.high % SHARDS];
}

/* Its slot, or the free one where it belongs. The lock is held, there are slots. */
static struct slot *place(const struct shard *s, struct remote_memo_key key) {
    for (size_t i = key.high >> 8;; i++) {
        struct slot *x = &s->slots[i & (s->room - 1)];
        if (x->key.low == 0 || (x->key.low == key.low && x->key.high == key.high))
            return x;
    }
}

void remote_memo_prefetch(struct remote_memo *m, struct remote_memo_key key) {
    struct shard *s = shard_of(m, key);

    pthread_mutex_lock(&s->lock);
    if (s->room)
        __builtin_prefetch(&s->slots[(key.high >> 8) & (s->room - 1)]);
    pthread_mutex_unlock(&s->lock);
}

bool remote_memo_get(struct remote_memo *m, struct remote_memo_key key, struct ingest_series *ret) {
    struct shard *s = shard_of(m, key);
    bool known = false;

    pthread_mutex_lock(&s->lock);
    if (s->room) {
        const struct slot *x = place(s, key);
        known = x->key.low != 0;
        if (known)
            *ret = x->series;
    }
    pthread_mutex_unlock(&s->lock);
    return known;
}

/* Room for one more: half of the slots stay free. Full, it forgets all. */
static int make_room(struct shard *s) {
    size_t room = s->room ? s->room * 2 : SLOTS_MIN;

    if (s->room && (s->n + 1) * 2 <= s->room)
        return 0;
    if (room > SLOTS_MAX) {
        memset(s->slots, 0, s->room * sizeof(*s->slots));
        s->n = 0;
        return 0;
    }
    struct shard larger = {.slots = memory_alloc(room * sizeof(*larger.slots)), .room = room};
    if (!larger.slots)
        return -ENOMEM;
    memset(larger.slots, 0, room * sizeof(*larger.slots));
    for (size_t i = 0; i < s->room; i++)
        if (s->slots[i].key.low)
            *place(&larger, s->slots[i].key) = s->slots[i];
    free(s->slots);
    s->slots = larger.slots;
    s->room = room;
    return 0;
}

void remote_memo_put(struct remote_memo *m, struct remote_memo_key key,
                     const struct ingest_series *series) {
    struct shard *s = shard_of(m, key);

    pthread_mutex_lock(&s->lock);
    if (make_room(s) == 0) {
        struct slot *x = place(s, key);
        s->n += x->key.low == 0;
        *x = (struct slot){key, *series};
    }
    pthread_mutex_unlock(&s->lock);
}
