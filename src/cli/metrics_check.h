/*
 * `varan metrics check`, shared by its files: what is known of a metric, and where what is said of
 * it goes. Mistakes (what a server would refuse, drop or count wrongly) go to standard error,
 * advice to standard output. Single-threaded.
 */
#ifndef VARAN_CLI_METRICS_CHECK_H
#define VARAN_CLI_METRICS_CHECK_H

#include "base/map.h"
#include "base/vector.h"
#include "wire/prometheus_text.h"

#define CHECK_FAMILIES_MAX 1000000u
#define CHECK_SERIES_MAX 20000000u
#define CHECK_KEYS_BYTES_MAX ((size_t) 1 << 30) /* of each map */

struct check_family {
    struct slice name;
    enum prometheus_type type;
    bool has_type, has_help, has_samples, has_le, has_quantile, label_camel, scattered;
    unsigned line;
};

/* A histogram with one set of labels but `le`. */
struct check_histogram {
    struct slice family;
    double bound, count, all; /* of the last bucket; of _count */
    unsigned line;
    bool has_buckets, has_infinite, has_all, told;
};

struct checker {
    const char *file;
    struct slice body;
    bool openmetrics;
    struct map index, series, groups; /* families, all series, histograms by their labels */
    struct arena arena;               /* of one series */
    VECTOR(struct check_family) families;
    VECTOR(struct check_histogram) histograms;
    struct slice family; /* whose samples come now */
    unsigned line;
    size_t line_at; /* where that line's count was taken */
    size_t mistakes, advice;
};

/* ---- metrics_check.c ---- */

/* Reads c->body: 0; -EBADMSG when it cannot be read on, which is told; -ENOMEM. */
int check_read(struct checker *c);
void check_mistake(struct checker *c, struct slice name, unsigned line, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* ---- metrics_histogram.c ---- */

/* A sample of a histogram: `part` is what its name has after the family's. */
int check_histogram_sample(struct checker *c, const struct check_family *f, struct slice part,
                           const struct prometheus_label *labels, size_t n, double value,
                           unsigned line);
void check_histograms_end(struct checker *c);

/* ---- metrics_lint.c ---- */

/* Names, help, type and units as prometheus.io/docs/practices/naming wants them. */
void check_advise(struct checker *c);
bool check_is_camel(struct slice s);

#endif
