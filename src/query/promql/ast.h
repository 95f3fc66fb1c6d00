/*
 * The syntax tree. Nodes live in the arena of their query and are not changed after parsing, so
 * that several evaluations may share them.
 */
#ifndef VARAN_PROMQL_AST_H
#define VARAN_PROMQL_AST_H

#include "query/promql/promql.h"

struct function;

enum node_kind {
    NODE_NUMBER,
    NODE_STRING,
    NODE_SELECTOR,
    NODE_MATRIX, /* selector[range] */
    NODE_SUBQUERY,
    NODE_CALL,
    NODE_AGGREGATE,
    NODE_BINARY,
    NODE_UNARY,
    NODE_PAREN
};

enum binary_op {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_ATAN2,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_TRIM_UPPER, /* </ */
    OP_TRIM_LOWER, /* >/ */
    OP_AND,
    OP_OR,
    OP_UNLESS,
    OP_COUNT
};

enum aggregate_op {
    AGG_SUM,
    AGG_AVG,
    AGG_COUNT,
    AGG_MIN,
    AGG_MAX,
    AGG_GROUP,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_COUNT_VALUES,
    AGG_QUANTILE,
    AGG_LIMITK,
    AGG_LIMIT_RATIO,
    AGG_COUNT_OF /* number of aggregators */
};

/* A duration as written: a literal, or arithmetic on literals, step() and range(). Seconds. */
enum duration_op {
    DURATION_NUMBER,
    DURATION_STEP,
    DURATION_RANGE,
    DURATION_PAREN,
    DURATION_PLUS,
    DURATION_MINUS, /* unary */
    DURATION_MIN,
    DURATION_MAX,
    DURATION_ADD,
    DURATION_SUB,
    DURATION_MUL,
    DURATION_DIV,
    DURATION_MOD,
    DURATION_POW
};

struct duration {
    enum duration_op op;
    double seconds;
    uint32_t start, end;
    const struct duration *a, *b;
};

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };

struct at {
    enum at_kind kind;
    int64_t ms;
};

struct selector {
    struct slice name;               /* the metric name before the braces, maybe empty */
    struct promql_matcher *matchers; /* the name among them */
    size_t n_matchers;
    const struct duration *offset; /* NULL: none */
    struct at at;
    bool anchored, smoothed;
};

enum card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY };

struct matching {
    enum card card;
    bool on, given; /* given: on() or ignoring() was written */
    struct slice *labels, *include;
    size_t n_labels, n_include;
    bool fill_left, fill_right;
    double fill_left_value, fill_right_value;
};

struct node {
    enum node_kind kind;
    enum promql_type type; /* set by the checker */
    uint32_t start, end;   /* bytes of the text */
    uint32_t height;
    union {
        struct {
            double value;
            bool duration; /* written as one */
        } number;
        struct slice string;
        struct selector selector;
        struct {
            struct node *selector;
            const struct duration *range;
        } matrix;
        struct {
            struct node *expr;
            const struct duration *range, *step, *offset;
            struct at at;
        } subquery;
        struct {
            const struct function *function;
            struct node **args;
            size_t n_args;
        } call;
        struct {
            enum aggregate_op op;
            struct node *expr, *param;
            struct slice *grouping;
            size_t n_grouping;
            bool without;
        } aggregate;
        struct {
            enum binary_op op;
            struct node *lhs, *rhs;
            bool return_bool;
            struct matching matching;
        } binary;
        struct {
            bool minus;
            struct node *expr;
        } unary;
        struct node *paren;
    };
};

/* A regular expression that the query releases with itself. */
struct regex_link {
    struct regex_link *next;
    struct regex *regex;
};

struct promql_query {
    struct arena arena;
    struct slice text;
    struct node *root;
    struct regex_link *regexes;
};

/* Takes over the expressions of these matchers; all or none. 0 or -ENOMEM. */
int query_own_regexes(struct promql_query *q, const struct promql_matcher *m, size_t n);

extern const char *const binary_op_names[OP_COUNT];
extern const char *const aggregate_names[AGG_COUNT_OF];

static inline bool op_is_comparison(enum binary_op op) {
    return op >= OP_EQ && op <= OP_GE;
}
static inline bool op_is_set(enum binary_op op) {
    return op >= OP_AND;
}
static inline bool op_is_trim(enum binary_op op) {
    return op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
}
static inline bool aggregate_has_param(enum aggregate_op op) {
    return op >= AGG_TOPK;
}

/* The node without the parentheses around it. */
const struct node *node_strip(const struct node *n);
/* Line and column (from 1) of byte `at` of `text`. */
void text_position(struct slice text, uint32_t at, uint32_t *ret_line, uint32_t *ret_column);
/* Calls fn for each child. */
void node_children(const struct node *n, void (*fn)(void *ctx, struct node *child), void *ctx);

/* types.c: checks `n` and all below, sets their types. 0 or -EINVAL with `e` filled (no line yet).
 */
int check_types(struct node *n, struct promql_error *e);

/* number.c: numbers as text. */
/* Shortest text that reads back equal, without exponent: 12340000, 0.1, NaN, +Inf. */
void print_float(struct buffer *out, double v);
/* As Go's %g: 1.234e+07. */
void print_float_g(struct buffer *out, double v);
/* As OpenMetrics wants label values of le and quantile: "1.0", "0.5", "+Inf". */
void print_float_openmetrics(struct buffer *out, double v);
/* "1h30m", "0s", "-5m". */
void print_duration_ms(struct buffer *out, int64_t ms);
/* "5m", "1h30m", "100ms": 0, -EINVAL, -ERANGE. */
int parse_duration_seconds(struct slice s, double *ret);
/* Decimal, hexadecimal (0x), Inf, NaN in any case: 0 or -EINVAL. */
int parse_number(struct slice s, double *ret);

/* print.c */
void print_node(const struct node *n, struct buffer *out);
/* Parts of it: "sum by (a) ", "* on (a)", "[5m:1m] offset 1h". */
void print_aggregate_head(const struct node *n, struct buffer *out);
void print_binary_operator(const struct node *n, struct buffer *out);
void print_subquery_suffix(const struct node *n, struct buffer *out);
void print_quoted_string(struct slice s, struct buffer *out);
/* Needs no quotes: letters, digits, underscores, and `colons`. */
bool print_is_plain_name(struct slice s, bool colons);

#endif
