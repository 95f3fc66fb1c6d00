/* Native histograms: layouts brought together, sums, resets, statistics, text. */
#include "../unit.h"

#include "query/promql/histogram.h"

#include <math.h>

static struct arena a;

/* A histogram with the given positive buckets from index `from`, counted up. */
static struct promql_histogram *make(int schema, int from, const double *counts, uint32_t n,
                                     double sum) {
    struct promql_histogram *h = arena_new(&a, struct promql_histogram);

    h->schema = schema;
    h->sum = sum;
    h->positive.n = n;
    h->positive.index = arena_array(&a, int32_t, n);
    h->positive.count = arena_array(&a, double, n);
    for (uint32_t i = 0; i < n; i++) {
        h->positive.index[i] = from + (int) i;
        h->positive.count[i] = counts[i];
        h->count += counts[i];
    }
    return h;
}

#define MAKE(schema, from, sum, ...)                                                               \
    make(schema, from, (const double[]){__VA_ARGS__},                                              \
         sizeof((const double[]){__VA_ARGS__}) / sizeof(double), sum)

static void expect_text(const struct promql_histogram *h, const char *text) {
    struct buffer b;

    buffer_init(&b, 10000);
    promql_histogram_print(h, &b);
    assert_slice(buffer_slice(&b), text);
    buffer_done(&b);
}

static void test_bounds(void **state) {
    struct promql_histogram *h = MAKE(0, 0, 0, 1);

    assert_true(histogram_bound(h, 0) == 1);
    assert_true(histogram_bound(h, 3) == 8);
    assert_true(histogram_bound(h, -2) == 0.25);
    assert_true(histogram_bound(h, 1024) == 0x1.fffffffffffffp+1023);
    h->schema = 1;
    assert_true(fabs(histogram_bound(h, 1) - sqrt(2)) < 1e-15);
    assert_true(histogram_bound(h, -1) > 0.7 && histogram_bound(h, -1) < 0.71);
    h->schema = -2;
    assert_true(histogram_bound(h, -1) == 1.0 / 16);
    assert_true(isinf(histogram_bound(h, INT32_MAX)));
    assert_true(histogram_bound(h, INT32_MIN) >= 0);
}

static void test_combine(void **state) {
    struct promql_histogram *x = MAKE(0, 0, 5, 1, 2), *y = MAKE(1, 1, 3, 1, 1, 1, 1), *sum;
    unsigned flags = 0;

    /* Schema 1 indices 1…4 fall into schema 0 indices 1, 1, 2, 2. */
    assert_int_equal(histogram_combine(&a, x, y, 1, &sum, &flags), 0);
    expect_text(sum, "{count:7, sum:8, (0.5,1]:1, (1,2]:4, (2,4]:2}");
    assert_int_equal(histogram_combine(&a, sum, y, -1, &sum, &flags), 0);
    histogram_compact(sum);
    expect_text(sum, "{count:3, sum:5, (0.5,1]:1, (1,2]:2}");
    expect_text(y, "{count:4, sum:3, (1,1.4142135623730951]:1, (1.4142135623730951,2]:1, "
                   "(2,2.8284271247461903]:1, (2.8284271247461903,4]:1}");
    assert_int_equal(flags, 0);
}

static void test_zero_bucket(void **state) {
    struct promql_histogram *x = MAKE(0, -2, 1, 4, 4, 4), *y = MAKE(0, 1, 1, 1), *sum;
    unsigned flags = 0;

    /* 0.3 cuts (0.25,0.5] of x, which is populated: the threshold grows to 0.5. */
    y->zero_threshold = 0.3;
    y->zero_count = 2;
    y->count += 2;
    assert_int_equal(histogram_combine(&a, x, y, 1, &sum, &flags), 0);
    assert_true(sum->zero_threshold == 0.5);
    assert_true(sum->zero_count == 10);
    assert_int_equal(sum->positive.n, 2);
    assert_true(histogram_reset_between(&a, y, x)); /* the threshold fell */
}

static void test_custom(void **state) {
    static const double b1[] = {1, 2, 5}, b2[] = {2, 3, 5}, b3[] = {7};
    struct promql_histogram *x = MAKE(PROMQL_SCHEMA_CUSTOM, 0, 1, 1, 2, 3, 4), *sum;
    struct promql_histogram *y = MAKE(PROMQL_SCHEMA_CUSTOM, 0, 1, 1, 1, 1, 1);
    unsigned flags = 0;

    x->custom = b1;
    x->n_custom = 3;
    y->custom = b2;
    y->n_custom = 3;
    assert_int_equal(histogram_combine(&a, x, y, 1, &sum, &flags), 0);
    assert_int_equal(flags, HISTOGRAM_RECONCILED);
    expect_text(sum, "{count:14, sum:2, [-Inf,2]:4, (2,5]:5, (5,+Inf]:5}");
    y->custom = b3;
    y->n_custom = 1;
    y->positive.n = 2;
    assert_int_equal(histogram_combine(&a, x, y, 1, &sum, &flags), 0);
    assert_int_equal(sum->n_custom, 0);
    assert_int_equal(histogram_combine(&a, x, MAKE(0, 0, 1, 1), 1, &sum, &flags),
                     HISTOGRAM_MISMATCH);
}

static void test_sums(void **state) {
    struct histogram_sum s = {0};
    struct histogram_mean m = {0};
    unsigned flags = 0;
    const double sums[] = {1, 1e100, 1, -1e100};

    for (int i = 0; i < 4; i++) {
        struct promql_histogram *h = MAKE(0, i, sums[i], 2);

        assert_int_equal(histogram_sum_add(&a, &s, h, &flags), 0);
        assert_int_equal(histogram_mean_add(&a, &m, h, &flags), 0);
    }
    struct promql_histogram *sum = histogram_sum_finish(&s), *mean = histogram_mean_finish(&m);
    assert_true(sum->sum == 2 && sum->count == 8 && sum->positive.n == 4);
    assert_true(mean->sum == 0.5 && mean->count == 2);
}

static void test_resets(void **state) {
    struct promql_histogram *x = MAKE(0, 0, 5, 1, 2), *more = MAKE(0, 0, 9, 2, 3),
                            *moved = MAKE(0, 1, 9, 4, 1);

    assert_false(histogram_reset_between(&a, x, more));
    assert_true(histogram_reset_between(&a, more, x));
    assert_true(histogram_reset_between(&a, x, moved)); /* bucket 0 vanished */
    more->hint = PROMQL_RESET;
    assert_true(histogram_reset_between(&a, x, more));
    x->hint = PROMQL_NOT_RESET;
    assert_false(histogram_reset_between(&a, more, x));
    assert_true(histogram_equal(x, histogram_copy(&a, x)));
    assert_false(histogram_equal(x, moved));
}

static void test_statistics(void **state) {
    struct promql_histogram *h = MAKE(0, 0, 5, 1, 2, 1), *empty = MAKE(0, 0, 0, 0);
    unsigned flags = 0;

    assert_true(fabs(histogram_quantile(h, 0.5, &flags) - sqrt(2)) < 1e-12);
    assert_true(histogram_quantile(h, 1, &flags) == 4);
    assert_true(isinf(histogram_quantile(h, 2, &flags)));
    assert_true(isnan(histogram_quantile(h, NAN, &flags)));
    assert_true(isnan(histogram_quantile(empty, 0.5, &flags)));
    assert_true(histogram_fraction(h, 1, 2) == 0.5);
    assert_true(histogram_fraction(h, -INFINITY, INFINITY) == 1);
    assert_true(histogram_fraction(h, 2, 1) == 0);
    assert_true(isnan(histogram_fraction(empty, 0, 1)));
    assert_int_equal(flags, 0);
    struct promql_bucket b[2];
    assert_int_equal(promql_histogram_buckets(h, b, 2), 3);
    assert_true(b[0].lower == 0.5 && b[0].upper == 1 && b[1].count == 2);
    expect_text(histogram_trim(&a, h, 2, true),
                "{count:3, sum:3.5355339059327378, (0.5,1]:1, (1,2]:2}");
}

static void test_classic(void **state) {
    struct classic_bucket b[] = {{INFINITY, 10}, {1, 2}, {2, 6}};
    bool forced;

    assert_true(classic_quantile(b, 3, 0.5, &forced) == 1.75);
    assert_false(forced);
    assert_true(classic_fraction(b, 3, 1, 2) == 0.4);
    b[1].count = 1;
    classic_quantile(b, 3, 0.5, &forced);
    assert_true(forced);
    assert_true(isnan(classic_quantile(b, 0, 0.5, &forced)));
    assert_true(isnan(classic_quantile(b, 1, 0.5, &forced)));
}

/* Arithmetic on all kinds of nonsense ends. */
static void test_extremes(void **state) {
    struct promql_histogram *x = MAKE(8, INT32_MAX - 2, INFINITY, 1, NAN),
                            *y = MAKE(-4, INT32_MIN, NAN, INFINITY, -1), *sum;
    unsigned flags = 0;

    x->zero_threshold = 1e300;
    y->zero_threshold = 1e-300;
    assert_int_equal(histogram_combine(&a, x, y, 1, &sum, &flags), 0);
    histogram_quantile(x, 0.3, &flags);
    histogram_fraction(y, -5, 5);
    histogram_variance(x);
    histogram_trim(&a, y, NAN, false);
    histogram_divide(sum, 0);
    histogram_reset_between(&a, x, y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_bounds),      cmocka_unit_test(test_combine),
            cmocka_unit_test(test_zero_bucket), cmocka_unit_test(test_custom),
            cmocka_unit_test(test_sums),        cmocka_unit_test(test_resets),
            cmocka_unit_test(test_statistics),  cmocka_unit_test(test_classic),
            cmocka_unit_test(test_extremes),
    };

    arena_init(&a, 10u << 20);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&a);
    return r;
}
