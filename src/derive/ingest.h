/*
 * Ingest: where all protocols meet. A receiver begins a transaction, adds what it decoded, and
 * commits; the answer to the sender leaves when `done` is called, after the rows are durable.
 *
 *     struct ingest_txn *t;
 *     r = ingest_begin(ingest, body.size, &t);          // -EAGAIN: under pressure, answer 429
 *     r = ingest_span(t, &span);                        // -EINVAL: this one is rejected, go on
 *     ingest_commit(t, done, ctx);                      // or ingest_abort(t): nothing of it is
 * kept
 *
 * On the way a record is scrubbed of secrets, normalised (SQL), and counted into the derived tables
 * (RED statistics, service edges, trace summaries, attribute keys and values), all in the same
 * commit. A transaction belongs to one thread from begin to commit/abort. `struct ingest` is
 * thread-safe.
 */
#ifndef VARAN_DERIVE_INGEST_H
#define VARAN_DERIVE_INGEST_H

#include "base/error.h"
#include "signal/profile.h"
#include "signal/signal.h"

struct store;
struct ingest;
struct ingest_txn;

struct ingest_options {
    struct store *store;
    bool scrub;                     /* default true */
    const struct slice *scrub_keys; /* more key names to scrub, beside the built-in ones */
    size_t n_scrub_keys;
    size_t series_max;          /* in memory; 0: SERIES_MAX_DEFAULT */
    size_t instance_series_max; /* of one value of the label `instance`; 0: no limit */
    bool load_series;           /* read the series that storage knows, on a thread of its own */
};

/* Sets the store's flush hook, so before the first store_batch_acquire(). */
int ingest_new(const struct ingest_options *o, struct ingest **ret, struct error *e);
/* Shutting down: ingest_stop() when no more requests come (it ends ingest's own thread), then
 * store_close(), which writes the derived rows through the hook, then ingest_free(). */
void ingest_stop(struct ingest *g);
void ingest_free(struct ingest *g);

/* `bytes`: size of the decoded body, for admission. 0 or -EAGAIN (*ret_retry_s says when to come
 * back). */
int ingest_begin(struct ingest *g, size_t bytes, struct ingest_txn **ret, unsigned *ret_retry_s);

/* 0; -EINVAL with a reason in `e` when the record itself is unacceptable (zero trace id, end before
 * start beyond repair, …: the OTLP receiver counts it as rejected); -ENOMEM/-ENOBUFS otherwise
 * (abort). */
int ingest_span(struct ingest_txn *t, const struct span *s, struct error *e);
int ingest_log(struct ingest_txn *t, const struct log_record *l, struct error *e);
/* Samples may come in any order; of two with the same series and time the later one counts.
 * -EINVAL: labels that are no label set, a time out of bounds, a histogram that contradicts itself,
 * or a series beyond the limit. */
int ingest_sample(struct ingest_txn *t, const struct sample *s, struct error *e);

/* The quick way for those who send the same series again and again: look it up once, keep the
 * handle (any transaction may use it), and give samples by it (their labels are not looked at).
 * -ESTALE: the series has left the index; look it up again. */
struct ingest_series {
    uint64_t id; /* of the tables */
    uint32_t at;
};
int ingest_series_lookup(struct ingest_txn *t, const struct label *labels, size_t n,
                         struct ingest_series *ret, struct error *e);
int ingest_sample_by_id(struct ingest_txn *t, const struct ingest_series *series,
                        const struct sample *s, struct error *e);

int ingest_exemplar(struct ingest_txn *t, const struct exemplar *x, struct error *e);
int ingest_metadata(struct ingest_txn *t, const struct metric_metadata *m, struct error *e);
/* -EINVAL: without a stack or type, a time out of bounds. A value of 0 is left out. */
int ingest_profile(struct ingest_txn *t, const struct profile_sample *s, struct error *e);
/* Kept once a day. -EINVAL: a time out of bounds. A text that is empty or too long is left out. */
int ingest_profile_source(struct ingest_txn *t, const struct profile_source *s, struct error *e);

/* RED statistics by the process itself, which sends only a part of its spans. Resources that do so
 * say it by this attribute; their spans are then not counted here. */
#define RED_ATTRIBUTE "varan.red"
#define RED_BY_PROCESS "process"
struct red_report {
    const struct resource *resource;
    struct slice operation;
    enum span_kind kind;
    enum span_status status;
    bool entry;
    int64_t time_ns; /* in the window that they began in */
    uint64_t count, sum_ns;
    const double *durations_ns; /* with how many of each; ascending */
    const uint64_t *counts;
    size_t n;
};
int ingest_red(struct ingest_txn *t, const struct red_report *r, struct error *e);

/* `result`: 0 durable; -EAGAIN try later; other negative: storage failed (503, retryable). Called
 * on a writer thread, or within ingest_commit() when nothing had to be written; must not block.
 * What was given to ingest_span() and the others need not live longer than that call. */
typedef void (*ingest_done)(void *ctx, int result);
void ingest_commit(struct ingest_txn *t, ingest_done done, void *ctx);
/* The same when nobody waits for the answer: the rows may gather for a second first, so that fewer
 * and larger parts are written. */
void ingest_commit_patiently(struct ingest_txn *t, ingest_done done, void *ctx);
void ingest_abort(struct ingest_txn *t);

struct ingest_stats {
    uint64_t spans, logs, samples, rejected_spans, rejected_logs, rejected_samples,
            refused_pressure, scrubbed_values, exemplars, metadata, profile_samples,
            rejected_profiles;
};
/* The newest samples in storage of some series, not older than `since_ms`: what somebody who adds
 * up deltas starts from after the server started anew. One or two SELECTs for all of them together
 * (LAST_VALUES_MAX): milliseconds, so ask for a request's series at once, not one by one. A series
 * without a sample has time_ms 0. Samples that are not durable yet are not seen. */
#define LAST_VALUES_MAX 10000u
struct ingest_last {
    int64_t time_ms, start_ms;
    double value;
    const struct histogram *histogram; /* in the arena, or NULL */
};
struct ingest_labels {
    const struct label *labels;
    size_t n;
};
struct arena;
int ingest_last_values(struct ingest *g, const struct ingest_labels *series, size_t n,
                       int64_t since_ms, struct arena *a, struct ingest_last *ret, struct error *e);

/* The index of series, for queries. */
struct series_index;
struct series_index *ingest_series(struct ingest *g);
/* Hours of samples that are to be downsampled again: see derive/late.h. */
struct late_hours *ingest_late_hours(struct ingest *g);

void ingest_read_stats(struct ingest *g, struct ingest_stats *ret);

/* Live tail: `fn` sees each accepted log line after commit, on the writer thread, scrubbed, with
 * its times filled in and its `seq` (the table's); it must be quick and must not start or stop
 * tails. The record's slices are valid during the call only. At most 64 tails: NULL beyond. */
struct ingest_tail;
typedef void (*ingest_tail_fn)(void *ctx, const struct log_record *l);
struct ingest_tail *ingest_tail_start(struct ingest *g, ingest_tail_fn fn, void *ctx);
void ingest_tail_stop(struct ingest_tail *t);

#endif
