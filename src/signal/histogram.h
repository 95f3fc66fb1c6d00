/*
 * Native histograms' buckets as they are stored, in one run of bytes: what a day of histograms
 * takes most room for. Pure functions: any thread.
 *
 * Form: a byte of flags (HISTOGRAM_WHOLE: all bucket counts are whole numbers below 2^53), then the
 * custom bounds, the positive and the negative buckets. Each begins with its number (LEB128).
 * Bounds are 8 bytes, IEEE, little-endian. A bucket is the distance of its index to the one before
 * (zigzag LEB128, the first one's to 0) and its count: whole, as the difference to the count before
 * (zigzag LEB128), or 8 bytes.
 */
#ifndef VARAN_SIGNAL_HISTOGRAM_H
#define VARAN_SIGNAL_HISTOGRAM_H

#include "base/error.h"
#include "base/memory.h"
#include "signal/signal.h"

#define HISTOGRAM_WHOLE 1u
#define HISTOGRAM_BUCKETS_MAX 65536u /* of one histogram, both signs, and of custom bounds */

/* Whether it is a histogram that PromQL can calculate with: schema known, indices and bounds
 * ascending, counts neither negative nor NaN, not more than HISTOGRAM_BUCKETS_MAX buckets. 0, or
 * -EINVAL with what is wrong. */
int histogram_check(const struct histogram *h, struct error *e);

/* Appends the stored form. -ENOBUFS, -ENOMEM as the buffer. */
int histogram_encode(const struct histogram *h, struct buffer *to);

/* Reads it back: custom bounds and buckets, in arrays of the arena. The rest of `ret` is left
 * alone. -EBADMSG when malformed, -ENOMEM. */
int histogram_decode(struct slice bytes, struct arena *a, struct histogram *ret);

#endif
