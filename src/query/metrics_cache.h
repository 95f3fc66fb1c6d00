/*
 * Samples of series that are asked for again and again, in memory: what a dashboard shows is read
 * from storage once, and goes on with what is written.
 *
 * An entry holds all durable samples of a series from a time on. A query that finds none has one
 * begun, reads the samples from storage and fills it; what is written meanwhile waits in it. A
 * sample before the newest chunk of an entry drops the entry. Bounded in bytes; the entries that
 * were used longest ago go first. Only right while all writing passes through this process.
 * Thread-safe. Private to query/metrics*.c.
 */
#ifndef VARAN_QUERY_METRICS_CACHE_H
#define VARAN_QUERY_METRICS_CACHE_H

#include "query/metrics_chunk.h"

struct metrics_cache;
struct floats;
struct samples_range;

int metrics_cache_new(size_t bytes_max, struct metrics_cache **ret);
void metrics_cache_free(struct metrics_cache *c);
/* Forgets all: samples were deleted, or it is not known which were written. */
void metrics_cache_clear(struct metrics_cache *c);

/* These became durable. Arrays of 8 bytes each, not aligned. */
void metrics_cache_append(struct metrics_cache *c, const uint8_t *ids, const uint8_t *times,
                          const uint8_t *values, size_t n);

/* Appends what it has of the series in the range. 1: all there is; 0: not known, ask storage;
 * -ENOBUFS: `arena` is full. */
int metrics_cache_read(struct metrics_cache *c, uint64_t id, const struct samples_range *range,
                       struct arena *arena, struct floats *to);

/* Before storage is asked for all samples from that time on: the number to fill it by, 0 when
 * somebody else does. Each begin is followed by a fill; `n` may be 0. `broken`: forget it. */
uint64_t metrics_cache_begin(struct metrics_cache *c, uint64_t id, int64_t from_ms);
void metrics_cache_fill(struct metrics_cache *c, uint64_t id, uint64_t number, const int64_t *times,
                        const double *values, size_t n, bool broken);

struct metrics_cache_stats {
    size_t bytes, bytes_max, series;
    uint64_t hits, misses, dropped; /* of series; dropped: by samples that came late */
};
void metrics_cache_read_stats(struct metrics_cache *c, struct metrics_cache_stats *ret);

#endif
