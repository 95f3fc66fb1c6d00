/*
 * Histograms of what `varan metrics check` reads: buckets in ascending order, counts that never
 * fall, a last bucket that holds all. See metrics_check.h.
 */
#include "cli/metrics_check.h"

#include <math.h>

/* The family and its labels (sorted) but `le`; -ENOMEM. */
static int find_group(struct checker *c, const struct check_family *f,
                      const struct prometheus_label *labels, size_t n, unsigned line,
                      struct check_histogram **ret) {
    struct check_histogram fresh = {.family = f->name, .line = line, .bound = -INFINITY};
    struct buffer key;
    bool is_new = false;

    buffer_init(&key, CHECK_KEYS_BYTES_MAX);
    buffer_append_slice(&key, f->name);
    for (size_t i = 0; i < n; i++) {
        if (slice_is(labels[i].name, "le") || slice_is(labels[i].name, "__name__"))
            continue;
        buffer_append_u8(&key, 0xff);
        buffer_append_slice(&key, labels[i].name);
        buffer_append_u8(&key, 0xfe);
        buffer_append_slice(&key, labels[i].value);
    }
    struct map_entry *e = key.failed ? NULL : map_put(&c->groups, buffer_slice(&key), &is_new);
    buffer_done(&key);
    if (!e)
        return -ENOMEM;
    if (is_new) {
        e->number = c->histograms.n;
        if (vector_push(&c->histograms, fresh, CHECK_SERIES_MAX) < 0)
            return -ENOMEM;
    }
    *ret = &c->histograms.items[e->number];
    return 0;
}

static void add_bucket(struct checker *c, struct check_histogram *h, struct slice le, double value,
                       unsigned line) {
    double bound;

    if (prometheus_number(le, &bound) < 0 || isnan(bound)) {
        check_mistake(c, h->family, line, "le=\"%.*s\" is not a number",
                      SLICE_ARG(slice_take(le, 50)));
        return;
    }
    if (h->has_buckets && bound <= h->bound) {
        if (!h->told)
            check_mistake(c, h->family, line, "the buckets are not in ascending order of le");
        h->told = true;
    } else if (h->has_buckets && value < h->count) {
        if (!h->told)
            check_mistake(c, h->family, line,
                          "the bucket le=\"%.*s\" has fewer than the one before: each must hold "
                          "all those below it",
                          SLICE_ARG(slice_take(le, 50)));
        h->told = true;
    }
    h->has_buckets = true;
    h->has_infinite = h->has_infinite || (isinf(bound) && bound > 0);
    h->bound = bound;
    h->count = value;
}

int check_histogram_sample(struct checker *c, const struct check_family *f, struct slice part,
                           const struct prometheus_label *labels, size_t n, double value,
                           unsigned line) {
    bool bucket = slice_is(part, "_bucket");
    struct slice le = SLICE_EMPTY;
    struct check_histogram *h;

    if (!bucket && !slice_is(part, "_count"))
        return 0;
    int r = find_group(c, f, labels, n, line, &h);
    if (r < 0)
        return r;
    if (!bucket) {
        h->has_all = true;
        h->all = value;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (slice_is(labels[i].name, "le"))
            le = labels[i].value;
    if (le.size)
        add_bucket(c, h, le, value, line);
    else
        check_mistake(c, f->name, line, "a bucket has no label le");
    return 0;
}

void check_histograms_end(struct checker *c) {
    vector_each(&c->histograms, h) {
        if (!h->has_buckets || h->told)
            continue;
        if (!h->has_infinite)
            check_mistake(c, h->family, h->line, "the histogram has no bucket le=\"+Inf\"");
        else if (h->has_all && h->all != h->count)
            check_mistake(c, h->family, h->line,
                          "_count is %.15g, and the bucket le=\"+Inf\" holds %.15g", h->all,
                          h->count);
    }
}
