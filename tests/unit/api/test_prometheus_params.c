/* Protects how Prometheus' API reads times, durations and escaped names. */
#include "../unit.h"

#include "api/prometheus_call.h"

static void times(void **state) {
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
            {"0", 0},
            {"1435781430.781", 1435781430781},
            {"1435781430", 1435781430000},
            {"-1.5", -1500},
            {"1e3", 1000000},
            {"2015-07-01T20:10:30.781Z", 1435781430781},
            {"2015-07-01T22:10:30.781+02:00", 1435781430781},
            {"1795274403276", 1795274403276000}, /* what Grafana's probe sends */
            {"-292273086-05-16T16:47:06Z", -(INT64_C(1) << 53)},
            {"292277025-08-18T07:12:54.999999999Z", INT64_C(1) << 53},
    };
    static const char *const bad[] = {"",   "now", "NaN",   "Inf",        "1e300",
                                      "5m", "1 ",  "0x10z", "2015-07-01", "1795274403276000000"};
    int64_t ms;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        if (prom_parse_time(slice_from(good[i].text), &ms) < 0 || ms != good[i].ms)
            fail_msg("%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (prom_parse_time(slice_from(bad[i]), &ms) == 0)
            fail_msg("\"%s\" was taken as %lld", bad[i], (long long) ms);
}

static void durations(void **state) {
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
            {"15", 15000},
            {"0.5", 500},
            {"5m", 300000},
            {"1h30m", 5400000},
            {"1d", 86400000},
            {"1w", 604800000},
            {"100ms", 100},
            {"1m5s10ms", 65010},
            {"0", 0},
            {"-1", -1000},
            {"1y", INT64_C(31536000000)},
    };
    static const char *const bad[] = {"",    "m",  "1s1m", "1m1m", "1.5h",
                                      "5 m", "x5", "1e99", "5mm",  "99999999999999999999s",
                                      "-5m"};
    int64_t ms;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        if (prom_parse_duration(slice_from(good[i].text), &ms) < 0 || ms != good[i].ms)
            fail_msg("%s", good[i].text);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (prom_parse_duration(slice_from(bad[i]), &ms) == 0)
            fail_msg("\"%s\" was taken as %lld", bad[i], (long long) ms);
}

static void names(void **state) {
    static const char *const cases[][2] = {
            {"job", "job"},
            {"U__job", "job"},
            {"U__a_2e_b", "a.b"},
            {"U__a__b", "a_b"},
            {"U__caf_e9_", "caf\xc3\xa9"},
            {"U___20ac_", "\xe2\x82\xac"},
            {"U___1f600_", "\xf0\x9f\x98\x80"},
            /* not escaped as it says: left as it is */
            {"U__a_", "U__a_"},
            {"U__a_zz_", "U__a_zz_"},
            {"U__a_d800_", "U__a_d800_"},
            {"U__a_110000_", "U__a_110000_"},
            {"U__a_0000000000041_", "U__a_0000000000041_"},
            {"U__a_2e", "U__a_2e"},
            {"U__", ""},
    };
    struct arena a;

    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_slice(prom_unescape_name(&a, slice_from(cases[i][0])), cases[i][1]);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(times), cmocka_unit_test(durations),
                                       cmocka_unit_test(names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
