/*
 * The index of series in memory: label set ↔ id, and for each label pair the series that have it.
 * Ingest finds ids in it and adds what is new; queries find series by their labels.
 *
 * Bounded: at most `series_max` series (docs/internals/metrics.md has the bytes of each). Series
 * that nobody wrote for SERIES_IDLE_S leave it and are found in the `series` table; series_gap()
 * says which times that concerns. Thread-safe; a read lock is held while a callback runs, which
 * must therefore not add series.
 */
#ifndef VARAN_DERIVE_SERIES_H
#define VARAN_DERIVE_SERIES_H

#include "base/error.h"
#include "base/memory.h"
#include "signal/signal.h"

#define SERIES_LABELS_MAX 128u         /* of one series */
#define SERIES_LABELS_BYTES_MAX 65536u /* of all its names and values */
#define SERIES_NAME_BYTES_MAX 1024u    /* of a label's name */
#define SERIES_VALUE_BYTES_MAX 32768u  /* of a label's value */
#define SERIES_LABEL_NAMES_MAX 65536u  /* different ones */
#define SERIES_MAX_DEFAULT 2000000u    /* in memory */
#define SERIES_EMIT_S 3600             /* the row of a series in use is written anew so often */
#define SERIES_IDLE_S (6 * 3600)       /* without a sample for so long it leaves the memory */
#define SERIES_IDLE_FULL_S 900         /* the same when the index is full */

struct series_index;

/* 0 for `series_max`: SERIES_MAX_DEFAULT; for `instance_max`: no limit of its own. */
int series_index_new(size_t series_max, size_t instance_max, struct series_index **ret);
void series_index_free(struct series_index *x);

/* A series that was found: keep it and use it as long as series_is() says so. */
struct series_ref {
    uint64_t id; /* of the tables */
    uint32_t at; /* place in the index */
};

/*
 * The series of a label set (sorted by name), which is added when it is new. -EINVAL: not a label
 * set; -ENOSPC: a limit is reached (counted); -ENOMEM.
 */
int series_put(struct series_index *x, const struct label *labels, size_t n, struct series_ref *ret,
               struct error *e);
/* As series_put() for one that storage knows: with its id and the times of its row. -EEXIST when
 * the index has the labels with another id, which is then read beside it. */
struct series_row {
    uint64_t id;
    const struct label *labels;
    size_t n;
    uint32_t first_s, last_s;
};
int series_load(struct series_index *x, const struct series_row *row);

/* Notes a sample of that time. 0; 1 when its row in storage is due (see series_row_of()); -ESTALE
 * when the series is no longer there: look it up again. `token`: of the transaction, so that the
 * row is due once in it. */
int series_touch(struct series_index *x, struct series_ref s, int64_t time_ms, uint32_t now_s,
                 uint32_t token);
/* The row is durable. */
void series_written(struct series_index *x, struct series_ref s, uint32_t now_s);
/* It is not: due again. */
void series_unwritten(struct series_index *x, struct series_ref s);
/* The start time of its values: true when it is not the one that was noted before. */
bool series_start_changed(struct series_index *x, struct series_ref s, int64_t start_ms);
/* It may not have reached storage: note it again with the next sample. */
void series_start_forget(struct series_index *x, struct series_ref s);

/* A series as callbacks see it, during the call. */
struct series_view {
    struct series_ref ref;
    uint32_t n, first_s, last_s;
    const struct series_index *index;
    const uint32_t *pairs;
};
struct label series_label(const struct series_view *v, uint32_t i);
/* The value of a label, or the empty slice. */
struct slice series_label_value(const struct series_view *v, struct slice name);
/* Calls `fn` with the series; -ESTALE when it is not there. */
typedef int (*series_fn)(void *ctx, const struct series_view *v);
int series_view(struct series_index *x, struct series_ref s, series_fn fn, void *ctx);
/* How many series have that label pair. */
size_t series_count(struct series_index *x, struct slice name, struct slice value);

/* ---- Finding by labels ---- */

/* A condition on one label; a series without the label has the empty value. */
struct series_condition {
    struct slice name;
    bool is_equal;              /* the value is `value`; else `test` decides */
    struct slice value, prefix; /* prefix: every value that passes begins with it (maybe empty) */
    const struct slice *values; /* not NULL: one of these, and no other */
    size_t n_values;
    int (*test)(const void *ctx, struct slice value); /* 1 yes, 0 no, negative: give up */
    const void *ctx;
};
/* Calls `fn` for each series that was seen in [from_s, to_s] and meets all conditions; ends with
 * the first result other than 0 and returns it. */
int series_each(struct series_index *x, const struct series_condition *conditions, size_t n,
                uint32_t from_s, uint32_t to_s, series_fn fn, void *ctx);
/* The id that the series has, or would have. 0 without memory. */
uint64_t series_id_of(struct series_index *x, const struct label *labels, size_t n);
/* Other ids under which storage has samples of the series; the number of all. */
size_t series_other_ids(struct series_index *x, uint64_t id, uint64_t *ret, size_t max);
bool series_has_other_ids(struct series_index *x);
/* Queries from a time before this one must ask the table too; UINT32_MAX: not loaded yet, 0:
 * complete. */
uint32_t series_gap(struct series_index *x);
void series_set_gap(struct series_index *x, uint32_t gap_s);

/* ---- Looking after it ---- */

/* Evicts what was not written for `idle_s`; the number of those. */
size_t series_evict(struct series_index *x, uint32_t now_s, uint32_t idle_s);

struct series_stats {
    size_t series, series_max, pairs, names, bytes;
    uint64_t added, evicted, refused; /* since the start */
    uint64_t added_1h, gone_1h;       /* of the last full hour or the present one, the larger */
};
void series_read_stats(struct series_index *x, struct series_stats *ret);

/* For each label pair: its name, value and number of series. */
typedef int (*series_pair_fn)(void *ctx, struct slice name, struct slice value, size_t n);
int series_each_pair(struct series_index *x, series_pair_fn fn, void *ctx);

#endif
