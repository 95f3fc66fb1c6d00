/* The scraper as a whole: start, reload, end, and what callers may know. */
#include "receive/scrape.h"
#include "base/clock.h"
#include "receive/scrape_private.h"

#define POOLS_MAX (SCRAPE_JOBS_MAX + 1)

typedef VECTOR(struct scrape_pool *) pool_list;

/* ---- The configuration ---- */

static int add_self(struct scrape *s, struct scrape_config *c) {
    struct scrape_job *job = arena_new(&c->arena, struct scrape_job);
    struct scrape_provider provider = {.kind = SCRAPE_SD_STATIC};
    struct label *label = arena_new(&c->arena, struct label);

    for (size_t i = 0; i < c->jobs.n; i++)
        if (strcmp(c->jobs.items[i]->name, "varan") == 0)
            return 0; /* the file says how */
    if (!job || !label)
        return -ENOMEM;
    *job = c->global;
    job->name = "varan";
    if (job->interval_ns > 15 * NS_PER_S)
        job->interval_ns = 15 * NS_PER_S;
    if (job->timeout_ns > job->interval_ns)
        job->timeout_ns = job->interval_ns;
    *label = (struct label){SLICE("__address__"), slice_from(s->self_address)};
    struct scrape_discovered d = {label, 1};
    int r = vector_push(&provider.fixed, d, 1);
    if (r == 0)
        r = vector_push(&job->providers, provider, 1);
    if (r < 0)
        vector_done(&provider.fixed);
    job->self = true;
    job->fingerprint = (uint64_t) job->interval_ns;
    return r < 0 ? r : vector_push(&c->jobs, job, POOLS_MAX);
}

static int load(struct scrape *s, struct scrape_config **ret, struct error *e) {
    int r = s->config_file ? scrape_config_read(s->config_file, ret, e) : scrape_config_new(ret);

    if (r == 0 && s->options.self_metrics) {
        r = add_self(s, *ret);
        if (r < 0)
            scrape_config_unref(*ret);
    }
    return r < 0 && !e->code ? error_set(e, r, "out of memory") : r;
}

/* ---- Putting it in force ---- */

static struct scrape_pool *find_pool(const pool_list *pools, const struct scrape_job *job,
                                     bool unchanged) {
    vector_each(pools, p) if (strcmp((*p)->job->name, job->name) == 0 &&
                              (!unchanged || (*p)->job->fingerprint == job->fingerprint)) return *p;
    return NULL;
}

/* Targets that go on under another configuration of their job need no stale markers. */
static void retire(struct scrape *s, struct scrape_pool *old, const struct scrape_pool *successor) {
    scrape_pool_stop(old);
    pthread_mutex_lock(&s->lock);
    vector_each(&old->targets, t) {
        bool goes_on = false;
        if (successor)
            vector_each(&successor->targets, n) goes_on |=
                    (*n)->hash == (*t)->hash ||
                    label_items_equal((*n)->labels.items, (*n)->labels.n, (*t)->labels.items,
                                      (*t)->labels.n);
        atomic_store(&(*t)->quiet, goes_on);
        atomic_store(&(*t)->removed, true);
    }
    pthread_mutex_unlock(&s->lock);
    scrape_pool_free(old);
}

static int make_pools(struct scrape *s, struct scrape_config *c, pool_list *ret, struct error *e) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->jobs.n; i++) {
        struct scrape_pool *p = find_pool((const pool_list *) &s->pools, c->jobs.items[i], true);
        if (!p)
            r = scrape_pool_new(s, c, c->jobs.items[i], &p, e);
        if (r == 0 && vector_push(ret, p, POOLS_MAX) < 0)
            r = error_set(e, -ENOMEM, "out of memory");
    }
    return r;
}

static bool has_pool(const pool_list *pools, const struct scrape_pool *p) {
    vector_each(pools, x) if (*x == p) return true;
    return false;
}

static int apply(struct scrape *s, struct scrape_config *c, struct error *e) {
    pool_list fresh = {0}, old = {s->pools.items, s->pools.n, s->pools.allocated};

    int r = make_pools(s, c, &fresh, e);
    if (r < 0) {
        vector_each(&fresh, p) if (!has_pool(&old, *p)) scrape_pool_free(*p);
        vector_done(&fresh);
        return r;
    }
    pthread_mutex_lock(&s->lock);
    struct scrape_config *before = s->config;
    s->pools.items = fresh.items;
    s->pools.n = fresh.n;
    s->pools.allocated = fresh.allocated;
    s->config = c;
    s->changed = true;
    pthread_mutex_unlock(&s->lock);
    vector_each(&old, p) if (!has_pool(&fresh, *p))
            retire(s, *p, find_pool(&fresh, (*p)->job, false));
    vector_done(&old);
    scrape_config_unref(before);
    scrape_loop_wake(s);
    return 0;
}

int scrape_reload(struct scrape *s, struct error *e) {
    struct scrape_config *c;

    *e = ERROR_NONE;
    pthread_mutex_lock(&s->reloading);
    int r = load(s, &c, e);
    if (r == 0) {
        r = apply(s, c, e);
        if (r < 0)
            scrape_config_unref(c);
    }
    atomic_fetch_add(&s->reloads, 1);
    atomic_fetch_add(&s->reloads_failed, r < 0);
    atomic_store(&s->last_reload_ok, r == 0);
    if (r == 0)
        atomic_store(&s->last_reload_ns, clock_now_ns());
    pthread_mutex_unlock(&s->reloading);
    return r;
}

/* ---- Life ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int scrape_new(const struct scrape_options *o, struct scrape **ret, struct error *e) {
    struct scrape *s = calloc(1, sizeof(*s));

    pthread_once(&once, init_curl);
    if (!s)
        return error_set(e, -ENOMEM, "out of memory");
    s->options = *o;
    s->config_file = o->config_file ? strdup(o->config_file) : NULL;
    s->version = strdup(o->version ? o->version : "");
    s->self_address = strdup(o->self_address ? o->self_address : "localhost");
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->reloading, NULL);
    pthread_mutex_init(&s->work_lock, NULL);
    pthread_cond_init(&s->work_ready, NULL);
    s->multi = curl_multi_init(); /* before discovery, which wakes the loop */
    int r = s->multi ? scrape_reload(s, e) : error_set(e, -ENOMEM, "out of memory");
    if (r == 0 && scrape_loop_start(s) < 0)
        r = error_set(e, -EAGAIN, "the scraper's threads cannot be started");
    atomic_store(&s->reloads, 0);
    if (r < 0) {
        scrape_stop(s);
        scrape_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void scrape_stop(struct scrape *s) {
    if (!s)
        return;
    vector_each(&s->pools, p) scrape_pool_stop(*p);
    scrape_loop_stop(s);
}

void scrape_free(struct scrape *s) {
    if (!s)
        return;
    vector_each(&s->pools, p) scrape_pool_free(*p);
    vector_done(&s->pools);
    scrape_config_unref(s->config);
    if (s->multi)
        curl_multi_cleanup(s->multi);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->reloading);
    pthread_mutex_destroy(&s->work_lock);
    pthread_cond_destroy(&s->work_ready);
    free(s->config_file);
    free(s->version);
    free(s->self_address);
    free(s);
}
