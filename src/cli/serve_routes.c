/* The server's own small resources: health, readiness, metrics, and the answer while it starts. */
#include "api/prometheus.h"
#include "cli/serve.h"

#define METRICS_BYTES_MAX (1 << 20)
#define ANY_BODY_MAX                                                                               \
    ((size_t) 64 << 20) /* while starting: read, so that the client sees the answer */

static void healthz(struct http_request *q, void *ctx) {
    http_respond(q, 200, "text/plain; charset=utf-8", SLICE("ok\n"), NULL, 0);
}

static void readyz(struct http_request *q, void *ctx) {
    const struct serve *s = ctx;

    switch (atomic_load(&s->state)) {
    case SERVE_READY:
        http_respond(q, 200, "text/plain; charset=utf-8", SLICE("ready\n"), NULL, 0);
        break;
    case SERVE_DRAINING:
        http_respond_error(q, 503, "overloaded", "the server is shutting down");
        break;
    default: http_respond_error(q, 503, "overloaded", "the server is starting");
    }
}

static void metrics(struct http_request *q, void *ctx) {
    struct buffer text;

    buffer_init(&text, METRICS_BYTES_MAX);
    serve_format_metrics(ctx, &text);
    if (text.failed) {
        buffer_done(&text);
        http_respond_error(q, 500, "internal", "the metrics do not fit their buffer");
        return;
    }
    http_respond_buffer(q, 200, "text/plain; version=0.0.4; charset=utf-8", &text, NULL, 0);
}

static void starting(struct http_request *q, void *ctx) {
    http_respond_error(q, 503, "overloaded", "the server is starting");
}

static const struct http_route operation[] = {
        {HTTP_GET, "/healthz", healthz, 0, "200 while the process lives"},
        {HTTP_GET, "/readyz", readyz, 0, "200 once storage answers"},
        {HTTP_GET, "/metrics", metrics, 0, "the server's own metrics, Prometheus text"},
};

static const struct http_route start[] = {
        {HTTP_GET, "/healthz", healthz, 0, "200 while the process lives"},
        {HTTP_GET, "/prometheus/*", prometheus_starting, 0, "503 while starting"},
        {HTTP_POST, "/prometheus/*", prometheus_starting, ANY_BODY_MAX, "503 while starting"},
        {HTTP_GET, "/*", starting, 0, "503 while starting"},
        {HTTP_POST, "/*", starting, ANY_BODY_MAX, "503 while starting"},
};

struct http_routes serve_operation_routes(struct serve *s) {
    return (struct http_routes){operation, sizeof(operation) / sizeof(operation[0]), s};
}

struct http_routes serve_starting_routes(struct serve *s) {
    return (struct http_routes){start, sizeof(start) / sizeof(start[0]), s};
}
