/*
 * The functions of PromQL as a table of rows: what the parser checks against, what the engine
 * calls, and what documentation and completion are printed from.
 */
#ifndef VARAN_PROMQL_FUNCTIONS_H
#define VARAN_PROMQL_FUNCTIONS_H

#include "query/promql/ast.h"

struct eval;
struct grid;
struct value;
struct vector;
struct window;
struct point;

#define FUNCTION_ARGS_MAX 6u

/* How a function is evaluated; which of the pointers its row has. */
enum function_kind {
    FUNCTION_MAP,    /* float → float, per sample */
    FUNCTION_RANGE,  /* window of one series → sample */
    FUNCTION_VALUES, /* evaluated arguments → value */
    FUNCTION_NODE    /* the call itself, unevaluated */
};

/* Range functions get their scalar arguments for the step in `args`, in the order of the call.
 * Returns 1 (ret is set), 0 (no sample), negative. */
typedef int range_fn(struct eval *e, const struct node *call, const struct window *w,
                     const double *args, struct point *ret);

struct range_input;
struct promql_samples;
/* Writes the values of all steps to `out`, which is absent at first. `resets`: how often the value
 * fell up to each sample. */
typedef void column_fn(const struct range_input *in, const struct promql_samples *s,
                       const uint32_t *resets, const struct grid *g, double *out);

struct function {
    const char *name;
    enum function_kind kind;
    enum promql_type result;
    enum promql_type args[FUNCTION_ARGS_MAX];
    /* 0: exactly the args; n > 0: the last n may be missing; -1: the last may be repeated or
     * missing. */
    int variadic;
    bool experimental;
    bool at_unsafe;  /* the result depends on the evaluation time though the arguments do not */
    bool keeps_name; /* of the metric */
    bool anchored_safe, smoothed_safe;
    bool counters; /* expects names of counters */
    bool stats;    /* looks at count and sum of histograms only */
    bool buckets;  /* looks at their buckets, whatever is around it */
    const char *help;
    double (*map)(double v);
    range_fn *range;
    /* The same for a series of floats only, over all steps at once; NULL: no such short cut. */
    column_fn *column;
    int (*values)(struct eval *e, const struct node *call, const struct grid *g, struct value *args,
                  size_t n_args, struct value *ret);
    int (*node)(struct eval *e, const struct node *call, const struct grid *g, struct value *ret);
};

/* By exact name, or NULL. */
const struct function *function_find(struct slice name);
extern const struct function function_table[];
extern const size_t function_table_size;

#endif
