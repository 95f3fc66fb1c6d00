/* The targets of one job: made from what discovery found, compared with those that are there. */
#include "receive/scrape_private.h"

#define TARGETS_MAX 1000000u

typedef VECTOR(struct scrape_target *) target_list;

struct fresh {
    struct scrape_pool *pool;
    target_list targets, dropped;
    size_t n_dropped;
    struct error first;
};

static int compare(const void *a, const void *b) {
    const struct scrape_target *x = *(struct scrape_target *const *) a;
    const struct scrape_target *y = *(struct scrape_target *const *) b;

    return (x->hash > y->hash) - (x->hash < y->hash);
}

static bool same(const struct scrape_target *a, const struct scrape_target *b) {
    return a->hash == b->hash && strcmp(a->url, b->url) == 0 &&
           label_items_equal(a->labels.items, a->labels.n, b->labels.items, b->labels.n);
}

static void add_list(struct fresh *f, const scrape_discovered_list *list) {
    struct scrape_pool *p = f->pool;

    for (size_t i = 0; list && i < list->n; i++) {
        struct scrape_target *t;
        struct error e = ERROR_NONE;
        int r = scrape_target_new(p->scrape, p->config, p->job, &list->items[i], &t, &e);
        if (r < 0) {
            if (!f->first.code)
                f->first = e;
            continue;
        }
        f->n_dropped += r == 0;
        bool keep = r == 1 || !p->job->keep_dropped || f->dropped.n < p->job->keep_dropped;
        if (!keep || (r == 1 ? vector_push(&f->targets, t, TARGETS_MAX)
                             : vector_push(&f->dropped, t, TARGETS_MAX)) < 0)
            scrape_target_unref(t);
    }
}

static void collect(struct fresh *f) {
    struct scrape_pool *p = f->pool;

    for (size_t i = 0; i < p->job->providers.n; i++) {
        const struct scrape_provider *provider = &p->job->providers.items[i];
        add_list(f, provider->kind == SCRAPE_SD_STATIC ? &provider->fixed
                                                       : scrape_discovery_list(p->discovery, i));
    }
    if (f->targets.n)
        qsort(f->targets.items, f->targets.n, sizeof(*f->targets.items), compare);
    size_t n = 0;
    for (size_t i = 0; i < f->targets.n; i++) { /* the same target from two sources is one */
        if (n && same(f->targets.items[n - 1], f->targets.items[i]))
            scrape_target_unref(f->targets.items[i]);
        else
            f->targets.items[n++] = f->targets.items[i];
    }
    f->targets.n = n;
}

/* Beyond target_limit none is scraped; each scrape fails and says why. */
static void check_limit(struct scrape_pool *p) {
    bool over = p->job->target_limit && p->targets.n > p->job->target_limit;

    atomic_fetch_add(&p->scrape->exceeded_target_limit, over);
    vector_each(&p->targets, t) atomic_store(&(*t)->over_limit, over);
}

void scrape_pool_sync(struct scrape_pool *p) {
    struct fresh f = {.pool = p};
    target_list old;
    size_t at = 0;

    pthread_mutex_lock(&p->scrape->lock);
    collect(&f);
    old = (target_list){p->targets.items, p->targets.n, p->targets.allocated};
    for (size_t i = 0; i < f.targets.n; i++) {
        while (at < old.n && compare(&old.items[at], &f.targets.items[i]) < 0)
            at++;
        if (at < old.n && same(old.items[at], f.targets.items[i])) {
            struct scrape_target *kept = old.items[at];
            scrape_target_unref(f.targets.items[i]);
            f.targets.items[i] = scrape_target_ref(kept);
        }
    }
    for (size_t i = 0, k = 0; i < old.n; i++) {
        while (k < f.targets.n && compare(&f.targets.items[k], &old.items[i]) < 0)
            k++;
        if (k == f.targets.n || f.targets.items[k] != old.items[i])
            atomic_store(&old.items[i]->removed, true);
        scrape_target_unref(old.items[i]);
    }
    vector_done(&old);
    vector_each(&p->dropped, t) scrape_target_unref(*t);
    vector_done(&p->dropped);
    p->targets.items = f.targets.items;
    p->targets.n = f.targets.n;
    p->targets.allocated = f.targets.allocated;
    p->dropped.items = f.dropped.items;
    p->dropped.n = f.dropped.n;
    p->dropped.allocated = f.dropped.allocated;
    p->n_dropped = f.n_dropped;
    check_limit(p);
    p->scrape->changed = true;
    pthread_mutex_unlock(&p->scrape->lock);
    scrape_loop_wake(p->scrape);
}

int scrape_pool_new(struct scrape *s, struct scrape_config *c, const struct scrape_job *job,
                    struct scrape_pool **ret, struct error *e) {
    struct scrape_pool *p = calloc(1, sizeof(*p));
    bool discovers = false;

    if (!p)
        return error_set(e, -ENOMEM, "out of memory");
    *p = (struct scrape_pool){.scrape = s, .config = scrape_config_ref(c), .job = job};
    vector_each(&job->providers, provider) discovers |= provider->kind != SCRAPE_SD_STATIC;
    if (discovers && scrape_discovery_new(p, &p->discovery) < 0) {
        scrape_pool_free(p);
        return error_set(e, -ENOMEM, "cannot start discovery of job \"%s\"", job->name);
    }
    scrape_pool_sync(p);
    *ret = p;
    return 0;
}

void scrape_pool_stop(struct scrape_pool *p) {
    scrape_discovery_stop(p->discovery);
}

void scrape_pool_free(struct scrape_pool *p) {
    if (!p)
        return;
    scrape_discovery_free(p->discovery);
    vector_each(&p->targets, t) scrape_target_unref(*t);
    vector_done(&p->targets);
    vector_each(&p->dropped, t) scrape_target_unref(*t);
    vector_done(&p->dropped);
    scrape_config_unref(p->config);
    free(p);
}
