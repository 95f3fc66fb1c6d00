/*
 * The HTTP/1.1 transport's own structures (libmicrohttpd). Private to net/http1_*.c.
 *
 * Threads: the pool's run libmicrohttpd, which runs the callbacks of a connection one at a time;
 * the sweeper thread looks at all connections for time-outs; answers and stream writes come from
 * anywhere. A connection's `lock` guards what they share. Lock order: server->lock,
 * connection->lock, request.lock, stream->lock.
 */
#ifndef VARAN_NET_HTTP1_H
#define VARAN_NET_HTTP1_H

#include "base/clock.h"
#include "net/listen.h"
#include "net/request.h"

#include <microhttpd.h>

/* Header block and read buffer of a connection. */
#define CONNECTION_MEMORY_BYTES 65536
/* A refused body up to this size is read and thrown away, so that the client sees the answer and
 * not a reset connection. */
#define BODY_DISCARD_MAX ((size_t) 8 << 20)
#define STREAM_BYTES_MAX ((size_t) 1 << 20)
#define STREAM_BLOCK_BYTES 32768
/* An answer may take the request's time-out plus a second per this many bytes to be read. */
#define ANSWER_BYTES_PER_S_MIN 16384

enum phase {
    PHASE_IDLE,    /* waits for a request, or for the end of its first line */
    PHASE_READING, /* headers and body */
    PHASE_WORKING, /* the handler has it */
    PHASE_SENDING,
    PHASE_STREAMING,
};

struct connection {
    struct connection *next, *prev; /* server->connections */
    struct http_server *server;
    struct worker *worker;
    int fd;
    pthread_mutex_t lock;
    enum phase phase;     /* written by the pool's thread, under the lock */
    int64_t phase_end_ns; /* when the sweeper ends it; 0: never */
    bool ended;           /* the sweeper has shut it down */
    struct exchange *exchange;
    char peer[PEER_TEXT_MAX];
};

struct exchange { /* one request on a connection */
    struct http_request request;
    struct worker *worker;
    struct connection *connection; /* NULL once the transport has let go; under request.lock */
    struct MHD_Connection *mhd;
    struct MHD_Response *response; /* the answer, until it is queued */
    int status;
    size_t response_bytes;
    struct http_stream *stream;
    bool parked; /* suspended until the answer */
    bool began, dispatched;
    int refuse_status; /* not 0: answer this instead of calling the handler */
    const char *refuse_code;
    char refuse_message[160];
    size_t discarded;
};

struct http_stream {
    _Atomic unsigned refs; /* the writer, and libmicrohttpd's response */
    pthread_mutex_t lock;
    struct worker *worker;
    struct MHD_Connection *mhd;
    struct buffer pending;
    size_t sent; /* of pending */
    bool suspended, ended, gone;
};

struct worker { /* a thread of the pool */
    struct http_server *server;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int listen_fd; /* its own descriptor of the listening socket; -1: it takes no more */
    int wake_fd;   /* an eventfd: a connection goes on, or the server ends */
};

struct http_server {
    struct worker *workers;
    unsigned n_workers;
    struct listener listener;
    struct net_shared *shared;
    struct http_server_options options; /* with the defaults filled in */
    struct route_set *_Atomic routes;
    pthread_mutex_t lock; /* connections */
    struct connection *connections;
    unsigned n_connections;
    unsigned n_listening; /* workers that take new ones */
    pthread_t sweeper;
    pthread_cond_t wake;
    bool sweeping;
    _Atomic bool draining; /* no new connections; answers close theirs */
    _Atomic bool stopping; /* no handler is called any more */
    _Atomic bool ending;   /* the pool's threads return */
};

/* ---- http_server.c ---- */
/* Waits until one of the server's counts is 0, or `until` (clock_monotonic_ns()); whether it is. */
bool http1_wait_for_none(struct http_server *s, const unsigned *count, int64_t until_ns);

/* ---- http1_pool.c ---- */
/* Threads that take connections from the listener. Negative errno on failure, with none left. */
int http1_pool_start(struct http_server *s);
/* No further connections are taken: returns when that is so, or at `until` (a thread is busy). */
void http1_pool_drain(struct http_server *s, int64_t until_ns);
/* Ends the threads and all connections, of which none may be suspended. */
void http1_pool_stop(struct http_server *s);
/* Lets a suspended connection go on. Any thread; the caller holds the lock by which the connection
 * cannot end meanwhile. */
void http1_resume(struct worker *w, struct MHD_Connection *mhd);

/* ---- http1_exchange.c: libmicrohttpd's callbacks ---- */
void *http1_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http1_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *data_size, void **state);
void http1_on_completed(void *cls, struct MHD_Connection *mhd, void **state,
                        enum MHD_RequestTerminationCode code);
void http1_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                         enum MHD_ConnectionNotificationCode code);

/* ---- http1_answer.c ---- */
extern const struct request_transport http1_transport;
/* Answers an error of our own on the exchange (from the transport's side). */
void http1_refuse(struct exchange *x, int status, const char *code, const char *message);
/* Adds the headers every answer has. */
void http1_add_headers(struct MHD_Response *response, const char *content_type,
                       const struct http_header *headers, size_t n);

/* ---- http1_stream.c ---- */
struct http_stream *http1_stream_new(struct exchange *x, int status, const char *content_type);
/* The client left, or the server stops: the reader gets the end, the writer -EPIPE. */
void http1_stream_give_up(struct http_stream *s);
void http_stream_unref(struct http_stream *s);

/* ---- http1_sweep.c ---- */
int http1_sweeper_start(struct http_server *s);
void http1_sweeper_stop(struct http_server *s);
/* Ends what still runs: idle connections at once, the rest (`all`) with a 503. */
void http1_end_connections(struct http_server *s, bool all);

static inline void http1_set_phase(struct connection *c, enum phase phase, int64_t ns_max) {
    pthread_mutex_lock(&c->lock);
    c->phase = phase;
    c->phase_end_ns = ns_max ? clock_monotonic_ns() + ns_max : 0;
    pthread_mutex_unlock(&c->lock);
}

#endif
