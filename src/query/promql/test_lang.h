/*
 * The language of Prometheus' conformance files (promqltest): load, eval, expect. A file is read
 * and run line by line against a store in memory; each eval counts as one case, which passes when
 * the query, its range form and its forms with @ on every selector all give what is expected. One
 * owner at a time.
 */
#ifndef VARAN_PROMQL_TEST_LANG_H
#define VARAN_PROMQL_TEST_LANG_H

#include "base/error.h"
#include "query/promql/promql.h"

#define TEST_FILE_BYTES_MAX (16u << 20)
#define TEST_VALUES_MAX 2000000u /* of one series line */
#define TEST_STORE_BYTES_MAX ((size_t) 2 << 30)

struct promql_test_report {
    size_t passed, failed;
    /* Called for each failure, maybe NULL: the line of the eval, and what was expected and came. */
    void (*failure)(void *ctx, size_t line, struct slice query, const char *message);
    void *ctx;
    /* Limits of each query, maybe NULL. */
    const struct promql_options *options;
};

/* Runs a whole file. 0, -EINVAL when the file itself is malformed (`e` says where), or -ENOMEM. */
int promql_test_run(struct slice text, struct promql_test_report *report, struct error *e);

/* ---- Inside. ---- */

/* One value of a sequence. */
struct test_value {
    bool omitted, is_histogram, hint_set;
    double v;
    struct promql_histogram *h;
};

struct test_series {
    const struct promql_labels *labels;
    bool start_times; /* metric@st: the values are milliseconds relative to the samples */
    size_t n;
    struct test_value *values;
};

/* test_values.c: a metric and its values. 0, -EINVAL with `e`, -ENOMEM. */
int test_parse_series(struct arena *a, struct slice line, struct test_series *ret, struct error *e);
/* "5m", "0", "1m30s", "-1m" in milliseconds: 0 or -EINVAL. */
int test_parse_time(struct slice s, int64_t *ret_ms);
/* A line that is one number: a scalar. */
bool test_parse_scalar(struct slice s, double *ret);

enum test_expectation_kind {
    EXPECT_FAIL,
    EXPECT_WARN,
    EXPECT_NO_WARN,
    EXPECT_INFO,
    EXPECT_NO_INFO
};

struct test_expectation {
    enum test_expectation_kind kind;
    struct slice message; /* empty: any */
    bool regex;
};

#define TEST_EXPECTATIONS_MAX 32u

/* One eval. */
struct test_case {
    size_t line;
    struct slice query;
    bool range, ordered, has_string, has_scalar, range_vector;
    int64_t from, to, step; /* instant: at `from` */
    int64_t vector_from, vector_step;
    struct slice string;
    double scalar;
    struct test_expectation expect[TEST_EXPECTATIONS_MAX];
    size_t n_expect;
    struct test_series *series;
    size_t n_series, allocated;
};

/* test_run.c: runs the case in all its forms. 0: passed; 1: failed, with the message in `why`. */
int test_run_case(struct promql_source *source, const struct promql_options *options,
                  const struct test_case *c, struct buffer *why);

#endif
