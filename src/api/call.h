/* Inside api/: one request on its way through a worker. Private. */
#ifndef VARAN_API_CALL_H
#define VARAN_API_CALL_H

#include "api/api.h"
#include "base/clock.h"
#include "query/query.h"

#include <pthread.h>

#define API_WORKERS 3u
#define API_QUEUE_MAX 64u
#define API_WATCH_MS 100 /* how often it is looked whether clients have left */
#define API_TAILS_MAX 32u
#define API_SQL_BODY_MAX ((size_t) 128 << 10)
#define API_DEFAULT_RANGE_NS (15 * 60 * NS_PER_S)

struct call;

/* A resource: what it takes, and how it is answered (on a worker). `answer` writes JSON to
 * c->query.json; a negative result becomes the error's answer, with what stands in c->error. */
struct api_resource {
    const char *params; /* words: parameters beside the common ones; NULL: not checked (a body that
                         * a careless client calls a form looks like parameters) */
    enum filter_signal signal;
    int (*answer)(struct call *c);
    bool takes_filter_errors; /* `answer` reports them itself */
};

struct call {
    struct api *api;
    struct http_request *request;
    const struct api_resource *resource;
    struct query query;
    struct arena arena;
    struct buffer body;
    struct json_writer json;
    struct error error;
    struct filter_error filter_error; /* code NULL: none */
    const char *content_type;         /* NULL: JSON */
    int64_t received_ns;
    atomic_bool cancel; /* the client has left, or the server ends */
    struct call *next;  /* in the queue, or of those at work */
};

struct tails;

struct api {
    struct api_options options;
    struct arena strings;
    int64_t started_ns;
    pthread_t workers[API_WORKERS];
    unsigned n_workers;
    pthread_mutex_t lock;
    pthread_cond_t arrived, watch;
    struct call *first, *last;
    struct call *running;
    unsigned waiting;
    bool stop;
    pthread_t watcher;
    bool watching;
    struct tails *tails;
};

/* ---- pool.c ---- */
int pool_start(struct api *a);
void pool_stop(struct api *a);
/* The answer is about to go: from now on nobody looks at the request. */
void pool_leave(struct call *c);
/* Hands the request to a worker, or answers 503. */
void pool_submit(struct api *a, struct http_request *q, const struct api_resource *r);

/* ---- call.c ---- */
/* Reads the common parameters. 0, or -EINVAL with the error set. */
int call_begin(struct call *c);
/* A parameter, data NULL when absent. */
struct slice call_param(struct call *c, const char *name);
/* A whole number within the bounds; `fallback` when absent. */
int call_number(struct call *c, const char *name, uint64_t low, uint64_t high, uint64_t fallback,
                uint64_t *ret);
/* A time in any of the forms of api.md; `fallback` when absent. */
int call_time(struct call *c, const char *name, int64_t fallback, int64_t *ret);
/* Sends the body, or the error that `r` stands for. Frees the call's memory. */
void call_end(struct call *c, int r);
/* {"code", "message", "column", "length", "hint"} */
void json_filter_error(struct json_writer *w, const struct filter_error *e);
/* Parses a time as a parameter has it, `now` for relative ones: 0 or -EINVAL. */
int parse_time(struct slice text, int64_t now_ns, int64_t *ret_ns);

/* ---- The resources ---- */
extern const struct api_resource services_resource, service_resource, traces_resource,
        traces_histogram_resource, traces_facets_resource, traces_compare_resource, trace_resource,
        logs_resource, logs_histogram_resource, logs_facets_resource, logs_context_resource,
        log_resource, attributes_resource, attribute_values_resource, filter_check_resource,
        status_resource, sql_resource, profiles_summary_resource, profiles_flame_resource,
        profiles_table_resource, profiles_source_resource, profiles_series_resource,
        profiles_trace_resource, profiles_function_resource;

/* ---- tail.c ---- */
int tails_new(struct api *a, struct tails **ret);
void tails_free(struct tails *t);
void tails_add(struct tails *t, struct http_request *q);

#endif
