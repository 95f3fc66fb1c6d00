/*
 * A request as both transports (HTTP/1.1 and gRPC) hold it. Private to net/.
 *
 * Two parties hold a request: the transport, and whoever owes the answer (`refs`). Either may let
 * go first: a transport gives up when the answer takes too long or the server stops; the answer is
 * then dropped when it comes.
 */
#ifndef VARAN_NET_REQUEST_H
#define VARAN_NET_REQUEST_H

#include "net/http.h"
#include "net/router.h"
#include "net/url.h"

#include <pthread.h>
#include <stdatomic.h>

#define REQUEST_ARENA_BYTES_MAX ((size_t) 256 << 20)
#define REQUEST_HEADERS_MAX 100
/* The first allocation for a body whose length is declared; beyond it memory follows the bytes that
 * really arrive. */
#define REQUEST_BODY_RESERVE_MAX ((size_t) 1 << 20)
#define PEER_TEXT_MAX 64

/* What a server and its requests share; lives until the last of them is gone. */
struct net_shared {
    _Atomic unsigned refs;
    _Atomic size_t body_bytes; /* allocated for bodies now */
    size_t body_bytes_total;   /* limit of it */
    _Atomic uint64_t requests, responses_4xx, responses_5xx, connections, received,
            refused_pressure, timeouts;
};

struct net_shared *net_shared_new(size_t body_bytes_total);
struct net_shared *net_shared_ref(struct net_shared *s);
void net_shared_unref(struct net_shared *s);
void net_shared_read(const struct net_shared *s, struct http_server_stats *ret);

struct request_header {
    struct slice name, value;
};

/* An answer on its way to the transport. */
struct request_answer {
    int status;
    const char *content_type; /* NULL: none */
    struct buffer *body;      /* the transport takes the memory */
    const struct http_header *headers;
    size_t n_headers;
};

struct request_transport {
    /* Hands the answer over; called once at most, from any thread, without the request's lock. The
     * transport's own hold on the request may be gone: it looks under the lock. */
    void (*answer)(struct http_request *q, struct request_answer *a);
    struct http_stream *(*stream)(struct http_request *q, int status, const char *content_type);
    bool (*gone)(struct http_request *q);
    /* Frees the structure around the request. */
    void (*destroy)(struct http_request *q);
};

struct http_request {
    const struct request_transport *transport;
    struct net_shared *shared;
    _Atomic unsigned refs;
    pthread_mutex_t lock; /* guards `answered` and what the transport adds */
    bool answered;        /* by anyone: the owner, or a time-out */
    enum http_method method;
    struct slice raw_path, path, query;
    struct request_header *headers;
    size_t n_headers;
    struct buffer body;
    size_t body_counted; /* of shared->body_bytes */
    struct route_match match;
    struct url_params params;
    bool params_parsed;
    int64_t deadline_ns;
    char peer[PEER_TEXT_MAX];
    struct arena arena;
};

/* Sets up with one reference, the transport's. */
void request_init(struct http_request *q, const struct request_transport *t,
                  struct net_shared *shared);
struct http_request *request_ref(struct http_request *q);
void request_unref(struct http_request *q);
/* Copies a header (name, value) into the request: 0, -ENOBUFS (too many) or -ENOMEM. */
int request_add_header(struct http_request *q, struct slice name, struct slice value);
/* Splits a request target ("/a/b?c=d"; absolute form too) into raw_path and query, decodes the
 * path. */
int request_set_target(struct http_request *q, struct slice target);
/* Room for a body of `declared` bytes (SIZE_MAX: not known), at most `cap`. 0, -ENOBUFS (over
 * `cap`), -EAGAIN (the server's total is used up) or -ENOMEM. */
int request_body_begin(struct http_request *q, size_t declared, size_t cap);
/* Appends to the body; the same errors. */
int request_body_append(struct http_request *q, const void *data, size_t size);
/* Frees the body early (it was refused). */
void request_body_drop(struct http_request *q);
/* Puts a decompressed body in the place of the received one; takes its memory. 0 or -EAGAIN. */
int request_body_replace(struct http_request *q, struct buffer *body);
/* Calls the handler with a reference of its own. */
void request_dispatch(struct http_request *q);

/* Counts an answer in the statistics. */
void request_count_status(struct net_shared *s, int status);
/* The method of "GET" and so on. */
enum http_method request_parse_method(struct slice text);
/* "application/json; charset=utf-8" for errors of our own shape. */
extern const char json_content_type[];
/* Appends {"error":{…}}. */
void request_format_error(struct buffer *b, const char *code, const char *message);
/* Whether an Accept-Encoding value allows gzip. */
bool accepts_gzip(struct slice accept_encoding);
/* Whether a body of that type and size is worth gzipping. */
bool worth_gzip(const char *content_type, size_t size);
/* Replaces the body by its gzip form; false (unchanged) when that fails or does not pay. */
bool gzip_body(struct buffer *body);
/* Zeros of the options become the documented defaults. */
void net_options_fill(struct http_server_options *o);

/* A server's tables. Replaced ones are kept until the server ends, as a request may be looking at
 * them. */
struct route_set {
    struct route_set *older;
    size_t n;
    struct http_routes items[];
};
/* Publishes a copy of the list (the tables stay the caller's): 0 or -ENOMEM. */
int route_set_put(struct route_set *_Atomic *set, const struct http_routes *routes, size_t n);
void route_set_free(struct route_set *set);
/* The peer's address as text. */
struct sockaddr;
void peer_format(const struct sockaddr *address, char ret[PEER_TEXT_MAX]);

#endif
