/*
 * OTLP metric points to Prometheus series: what both encodings decode into, and the translation.
 * Private to receive/. Memory: the decoder's arenas.
 */
#ifndef VARAN_RECEIVE_OTLP_METRICS_H
#define VARAN_RECEIVE_OTLP_METRICS_H

#include "receive/otlp_decode.h"

#define OTLP_BUCKETS_MAX 2000u
#define OTLP_QUANTILES_MAX 200u
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
    struct slice name, unit; /* as sent */
    bool monotonic, delta;
    struct slice series; /* Prometheus' name without _bucket and the like; otlp_metric_finish() */
};

struct otlp_quantile {
    double quantile, value;
};

struct otlp_point {
    struct attributes attributes;
    int64_t time_ns;
    uint32_t flags;
    double value; /* gauge, sum */
    uint64_t count;
    double sum;
    bool has_sum;
    const uint64_t *counts;
    const double *bounds;
    const struct otlp_quantile *quantiles;
    size_t n_counts, n_bounds, n_quantiles;
};

int otlp_target_init(struct otlp_decoder *d, const struct resource *r, struct otlp_target *ret);
/* The target_info series, when the resource has more to say than job and instance. */
int otlp_target_finish(struct otlp_decoder *d, struct otlp_target *t);
/* Makes the series' name. 0 or -E2BIG. */
int otlp_metric_finish(struct otlp_decoder *d, struct otlp_metric *m);
/* All samples of the point. 0 or an error that ends the message. */
int otlp_add_point(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                   const struct otlp_point *p);

/* ---- prometheus_name.c; the results are in the arena, data NULL: no room ---- */
struct slice prometheus_metric_name(struct arena *a, struct slice name, struct slice unit,
                                    bool counter, bool gauge);
struct slice prometheus_label_name(struct arena *a, struct slice key);

#endif
