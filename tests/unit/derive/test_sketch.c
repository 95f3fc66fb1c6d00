/* Quantile sketches: the buckets of the definition, at every edge. */
#include "../unit.h"

#include "derive/sketch.h"

#include <math.h>

static void buckets(void **state) {
    assert_int_equal(sketch_bucket(0), 0);
    assert_int_equal(sketch_bucket(1), 0);
    assert_int_equal(sketch_bucket(2), 36); /* ceil(log 2 / log 1.02) */
    for (unsigned i = 1; i < 2000; i++) {
        long double bound = expl(logl(1.02L) * i);
        uint64_t below = (uint64_t) floorl(bound);
        assert_true(sketch_bucket(below) <= i);
        assert_true(sketch_bucket(below + 1) > i);
    }
    uint64_t x = 1;
    for (unsigned i = 0; i < 100000; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t ns = x >> (i % 60);
        double wanted = ns <= 1 ? 0 : ceil(log((double) ns) / log(1.02) - 1e-9);
        assert_true(fabs((double) sketch_bucket(ns) - wanted) <= 1);
    }
    assert_true(sketch_bucket(UINT64_MAX) < SKETCH_BUCKETS);
}

/* A bucket's middle is at most 1 % from any of its durations. */
static void precision(void **state) {
    for (uint64_t ns = 100; ns < UINT64_C(1) << 40; ns += ns / 7 + 1) {
        double middle = 2 * pow(1.02, sketch_bucket(ns)) / (1 + 1.02);
        assert_true(fabs(middle - (double) ns) / (double) ns < 0.0101);
    }
}

static void writes(void **state) {
    static const struct native_column_def column = {"sketch", NATIVE_MAP_I16_U64, NULL};
    struct native_reader *r;
    struct native_block *b;
    struct sketch s = {NULL};
    struct buffer out;
    struct arena a;

    arena_init(&a, 1 << 20);
    buffer_init(&out, 1 << 20);
    assert_int_equal(native_block_new(&column, 1, 1 << 20, &b), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(sketch_add(&s, i % 2 ? 1000 : 2000000, &a), 0);
    assert_int_equal(sketch_write(&s, b, 0), 0);
    native_block_end_row(b);
    assert_int_equal(native_block_write(b, &out), 0);
    assert_int_equal(native_reader_new(buffer_slice(&out), &r), 0);
    assert_int_equal(native_reader_length(r, 0, 0), 2);
    assert_int_equal(native_reader_key(r, 0, 0, 0).u64, sketch_bucket(1000));
    assert_int_equal(native_reader_item(r, 0, 0, 0).u64, 50);
    assert_int_equal(native_reader_item(r, 0, 0, 1).u64, 50);
    native_reader_free(r);
    native_block_free(b);
    buffer_done(&out);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(buckets),
            cmocka_unit_test(precision),
            cmocka_unit_test(writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
