/*
 * HTTP server: the one face that handlers see, whether a request came over HTTP/1.1 (libmicrohttpd)
 * or as gRPC over HTTP/2 (libnghttp2).
 *
 * A handler is called once, when the whole body has arrived (decompression is the handler's
 * business, see wire/compress.h). It answers exactly once, at once or later, from any thread; until
 * then the connection is parked and holds no thread. The request and its arena live until the
 * answer.
 */
#ifndef VARAN_NET_HTTP_H
#define VARAN_NET_HTTP_H

#include "base/error.h"
#include "base/memory.h"
#include "base/slice.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER
};

struct http_request; /* owned by the server */

enum http_method http_request_method(const struct http_request *q);
/* Percent-decoded path without the query string. */
struct slice http_request_path(const struct http_request *q);
/* The query string's (and, for application/x-www-form-urlencoded bodies, the form's) first value of
 * `name`, percent-decoded; data NULL when absent. */
struct slice http_request_param(struct http_request *q, const char *name);
/* Calls `each` for every parameter, repeated names too; stops when it returns false. */
void http_request_params(struct http_request *q,
                         bool (*each)(void *ctx, struct slice name, struct slice value), void *ctx);
/* First header of that name, case-insensitive; data NULL when absent. */
struct slice http_request_header(const struct http_request *q, const char *name);
/* Whether an answer may carry Content-Encoding: gzip. */
bool http_request_accepts_gzip(const struct http_request *q);
struct slice http_request_body(const struct http_request *q);
/* The peer's address as text ("127.0.0.1"). */
const char *http_request_peer(const struct http_request *q);
/* Memory that is freed when the request ends. Use it from one thread at a time. */
struct arena *http_request_arena(struct http_request *q);
/* What a route's pattern captured: "/api/v1/traces/:id" → index 0. */
struct slice http_request_capture(const struct http_request *q, unsigned index);
/* The time after which nobody waits for the answer any more (clock_monotonic_ns()). */
int64_t http_request_deadline_ns(const struct http_request *q);
/* Whether the client has gone away: long work polls this. */
bool http_request_gone(const struct http_request *q);

struct http_header {
    const char *name;
    const char *value;
};

/* Answers. `body` is copied. `headers` may be NULL. Content-Type NULL: none. Large textual bodies
 * are gzipped when the client accepts it. */
void http_respond(struct http_request *q, int status, const char *content_type, struct slice body,
                  const struct http_header *headers, size_t n_headers);
/* The same, taking the buffer's memory over instead of copying; `body` is empty afterwards. */
void http_respond_buffer(struct http_request *q, int status, const char *content_type,
                         struct buffer *body, const struct http_header *headers, size_t n_headers);
/* Varan's own error shape: {"error":{"code":…,"message":…}} (docs/internals/api.md). */
void http_respond_error(struct http_request *q, int status, const char *code, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/*
 * Streaming answer (server-sent events, live tail). After http_stream_start() the handler's owner
 * may call http_stream_write() from any thread until it calls http_stream_end() or a write says
 * -EPIPE (the client left; http_stream_end() must still be called). Unsent bytes are bounded:
 * -EAGAIN when the client reads too slowly and `chunk` was not taken. The request and its arena
 * live until http_stream_end(). http_stream_start() returns NULL without memory (and over gRPC):
 * answer with an error then.
 */
struct http_stream;
struct http_stream *http_stream_start(struct http_request *q, int status, const char *content_type);
int http_stream_write(struct http_stream *s, struct slice chunk);
void http_stream_end(struct http_stream *s);

/* ---- Routes: one table, printed by documentation and used for dispatch. ---- */

typedef void (*http_handler)(struct http_request *q, void *ctx);

struct http_route {
    enum http_method method; /* HTTP_GET also answers HEAD */
    const char *pattern;     /* "/api/v1/traces/:id"; a last segment "*" takes the rest */
    http_handler handler;
    size_t body_bytes_max; /* 0: no body is accepted */
    const char *help;      /* one line */
};

struct http_routes {
    const struct http_route *items;
    size_t n;
    void *ctx; /* given to these handlers */
    /* An API with a shape of errors of its own: what is refused before a handler runs (404, 405,
     * 413, 503, …), on `prefix` and below it, is written by this. NULL: the house's shape. */
    const char *prefix;
    void (*format_error)(struct buffer *to, int status, const char *message);
};

struct http_server_options {
    /* "127.0.0.1:8272", "[::]:8272"; no host: loopback; port 0 picks a free one */
    const char *listen;
    /* Tables, tried in order; unknown path 404, other method 405. */
    const struct http_routes *routes;
    size_t n_routes;
    unsigned threads;         /* 0: as many as processors, at most 8 */
    unsigned connections_max; /* 0: 1024 */
    size_t body_bytes_total;  /* bodies in memory at once, all connections; beyond it 503 with
                                 Retry-After; 0: 256 MiB */
    int64_t idle_ns_max;      /* keep-alive; 0: 75 s */
    int64_t request_ns_max;   /* from first byte to whole body (slow clients); 0: 30 s */
    int64_t answer_ns_max;    /* from whole body to answer, then 503; 0: 120 s */
};

struct http_server;
/* Binds and starts serving. -EADDRINUSE and the like with a sentence in `e`. */
int http_server_start(const struct http_server_options *o, struct http_server **ret,
                      struct error *e);
/* Puts other tables in the place of those it was started with, which must stay valid: requests that
 * are on their way may still use them. A server can so listen before what answers is ready. 0 or
 * -ENOMEM. */
int http_server_set_routes(struct http_server *s, const struct http_routes *routes, size_t n);
/* The port it listens on. */
int http_server_port(const struct http_server *s);
/* Stops accepting, lets answers in progress finish for at most `grace_ns`, and frees the server. */
void http_server_stop(struct http_server *s, int64_t grace_ns);

struct http_server_stats {
    uint64_t requests, responses_4xx, responses_5xx, connections, body_bytes;
    uint64_t refused_pressure, timeouts;
};
void http_server_read_stats(struct http_server *s, struct http_server_stats *ret);

/* ---- gRPC (unary only) over HTTP/2 with prior knowledge. ---- */

/*
 * A method's handler gets the message (prefix removed, decompressed when grpc-encoding is gzip) as
 * the body of a POST whose path is "/package.Service/Method". It answers with http_respond(): the
 * body is the reply message; an answer with a status other than 200 becomes a grpc-status by the
 * mapping in grpc.c, with the header "grpc-message" as text and "retry-after" (seconds) as
 * RetryInfo details.
 */
struct grpc_server;
int grpc_server_start(const struct http_server_options *o, struct grpc_server **ret,
                      struct error *e);
int grpc_server_set_routes(struct grpc_server *s, const struct http_routes *routes, size_t n);
int grpc_server_port(const struct grpc_server *s);
void grpc_server_stop(struct grpc_server *s, int64_t grace_ns);
void grpc_server_read_stats(struct grpc_server *s, struct http_server_stats *ret);

#endif
