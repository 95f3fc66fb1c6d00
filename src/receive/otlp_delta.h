/*
 * Deltas become what has been counted so far: for each series of delta temporality its sum, which
 * begins with the newest sample in storage, so that it goes on after a restart of the server.
 *
 * A point of the same time as the last one is taken for the same one, sent again: it gives the same
 * sum again. Older points cannot be added any more and are rejected. Thread-safe.
 */
#ifndef VARAN_RECEIVE_OTLP_DELTA_H
#define VARAN_RECEIVE_OTLP_DELTA_H

#include "derive/ingest.h"

#define OTLP_DELTA_SERIES_MAX 1000000u
#define OTLP_DELTA_HISTOGRAM_BYTES_MAX ((size_t) 256 << 20) /* of all histograms together */
#define OTLP_DELTA_IDLE_S 3600 /* what was idle for so long is forgotten when there is no room */
#define OTLP_DELTA_LOOKBACK_S 86400 /* what otlp_new() asks for */

struct otlp_deltas;

/* `lookback_s`: how old a sample in storage may be to go on from it; 0: storage is not asked. */
int otlp_deltas_new(struct ingest *g, int64_t lookback_s, struct otlp_deltas **ret);
void otlp_deltas_free(struct otlp_deltas *x);

/* A point of a series: its own value goes in, the sum comes out. */
struct otlp_delta {
    uint64_t id; /* of the series, not 0 */
    int64_t start_ns, time_ns;
    double value;
    const struct histogram *histogram; /* or NULL; the sum's is in the arena */
};
/* Whether a sum is known: if not, it begins with what storage has (otlp_delta_begin()). */
bool otlp_delta_known(struct otlp_deltas *x, uint64_t id);
/* What storage has of it; time_ms 0: nothing. 0; -ENOSPC: too many series. */
int otlp_delta_begin(struct otlp_deltas *x, uint64_t id, const struct ingest_last *last);
/* Adds. 0; 1: it was there already; -ESTALE: older than the last one; -EINVAL: a histogram that
 * cannot be added; -ENOENT: otlp_delta_begin() first; -ENOSPC; -ENOMEM, -E2BIG. */
int otlp_delta_add(struct otlp_deltas *x, struct otlp_delta *p, struct arena *a);

/* Where it adds to. */
struct ingest *otlp_deltas_ingest(struct otlp_deltas *x);
int64_t otlp_deltas_lookback_s(struct otlp_deltas *x);

struct otlp_deltas_stats {
    uint64_t series, added, repeated, out_of_order, evicted;
    size_t histogram_bytes;
};
void otlp_deltas_read_stats(struct otlp_deltas *x, struct otlp_deltas_stats *ret);

#endif
