/* See metrics_cache.h. Entries lie in shards by their id, each with a lock and a part of the bytes.
 */
#include "query/metrics_cache.h"
#include "query/metrics_private.h"

#include <errno.h>

#define SHARDS 64u
#define OPEN_SAMPLES 120u /* at the end of an entry, not packed yet */
#define LOOKED_AT 8u      /* entries, to find one that may go */

struct entry {
    struct entry *next; /* of the hash chain */
    uint64_t id, used, number;
    int64_t from_ms, span_ms; /* how far back was asked */
    bool filling;
    uint32_t n_chunks, room_chunks;
    struct chunk **chunks;
    uint16_t n_open, room_open;
    int64_t *times; /* open ones */
    double *values;
    size_t bytes;
};

struct shard {
    pthread_mutex_t lock;
    struct entry **heads;
    size_t n, slots, hand;
    size_t bytes;
};

struct metrics_cache {
    size_t shard_bytes_max;
    _Atomic uint64_t clock, hits, misses, dropped;
    _Atomic uint8_t maybe[1 << 16]; /* ids that may have an entry, by their hash */
    struct shard shards[SHARDS];
};

static uint64_t hash_of(uint64_t id) {
    return id * UINT64_C(0x9e3779b97f4a7c15);
}

static struct shard *shard_of(struct metrics_cache *c, uint64_t id) {
    return &c->shards[hash_of(id) >> 58];
}

int metrics_cache_new(size_t bytes_max, struct metrics_cache **ret) {
    struct metrics_cache *c = memory_alloc(sizeof(*c));

    if (!c)
        return -ENOMEM;
    memset(c, 0, sizeof(*c));
    c->shard_bytes_max = bytes_max / SHARDS;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&c->shards[i].lock, NULL);
    *ret = c;
    return 0;
}

/* ---- Entries; the shard's lock is held ---- */

static struct entry **place_of(struct shard *s, uint64_t id) {
    struct entry **at = &s->heads[(hash_of(id) >> 16) & (s->slots - 1)];

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static struct entry *find(struct shard *s, uint64_t id) {
    return s->slots ? *place_of(s, id) : NULL;
}

static void drop_at(struct shard *s, struct entry **at) {
    struct entry *x = *at;

    *at = x->next;
    s->n--;
    s->bytes -= x->bytes;
    for (uint32_t i = 0; i < x->n_chunks; i++)
        free(x->chunks[i]);
    free(x->chunks);
    free(x->times);
    free(x->values);
    free(x);
}

static void count(struct shard *s, struct entry *x, size_t more) {
    x->bytes += more;
    s->bytes += more;
}

static int more_slots(struct shard *s) {
    size_t slots = s->slots ? s->slots * 2 : 64;
    struct entry **heads = memory_alloc(slots * sizeof(struct entry *));

    if (!heads)
        return -ENOMEM;
    memset((void *) heads, 0, slots * sizeof(struct entry *));
    for (size_t i = 0; i < s->slots; i++)
        for (struct entry *x = s->heads[i], *next; x; x = next) {
            struct entry **at = &heads[(hash_of(x->id) >> 16) & (slots - 1)];
            next = x->next;
            x->next = *at;
            *at = x;
        }
    free((void *) s->heads);
    s->heads = heads;
    s->slots = slots;
    return 0;
}

/* Entries go, of a few each time the one that was used longest ago, until the rest fits. `keep`
 * stays. */
static void make_room(struct metrics_cache *c, struct shard *s, const struct entry *keep) {
    for (size_t rounds = 0; s->bytes > c->shard_bytes_max && rounds < s->slots; rounds++) {
        struct entry **oldest = NULL;
        size_t seen = 0;
        for (size_t i = 0; i < s->slots && seen < LOOKED_AT; i++) {
            struct entry **at = &s->heads[s->hand++ & (s->slots - 1)];
            for (; *at; at = &(*at)->next)
                if (*at != keep && ++seen && (!oldest || (*at)->used < (*oldest)->used))
                    oldest = at;
        }
        if (!oldest)
            return;
        drop_at(s, oldest);
    }
}

static int add_chunk(struct shard *s, struct entry *x, const int64_t *times, const double *values,
                     size_t n) {
    if (x->n_chunks == x->room_chunks) {
        uint32_t room = x->room_chunks ? x->room_chunks * 2 : 4;
        struct chunk **chunks = memory_realloc((void *) x->chunks, room * sizeof(struct chunk *));
        if (!chunks)
            return -ENOMEM;
        count(s, x, (room - x->room_chunks) * sizeof(struct chunk *));
        x->chunks = chunks;
        x->room_chunks = room;
    }
    struct chunk *c = chunk_new(times, values, n);
    if (!c)
        return -ENOMEM;
    x->chunks[x->n_chunks++] = c;
    count(s, x, c->size);
    return 0;
}

static int more_open(struct shard *s, struct entry *x) {
    uint16_t room = x->room_open ? (uint16_t) (x->room_open * 2) : 8;

    if (room > OPEN_SAMPLES)
        room = OPEN_SAMPLES;
    int64_t *times = memory_realloc(x->times, room * sizeof(*times));
    if (times)
        x->times = times;
    double *values = times ? memory_realloc(x->values, room * sizeof(*values)) : NULL;
    if (!values)
        return -ENOMEM;
    x->values = values;
    count(s, x, (size_t) (room - x->room_open) * 16);
    x->room_open = room;
    return 0;
}

/* What nobody asks for any more goes. */
static void forget_first(struct shard *s, struct entry *x, int64_t now_ms) {
    uint32_t n = 0;

    while (n + 1 < x->n_chunks && x->chunks[n]->last_ms < now_ms - x->span_ms / 4 * 5)
        n++;
    for (uint32_t i = 0; i < n; i++) {
        x->from_ms = x->chunks[i]->last_ms + 1;
        count(s, x, 0 - (size_t) x->chunks[i]->size);
        free(x->chunks[i]);
    }
    x->n_chunks -= n;
    memmove((void *) x->chunks, (void *) (x->chunks + n), x->n_chunks * sizeof(struct chunk *));
}

/* One more sample, mostly the newest. -ESTALE: it lies in what is packed, the entry must go. */
static int put(struct shard *s, struct entry *x, int64_t time, double value) {
    int64_t packed = x->n_chunks ? x->chunks[x->n_chunks - 1]->last_ms : INT64_MIN;
    uint16_t at = x->n_open;

    if (time < x->from_ms)
        return 0;
    if (time <= packed)
        return -ESTALE;
    while (at > 0 && x->times[at - 1] > time)
        at--;
    if (at > 0 && x->times[at - 1] == time) { /* the later one counts */
        x->values[at - 1] = value;
        return 0;
    }
    if (x->n_open == OPEN_SAMPLES) {
        /* The last few stay open: the next samples of other senders may lie among them. */
        size_t n = OPEN_SAMPLES * 3 / 4;
        int r = add_chunk(s, x, x->times, x->values, n);
        if (r < 0)
            return r;
        memmove(x->times, x->times + n, (OPEN_SAMPLES - n) * sizeof(*x->times));
        memmove(x->values, x->values + n, (OPEN_SAMPLES - n) * sizeof(*x->values));
        x->n_open = (uint16_t) (OPEN_SAMPLES - n);
        forget_first(s, x, time);
        return put(s, x, time, value);
    }
    if (x->n_open == x->room_open) {
        int r = more_open(s, x);
        if (r < 0)
            return r;
    }
    memmove(x->times + at + 1, x->times + at, (size_t) (x->n_open - at) * sizeof(*x->times));
    memmove(x->values + at + 1, x->values + at, (size_t) (x->n_open - at) * sizeof(*x->values));
    x->times[at] = time;
    x->values[at] = value;
    x->n_open++;
    return 0;
}

/* ---- Life ---- */

void metrics_cache_clear(struct metrics_cache *c) {
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];
        pthread_mutex_lock(&s->lock);
        for (size_t j = 0; j < s->slots; j++)
            while (s->heads[j])
                drop_at(s, &s->heads[j]);
        pthread_mutex_unlock(&s->lock);
    }
}

void metrics_cache_free(struct metrics_cache *c) {
    if (!c)
        return;
    metrics_cache_clear(c);
    for (size_t i = 0; i < SHARDS; i++) {
        free((void *) c->shards[i].heads);
        pthread_mutex_destroy(&c->shards[i].lock);
    }
    free(c);
}

/* ---- Writing ---- */

static uint64_t word(const uint8_t *p, size_t i) {
    uint64_t v;

    memcpy(&v, p + i * 8, 8);
    return v;
}

static void append(struct metrics_cache *c, uint64_t id, int64_t time, uint64_t bits) {
    struct shard *s = shard_of(c, id);
    double value;

    memcpy(&value, &bits, sizeof(value));
    pthread_mutex_lock(&s->lock);
    struct entry *x = find(s, id);
    if (x && put(s, x, time, value) < 0) {
        drop_at(s, place_of(s, id));
        atomic_fetch_add(&c->dropped, 1);
    } else if (x && s->bytes > c->shard_bytes_max) {
        make_room(c, s, x);
    }
    pthread_mutex_unlock(&s->lock);
}

void metrics_cache_append(struct metrics_cache *c, const uint8_t *ids, const uint8_t *times,
                          const uint8_t *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t id = word(ids, i);
        if (atomic_load_explicit(&c->maybe[hash_of(id) >> 48], memory_order_acquire))
            append(c, id, (int64_t) word(times, i), word(values, i));
    }
}

/* ---- Filling ---- */

uint64_t metrics_cache_begin(struct metrics_cache *c, uint64_t id, int64_t from_ms) {
    struct shard *s = shard_of(c, id);
    uint64_t number = 0;

    pthread_mutex_lock(&s->lock);
    struct entry *x = find(s, id);
    if (x && !x->filling) { /* it begins too late for those who ask now */
        drop_at(s, place_of(s, id));
        x = NULL;
    }
    if (!x && (s->n < s->slots * 2 || more_slots(s) == 0) && (x = memory_alloc(sizeof(*x)))) {
        struct entry **at = place_of(s, id);
        number = atomic_fetch_add(&c->clock, 1) + 1;
        *x = (struct entry){
                .id = id, .used = number, .number = number, .from_ms = from_ms, .filling = true};
        *at = x;
        s->n++;
        count(s, x, sizeof(*x));
        atomic_store_explicit(&c->maybe[hash_of(id) >> 48], 1, memory_order_release);
    }
    pthread_mutex_unlock(&s->lock);
    return number;
}

/* What came meanwhile goes behind, or among the last, of what storage had. */
static int fill(struct shard *s, struct entry *x, const int64_t *times, const double *values,
                size_t n) {
    uint16_t n_new = x->n_open;
    int64_t *new_times = x->times;
    double *new_values = x->values;
    size_t packed = n > OPEN_SAMPLES / 4 ? n - OPEN_SAMPLES / 4 : 0;
    int r = 0;

    count(s, x, 0 - (size_t) x->room_open * 16);
    x->times = NULL;
    x->values = NULL;
    x->n_open = x->room_open = 0;
    for (size_t i = 0; i < packed && r == 0; i += CHUNK_SAMPLES_MAX)
        r = add_chunk(s, x, times + i, values + i,
                      packed - i < CHUNK_SAMPLES_MAX ? packed - i : CHUNK_SAMPLES_MAX);
    for (size_t i = packed; i < n && r == 0; i++)
        r = put(s, x, times[i], values[i]);
    for (uint16_t i = 0; i < n_new && r == 0; i++)
        r = put(s, x, new_times[i], new_values[i]);
    free(new_times);
    free(new_values);
    return r;
}

void metrics_cache_fill(struct metrics_cache *c, uint64_t id, uint64_t number, const int64_t *times,
                        const double *values, size_t n, bool broken) {
    struct shard *s = shard_of(c, id);

    pthread_mutex_lock(&s->lock);
    struct entry *x = find(s, id);
    if (x && x->filling && x->number == number) {
        x->filling = false;
        if (broken || x->n_chunks || fill(s, x, times, values, n) < 0)
            drop_at(s, place_of(s, id));
        else
            make_room(c, s, x);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- Reading ---- */

/* Whether a piece from `first` to `last` may have samples that are looked at. */
static bool overlaps(const struct samples_range *r, bool gaps, int64_t first, int64_t last) {
    if (last < r->from_ms || first > r->to_ms)
        return false;
    if (!gaps || first <= r->from_ms)
        return true;
    int64_t in = (first - r->origin_ms) % r->step_ms;
    return in < r->window_ms || in + (last - first) >= r->step_ms;
}

static int read_entry(const struct entry *x, const struct samples_range *r, struct arena *arena,
                      struct floats *to) {
    int64_t times[CHUNK_SAMPLES_MAX];
    double values[CHUNK_SAMPLES_MAX];
    bool gaps = samples_have_gaps(r);
    size_t most = x->n_open, before = to->n;

    for (uint32_t i = 0; i < x->n_chunks; i++)
        if (overlaps(r, gaps, x->chunks[i]->first_ms, x->chunks[i]->last_ms))
            most += x->chunks[i]->n;
    if (floats_reserve(to, most, arena) < 0)
        return -ENOBUFS;
    for (uint32_t i = 0; i < x->n_chunks; i++) {
        const struct chunk *c = x->chunks[i];
        if (!overlaps(r, gaps, c->first_ms, c->last_ms))
            continue;
        if (!gaps && c->first_ms >= r->from_ms && c->last_ms <= r->to_ms) {
            chunk_unpack(c, to->times + to->n, to->values + to->n);
            to->n += c->n;
        } else {
            chunk_unpack(c, times, values);
            samples_take_wanted(r, times, values, c->n, to);
        }
    }
    samples_take_wanted(r, x->times, x->values, x->n_open, to);
    to->unsorted |= before && to->n > before && to->times[before] <= to->times[before - 1];
    return 1;
}

int metrics_cache_read(struct metrics_cache *c, uint64_t id, const struct samples_range *range,
                       struct arena *arena, struct floats *to) {
    struct shard *s = shard_of(c, id);
    int r = 0;

    pthread_mutex_lock(&s->lock);
    struct entry *x = find(s, id);
    if (x && !x->filling && x->from_ms <= range->from_ms) {
        x->used = atomic_fetch_add_explicit(&c->clock, 1, memory_order_relaxed) + 1;
        int64_t newest = x->n_open ? x->times[x->n_open - 1] : range->to_ms;
        if (newest - range->from_ms > x->span_ms)
            x->span_ms = newest - range->from_ms;
        r = read_entry(x, range, arena, to);
    }
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add_explicit(r > 0 ? &c->hits : &c->misses, 1, memory_order_relaxed);
    return r;
}

void metrics_cache_read_stats(struct metrics_cache *c, struct metrics_cache_stats *ret) {
    *ret = (struct metrics_cache_stats){.bytes_max = c->shard_bytes_max * SHARDS,
                                        .hits = atomic_load(&c->hits),
                                        .misses = atomic_load(&c->misses),
                                        .dropped = atomic_load(&c->dropped)};
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&c->shards[i].lock);
        ret->bytes += c->shards[i].bytes;
        ret->series += c->shards[i].n;
        pthread_mutex_unlock(&c->shards[i].lock);
    }
}
