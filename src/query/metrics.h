/*
 * Metrics out of storage: the series that matchers find, their samples as a source for PromQL, and
 * what describes them (metadata, exemplars, cardinality).
 *
 * Series are found in the label index in memory (derive/series.h), samples are read from
 * ClickHouse, in one SELECT per selector and table. Thread-safe.
 */
#ifndef VARAN_QUERY_METRICS_H
#define VARAN_QUERY_METRICS_H

#include "query/promql/promql.h"
#include "signal/signal.h"
#include "store/store.h"

struct metrics;
struct ingest;

struct metrics_options {
    struct store *store;
    struct ingest *ingest; /* whose index of series is used */
    /* "SELECTOR DAYS; SELECTOR DAYS": samples of these series are kept so long (the first rule that
     * matches counts; never longer than the store keeps all); NULL: none. */
    const char *retention;
    bool make_5m, make_1h; /* downsampled samples */
    size_t cache_bytes;    /* of samples in memory; 0: none */
};
int metrics_new(const struct metrics_options *o, struct metrics **ret, struct error *e);
void metrics_free(struct metrics *m);

/* ---- A source for one evaluation; belongs to its thread. ---- */

struct metrics_source {
    struct promql_source source; /* give this to promql_eval_…() */
    struct metrics *metrics;
    int64_t deadline_ns;       /* clock_monotonic_ns(); 0: the engine's own limit */
    const atomic_bool *cancel; /* may be NULL */
    /* What happened: */
    uint64_t series, samples, bytes, downsampled; /* the last: rows of buckets */
};
void metrics_source_init(struct metrics_source *s, struct metrics *m);
/* The evaluation and its result are freed: after a large one the system gets its memory back. */
void metrics_source_done(const struct metrics_source *s);

/* ---- Series and labels ---- */

/* One match[]; a request has several, which are united. */
struct metrics_selector {
    const struct promql_matcher *matchers;
    size_t n;
};

struct metrics_range {
    int64_t from_ms, to_ms; /* both inclusive; series seen within */
    size_t limit;           /* 0: none but the arena's */
    int64_t deadline_ns;    /* 0: 10 s from now */
    const atomic_bool *cancel;
};

/* Label sets in the order of promql_labels, sorted. `n_selectors` 0: all series. */
int metrics_series(struct metrics *m, const struct metrics_selector *selectors, size_t n_selectors,
                   const struct metrics_range *range, struct arena *arena,
                   const struct promql_labels ***ret, size_t *ret_n, bool *ret_cut,
                   struct error *e);
/* Names of labels, or values of the label `name` (data not NULL), sorted, unique. */
int metrics_labels(struct metrics *m, struct slice name, const struct metrics_selector *selectors,
                   size_t n_selectors, const struct metrics_range *range, struct arena *arena,
                   struct slice **ret, size_t *ret_n, bool *ret_cut, struct error *e);

/* ---- What describes them ---- */

/* Of one metric (data not NULL) or of all, sorted by name; at most `limit` metrics (0: all). A
 * metric may have several entries when its targets disagree. */
int metrics_metadata(struct metrics *m, struct slice metric, size_t limit, struct arena *arena,
                     struct metric_metadata **ret, size_t *ret_n, struct error *e);

/* By series, then by time. */
int metrics_exemplars(struct metrics *m, const struct metrics_selector *selectors,
                      size_t n_selectors, const struct metrics_range *range, struct arena *arena,
                      struct exemplar **ret, size_t *ret_n, struct error *e);

struct metrics_count {
    struct slice name;
    uint64_t n;
};

struct metrics_cardinality {
    uint64_t series, label_pairs, samples_per_second;
    int64_t oldest_ms, newest_ms;
    uint64_t series_added_1h, series_gone_1h; /* churn */
    uint64_t series_limit, series_refused;
    size_t index_bytes;
    /* Each at most `limit`, largest first. */
    struct metrics_count *by_metric, *by_label_values, *by_label_pair, *bytes_by_label;
    size_t n_by_metric, n_by_label_values, n_by_label_pair, n_bytes_by_label;
};
struct metrics_cache_figures {
    size_t bytes, series;
    uint64_t hits, misses;
};
/* All 0 without a cache. */
void metrics_read_cache(struct metrics *m, struct metrics_cache_figures *ret);

int metrics_read_cardinality(struct metrics *m, size_t limit, struct arena *arena,
                             struct metrics_cardinality *ret, struct error *e);

#endif
