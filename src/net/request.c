/*
 * Requests: set-up, body memory, accessors. A request's memory is its arena and its body buffer,
 * freed with the last reference. Accessors: the thread that works on the answer.
 */
#include "net/request.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <sys/socket.h>

struct net_shared *net_shared_new(size_t body_bytes_total) {
    struct net_shared *s = calloc(1, sizeof(*s));

    if (s) {
        atomic_init(&s->refs, 1);
        s->body_bytes_total = body_bytes_total;
    }
    return s;
}

struct net_shared *net_shared_ref(struct net_shared *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void net_shared_unref(struct net_shared *s) {
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        free(s);
}

void net_shared_read(const struct net_shared *s, struct http_server_stats *ret) {
    *ret = (struct http_server_stats){
            .requests = atomic_load(&s->requests),
            .responses_4xx = atomic_load(&s->responses_4xx),
            .responses_5xx = atomic_load(&s->responses_5xx),
            .connections = atomic_load(&s->connections),
            .body_bytes = atomic_load(&s->received),
            .refused_pressure = atomic_load(&s->refused_pressure),
            .timeouts = atomic_load(&s->timeouts),
    };
}

void request_count_status(struct net_shared *s, int status) {
    if (status >= 500)
        atomic_fetch_add_explicit(&s->responses_5xx, 1, memory_order_relaxed);
    else if (status >= 400)
        atomic_fetch_add_explicit(&s->responses_4xx, 1, memory_order_relaxed);
}

void request_init(struct http_request *q, const struct request_transport *t,
                  struct net_shared *shared) {
    *q = (struct http_request){.transport = t, .method = HTTP_OTHER};
    q->shared = net_shared_ref(shared);
    atomic_init(&q->refs, 1);
    pthread_mutex_init(&q->lock, NULL);
    arena_init(&q->arena, REQUEST_ARENA_BYTES_MAX);
    atomic_fetch_add_explicit(&shared->requests, 1, memory_order_relaxed);
}

struct http_request *request_ref(struct http_request *q) {
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    return q;
}

void request_unref(struct http_request *q) {
    if (!q || atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct net_shared *shared = q->shared;
    request_body_drop(q);
    arena_done(&q->arena);
    pthread_mutex_destroy(&q->lock);
    q->transport->destroy(q);
    net_shared_unref(shared);
}

int request_add_header(struct http_request *q, struct slice name, struct slice value) {
    if (!q->headers) {
        q->headers = arena_alloc(&q->arena, sizeof(*q->headers) * REQUEST_HEADERS_MAX);
        if (!q->headers)
            return -ENOMEM;
    }
    if (q->n_headers == REQUEST_HEADERS_MAX)
        return -ENOBUFS;
    struct request_header h = {arena_dup(&q->arena, name), arena_dup(&q->arena, value)};
    if (!h.name.data || !h.value.data)
        return -ENOMEM;
    q->headers[q->n_headers++] = h;
    return 0;
}

int request_set_target(struct http_request *q, struct slice target) {
    struct slice text = arena_dup(&q->arena, target);

    if (!text.data)
        return -ENOMEM;
    ptrdiff_t scheme = slice_find(slice_take(text, 16), SLICE("://"));
    if (scheme > 0 && text.data[0] != '/') { /* absolute form, as sent to proxies */
        text = slice_skip(text, (size_t) scheme + 3);
        ptrdiff_t slash = slice_find_byte(text, '/');
        text = slash < 0 ? SLICE("/") : slice_skip(text, (size_t) slash);
    }
    q->query = text;
    q->raw_path = slice_cut(&q->query, '?');
    return url_decode(&q->arena, q->raw_path, false, &q->path);
}

/* Takes `more` bytes from the server's total. */
static int body_count(struct http_request *q, size_t more) {
    size_t before = atomic_fetch_add(&q->shared->body_bytes, more);

    if (before + more > q->shared->body_bytes_total) {
        atomic_fetch_sub(&q->shared->body_bytes, more);
        atomic_fetch_add(&q->shared->refused_pressure, 1);
        return -EAGAIN;
    }
    q->body_counted += more;
    return 0;
}

static int body_reserve(struct http_request *q, size_t size) {
    if (size <= q->body.allocated)
        return 0;
    int r = body_count(q, size - q->body_counted);
    if (r < 0)
        return r;
    uint8_t *p = memory_realloc(q->body.data, size);
    if (!p)
        return -ENOMEM;
    q->body.data = p;
    q->body.allocated = size;
    return 0;
}

int request_body_begin(struct http_request *q, size_t declared, size_t cap) {
    if (declared != SIZE_MAX && declared > cap)
        return -ENOBUFS;
    buffer_init(&q->body, declared == SIZE_MAX ? cap : declared);
    if (declared == SIZE_MAX || declared == 0)
        return 0;
    return body_reserve(q,
                        declared < REQUEST_BODY_RESERVE_MAX ? declared : REQUEST_BODY_RESERVE_MAX);
}

int request_body_append(struct http_request *q, const void *data, size_t size) {
    if (size > q->body.cap - q->body.size)
        return -ENOBUFS;
    size_t need = q->body.size + size;
    if (need > q->body.allocated) {
        size_t want = q->body.allocated < 4096 ? 4096 : q->body.allocated * 2;
        if (want < need)
            want = need;
        if (want > q->body.cap)
            want = q->body.cap;
        int r = body_reserve(q, want);
        if (r < 0)
            return r;
    }
    if (size)
        memcpy(q->body.data + q->body.size, data, size);
    q->body.size = need;
    atomic_fetch_add_explicit(&q->shared->received, size, memory_order_relaxed);
    return 0;
}

void request_body_drop(struct http_request *q) {
    buffer_done(&q->body);
    if (q->body_counted)
        atomic_fetch_sub(&q->shared->body_bytes, q->body_counted);
    q->body_counted = 0;
}

int request_body_replace(struct http_request *q, struct buffer *body) {
    request_body_drop(q);
    q->body = *body;
    buffer_init(body, 0);
    return body_count(q, q->body.allocated);
}

void request_dispatch(struct http_request *q) {
    assert(q->match.route);
    request_ref(q); /* until the answer */
    q->match.route->handler(q, q->match.ctx);
}

enum http_method request_parse_method(struct slice text) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

    for (int i = 0; i < HTTP_OTHER; i++)
        if (slice_is(text, names[i]))
            return (enum http_method) i;
    return HTTP_OTHER;
}

void peer_format(const struct sockaddr *address, char ret[PEER_TEXT_MAX]) {
    ret[0] = 0;
    if (!address)
        return;
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *) (const void *) address)->sin_addr, ret,
                  PEER_TEXT_MAX);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr, ret,
                  PEER_TEXT_MAX);
}

/* ---- Accessors of http.h ---- */

enum http_method http_request_method(const struct http_request *q) {
    return q->method;
}

struct slice http_request_path(const struct http_request *q) {
    return q->path;
}

static bool has_form(const struct http_request *q) {
    struct slice type = http_request_header(q, "content-type");
    return slice_equal_nocase(slice_trim(slice_cut(&type, ';')),
                              SLICE("application/x-www-form-urlencoded"));
}

static void parse_params(struct http_request *q) {
    if (q->params_parsed)
        return;
    q->params_parsed = true;
    if (url_params_parse(&q->arena, q->query, &q->params) == 0 && q->body.size && has_form(q))
        url_params_parse(&q->arena, buffer_slice(&q->body), &q->params);
}

struct slice http_request_param(struct http_request *q, const char *name) {
    parse_params(q);
    for (size_t i = 0; i < q->params.n; i++)
        if (slice_is(q->params.items[i].name, name))
            return q->params.items[i].value;
    return SLICE_EMPTY;
}

void http_request_params(struct http_request *q,
                         bool (*each)(void *ctx, struct slice name, struct slice value),
                         void *ctx) {
    parse_params(q);
    for (size_t i = 0; i < q->params.n; i++)
        if (!each(ctx, q->params.items[i].name, q->params.items[i].value))
            return;
}

struct slice http_request_header(const struct http_request *q, const char *name) {
    for (size_t i = 0; i < q->n_headers; i++)
        if (slice_equal_nocase(q->headers[i].name, slice_from(name)))
            return q->headers[i].value;
    return SLICE_EMPTY;
}

struct slice http_request_body(const struct http_request *q) {
    return buffer_slice(&q->body);
}

const char *http_request_peer(const struct http_request *q) {
    return q->peer;
}

struct arena *http_request_arena(struct http_request *q) {
    return &q->arena;
}

struct slice http_request_capture(const struct http_request *q, unsigned index) {
    return index < q->match.n_captures ? q->match.captures[index] : SLICE_EMPTY;
}

int64_t http_request_deadline_ns(const struct http_request *q) {
    return q->deadline_ns;
}

bool http_request_gone(const struct http_request *q) {
    return q->transport->gone((struct http_request *) q);
}
