/*
 * gRPC server: workers with an epoll loop each. The first one accepts and deals connections out in
 * turn; a session stays with its worker.
 */
#include "net/grpc.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define READS_PER_EVENT 4 /* so that one connection does not starve the others */
#define ACCEPTS_PER_EVENT 64
#define SWEEP_NS_MIN (20 * NS_PER_MS)
#define LAST_WORDS_NS NS_PER_S

static _Thread_local struct grpc_worker *current; /* the worker that this thread is */

static void wake(struct grpc_worker *w) {
    uint64_t one = 1;
    ssize_t n = write(w->event_fd, &one, sizeof(one));
    (void) n; /* full: the worker is awake anyway */
}

void grpc_worker_push(struct grpc_worker *w, struct grpc_call *c) {
    pthread_mutex_lock(&w->lock);
    c->next_answered = w->answered;
    w->answered = c;
    bool first = !w->woken && w != current;
    if (first)
        w->woken = true;
    pthread_mutex_unlock(&w->lock);
    if (first)
        wake(w);
}

void grpc_worker_drain(struct grpc_worker *w) {
    pthread_mutex_lock(&w->lock);
    struct grpc_call *c = w->answered;
    w->answered = NULL;
    w->woken = false;
    pthread_mutex_unlock(&w->lock);
    for (struct grpc_call *next; c; c = next) {
        next = c->next_answered;
        struct grpc_session *s = c->session;
        if (s) {
            grpc_call_submit(c);
            if (!s->dirty) {
                s->dirty = true;
                s->next_dirty = w->dirty;
                w->dirty = s;
            }
        }
        request_unref(&c->request);
    }
}

static void end_session(struct grpc_session *s) {
    for (struct grpc_session **p = &s->worker->dirty; s->dirty && *p; p = &(*p)->next_dirty)
        if (*p == s) {
            *p = s->next_dirty;
            break;
        }
    atomic_fetch_sub(&s->worker->server->n_sessions, 1);
    grpc_session_free(s);
}

static void want_writable(struct grpc_session *s, bool wanted) {
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = s};

    if (s->writable_wanted == wanted)
        return;
    s->writable_wanted = wanted;
    epoll_ctl(s->worker->epoll_fd, EPOLL_CTL_MOD, s->fd, &event);
}

/* Sends what there is; frees the session when it is over. `last`: what is in `out` is all that
 * goes. */
static void flush(struct grpc_session *s, bool last) {
    for (;;) {
        if (!last && grpc_session_gather(s) < 0)
            break;
        if (s->out_sent == s->out.size) {
            s->write_since_ns = 0;
            if (last || grpc_session_finished(s))
                break;
            want_writable(s, false);
            return;
        }
        ssize_t n = send(s->fd, s->out.data + s->out_sent, s->out.size - s->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !last) {
            if (!s->write_since_ns)
                s->write_since_ns = clock_monotonic_ns();
            want_writable(s, true);
            return;
        }
        if (n < 0)
            break;
        s->out_sent += (size_t) n;
        s->write_since_ns = 0;
    }
    end_session(s);
}

static void on_readable(struct grpc_session *s) {
    struct grpc_worker *w = s->worker;

    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t n = recv(s->fd, w->read_buffer, GRPC_READ_BYTES, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            end_session(s);
            return;
        }
        if (grpc_session_receive(s, slice_new(w->read_buffer, (size_t) n)) < 0) {
            if (!s->closing)
                grpc_session_gather(s); /* the GOAWAY that says why */
            flush(s, true);
            return;
        }
        if ((size_t) n < GRPC_READ_BYTES)
            break;
    }
    grpc_worker_drain(w);
    flush(s, false);
}

static void adopt(struct grpc_worker *w, int fd) {
    struct grpc_session *s;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    int one = 1;

    if (grpc_session_new(w, fd, &s) < 0) {
        atomic_fetch_sub(&w->server->n_sessions, 1);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (getpeername(fd, (struct sockaddr *) &address, &size) == 0)
        peer_format((struct sockaddr *) &address, s->peer);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        end_session(s);
}

static void accept_some(struct grpc_server *server) {
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            const struct timespec pause = {0, 5 * NS_PER_MS};
            nanosleep(&pause, NULL); /* the queue stays readable: do not spin on it */
        }
        if (fd < 0)
            return;
        if (atomic_fetch_add(&server->n_sessions, 1) >= server->options.connections_max) {
            atomic_fetch_sub(&server->n_sessions, 1);
            close(fd);
            continue;
        }
        atomic_fetch_add(&server->shared->connections, 1);
        struct grpc_worker *w = &server->workers[server->next_worker++ % server->n_workers];
        pthread_mutex_lock(&w->lock);
        int r = vector_push(&w->accepted, fd, server->options.connections_max + 1u);
        pthread_mutex_unlock(&w->lock);
        if (r < 0) {
            atomic_fetch_sub(&server->n_sessions, 1);
            close(fd);
        } else {
            wake(w);
        }
    }
}

static void adopt_accepted(struct grpc_worker *w) {
    for (;;) {
        pthread_mutex_lock(&w->lock);
        int fd = w->accepted.n ? w->accepted.items[--w->accepted.n] : -1;
        pthread_mutex_unlock(&w->lock);
        if (fd < 0)
            return;
        adopt(w, fd);
    }
}

/* Our SETTINGS wait for the client's first bytes: they tell whether it speaks HTTP/2 at all. */
static bool may_speak(const struct grpc_session *s) {
    return s->heard || s->closing;
}

/* Sends the replies that were submitted, several of one connection together. */
static void flush_dirty(struct grpc_worker *w) {
    while (w->dirty) {
        struct grpc_session *s = w->dirty;
        w->dirty = s->next_dirty;
        s->dirty = false;
        if (!s->writable_wanted)
            flush(s, false);
    }
}

static void flush_all(struct grpc_worker *w) {
    for (struct grpc_session *s = w->sessions, *next; s; s = next) {
        next = s->next;
        if (!s->writable_wanted && may_speak(s))
            flush(s, false);
    }
}

static void sweep(struct grpc_worker *w, int64_t now) {
    for (struct grpc_session *s = w->sessions, *next; s; s = next) {
        next = s->next;
        if (grpc_session_sweep(s, now) < 0)
            end_session(s);
        else if (!s->writable_wanted && may_speak(s))
            flush(s, false);
    }
}

/* One step of stopping; true when the worker may end. */
static bool stop_step(struct grpc_worker *w, bool *told, bool *refused, int64_t now) {
    int64_t end = atomic_load(&w->server->stop_end_ns);
    bool busy = false;

    for (struct grpc_session *s = w->sessions; s; s = s->next) {
        if (!*told)
            grpc_session_shut_down(s);
        if (!*refused && now >= end)
            grpc_session_refuse_all(s);
        busy = busy || s->calls || s->out_sent < s->out.size;
    }
    if (!*told)
        flush_all(w);
    *told = true;
    if (now >= end) {
        *refused = true;
        flush_all(w);
    }
    return !busy || now >= end + LAST_WORDS_NS;
}

static int64_t sweep_step(const struct http_server_options *o) {
    int64_t step = o->request_ns_max < o->answer_ns_max ? o->request_ns_max : o->answer_ns_max;

    step = (step < o->idle_ns_max ? step : o->idle_ns_max) / 4;
    return step < SWEEP_NS_MIN ? SWEEP_NS_MIN : step > NS_PER_S ? NS_PER_S : step;
}

/* Handles what epoll reports; true when the eventfd was among it. A session freed on the way cannot
 * be in `events` twice: epoll reports a descriptor once. */
static void handle_events(struct grpc_worker *w, const struct epoll_event *events, int n) {
    bool woken = false;

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == w) {
            uint64_t count;
            ssize_t got = read(w->event_fd, &count, sizeof(count));
            (void) got;
            woken = true;
        } else if (events[i].data.ptr == w->server) {
            accept_some(w->server);
        } else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            on_readable(events[i].data.ptr);
        } else {
            flush(events[i].data.ptr, false);
        }
    }
    if (woken) {
        adopt_accepted(w);
        grpc_worker_drain(w);
    }
    flush_dirty(w);
}

static void *work(void *arg) {
    struct grpc_worker *w = current = arg;
    struct epoll_event events[EVENTS_MAX];
    int64_t step = sweep_step(&w->server->options), next_sweep = 0;
    bool told = false, refused = false, listening = w == w->server->workers;

    for (;;) {
        bool stopping = atomic_load(&w->server->stopping);
        int wait_ms = (int) (stopping ? SWEEP_NS_MIN / NS_PER_MS : step / NS_PER_MS);
        int n = epoll_wait(w->epoll_fd, events, EVENTS_MAX, wait_ms);
        handle_events(w, events, n < 0 ? 0 : n);
        int64_t now = clock_monotonic_ns();
        if (now >= next_sweep) {
            sweep(w, now);
            next_sweep = now + step;
        }
        if (!stopping)
            continue;
        if (listening)
            listen_close(&w->server->listener);
        listening = false;
        if (stop_step(w, &told, &refused, now))
            break;
    }
    while (w->sessions)
        end_session(w->sessions);
    return NULL;
}

static int worker_init(struct grpc_worker *w, struct grpc_server *server) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};

    w->server = server;
    pthread_mutex_init(&w->lock, NULL);
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->read_buffer = malloc(GRPC_READ_BYTES);
    if (w->epoll_fd < 0 || w->event_fd < 0 || !w->read_buffer ||
        epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->event_fd, &event) < 0)
        return -ENOMEM;
    return 0;
}

static void worker_done(struct grpc_worker *w) {
    grpc_worker_drain(w); /* answers that came after the sessions had gone */
    vector_each(&w->accepted, fd) close(*fd);
    vector_done(&w->accepted);
    if (w->epoll_fd >= 0)
        close(w->epoll_fd);
    if (w->event_fd >= 0)
        close(w->event_fd);
    free(w->read_buffer);
    pthread_mutex_destroy(&w->lock);
}

static void stop_workers(struct grpc_server *s) {
    atomic_store(&s->stopping, true);
    for (unsigned i = 0; i < s->n_workers; i++)
        if (s->workers[i].started) {
            wake(&s->workers[i]);
            pthread_join(s->workers[i].thread, NULL);
        }
    for (unsigned i = 0; i < s->n_workers; i++)
        worker_done(&s->workers[i]);
    listen_close(&s->listener);
    free(s->workers);
    route_set_free(atomic_load(&s->routes));
    net_shared_unref(s->shared);
    free(s);
}

static int start_workers(struct grpc_server *s, struct error *e) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    int r = 0;

    s->workers = calloc(s->options.threads, sizeof(*s->workers));
    if (!s->workers)
        return error_set(e, -ENOMEM, "out of memory");
    s->n_workers = s->options.threads;
    for (unsigned i = 0; i < s->n_workers; i++) {
        int failed = worker_init(&s->workers[i], s);
        r = r < 0 ? r : failed;
    }
    if (r == 0 && epoll_ctl(s->workers[0].epoll_fd, EPOLL_CTL_ADD, s->listener.fd, &event) < 0)
        r = -errno;
    for (unsigned i = 0; r == 0 && i < s->n_workers; i++) {
        struct grpc_worker *w = &s->workers[i];
        r = -pthread_create(&w->thread, NULL, work, w);
        w->started = r == 0;
    }
    return r < 0 ? error_set(e, r, "cannot start the gRPC server: %s", error_name(r)) : 0;
}

int grpc_server_start(const struct http_server_options *o, struct grpc_server **ret,
                      struct error *e) {
    struct grpc_server *s = calloc(1, sizeof(*s));

    if (!s)
        return error_set(e, -ENOMEM, "out of memory");
    s->listener.fd = -1;
    s->options = *o;
    net_options_fill(&s->options);
    s->shared = net_shared_new(s->options.body_bytes_total);
    int r = s->shared ? route_set_put(&s->routes, o->routes, o->n_routes) : -ENOMEM;
    if (r < 0)
        error_set(e, r, "out of memory");
    if (r == 0)
        r = listen_open(o->listen, &s->listener, e);
    if (r == 0)
        r = start_workers(s, e);
    if (r < 0) {
        stop_workers(s);
        return r;
    }
    *ret = s;
    return 0;
}

int grpc_server_set_routes(struct grpc_server *s, const struct http_routes *routes, size_t n) {
    return route_set_put(&s->routes, routes, n);
}

int grpc_server_port(const struct grpc_server *s) {
    return s->listener.port;
}

void grpc_server_read_stats(struct grpc_server *s, struct http_server_stats *ret) {
    net_shared_read(s->shared, ret);
}

void grpc_server_stop(struct grpc_server *s, int64_t grace_ns) {
    if (!s)
        return;
    atomic_store(&s->stop_end_ns, clock_monotonic_ns() + grace_ns);
    stop_workers(s);
}
