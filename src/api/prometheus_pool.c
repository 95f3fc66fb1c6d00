/*
 * The workers of Prometheus' API, their bounded queue, and the watcher that cancels queries whose
 * client has left. Thread-safe.
 */
#include "api/prometheus_call.h"

#include <stdlib.h>
#include <unistd.h>

#define ANSWER_MARGIN_NS (NS_PER_S / 2) /* kept for sending */

static struct prom_call *take(struct prometheus *p) {
    struct prom_call *c = p->first;

    if (!c)
        return NULL;
    p->first = c->next;
    if (!p->first)
        p->last = NULL;
    p->waiting--;
    c->next = p->running;
    p->running = c;
    pthread_cond_signal(&p->watch);
    return c;
}

static void leave(struct prometheus *p, struct prom_call *c) {
    struct prom_call **at = &p->running;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

static void *worker(void *arg) {
    struct prometheus *p = arg;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->first && !p->stop)
            pthread_cond_wait(&p->arrived, &p->lock);
        struct prom_call *c = take(p);
        if (!c)
            break;
        if (p->stop)
            atomic_store(&c->cancel, true);
        pthread_mutex_unlock(&p->lock);
        int64_t now = clock_monotonic_ns(), until = http_request_deadline_ns(c->request);
        c->queued_ns = now - c->begun_ns;
        c->deadline_ns = now + p->options.timeout_ns;
        if (until - ANSWER_MARGIN_NS < c->deadline_ns)
            c->deadline_ns = until - ANSWER_MARGIN_NS;
        prom_answer(c);
        free(c);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Called by prom_answer() before the request is let go. */
void prom_pool_leave(struct prom_call *c) {
    pthread_mutex_lock(&c->p->lock);
    leave(c->p, c);
    pthread_mutex_unlock(&c->p->lock);
}

static void *watcher(void *arg) {
    struct prometheus *p = arg;
    struct timespec until;

    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (!p->running) {
            pthread_cond_wait(&p->watch, &p->lock);
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += PROMETHEUS_WATCH_MS * NS_PER_MS;
        if (until.tv_nsec >= NS_PER_S) {
            until.tv_sec++;
            until.tv_nsec -= NS_PER_S;
        }
        pthread_cond_timedwait(&p->watch, &p->lock, &until);
        for (struct prom_call *c = p->running; c; c = c->next)
            if (!atomic_load(&c->cancel) && http_request_gone(c->request))
                atomic_store(&c->cancel, true);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

void prom_pool_submit(struct prometheus *p, struct http_request *q, const struct prom_resource *r) {
    struct prom_call *c = memory_alloc(sizeof(*c));
    bool taken = false;

    atomic_fetch_add(&p->queries, 1);
    if (c) {
        *c = (struct prom_call){.p = p,
                                .request = q,
                                .resource = r,
                                .received_ns = clock_now_ns(),
                                .begun_ns = clock_monotonic_ns()};
        pthread_mutex_lock(&p->lock);
        taken = p->waiting < PROMETHEUS_QUEUE_MAX && !p->stop;
        if (taken) {
            if (p->last)
                p->last->next = c;
            else
                p->first = c;
            p->last = c;
            p->waiting++;
            pthread_cond_signal(&p->arrived);
        }
        pthread_mutex_unlock(&p->lock);
    }
    if (!taken) {
        free(c);
        atomic_fetch_add(&p->refused, 1);
        prom_refuse(q, PROM_UNAVAILABLE, "too many queries wait for an answer; try again");
    }
}

void prometheus_read_stats(struct prometheus *p, struct prometheus_stats *ret) {
    *ret = (struct prometheus_stats){.queries = atomic_load(&p->queries),
                                     .failed = atomic_load(&p->failed),
                                     .refused = atomic_load(&p->refused),
                                     .timeouts = atomic_load(&p->timeouts),
                                     .samples = atomic_load(&p->samples),
                                     .answer_ns = atomic_load(&p->answer_ns)};
    pthread_mutex_lock(&p->lock);
    ret->waiting = p->waiting;
    for (struct prom_call *c = p->running; c; c = c->next)
        ret->running++;
    pthread_mutex_unlock(&p->lock);
}

static unsigned workers_wanted(const struct prometheus *p) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    if (p->options.workers)
        n = (long) p->options.workers;
    else
        n = n < 2 ? 4 : 2 * n;
    return n > (long) PROMETHEUS_WORKERS_MAX ? PROMETHEUS_WORKERS_MAX : (unsigned) n;
}

int prom_pool_start(struct prometheus *p) {
    unsigned wanted = workers_wanted(p);
    pthread_condattr_t attr;
    int r;

    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->arrived, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->watch, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&p->watcher, NULL, watcher, p);
    p->watching = r == 0;
    for (; r == 0 && p->n_workers < wanted; p->n_workers += r == 0)
        r = pthread_create(&p->workers[p->n_workers], NULL, worker, p);
    if (r)
        prom_pool_stop(p);
    return -r;
}

void prom_pool_stop(struct prometheus *p) {
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    for (struct prom_call *c = p->running; c; c = c->next)
        atomic_store(&c->cancel, true);
    pthread_cond_broadcast(&p->arrived);
    pthread_cond_broadcast(&p->watch);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_workers; i++)
        pthread_join(p->workers[i], NULL);
    if (p->watching)
        pthread_join(p->watcher, NULL);
    p->n_workers = 0;
    p->watching = false;
    pthread_cond_destroy(&p->arrived);
    pthread_cond_destroy(&p->watch);
    pthread_mutex_destroy(&p->lock);
}
