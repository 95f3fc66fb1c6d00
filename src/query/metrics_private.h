/* What the files of metrics*.c share. */
#ifndef VARAN_QUERY_METRICS_PRIVATE_H
#define VARAN_QUERY_METRICS_PRIVATE_H

#include "base/clock.h"
#include "base/map.h"
#include "base/vector.h"
#include "derive/late.h"
#include "derive/series.h"
#include "query/metrics.h"
#include "query/metrics_cache.h"
#include "query/promql/labels.h"

#include <pthread.h>

#define METRICS_IDS_MAX 4000u /* named in one SELECT */
#define METRICS_ANSWER_BYTES_MAX ((size_t) 512 << 20)
#define METRICS_BYTES_MAX ((size_t) 1 << 30) /* of the answers of all queries at work */
#define METRICS_TRIM_BYTES ((size_t) 4 << 20)
#define METRICS_ENGINE_BYTES_MAX ((size_t) 512 << 20)
#define METRICS_TIMEOUT_NS (10 * NS_PER_S)
#define METRICS_TABLE_SERIES_MAX 1000000u /* read out of the series table for one selector */

#define METRICS_INTERVAL_MS 15000 /* between two samples: a guess, for sizes and costs */
#define METRICS_ASKED 256u
#define METRICS_RULES_MAX 1000u
#define METRICS_RAW_SAMPLES_MAX 3e6 /* more than this is better read downsampled */

struct retention_rule {
    struct promql_query *query; /* owns the matchers */
    const struct promql_matcher *matchers;
    size_t n;
    unsigned days;
};

/* The tables of samples, from fine to coarse. */
enum tier { TIER_RAW, TIER_5M, TIER_1H, TIERS };

struct metrics {
    struct store *store;
    struct series_index *series;
    atomic_bool histograms_stored; /* at the start: so that their table is asked at all */
    _Atomic size_t bytes;          /* of answers at work */
    struct metrics_cache *cache;   /* NULL: none */
    _Atomic uint32_t
            asked[METRICS_ASKED]; /* large selects that were made once: see metrics_samples.c */
    VECTOR(struct retention_rule) rules;
    struct filler *filler; /* NULL: none */
    /* Downsampling. */
    struct late_hours *late;
    bool make_5m, make_1h;
    double raw_samples_max;           /* METRICS_RAW_SAMPLES_MAX, but for tests */
    _Atomic int64_t oldest_ms[TIERS]; /* what each table holds begins here; INT64_MAX: nothing */
    pthread_t keeper;
    pthread_mutex_t keeper_lock;
    pthread_cond_t keeper_wake;
    bool keeper_runs;
    atomic_bool trim; /* a large answer was freed */
    atomic_bool keeper_stops;
};

/* ---- metrics_keeper.c ---- */
int metrics_rules_read(struct metrics *m, const char *text, struct error *e);
/* Deletes what the rules give no room to; also for tests. */
int metrics_rules_apply(struct metrics *m, int64_t now_ms, struct error *e);
int metrics_keeper_start(struct metrics *m);
/* Frees the rules too. */
void metrics_keeper_stop(struct metrics *m);

/* Has memory given back, to the system, once queries had some seconds to end. */
void metrics_keeper_trim(struct metrics *m);
/* Waits; false when the keeper is to stop. */
bool metrics_keeper_wait(struct metrics *m, int64_t ns);

/* ---- metrics_downsample.c ---- */
int64_t tier_ms(enum tier t); /* a bucket's width; RAW: 0 */
/* Downsamples the hours that are due, and those with late samples; paces itself. On the keeper's
 * thread; also for tests. */
int metrics_downsample(struct metrics *m, int64_t now_ms, bool paced, struct error *e);
/* Looks at what the tables hold. */
int metrics_look_at_tiers(struct metrics *m, struct error *e);

/* A series that was found. Several ids may belong to one label set (`slot`). */
struct found {
    uint64_t id;
    const struct promql_labels *labels; /* NULL: not made yet, see metrics_make_labels() */
    uint32_t slot, at;                  /* `at`: place in the index */
};

struct finding {
    VECTOR(struct found) series; /* ascending by id */
    uint32_t n_slots;
    size_t n_all; /* of a part: the series of the whole selection */
    bool dense;   /* most series between the first id and the last: a range of ids names them */
    bool lazy;    /* without labels */
};

/* How long, and for whom. */
struct metrics_turn {
    struct metrics *metrics;
    int64_t deadline_ns; /* monotonic */
    const atomic_bool *cancel;
    struct error *error;
};

/* ---- metrics_find.c ---- */

/* The series of one selector that were seen in the range; label sets live in the arena. `lazy`:
 * without them, if that can be. */
int metrics_find(const struct metrics_turn *t, const struct promql_matcher *matchers, size_t n,
                 int64_t from_ms, int64_t to_ms, bool lazy, struct arena *arena,
                 struct finding *ret);
/* The label sets of a lazy finding. */
int metrics_make_labels(const struct metrics_turn *t, struct finding *f, struct arena *arena);
void finding_done(struct finding *f);

/* ---- metrics.c ---- */

/* Runs a SELECT for Native rows; the answer counts into metrics->bytes until answer_done(). */
struct metrics_answer {
    struct metrics *metrics;
    struct buffer bytes;
    struct native_reader *rows;
    size_t counted;
};
int metrics_ask(const struct metrics_turn *t, const char *sql, const struct store_param *params,
                size_t n_params, size_t rows_max, struct metrics_answer *ret);
void metrics_answer_done(struct metrics_answer *a);
/* Appends " AND id …" for series [from, to). */
void metrics_add_ids(struct buffer *sql, const struct finding *f, size_t from, size_t to);

/* ---- metrics_samples.c ---- */

struct floats {
    size_t n, room;
    int64_t *times;
    double *values;
    int64_t *starts;
    uint32_t *counts;     /* NULL: one each; see struct promql_samples */
    bool unsorted, twice; /* out of order; two values of one time that differ */
};

struct samples_range {
    int64_t from_ms, to_ms; /* both inclusive */
    /* Not 0: those between origin + k * step + window and origin + (k + 1) * step are not needed.
     * The origin is not after `from_ms`. */
    int64_t step_ms, window_ms, origin_ms;
};

/* Whether leaving out what is between windows is worth it. */
bool samples_have_gaps(const struct samples_range *r);
/* Room for `more`; -ENOBUFS. */
int floats_reserve(struct floats *s, size_t more, struct arena *arena);

/* ---- metrics_order.c ---- */

bool samples_are_wanted(const struct samples_range *r, bool gaps, int64_t time);
/* Appends what is wanted of samples in ascending order, for which there is room; `to` NULL: only
 * counts. */
size_t samples_take_wanted(const struct samples_range *r, const int64_t *times,
                           const double *values, size_t n, struct floats *to);
/* Ascending, each time once; two values of one time that differ are noted in `twice`. -ENOMEM. */
int floats_put_in_order(struct floats *s);

/* Reads the samples of the found series out of storage, one run per slot, in any order. */
int metrics_read_stored(const struct metrics_turn *t, const struct finding *f,
                        const struct samples_range *range, struct arena *arena, struct floats *ret,
                        struct metrics_source *stats);
/* Brings them into order, one value per time. */
int metrics_finish_samples(const struct metrics_turn *t, const struct finding *f,
                           const struct samples_range *range, struct arena *arena,
                           struct floats *ret, struct metrics_source *stats);

/* ---- metrics_cached.c ---- */

/* Reads the samples of the found series into one run per slot, ascending, one value per time. */
int metrics_read_samples(const struct metrics_turn *t, const struct finding *f,
                         const struct samples_range *range, struct arena *arena, struct floats *ret,
                         struct metrics_source *stats);
/* Reads all samples of the series from range->from_ms on into the cache, and what is wanted of
 * them into `ret` (NULL: nothing is). */
int metrics_fill_cache(const struct metrics_turn *t, const struct finding *missing,
                       const struct samples_range *range, int64_t now_ms, struct arena *arena,
                       struct floats *ret, struct metrics_source *stats);
/* The store's hook, for the cache. */
void metrics_written(void *ctx, struct store_batch *b, int result);

/* ---- metrics_filler.c ---- */

void metrics_filler_start(struct metrics *m);
void metrics_filler_stop(struct metrics *m);
/* Has the cache filled behind the query's back; false: it cannot now. */
bool metrics_filler_add(struct metrics *m, const struct finding *missing,
                        const struct samples_range *range);

/* ---- metrics_plan.c ---- */

/* What of a bucket the function needs. */
enum tier_emit { EMIT_LAST, EMIT_FIRST, EMIT_MIN, EMIT_MAX, EMIT_SUM, EMIT_COUNTER };

struct tier_part {
    enum tier tier;
    bool exact; /* windows are whole buckets */
    enum tier_emit emit;
    int64_t from_ms, to_ms; /* both inclusive */
};

/* Ascending; at most one of each table, the raw one last. */
struct tier_plan {
    size_t n;
    struct tier_part parts[TIERS];
};
void metrics_plan(struct metrics *m, const struct promql_hints *hints, int64_t from_ms,
                  int64_t to_ms, size_t n_series, struct tier_plan *ret);

/* ---- metrics_buckets.c ---- */

/* Appends the floats that stand for the found series' buckets. */
int metrics_read_buckets(const struct metrics_turn *t, const struct finding *f,
                         const struct tier_part *p, const struct promql_hints *hints,
                         struct arena *arena, struct floats *ret, struct metrics_source *stats);
int metrics_append_floats(struct floats *to, const struct floats *from, struct arena *arena);

/* ---- metrics_histograms.c ---- */

struct histograms {
    size_t n, room;
    int64_t *times, *starts;
    const struct promql_histogram **items;
};
int metrics_read_histograms(const struct metrics_turn *t, const struct finding *f, int64_t from_ms,
                            int64_t to_ms, struct arena *arena, struct histograms *ret,
                            struct metrics_source *stats);

#endif
