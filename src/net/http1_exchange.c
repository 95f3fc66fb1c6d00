/*
 * libmicrohttpd's callbacks: from the first line of a request to its handler, and back to sleep.
 * They run on the pool's threads, those of one connection one after the other.
 */
#include "net/http1.h"

#include <sys/socket.h>
#include <unistd.h>

void *http1_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info ? info->socket_context : NULL;
    struct exchange *x = c ? calloc(1, sizeof(*x)) : NULL;

    if (!x)
        return NULL; /* http1_on_request() closes the connection */
    request_init(&x->request, &http1_transport, c->server->shared);
    x->connection = c;
    x->worker = c->worker;
    x->mhd = mhd;
    memcpy(x->request.peer, c->peer, sizeof(c->peer));
    int r = request_set_target(&x->request, slice_from(uri));
    if (r < 0) {
        x->refuse_status = r == -EINVAL ? 400 : 503;
        x->refuse_code = r == -EINVAL ? "bad_request" : "overloaded";
        snprintf(x->refuse_message, sizeof(x->refuse_message), "%s",
                 r == -EINVAL ? "the path holds a broken percent escape" : "out of memory");
    }
    pthread_mutex_lock(&c->lock);
    c->exchange = x;
    c->phase = PHASE_READING;
    c->phase_end_ns = clock_monotonic_ns() + c->server->options.request_ns_max;
    pthread_mutex_unlock(&c->lock);
    return x;
}

static void refuse(struct exchange *x, int status, const char *code, const char *message) {
    if (x->refuse_status)
        return;
    x->refuse_status = status;
    x->refuse_code = code;
    snprintf(x->refuse_message, sizeof(x->refuse_message), "%s", message);
    request_body_drop(&x->request);
}

static void refuse_body(struct exchange *x, int r) {
    if (r == -ENOBUFS && !x->request.match.route->body_bytes_max) {
        refuse(x, 413, "too_large", "this resource takes no body");
    } else if (r == -ENOBUFS) {
        char message[120];
        snprintf(message, sizeof(message), "the body is larger than %zu bytes",
                 x->request.match.route->body_bytes_max);
        refuse(x, 413, "too_large", message);
    } else {
        refuse(x, 503, "overloaded", "too many request bodies at once, try again");
    }
}

struct framing {
    struct exchange *exchange;
    unsigned lengths, encodings;
    bool chunked, overflow;
    uint64_t length;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                 size_t key_size, const char *value, size_t value_size) {
    struct framing *f = cls;
    struct slice name = slice_new(key, key_size), text = slice_new(value ? value : "", value_size);

    if (request_add_header(&f->exchange->request, name, text) < 0) {
        f->overflow = true;
        return MHD_NO;
    }
    if (slice_equal_nocase(name, SLICE("content-length"))) {
        f->lengths++;
        if (slice_to_u64(slice_trim(text), &f->length) < 0)
            f->length = UINT64_MAX;
    } else if (slice_equal_nocase(name, SLICE("transfer-encoding"))) {
        f->encodings++;
        f->chunked = slice_equal_nocase(slice_trim(text), SLICE("chunked"));
    }
    return MHD_YES;
}

/* Reads the headers; refuses what could be understood differently by a proxy before us. */
static void read_headers(struct exchange *x, struct framing *f) {
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, on_header, f);
    if (f->overflow)
        refuse(x, 431, "too_large", "too many header fields");
    else if (f->lengths + f->encodings > 1)
        refuse(x, 400, "bad_request", "more than one Content-Length or Transfer-Encoding");
    else if (f->encodings && !f->chunked)
        refuse(x, 501, "bad_request", "the only transfer encoding understood is chunked");
}

static void find_route(struct exchange *x, const struct framing *f) {
    struct http_server *s = x->connection->server;
    struct http_request *q = &x->request;

    if (x->refuse_status)
        return;
    struct slice host = http_request_header(q, "host");
    if (host.data && !listen_allows_host(&s->listener, host)) {
        refuse(x, 403, "bad_request",
               "the Host header names another machine; use localhost, or listen on that address");
        return;
    }
    const struct route_set *routes = atomic_load(&s->routes);
    int r = router_match(routes->items, routes->n, &q->arena, q->method, q->raw_path, &q->match);
    if (r < 0)
        refuse(x, r == -EINVAL ? 400 : 503, r == -EINVAL ? "bad_request" : "overloaded",
               r == -EINVAL ? "the path is not well-formed" : "out of memory");
    else if (!q->match.route && !q->match.allowed)
        refuse(x, 404, "not_found", "there is nothing at this path");
    else if (!q->match.route && q->method == HTTP_OPTIONS)
        refuse(x, 204, "", "");
    else if (!q->match.route)
        refuse(x, 405, "method_not_allowed", "this path does not take that method");
}

static void begin(struct exchange *x, const char *method, struct framing *f) {
    struct http_request *q = &x->request;

    q->method = request_parse_method(slice_from(method));
    read_headers(x, f);
    find_route(x, f);
    if (x->refuse_status)
        return;
    bool writes = q->method == HTTP_POST || q->method == HTTP_PUT || q->method == HTTP_PATCH;
    if (!f->lengths && !f->encodings) {
        if (writes && q->match.route->body_bytes_max)
            refuse(x, 411, "bad_request", "send Content-Length, or a chunked body");
        return;
    }
    size_t declared = f->chunked ? SIZE_MAX : (size_t) f->length;
    if (!f->chunked && f->length == UINT64_MAX)
        declared = SIZE_MAX - 1;
    int r = request_body_begin(q, declared, q->match.route->body_bytes_max);
    if (r < 0)
        refuse_body(x, r);
}

/* Whether a refusal is said at once, before the body: when the client waits to be told to go on,
 * and when there is too much to throw away. */
static bool refuses_at_once(const struct exchange *x, const struct framing *f) {
    if (!f->chunked && f->length == 0)
        return false; /* the next call comes right away */
    return http_request_header(&x->request, "expect").data ||
           (!f->chunked && f->length > BODY_DISCARD_MAX);
}

static enum MHD_Result queue(struct exchange *x) {
    struct connection *c = x->connection;
    struct http_server *s = c->server;

    if (atomic_load_explicit(&s->draining, memory_order_relaxed))
        MHD_add_response_header(x->response, MHD_HTTP_HEADER_CONNECTION, "close");
    http1_set_phase(c, x->stream ? PHASE_STREAMING : PHASE_SENDING,
                    x->stream ? 0
                              : s->options.request_ns_max +
                                        (int64_t) (x->response_bytes / ANSWER_BYTES_PER_S_MIN) *
                                                NS_PER_S);
    request_count_status(s->shared, x->status);
    struct MHD_Response *response = x->response;
    x->response = NULL;
    enum MHD_Result r = MHD_queue_response(x->mhd, (unsigned) x->status, response);
    MHD_destroy_response(response);
    return r;
}

/* Suspends the connection until the answer is there, or queues it if it is. */
static enum MHD_Result wait_for_answer(struct exchange *x) {
    pthread_mutex_lock(&x->request.lock);
    bool answered = x->request.answered;
    if (!answered) {
        MHD_suspend_connection(x->mhd);
        x->parked = true;
    }
    pthread_mutex_unlock(&x->request.lock);
    if (!answered)
        return MHD_YES;
    return x->response ? queue(x) : MHD_NO;
}

static enum MHD_Result dispatch(struct exchange *x) {
    struct connection *c = x->connection;
    int64_t ns_max = c->server->options.answer_ns_max;

    pthread_mutex_lock(&c->lock);
    bool ended = c->ended;
    c->phase = PHASE_WORKING;
    c->phase_end_ns = clock_monotonic_ns() + ns_max;
    x->request.deadline_ns = c->phase_end_ns;
    pthread_mutex_unlock(&c->lock);
    if (ended || atomic_load(&c->server->stopping))
        return MHD_NO; /* the client was told 408: it must not be stored all the same */
    x->dispatched = true;
    if (x->refuse_status)
        http1_refuse(x, x->refuse_status, x->refuse_code, x->refuse_message);
    else
        request_dispatch(&x->request);
    return wait_for_answer(x);
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t size) {
    if (!x->refuse_status) {
        int r = request_body_append(&x->request, data, size);
        if (r == 0)
            return MHD_YES;
        refuse_body(x, r);
    }
    x->discarded += size;
    return x->discarded > BODY_DISCARD_MAX ? MHD_NO : MHD_YES;
}

enum MHD_Result http1_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *data_size, void **state) {
    struct exchange *x = *state;

    if (!x)
        return MHD_NO;
    if (!x->began) {
        struct framing f = {.exchange = x};
        x->began = true;
        begin(x, method, &f);
        return x->refuse_status && refuses_at_once(x, &f) ? dispatch(x) : MHD_YES;
    }
    if (*data_size) {
        size_t size = *data_size;
        *data_size = 0;
        return x->dispatched ? MHD_YES : take_body(x, data, size);
    }
    return x->dispatched ? wait_for_answer(x) : dispatch(x);
}

void http1_on_completed(void *cls, struct MHD_Connection *mhd, void **state,
                        enum MHD_RequestTerminationCode code) {
    struct exchange *x = *state;

    if (!x)
        return;
    *state = NULL;
    struct connection *c = x->connection;
    pthread_mutex_lock(&c->lock);
    c->exchange = NULL;
    c->phase = PHASE_IDLE;
    c->phase_end_ns = clock_monotonic_ns() + c->server->options.idle_ns_max;
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&x->request.lock);
    x->connection = NULL;
    x->mhd = NULL;
    pthread_mutex_unlock(&x->request.lock);
    request_unref(&x->request);
}

static void connection_started(struct worker *w, struct MHD_Connection *mhd, void **context) {
    struct http_server *s = w->server;
    struct connection *c = calloc(1, sizeof(*c));

    *context = c;
    if (!c)
        return;
    c->server = s;
    c->worker = w;
    c->fd = -1;
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info)
        c->fd = info->connect_fd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    peer_format(info ? info->client_addr : NULL, c->peer);
    pthread_mutex_init(&c->lock, NULL);
    /* A new connection that says nothing is a slow client, not a kept one. */
    http1_set_phase(c, PHASE_IDLE, s->options.request_ns_max);
    atomic_fetch_add_explicit(&s->shared->connections, 1, memory_order_relaxed);
    pthread_mutex_lock(&s->lock);
    c->next = s->connections;
    if (c->next)
        c->next->prev = c;
    s->connections = c;
    s->n_connections++;
    pthread_mutex_unlock(&s->lock);
}

static void connection_closed(struct connection *c) {
    struct http_server *s = c->server;

    pthread_mutex_lock(&s->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->connections = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->n_connections--;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void http1_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                         enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_started(cls, mhd, socket_context);
    } else if (*socket_context) {
        connection_closed(*socket_context);
        *socket_context = NULL;
    }
}
