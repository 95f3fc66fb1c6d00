/*
 * From a body to samples in a transaction. What is known about a series is found by its text,
 * mostly at the first look: it is the one that followed the same series last time.
 */
#include "receive/float_label.h"
#include "receive/scrape_private.h"
#include "receive/scrape_protobuf.h"

#include <stdarg.h>
#include <stdio.h>

#define ARENA_BYTES_MAX ((size_t) 64 << 20) /* of one series */
#define SHOWN_MAX 120                       /* bytes of a series in an error */

struct append {
    struct scrape_target *target;
    const struct scrape_job *job;
    struct ingest_txn *txn;
    struct scrape_result *result;
    struct prometheus_text text;
    struct arena arena;  /* cleared for each new series */
    struct slice family; /* whose metadata changed and waits to be told; in the target's map */
    enum prometheus_type type; /* of the family whose series are read */
    uint32_t last;             /* index of the series before, UINT32_MAX: none */
    bool sample_limit_hit;
    bool protobuf;                     /* there are no lines */
    const struct histogram *histogram; /* of the sample at hand; NULL: it is a float */
};

static double stale_value(void) {
    const uint64_t bits = STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static int fail(struct append *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct append *a, const char *format, ...) {
    va_list args;

    va_start(args, format);
    vsnprintf(a->result->error, sizeof(a->result->error), format, args);
    va_end(args);
    return -EINVAL;
}

/* ---- Labels of a series that is new ---- */

static bool exposed(const struct prometheus_label *items, size_t n, struct slice name) {
    for (size_t i = 0; i < n; i++)
        if (slice_equal(items[i].name, name))
            return true;
    return false;
}

/* The target's labels win: what was exposed under their names moves to exported_…, shortest names
 * first. */
static void override_labels(struct append *a, struct label_set *set) {
    const struct scrape_labels *own = &a->target->labels;
    struct label *moved = arena_array(&a->arena, struct label, own->n);
    size_t n = 0;

    if (!moved) {
        set->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < own->n; i++) {
        struct slice value = label_set_get(set, own->items[i].name);
        size_t k = n;
        if (value.size) {
            for (; k > 0 && moved[k - 1].name.size > own->items[i].name.size; k--)
                moved[k] = moved[k - 1];
            moved[k] = (struct label){own->items[i].name, value};
            n++;
        }
        label_set_put(set, own->items[i].name, own->items[i].value);
    }
    for (size_t i = 0; i < n; i++) {
        struct slice name = moved[i].name;
        do {
            char *longer = arena_printf(&a->arena, "exported_%.*s", SLICE_ARG(name));
            if (!longer) {
                set->failed = -ENOMEM;
                return;
            }
            name = slice_from(longer);
        } while (label_set_get(set, name).size);
        label_set_put(set, name, moved[i].value);
    }
}

static int check_names(struct append *a, const struct label_set *set) {
    const struct scrape_job *job = a->job;
    struct slice metric = label_set_get(set, SLICE("__name__"));

    if (!metric.size)
        return fail(a, "a series has no metric name");
    for (size_t i = 0; i < set->n; i++) {
        struct slice name = set->items[i].name, value = set->items[i].value;
        if (!job->utf8_names && !label_name_is_legacy(name))
            return fail(a, "invalid label name \"%.*s\"", SLICE_ARG(slice_take(name, SHOWN_MAX)));
        if (job->label_name_limit && name.size > job->label_name_limit)
            return fail(a,
                        "label_name_length_limit exceeded (label name: %.*s, length: %zu, "
                        "limit: %llu)",
                        SLICE_ARG(slice_take(name, 50)), name.size,
                        (unsigned long long) job->label_name_limit);
        if (job->label_value_limit && value.size > job->label_value_limit)
            return fail(a,
                        "label_value_length_limit exceeded (label name: %.*s, value: "
                        "\"%.*s\", length: %zu, limit: %llu)",
                        SLICE_ARG(slice_take(name, 50)), SLICE_ARG(slice_take(value, 50)),
                        value.size, (unsigned long long) job->label_value_limit);
    }
    if (!job->utf8_names && !metric_name_is_legacy(metric))
        return fail(a, "invalid metric name \"%.*s\"", SLICE_ARG(slice_take(metric, SHOWN_MAX)));
    if (job->label_limit && set->n > job->label_limit)
        return fail(a, "label_limit exceeded (number of labels: %zu, limit: %llu)", set->n,
                    (unsigned long long) job->label_limit);
    return 0;
}

/* Bounds and quantiles may be written in several ways, and each format prefers another. */
static struct slice label_value(struct append *a, const struct prometheus_label *l) {
    bool bound = a->type == PROMETHEUS_HISTOGRAM && slice_equal(l->name, SLICE("le"));
    bool rank = a->type == PROMETHEUS_SUMMARY && slice_equal(l->name, SLICE("quantile"));

    return bound || rank ? float_label_canonical(l->value, &a->arena) : l->value;
}

/* "line N, column M: …: `series`" */
static int fail_at(struct append *a, struct slice series, const char *why) {
    struct error e = ERROR_NONE;

    if (a->protobuf)
        return fail(a, "%s: `%.*s`", why, SLICE_ARG(slice_take(series, SHOWN_MAX)));
    prometheus_text_fail(&a->text, series, why);
    prometheus_text_error(&a->text, &e);
    return fail(a, "%s", e.text);
}

static int read_labels(struct append *a, struct slice series, struct label_set *set) {
    struct prometheus_label *items;
    const char *why;
    size_t n, at;

    int r = prometheus_text_labels(series, &a->arena, &items, &n, &why, &at);
    if (r < 0)
        return fail_at(a, a->protobuf ? series : slice_skip(series, at), why);
    for (size_t i = 0; i < n; i++) {
        if (label_set_get(set, items[i].name).size)
            return fail(a, "the label name \"%.*s\" is not unique",
                        SLICE_ARG(slice_take(items[i].name, SHOWN_MAX)));
        label_set_put(set, items[i].name, label_value(a, &items[i]));
    }
    if (!a->job->honor_labels) {
        override_labels(a, set);
        return 0;
    }
    for (size_t i = 0; i < a->target->labels.n; i++) {
        const struct label *l = &a->target->labels.items[i];
        if (!exposed(items, n, l->name))
            label_set_put(set, l->name, l->value);
    }
    return 0;
}

/* 1: to be stored; 0: dropped by relabelling; negative. */
static int labels_of(struct append *a, struct slice series, struct label_set *set) {
    arena_clear(&a->arena);
    label_set_init(set, &a->arena);
    int r = read_labels(a, series, set);
    if (r == 0 && !set->failed)
        r = relabel_apply(&a->job->metric_relabel, a->job->utf8_names, set);
    if (r < 0 || set->failed) {
        return a->result->error[0]
                       ? -EINVAL
                       : fail(a, "relabelling failed: %s", error_name(r < 0 ? r : set->failed));
    }
    if (r == 0 || !set->n)
        return 0;
    r = check_names(a, set);
    if (r == -EINVAL && strstr(a->result->error, "limit exceeded"))
        atomic_fetch_add(&a->target->scrape->exceeded_label_limits, 1);
    return r < 0 ? r : 1;
}

/* ---- Samples ---- */

static int store_exemplar(struct append *a, const struct prometheus_entry *x,
                          const struct scrape_series *series, int64_t time_ms) {
    struct prometheus_label *own;
    struct label_set set;
    struct error e;
    const char *why;
    size_t n, at;

    arena_clear(&a->arena);
    label_set_init(&set, &a->arena);
    if (prometheus_text_labels(x->exemplar, &a->arena, &own, &n, &why, &at) < 0)
        return fail_at(a, slice_skip(x->exemplar, at), why);
    for (size_t i = 0; i < n; i++)
        label_set_put(&set, own[i].name, own[i].value);
    struct exemplar exemplar = {.labels = series->labels,
                                .n_labels = series->n_labels,
                                .own = set.items,
                                .n_own = set.n,
                                .value = x->exemplar_value,
                                .time_ms = x->exemplar_has_time ? x->exemplar_time_ms : time_ms};
    /* One that is refused is only not there. */
    int r = set.n ? ingest_exemplar(a->txn, &exemplar, &e) : 0;
    return r == -EINVAL ? 0 : r;
}

/* By the handle that storage gave; a new one when it has none, or no longer. */
static int store_value(struct append *a, struct scrape_series *series, const struct sample *s,
                       struct error *e) {
    for (int tries = 0;; tries++) {
        int r = 0;
        if (!series->has_handle)
            r = ingest_series_lookup(a->txn, series->labels, series->n_labels, &series->handle, e);
        if (r < 0)
            return r;
        series->has_handle = true;
        r = ingest_sample_by_id(a->txn, &series->handle, s, e);
        if (r != -ESTALE || tries)
            return r;
        series->has_handle = false;
    }
}

static int store(struct append *a, const struct prometheus_entry *x, struct scrape_series *series) {
    bool timed = x->has_time && a->job->honor_timestamps;
    struct sample s = {.labels = series->labels,
                       .n_labels = series->n_labels,
                       .time_ms = timed ? x->time_ms : a->target->time_ms,
                       .value = x->value,
                       .histogram = a->histogram};
    struct error e = ERROR_NONE;

    int r = store_value(a, series, &s, &e);
    if (r == -EINVAL && timed) { /* a clock that is wrong there is no reason to lose the rest */
        atomic_fetch_add(&a->target->scrape->out_of_bounds_samples, 1);
        return 0;
    }
    if (r < 0)
        return fail_at(a, x->series, e.text[0] ? e.text : error_name(r));
    return x->has_exemplar ? store_exemplar(a, x, series, s.time_ms) : 0;
}

static struct scrape_series *find(struct append *a, struct slice text, uint64_t *ret_hash) {
    struct scrape_cache *c = &a->target->cache;
    uint32_t next = a->last == UINT32_MAX ? 0 : c->series.items[a->last].next;
    struct scrape_series *s = next < c->series.n ? &c->series.items[next] : NULL;

    if (s && slice_equal(s->text, text))
        return s;
    *ret_hash = slice_hash(text);
    s = scrape_cache_get(c, text, *ret_hash);
    if (s && a->last != UINT32_MAX)
        c->series.items[a->last].next = (uint32_t) (s - c->series.items);
    return s;
}

/* A series that was not there before. NULL with result->error, or when it is over the limit. */
static struct scrape_series *add_series(struct append *a, struct slice text, uint64_t hash) {
    struct label_set set;
    int kept = labels_of(a, text, &set);

    if (kept < 0) {
        char why[SCRAPE_ERROR_BYTES];
        memcpy(why, a->result->error, sizeof(why));
        if (strncmp(why, "line ", 5) != 0 && !(a->protobuf && strchr(why, '`')))
            fail_at(a, text, why);
        return NULL;
    }
    if (a->job->sample_limit && kept && a->result->kept >= a->job->sample_limit) {
        a->sample_limit_hit = true; /* not kept in the cache: memory stays within the limit */
        a->result->kept++;
        return NULL;
    }
    struct scrape_series *s =
            scrape_cache_add(&a->target->cache, text, hash, set.items, kept ? set.n : 0);
    if (!s) {
        fail_at(a, text, "no memory for this series");
        return NULL;
    }
    a->result->added += kept;
    return s;
}

static int add_sample(struct append *a, const struct prometheus_entry *x) {
    struct scrape_cache *c = &a->target->cache;
    uint64_t hash = 0;
    struct scrape_series *s = find(a, x->series, &hash);
    bool timed = x->has_time && a->job->honor_timestamps;

    a->result->samples++;
    if (!s) {
        s = add_series(a, x->series, hash);
        if (!s)
            return a->result->error[0] ? -EINVAL : 0;
    }
    a->last = (uint32_t) (s - c->series.items);
    bool again = s->seen == c->scrape;
    c->seen += !again;
    s->seen = c->scrape;
    if (!s->labels)
        return 0;
    a->result->kept++;
    if (a->job->sample_limit && a->result->kept > a->job->sample_limit) {
        a->sample_limit_hit = true;
        return 0;
    }
    if (again && !timed) {
        atomic_fetch_add(&a->target->scrape->duplicate_samples, 1);
        return 0;
    }
    s->tracked = !timed || a->job->track_staleness;
    return store(a, x, s);
}

/* ---- The whole ---- */

static int stale_one(struct ingest_txn *txn, struct scrape_series *s, int64_t time_ms) {
    struct sample sample = {.labels = s->labels,
                            .n_labels = s->n_labels,
                            .time_ms = time_ms,
                            .value = stale_value()};
    struct error e;
    int r = ingest_sample(txn, &sample, &e);

    s->live = false;
    return r == -EINVAL ? 0 : r;
}

int scrape_append_stale(struct scrape_target *t, struct ingest_txn *txn, int64_t time_ms) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->cache.series.n; i++)
        if (t->cache.series.items[i].live)
            r = stale_one(txn, &t->cache.series.items[i], time_ms);
    return r;
}

/* Those of this scrape are live; those that were and are not in it get their marker. */
static int settle(struct append *a) {
    struct scrape_cache *c = &a->target->cache;
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->series.n; i++) {
        struct scrape_series *s = &c->series.items[i];
        if (s->seen == c->scrape)
            s->live = s->labels && s->tracked;
        else if (s->live)
            r = stale_one(a->txn, s, a->target->time_ms);
    }
    if (r < 0)
        return fail(a, "cannot store stale markers: %s", error_name(r));
    scrape_cache_sweep(c);
    return 0;
}

static int add_entry(struct append *a, const struct prometheus_entry *x) {
    if (x->kind != PROMETHEUS_SAMPLE) {
        if (x->kind == PROMETHEUS_TYPE)
            a->type = x->type;
        scrape_metadata_add(a->target, a->txn, &a->arena, x, &a->family);
        return 0;
    }
    if (a->family.size)
        scrape_metadata_tell(a->target, a->txn, &a->family);
    return add_sample(a, x);
}

static int walk(struct append *a) {
    struct prometheus_entry x = {0};
    struct scrape_cache *c = &a->target->cache;
    struct error e = ERROR_NONE;
    int r;

    for (;;) {
        uint32_t next = a->last == UINT32_MAX ? 0 : c->series.items[a->last].next;
        a->text.expected = next < c->series.n ? c->series.items[next].text : SLICE_EMPTY;
        r = prometheus_text_next(&a->text, &x);
        if (r < 0 || x.kind == PROMETHEUS_END)
            break;
        r = add_entry(a, &x);
        if (r < 0)
            return r;
    }
    if (a->family.size)
        scrape_metadata_tell(a->target, a->txn, &a->family);
    if (r < 0) {
        prometheus_text_error(&a->text, &e);
        return fail(a, "%s", e.text);
    }
    return 0;
}

/* ---- The protobuf format ---- */

static int on_entry(void *ctx, const struct prometheus_entry *x,
                    const struct histogram *histogram) {
    struct append *a = ctx;

    a->histogram = histogram;
    int r = add_entry(a, x);
    a->histogram = NULL;
    /* Bounds of gauge histograms, too, are numbers here and not texts. */
    if (x->kind == PROMETHEUS_TYPE && x->type == PROMETHEUS_GAUGE_HISTOGRAM)
        a->type = PROMETHEUS_HISTOGRAM;
    return r;
}

static int on_exemplar(void *ctx, const struct prometheus_entry *x) {
    struct append *a = ctx;
    const struct scrape_series *s =
            a->last == UINT32_MAX ? NULL : &a->target->cache.series.items[a->last];

    if (!s || !s->labels || !slice_equal(s->text, x->series))
        return 0; /* dropped by relabelling, or over the limit */
    return store_exemplar(a, x, s, x->exemplar_time_ms);
}

static int walk_protobuf(struct append *a, struct slice body) {
    const struct scrape_protobuf_options options = {
            .native = a->job->native_histograms,
            .classic_too = a->job->classic_histograms,
            .bucket_limit = a->job->native_bucket_limit,
            .schema_max = scrape_schema_of_factor(a->job->native_min_bucket_factor)};
    const struct scrape_protobuf_handler handler = {on_entry, on_exemplar, a};
    struct error e = ERROR_NONE;

    a->protobuf = true;
    int r = scrape_protobuf_walk(body, &options, &handler, &e);
    if (a->family.size)
        scrape_metadata_tell(a->target, a->txn, &a->family);
    if (r < 0 && !a->result->error[0])
        return fail(a, "%s", e.text[0] ? e.text : error_name(r));
    return r;
}

int scrape_append(struct scrape_target *t, struct slice body, enum prometheus_format format,
                  struct ingest_txn *txn, struct scrape_result *ret) {
    struct append a = {.target = t, .job = t->job, .txn = txn, .result = ret, .last = UINT32_MAX};

    *ret = (struct scrape_result){0};
    t->cache.scrape++;
    t->cache.seen = 0;
    arena_init(&a.arena, ARENA_BYTES_MAX);
    prometheus_text_init(&a.text, body, format);
    int r = format == PROMETHEUS_PROTOBUF ? walk_protobuf(&a, body) : walk(&a);
    if (r == 0 && a.sample_limit_hit) {
        atomic_fetch_add(&t->scrape->exceeded_sample_limit, 1);
        r = fail(&a, "sample limit exceeded: %llu samples, the limit is %llu",
                 (unsigned long long) ret->kept, (unsigned long long) t->job->sample_limit);
    }
    if (r == 0)
        r = settle(&a);
    arena_done(&a.arena);
    return r;
}
