/*
 * Streaming answers. A writer appends to a bounded buffer from any thread; libmicrohttpd takes from
 * it and sleeps (suspended) while it is empty. The stream lives until both have let go; the request
 * lives as long as its writer.
 */
#include "net/http1.h"

struct http1_stream {
    struct http_stream base;
    struct http_request *request; /* the owner's hold, released by http_stream_end() */
};

void http_stream_unref(struct http_stream *s) {
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&s->lock);
    buffer_done(&s->pending);
    free(s);
}

static ssize_t read_pending(void *cls, uint64_t position, char *to, size_t room) {
    struct http_stream *s = cls;
    ssize_t n = 0;

    pthread_mutex_lock(&s->lock);
    size_t have = s->pending.size - s->sent;
    if (have) {
        n = (ssize_t) (have < room ? have : room);
        memcpy(to, s->pending.data + s->sent, (size_t) n);
        s->sent += (size_t) n;
        if (s->sent == s->pending.size) {
            buffer_clear(&s->pending);
            s->sent = 0;
        }
    } else if (s->gone) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (s->ended) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        MHD_suspend_connection(s->mhd);
        s->suspended = true;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void wake(struct http_stream *s) {
    if (!s->suspended)
        return;
    s->suspended = false;
    http1_resume(s->worker, s->mhd);
}

void http1_stream_give_up(struct http_stream *s) {
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    buffer_clear(&s->pending);
    s->sent = 0;
    wake(s);
    pthread_mutex_unlock(&s->lock);
}

static void response_freed(void *cls) {
    struct http_stream *s = cls;

    pthread_mutex_lock(&s->lock);
    s->gone = true;
    pthread_mutex_unlock(&s->lock);
    http_stream_unref(s);
}

struct http_stream *http1_stream_new(struct exchange *x, int status, const char *content_type) {
    struct http1_stream *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    struct http_stream *s = &h->base;
    atomic_init(&s->refs, 2);
    pthread_mutex_init(&s->lock, NULL);
    buffer_init(&s->pending, STREAM_BYTES_MAX);
    h->request = &x->request;
    struct MHD_Response *response = MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_pending, s, response_freed);
    if (!response) {
        atomic_store(&s->refs, 1);
        http_stream_unref(s);
        return NULL;
    }
    static const struct http_header headers[] = {{"Cache-Control", "no-store"},
                                                 {"X-Accel-Buffering", "no"}};
    http1_add_headers(response, content_type, headers, 2);
    pthread_mutex_lock(&x->request.lock);
    bool late = x->request.answered;
    if (late) {
        s->gone = true; /* the server gave up waiting: the first write says so */
    } else {
        s->worker = x->worker;
        s->mhd = x->mhd;
        x->request.answered = true;
        x->response = response;
        x->status = status;
        x->stream = s;
        atomic_fetch_add(&s->refs, 1); /* the sweeper finds it through the exchange */
        if (x->parked) {
            x->parked = false;
            http1_resume(x->worker, x->mhd);
        }
    }
    pthread_mutex_unlock(&x->request.lock);
    if (late)
        MHD_destroy_response(response);
    return s;
}

int http_stream_write(struct http_stream *s, struct slice chunk) {
    int r = 0;

    pthread_mutex_lock(&s->lock);
    if (s->gone) {
        r = -EPIPE;
    } else {
        if (s->sent > s->pending.cap / 2) { /* what was sent makes room */
            memmove(s->pending.data, s->pending.data + s->sent, s->pending.size - s->sent);
            buffer_truncate(&s->pending, s->pending.size - s->sent);
            s->sent = 0;
        }
        if (chunk.size > s->pending.cap - s->pending.size)
            r = -EAGAIN;
        else
            r = buffer_append_slice(&s->pending, chunk);
        if (r == -ENOMEM)
            s->pending.failed = 0;
        if (r == 0 && chunk.size)
            wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

void http_stream_end(struct http_stream *s) {
    struct http1_stream *h = (struct http1_stream *) s;

    pthread_mutex_lock(&s->lock);
    s->ended = true;
    wake(s);
    pthread_mutex_unlock(&s->lock);
    request_unref(h->request);
    http_stream_unref(s);
}
