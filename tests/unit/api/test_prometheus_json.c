/* Protects the form of results: points, histograms, scalars, strings, as Prometheus prints them. */
#include "../unit.h"

#include "api/prometheus_call.h"

#include <math.h>

static struct buffer out;
static struct json_writer writer;

static int setup(void **state) {
    buffer_init(&out, 1 << 20);
    writer = json_writer(&out);
    return 0;
}

static int teardown(void **state) {
    buffer_done(&out);
    return 0;
}

static const struct promql_label items[] = {{SLICE("__name__"), SLICE("a")},
                                            {SLICE("b"), SLICE("x\"\n")}};
static const struct promql_labels labels = {.n = 2, .items = items};

static void put(const struct promql_result *r) {
    json_begin_object(&writer);
    prom_put_result(&writer, r, r->n_columns, 1500);
    json_end_object(&writer);
}

static void matrix(void **state) {
    const int64_t times[] = {0, 1435781430781, -1001, 60000};
    const double values[] = {1, NAN, -INFINITY, 0.30000000000000004};
    const struct promql_column c = {&labels, 4, times, values, NULL};
    const struct promql_result r = {.type = PROMQL_MATRIX, .n_columns = 1, .columns = &c};

    put(&r);
    assert_slice(buffer_slice(&out),
                 "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"a\",\"b\":"
                 "\"x\\\"\\n\"},\"values\":[[0,\"1\"],[1435781430.781,\"NaN\"],[-1.001,\"-Inf\"],"
                 "[60,\"0.30000000000000004\"]]}]}");
}

static void histograms(void **state) {
    int32_t index[] = {0, 2};
    double count[] = {3, 1.5};
    const struct promql_histogram h = {.count = 6.5,
                                       .sum = 20,
                                       .zero_count = 2,
                                       .zero_threshold = 0.001,
                                       .positive = {2, index, count}};
    const struct promql_histogram *const list[] = {NULL, &h};
    const int64_t times[] = {1000, 2000};
    const double values[] = {7, 0};
    const struct promql_column c = {&labels, 2, times, values, list};
    const struct promql_result r = {.type = PROMQL_MATRIX, .n_columns = 1, .columns = &c};

    put(&r);
    assert_slice(buffer_slice(&out),
                 "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"a\",\"b\":"
                 "\"x\\\"\\n\"},\"values\":[[1,\"7\"]],\"histograms\":[[2,{\"count\":\"6.5\","
                 "\"sum\":\"20\",\"buckets\":[[3,\"-0.001\",\"0.001\",\"2\"],[0,\"0.5\",\"1\","
                 "\"3\"],[0,\"2\",\"4\",\"1.5\"]]}]]}]}");
}

static void others(void **state) {
    const int64_t time = 1500;
    const double value = 1e6;
    const struct promql_labels none = {0};
    const struct promql_column c = {&none, 1, &time, &value, NULL};
    struct promql_result r = {.type = PROMQL_SCALAR, .n_columns = 1, .columns = &c};

    put(&r);
    assert_slice(buffer_slice(&out), "{\"resultType\":\"scalar\",\"result\":[1.500,\"1000000\"]}");
    buffer_clear(&out);
    writer = json_writer(&out);
    r.type = PROMQL_VECTOR;
    put(&r);
    assert_slice(buffer_slice(&out), "{\"resultType\":\"vector\",\"result\":[{\"metric\":{},"
                                     "\"value\":[1.500,\"1000000\"]}]}");
    buffer_clear(&out);
    writer = json_writer(&out);
    r = (struct promql_result){.type = PROMQL_STRING, .string = SLICE("a\\b")};
    put(&r);
    assert_slice(buffer_slice(&out), "{\"resultType\":\"string\",\"result\":[1.500,\"a\\\\b\"]}");
}

/* More points than are written at once, and an answer that does not fit. */
static void many(void **state) {
    enum { N = 5000 };
    static int64_t times[N];
    static double values[N];
    const struct promql_column c = {&labels, N, times, values, NULL};
    const struct promql_result r = {.type = PROMQL_MATRIX, .n_columns = 1, .columns = &c};
    size_t commas = 0;

    for (size_t i = 0; i < N; i++) {
        times[i] = INT64_MAX / 4 + (int64_t) i;
        values[i] = -1.2345678901234567e-7;
    }
    put(&r);
    assert_int_equal(out.failed, 0);
    for (size_t i = 0; i + 1 < out.size; i++)
        commas += out.data[i] == ']' && out.data[i + 1] == ',';
    assert_int_equal(commas, N - 1);
    buffer_done(&out);
    buffer_init(&out, 10000);
    writer = json_writer(&out);
    put(&r);
    assert_int_equal(out.failed, -ENOBUFS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(matrix), TEST(histograms), TEST(others), TEST(many)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
