/*
 * The workers that answer requests, their bounded queue, and the watcher that cancels the queries
 * of clients that have left. Thread-safe.
 */
#include "api/call.h"

#include <stdlib.h>

#define ANSWER_MARGIN_NS (NS_PER_S / 2) /* kept for sending */

static void work(struct call *c) {
    struct query *q = &c->query;
    int64_t now = clock_monotonic_ns(), until = http_request_deadline_ns(c->request);

    arena_init(&c->arena, QUERY_ARENA_BYTES);
    buffer_init(&c->body, QUERY_ANSWER_BYTES);
    c->json = json_writer(&c->body);
    *q = (struct query){.store = c->api->options.store,
                        .arena = &c->arena,
                        .json = &c->json,
                        .signal = c->resource->signal,
                        .deadline_ns = now + QUERY_TIMEOUT_NS,
                        .cancel = &c->cancel,
                        .error = &c->error};
    if (until - ANSWER_MARGIN_NS < q->deadline_ns)
        q->deadline_ns = until - ANSWER_MARGIN_NS;
    int r = call_begin(c);
    if (r == 0)
        r = c->resource->answer(c);
    if (r == 0 && c->body.failed)
        r = error_set(&c->error, c->body.failed, "the answer is too large; ask for less");
    call_end(c, r);
}

/* The next one of the queue, now among those at work. */
static struct call *take(struct api *a) {
    struct call *c = a->first;

    if (!c)
        return NULL;
    a->first = c->next;
    if (!a->first)
        a->last = NULL;
    a->waiting--;
    c->next = a->running;
    a->running = c;
    if (a->stop)
        atomic_store(&c->cancel, true);
    pthread_cond_signal(&a->watch);
    return c;
}

void pool_leave(struct call *c) {
    struct api *a = c->api;

    pthread_mutex_lock(&a->lock);
    struct call **at = &a->running;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    pthread_mutex_unlock(&a->lock);
}

static void *watcher(void *arg) {
    struct api *a = arg;
    struct timespec until;

    pthread_mutex_lock(&a->lock);
    while (!a->stop) {
        if (!a->running) {
            pthread_cond_wait(&a->watch, &a->lock);
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += API_WATCH_MS * NS_PER_MS;
        if (until.tv_nsec >= NS_PER_S) {
            until.tv_sec++;
            until.tv_nsec -= NS_PER_S;
        }
        pthread_cond_timedwait(&a->watch, &a->lock, &until);
        for (struct call *c = a->running; c; c = c->next)
            if (!atomic_load(&c->cancel) && http_request_gone(c->request))
                atomic_store(&c->cancel, true);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static void *worker(void *arg) {
    struct api *a = arg;

    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->first && !a->stop)
            pthread_cond_wait(&a->arrived, &a->lock);
        struct call *c = take(a);
        if (!c)
            break;
        pthread_mutex_unlock(&a->lock);
        work(c);
        free(c);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static void refuse(struct http_request *q) {
    static const struct http_header retry = {"Retry-After", "1"};

    http_respond(
            q, 503, "application/json",
            SLICE("{\"error\":{\"code\":\"overloaded\",\"message\":\"too many questions at once; "
                  "try again\"}}"),
            &retry, 1);
}

void pool_submit(struct api *a, struct http_request *q, const struct api_resource *r) {
    struct call *c = calloc(1, sizeof(*c));
    bool taken = false;

    if (c) {
        *c = (struct call){.api = a, .request = q, .resource = r, .received_ns = clock_now_ns()};
        pthread_mutex_lock(&a->lock);
        taken = a->waiting < API_QUEUE_MAX && !a->stop;
        if (taken) {
            if (a->last)
                a->last->next = c;
            else
                a->first = c;
            a->last = c;
            a->waiting++;
            pthread_cond_signal(&a->arrived);
        }
        pthread_mutex_unlock(&a->lock);
    }
    if (!taken) {
        free(c);
        refuse(q);
    }
}

int pool_start(struct api *a) {
    pthread_condattr_t attr;
    int r;

    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->arrived, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->watch, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&a->watcher, NULL, watcher, a);
    a->watching = r == 0;
    for (; r == 0 && a->n_workers < API_WORKERS; a->n_workers += r == 0)
        r = pthread_create(&a->workers[a->n_workers], NULL, worker, a);
    if (r)
        pool_stop(a);
    return -r;
}

void pool_stop(struct api *a) {
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    for (struct call *c = a->running; c; c = c->next)
        atomic_store(&c->cancel, true);
    pthread_cond_broadcast(&a->arrived);
    pthread_cond_broadcast(&a->watch);
    pthread_mutex_unlock(&a->lock);
    for (unsigned i = 0; i < a->n_workers; i++)
        pthread_join(a->workers[i], NULL);
    if (a->watching)
        pthread_join(a->watcher, NULL);
    a->n_workers = 0;
    a->watching = false;
    pthread_cond_destroy(&a->arrived);
    pthread_cond_destroy(&a->watch);
    pthread_mutex_destroy(&a->lock);
}
