/* The conformance language itself: sequences, expectations, that wrong answers fail, that bad files
 * end. */
#include "../unit.h"

#include "query/promql/test_lang.h"

#include <errno.h>

static void expect_run(const char *text, size_t passed, size_t failed) {
    struct promql_test_report report = {0};
    struct error e = ERROR_NONE;

    if (promql_test_run(slice_from(text), &report, &e) < 0)
        fail_msg("%s\n%s", text, e.text);
    if (report.passed != passed || report.failed != failed)
        fail_msg("%s\n%zu passed, %zu failed", text, report.passed, report.failed);
}

static void expect_malformed(const char *text) {
    struct promql_test_report report = {0};
    struct error e = ERROR_NONE;

    assert_int_equal(promql_test_run(slice_from(text), &report, &e), -EINVAL);
    assert_true(e.text[0]);
}

static void expect_values(const char *line, const double *want, size_t n) {
    struct arena a;
    struct test_series s;
    struct error e = ERROR_NONE;

    arena_init(&a, 1u << 20);
    if (test_parse_series(&a, slice_from(line), &s, &e) < 0)
        fail_msg("%s: %s", line, e.text);
    assert_int_equal(s.n, n);
    for (size_t i = 0; i < n; i++) {
        if (want[i] == -999)
            assert_true(s.values[i].omitted);
        else
            assert_true(s.values[i].v == want[i]);
    }
    arena_done(&a);
}

#define VALUES(line, ...)                                                                          \
    expect_values(line, (const double[]){__VA_ARGS__},                                             \
                  sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static void test_sequences(void **state) {
    VALUES("a 1 2.5 -3e2 .5", 1, 2.5, -300, 0.5);
    VALUES("a{b=\"c\"} 1x2", 1, 1, 1);
    VALUES("a 1+2x2 9-1x1", 1, 3, 5, 9, 8);
    VALUES("{} 0x2 _ _x2 7", 0, 0, 0, -999, -999, -999, 7);
    VALUES("a@st -1m 1ms+1sx1", -60000, 1, 1001);
    VALUES("a 1e1+1e0x1", 10, 11);
}

static void test_verdicts(void **state) {
    expect_run("load 1m\n a 1 2\n\neval instant at 1m a\n a 2\n", 1, 0);
    expect_run("load 1m\n a 1 2\n\neval instant at 1m a\n a 3\n", 0, 1);
    expect_run("load 1m\n a 1 2\n\neval instant at 1m a\n", 0, 1);
    expect_run("eval instant at 1m a\n a 3\n", 0, 1);
    expect_run("load 1m\n a 1 2\n\neval range from 0 to 2m step 1m a\n a 1 2 2\n", 1, 0);
    expect_run("load 1m\n a 1 2\n\neval range from 0 to 2m step 1m a\n a 1 2\n", 0, 1);
    expect_run("eval instant at 0 1 + 1\n 2\n", 1, 0);
    expect_run("eval instant at 0 1 + 1\n 3\n", 0, 1);
    expect_run("eval instant at 0 \"x\"\n expect string \"y\"\n", 0, 1);
    expect_run("eval instant at 0 1 +\n expect fail\n", 1, 0);
    expect_run("eval_fail instant at 0 1 +\n", 1, 0);
    expect_run("eval instant at 0 1 +\n", 0, 1);
    expect_run("eval instant at 0 a\n expect fail\n", 0, 1);
    expect_run("eval instant at 0 a\n expect warn\n", 0, 1);
    expect_run("eval instant at 0 a\n expect no_warn\n expect no_info\n", 1, 0);
    expect_run(
            "load 1m\n a{x=\"1\"} 1\n a{x=\"2\"} 2\n\neval instant at 0 sort(a)\n expect ordered\n"
            " a{x=\"2\"} 2\n a{x=\"1\"} 1\n",
            0, 1);
    /* Within the tolerance, and outside it. */
    expect_run("eval instant at 0 1\n 1.0000000001\n", 1, 0);
    expect_run("eval instant at 0 1\n 1.00001\n", 0, 1);
    /* clear forgets. */
    expect_run("load 1m\n a 1\n\nclear\neval instant at 0 a\n", 1, 0);
    /* The range form is checked too: time() differs from step to step, a constant does not. */
    expect_run(
            "load 1m\n h {{count:3 sum:4 buckets:[3]}}\n\neval instant at 0 h\n h {{count:3 sum:4 "
            "buckets:[2]}}\n",
            0, 1);
}

static void test_malformed(void **state) {
    expect_malformed("nonsense\n");
    expect_malformed("load\n a 1\n");
    expect_malformed("load 1m\n a{ 1\n");
    expect_malformed("load 1m\n a x\n");
    expect_malformed("load 1m\n a 1x\n");
    expect_malformed("load 1m\n a 1x99999999999\n");
    expect_malformed("load 1m\n a {{schema:99}}\n");
    expect_malformed("load 1m\n a {{buckets:[1 2}}\n");
    expect_malformed("load 1m\n a {{count:1\n");
    expect_malformed("eval\n");
    expect_malformed("eval instant 1\n");
    expect_malformed("eval range from 0 to x step 1m a\n");
    expect_malformed("eval_later instant at 0 a\n");
    expect_malformed("eval instant at 0 a\n expect nothing\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sequences),
            cmocka_unit_test(test_verdicts),
            cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
