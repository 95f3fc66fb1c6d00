/* Inside api/: one request of Prometheus' API on its way through a worker. Private. */
#ifndef VARAN_API_PROMETHEUS_CALL_H
#define VARAN_API_PROMETHEUS_CALL_H

#include "api/prometheus.h"
#include "base/clock.h"
#include "query/metrics.h"
#include "wire/json.h"

#include <pthread.h>

#define PROMETHEUS_WORKERS_MAX 16u
#define PROMETHEUS_QUEUE_MAX 256u
#define PROMETHEUS_BODY_MAX ((size_t) 4 << 20)       /* of a form */
#define PROMETHEUS_ANSWER_BYTES ((size_t) 512 << 20) /* of one answer */
#define PROMETHEUS_ARENA_BYTES ((size_t) 512 << 20)
#define PROMETHEUS_STEPS_MAX 11000u
#define PROMETHEUS_SELECTORS_MAX 100u /* match[] of one request */
#define PROMETHEUS_WATCH_MS 100       /* how often it is looked whether clients have left */
#define PROMETHEUS_TIMEOUT_NS (120 * NS_PER_S)

struct prom_call;

/* What answers a path. `answer` writes the value of "data" to c->json, or, when it is `plain`, the
 * whole body; a negative result becomes an error, with what stands in c->failure. */
struct prom_resource {
    int (*answer)(struct prom_call *c);
    bool plain;
};

/* Prometheus' errorType; the status follows from it. */
enum prom_error {
    PROM_BAD_DATA,
    PROM_EXECUTION,
    PROM_CANCELED,
    PROM_TIMEOUT,
    PROM_INTERNAL,
    PROM_NOT_FOUND,
    PROM_UNAVAILABLE,
};

struct prom_failure {
    enum prom_error type;
    char text[1200];
};

struct prom_call {
    struct prometheus *p;
    struct http_request *request;
    const struct prom_resource *resource;
    struct arena arena;
    struct buffer body;
    struct json_writer json;
    struct prom_failure failure;
    struct slice *warnings, *infos; /* in the arena */
    size_t n_warnings, n_infos;
    const char *content_type;      /* NULL: JSON */
    int64_t received_ns, begun_ns; /* clock_now_ns(), clock_monotonic_ns() */
    int64_t queued_ns;             /* time it waited for a worker */
    int64_t deadline_ns;           /* clock_monotonic_ns() */
    atomic_bool cancel;
    struct prom_call *next; /* in the queue, or among those that run */
};

struct prometheus {
    struct prometheus_options options;
    int64_t started_ns; /* clock_now_ns() */
    pthread_t workers[PROMETHEUS_WORKERS_MAX], watcher;
    unsigned n_workers;
    bool watching;
    pthread_mutex_t lock;
    pthread_cond_t arrived, watch;
    struct prom_call *first, *last, *running;
    unsigned waiting;
    bool stop;
    _Atomic uint64_t queries, failed, refused, timeouts, samples, answer_ns;
};

/* ---- prometheus_pool.c ---- */
int prom_pool_start(struct prometheus *p);
void prom_pool_stop(struct prometheus *p);
/* Hands the request to a worker, or answers 503. */
void prom_pool_submit(struct prometheus *p, struct http_request *q, const struct prom_resource *r);
/* From here on the watcher does not look at the request, which may end. */
void prom_pool_leave(struct prom_call *c);

/* ---- prometheus_answer.c ---- */
/* Notes the failure. Always -EINVAL. */
int prom_fail(struct prom_call *c, enum prom_error type, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The failure that a storage's or PromQL's error stands for. Returns a negative number. */
int prom_fail_storage(struct prom_call *c, int r, const struct error *e);
int prom_fail_query(struct prom_call *c, int r, const char *param, const struct promql_error *e);
/* Adds to the answer's "warnings": 0 or -ENOMEM. */
int prom_warn(struct prom_call *c, const char *text);
/* Adds a result's annotations to "warnings" and "infos". */
int prom_annotate(struct prom_call *c, const struct promql_result *result);
/* Runs the resource and sends what comes of it. */
void prom_answer(struct prom_call *c);
/* The same shape for what is refused before a handler runs: see struct http_routes. */
void prom_format_error(struct buffer *to, int status, const char *message);
/* {"status":"error",…} at once, without a worker. */
void prom_refuse(struct http_request *q, enum prom_error type, const char *text);

/* ---- prometheus_redirect.c: addresses of Prometheus' own page ---- */
void prom_redirect(struct http_request *q, void *ctx);
void prom_redirect_targets(struct http_request *q, void *ctx);
void prom_redirect_metrics(struct http_request *q, void *ctx);

/* ---- prometheus_federate.c ---- */
#define PROM_PROTOBUF_TYPE "application/vnd.google.protobuf"
/* Whether the newest sample is a native histogram. */
bool prom_federate_is_histogram(const struct promql_samples *s);
struct slice prom_federate_name(const struct promql_samples *s);
/* With _ in place of what older parsers refuse. */
void prom_federate_put_escaped_name(struct buffer *out, struct slice name);
/* The newest samples of these series, sorted by name, as delimited MetricFamily messages in the
 * body; `utf8`: names as they are. 0 or -ENOMEM. */
int prom_federate_put_protobuf(struct prom_call *c, const struct promql_samples *const *items,
                               size_t n, bool utf8);

/* ---- prometheus_params.c: parameters of a request. Failures are noted in the call. ---- */
/* data NULL when absent. */
struct slice prom_param(struct prom_call *c, const char *name);
/* Milliseconds since 1970, of RFC 3339 or seconds; `fallback` when absent or empty. */
int prom_time(struct prom_call *c, const char *name, int64_t fallback_ms, int64_t *ret_ms);
/* The same, but it must be there. */
int prom_time_needed(struct prom_call *c, const char *name, int64_t *ret_ms);
/* Of seconds or "1h30m"; `fallback` when absent. */
int prom_duration(struct prom_call *c, const char *name, int64_t fallback_ms, int64_t *ret_ms);
/* A whole number that is not negative; 0 when absent. */
int prom_limit(struct prom_call *c, const char *name, uint64_t *ret);
/* All match[], parsed; `needed`: at least one. Valid until prom_selectors_done(). */
struct prom_selectors {
    struct metrics_selector *items;
    struct promql_query **queries;
    size_t n;
};
int prom_selectors(struct prom_call *c, bool needed, struct prom_selectors *ret);
void prom_selectors_done(struct prom_selectors *s);
/* start and end, by default all there is; limit. */
int prom_range(struct prom_call *c, struct metrics_range *ret, uint64_t *ret_limit);
/* A time as it stands in a parameter, and a duration: 0 or -EINVAL. */
int prom_parse_time(struct slice text, int64_t *ret_ms);
int prom_parse_duration(struct slice text, int64_t *ret_ms);
/* "U__a_2e_b" → "a.b"; other names as they are. data NULL: no memory. */
struct slice prom_unescape_name(struct arena *a, struct slice name);

/* ---- prometheus_json.c: values as Prometheus prints them ---- */
void prom_put_time(struct buffer *b, int64_t ms);
void prom_put_labels(struct json_writer *w, const struct promql_labels *labels);
/* The fields "resultType" and "result", with the first `n_columns` columns. */
void prom_put_result(struct json_writer *w, const struct promql_result *r, size_t n_columns,
                     int64_t at_ms);
/* "counter", "gaugehistogram", … */
const char *prom_type_name(enum metric_type t);
/* A number in quotes. */
void prom_put_number(struct buffer *b, double v);

/* ---- The resources ---- */
extern const struct prom_resource prom_query, prom_query_range, prom_exemplars, prom_format_query,
        prom_parse_query, prom_series, prom_labels, prom_label_values, prom_metadata, prom_targets,
        prom_targets_metadata, prom_rules, prom_alerts, prom_alertmanagers, prom_buildinfo,
        prom_config, prom_flags, prom_runtimeinfo, prom_tsdb, prom_walreplay, prom_federate,
        prom_scrape_pools;

#endif
