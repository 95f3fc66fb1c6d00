/*
 * OTLP (OpenTelemetry protocol 1.x): traces, logs and metrics over HTTP (protobuf and JSON bodies;
 * gzip, deflate and zstd) and gRPC. The answer leaves when the rows are durable. Thread-safe.
 *
 * Sources: opentelemetry.io/docs/specs/otlp, opentelemetry-proto 1.x.
 */
#ifndef VARAN_RECEIVE_OTLP_H
#define VARAN_RECEIVE_OTLP_H

#include "derive/ingest.h"
#include "net/http.h"

#define OTLP_BODY_BYTES_MAX (64u << 20) /* decompressed */

struct otlp;

/* 0 or -ENOMEM. `g` outlives it. */
int otlp_new(struct ingest *g, struct otlp **ret);
/* After the servers that use its routes are stopped. */
void otlp_free(struct otlp *o);

/* POST /v1/traces, /v1/logs, /v1/metrics, /v1development/profiles, /v1/profiles. */
struct http_routes otlp_http_routes(struct otlp *o);
/* The four services' Export methods. */
struct http_routes otlp_grpc_routes(struct otlp *o);

struct otlp_stats {
    uint64_t requests, malformed, repaired_texts;
    /* Series of delta temporality that are added up; points that came again, or too late. */
    uint64_t delta_series, delta_repeated, delta_out_of_order;
};
void otlp_read_stats(struct otlp *o, struct otlp_stats *ret);

#endif
