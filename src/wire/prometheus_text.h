/*
 * Prometheus' text formats: 0.0.4 and 1.0.0 (quoted UTF-8 names), and OpenMetrics 1.0. A reader
 * walks over a whole body, one entry at a time; entries are slices of the body. Labels are not
 * taken apart on the way: the text of a series is a key under which a caller finds what it knows
 * about it, and only of an unknown one it asks for the labels.
 *
 *     struct prometheus_text p;
 *     prometheus_text_init(&p, body, PROMETHEUS_TEXT);
 *     while ((r = prometheus_text_next(&p, &entry)) == 0 && entry.kind != PROMETHEUS_END)
 *         …
 *     if (r < 0)
 *         prometheus_text_error(&p, &e);        // "line 3, column 7: …"
 *
 * Sources: prometheus.io/docs/instrumenting/exposition_formats, the OpenMetrics 1.0 specification.
 * A reader belongs to one thread; it owns no memory.
 */
#ifndef VARAN_WIRE_PROMETHEUS_TEXT_H
#define VARAN_WIRE_PROMETHEUS_TEXT_H

#include "base/error.h"
#include "base/memory.h"

#define PROMETHEUS_LABELS_MAX 1000u /* of one series or exemplar */

enum prometheus_format {
    PROMETHEUS_TEXT, /* 0.0.4 and 1.0.0: quoted names are understood in both */
    PROMETHEUS_OPENMETRICS,
    PROMETHEUS_PROTOBUF, /* not text: receive/scrape_protobuf.h reads it into the same entries */
};

enum prometheus_kind {
    PROMETHEUS_END, /* the body is over */
    PROMETHEUS_SAMPLE,
    PROMETHEUS_TYPE,
    PROMETHEUS_HELP,
    PROMETHEUS_UNIT,
};

/* As the formats name them; `untyped` is unknown. */
enum prometheus_type {
    PROMETHEUS_UNKNOWN,
    PROMETHEUS_COUNTER,
    PROMETHEUS_GAUGE,
    PROMETHEUS_HISTOGRAM,
    PROMETHEUS_GAUGE_HISTOGRAM,
    PROMETHEUS_SUMMARY,
    PROMETHEUS_INFO,
    PROMETHEUS_STATE_SET,
};

struct prometheus_entry {
    enum prometheus_kind kind;
    /* SAMPLE: name and labels as written, from the name's first to the last closing brace. */
    struct slice series;
    double value;
    bool has_time, has_exemplar, exemplar_has_time;
    int64_t time_ms;
    struct slice exemplar; /* its labels as written, braces included */
    double exemplar_value;
    int64_t exemplar_time_ms;
    /* TYPE, HELP, UNIT: the family. Names and texts may hold escapes: prometheus_text_unescape().
     */
    struct slice metric;
    enum prometheus_type type;
    struct slice text; /* of HELP and UNIT */
    bool escaped;      /* `text` holds escapes */
    bool quoted;       /* `metric` stood in quotes and may hold escapes */
};

struct prometheus_text {
    struct slice body;
    size_t at;
    enum prometheus_format format;
    bool ended;            /* # EOF was seen */
    struct slice expected; /* in: the series that likely comes next, or empty; a hint for speed */
    const char *why;       /* of the last error, and where */
    size_t why_at;
};

/* A label as written after unescaping; the metric's name is the one with `name` "__name__". */
struct prometheus_label {
    struct slice name, value;
};

void prometheus_text_init(struct prometheus_text *p, struct slice body,
                          enum prometheus_format format);
/* 0, or -EBADMSG: the body cannot be read on. */
int prometheus_text_next(struct prometheus_text *p, struct prometheus_entry *ret);
/* Fills `e` with the last error: line, column, what is wrong, and the beginning of that line. */
int prometheus_text_error(const struct prometheus_text *p, struct error *e);
/* Notes a mistake at `place`, a slice of the body (of an entry): -EBADMSG. For callers of
 * prometheus_text_labels(). `why` must live as long as the reader. */
int prometheus_text_fail(struct prometheus_text *p, struct slice place, const char *why);

/* Takes the text of a series or of an exemplar apart: labels in the order as written, __name__
 * first when there is a name; empty values are kept, names may repeat. Slices point into `series`,
 * or into `a` where something was unescaped. 0; -EBADMSG with the reason and its place in the text
 * in *ret_why and *ret_at; -ENOMEM/-ENOBUFS. */
int prometheus_text_labels(struct slice series, struct arena *a, struct prometheus_label **ret,
                           size_t *ret_n, const char **ret_why, size_t *ret_at);
/* \\, \n and \" undone; in `a` when there was one. data NULL: out of memory. */
struct slice prometheus_text_unescape(struct slice text, struct arena *a);

/* A decimal number as the formats have it ("1e3", "+Inf", "NaN"; no hexadecimal) that fills the
 * slice, correctly rounded: 0 or -EINVAL. */
int prometheus_number(struct slice text, double *ret);

#endif
