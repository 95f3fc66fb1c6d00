/* Quantile sketches. Tables are built once; memory is the caller's arena. */
#include "derive/sketch.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>

#define CHUNK_BUCKETS 28
#define STEPS_LOG2 6 /* guesses per power of two: 64, where 35 buckets lie */

struct sketch_chunk {
    struct sketch_chunk *older;
    unsigned n;
    uint16_t buckets[CHUNK_BUCKETS];
};

struct sketch_tally {
    struct sketch_tally *older;
    uint32_t count;
    uint16_t bucket;
};

static uint64_t bounds[SKETCH_BUCKETS]; /* the largest duration of each bucket */
static uint16_t guesses[64 << STEPS_LOG2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static unsigned guess_of(uint64_t ns) {
    unsigned high = 63 - (unsigned) __builtin_clzll(ns);
    uint64_t rest = high >= STEPS_LOG2 ? ns >> (high - STEPS_LOG2) : ns << (STEPS_LOG2 - high);

    return high << STEPS_LOG2 | (unsigned) (rest & ((1u << STEPS_LOG2) - 1));
}

static void build(void) {
    const long double step = logl(1.02L);

    for (unsigned i = 0; i < SKETCH_BUCKETS; i++) {
        long double bound = expl(step * i);
        bounds[i] = bound >= 18446744073709551615.0L ? UINT64_MAX : (uint64_t) floorl(bound);
    }
    unsigned bucket = 0;
    for (unsigned g = 0; g < 64u << STEPS_LOG2; g++) {
        unsigned high = g >> STEPS_LOG2;
        uint64_t rest = (1u << STEPS_LOG2) | (g & ((1u << STEPS_LOG2) - 1));
        uint64_t least =
                high >= STEPS_LOG2 ? rest << (high - STEPS_LOG2) : rest >> (STEPS_LOG2 - high);
        while (bucket + 1 < SKETCH_BUCKETS && bounds[bucket] < least)
            bucket++;
        guesses[g] = (uint16_t) bucket;
    }
}

unsigned sketch_bucket(uint64_t ns) {
    pthread_once(&once, build);
    if (ns <= 1)
        return 0;
    unsigned bucket = guesses[guess_of(ns)];
    while (bounds[bucket] < ns && bucket + 1 < SKETCH_BUCKETS)
        bucket++;
    return bucket;
}

int sketch_add(struct sketch *s, uint64_t ns, struct arena *a) {
    struct sketch_chunk *c = s->newest;

    if (!c || c->n == CHUNK_BUCKETS) {
        c = arena_alloc(a, sizeof(*c));
        if (!c)
            return -ENOMEM;
        c->older = s->newest;
        c->n = 0;
        s->newest = c;
    }
    c->buckets[c->n++] = (uint16_t) sketch_bucket(ns);
    return 0;
}

int sketch_add_many(struct sketch *s, uint64_t ns, uint32_t n, struct arena *a) {
    uint16_t bucket = (uint16_t) sketch_bucket(ns);
    struct sketch_tally *t = s->tallies;

    while (t && (t->bucket != bucket || t->count > UINT32_MAX - n))
        t = t->older;
    if (!t) {
        t = arena_new(a, struct sketch_tally);
        if (!t)
            return -ENOMEM;
        t->older = s->tallies;
        t->bucket = bucket;
        s->tallies = t;
    }
    t->count += n;
    return 0;
}

int sketch_write(const struct sketch *s, struct native_block *b, unsigned column) {
    uint32_t counts[SKETCH_BUCKETS] = {0};
    unsigned least = SKETCH_BUCKETS, most = 0;

    for (const struct sketch_chunk *c = s->newest; c; c = c->older)
        for (unsigned i = 0; i < c->n; i++) {
            unsigned bucket = c->buckets[i];
            counts[bucket]++;
            least = bucket < least ? bucket : least;
            most = bucket > most ? bucket : most;
        }
    for (const struct sketch_tally *t = s->tallies; t; t = t->older) {
        counts[t->bucket] += t->count;
        least = t->bucket < least ? t->bucket : least;
        most = t->bucket > most ? t->bucket : most;
    }
    for (unsigned i = least; i <= most; i++)
        if (counts[i]) {
            int r = native_sketch_entry(b, column, (int16_t) i, counts[i]);
            if (r < 0)
                return r;
        }
    return native_close(b, column);
}
