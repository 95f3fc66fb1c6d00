/*
 * Quantile sketches: counts per bucket, bucket of a duration = ceil(log(ns) / log(1.02)), 0 for ns
 * ≤ 1, so that any quantile is at most 1 % off (Masson, Rim, Lee: DDSketch, VLDB 2019). While rows
 * gather, the buckets are only listed; they are counted when the sketch is written.
 *
 * Memory is the caller's arena. One owner at a time.
 */
#ifndef VARAN_DERIVE_SKETCH_H
#define VARAN_DERIVE_SKETCH_H

#include "base/memory.h"
#include "wire/native.h"

#define SKETCH_GAMMA 1.02
#define SKETCH_BUCKETS 2242 /* of all 64-bit durations */

struct sketch_chunk;
struct sketch_tally;

struct sketch {
    struct sketch_chunk *newest;
    struct sketch_tally *tallies; /* buckets that came counted */
};

unsigned sketch_bucket(uint64_t ns);
/* 0 or -ENOMEM. */
int sketch_add(struct sketch *s, uint64_t ns, struct arena *a);
/* The same for `n` durations of the bucket that `ns` falls into. */
int sketch_add_many(struct sketch *s, uint64_t ns, uint32_t n, struct arena *a);
/* The row's map in column `c`, closed. 0 or the block's error. */
int sketch_write(const struct sketch *s, struct native_block *b, unsigned c);

#endif
