/* The functions behind the rows of the table, one file per family. Contracts: functions.h. */
#ifndef VARAN_PROMQL_FUNCTIONS_IMPL_H
#define VARAN_PROMQL_FUNCTIONS_IMPL_H

#include "query/promql/engine.h"

#define RANGE_FUNCTION(name)                                                                       \
    int name(struct eval *e, const struct node *call, const struct window *w, const double *args,  \
             struct point *ret)
#define VALUES_FUNCTION(name)                                                                      \
    int name(struct eval *e, const struct node *call, const struct grid *g, struct value *args,    \
             size_t n_args, struct value *ret)
#define NODE_FUNCTION(name)                                                                        \
    int name(struct eval *e, const struct node *call, const struct grid *g, struct value *ret)

/* functions_rate.c */
RANGE_FUNCTION(range_rate);
RANGE_FUNCTION(range_increase);
RANGE_FUNCTION(range_delta);
column_fn column_rate, column_increase, column_delta;
RANGE_FUNCTION(range_irate);
RANGE_FUNCTION(range_idelta);
RANGE_FUNCTION(range_resets);
RANGE_FUNCTION(range_changes);
/* functions_rate_extended.c: anchored and smoothed */
int extended_rate(struct eval *e, const struct window *w, bool counter, bool per_second,
                  struct point *ret);
/* Whether a start time tells of a reset between two samples. */
static inline bool start_time_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t) {
    if (st == 0 || st >= t || st < prev_t)
        return false;
    if (st > prev_t)
        return true;
    /* It began at the sample before: a delta, unless that one's own start is unknown or nonsense.
     */
    return prev_st != 0 && prev_st < prev_t;
}

/* functions_over_time.c */
RANGE_FUNCTION(range_avg);
RANGE_FUNCTION(range_sum);
RANGE_FUNCTION(range_count);
RANGE_FUNCTION(range_min);
RANGE_FUNCTION(range_max);
RANGE_FUNCTION(range_first);
RANGE_FUNCTION(range_last);
RANGE_FUNCTION(range_present);
RANGE_FUNCTION(range_stddev);
RANGE_FUNCTION(range_stdvar);
RANGE_FUNCTION(range_quantile);
RANGE_FUNCTION(range_mad);
RANGE_FUNCTION(range_ts_of_first);
RANGE_FUNCTION(range_ts_of_last);
RANGE_FUNCTION(range_ts_of_min);
RANGE_FUNCTION(range_ts_of_max);
RANGE_FUNCTION(range_deriv);
RANGE_FUNCTION(range_predict_linear);
RANGE_FUNCTION(range_smoothing);

/* functions_math.c */
double map_sgn(double v);
double map_rad(double v);
double map_deg(double v);
VALUES_FUNCTION(values_clamp);
VALUES_FUNCTION(values_clamp_min);
VALUES_FUNCTION(values_clamp_max);
VALUES_FUNCTION(values_round);
VALUES_FUNCTION(values_pi);
VALUES_FUNCTION(values_min_of);
VALUES_FUNCTION(values_max_of);
VALUES_FUNCTION(values_scalar);
VALUES_FUNCTION(values_vector);
VALUES_FUNCTION(values_absent);

/* functions_time.c */
VALUES_FUNCTION(values_date);
VALUES_FUNCTION(values_time);
VALUES_FUNCTION(values_context); /* start(), end(), step(), range() */
NODE_FUNCTION(node_timestamp);
NODE_FUNCTION(node_start_timestamp);

/* functions_label.c */
VALUES_FUNCTION(values_label_replace);
VALUES_FUNCTION(values_label_join);
VALUES_FUNCTION(values_sort);
VALUES_FUNCTION(values_sort_by_label);

/* functions_histogram.c */
VALUES_FUNCTION(values_histogram_stat);
VALUES_FUNCTION(values_histogram_quantile);
VALUES_FUNCTION(values_histogram_quantiles);
VALUES_FUNCTION(values_histogram_fraction);

/* info.c */
NODE_FUNCTION(node_info);

#endif
