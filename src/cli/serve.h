/*
 * `varan serve`, shared by its files: the parts of a running server. Created and freed by the main
 * thread; handlers see it through pointers set before they can be called.
 */
#ifndef VARAN_CLI_SERVE_H
#define VARAN_CLI_SERVE_H

#include "cli/settings.h"
#include "net/http.h"

#include <stdatomic.h>

enum serve_state { SERVE_STARTING, SERVE_READY, SERVE_DRAINING };

struct serve {
    const struct settings *settings;
    struct http_server *page, *otlp_http;
    struct grpc_server *otlp_grpc;
    struct store *_Atomic store; /* NULL until it is open */
    struct ingest *_Atomic ingest;
    struct metrics *_Atomic metrics; /* reading metrics: query/metrics.h */
    struct otlp *otlp;
    struct profiles_receiver *profiles;
    struct remote_write *remote_write;
    struct scrape *_Atomic scrape;
    struct api *api;
    struct prometheus *prometheus;
    char page_url[300], otlp_http_url[300], otlp_grpc_url[300]; /* empty: switched off */
    _Atomic int state;                                          /* enum serve_state */
    int64_t started_ns;                                         /* clock_monotonic_ns() */
    double ready_s;                                             /* from start to ready */
};

/* ---- serve_parts.c: what stands behind the listeners ---- */
/* Opens storage and what builds on it, and gives the listeners their routes. */
int serve_open_parts(struct serve *s, struct error *e);
/* After the listeners have stopped. Writes what waits. */
void serve_close_parts(struct serve *s);

/* ---- serve_routes.c ---- */
/* /healthz, /readyz, /metrics. */
struct http_routes serve_operation_routes(struct serve *s);
/* Answers 503 to everything, while starting. */
struct http_routes serve_starting_routes(struct serve *s);

/* ---- serve_scrape.c ---- */
int serve_open_scrape(struct serve *s, struct error *e);
/* Reads the scrape configuration again, and logs how that went. 0 or negative. */
int serve_reload_scrape(struct serve *s, struct error *e);
/* POST /-/reload, GET /-/healthy and /-/ready, as Prometheus has them. */
struct http_routes serve_scrape_routes(struct serve *s);

/* ---- serve_metrics.c ---- */
void serve_format_metrics(struct serve *s, struct buffer *to);

#endif
