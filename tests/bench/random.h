/* Random numbers for benchmarks: the same for the same seed. */
#ifndef VARAN_TESTS_BENCH_RANDOM_H
#define VARAN_TESTS_BENCH_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* the seed */
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t random_next(struct random *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Less than n, which is not 0. */
static inline unsigned random_below(struct random *r, unsigned n) {
    return (unsigned) (random_next(r) % n);
}

#endif
