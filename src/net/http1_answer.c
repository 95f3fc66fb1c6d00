/* Answers over HTTP/1.1: builds libmicrohttpd's response on the caller's thread and wakes the
 * connection. */
#include "net/http1.h"

#include <poll.h>
#include <strings.h>

void http1_add_headers(struct MHD_Response *response, const char *content_type,
                       const struct http_header *headers, size_t n) {
    if (content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < n; i++)
        MHD_add_response_header(response, headers[i].name, headers[i].value);
}

static const char *find_header(const struct request_answer *a, const char *name) {
    for (size_t i = 0; i < a->n_headers; i++)
        if (strcasecmp(a->headers[i].name, name) == 0)
            return a->headers[i].value;
    return NULL;
}

static struct MHD_Response *build(struct http_request *q, struct request_answer *a) {
    bool worth = worth_gzip(a->content_type, a->body->size) && !find_header(a, "content-encoding");
    bool zipped = worth && http_request_accepts_gzip(q) && gzip_body(a->body);
    struct MHD_Response *response = MHD_create_response_from_buffer(
            a->body->size, a->body->data ? (void *) a->body->data : (void *) (uintptr_t) "",
            a->body->data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

    if (!response)
        return NULL;
    a->body->data = NULL; /* the response owns it now */
    buffer_done(a->body);
    http1_add_headers(response, a->content_type, a->headers, a->n_headers);
    if (zipped)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    if (worth)
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    return response;
}

/* Publishes the answer, unless one was given before. */
static void publish(struct exchange *x, struct MHD_Response *response, int status, size_t bytes) {
    pthread_mutex_lock(&x->request.lock);
    bool late = x->request.answered;
    if (!late) {
        x->request.answered = true;
        x->response = response;
        x->response_bytes = bytes;
        x->status = status;
        if (x->parked) {
            x->parked = false;
            http1_resume(x->worker, x->mhd);
        }
    }
    pthread_mutex_unlock(&x->request.lock);
    if (late && response)
        MHD_destroy_response(response);
}

static void answer(struct http_request *q, struct request_answer *a) {
    struct exchange *x = (struct exchange *) q;
    size_t bytes = a->body->size;

    publish(x, build(q, a), a->status, bytes); /* NULL, without memory, closes the connection */
}

static struct http_stream *start_stream(struct http_request *q, int status,
                                        const char *content_type) {
    return http1_stream_new((struct exchange *) q, status, content_type);
}

static bool gone(struct http_request *q) {
    struct exchange *x = (struct exchange *) q;
    bool left = true;

    pthread_mutex_lock(&q->lock);
    if (x->connection) {
        struct pollfd p = {.fd = x->connection->fd, .events = POLLRDHUP};
        left = poll(&p, 1, 0) > 0;
    }
    pthread_mutex_unlock(&q->lock);
    return left;
}

static void destroy(struct http_request *q) {
    struct exchange *x = (struct exchange *) q;

    if (x->response)
        MHD_destroy_response(x->response);
    if (x->stream)
        http_stream_unref(x->stream);
    free(x);
}

const struct request_transport http1_transport = {answer, start_stream, gone, destroy};

void http1_refuse(struct exchange *x, int status, const char *code, const char *message) {
    const struct route_set *routes = atomic_load(&x->connection->server->routes);
    const struct http_routes *shape = router_shape(routes->items, routes->n, x->request.raw_path);
    struct http_header headers[2];
    struct buffer body;
    char allow[80];
    size_t n = 0;

    buffer_init(&body, 4096);
    if (*code && shape)
        shape->format_error(&body, status, message);
    else if (*code)
        request_format_error(&body, code, message);
    if (x->request.match.allowed && !x->request.match.route) {
        router_format_allow(x->request.match.allowed, allow);
        headers[n++] = (struct http_header){"Allow", allow};
    }
    if (status == 503)
        headers[n++] = (struct http_header){"Retry-After", "1"};
    struct request_answer a = {status, *code ? json_content_type : NULL, &body, headers, n};
    answer(&x->request, &a);
    buffer_done(&body);
}
