/*
 * The evaluator's own types. A value is a set of columns over the steps of a grid; each node of the
 * tree makes a fresh one in the evaluation's arena, so that its consumer may overwrite the columns.
 * One evaluation belongs to one thread.
 */
#ifndef VARAN_PROMQL_ENGINE_H
#define VARAN_PROMQL_ENGINE_H

#include "query/promql/ast.h"
#include "query/promql/functions.h"
#include "query/promql/histogram.h"
#include "query/promql/labels.h"

#include <math.h>

#define ANNOTATIONS_MAX 50u
#define CHECK_EVERY 65536u /* samples handled between two looks at the clock */

/* Points in time: start + i * step. */
struct grid {
    int64_t start, step;
    size_t n;
};

static inline int64_t grid_at(const struct grid *g, size_t i) {
    return g->start + (int64_t) i * g->step;
}

/* "No sample here": the stale marker's bits, which no computation produces. */
static inline bool is_absent(double v) {
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits == PROMQL_STALE_BITS;
}
static inline double absent_value(void) {
    const uint64_t bits = PROMQL_STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* One series over a grid. At a step with a histogram, v is absent. */
struct series {
    const struct promql_labels *labels;
    bool drop_name; /* the name goes when the query ends */
    double *v;
    const struct promql_histogram **h; /* NULL: none at any step */
};

static inline bool series_has(const struct series *s, size_t i) {
    return !is_absent(s->v[i]) || (s->h && s->h[i]);
}

struct vector {
    struct series *items;
    size_t n, allocated;
};

struct value {
    enum promql_type type;
    double *scalar; /* SCALAR: one per step */
    struct vector vector;
    struct slice string;
};

/* A sample: a histogram, or a float. */
struct point {
    double v;
    const struct promql_histogram *h;
};

/* The samples of one series in one window (start, end]; with anchored and smoothed also around it.
 */
struct window {
    const struct promql_labels *labels;
    const struct node *node; /* the matrix or subquery: where annotations point */
    int64_t ts;              /* of the evaluation step */
    int64_t start, end, range_ms;
    bool anchored, smoothed;
    size_t n, n_h;
    const int64_t *t, *t_h;
    const double *v;
    const struct promql_histogram *const *h;
    const int64_t *st, *st_h; /* start times, or NULL */
    const uint32_t *counts;   /* how many samples each of v stands for, or NULL */
};

struct range_series {
    struct promql_samples samples;
    bool drop_name;
};

struct passing;

/* What a matrix selector or a subquery gives to a range function. */
struct range_input {
    const struct node *node;
    struct range_series *items;
    size_t n, allocated;
    int64_t range_ms, offset_ms;
    bool fixed; /* by @ */
    int64_t fixed_ms;
    int64_t before_ms, after_ms; /* samples wanted around the window */
    bool anchored, smoothed;
    struct passing *passing; /* not NULL: series are passed on as they come, none is kept */
};

struct annotation_key {
    const char *format;
    const struct node *node;
    uint64_t name; /* a hash: texts of series that passed lie where others lay */
};

struct annotation {
    bool info;
    const char *text;
};

struct eval {
    const struct promql_query *query;
    struct promql_source *source;
    struct promql_options options;
    struct grid grid; /* of the query */
    int64_t end_ms;
    bool range;
    struct arena arena, scratch;
    struct arena notes; /* the annotations' texts */
    struct promql_error *error;
    int64_t deadline_ns;
    uint64_t samples, held;
    unsigned unchecked;
    const struct node *stats_root; /* within it, histograms are wanted for count and sum only */
    unsigned subqueries;           /* around the present node */
    struct annotation annotations[ANNOTATIONS_MAX];
    size_t n_annotations;
    struct annotation_key seen[8];
    unsigned seen_at;
};

/* ---- Errors: all return the negative number to pass on. ---- */
int eval_fail(struct eval *e, enum promql_failure kind, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
int eval_memory(struct eval *e);
/* Tells that `work` samples were handled: looks at the clock and the cancel flag now and then. */
int eval_tick(struct eval *e, size_t work);
/* Accounts for `n` samples held in columns or windows. */
int eval_hold(struct eval *e, uint64_t n);
/* What combining histograms returned, when it is not a mismatch. */
#define eval_is_mismatch(r) ((r) == HISTOGRAM_MISMATCH)

/* ---- Annotations; `name` and `format` tell them apart cheaply. ---- */
void annotate(struct eval *e, bool info, const struct node *at, struct slice name,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
void annotate_mixed(struct eval *e, const struct node *at, struct slice name);
void annotate_mixed_schemas(struct eval *e, const struct node *at, struct slice name);
void annotate_ignored_range(struct eval *e, const struct node *at, struct slice name);
void annotate_ignored_aggregation(struct eval *e, const struct node *at, const char *aggregation);
void annotate_not_counter(struct eval *e, const struct node *at, struct slice name);
void annotate_not_gauge(struct eval *e, const struct node *at, struct slice name);
void annotate_quantile(struct eval *e, const struct node *at, double q);
/* HISTOGRAM_COLLISION and HISTOGRAM_RECONCILED of an "addition", "subtraction" or "aggregation". */
void annotate_flags(struct eval *e, const struct node *at, unsigned flags, const char *operation);

static inline struct slice metric_name(const struct promql_labels *l) {
    return promql_labels_get(l, PROMQL_METRIC_NAME);
}

/* ---- Columns. ---- */
double *column_new(struct eval *e, size_t n, double fill); /* NULL without memory */
const struct promql_histogram **column_histograms(struct eval *e, size_t n);
/* A series with an empty column at the end of `v`; NULL without memory (the error is set). */
struct series *vector_add(struct eval *e, struct vector *v, const struct grid *g,
                          const struct promql_labels *labels, bool drop_name);
/* Sets a sample; 0 or negative. */
int series_set(struct eval *e, struct series *s, const struct grid *g, size_t i, struct point p);
static inline struct point series_point(const struct series *s, size_t i) {
    return (struct point){s->v[i], s->h ? s->h[i] : NULL};
}
void series_clear(struct series *s, size_t i);
/* Removes series without any sample. */
void vector_prune(struct vector *v, const struct grid *g);
/* Merges series of equal labels; two samples at one step are an error. */
int vector_merge(struct eval *e, struct vector *v, const struct grid *g);
bool series_any(const struct series *s, size_t n);

/* ---- Evaluation. ---- */
int eval_node(struct eval *e, const struct node *n, const struct grid *g, struct value *ret);
int eval_scalar_column(struct eval *e, const struct node *n, const struct grid *g, double **ret);
bool node_is_invariant(const struct node *n);
int eval_duration_ms(struct eval *e, const struct duration *d, bool positive, int64_t *ret);

enum selector_mode { SELECT_VALUES, SELECT_TIMES, SELECT_START_TIMES };
int eval_selector(struct eval *e, const struct node *n, const struct grid *g,
                  enum selector_mode mode, struct value *ret);
/* Samples of all series that match, from the source; stale markers of windows are taken out. */
int select_series(struct eval *e, const struct node *at, const struct promql_matcher *m, size_t n_m,
                  int64_t from, int64_t to, const struct promql_hints *hints, bool keep_stale,
                  struct range_input *ret);
/* First index with t[i] > at. */
size_t first_after(const int64_t *t, size_t n, int64_t at);
/* The time a selector's @ fixes. */
int64_t at_ms(const struct eval *e, const struct at *at);
/* `passing`: NULL, or where the series of a selector go. */
int eval_range_input(struct eval *e, const struct node *n, const struct grid *g,
                     struct slice function, struct passing *passing, struct range_input *ret);
/* Moves the window of series `s` to step i; *lo and *hi (4 numbers, at first 0) keep its place. */
void window_move(const struct range_input *in, const struct range_series *s, const struct grid *g,
                 size_t i, size_t at[4], struct window *w);
int eval_range_function(struct eval *e, const struct node *call, const struct grid *g,
                        struct value *ret);
/* ---- Series by series, for aggregation: see passing.c ---- */

/* Takes a series, of which nothing lasts, its labels neither. A negative return ends it all. */
typedef int series_sink(void *ctx, const struct series *s);
/* Makes of a series' samples its column. 1: there are samples, 0: none, negative. */
typedef int passing_fill(struct eval *e, void *ctx, const struct range_series *s,
                         struct series *out);
struct passing {
    const struct grid *g;
    struct arena arena; /* of the series that passes */
    double *column;
    passing_fill *fill;
    void *fill_ctx;
    series_sink *sink;
    void *sink_ctx;
};
/* Hands the series to the sink that `prepare` (may be NULL) and `fill` make of it. */
typedef int passing_prepare(void *ctx, struct promql_samples *s);
int pass_series(struct eval *e, struct passing *p, const struct range_series *s,
                passing_prepare *prepare, void *prepare_ctx);
/* Whether eval_each() can take the expression. */
bool eval_can_pass(const struct eval *e, const struct node *n, const struct grid *g);
/* Evaluates a selector or a range function of one, each series handed to `sink` as it is made. */
int eval_each(struct eval *e, const struct node *n, const struct grid *g, series_sink *sink,
              void *ctx);
/* Parts of it: both fill in `p` how columns are made. */
int eval_selector_each(struct eval *e, const struct node *n, const struct grid *g,
                       struct passing *p);
int eval_range_each(struct eval *e, const struct node *call, const struct grid *g,
                    struct passing *p);
int eval_absent_over_time(struct eval *e, const struct node *call, const struct grid *g,
                          struct value *ret);
int eval_subquery(struct eval *e, const struct node *n, const struct grid *g,
                  struct range_input *ret);
int eval_aggregate(struct eval *e, const struct node *n, const struct grid *g, struct value *ret);
int eval_aggregate_k(struct eval *e, const struct node *n, const struct grid *g,
                     const double *param, struct vector *in, const uint32_t *group, size_t n_groups,
                     struct value *ret);
int eval_count_values(struct eval *e, const struct node *n, const struct grid *g, struct vector *in,
                      struct value *ret);
/* The label set a series has within a group; its texts are those of `l`. */
const struct promql_labels *group_labels(struct arena *a, const struct node *n,
                                         const struct promql_labels *l);
int eval_binary(struct eval *e, const struct node *n, const struct grid *g, struct value *ret);
/* 1: a result, 0: none, negative. Comparisons give the left sample when they hold. */
int combine_points(struct eval *e, const struct node *n, struct point l, struct point r,
                   struct point *ret);
double combine_floats(enum binary_op op, double l, double r);
void combine_columns(enum binary_op op, const double *l, const double *r, double *out, size_t n);
int match_vectors(struct eval *e, const struct node *n, const struct grid *g, struct vector *l,
                  struct vector *r, struct value *ret);
int match_sets(struct eval *e, const struct node *n, const struct grid *g, struct vector *l,
               struct vector *r, struct value *ret);
/* The labels two samples must share. */
const struct promql_labels *match_labels(struct eval *e, const struct matching *m,
                                         const struct promql_labels *l);

/* What absent() and absent_over_time() answer with. */
const struct promql_labels *absent_labels(struct eval *e, const struct node *arg);
double quantile_of(double *values, size_t n, double q);

#endif
