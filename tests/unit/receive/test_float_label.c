/* Bounds and quantiles in their canonical form: what both text formats agree on. */
#include "../unit.h"

#include "receive/float_label.h"

static void canonical_forms(void **state) {
    static const char *const rows[][2] = {
            {"0", "0.0"},           {"1", "1.0"},
            {"1.0", "1.0"},         {"0.25", "0.25"},
            {"0.50", "0.5"},        {"5", "5.0"},
            {"100", "100.0"},       {"-1", "-1.0"},
            {"100000", "100000.0"}, {"1000000", "1e+06"},
            {"1e3", "1000.0"},      {"0.0001", "0.0001"},
            {"0.00001", "1e-05"},   {"1234567.5", "1.2345675e+06"},
            {"+Inf", "+Inf"},       {"Inf", "+Inf"},
            {"-Inf", "-Inf"},       {"nan", "NaN"},
            {"0.1", "0.1"},         {"2.5", "2.5"},
            {"0.005", "0.005"},     {"1e300", "1e+300"},
    };
    struct arena a;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice got = float_label_canonical(slice_from(rows[i][0]), &a);
        if (!slice_equal(got, slice_from(rows[i][1])))
            fail_msg("%s became %.*s, not %s", rows[i][0], SLICE_ARG(got), rows[i][1]);
    }
    arena_done(&a);
}

static void what_is_no_number_stays(void **state) {
    static const char *const rows[] = {"", "x", "1x", "0x10", "1 ", "le"};
    struct arena a;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice value = slice_from(rows[i]);
        assert_ptr_equal(float_label_canonical(value, &a).data, value.data);
    }
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(canonical_forms),
            cmocka_unit_test(what_is_no_number_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
