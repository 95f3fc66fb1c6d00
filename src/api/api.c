/* The API's life and its route table. */
#include "api/call.h"

#include <stdlib.h>

#define STRINGS_BYTES_MAX (64u << 10)

/* One handler per resource: it hands the request to the workers. */
#define HANDLER(name)                                                                              \
    static void handle_##name(struct http_request *q, void *ctx) {                                 \
        pool_submit(ctx, q, &name##_resource);                                                     \
    }

HANDLER(services)
HANDLER(service)
HANDLER(traces)
HANDLER(traces_histogram)
HANDLER(traces_facets)
HANDLER(traces_compare)
HANDLER(trace)
HANDLER(logs)
HANDLER(logs_histogram)
HANDLER(logs_facets)
HANDLER(logs_context)
HANDLER(log)
HANDLER(attributes)
HANDLER(attribute_values)
HANDLER(filter_check)
HANDLER(status)
HANDLER(sql)
HANDLER(profiles_summary)
HANDLER(profiles_flame)
HANDLER(profiles_table)
HANDLER(profiles_source)
HANDLER(profiles_series)
HANDLER(profiles_function)
HANDLER(profiles_trace)

static void handle_tail(struct http_request *q, void *ctx) {
    struct api *a = ctx;

    tails_add(a->tails, q);
}

static const struct http_route routes[] = {
        {HTTP_GET, "/api/v1/services", handle_services, 0, "services with their golden signals"},
        {HTTP_GET, "/api/v1/services/:name", handle_service, 0, "one service"},
        {HTTP_GET, "/api/v1/traces", handle_traces, 0, "traces that match a filter"},
        {HTTP_GET, "/api/v1/traces/histogram", handle_traces_histogram, 0, "durations over time"},
        {HTTP_GET, "/api/v1/traces/facets", handle_traces_facets, 0, "values of spans' keys"},
        {HTTP_GET, "/api/v1/traces/compare", handle_traces_compare, 0,
         "what is different in a box"},
        {HTTP_GET, "/api/v1/traces/:id", handle_trace, 0, "one trace"},
        {HTTP_GET, "/api/v1/logs", handle_logs, 0, "log lines that match a filter"},
        {HTTP_GET, "/api/v1/logs/histogram", handle_logs_histogram, 0,
         "log lines by level over time"},
        {HTTP_GET, "/api/v1/logs/facets", handle_logs_facets, 0, "values of log lines' keys"},
        {HTTP_GET, "/api/v1/logs/context", handle_logs_context, 0, "lines around a line"},
        {HTTP_GET, "/api/v1/logs/tail", handle_tail, 0, "new log lines as server-sent events"},
        {HTTP_GET, "/api/v1/logs/:id", handle_log, 0, "one log line"},
        {HTTP_GET, "/api/v1/attributes", handle_attributes, 0, "keys, for completion"},
        {HTTP_GET, "/api/v1/attributes/values", handle_attribute_values, 0, "values of a key"},
        {HTTP_GET, "/api/v1/filter/check", handle_filter_check, 0, "whether a filter is right"},
        {HTTP_GET, "/api/v1/profiles/summary", handle_profiles_summary, 0,
         "what profiles there are"},
        {HTTP_GET, "/api/v1/profiles/flame", handle_profiles_flame, 0, "stacks merged to a tree"},
        {HTTP_GET, "/api/v1/profiles/table", handle_profiles_table, 0, "functions by cost"},
        {HTTP_GET, "/api/v1/profiles/function", handle_profiles_function, 0,
         "callers and callees of a function"},
        {HTTP_GET, "/api/v1/profiles/series", handle_profiles_series, 0, "cost over time"},
        {HTTP_GET, "/api/v1/profiles/trace", handle_profiles_trace, 0, "what each span cost"},
        {HTTP_GET, "/api/v1/profiles/source", handle_profiles_source, 0, "lines of a file by cost"},
        {HTTP_GET, "/api/v1/status", handle_status, 0, "the server's state"},
        {HTTP_POST, "/api/v1/sql", handle_sql, API_SQL_BODY_MAX, "read-only SQL"},
};

static const char *keep(struct api *a, const char *text) {
    return text ? (const char *) arena_dup(&a->strings, slice_from(text)).data : NULL;
}

int api_new(const struct api_options *o, struct api **ret) {
    struct api *a = calloc(1, sizeof(*a));

    if (!a)
        return -ENOMEM;
    arena_init(&a->strings, STRINGS_BYTES_MAX);
    a->options = *o;
    a->options.version = keep(a, o->version);
    a->options.page_url = keep(a, o->page_url);
    a->options.otlp_http_url = keep(a, o->otlp_http_url);
    a->options.otlp_grpc_url = keep(a, o->otlp_grpc_url);
    a->started_ns = clock_monotonic_ns();
    int r = pool_start(a);
    if (r == 0) {
        r = tails_new(a, &a->tails);
        if (r < 0)
            pool_stop(a);
    }
    if (r < 0) {
        arena_done(&a->strings);
        free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void api_free(struct api *a) {
    if (!a)
        return;
    tails_free(a->tails);
    pool_stop(a);
    arena_done(&a->strings);
    free(a);
}

struct http_routes api_routes(struct api *a) {
    return (struct http_routes){routes, sizeof(routes) / sizeof(routes[0]), a};
}
