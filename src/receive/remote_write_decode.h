/*
 * From remote-write messages to ingest. Private to receive/. Nothing is copied: labels point into
 * the message. A decoder belongs to one thread.
 */
#ifndef VARAN_RECEIVE_REMOTE_WRITE_DECODE_H
#define VARAN_RECEIVE_REMOTE_WRITE_DECODE_H

#include "base/vector.h"
#include "derive/ingest.h"
#include "receive/native_buckets.h"
#include "receive/remote_write_memo.h"
#include "wire/protobuf.h"

#define REMOTE_LABELS_MAX 1024u       /* of one series as sent; ingest has a lower limit */
#define REMOTE_SYMBOLS_MAX (4u << 20) /* of one message of 2.0 */
#define REMOTE_CUSTOM_MAX 65536u      /* custom bounds of a histogram */
#define REMOTE_REASONS_MAX 10u        /* series that an answer names */
#define REMOTE_REASON_BYTES_MAX 4000u
#define REMOTE_LABELS_TEXT_MAX 300u /* of a series in a reason */

enum remote_version { REMOTE_V1, REMOTE_V2 };

struct remote_decoder {
    struct ingest_txn *txn;
    struct remote_memo *memo; /* NULL: none */
    VECTOR(struct slice) symbols;
    struct label labels[REMOTE_LABELS_MAX], own[REMOTE_LABELS_MAX];
    size_t n_labels, n_own;
    const char *labels_why;      /* why the labels at hand are no label set; NULL: they are */
    struct ingest_series series; /* the one at hand, when series_found is 0 */
    int series_found;            /* 1: not looked up yet; negative: refused, see series_error */
    struct error series_error;
    struct native_buckets positive, negative;
    VECTOR(double) custom;
    struct slice last_family; /* whose metadata was added last */
    uint64_t samples, histograms, exemplars, rejected, rejected_exemplars;
    unsigned n_reasons;
    bool series_blamed; /* the series at hand stands in the reasons */
    struct buffer reasons;
    struct error error; /* why the message is malformed */
};

/* Large: not on the stack. `memo` may be NULL. NULL: out of memory. */
struct remote_decoder *remote_decoder_new(struct ingest_txn *txn, struct remote_memo *memo);
void remote_decoder_free(struct remote_decoder *d);

/* Gives all of the message to ingest; what is wrong with single samples is in `reasons`. 0;
 * -EBADMSG malformed (`error` says what); -ENOMEM, -ENOBUFS (the batch is full). After an error the
 * transaction must be aborted. */
int remote_decode(struct remote_decoder *d, enum remote_version version, struct slice message);

/* ---- Shared by its files ---- */
int remote_malformed(struct remote_decoder *d, const char *what);
/* Sorts the labels when they are not, drops empty values, and notes what is wrong with them. */
void remote_settle_labels(struct remote_decoder *d);
/* What became of one sample: counts it, or names the series and why. -EINVAL is this sample's own
 * business and becomes 0. */
int remote_outcome(struct remote_decoder *d, int r, const struct error *e, uint64_t *counted);
/* Of the series whose labels are settled. 0 or an error that ends the message. */
int remote_add(struct remote_decoder *d, const struct sample *s, uint64_t *counted);
int remote_add_sample(struct remote_decoder *d, int64_t time_ms, double value, int64_t start_ms);
int remote_add_histogram(struct remote_decoder *d, struct slice message, int64_t start_ms);
int remote_add_exemplar(struct remote_decoder *d, double value, int64_t time_ms);
int remote_add_metadata(struct remote_decoder *d, const struct metric_metadata *m);
/* Sample: value, timestamp, and start timestamp when the version has it. */
int remote_decode_sample(struct remote_decoder *d, struct slice message, int64_t start_ms);
int remote_decode_v2(struct remote_decoder *d, struct slice message);

#endif
