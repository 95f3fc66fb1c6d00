/*
 * Prometheus' remote write, as receiver: 1.0 and 2.0, snappy (gzip and zstd too), samples, native
 * histograms, exemplars, metadata and start times. The answer leaves when the rows are durable.
 * Thread-safe.
 *
 * Sources: prometheus.io/docs/specs/prw/remote_write_spec and …_2_0; prometheus/prompb's and
 * prompb/io/prometheus/write/v2's field numbers.
 */
#ifndef VARAN_RECEIVE_REMOTE_WRITE_H
#define VARAN_RECEIVE_REMOTE_WRITE_H

#include "derive/ingest.h"
#include "net/http.h"

#define REMOTE_WRITE_BODY_BYTES_MAX ((size_t) 32 << 20)  /* as sent */
#define REMOTE_WRITE_PLAIN_BYTES_MAX ((size_t) 64 << 20) /* decompressed */

struct remote_write;

/* 0 or -ENOMEM. `g` outlives it. */
int remote_write_new(struct ingest *g, struct remote_write **ret);
/* After the servers that use its routes are stopped, and the store is closed. */
void remote_write_free(struct remote_write *w);

/* POST /prometheus/api/v1/write, and /api/v1/push as Mimir has it. */
struct http_routes remote_write_routes(struct remote_write *w);

struct remote_write_stats {
    uint64_t requests, requests_v2, malformed, partial; /* partial: 400, and a part was kept */
    uint64_t samples, histograms, exemplars;            /* kept */
    uint64_t rejected, rejected_exemplars;
};
void remote_write_read_stats(struct remote_write *w, struct remote_write_stats *ret);

#endif
