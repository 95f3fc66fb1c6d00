/* Parsing and printing: the canonical form, and that it parses to itself; positions of mistakes. */
#include "../unit.h"

#include "query/promql/ast.h"

#include <errno.h>

static const struct {
    const char *text, *canonical;
} good[] = {
        {"1", "1"},
        {"-1", "-1"},
        {"1h", "1h"},
        {"0x10", "16"},
        {"+Inf", "+Inf"},
        {"Inf^2", "Inf ^ 2"},
        {"\"a\\\"b\"", "\"a\\\"b\""},
        {"up", "up"},
        {"up{}", "up"},
        {"up { job = 'x' , a !~ \"b\" , }", "up{job=\"x\",a!~\"b\"}"},
        {"{job=\"x\"}", "{job=\"x\"}"},
        {"{\"my.metric\", \"a b\"=\"c\"}", "{\"my.metric\",\"a b\"=\"c\"}"},
        {"job:rate:5m", "job:rate:5m"},
        {"up[5m]", "up[5m]"},
        {"up[300]", "up[5m]"},
        {"up[5m:]", "up[5m:]"},
        {"up[5m:30s] offset 1h @ 100", "up[5m:30s] @ 100.000 offset 1h"},
        {"up offset -5m", "up offset -5m"},
        {"up @ end()", "up @ end()"},
        {"rate(up[1m] anchored)", "rate(up[1m] anchored)"},
        {"up smoothed", "up smoothed"},
        {"up[5m+step()*2]", "up[5m + step() * 2s]"},
        {"up offset max_of(1m,(step()))", "up offset max_of(1m, (step()))"},
        {"a+b*c", "a + b * c"},
        {"(a+b)*c", "(a + b) * c"},
        {"-a^b", "-a ^ b"},
        {"a ==bool b", "a == bool b"},
        {"a*on(x,y)group_left(z)b", "a * on (x, y) group_left (z) b"},
        {"a/ignoring()b", "a / b"},
        {"a+on()b", "a + on () b"},
        {"a+fill(0)b", "a + fill (0) b"},
        {"a+fill_left(1)fill_right(2)b", "a + fill_left (1) fill_right (2) b"},
        {"a AND b Or c unLESS d", "a and b or c unless d"},
        {"SUM(a)BY(x)", "sum by (x) (a)"},
        {"sum without()(a)", "sum without () (a)"},
        {"topk(5,a)", "topk(5, a)"},
        {"histogram_quantile(0.9,sum by(le)(rate(x[5m])))",
         "histogram_quantile(0.9, sum by (le) (rate(x[5m])))"},
        {"a </ 5", "a </ 5"},
        {"time()", "time()"},
        {"sum", "sum"},
        {"fill + fill(0) fill", "fill + fill (0) fill"},
        {"offset offset 5m", "offset offset 5m"},
};

static void print(const struct promql_query *q, struct buffer *b) {
    buffer_init(b, 100000);
    promql_format(q, b);
    assert_int_equal(b->failed, 0);
}

static void test_canonical(void **state) {
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct promql_query *q;
        struct promql_error e;
        struct buffer once, twice;

        if (promql_parse(slice_from(good[i].text), &q, &e) < 0)
            fail_msg("%s: %s", good[i].text, e.text);
        print(q, &once);
        promql_query_free(q);
        if (!slice_is(buffer_slice(&once), good[i].canonical))
            fail_msg("%s: printed as %.*s", good[i].text, (int) once.size, once.data);
        if (promql_parse(buffer_slice(&once), &q, &e) < 0)
            fail_msg("%s: its own form: %s", good[i].text, e.text);
        print(q, &twice);
        promql_query_free(q);
        assert_true(slice_equal(buffer_slice(&once), buffer_slice(&twice)));
        buffer_done(&once);
        buffer_done(&twice);
    }
}

static const struct {
    const char *text;
    uint32_t start, end, line, column;
} bad[] = {
        {"", 0, 0, 1, 1},        {"up{a=1}", 5, 6, 1, 6},
        {"sum(", 4, 4, 1, 5},    {"a +\n  nope(b)", 6, 10, 2, 3},
        {"rate(a)", 5, 6, 1, 6}, {"a b", 2, 3, 1, 3},
        {"up[5m", 5, 5, 1, 6},   {"a + bool b", 0, 10, 1, 1},
};

static void test_positions(void **state) {
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct promql_query *q = NULL;
        struct promql_error e;

        assert_int_equal(promql_parse(slice_from(bad[i].text), &q, &e), -EINVAL);
        assert_int_equal(e.kind, PROMQL_BAD_QUERY);
        if (e.start != bad[i].start || e.end != bad[i].end || e.line != bad[i].line ||
            e.column != bad[i].column)
            fail_msg("%s: %u-%u line %u column %u: %s", bad[i].text, e.start, e.end, e.line,
                     e.column, e.text);
        assert_true(e.text[0]);
    }
}

static void test_selector(void **state) {
    const struct promql_matcher *m;
    struct promql_query *q;
    struct promql_error e;
    size_t n;

    assert_int_equal(promql_parse_selector(SLICE("up{job=~\"a|b\"}"), &q, &m, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_slice(m[0].name, "__name__");
    assert_int_equal(m[1].type, PROMQL_REGEX);
    assert_int_equal(promql_matcher_test(&m[1], SLICE("b")), 1);
    promql_query_free(q);
    assert_int_equal(promql_parse_selector(SLICE("up + 1"), &q, &m, &n, &e), -EINVAL);
    assert_int_equal(promql_parse_selector(SLICE("up offset 5m"), &q, &m, &n, &e), -EINVAL);
}

static void test_types(void **state) {
    static const struct {
        const char *text;
        enum promql_type type;
    } cases[] = {{"1", PROMQL_SCALAR},          {"up", PROMQL_VECTOR},
                 {"up[5m]", PROMQL_MATRIX},     {"\"x\"", PROMQL_STRING},
                 {"time() + 1", PROMQL_SCALAR}, {"up + 1", PROMQL_VECTOR},
                 {"scalar(up)", PROMQL_SCALAR}, {"(up[5m])", PROMQL_MATRIX}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct promql_query *q;
        struct promql_error e;

        assert_int_equal(promql_parse(slice_from(cases[i].text), &q, &e), 0);
        assert_int_equal(promql_query_type(q), cases[i].type);
        promql_query_free(q);
    }
}

static void test_json(void **state) {
    struct promql_query *q;
    struct promql_error e;
    struct buffer b;

    assert_int_equal(promql_parse(SLICE("sum by (a) (rate(x{b=\"c\"}[5m] offset 1m)) > 1"), &q, &e),
                     0);
    buffer_init(&b, 100000);
    promql_tree_json(q, &b);
    assert_int_equal(b.failed, 0);
    assert_true(slice_find(buffer_slice(&b), SLICE("\"type\":\"binaryExpr\"")) >= 0);
    assert_true(slice_find(buffer_slice(&b), SLICE("\"range\":300000")) >= 0);
    assert_true(slice_find(buffer_slice(&b), SLICE("\"offset\":60000")) >= 0);
    buffer_clear(&b);
    promql_pretty(q, &b);
    assert_int_equal(b.failed, 0);
    buffer_done(&b);
    promql_query_free(q);
}

/* Each allocation fails once: an error, no leak, no crash. */
static void test_memory(void **state) {
    for (unsigned n = 1; n < 200; n++) {
        struct promql_query *q = NULL;
        struct promql_error e;

        memory_fail_at(n);
        int r = promql_parse(
                SLICE("sum by (a, b) (x{a=~\"b.*|c\", d=\"e\"} * on (f) y) + z[5m:1m]"), &q, &e);
        memory_fail_at(0);
        if (r == 0)
            promql_query_free(q);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_canonical), cmocka_unit_test(test_positions),
            cmocka_unit_test(test_selector),  cmocka_unit_test(test_types),
            cmocka_unit_test(test_json),      cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
