/*
 * Discovery of one job: a thread looks again when a provider's time has come, and gives the pool
 * what it found. A failed look keeps what was found before.
 */
#include "base/clock.h"
#include "base/log.h"
#include "receive/scrape_private.h"

#define FILES_POLL_NS (2 * NS_PER_S) /* files are looked at more often than they are read again */
#define RETRY_NS (5 * NS_PER_S)

struct looked {
    struct scrape_found *found; /* NULL: nothing yet; under the scraper's lock */
    uint64_t stamp;
    int64_t due_ns; /* monotonic */
    bool failing;
};

struct scrape_discovery {
    struct scrape_pool *pool;
    pthread_t thread;
    bool runs;
    _Atomic bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct looked *looked; /* one per provider of the job */
};

static void found_free(struct scrape_found *f) {
    if (!f)
        return;
    vector_done(&f->list);
    arena_done(&f->arena);
    free(f);
}

static int look(struct scrape_discovery *d, size_t i, struct scrape_found *found, struct error *e) {
    const struct scrape_provider *p = &d->pool->job->providers.items[i];
    uint64_t *stamp = &d->looked[i].stamp;

    switch (p->kind) {
    case SCRAPE_SD_FILE: return scrape_find_files(p, found, stamp, e);
    case SCRAPE_SD_HTTP:
        return scrape_find_http(p, d->pool->scrape->version, &d->stop, found, stamp, e);
    case SCRAPE_SD_DNS: return scrape_find_dns(p, found, stamp, e);
    case SCRAPE_SD_STATIC: break;
    }
    return 1;
}

/* Whether something changed. */
static bool look_once(struct scrape_discovery *d, size_t i) {
    const struct scrape_provider *p = &d->pool->job->providers.items[i];
    struct scrape_found *found = calloc(1, sizeof(*found));
    struct error e = ERROR_NONE;
    int64_t wait = p->kind == SCRAPE_SD_FILE && p->refresh_ns > FILES_POLL_NS ? FILES_POLL_NS
                                                                              : p->refresh_ns;

    if (!found)
        return false;
    arena_init(&found->arena, (size_t) 256 << 20);
    int r = look(d, i, found, &e);
    if (r < 0 && !atomic_load(&d->stop)) {
        atomic_fetch_add(&d->pool->scrape->discovery_failures, 1);
        if (!d->looked[i].failing)
            log_warn("scrape", "job %s: discovery: %s", d->pool->job->name, e.text);
        wait = wait < RETRY_NS ? wait : RETRY_NS;
    }
    d->looked[i].failing = r < 0;
    d->looked[i].due_ns = clock_monotonic_ns() + (wait > 0 ? wait : NS_PER_S);
    if (r == 0) {
        pthread_mutex_lock(&d->pool->scrape->lock);
        struct scrape_found *before = d->looked[i].found;
        d->looked[i].found = found;
        pthread_mutex_unlock(&d->pool->scrape->lock);
        found = before;
    }
    found_free(found);
    return r == 0;
}

static void *run(void *arg) {
    struct scrape_discovery *d = arg;
    const struct scrape_job *job = d->pool->job;

    while (!atomic_load(&d->stop)) {
        int64_t now = clock_monotonic_ns(), next = now + 3600 * NS_PER_S;
        bool changed = false;
        for (size_t i = 0; i < job->providers.n && !atomic_load(&d->stop); i++) {
            if (job->providers.items[i].kind == SCRAPE_SD_STATIC)
                continue;
            if (d->looked[i].due_ns <= now)
                changed |= look_once(d, i);
            if (d->looked[i].due_ns < next)
                next = d->looked[i].due_ns;
        }
        if (changed && !atomic_load(&d->stop))
            scrape_pool_sync(d->pool);
        struct timespec until = {next / NS_PER_S, next % NS_PER_S};
        pthread_mutex_lock(&d->lock);
        if (!atomic_load(&d->stop))
            pthread_cond_timedwait(&d->wake, &d->lock, &until);
        pthread_mutex_unlock(&d->lock);
    }
    return NULL;
}

int scrape_discovery_new(struct scrape_pool *p, struct scrape_discovery **ret) {
    struct scrape_discovery *d = calloc(1, sizeof(*d));
    pthread_condattr_t attributes;

    if (!d)
        return -ENOMEM;
    d->pool = p;
    d->looked = calloc(p->job->providers.n, sizeof(*d->looked));
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    p->discovery = *ret = d;
    if (!d->looked || pthread_create(&d->thread, NULL, run, d) != 0)
        return -ENOMEM; /* the pool frees it */
    d->runs = true;
    return 0;
}

void scrape_discovery_stop(struct scrape_discovery *d) {
    if (!d || !d->runs)
        return;
    pthread_mutex_lock(&d->lock);
    atomic_store(&d->stop, true);
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    d->runs = false;
}

void scrape_discovery_free(struct scrape_discovery *d) {
    if (!d)
        return;
    scrape_discovery_stop(d);
    for (size_t i = 0; d->looked && i < d->pool->job->providers.n; i++)
        found_free(d->looked[i].found);
    free(d->looked);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

const scrape_discovered_list *scrape_discovery_list(const struct scrape_discovery *d,
                                                    size_t provider) {
    return d && d->looked[provider].found ? &d->looked[provider].found->list : NULL;
}
