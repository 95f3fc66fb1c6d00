/* Which attribute values are counted by themselves: a set for the day, shared by all batches, asked
 * once per value and batch. Any thread. */
#include "base/clock.h"
#include "derive/private.h"

void rollup_init(struct rollup *r) {
    pthread_mutex_init(&r->lock, NULL);
    map_init(&r->keys, KEYS_MAX, ROLLUP_BYTES_MAX / 4);
    map_init(&r->values, ROLLUP_VALUES_MAX, ROLLUP_BYTES_MAX);
}

void rollup_done(struct rollup *r) {
    map_done(&r->keys);
    map_done(&r->values);
    pthread_mutex_destroy(&r->lock);
}

static bool admit(struct rollup *r, enum rollup_signal signal, struct slice key,
                  struct slice value) {
    uint8_t name[NAME_BYTES_MAX + 1];
    bool added;

    if (key.size > NAME_BYTES_MAX)
        return false;
    name[0] = (uint8_t) signal;
    memcpy(name + 1, key.data, key.size);
    struct slice full = slice_new(name, key.size + 1);
    uint64_t hash = slice_hash(value) ^ slice_hash(full) * 3;
    struct slice bytes = slice_new(&hash, sizeof(hash));
    if (map_get(&r->values, bytes))
        return true;
    struct map_entry *k = map_put(&r->keys, full, NULL);
    if (!k || k->number >= ROLLUP_VALUES_PER_KEY_MAX || !map_put(&r->values, bytes, &added))
        return false;
    k->number++;
    return true;
}

bool rollup_admit(struct ingest *g, enum rollup_signal signal, struct slice key,
                  struct slice value) {
    struct rollup *r = &g->rollup;
    uint64_t day = (uint64_t) (clock_now_ns() / NS_PER_S / 86400);

    pthread_mutex_lock(&r->lock);
    if (r->day != day) {
        map_clear(&r->keys);
        map_clear(&r->values);
        r->day = day;
    }
    bool yes = admit(r, signal, key, value);
    pthread_mutex_unlock(&r->lock);
    return yes;
}
