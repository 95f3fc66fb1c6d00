/*
 * PromQL: parse, check, print and evaluate queries of Prometheus' language, independent of where
 * the samples come from. Evaluation works on columns: all series of a selector over all steps at
 * once.
 *
 * Memory: a parsed query, and a result, each own an arena; whatever they return lives as long as
 * they do. Threads: a parsed query is immutable and may be evaluated by several threads at once;
 * one evaluation belongs to one thread, except its cancel flag.
 */
#ifndef VARAN_QUERY_PROMQL_H
#define VARAN_QUERY_PROMQL_H

#include "base/memory.h"
#include "base/regex.h"

#include <stdatomic.h>

/* ---- Limits that no option raises. ---- */
#define PROMQL_QUERY_BYTES_MAX (1u << 20)
#define PROMQL_HEIGHT_MAX 1000u  /* of the syntax tree */
#define PROMQL_NESTING_MAX 200u  /* of brackets and operators, while parsing */
#define PROMQL_STEPS_MAX 100000u /* of one grid, of the query or of a subquery */

/* ---- Labels. ---- */

struct promql_label {
    struct slice name, value;
};

/* A label set: sorted by name, names unique, no empty value. */
struct promql_labels {
    uint32_t n;
    uint64_t hash; /* promql_labels_hash() of the items */
    const struct promql_label *items;
};

/* The value of `name`, or the empty slice. */
struct slice promql_labels_get(const struct promql_labels *labels, struct slice name);
/* The metric as PromQL writes it: name{a="b"}. */
void promql_labels_print(const struct promql_labels *labels, struct buffer *out);
/* The hash that promql_labels.hash must hold. */
uint64_t promql_labels_hash(const struct promql_label *items, uint32_t n);

/* ---- Native histograms. ---- */

#define PROMQL_SCHEMA_CUSTOM (-53) /* buckets with the bounds of `custom` */
#define PROMQL_SCHEMA_MIN (-4)
#define PROMQL_SCHEMA_MAX 8

enum promql_reset_hint { PROMQL_RESET_UNKNOWN, PROMQL_RESET, PROMQL_NOT_RESET, PROMQL_GAUGE };

/* The buckets of one sign: ascending indices with their counts (not deltas). Exponential schemas:
 * bucket i holds (base^(i-1), base^i], base = 2^(2^-schema). Custom: (custom[i-1], custom[i]], the
 * last to +Inf. */
struct promql_buckets {
    uint32_t n;
    int32_t *index;
    double *count;
};

struct promql_histogram {
    double count, sum, zero_count, zero_threshold;
    int32_t schema;
    enum promql_reset_hint hint;
    struct promql_buckets positive, negative;
    uint32_t n_custom;
    const double *custom; /* upper bounds, ascending, without +Inf */
};

/* One bucket with its bounds, for output. */
struct promql_bucket {
    double lower, upper, count;
    bool lower_inclusive, upper_inclusive;
};

/* The buckets with a count, lowest first, the zero bucket in its place; at most `max` of them, the
 * number of all is returned. */
size_t promql_histogram_buckets(const struct promql_histogram *h, struct promql_bucket *ret,
                                size_t max);
/* "{count:4, sum:5, (0.5,1]:1}", as Prometheus prints it. */
void promql_histogram_print(const struct promql_histogram *h, struct buffer *out);

/* ---- Where samples come from. ---- */

enum promql_match { PROMQL_EQUAL, PROMQL_NOT_EQUAL, PROMQL_REGEX, PROMQL_NOT_REGEX };

struct promql_matcher {
    enum promql_match type;
    struct slice name, value;  /* of a regular expression: its text */
    const struct regex *regex; /* REGEX and NOT_REGEX */
};

/* 1 matches, 0 does not, negative: a regular expression ran into its limit. Any thread. */
int promql_matcher_test(const struct promql_matcher *m, struct slice value);

/* One series with its samples, ascending by time, floats and histograms apart. A stale marker is a
 * float with the bits PROMQL_STALE_BITS, or a histogram whose sum has them. Start times: 0 when not
 * known. */
struct promql_samples {
    const struct promql_labels *labels;
    size_t n_floats;
    const int64_t *float_ms;
    const double *floats;
    const int64_t *float_start_ms; /* NULL: none known */
    /* How many samples each float stands for, 0 of those in between: for downsampled data, where
     * count_over_time, avg_over_time (floats are sums then), rate, increase and delta go by it.
     * NULL: one each. */
    const uint32_t *float_counts;
    size_t n_histograms;
    const int64_t *histogram_ms;
    const struct promql_histogram *const *histograms;
    const int64_t *histogram_start_ms; /* NULL: none known */
};

#define PROMQL_STALE_BITS UINT64_C(0x7ff0000000000002)

struct promql_hints {
    int64_t step_ms, range_ms; /* range 0: an instant selector */
    int64_t lookback_ms;
    /* Not 0: of each step only the samples from from_ms + k * step_ms on for so long are looked at;
     * those between may be left out. */
    int64_t window_ms;
    struct slice function; /* the function the series go into, or empty */
    /* Labels and floats are looked at during `add` only: their memory may be used again after it.
     * Histograms must stay valid all the same. */
    bool passing;
    size_t series_bytes; /* what the evaluation will hold of each series */
};

struct promql_error;

/*
 * Calls `add(add_ctx, samples)` for each series that all matchers match and that has samples in
 * [from_ms, to_ms]; more samples around them do no harm. Everything handed over must stay valid
 * until the evaluation ends; `arena` (capped by the query's memory limit) may be used for it. A
 * negative return of `add` must be returned at once; so must an error of its own, with `e` filled.
 */
typedef int promql_add_fn(void *add_ctx, const struct promql_samples *samples);
struct promql_source {
    int (*select)(struct promql_source *source, const struct promql_matcher *matchers,
                  size_t n_matchers, int64_t from_ms, int64_t to_ms,
                  const struct promql_hints *hints, struct arena *arena, promql_add_fn *add,
                  void *add_ctx, struct promql_error *e);
};

/* ---- Parsing. ---- */

enum promql_failure {
    PROMQL_OK,
    PROMQL_BAD_QUERY, /* text, types */
    PROMQL_EXECUTION, /* the data do not allow the answer */
    PROMQL_TIMEOUT,
    PROMQL_CANCELED,
    PROMQL_LIMIT, /* memory, samples, steps */
    PROMQL_STORAGE
};

struct promql_error {
    enum promql_failure kind;
    uint32_t start, end;   /* bytes of the query; BAD_QUERY only */
    uint32_t line, column; /* of start, from 1 */
    char text[1000];
};

enum promql_type { PROMQL_NONE, PROMQL_SCALAR, PROMQL_VECTOR, PROMQL_MATRIX, PROMQL_STRING };
/* "scalar", "instant vector", "range vector", "string". */
const char *promql_type_name(enum promql_type type);

struct promql_query;

/* Parses and type-checks `text` (copied). 0 or -EINVAL, -ENOMEM with `e` filled. */
int promql_parse(struct slice text, struct promql_query **ret, struct promql_error *e);
void promql_query_free(struct promql_query *q);
enum promql_type promql_query_type(const struct promql_query *q);
/* Prints the query in its canonical form; buffer errors are in the buffer. */
void promql_format(const struct promql_query *q, struct buffer *out);
/* The same over several lines, indented, for people. */
void promql_pretty(const struct promql_query *q, struct buffer *out);
/* The tree as JSON, in the shape of Prometheus' parse_query. */
void promql_tree_json(const struct promql_query *q, struct buffer *out);
/* A selector alone, {…} or metric{…}, as match[] takes it: its matchers, owned by *ret. */
int promql_parse_selector(struct slice text, struct promql_query **ret,
                          const struct promql_matcher **ret_matchers, size_t *ret_n,
                          struct promql_error *e);

/* Calls fn with the matchers of each selector in the query; they are the query's. */
void promql_each_selector(const struct promql_query *q,
                          void (*fn)(void *ctx, const struct promql_matcher *matchers, size_t n),
                          void *ctx);

/* ---- Evaluation. ---- */

struct promql_options {
    int64_t lookback_ms;       /* 0: 5 min */
    int64_t subquery_step_ms;  /* of subqueries without one; 0: 1 min */
    int64_t timeout_ms;        /* 0: 2 min */
    size_t memory_bytes_max;   /* 0: 512 MiB */
    uint64_t samples_max;      /* held at once in columns and windows; 0: 50 million */
    size_t steps_max;          /* 0: 11,000 */
    bool no_experimental;      /* refuse experimental functions */
    const atomic_bool *cancel; /* may be NULL */
};

struct promql_column {
    const struct promql_labels *labels;
    size_t n;
    const int64_t *times_ms;
    const double *values;                             /* meaningless where there is a histogram */
    const struct promql_histogram *const *histograms; /* NULL, or n entries, NULL for floats */
};

struct promql_annotation {
    bool info;        /* else a warning */
    const char *text; /* with "PromQL warning: " and the position */
};

struct promql_result {
    enum promql_type type; /* a range query gives a matrix */
    size_t n_columns;
    const struct promql_column
            *columns; /* VECTOR: one sample each; SCALAR: one column, no labels */
    struct slice string;
    size_t n_annotations;
    const struct promql_annotation *annotations;
    uint64_t samples; /* read from the source */
    size_t memory_bytes;
    struct arena arena;
};

/* Evaluates at one point in time. 0 or negative with `e` filled; *ret only on success. */
int promql_eval_instant(const struct promql_query *q, struct promql_source *source, int64_t at_ms,
                        const struct promql_options *options, struct promql_result **ret,
                        struct promql_error *e);
/* Evaluates at from, from + step, … ≤ to; step > 0. The columns are sorted by their labels. */
int promql_eval_range(const struct promql_query *q, struct promql_source *source, int64_t from_ms,
                      int64_t to_ms, int64_t step_ms, const struct promql_options *options,
                      struct promql_result **ret, struct promql_error *e);
void promql_result_free(struct promql_result *r);

/* ---- What the language has, for documentation and completion. ---- */

struct promql_function_info {
    const char *name, *signature, *help;
    bool experimental;
};
/* All functions, then all aggregators, sorted by name. */
const struct promql_function_info *promql_functions(size_t *ret_n);

#endif
