/*
 * Bounds of buckets and ranks of quantiles as labels: `le="1"` and `le="1.0"` mean the same and
 * must name the same series, whichever format the target answers in.
 */
#ifndef VARAN_RECEIVE_FLOAT_LABEL_H
#define VARAN_RECEIVE_FLOAT_LABEL_H

#include "base/memory.h"

/* The number as OpenMetrics writes it canonically: shortest digits that read back the same, with a
 * point or an exponent ("1.0", "0.25", "1e+06", "+Inf"). What is no number stays as it is, also
 * without memory. The result lies in `a`, or is `value`. */
struct slice float_label_canonical(struct slice value, struct arena *a);

#endif
