/* A target: what relabelling makes of what was discovered. */
#include "receive/scrape_private.h"

#include <stdio.h>

#define ARENA_BYTES_MAX ((size_t) 16 << 20)
#define METADATA_MAX 200000u
#define METADATA_BYTES_MAX ((size_t) 32 << 20)

static const char *const report_names[REPORTS] = {
        [REPORT_UP] = "up",
        [REPORT_DURATION] = "scrape_duration_seconds",
        [REPORT_SAMPLES] = "scrape_samples_scraped",
        [REPORT_KEPT] = "scrape_samples_post_metric_relabeling",
        [REPORT_ADDED] = "scrape_series_added",
        [REPORT_TIMEOUT] = "scrape_timeout_seconds",
        [REPORT_SAMPLE_LIMIT] = "scrape_sample_limit",
        [REPORT_BODY_SIZE] = "scrape_body_size_bytes",
};

/* ---- Labels before relabelling ---- */

static void put_default(struct label_set *set, const char *name, const char *value) {
    if (!label_set_get(set, slice_from(name)).size)
        label_set_put(set, slice_from(name), slice_from(value));
}

static int put_discovered(struct scrape_target *t, const struct scrape_discovered *d,
                          struct label_set *set) {
    const struct scrape_job *job = t->job;
    struct label *own = label_items_copy(d->labels, d->n_labels, &t->arena);
    char *interval = arena_alloc(&t->arena, 64), *timeout = arena_alloc(&t->arena, 64);

    if (!own || !interval || !timeout)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_labels; i++)
        label_set_put(set, own[i].name, own[i].value);
    scrape_duration_print(job->interval_ns, interval, 64);
    scrape_duration_print(job->timeout_ns, timeout, 64);
    put_default(set, "job", job->name);
    put_default(set, "__scrape_interval__", interval);
    put_default(set, "__scrape_timeout__", timeout);
    put_default(set, "__metrics_path__", job->metrics_path);
    put_default(set, "__scheme__", job->scheme);
    for (size_t i = 0; i < job->n_params; i++) {
        if (!job->params[i].n)
            continue;
        char *name = arena_printf(&t->arena, "__param_%.*s", SLICE_ARG(job->params[i].name));
        if (!name)
            return -ENOMEM;
        label_set_put(set, slice_from(name), job->params[i].values[0]);
    }
    return set->failed;
}

/* ---- The address ---- */

static void put_escaped(struct buffer *to, struct slice s, const char *keep, bool plus) {
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if (((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') ||
            (c && strchr(keep, c)))
            buffer_append_u8(to, c);
        else if (plus && c == ' ')
            buffer_append_u8(to, '+');
        else
            buffer_printf(to, "%%%02X", c);
    }
}

/* name=value of the job's params, the first value replaced by the label's, sorted by name. */
static void put_params(struct buffer *to, const struct scrape_job *job,
                       const struct label_set *set) {
    const struct slice prefix = SLICE("__param_");
    size_t p = 0, l = 0;
    bool any = false;

    while (p < job->n_params || l < set->n) {
        if (l < set->n && !slice_starts(set->items[l].name, prefix)) {
            l++;
            continue;
        }
        struct slice of_label =
                l < set->n ? slice_skip(set->items[l].name, prefix.size) : SLICE("");
        int order = p == job->n_params ? 1
                    : l == set->n      ? -1
                                       : slice_compare(job->params[p].name, of_label);
        struct slice name = order <= 0 ? job->params[p].name : of_label;
        size_t n = order <= 0 ? job->params[p].n : 1;
        for (size_t i = 0; i < n || (i == 0 && order == 0); i++) {
            buffer_append_u8(to, any ? '&' : '?');
            any = true;
            put_escaped(to, name, "-_.~", true);
            buffer_append_u8(to, '=');
            put_escaped(to, i == 0 && order >= 0 ? set->items[l].value : job->params[p].values[i],
                        "-_.~", true);
        }
        p += order <= 0;
        l += order >= 0;
    }
}

static int make_url(struct scrape_target *t, const struct label_set *set) {
    struct buffer to;
    struct slice path = label_set_get(set, SLICE("__metrics_path__"));

    buffer_init(&to, 65536);
    buffer_append_slice(&to, label_set_get(set, SLICE("__scheme__")));
    buffer_append_text(&to, "://");
    buffer_append_slice(&to, label_set_get(set, SLICE("__address__")));
    if (!path.size || path.data[0] != '/')
        buffer_append_u8(&to, '/');
    put_escaped(&to, path, "-_.~/$&+,:;=@!'()*%", false);
    put_params(&to, t->job, set);
    t->url = to.failed ? NULL : (const char *) arena_dup(&t->arena, buffer_slice(&to)).data;
    buffer_done(&to);
    return t->url ? 0 : -ENOMEM;
}

/* ---- After relabelling ---- */

static int read_times(struct scrape_target *t, const struct label_set *set, struct error *e) {
    struct slice interval = label_set_get(set, SLICE("__scrape_interval__"));
    struct slice timeout = label_set_get(set, SLICE("__scrape_timeout__"));

    if (scrape_duration_parse(interval, &t->interval_ns) < 0 || !t->interval_ns)
        return error_set(e, -EINVAL, "__scrape_interval__ \"%.*s\" is no duration above 0",
                         SLICE_ARG(interval));
    if (scrape_duration_parse(timeout, &t->timeout_ns) < 0 || !t->timeout_ns)
        return error_set(e, -EINVAL, "__scrape_timeout__ \"%.*s\" is no duration above 0",
                         SLICE_ARG(timeout));
    if (t->timeout_ns > t->interval_ns)
        return error_set(e, -EINVAL, "scrape timeout %.*s is longer than the interval %.*s",
                         SLICE_ARG(timeout), SLICE_ARG(interval));
    return 0;
}

static int check_labels(const struct label_set *set, struct error *e) {
    struct slice address = label_set_get(set, SLICE("__address__"));
    struct slice scheme = label_set_get(set, SLICE("__scheme__"));

    if (!address.size)
        return error_set(e, -EINVAL, "no address");
    if (slice_find_byte(address, '/') >= 0 || slice_find_byte(address, '@') >= 0)
        return error_set(e, -EINVAL, "\"%.*s\" is not a valid hostname", SLICE_ARG(address));
    if (!slice_is(scheme, "http") && !slice_is(scheme, "https"))
        return error_set(e, -EINVAL, "__scheme__ \"%.*s\" is neither http nor https",
                         SLICE_ARG(scheme));
    for (size_t i = 0; i < set->n; i++)
        if (!slice_is_utf8(set->items[i].value))
            return error_set(e, -EINVAL, "the value of the label \"%.*s\" is not UTF-8",
                             SLICE_ARG(set->items[i].name));
    return 0;
}

/* The labels of its series: without those that begin with __. */
static int keep_labels(struct scrape_target *t, const struct label_set *set) {
    struct label *kept = arena_array(&t->arena, struct label, set->n);
    size_t n = 0;

    if (!kept)
        return -ENOMEM;
    for (size_t i = 0; i < set->n; i++)
        if (!slice_starts(set->items[i].name, SLICE("__")))
            kept[n++] = set->items[i];
    t->labels = (struct scrape_labels){kept, n};
    for (size_t k = 0; k < REPORTS; k++) {
        struct label_set report;
        label_set_init(&report, &t->arena);
        for (size_t i = 0; i < n; i++)
            label_set_put(&report, kept[i].name, kept[i].value);
        label_set_put(&report, SLICE("__name__"), slice_from(report_names[k]));
        if (report.failed)
            return report.failed;
        t->report[k] = (struct scrape_labels){report.items, report.n};
    }
    t->hash = label_items_hash(kept, n) ^ slice_hash(slice_from(t->url)) ^
              (uint64_t) (t->interval_ns * 3 + t->timeout_ns);
    return 0;
}

static int finish(struct scrape_target *t, struct label_set *set, struct error *e) {
    struct slice address = label_set_get(set, SLICE("__address__"));

    int r = check_labels(set, e);
    if (r == 0)
        r = read_times(t, set, e);
    if (r < 0)
        return r;
    if (!label_set_get(set, SLICE("instance")).size)
        label_set_put(set, SLICE("instance"), address);
    r = make_url(t, set);
    return r < 0 ? r : keep_labels(t, set);
}

int scrape_target_new(struct scrape *s, struct scrape_config *c, const struct scrape_job *job,
                      const struct scrape_discovered *d, struct scrape_target **ret,
                      struct error *e) {
    struct scrape_target *t = memory_alloc(sizeof(*t));
    struct label_set set;

    if (!t)
        return error_set(e, -ENOMEM, "out of memory");
    *t = (struct scrape_target){
            .references = 1, .scrape = s, .config = scrape_config_ref(c), .job = job};
    arena_init(&t->arena, ARENA_BYTES_MAX);
    pthread_mutex_init(&t->lock, NULL);
    map_init(&t->metadata, METADATA_MAX, METADATA_BYTES_MAX);
    buffer_init(&t->body, SCRAPE_BODY_BYTES_MAX);
    label_set_init(&set, &t->arena);
    int r = put_discovered(t, d, &set), kept = 1;
    if (r == 0) {
        struct label *items = label_items_copy(set.items, set.n, &t->arena);
        t->discovered = (struct scrape_labels){items, items ? set.n : 0};
        kept = r = relabel_apply(&job->relabel, true, &set);
    }
    if (r == 1)
        r = finish(t, &set, e);
    if (r < 0) {
        scrape_target_unref(t);
        return e->code ? e->code : error_set(e, r, "%s", error_name(r));
    }
    *ret = t;
    return kept;
}

static void metadata_done(struct map *m) {
    map_each(m, entry) {
        struct scrape_metadata *x = entry->pointer;
        if (!x)
            continue;
        free((void *) x->help.data);
        free((void *) x->unit.data);
        free(x);
    }
    map_done(m);
}

struct scrape_target *scrape_target_ref(struct scrape_target *t) {
    atomic_fetch_add(&t->references, 1);
    return t;
}

void scrape_target_unref(struct scrape_target *t) {
    if (!t || atomic_fetch_sub(&t->references, 1) != 1)
        return;
    curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
    buffer_done(&t->body);
    scrape_cache_done(&t->cache);
    metadata_done(&t->metadata);
    pthread_mutex_destroy(&t->lock);
    arena_done(&t->arena);
    scrape_config_unref(t->config);
    free(t);
}

void scrape_target_set_error(struct scrape_target *t, const char *text) {
    pthread_mutex_lock(&t->lock);
    snprintf(t->last_error, sizeof(t->last_error), "%s", text);
    pthread_mutex_unlock(&t->lock);
}
