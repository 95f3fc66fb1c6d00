/*
 * Buckets of native histograms as remote write and the protobuf exposition format both have them:
 * spans, and deltas (whole numbers) or counts (floats). One owner at a time; memory is kept between
 * histograms.
 */
#ifndef VARAN_RECEIVE_NATIVE_BUCKETS_H
#define VARAN_RECEIVE_NATIVE_BUCKETS_H

#include "base/vector.h"
#include "signal/signal.h"
#include "wire/protobuf.h"

#define NATIVE_BUCKETS_MAX 65536u /* of one sign of a histogram */
#define NATIVE_SCHEMA_MIN (-4)
#define NATIVE_SCHEMA_MAX 8

struct native_buckets {
    VECTOR(int32_t) spans; /* offset and length by turns */
    VECTOR(int64_t) deltas;
    VECTOR(double) counts;
    VECTOR(int32_t) index; /* what they come to */
    VECTOR(double) absolute;
};

void native_buckets_clear(struct native_buckets *b);
void native_buckets_done(struct native_buckets *b);

/* A BucketSpan; an element or a packed run of deltas (sint64) or counts (double). 0; -EBADMSG
 * malformed; -ENOBUFS too many; -ENOMEM. */
int native_buckets_add_span(struct native_buckets *b, struct slice message);
int native_buckets_add_deltas(struct native_buckets *b, const struct pb_field *f);
int native_buckets_add_counts(struct native_buckets *b, const struct pb_field *f);

/* Spans and their counts as ascending indices with absolute counts; empty buckets are left out.
 * `floats`: counts and not deltas. NULL, or what is wrong with them; *ret_r is -ENOMEM when that
 * was why. */
const char *native_buckets_settle(struct native_buckets *b, bool floats, int *ret_r);
/* Settled ones, `shift` schemas coarser. */
void native_buckets_coarsen(struct native_buckets *b, unsigned shift);
/* Settled ones as a histogram has them; valid as long as they are. */
struct histogram_buckets native_buckets_view(const struct native_buckets *b);

#endif
