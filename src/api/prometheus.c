/* Life and routes of Prometheus' API. */
#include "api/prometheus_call.h"

#include <stdlib.h>

#define HANDLER(name)                                                                              \
    static void handle_##name(struct http_request *q, void *ctx) {                                 \
        prom_pool_submit(ctx, q, &prom_##name);                                                    \
    }

HANDLER(query)
HANDLER(query_range)
HANDLER(exemplars)
HANDLER(format_query)
HANDLER(parse_query)
HANDLER(series)
HANDLER(labels)
HANDLER(label_values)
HANDLER(metadata)
HANDLER(targets)
HANDLER(targets_metadata)
HANDLER(scrape_pools)
HANDLER(rules)
HANDLER(alerts)
HANDLER(alertmanagers)
HANDLER(buildinfo)
HANDLER(config)
HANDLER(flags)
HANDLER(runtimeinfo)
HANDLER(tsdb)
HANDLER(walreplay)
HANDLER(federate)

static void healthy(struct http_request *q, void *ctx) {
    http_respond(q, 200, "text/plain; charset=utf-8", SLICE("Prometheus Server is Healthy.\n"),
                 NULL, 0);
}

static void ready(struct http_request *q, void *ctx) {
    http_respond(q, 200, "text/plain; charset=utf-8", SLICE("Prometheus Server is Ready.\n"), NULL,
                 0);
}

static void no_admin(struct http_request *q, void *ctx) {
    prom_refuse(q, PROM_NOT_FOUND,
                "there is no admin API here: how long samples are kept is said by "
                "--metrics-retention-days and --metrics-retention");
}

static void no_read(struct http_request *q, void *ctx) {
    prom_refuse(q, PROM_NOT_FOUND,
                "remote read is not served here; ask /prometheus/api/v1/query_range");
}

static void unknown(struct http_request *q, void *ctx) {
    prom_refuse(q, PROM_NOT_FOUND, "there is no such path in this API");
}

void prometheus_starting(struct http_request *q, void *ctx) {
    prom_refuse(q, PROM_UNAVAILABLE, "the server is starting");
}

#define API "/prometheus/api/v1/"
/* Forms by POST, as Grafana sends them. */
#define GET_AND_POST(path, handler, help)                                                          \
    {HTTP_GET, API path, handler, 0, help}, {                                                      \
        HTTP_POST, API path, handler, PROMETHEUS_BODY_MAX, help                                    \
    }

static const struct http_route routes[] = {
        GET_AND_POST("query", handle_query, "PromQL at one point in time"),
        GET_AND_POST("query_range", handle_query_range, "PromQL over a range of time"),
        GET_AND_POST("query_exemplars", handle_exemplars, "exemplars of a query's series"),
        GET_AND_POST("format_query", handle_format_query, "PromQL, indented"),
        GET_AND_POST("parse_query", handle_parse_query, "PromQL's syntax tree"),
        GET_AND_POST("series", handle_series, "label sets that selectors find"),
        GET_AND_POST("labels", handle_labels, "names of labels"),
        {HTTP_GET, API "label/:name/values", handle_label_values, 0, "values of a label"},
        {HTTP_GET, API "metadata", handle_metadata, 0, "type, help and unit of metrics"},
        {HTTP_GET, API "targets", handle_targets, 0, "what is scraped"},
        {HTTP_GET, API "targets/metadata", handle_targets_metadata, 0, "metadata by target"},
        {HTTP_GET, API "scrape_pools", handle_scrape_pools, 0, "names of scrape jobs"},
        {HTTP_GET, API "rules", handle_rules, 0, "recording and alerting rules"},
        {HTTP_GET, API "alerts", handle_alerts, 0, "active alerts"},
        {HTTP_GET, API "alertmanagers", handle_alertmanagers, 0, "who is told of alerts"},
        {HTTP_GET, API "status/buildinfo", handle_buildinfo, 0, "which version it is"},
        {HTTP_GET, API "status/config", handle_config, 0, "the scrape configuration"},
        {HTTP_GET, API "status/flags", handle_flags, 0, "the settings"},
        {HTTP_GET, API "status/runtimeinfo", handle_runtimeinfo, 0, "the process"},
        {HTTP_GET, API "status/tsdb", handle_tsdb, 0, "cardinality"},
        {HTTP_GET, API "status/walreplay", handle_walreplay, 0, "always done"},
        {HTTP_GET, "/prometheus/federate", handle_federate, 0, "newest samples as text"},
        {HTTP_GET, "/prometheus/-/healthy", healthy, 0, "200 while the process lives"},
        {HTTP_GET, "/prometheus/-/ready", ready, 0, "200 once storage answers"},
        {HTTP_GET, "/prometheus", prom_redirect, 0, "to the page"},
        {HTTP_GET, "/prometheus/", prom_redirect, 0, "to the page"},
        {HTTP_GET, "/prometheus/graph", prom_redirect, 0, "to the explorer, with its queries"},
        {HTTP_GET, "/prometheus/query", prom_redirect, 0, "to the explorer, with its queries"},
        {HTTP_GET, "/prometheus/targets", prom_redirect_targets, 0, "to the page"},
        {HTTP_GET, "/prometheus/metrics", prom_redirect_metrics, 0, "to the server's own metrics"},
        {HTTP_POST, API "read", no_read, PROMETHEUS_BODY_MAX, "404: there is no remote read"},
        {HTTP_POST, API "admin/tsdb/*", no_admin, PROMETHEUS_BODY_MAX, "404: no admin API"},
        {HTTP_PUT, API "admin/tsdb/*", no_admin, PROMETHEUS_BODY_MAX, "404: no admin API"},
        {HTTP_GET, "/prometheus/*", unknown, PROMETHEUS_BODY_MAX, "404 in Prometheus' shape"},
        {HTTP_POST, "/prometheus/*", unknown, PROMETHEUS_BODY_MAX, "404 in Prometheus' shape"},
};

int prometheus_new(const struct prometheus_options *o, struct prometheus **ret) {
    struct prometheus *p = memory_alloc(sizeof(*p));

    if (!p)
        return -ENOMEM;
    *p = (struct prometheus){.options = *o, .started_ns = clock_now_ns()};
    if (p->options.timeout_ns == 0)
        p->options.timeout_ns = PROMETHEUS_TIMEOUT_NS;
    int r = prom_pool_start(p);
    if (r < 0) {
        free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void prometheus_free(struct prometheus *p) {
    if (!p)
        return;
    prom_pool_stop(p);
    free(p);
}

struct http_routes prometheus_routes(struct prometheus *p) {
    return (struct http_routes){routes, sizeof(routes) / sizeof(routes[0]), p, "/prometheus",
                                prom_format_error};
}
