/*
 * Layouts of histograms brought together: what the files of histogram arithmetic share. Bucket
 * arrays are replaced by new ones from the arena, never changed.
 */
#ifndef VARAN_PROMQL_HISTOGRAM_LAYOUT_H
#define VARAN_PROMQL_HISTOGRAM_LAYOUT_H

#include "query/promql/histogram.h"

/* Gives b arrays of its own. 0 or -ENOMEM. */
int buckets_copy(struct arena *a, struct promql_buckets *b);
/* x + sign * y in new arrays. 0 or -ENOMEM. */
int buckets_merge(struct arena *a, const struct promql_buckets *x, const struct promql_buckets *y,
                  double sign, struct promql_buckets *ret);
/* Makes x (with its rest, maybe NULL) and y alike in schema, bounds and zero bucket; y must be a
 * copy of the caller's. 0, HISTOGRAM_MISMATCH or -ENOMEM. */
int histogram_align(struct arena *a, struct promql_histogram *x, struct promql_histogram *rest,
                    struct promql_histogram *y, unsigned *flags);
/* Custom bounds only: to those both have. 0 or -ENOMEM. */
int histogram_align_bounds(struct arena *a, struct promql_histogram *x,
                           struct promql_histogram *rest, struct promql_histogram *y);
bool histogram_same_bounds(const struct promql_histogram *x, const struct promql_histogram *y);
/* The zero threshold that h would get to reach `want`: grown to the end of a populated bucket. */
double histogram_reachable_zero(const struct promql_histogram *h, double want);
/* Moves the buckets up to `threshold` into the zero bucket. */
void histogram_absorb_zero(struct promql_histogram *h, double threshold);
enum promql_reset_hint histogram_join_hints(enum promql_reset_hint x, enum promql_reset_hint y,
                                            unsigned *flags);

#endif
