/*
 * The gRPC transport's own structures (libnghttp2). Private to net/grpc_*.c, their tests and fuzz
 * target.
 *
 * Threads: each worker has an epoll loop and owns its sessions and calls; only it touches nghttp2.
 * Answers come from any thread: they are put on the worker's list, and an eventfd wakes it. A
 * call's `worker` and reply are guarded by the request's lock. Lock order: request.lock,
 * worker->lock.
 */
#ifndef VARAN_NET_GRPC_H
#define VARAN_NET_GRPC_H

#include "base/clock.h"
#include "base/vector.h"
#include "net/grpc_message.h"
#include "net/listen.h"
#include "net/request.h"

#include <nghttp2/nghttp2.h>

#define GRPC_STREAMS_MAX 256        /* at once, per connection */
#define GRPC_HEADER_BYTES_MAX 16384 /* names and values of one request */
#define GRPC_STREAM_WINDOW_BYTES (1 << 20)
#define GRPC_CONNECTION_WINDOW_BYTES (8 << 20)
#define GRPC_FRAME_BYTES_MAX (128 << 10)
#define GRPC_READ_BYTES (256 << 10) /* a worker's read buffer */
#define GRPC_OUT_BYTES_WANTED 65536 /* gathered before a send */
#define GRPC_OUT_BYTES_MAX (1 << 20)
/* Frames that bring no call forward (PING, SETTINGS, RST_STREAM, WINDOW_UPDATE, …): so many at
 * once, so many more per second, and some for each answered call. Beyond it the connection is a
 * flood. */
#define GRPC_IDLE_FRAMES_BURST 2000
#define GRPC_IDLE_FRAMES_PER_S 200
#define GRPC_IDLE_FRAMES_PER_CALL 8
#define GRPC_RESET_BURST 1000
#define GRPC_RESET_PER_S 33
#define GRPC_MESSAGE_TEXT_MAX 400 /* bytes of a grpc-message before encoding */

struct grpc_call {
    struct http_request request;
    struct grpc_session *session;  /* worker thread only; NULL when the stream is gone */
    struct grpc_worker *worker;    /* under request.lock; NULL when the transport has let go */
    struct grpc_call *next, *prev; /* session->calls */
    struct grpc_call *next_answered;
    int32_t stream_id;
    size_t header_bytes;
    struct grpc_prefix prefix;
    bool message_begun, received; /* all of the request */
    int64_t read_end_ns, timeout_ns;
    /* The reply; written once under request.lock, then read by the worker. */
    bool replied;
    enum grpc_status status;
    struct buffer reply;
    char *message; /* encoded; may be NULL */
    unsigned retry_s;
    uint8_t reply_prefix[GRPC_PREFIX_BYTES];
    size_t reply_sent; /* prefix included */
};

struct grpc_session {
    struct grpc_worker *worker;
    struct grpc_session *next, *prev;
    nghttp2_session *h2;
    int fd;
    bool writable_wanted, closing;
    bool heard; /* the peer has sent something */
    bool dirty; /* on the worker's list: replies wait to be sent */
    struct grpc_session *next_dirty;
    struct buffer out;
    size_t out_sent;
    struct grpc_call *calls;
    unsigned n_calls;
    int64_t idle_since_ns, write_since_ns; /* write: 0 when nothing waits */
    double idle_frames;                    /* allowance left */
    int64_t idle_frames_at_ns;
    char peer[PEER_TEXT_MAX];
};

struct grpc_worker {
    struct grpc_server *server;
    pthread_t thread;
    bool started;
    int epoll_fd, event_fd;
    uint8_t *read_buffer;
    struct grpc_session *sessions, *dirty;
    pthread_mutex_t lock;
    struct grpc_call *answered; /* newest first */
    VECTOR(int) accepted;
    bool woken;
};

struct grpc_server {
    struct listener listener;
    struct net_shared *shared;
    struct http_server_options options;
    struct route_set *_Atomic routes;
    struct grpc_worker *workers;
    unsigned n_workers, next_worker;
    _Atomic unsigned n_sessions;
    _Atomic bool stopping;
    _Atomic int64_t stop_end_ns;
};

/* ---- grpc_session.c: one connection. Worker thread. ---- */
/* Takes `fd` (may be -1: a session without a socket, for tests) only on success. */
int grpc_session_new(struct grpc_worker *w, int fd, struct grpc_session **ret);
void grpc_session_free(struct grpc_session *s);
/* Bytes from the peer: 0, or negative when the connection must end (after flushing s->out). */
int grpc_session_receive(struct grpc_session *s, struct slice data);
/* Moves frames that wait into s->out: 0 or negative. */
int grpc_session_gather(struct grpc_session *s);
/* Whether nothing more is to be read or written. */
bool grpc_session_finished(const struct grpc_session *s);
/* Time-outs of its calls and its own; negative: the connection must end. */
int grpc_session_sweep(struct grpc_session *s, int64_t now);
/* Tells the peer to open no more streams. */
void grpc_session_shut_down(struct grpc_session *s);
/* Answers everything that is open with UNAVAILABLE. */
void grpc_session_refuse_all(struct grpc_session *s);

/* ---- grpc_call.c: one request on a connection. ---- */
extern const struct request_transport grpc_transport;
struct grpc_call *grpc_call_new(struct grpc_session *s, int32_t stream_id);
/* The stream is closed: unlinks the call and gives up the transport's hold. Worker thread. */
void grpc_call_detach(struct grpc_call *c);
int grpc_call_header(struct grpc_call *c, struct slice name, struct slice value);
/* All request headers are there: finds the method, or answers an error. */
void grpc_call_headers_done(struct grpc_call *c);
void grpc_call_data(struct grpc_call *c, struct slice data);
/* END_STREAM: checks and decompresses the message, calls the handler. */
void grpc_call_received(struct grpc_call *c);
/* Answers an error from the transport's side. Worker thread. */
void grpc_call_refuse(struct grpc_call *c, enum grpc_status status, const char *message,
                      unsigned retry_s);
/* Hands the reply to nghttp2. Worker thread. */
void grpc_call_submit(struct grpc_call *c);
/* Submits the answers that came in. Worker thread. */
void grpc_worker_drain(struct grpc_worker *w);
/* Puts an answered call (a reference of it) on the worker's list. Any thread. */
void grpc_worker_push(struct grpc_worker *w, struct grpc_call *c);

#endif
