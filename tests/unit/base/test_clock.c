/* Durations and RFC 3339 times, both ways and malformed. */
#include "../unit.h"

#include "base/clock.h"

#include <errno.h>

static void durations(void **state) {
    int64_t ns;

    assert_int_equal(duration_parse(SLICE("1h30m"), &ns), 0);
    assert_int_equal(ns, 5400 * NS_PER_S);
    assert_int_equal(duration_parse(SLICE("1.5ms"), &ns), 0);
    assert_int_equal(ns, 1500000);
    assert_int_equal(duration_parse(SLICE("20\xc2\xb5s"), &ns), 0);
    assert_int_equal(ns, 20000);
    assert_int_equal(duration_parse(SLICE("5"), &ns), -EINVAL);
    assert_int_equal(duration_parse(SLICE("ms"), &ns), -EINVAL);
    assert_int_equal(duration_parse(SLICE(""), &ns), -EINVAL);
    assert_int_equal(duration_parse(SLICE("99999999999w"), &ns), -ERANGE);
}

static void rfc3339(void **state) {
    char text[31];
    int64_t ns;

    time_format_rfc3339(1700000000 * NS_PER_S + 42, text);
    assert_string_equal(text, "2023-11-14T22:13:20.000000042Z");
    assert_int_equal(time_parse_rfc3339(slice_from(text), &ns), 0);
    assert_int_equal(ns, 1700000000 * NS_PER_S + 42);
    assert_int_equal(time_parse_rfc3339(SLICE("2023-11-15T00:13:20.5+02:00"), &ns), 0);
    assert_int_equal(ns, 1700000000 * NS_PER_S + 500 * NS_PER_MS);
    assert_int_equal(time_parse_rfc3339(SLICE("2023-11-14 22:13"), &ns), -EINVAL);
    assert_int_equal(time_parse_rfc3339(SLICE("2023-13-14T22:13:20Z"), &ns), -EINVAL);
    assert_int_equal(time_parse_rfc3339(SLICE("2023-11-14T22:13:20"), &ns), -EINVAL);
    assert_int_equal(time_parse_rfc3339(SLICE("2023-11-14T22:13:20Zx"), &ns), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(durations),
            cmocka_unit_test(rfc3339),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
