/*
 * A gRPC client for tests, on nghttp2 but driven by hand, so that it can break every rule: split
 * frames, wrong prefixes, floods, resets, silence.
 */
#ifndef VARAN_TESTS_NET_GRPC_CLIENT_H
#define VARAN_TESTS_NET_GRPC_CLIENT_H

#include "sockets.h"

#include "base/memory.h"

#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>

#define CALLS_MAX 300

struct call {
    int32_t id;
    struct slice to_send;
    bool hold, closed; /* hold: do not end the stream */
    char status[8], message[300], details[600], http_status[8];
    struct buffer reply;
    uint32_t code;
};

struct client {
    int fd;
    nghttp2_session *h2;
    struct call calls[CALLS_MAX];
    unsigned n, n_closed;
    bool goaway, eof;
    uint32_t goaway_code;
};

static inline int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                            size_t name_size, const uint8_t *value, size_t value_size,
                            uint8_t flags, void *user) {
    struct call *c = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    struct slice n = slice_new(name, name_size), v = slice_new(value, value_size);

    if (slice_is(n, "grpc-status"))
        snprintf(c->status, sizeof(c->status), "%.*s", SLICE_ARG(v));
    else if (slice_is(n, "grpc-message"))
        snprintf(c->message, sizeof(c->message), "%.*s", SLICE_ARG(v));
    else if (slice_is(n, "grpc-status-details-bin"))
        snprintf(c->details, sizeof(c->details), "%.*s", SLICE_ARG(v));
    else if (slice_is(n, ":status"))
        snprintf(c->http_status, sizeof(c->http_status), "%.*s", SLICE_ARG(v));
    return 0;
}

static inline int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t size, void *user) {
    struct call *c = nghttp2_session_get_stream_user_data(h2, id);
    assert_int_equal(buffer_append(&c->reply, data, size), 0);
    return 0;
}

static inline int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user) {
    struct client *client = user;
    struct call *c = nghttp2_session_get_stream_user_data(h2, id);
    c->closed = true;
    c->code = code;
    client->n_closed++;
    return 0;
}

static inline int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    struct client *client = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->goaway = true;
        client->goaway_code = frame->goaway.error_code;
    }
    return 0;
}

static inline ssize_t read_message(nghttp2_session *h2, int32_t id, uint8_t *to, size_t room,
                                   uint32_t *flags, nghttp2_data_source *source, void *user) {
    struct call *c = source->ptr;
    size_t n = c->to_send.size < room ? c->to_send.size : room;

    if (!n && c->hold)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(to, c->to_send.data, n);
    c->to_send = slice_skip(c->to_send, n);
    if (!c->to_send.size && !c->hold)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t) n;
}

static inline struct client *client_new(int port) {
    struct client *c = calloc(1, sizeof(*c));
    nghttp2_session_callbacks *callbacks;
    int one = 1;

    c->fd = dial(port);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_client_new(&c->h2, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->h2, 0, NULL, 0);
    return c;
}

static inline void client_free(struct client *c) {
    for (unsigned i = 0; i < c->n; i++)
        buffer_done(&c->calls[i].reply);
    nghttp2_session_del(c->h2);
    close(c->fd);
    free(c);
}

#define NV(n, v)                                                                                   \
    { (uint8_t *) (uintptr_t) (n), (uint8_t *) (uintptr_t) (v), strlen(n), strlen(v), 0 }

static inline struct call *client_call(struct client *c, const char *path, struct slice message,
                                       bool hold, const char *name, const char *value) {
    nghttp2_nv fields[] = {NV(":method", "POST"),
                           NV(":scheme", "http"),
                           NV(":path", path),
                           NV(":authority", "localhost"),
                           NV("content-type", "application/grpc"),
                           NV("te", "trailers"),
                           NV(name ? name : "", value ? value : "")};
    struct call *call = &c->calls[c->n++];
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_message};

    call->to_send = message;
    call->hold = hold;
    buffer_init(&call->reply, 64 << 20);
    call->id = nghttp2_submit_request(c->h2, NULL, fields, name ? 7 : 6, &provider, call);
    assert_true(call->id > 0);
    return call;
}

/* Sends and receives until `until` calls are closed (or the server says goodbye). */
static inline void client_run(struct client *c, unsigned until) {
    int64_t end = clock_monotonic_ns() + WAIT_MS * NS_PER_MS;
    uint8_t bytes[65536];

    while (c->n_closed < until && !c->eof) {
        const uint8_t *data;
        ssize_t n;
        while ((n = nghttp2_session_mem_send(c->h2, &data)) > 0)
            if (say_bytes(c->fd, data, (size_t) n) < 0)
                break;
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        assert_true(clock_monotonic_ns() < end);
        if (poll(&p, 1, 100) <= 0)
            continue;
        n = recv(c->fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            c->eof = true;
        else
            assert_int_equal(nghttp2_session_mem_recv(c->h2, bytes, (size_t) n), n);
    }
}

/* A message behind gRPC's prefix; `b` holds it. */
static inline struct slice framed(struct buffer *b, uint8_t flag, struct slice message) {
    uint8_t head[5] = {flag, (uint8_t) (message.size >> 24), (uint8_t) (message.size >> 16),
                       (uint8_t) (message.size >> 8), (uint8_t) message.size};
    buffer_init(b, 64 << 20);
    buffer_append(b, head, 5);
    buffer_append_slice(b, message);
    return buffer_slice(b);
}

#endif
