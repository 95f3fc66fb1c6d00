/*
 * The sweeper: one thread per server that ends what takes too long. libmicrohttpd knows only
 * silence as a time-out; a client that sends a byte now and then is ours to end.
 */
#include "net/http1.h"

#include <poll.h>
#include <sys/socket.h>

#define SWEEP_NS_MIN (20 * NS_PER_MS)
#define SWEEP_NS_MAX NS_PER_S

/* Says 408 on the socket itself: in this phase nothing else is being sent, and libmicrohttpd takes
 * no answer before the body is complete. */
static void tell_timeout(struct connection *c) {
    static const char body[] = "{\"error\":{\"code\":\"timeout\",\"message\":\"the request did not "
                               "arrive in time\"}}\n";
    char text[512];
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: %s\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     json_content_type, sizeof(body) - 1, body);

    if (send(c->fd, text, (size_t) n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
        request_count_status(c->server->shared, 408);
}

static void end_connection(struct connection *c) {
    c->ended = true;
    c->phase_end_ns = 0;
    shutdown(c->fd, SHUT_RDWR);
}

static bool hung_up(const struct connection *c) {
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0;
}

/* With the connection's lock held. */
static void look_at(struct connection *c, int64_t now) {
    if (c->ended)
        return;
    if (c->phase == PHASE_STREAMING && c->exchange && hung_up(c)) {
        http1_stream_give_up(c->exchange->stream);
        return;
    }
    if (!c->phase_end_ns || now < c->phase_end_ns)
        return;
    if (c->phase != PHASE_IDLE)
        atomic_fetch_add(&c->server->shared->timeouts, 1);
    switch (c->phase) {
    case PHASE_WORKING:
        c->phase_end_ns = 0;
        http1_refuse(c->exchange, 503, "timeout", "the answer took too long");
        break;
    case PHASE_READING:
        tell_timeout(c);
        end_connection(c);
        break;
    default: end_connection(c); break;
    }
}

static void *sweep(void *arg) {
    struct http_server *s = arg;
    int64_t step = s->options.request_ns_max;

    if (s->options.idle_ns_max < step)
        step = s->options.idle_ns_max;
    if (s->options.answer_ns_max < step)
        step = s->options.answer_ns_max;
    step /= 4;
    step = step < SWEEP_NS_MIN ? SWEEP_NS_MIN : step > SWEEP_NS_MAX ? SWEEP_NS_MAX : step;
    pthread_mutex_lock(&s->lock);
    while (s->sweeping) {
        int64_t now = clock_monotonic_ns(), then = now + step;
        for (struct connection *c = s->connections; c; c = c->next) {
            pthread_mutex_lock(&c->lock);
            look_at(c, now);
            pthread_mutex_unlock(&c->lock);
        }
        struct timespec until = {then / NS_PER_S, then % NS_PER_S};
        while (s->sweeping && clock_monotonic_ns() < then)
            pthread_cond_timedwait(&s->wake, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int http1_sweeper_start(struct http_server *s) {
    s->sweeping = true;
    int r = -pthread_create(&s->sweeper, NULL, sweep, s);
    if (r < 0)
        s->sweeping = false;
    return r;
}

void http1_sweeper_stop(struct http_server *s) {
    pthread_mutex_lock(&s->lock);
    bool running = s->sweeping;
    s->sweeping = false;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (running)
        pthread_join(s->sweeper, NULL);
}

/* Answers for a handler that has not, or ends the stream that it has just begun. */
static void end_work(struct exchange *x) {
    http1_refuse(x, 503, "overloaded", "the server is shutting down");
    pthread_mutex_lock(&x->request.lock);
    struct http_stream *stream = x->stream;
    pthread_mutex_unlock(&x->request.lock);
    if (stream)
        http1_stream_give_up(stream);
}

void http1_end_connections(struct http_server *s, bool all) {
    pthread_mutex_lock(&s->lock);
    for (struct connection *c = s->connections; c; c = c->next) {
        pthread_mutex_lock(&c->lock);
        if (c->phase == PHASE_STREAMING && c->exchange)
            http1_stream_give_up(c->exchange->stream);
        else if (c->phase == PHASE_WORKING && all)
            end_work(c->exchange);
        else if (c->phase == PHASE_IDLE || all)
            end_connection(c);
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&s->lock);
}
