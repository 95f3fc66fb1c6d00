/*
 * The pool of threads that run libmicrohttpd, each with a daemon of its own on the one listening
 * socket (epoll inside, waited for here).
 *
 * libmicrohttpd's own threads are not used: they take up to 128 events at a time and, having got
 * exactly as many, wait for further ones before they look at those they have. A request could then
 * lie for as long as idle connections may. MHD_run() never waits.
 */
#include "net/http1.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* libmicrohttpd wakes threads of its own only. It looks at what was resumed when MHD_run() begins,
 * which is after the signal was taken. */
void http1_resume(struct worker *w, struct MHD_Connection *mhd) {
    MHD_resume_connection(mhd);
    eventfd_write(w->wake_fd, 1);
}

static int wait_ms(const struct worker *w) {
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(w->daemon, &ms) != MHD_YES)
        return -1;
    return ms < INT_MAX ? (int) ms : INT_MAX;
}

/* On the worker's own thread: libmicrohttpd ends the program when it meets its socket gone. */
static void stop_listening(struct worker *w) {
    struct http_server *s = w->server;

    MHD_quiesce_daemon(w->daemon);
    close(w->listen_fd);
    w->listen_fd = -1;
    pthread_mutex_lock(&s->lock);
    s->n_listening--;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *arg) {
    struct worker *w = arg;
    struct http_server *s = w->server;
    struct pollfd fds[] = {
            {.fd = MHD_get_daemon_info(w->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
             .events = POLLIN},
            {.fd = w->wake_fd, .events = POLLIN},
    };
    eventfd_t signals;

    while (!atomic_load(&s->ending)) {
        poll(fds, 2, wait_ms(w));
        if (fds[1].revents)
            eventfd_read(w->wake_fd, &signals);
        if (w->listen_fd >= 0 && atomic_load(&s->draining))
            stop_listening(w);
        MHD_run(w->daemon);
    }
    if (w->listen_fd >= 0)
        stop_listening(w);
    return NULL;
}

/* Paths and arguments are decoded by net/url.c, which knows their lengths. */
static size_t keep_escapes(void *cls, struct MHD_Connection *c, char *text) {
    return strlen(text);
}

static void quiet(void *cls, const char *format, va_list args) {
}

static struct MHD_Daemon *start_daemon(struct worker *w) {
    const struct http_server_options *o = &w->server->options;
    unsigned idle_s = (unsigned) (o->idle_ns_max / NS_PER_S) + 2;
    unsigned connections_max = (o->connections_max + o->threads - 1) / o->threads;

    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                            NULL, http1_on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
                            MHD_OPTION_LISTEN_SOCKET, w->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
                            connections_max, MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY_BYTES,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
                            http1_on_uri, NULL, MHD_OPTION_NOTIFY_COMPLETED, http1_on_completed,
                            NULL, MHD_OPTION_NOTIFY_CONNECTION, http1_on_connection, w,
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
}

static int start_worker(struct http_server *s, struct worker *w) {
    w->server = s;
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0)
        return -errno;
    w->listen_fd = fcntl(s->listener.fd, F_DUPFD_CLOEXEC, 0);
    int r = w->listen_fd < 0 ? -errno : 0;
    /* A daemon that did not start may have closed its socket: it is not closed again. */
    if (r == 0 && !(w->daemon = start_daemon(w)))
        r = -EIO;
    if (r < 0) {
        close(w->wake_fd);
        return r;
    }
    pthread_mutex_lock(&s->lock);
    s->n_listening++;
    pthread_mutex_unlock(&s->lock);
    r = -pthread_create(&w->thread, NULL, work, w);
    if (r < 0) {
        stop_listening(w);
        MHD_stop_daemon(w->daemon);
        close(w->wake_fd);
    }
    return r;
}

int http1_pool_start(struct http_server *s) {
    s->workers = calloc(s->options.threads, sizeof(*s->workers));
    if (!s->workers)
        return -ENOMEM;
    for (unsigned i = 0; i < s->options.threads; i++) {
        int r = start_worker(s, &s->workers[i]);
        if (r < 0) {
            atomic_store(&s->stopping, true);
            http1_end_connections(s, true); /* of the workers before */
            http1_pool_stop(s);
            return r;
        }
        s->n_workers++;
    }
    return 0;
}

static void wake_all(struct http_server *s) {
    for (unsigned i = 0; i < s->n_workers; i++)
        eventfd_write(s->workers[i].wake_fd, 1);
}

void http1_pool_drain(struct http_server *s, int64_t until_ns) {
    atomic_store(&s->draining, true);
    wake_all(s);
    http1_wait_for_none(s, &s->n_listening, until_ns);
}

void http1_pool_stop(struct http_server *s) {
    atomic_store(&s->ending, true);
    wake_all(s);
    for (unsigned i = 0; i < s->n_workers; i++)
        pthread_join(s->workers[i].thread, NULL);
    for (unsigned i = 0; i < s->n_workers; i++) {
        MHD_stop_daemon(s->workers[i].daemon);
        close(s->workers[i].wake_fd);
    }
    free(s->workers);
    s->workers = NULL;
    s->n_workers = 0;
}
