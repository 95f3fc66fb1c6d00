/*
 * OTLP metric points to Prometheus series: what both encodings decode into, and the translation.
 * Private to receive/. Memory: the decoder's arenas.
 */
#ifndef VARAN_RECEIVE_OTLP_METRICS_H
#define VARAN_RECEIVE_OTLP_METRICS_H

#include "receive/otlp_decode.h"

#define OTLP_BUCKETS_MAX 2000u
#define OTLP_QUANTILES_MAX 200u
#define OTLP_EXEMPLARS_MAX 100u   /* of one point; more are left out */
#define OTLP_NO_RECORDED_VALUE 1u /* a flag: the series ends here */

enum otlp_metric_kind { OTLP_GAUGE, OTLP_SUM, OTLP_HISTOGRAM, OTLP_EXPONENTIAL, OTLP_SUMMARY };

/* One resource's labels, made once. */
struct otlp_target {
    const struct resource *resource;
    struct slice job, instance; /* empty: no such label */
    int64_t newest_ns;          /* of its points: target_info's time */
};

struct otlp_metric {
    enum otlp_metric_kind kind;
    struct slice name, unit, description; /* as sent */
    bool monotonic, delta;
    unsigned points;     /* seen so far, for messages */
    struct slice series; /* Prometheus' name without _bucket and the like; otlp_metric_finish() */
};

struct otlp_quantile {
    double quantile, value;
};

/* Of an exponential histogram: bucket offset + i holds (base^(offset + i), base^(offset + i + 1)].
 */
struct otlp_buckets {
    int32_t offset;
    const uint64_t *counts;
    size_t n;
};

struct otlp_exemplar {
    struct attributes attributes;
    int64_t time_ns;
    double value;
    uint8_t trace_id[16], span_id[8];
    bool has_trace, has_span;
};

struct otlp_point {
    struct attributes attributes;
    int64_t start_ns, time_ns;
    uint32_t flags;
    double value; /* gauge, sum */
    uint64_t count;
    double sum;
    bool has_sum;
    const uint64_t *counts;
    const double *bounds;
    const struct otlp_quantile *quantiles;
    size_t n_counts, n_bounds, n_quantiles;
    int32_t scale; /* exponential histogram, as are the following */
    uint64_t zero_count;
    double zero_threshold;
    struct otlp_buckets positive, negative;
    const struct otlp_exemplar *exemplars;
    size_t n_exemplars;
};

int otlp_target_init(struct otlp_decoder *d, const struct resource *r, struct otlp_target *ret);
/* The target_info series, when the resource has more to say than job and instance. */
int otlp_target_finish(struct otlp_decoder *d, struct otlp_target *t);
/* Makes the series' name, and adds the metadata. 0 or -E2BIG. */
int otlp_metric_finish(struct otlp_decoder *d, struct otlp_metric *m);
/* All samples of the point. 0 or an error that ends the message. */
int otlp_add_point(struct otlp_decoder *d, struct otlp_target *t, struct otlp_metric *m,
                   const struct otlp_point *p);

/* ---- otlp_labels.c ---- */

/* A series' labels, sorted; the ones that change from sample to sample are pointed at. */
struct otlp_labels {
    struct label *items;
    size_t n;
    struct slice *name, *extra; /* the values of __name__, and of le or quantile */
};
/* With job and instance, the attributes, and `extra` (le, quantile; NULL: none). These win over
 * attributes of the same name. */
int otlp_labels_of(struct otlp_decoder *d, const struct otlp_target *t, const struct attributes *a,
                   const char *extra, struct otlp_labels *ret);

/* ---- otlp_exponential.c ---- */

/* Prometheus' native histogram of an exponential one, in `a`. -EINVAL with why in `e`; -E2BIG. */
int otlp_native_histogram(struct arena *a, const struct otlp_point *p, struct histogram *ret,
                          struct error *e);
/* The sum of two exponential histograms, in the coarser schema of the two; in `a`. -EINVAL when one
 * of them is none; -E2BIG. */
int otlp_histogram_add(struct arena *a, const struct histogram *x, const struct histogram *y,
                       struct histogram *ret);

/* ---- otlp_exemplar.c ---- */

/* Adds the point's exemplars to the series `set`. Those that are not acceptable are left out. */
int otlp_add_exemplars(struct otlp_decoder *d, const struct otlp_labels *set,
                       const struct otlp_point *p);
/* Of a classic histogram: each to the bucket it lies in. `set` has the bucket's name and le. */
int otlp_add_bucket_exemplars(struct otlp_decoder *d, struct otlp_labels *set,
                              const struct otlp_point *p);
/* The text of a bound as `le` has it. 0 or -E2BIG. */
int otlp_set_bound(struct otlp_decoder *d, double v, struct slice *ret);

/* ---- otlp_delta.c: deltas become what has been counted so far ---- */

struct otlp_delta_sample {
    struct ingest_series series;
    const struct label *labels; /* in the message's arena */
    size_t n_labels;
    int64_t start_ns, time_ns;
    double value;
    const struct histogram *histogram; /* or NULL; in the message's arena */
    uint64_t order;                    /* in the message */
    uint64_t point;                    /* which point it is of: rejected once */
};
/* Notes one value for otlp_deltas_apply(). */
int otlp_delta_note(struct otlp_decoder *d, const struct otlp_labels *set,
                    const struct otlp_point *p, double value, const struct histogram *h);
/* Adds all that was noted to what was counted before, and gives the sums to ingest. At the end of a
 * well-formed message. */
int otlp_deltas_apply(struct otlp_decoder *d);

/* ---- otlp_red.c ---- */

/* Is this the RED statistics that a process counts of its own spans? */
bool otlp_is_red(const struct otlp_metric *m);
/* 0, -EINVAL with the decoder's error, or what ends the message. */
int otlp_add_red(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                 const struct otlp_point *p);

/* ---- prometheus_name.c; the results are in the arena, data NULL: no room ---- */
struct slice prometheus_metric_name(struct arena *a, struct slice name, struct slice unit,
                                    bool counter, bool gauge);
struct slice prometheus_label_name(struct arena *a, struct slice key);

#endif
