/*
 * Profiles over HTTP from anyone: pprof uploads (POST /api/v1/profiles), Pyroscope's /ingest, and
 * Pyroscope's push.v1 over Connect. OTLP profiles are otlp.h's. Answers leave when the rows are
 * durable. Thread-safe.
 *
 * Sources: grafana.com/docs/pyroscope, "Server HTTP API"; grafana/pyroscope,
 * api/push/v1/push.proto.
 */
#ifndef VARAN_RECEIVE_PROFILES_H
#define VARAN_RECEIVE_PROFILES_H

#include "derive/ingest.h"
#include "net/http.h"

#define PROFILES_BODY_BYTES_MAX ((size_t) 64 << 20) /* decompressed too */

struct profiles_receiver;

/* 0 or -ENOMEM. `g` outlives it. */
int profiles_receiver_new(struct ingest *g, struct profiles_receiver **ret);
/* After the servers that use its routes are stopped. */
void profiles_receiver_free(struct profiles_receiver *p);
struct http_routes profiles_receiver_routes(struct profiles_receiver *p);

struct profiles_receiver_stats {
    uint64_t requests, malformed;
};
void profiles_receiver_read_stats(struct profiles_receiver *p, struct profiles_receiver_stats *ret);

#endif
