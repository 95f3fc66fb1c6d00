/*
 * Reading what an application exposes, for `varan metrics check`: families with what is said of
 * them, and the mistakes that syntax allows: series that stand twice, types that come too late or
 * twice. See metrics_check.h.
 */
#include "cli/metrics_check.h"

#include <stdarg.h>
#include <stdio.h>

#define MISTAKES_SHOWN 100u
#define NAME_SHOWN 200u

void check_mistake(struct checker *c, struct slice name, unsigned line, const char *format, ...) {
    va_list args;

    if (c->mistakes++ >= MISTAKES_SHOWN)
        return;
    fprintf(stderr, "%s:%u: %.*s: ", c->file, line, SLICE_ARG(slice_take(name, NAME_SHOWN)));
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* ---- Families ---- */

/* The line that `at` is in; called with places that ascend. */
static unsigned line_of(struct checker *c, const uint8_t *at) {
    size_t to = (size_t) (at - c->body.data);

    for (; c->line_at < to && c->line_at < c->body.size; c->line_at++)
        c->line += c->body.data[c->line_at] == '\n';
    return c->line + 1;
}

static struct check_family *find(struct checker *c, struct slice name) {
    const struct map_entry *e = map_get(&c->index, name);

    return e ? &c->families.items[e->number] : NULL;
}

static struct check_family *put(struct checker *c, struct slice name, unsigned line) {
    struct check_family f = {.line = line};
    bool is_new;
    struct map_entry *e = map_put(&c->index, name, &is_new);

    if (!e)
        return NULL;
    if (!is_new)
        return &c->families.items[e->number];
    f.name = e->key;
    e->number = c->families.n;
    return vector_push(&c->families, f, CHECK_FAMILIES_MAX) < 0
                   ? NULL
                   : &c->families.items[c->families.n - 1];
}

/* The family that a sample of that name belongs to: its own, or one it is a part of. */
static struct check_family *family_of(struct checker *c, struct slice name) {
    static const char *const parts[] = {"_bucket",  "_count", "_sum",    "_total",
                                        "_created", "_info",  "_gcount", "_gsum"};
    struct check_family *f = find(c, name);

    for (size_t i = 0; !f && i < sizeof(parts) / sizeof(*parts); i++) {
        struct slice part = slice_from(parts[i]);
        if (name.size > part.size && slice_ends(name, part))
            f = find(c, slice_take(name, name.size - part.size));
        if (f && !f->has_type)
            f = NULL;
    }
    return f;
}

/* ---- Samples ---- */

static int by_name(const void *a, const void *b) {
    const struct prometheus_label *x = a, *y = b;

    return slice_compare(x->name, y->name);
}

/* Whether the labels (sorted) stand for the first time; without memory they do. Series with times
 * of their own may stand several times. */
static bool is_first(struct checker *c, const struct prometheus_label *labels, size_t n) {
    struct buffer key;
    bool is_new = true;

    buffer_init(&key, CHECK_KEYS_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!labels[i].value.size)
            continue;
        buffer_append_slice(&key, labels[i].name);
        buffer_append_u8(&key, 0xff);
        buffer_append_slice(&key, labels[i].value);
        buffer_append_u8(&key, 0xfe);
    }
    if (!key.failed)
        map_put(&c->series, buffer_slice(&key), &is_new);
    buffer_done(&key);
    return is_new;
}

static void note_labels(struct check_family *f, const struct prometheus_label *labels, size_t n) {
    for (size_t i = 0; i < n; i++) {
        f->has_le = f->has_le || slice_is(labels[i].name, "le");
        f->has_quantile = f->has_quantile || slice_is(labels[i].name, "quantile");
        f->label_camel = f->label_camel || check_is_camel(labels[i].name);
    }
}

static int check_sample(struct checker *c, struct check_family *f, struct slice name,
                        const struct prometheus_entry *entry, struct prometheus_label *labels,
                        size_t n, unsigned line) {
    if (f->has_samples && !slice_equal(c->family, f->name))
        f->scattered = true;
    c->family = f->name;
    f->has_samples = true;
    note_labels(f, labels, n);
    qsort(labels, n, sizeof(*labels), by_name);
    for (size_t i = 1; i < n; i++)
        if (slice_equal(labels[i].name, labels[i - 1].name))
            check_mistake(c, name, line, "the label \"%.*s\" stands twice",
                          SLICE_ARG(slice_take(labels[i].name, NAME_SHOWN)));
    if (!entry->has_time && !is_first(c, labels, n))
        check_mistake(c, name, line, "this series stands twice: only one of its values is kept");
    if (f->type == PROMETHEUS_COUNTER && (entry->value < 0 || entry->value != entry->value))
        check_mistake(c, name, line, "a counter is %s",
                      entry->value < 0 ? "below 0" : "not a number");
    return f->type == PROMETHEUS_HISTOGRAM
                   ? check_histogram_sample(c, f, slice_skip(name, f->name.size), labels, n,
                                            entry->value, line)
                   : 0;
}

static int read_sample(struct checker *c, struct prometheus_text *p,
                       const struct prometheus_entry *entry) {
    struct prometheus_label *labels;
    const char *why;
    struct slice name = SLICE_EMPTY;
    size_t n, at;

    arena_clear(&c->arena);
    int r = prometheus_text_labels(entry->series, &c->arena, &labels, &n, &why, &at);
    if (r == -EBADMSG)
        return prometheus_text_fail(p, slice_skip(entry->series, at), why);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (slice_is(labels[i].name, "__name__"))
            name = labels[i].value;
    if (r < 0)
        return r;
    unsigned line = line_of(c, entry->series.data);
    struct check_family *f = family_of(c, name);
    if (!f)
        f = put(c, name, line);
    return f ? check_sample(c, f, name, entry, labels, n, line) : -ENOMEM;
}

/* ---- What is said of families ---- */

static int read_about(struct checker *c, const struct prometheus_entry *entry) {
    unsigned line = line_of(c, entry->metric.data);
    struct check_family *f = put(c, entry->metric, line);

    if (!f)
        return -ENOMEM;
    if (entry->kind == PROMETHEUS_TYPE) {
        if (f->has_type)
            check_mistake(c, f->name, line, "a second TYPE line");
        else if (f->has_samples)
            check_mistake(c, f->name, line, "its TYPE comes after its samples");
        f->type = entry->type;
        f->has_type = true;
    } else if (entry->kind == PROMETHEUS_HELP) {
        if (f->has_help)
            check_mistake(c, f->name, line, "a second HELP line");
        f->has_help = f->has_help || slice_trim(entry->text).size > 0;
    }
    return 0;
}

int check_read(struct checker *c) {
    struct prometheus_entry entry;
    struct prometheus_text p;
    struct error e = ERROR_NONE;
    int r;

    prometheus_text_init(&p, c->body, c->openmetrics ? PROMETHEUS_OPENMETRICS : PROMETHEUS_TEXT);
    while ((r = prometheus_text_next(&p, &entry)) == 0 && entry.kind != PROMETHEUS_END) {
        r = entry.kind == PROMETHEUS_SAMPLE ? read_sample(c, &p, &entry) : read_about(c, &entry);
        if (r < 0)
            break;
    }
    if (r == -EBADMSG) {
        prometheus_text_error(&p, &e);
        fprintf(stderr, "%s: %s\n", c->file, e.text);
        c->mistakes++;
    }
    if (r == 0)
        check_histograms_end(c);
    if (c->mistakes > MISTAKES_SHOWN)
        fprintf(stderr, "%s: and %zu more mistakes\n", c->file, c->mistakes - MISTAKES_SHOWN);
    return r;
}
