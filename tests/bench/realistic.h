/*
 * Realistic OTLP requests for benchmarks: what a shop of six services sends, traces of about eight
 * spans with seven attributes each, statements with literals, log lines from a score of templates.
 * No random strings beside ids. Deterministic for a seed. One owner at a time.
 */
#ifndef VARAN_TESTS_BENCH_REALISTIC_H
#define VARAN_TESTS_BENCH_REALISTIC_H

#include "base/memory.h"

/* Appends an ExportTraceServiceRequest of about `spans` spans (whole traces; *ret says how many).
 */
void realistic_traces(struct buffer *out, unsigned seed, size_t spans, size_t *ret);
/* Appends an ExportLogsServiceRequest of `lines` records, three quarters of them inside a trace. */
void realistic_logs(struct buffer *out, unsigned seed, size_t lines);

/* Where the ids and times of a built request lie, so that it can be sent again as if it were new.
 */
struct realistic_places {
    uint32_t *ids; /* offset << 1 | (1: 16 bytes, 0: 8 bytes) */
    size_t n_ids;
    uint32_t *times; /* offsets of fixed64 nanoseconds */
    size_t n_times;
};
/* Finds them; 0 or a negative errno. */
int realistic_find(struct slice request, bool logs, struct realistic_places *ret);
void realistic_places_done(struct realistic_places *p);
/* Gives every id of the request a new value (equal ids stay equal) and moves all times by
 * `shift_ns`. */
void realistic_renew(uint8_t *request, const struct realistic_places *p, uint64_t mask,
                     int64_t shift_ns);

#endif
