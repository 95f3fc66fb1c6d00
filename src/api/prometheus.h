/*
 * Prometheus' HTTP API under /prometheus: what Grafana, promtool and alerting tools speak. Queries
 * run on workers of their own with a bounded queue, so that they neither hold up a listener nor the
 * page. docs/internals/api.md describes it, docs/prometheus.md tells users what differs.
 */
#ifndef VARAN_API_PROMETHEUS_H
#define VARAN_API_PROMETHEUS_H

#include "net/http.h"

struct metrics;
struct scrape;
struct prometheus;

/* Whose API it is, as `status/buildinfo` says it: clients choose their features by it. */
#define PROMETHEUS_VERSION "3.5.0"

struct prometheus_options {
    struct metrics *metrics;
    struct scrape *scrape;   /* NULL: nothing is scraped */
    const char *version;     /* Varan's */
    unsigned workers;        /* 0: twice the processors, at most 16 */
    int64_t timeout_ns;      /* of a query; 0: 2 min */
    size_t query_bytes_max;  /* memory of one query; 0: 512 MiB */
    uint64_t samples_max;    /* of one query; 0: 50 million */
    int64_t lookback_ns;     /* 0: 5 min */
    unsigned retention_days; /* 0: not known */
    /* Calls `each` for every setting, for status/flags; may be NULL. */
    void (*flags)(void *ctx, void (*each)(void *to, const char *name, const char *value), void *to);
    void *ctx;
};

/* Starts the workers. 0, -ENOMEM or what starting a thread says. */
int prometheus_new(const struct prometheus_options *o, struct prometheus **ret);
/* After the listeners have stopped: running queries are cancelled. */
void prometheus_free(struct prometheus *p);
/* Valid as long as `p`. */
struct http_routes prometheus_routes(struct prometheus *p);
/* A handler for the time before: 503 in the shape that clients of Prometheus read. */
void prometheus_starting(struct http_request *q, void *ctx);

struct prometheus_stats {
    uint64_t queries, failed, refused, timeouts, samples, running, waiting;
    uint64_t answer_ns; /* all together */
};
void prometheus_read_stats(struct prometheus *p, struct prometheus_stats *ret);

#endif
