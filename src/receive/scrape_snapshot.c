/* What callers may know about a running scraper: copies, made under its locks. */
#include "receive/scrape_private.h"

static bool copy_labels(const struct scrape_labels *from, struct arena *a,
                        struct scrape_labels *ret) {
    ret->items = label_items_copy(from->items, from->n, a);
    ret->n = from->n;
    return ret->items != NULL;
}

static bool copy_target(struct scrape_target *t, struct arena *a, struct scrape_target_info *ret) {
    *ret = (struct scrape_target_info){
            .pool = arena_dup(a, slice_from(t->job->name)),
            .url = arena_dup(a, slice_from(t->url)),
            .interval_ns = t->interval_ns,
            .timeout_ns = t->timeout_ns,
    };
    if (!ret->pool.data || !ret->url.data || !copy_labels(&t->labels, a, &ret->labels) ||
        !copy_labels(&t->discovered, a, &ret->discovered))
        return false;
    pthread_mutex_lock(&t->lock);
    ret->health = t->health;
    ret->last_error = arena_dup(a, slice_from(t->last_error));
    ret->last_scrape_ns = t->last_scrape_ns;
    ret->last_duration_ns = t->last_duration_ns;
    ret->last_samples = t->last_samples;
    ret->last_samples_kept = t->last_kept;
    ret->series = t->series;
    pthread_mutex_unlock(&t->lock);
    return ret->last_error.data != NULL;
}

static int by_pool_and_url(const void *a, const void *b) {
    const struct scrape_target_info *x = a, *y = b;
    int order = slice_compare(x->pool, y->pool);

    return order ? order : slice_compare(x->url, y->url);
}

static int copy_all(struct scrape *s, struct arena *a, struct scrape_targets *to) {
    size_t n_active = 0, n_dropped = 0;

    vector_each(&s->pools, p) {
        n_active += (*p)->targets.n;
        n_dropped += (*p)->dropped.n;
    }
    to->active = arena_array(a, struct scrape_target_info, n_active);
    to->dropped = arena_array(a, struct scrape_target_info, n_dropped);
    to->pools = arena_array(a, struct scrape_pool_info, s->pools.n);
    if (!to->active || !to->dropped || !to->pools)
        return -ENOMEM;
    vector_each(&s->pools, p) {
        to->pools[to->n_pools++] = (struct scrape_pool_info){
                arena_dup(a, slice_from((*p)->job->name)), (*p)->targets.n, (*p)->n_dropped};
        vector_each(&(*p)->targets,
                    t) if (!copy_target(*t, a, &to->active[to->n_active++])) return -ENOMEM;
        vector_each(&(*p)->dropped,
                    t) if (!copy_target(*t, a, &to->dropped[to->n_dropped++])) return -ENOMEM;
    }
    return 0;
}

int scrape_read_targets(struct scrape *s, struct arena *a, struct scrape_targets *ret) {
    struct scrape_targets to = {0};

    pthread_mutex_lock(&s->lock);
    int r = copy_all(s, a, &to);
    pthread_mutex_unlock(&s->lock);
    if (r < 0)
        return r;
    if (to.n_active)
        qsort(to.active, to.n_active, sizeof(*to.active), by_pool_and_url);
    if (to.n_dropped)
        qsort(to.dropped, to.n_dropped, sizeof(*to.dropped), by_pool_and_url);
    *ret = to;
    return 0;
}

/* ---- Metadata ---- */

struct metadata_list {
    struct arena *arena;
    struct scrape_metadata_info *items;
    size_t n, room, limit;
};

static int add_metadata(struct metadata_list *l, const struct scrape_labels *target,
                        struct slice metric, const struct scrape_metadata *m) {
    if (l->n == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        struct scrape_metadata_info *items = arena_alloc(l->arena, room * sizeof(*items));
        if (!items)
            return -ENOMEM;
        if (l->n)
            memcpy(items, l->items, l->n * sizeof(*items));
        l->items = items;
        l->room = room;
    }
    struct metric_metadata copy = {.metric = arena_dup(l->arena, metric),
                                   .type = m->type,
                                   .help = arena_dup(l->arena, m->help),
                                   .unit = arena_dup(l->arena, m->unit)};
    if (!copy.metric.data || !copy.help.data || !copy.unit.data)
        return -ENOMEM;
    l->items[l->n++] = (struct scrape_metadata_info){*target, copy};
    return 0;
}

static int read_target(struct scrape_target *t, struct slice metric, struct metadata_list *l) {
    struct scrape_labels labels;
    int r = copy_labels(&t->labels, l->arena, &labels) ? 0 : -ENOMEM;

    pthread_mutex_lock(&t->lock);
    if (r == 0 && metric.size) {
        const struct map_entry *entry = map_get(&t->metadata, metric);
        if (entry && entry->pointer)
            r = add_metadata(l, &labels, entry->key, entry->pointer);
    } else if (r == 0) {
        map_each(&t->metadata, entry) {
            if (r == 0 && entry->pointer && (!l->limit || l->n < l->limit))
                r = add_metadata(l, &labels, entry->key, entry->pointer);
        }
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

int scrape_read_metadata(struct scrape *s, struct slice metric, size_t limit, struct arena *a,
                         struct scrape_metadata_info **ret, size_t *ret_n) {
    struct metadata_list l = {.arena = a, .limit = limit};
    int r = 0;

    pthread_mutex_lock(&s->lock);
    vector_each(&s->pools, p) vector_each(&(*p)->targets, t) {
        if (r == 0 && (!limit || l.n < limit))
            r = read_target(*t, metric, &l);
    }
    pthread_mutex_unlock(&s->lock);
    if (r < 0)
        return r;
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

/* ---- Configuration and figures ---- */

static int copy_notes(const struct scrape_config *c, struct arena *a,
                      struct scrape_config_notes *ret) {
    ret->n = 0;
    ret->lines = arena_array(a, struct slice, c->notes.n);
    if (!ret->lines)
        return -ENOMEM;
    vector_each(&c->notes, note) ret->lines[ret->n++] = arena_dup(a, *note);
    return 0;
}

int scrape_read_notes(struct scrape *s, struct arena *a, struct scrape_config_notes *ret) {
    pthread_mutex_lock(&s->lock);
    int r = copy_notes(s->config, a, ret);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int scrape_print_config(struct scrape *s, struct buffer *to) {
    pthread_mutex_lock(&s->lock);
    int r = buffer_append_slice(to, s->config->printed);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int scrape_check_config(const char *file, struct arena *a, struct scrape_config_notes *ret_notes,
                        size_t *ret_jobs, struct error *e) {
    struct scrape_config *c;

    int r = scrape_config_read(file, &c, e);
    if (r < 0)
        return r;
    *ret_jobs = c->jobs.n;
    r = copy_notes(c, a, ret_notes);
    scrape_config_unref(c);
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

void scrape_read_stats(struct scrape *s, struct scrape_stats *ret) {
    *ret = (struct scrape_stats){
            .scrapes = s->scrapes,
            .scrapes_failed = s->scrapes_failed,
            .samples = s->samples,
            .series_added = s->series_added,
            .commit_failures = s->commit_failures,
            .exceeded_sample_limit = s->exceeded_sample_limit,
            .exceeded_body_size_limit = s->exceeded_body_size_limit,
            .exceeded_label_limits = s->exceeded_label_limits,
            .exceeded_target_limit = s->exceeded_target_limit,
            .duplicate_samples = s->duplicate_samples,
            .out_of_bounds_samples = s->out_of_bounds_samples,
            .reloads = s->reloads,
            .reloads_failed = s->reloads_failed,
            .discovery_failures = s->discovery_failures,
            .scrape_seconds_sum = (double) s->scrape_ns_sum / 1e9,
            .last_reload_ns = s->last_reload_ns,
            .last_reload_ok = s->last_reload_ok,
    };
    pthread_mutex_lock(&s->lock);
    vector_each(&s->pools, p) {
        ret->targets += (*p)->targets.n;
        vector_each(&(*p)->targets, t) {
            pthread_mutex_lock(&(*t)->lock);
            ret->series += (*t)->series;
            pthread_mutex_unlock(&(*t)->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
}
