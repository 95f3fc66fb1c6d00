/*
 * One HTTP/2 connection: nghttp2's callbacks, limits against floods, time-outs. Its worker's
 * thread. A session owns its socket, its output buffer and the calls whose streams are open.
 */
#include "net/grpc.h"

#include <unistd.h>

/* Takes one from the allowance of frames that bring nothing; false: a flood. */
static bool allow_idle_frame(struct grpc_session *s) {
    int64_t now = clock_monotonic_ns();

    s->idle_frames += (double) (now - s->idle_frames_at_ns) / NS_PER_S * GRPC_IDLE_FRAMES_PER_S;
    s->idle_frames_at_ns = now;
    if (s->idle_frames > GRPC_IDLE_FRAMES_BURST)
        s->idle_frames = GRPC_IDLE_FRAMES_BURST;
    s->idle_frames -= 1;
    return s->idle_frames >= 0;
}

static struct grpc_call *find_call(nghttp2_session *h2, int32_t stream_id) {
    return nghttp2_session_get_stream_user_data(h2, stream_id);
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    struct grpc_session *s = user;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct grpc_call *c = grpc_call_new(s, frame->hd.stream_id);
    if (!c)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, c);
    return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user) {
    struct grpc_call *c = find_call(h2, frame->hd.stream_id);

    if (!c || frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers of a request carry nothing for us */
    int r = grpc_call_header(c, slice_new(name, name_size), slice_new(value, value_size));
    return r < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

/* Every frame header, before its payload. */
static int on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *hd, void *user) {
    struct grpc_session *s = user;
    bool useful =
            (hd->type == NGHTTP2_DATA && (hd->length > 0 || hd->flags & NGHTTP2_FLAG_END_STREAM)) ||
            hd->type == NGHTTP2_HEADERS;

    if (useful || allow_idle_frame(s))
        return 0;
    nghttp2_session_terminate_session(h2, NGHTTP2_ENHANCE_YOUR_CALM);
    s->closing = true;
    return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    struct grpc_session *s = user;
    bool begins = frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;

    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct grpc_call *c = find_call(h2, frame->hd.stream_id);
    if (!c || s->closing)
        return 0;
    if (begins)
        grpc_call_headers_done(c);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        grpc_call_received(c);
    return 0;
}

/* A call that was answered before its message was complete: the rest is not wanted. Said only now,
 * because nghttp2 drops an answer that waits behind a reset of its stream. */
static int on_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    struct grpc_call *c =
            frame->hd.type == NGHTTP2_HEADERS && frame->hd.flags & NGHTTP2_FLAG_END_STREAM
                    ? find_call(h2, frame->hd.stream_id)
                    : NULL;

    if (c && !c->received)
        nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t size, void *user) {
    struct grpc_call *c = find_call(h2, stream_id);

    if (c)
        grpc_call_data(c, slice_new(data, size));
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream_id, uint32_t code, void *user) {
    struct grpc_session *s = user;
    struct grpc_call *c = find_call(h2, stream_id);

    if (!c)
        return 0;
    if (code == NGHTTP2_NO_ERROR)
        s->idle_frames += GRPC_IDLE_FRAMES_PER_CALL;
    nghttp2_session_set_stream_user_data(h2, stream_id, NULL);
    grpc_call_detach(c);
    return 0;
}

/* A frame of a type that nobody knows: passed over. */
static int on_unknown(nghttp2_session *h2, void **payload, const nghttp2_frame_hd *hd, void *user) {
    return NGHTTP2_ERR_CANCEL;
}

static nghttp2_session *new_h2(struct grpc_session *s) {
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session *h2 = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
        nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unknown);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_option_set_stream_reset_rate_limit(option, GRPC_RESET_BURST, GRPC_RESET_PER_S);
        nghttp2_option_set_max_continuations(option, 8);
        nghttp2_option_set_max_settings(option, 16);
        nghttp2_option_set_max_outbound_ack(option, 1000);
        nghttp2_option_set_no_closed_streams(option, 1);
        /* nghttp2 passes over frames of unknown types without a word: they would not be counted. */
        for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
            nghttp2_option_set_user_recv_extension_type(option, (uint8_t) type);
        if (nghttp2_session_server_new2(&h2, callbacks, s, option) < 0)
            h2 = NULL;
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return h2;
}

int grpc_session_new(struct grpc_worker *w, int fd, struct grpc_session **ret) {
    static const nghttp2_settings_entry settings[] = {
            {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW_BYTES},
            {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, GRPC_FRAME_BYTES_MAX},
            {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADER_BYTES_MAX},
    };
    struct grpc_session *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->worker = w;
    s->fd = fd;
    buffer_init(&s->out, GRPC_OUT_BYTES_MAX);
    s->h2 = new_h2(s);
    if (!s->h2 ||
        nghttp2_submit_settings(s->h2, 0, settings, sizeof(settings) / sizeof(settings[0])) < 0 ||
        nghttp2_session_set_local_window_size(s->h2, 0, 0, GRPC_CONNECTION_WINDOW_BYTES) < 0) {
        nghttp2_session_del(s->h2);
        free(s);
        return -ENOMEM;
    }
    s->idle_since_ns = s->idle_frames_at_ns = clock_monotonic_ns();
    s->idle_frames = GRPC_IDLE_FRAMES_BURST;
    s->next = w->sessions;
    if (s->next)
        s->next->prev = s;
    w->sessions = s;
    *ret = s;
    return 0;
}

void grpc_session_free(struct grpc_session *s) {
    if (!s)
        return;
    while (s->calls)
        grpc_call_detach(s->calls);
    nghttp2_session_del(s->h2);
    if (s->prev)
        s->prev->next = s->next;
    else
        s->worker->sessions = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (s->fd >= 0)
        close(s->fd);
    buffer_done(&s->out);
    free(s);
}

/* A client that speaks HTTP/1.1 to this port is told where to go. */
static void tell_http1(struct grpc_session *s) {
    static const char text[] =
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
            "Content-Length: 79\r\n\r\n"
            "This port speaks gRPC (HTTP/2); OTLP over HTTP has its own port, usually 4318.\n";

    _Static_assert(
            sizeof("This port speaks gRPC (HTTP/2); OTLP over HTTP has its own port, usually "
                   "4318.\n") -
                            1 ==
                    79,
            "Content-Length");
    buffer_clear(&s->out);
    s->out_sent = 0;
    buffer_append_text(&s->out, text);
}

int grpc_session_receive(struct grpc_session *s, struct slice data) {
    s->heard = true;
    ssize_t n = nghttp2_session_mem_recv(s->h2, data.data, data.size);

    if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        s->closing = true;
        tell_http1(s);
        return -EPROTO;
    }
    return n < 0 ? -EPROTO : 0;
}

int grpc_session_gather(struct grpc_session *s) {
    if (s->out_sent == s->out.size) {
        buffer_clear(&s->out);
        s->out_sent = 0;
    }
    while (s->out.size - s->out_sent < GRPC_OUT_BYTES_WANTED) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(s->h2, &data);
        if (n < 0)
            return -EPROTO;
        if (n == 0)
            break;
        if (s->out_sent > GRPC_OUT_BYTES_MAX / 2) {
            memmove(s->out.data, s->out.data + s->out_sent, s->out.size - s->out_sent);
            buffer_truncate(&s->out, s->out.size - s->out_sent);
            s->out_sent = 0;
        }
        int r = buffer_append(&s->out, data, (size_t) n);
        if (r < 0)
            return r;
    }
    return 0;
}

bool grpc_session_finished(const struct grpc_session *s) {
    return s->out_sent == s->out.size && !nghttp2_session_want_read(s->h2) &&
           !nghttp2_session_want_write(s->h2);
}

int grpc_session_sweep(struct grpc_session *s, int64_t now) {
    const struct http_server_options *o = &s->worker->server->options;
    struct net_shared *shared = s->worker->server->shared;

    if (s->write_since_ns && now - s->write_since_ns > o->request_ns_max)
        return -ETIMEDOUT; /* the peer does not read */
    for (struct grpc_call *c = s->calls, *next; c; c = next) {
        next = c->next;
        if (c->replied)
            continue;
        bool slow = !c->received && now > c->read_end_ns;
        bool late = c->received && now > c->request.deadline_ns;
        if (!slow && !late)
            continue;
        atomic_fetch_add(&shared->timeouts, 1);
        grpc_call_refuse(c, GRPC_DEADLINE_EXCEEDED,
                         slow ? "the message did not arrive in time" : "the answer took too long",
                         0);
    }
    int64_t idle_ns_max =
            nghttp2_session_get_last_proc_stream_id(s->h2) ? o->idle_ns_max : o->request_ns_max;
    if (!s->calls && now - s->idle_since_ns > idle_ns_max && !s->closing) {
        s->closing = true;
        nghttp2_session_terminate_session(s->h2, NGHTTP2_NO_ERROR);
        s->idle_since_ns = now;
    } else if (s->closing && now - s->idle_since_ns > o->request_ns_max) {
        return -ETIMEDOUT;
    }
    return 0;
}

void grpc_session_shut_down(struct grpc_session *s) {
    nghttp2_submit_goaway(s->h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s->h2),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

void grpc_session_refuse_all(struct grpc_session *s) {
    for (struct grpc_call *c = s->calls, *next; c; c = next) {
        next = c->next;
        grpc_call_refuse(c, GRPC_UNAVAILABLE, "the server is shutting down", 1);
    }
}
