/* Protects how times in parameters are read. */
#include "../unit.h"

#include "api/call.h"

static const int64_t now = INT64_C(1700000000) * NS_PER_S;

static void reads_times(void **state) {
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
            {"now", INT64_C(1700000000000000000)},
            {"now-15m", INT64_C(1700000000000000000) - 900 * NS_PER_S},
            {"now+1s", INT64_C(1700000001000000000)},
            {"1700000000", INT64_C(1700000000000000000)},
            {"1700000000.5", INT64_C(1700000000500000000)},
            {"1700000000123", INT64_C(1700000000123000000)},
            {"1700000000123456", INT64_C(1700000000123456000)},
            {"1700000000123456789", INT64_C(1700000000123456789)},
            {"2023-11-14T22:13:20Z", INT64_C(1700000000000000000)},
            {"2023-11-14T23:13:20+01:00", INT64_C(1700000000000000000)},
    };
    int64_t ns;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse_time(slice_from(cases[i].text), now, &ns), 0);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void refuses_what_is_no_time(void **state) {
    static const char *const cases[] = {"",      "yesterday", "now-",         "now15m", "now-15",
                                        "-5",    "1e99",      "nan",          "nowish", "now--5m",
                                        "1700x", "inf",       "now-99999999w"};
    int64_t ns;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (parse_time(slice_from(cases[i]), now, &ns) == 0)
            fail_msg("%s: accepted", cases[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_times),
                                       cmocka_unit_test(refuses_what_is_no_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
