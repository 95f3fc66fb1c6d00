/*
 * gRPC calls: from headers to handler to trailers. A call belongs to its worker's thread; the reply
 * is put in by any thread under the request's lock.
 */
#include "net/grpc.h"
#include "wire/compress.h"

#include <poll.h>
#include <strings.h>
#include <unistd.h>

#define NV(n, v)                                                                                   \
    (nghttp2_nv) {                                                                                 \
        (uint8_t *) (uintptr_t) (n), (uint8_t *) (uintptr_t) (v), sizeof(n) - 1, strlen(v), 0      \
    }

struct grpc_call *grpc_call_new(struct grpc_session *s, int32_t stream_id) {
    struct grpc_call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    request_init(&c->request, &grpc_transport, s->worker->server->shared);
    memcpy(c->request.peer, s->peer, sizeof(s->peer));
    c->session = s;
    c->worker = s->worker;
    c->stream_id = stream_id;
    c->read_end_ns = clock_monotonic_ns() + s->worker->server->options.request_ns_max;
    c->next = s->calls;
    if (c->next)
        c->next->prev = c;
    s->calls = c;
    s->n_calls++;
    return c;
}

void grpc_call_detach(struct grpc_call *c) {
    struct grpc_session *s = c->session;

    if (c->prev)
        c->prev->next = c->next;
    else
        s->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->n_calls--;
    s->idle_since_ns = clock_monotonic_ns();
    c->session = NULL;
    pthread_mutex_lock(&c->request.lock);
    c->worker = NULL;
    c->request.answered = true;
    pthread_mutex_unlock(&c->request.lock);
    request_unref(&c->request);
}

/* ---- Receiving ---- */

int grpc_call_header(struct grpc_call *c, struct slice name, struct slice value) {
    struct http_request *q = &c->request;

    c->header_bytes += name.size + value.size + 32;
    if (c->header_bytes > GRPC_HEADER_BYTES_MAX)
        return -ENOBUFS;
    if (!name.size || name.data[0] != ':')
        return request_add_header(q, name, value);
    if (slice_is(name, ":method"))
        q->method = request_parse_method(value);
    else if (slice_is(name, ":path"))
        return request_set_target(q, value) == -ENOMEM ? -ENOMEM : 0;
    return 0;
}

void grpc_call_headers_done(struct grpc_call *c) {
    struct grpc_server *server = c->session->worker->server;
    struct http_request *q = &c->request;

    if (!slice_starts(http_request_header(q, "content-type"), SLICE("application/grpc")) ||
        q->method != HTTP_POST) {
        nghttp2_nv status = NV(":status", "415");
        pthread_mutex_lock(&q->lock);
        q->answered = true;
        pthread_mutex_unlock(&q->lock);
        c->replied = true;
        request_count_status(q->shared, 415);
        nghttp2_submit_response(c->session->h2, c->stream_id, &status, 1, NULL);
        return;
    }
    struct slice timeout = http_request_header(q, "grpc-timeout");
    if (timeout.data && grpc_timeout_parse(timeout, &c->timeout_ns) < 0) {
        grpc_call_refuse(c, GRPC_INVALID_ARGUMENT, "grpc-timeout is not a time-out", 0);
        return;
    }
    const struct route_set *routes = atomic_load(&server->routes);
    int r = router_match(routes->items, routes->n, &q->arena, q->method, q->raw_path, &q->match);
    if (r < 0 || !q->match.route)
        grpc_call_refuse(c, r == -ENOMEM ? GRPC_UNAVAILABLE : GRPC_UNIMPLEMENTED,
                         r == -ENOMEM ? "out of memory" : "there is no such method", r == -ENOMEM);
}

static void refuse_body(struct grpc_call *c, int r) {
    char text[120];

    snprintf(text, sizeof(text), "the message is larger than %zu bytes",
             c->request.match.route->body_bytes_max);
    if (r == -ENOBUFS)
        grpc_call_refuse(c, GRPC_RESOURCE_EXHAUSTED, text, 0);
    else
        grpc_call_refuse(c, GRPC_UNAVAILABLE, "too many messages at once, try again", 1);
    request_body_drop(&c->request);
}

void grpc_call_data(struct grpc_call *c, struct slice data) {
    struct http_request *q = &c->request;

    if (c->replied || !q->match.route)
        return;
    if (!c->message_begun) {
        if (!grpc_prefix_feed(&c->prefix, &data))
            return;
        c->message_begun = true;
        if (grpc_prefix_flags(&c->prefix) > 1) {
            grpc_call_refuse(c, GRPC_INTERNAL, "unknown flags in the message prefix", 0);
            return;
        }
        int r = request_body_begin(q, grpc_prefix_length(&c->prefix),
                                   q->match.route->body_bytes_max);
        if (r < 0) {
            refuse_body(c, r);
            return;
        }
    }
    if (data.size > grpc_prefix_length(&c->prefix) - q->body.size) {
        grpc_call_refuse(c, GRPC_UNIMPLEMENTED, "a call takes one message", 0);
        return;
    }
    int r = request_body_append(q, data.data, data.size);
    if (r < 0)
        refuse_body(c, r);
}

/* Unpacks a compressed message; false when the call was refused. */
static bool decompress_message(struct grpc_call *c) {
    struct http_request *q = &c->request;
    struct slice encoding = http_request_header(q, "grpc-encoding");
    enum compression kind;
    struct buffer plain;

    if (!encoding.data || slice_equal_nocase(encoding, SLICE("identity"))) {
        grpc_call_refuse(c, GRPC_INTERNAL, "a compressed message without grpc-encoding", 0);
        return false;
    }
    if (compression_parse(encoding, &kind) < 0) {
        grpc_call_refuse(c, GRPC_UNIMPLEMENTED, "send gzip, deflate, zstd or identity", 0);
        return false;
    }
    buffer_init(&plain, q->match.route->body_bytes_max);
    int r = decompress(kind, buffer_slice(&q->body), &plain);
    if (r == 0)
        r = request_body_replace(q, &plain);
    buffer_done(&plain);
    if (r == -EBADMSG)
        grpc_call_refuse(c, GRPC_INVALID_ARGUMENT, "the message is not compressed as announced", 0);
    else if (r < 0)
        refuse_body(c, r);
    return r == 0;
}

void grpc_call_received(struct grpc_call *c) {
    struct http_request *q = &c->request;
    int64_t wait_ns = c->session->worker->server->options.answer_ns_max;

    c->received = true;
    if (c->replied)
        return;
    if (!c->message_begun || q->body.size != grpc_prefix_length(&c->prefix)) {
        grpc_call_refuse(c, GRPC_INVALID_ARGUMENT, "the message ends before its announced length",
                         0);
        return;
    }
    if (grpc_prefix_flags(&c->prefix) && !decompress_message(c))
        return;
    if (c->timeout_ns && c->timeout_ns < wait_ns)
        wait_ns = c->timeout_ns;
    q->deadline_ns = clock_monotonic_ns() + wait_ns;
    request_dispatch(q);
}

/* ---- Answering ---- */

static const char *find_header(const struct request_answer *a, const char *name) {
    for (size_t i = 0; i < a->n_headers; i++)
        if (strcasecmp(a->headers[i].name, name) == 0)
            return a->headers[i].value;
    return NULL;
}

/* The text that goes into grpc-message: the header of that name, or the error body's message. */
static char *message_text(const struct request_answer *a) {
    const char *text = find_header(a, "grpc-message");
    struct slice body = buffer_slice(a->body);
    char plain[GRPC_MESSAGE_TEXT_MAX];
    size_t n = 0;

    if (text)
        return strndup(text, GRPC_MESSAGE_TEXT_MAX);
    ptrdiff_t at = slice_find(body, SLICE("\"message\":\""));
    body = at < 0 ? SLICE_EMPTY : slice_skip(body, (size_t) at + 11);
    for (size_t i = 0; i < body.size && body.data[i] != '"' && n + 1 < sizeof(plain); i++) {
        if (body.data[i] == '\\' && i + 1 < body.size)
            i++;
        plain[n++] = (char) body.data[i];
    }
    return strndup(plain, n);
}

static void answer(struct http_request *q, struct request_answer *a) {
    struct grpc_call *c = (struct grpc_call *) q;
    enum grpc_status status = grpc_status_from_http(a->status);
    const char *retry = find_header(a, "retry-after");
    char *message = status == GRPC_OK ? NULL : message_text(a);
    uint64_t retry_s = 0;

    if (retry && slice_to_u64(slice_from(retry), &retry_s) < 0)
        retry_s = 1;
    pthread_mutex_lock(&q->lock);
    if (!q->answered) {
        q->answered = true;
        c->status = status;
        c->message = message;
        message = NULL;
        c->retry_s = (unsigned) retry_s;
        if (status == GRPC_OK) {
            c->reply = *a->body;
            buffer_init(a->body, 0);
        }
        request_ref(q);
        grpc_worker_push(c->worker, c);
        request_count_status(q->shared, a->status);
    }
    pthread_mutex_unlock(&q->lock);
    free(message);
}

static struct http_stream *no_stream(struct http_request *q, int status, const char *content_type) {
    return NULL;
}

static bool gone(struct http_request *q) {
    struct grpc_call *c = (struct grpc_call *) q;

    pthread_mutex_lock(&q->lock);
    bool left = !c->worker;
    pthread_mutex_unlock(&q->lock);
    return left;
}

static void destroy(struct http_request *q) {
    struct grpc_call *c = (struct grpc_call *) q;

    buffer_done(&c->reply);
    free(c->message);
    free(c);
}

const struct request_transport grpc_transport = {answer, no_stream, gone, destroy};

void grpc_call_refuse(struct grpc_call *c, enum grpc_status status, const char *message,
                      unsigned retry_s) {
    pthread_mutex_lock(&c->request.lock);
    bool late = c->request.answered;
    c->request.answered = true;
    pthread_mutex_unlock(&c->request.lock);
    if (late)
        return;
    c->status = status;
    c->retry_s = retry_s;
    c->message = strdup(message); /* a short one of ours */
    request_count_status(c->request.shared, status == GRPC_UNAVAILABLE ? 503 : 400);
    grpc_call_submit(c);
}

/* The status as header fields, with room for their text. */
struct trailers {
    char number[8];
    char message[3 * GRPC_MESSAGE_TEXT_MAX + 1];
    char details[2 * GRPC_MESSAGE_TEXT_MAX + 200];
    nghttp2_nv fields[3];
    size_t n;
};

static void make_trailers(const struct grpc_call *c, struct trailers *t) {
    const char *message = c->message ? c->message : "";

    t->n = 0;
    snprintf(t->number, sizeof(t->number), "%d", (int) c->status);
    t->fields[t->n++] = NV("grpc-status", t->number);
    if (c->status == GRPC_OK)
        return;
    grpc_message_encode(message, t->message, sizeof(t->message));
    if (*message)
        t->fields[t->n++] = NV("grpc-message", t->message);
    if (c->retry_s &&
        grpc_retry_details(c->status, message, c->retry_s, t->details, sizeof(t->details)) == 0)
        t->fields[t->n++] = NV("grpc-status-details-bin", t->details);
}

static ssize_t read_reply(nghttp2_session *h2, int32_t stream_id, uint8_t *to, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *user) {
    struct grpc_call *c = source->ptr;
    size_t n = 0, total = GRPC_PREFIX_BYTES + c->reply.size;

    while (n < room && c->reply_sent < GRPC_PREFIX_BYTES)
        to[n++] = c->reply_prefix[c->reply_sent++];
    size_t more = total - c->reply_sent < room - n ? total - c->reply_sent : room - n;
    if (more)
        memcpy(to + n, c->reply.data + (c->reply_sent - GRPC_PREFIX_BYTES), more);
    c->reply_sent += more;
    if (c->reply_sent == total) {
        struct trailers t;
        make_trailers(c, &t);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (nghttp2_submit_trailer(h2, stream_id, t.fields, t.n) == 0)
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t) (n + more);
}

void grpc_call_submit(struct grpc_call *c) {
    nghttp2_session *h2 = c->session->h2;
    nghttp2_nv fields[6] = {NV(":status", "200"), NV("content-type", "application/grpc")};
    int r;

    if (c->replied)
        return;
    c->replied = true;
    if (c->status == GRPC_OK) {
        nghttp2_data_provider provider = {.source.ptr = c, .read_callback = read_reply};
        grpc_prefix_write(0, (uint32_t) c->reply.size, c->reply_prefix);
        r = nghttp2_submit_response(h2, c->stream_id, fields, 2, &provider);
    } else {
        struct trailers t;
        make_trailers(c, &t);
        fields[2] = NV("grpc-accept-encoding", "identity,gzip,deflate,zstd");
        memcpy(fields + 3, t.fields, t.n * sizeof(t.fields[0]));
        r = nghttp2_submit_response(h2, c->stream_id, fields, 3 + t.n, NULL);
    }
    if (r < 0)
        nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, c->stream_id, NGHTTP2_INTERNAL_ERROR);
}
