/*
 * A run of samples of one series in few bytes that are quickly unpacked: times as their distance
 * from even steps, values that are whole numbers as their distance from the smallest. Immutable;
 * the owner frees it. Private to query/metrics*.c.
 */
#ifndef VARAN_QUERY_METRICS_CHUNK_H
#define VARAN_QUERY_METRICS_CHUNK_H

#include "base/memory.h"

#define CHUNK_SAMPLES_MAX 240u

struct chunk {
    int64_t first_ms, last_ms, step_ms;
    union {
        double number; /* all values, or the smallest */
        uint64_t bits;
    } base;
    uint16_t n;
    uint8_t times, values; /* how they are packed */
    uint32_t size;         /* of all of it */
    uint8_t data[];        /* times, then values */
};

/* `n` samples, 1 … CHUNK_SAMPLES_MAX, ascending by time. NULL without memory. */
struct chunk *chunk_new(const int64_t *times, const double *values, size_t n);
/* Writes all of its samples; values keep their bits. */
void chunk_unpack(const struct chunk *c, int64_t *times, double *values);

#endif
