/*
 * HTTP/1.1 server: options, start, stop. The server owns its listening socket, its pool of threads
 * and its sweeper; requests hold what they share with it by reference.
 */
#include "net/http1.h"

#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS_MAX 64
#define THREADS_DEFAULT_MAX 8

void net_options_fill(struct http_server_options *o) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (!o->threads)
        o->threads = processors < 1                     ? 1
                     : processors > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX
                                                        : (unsigned) processors;
    if (o->threads > THREADS_MAX)
        o->threads = THREADS_MAX;
    if (!o->connections_max)
        o->connections_max = 1024;
    if (!o->body_bytes_total)
        o->body_bytes_total = (size_t) 256 << 20;
    if (!o->idle_ns_max)
        o->idle_ns_max = 75 * NS_PER_S;
    if (!o->request_ns_max)
        o->request_ns_max = 30 * NS_PER_S;
    if (!o->answer_ns_max)
        o->answer_ns_max = 120 * NS_PER_S;
}

int route_set_put(struct route_set *_Atomic *set, const struct http_routes *routes, size_t n) {
    struct route_set *fresh = calloc(1, sizeof(*fresh) + n * sizeof(*routes));

    if (!fresh)
        return -ENOMEM;
    fresh->n = n;
    if (n)
        memcpy(fresh->items, routes, n * sizeof(*routes));
    fresh->older = atomic_load(set);
    atomic_store(set, fresh);
    return 0;
}

void route_set_free(struct route_set *set) {
    for (struct route_set *older; set; set = older) {
        older = set->older;
        free(set);
    }
}

static void server_free(struct http_server *s) {
    listen_close(&s->listener);
    route_set_free(atomic_load(&s->routes));
    net_shared_unref(s->shared);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s);
}

int http_server_start(const struct http_server_options *o, struct http_server **ret,
                      struct error *e) {
    struct http_server *s = calloc(1, sizeof(*s));
    pthread_condattr_t monotonic;

    if (!s)
        return error_set(e, -ENOMEM, "out of memory");
    s->options = *o;
    s->listener.fd = -1;
    net_options_fill(&s->options);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->shared = net_shared_new(s->options.body_bytes_total);
    int r = s->shared ? route_set_put(&s->routes, o->routes, o->n_routes) : -ENOMEM;
    if (r < 0)
        error_set(e, r, "out of memory");
    if (r == 0)
        r = listen_open(o->listen, &s->listener, e);
    if (r == 0 && (r = http1_sweeper_start(s)) < 0)
        error_set(e, r, "cannot start a thread: %s", error_name(r));
    if (r == 0 && (r = http1_pool_start(s)) < 0)
        error_set(e, r, "cannot start the HTTP server on %s: %s", o->listen, error_name(r));
    if (r < 0) {
        http1_sweeper_stop(s);
        server_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

int http_server_set_routes(struct http_server *s, const struct http_routes *routes, size_t n) {
    return route_set_put(&s->routes, routes, n);
}

int http_server_port(const struct http_server *s) {
    return s->listener.port;
}

void http_server_read_stats(struct http_server *s, struct http_server_stats *ret) {
    net_shared_read(s->shared, ret);
}

bool http1_wait_for_none(struct http_server *s, const unsigned *count, int64_t until_ns) {
    struct timespec until = {until_ns / NS_PER_S, until_ns % NS_PER_S};

    pthread_mutex_lock(&s->lock);
    while (*count && clock_monotonic_ns() < until_ns)
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
    bool none = *count == 0;
    pthread_mutex_unlock(&s->lock);
    return none;
}

void http_server_stop(struct http_server *s, int64_t grace_ns) {
    const int64_t last_words_ns = NS_PER_S; /* for sending the 503s */

    if (!s)
        return;
    int64_t until_ns = clock_monotonic_ns() + grace_ns;
    listen_close(&s->listener);
    http1_pool_drain(s, until_ns);
    http1_end_connections(s, false);
    if (!http1_wait_for_none(s, &s->n_connections, until_ns)) {
        http1_end_connections(s, true);
        http1_wait_for_none(s, &s->n_connections, clock_monotonic_ns() + last_words_ns);
    }
    http1_sweeper_stop(s);
    atomic_store(&s->stopping, true);
    http1_end_connections(s, true); /* nothing may be suspended when the pool stops */
    http1_pool_stop(s);
    server_free(s);
}
