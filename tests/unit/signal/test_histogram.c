/* The stored form of native histograms: back and forth, malformed bytes, what is refused. */
#include "../unit.h"
#include "signal/histogram.h"

#include <errno.h>
#include <math.h>

static void back_and_forth(const struct histogram *h) {
    struct histogram got = {0};
    struct arena a;
    struct buffer b;

    arena_init(&a, 1 << 20);
    buffer_init(&b, 1 << 20);
    assert_int_equal(histogram_encode(h, &b), 0);
    assert_int_equal(histogram_decode(buffer_slice(&b), &a, &got), 0);
    assert_int_equal(got.positive.n, h->positive.n);
    assert_int_equal(got.negative.n, h->negative.n);
    assert_int_equal(got.n_custom, h->n_custom);
    for (size_t i = 0; i < h->positive.n; i++) {
        assert_int_equal(got.positive.index[i], h->positive.index[i]);
        assert_memory_equal(&got.positive.count[i], &h->positive.count[i], 8);
    }
    for (size_t i = 0; i < h->n_custom; i++)
        assert_memory_equal(&got.custom[i], &h->custom[i], 8);
    /* Cut anywhere it is refused. */
    for (size_t n = 0; n < b.size; n++)
        assert_int_equal(histogram_decode(slice_new(b.data, n), &a, &got), -EBADMSG);
    buffer_append_u8(&b, 0);
    assert_int_equal(histogram_decode(buffer_slice(&b), &a, &got), -EBADMSG);
    buffer_done(&b);
    arena_done(&a);
}

static void test_forms(void **state) {
    const int32_t index[] = {INT32_MIN, -3, 0, 7, INT32_MAX};
    const double whole[] = {0, 9007199254740991.0, 1, 5, 3}, parts[] = {0.5, 1e300, 2, 3, 1e-300};
    const double custom[] = {-1.5, 0, 0.25, 10};

    back_and_forth(&(struct histogram){0});
    back_and_forth(
            &(struct histogram){.positive = {5, index, whole}, .negative = {2, index, whole}});
    back_and_forth(&(struct histogram){.positive = {5, index, parts}});
    back_and_forth(&(struct histogram){
            .schema = -53, .positive = {1, index + 2, whole}, .n_custom = 4, .custom = custom});
}

static void test_checks(void **state) {
    const int32_t ascending[] = {0, 1}, twice[] = {1, 1};
    const double counts[] = {1, 2}, negative[] = {1, -2}, nan[] = {1, NAN}, bounds[] = {2, 1};
    struct error e = ERROR_NONE;

    assert_int_equal(histogram_check(&(struct histogram){.positive = {2, ascending, counts}}, &e),
                     0);
    const struct histogram bad[] = {
            {.schema = 9},
            {.schema = -5},
            {.count = -1},
            {.count = NAN},
            {.zero_threshold = -1},
            {.positive = {2, twice, counts}},
            {.negative = {2, ascending, negative}},
            {.positive = {2, ascending, nan}},
            {.schema = -53, .n_custom = 2, .custom = bounds},
            {.schema = -53, .negative = {2, ascending, counts}},
            {.schema = -53, .positive = {2, ascending, counts}},
            {.positive = {HISTOGRAM_BUCKETS_MAX + 1, NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        e = ERROR_NONE;
        assert_int_equal(histogram_check(&bad[i], &e), -EINVAL);
        assert_true(*e.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_checks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
