/* Numbers as Prometheus' answers have them: shortest digits that read back equal, whatever the
 * bits. */
#include "../unit.h"

#include "wire/json.h"

#include <math.h>

static void known(void **state) {
    static const struct {
        double v;
        const char *text;
    } cases[] = {
            {0, "0"},
            {-0.0, "-0"},
            {1, "1"},
            {1e6, "1000000"},
            {-1.5, "-1.5"},
            {0.1, "0.1"},
            {1e20, "100000000000000000000"},
            {1e21, "1e+21"},
            {-1.5e21, "-1.5e+21"},
            {1e-6, "0.000001"},
            {9.9e-7, "9.9e-07"},
            {5e-324, "5e-324"},
            {1.7976931348623157e308, "1.7976931348623157e+308"},
            {4.35, "4.35"},
            {9007199254740993.0, "9007199254740992"},
            {NAN, "NaN"},
            {INFINITY, "+Inf"},
            {-INFINITY, "-Inf"},
    };
    char text[NUMBER_TEXT_MAX];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_slice(slice_new(text, double_to_prometheus(cases[i].v, text)), cases[i].text);
}

/* No number needs more digits than printf's shortest precision that reads back equal. */
static void shortest(void **state) {
    uint64_t x = 88172645463325252u;
    char text[64];

    for (unsigned i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        double v, back;
        int precision = 0;
        memcpy(&v, &x, sizeof(v));
        if (!isfinite(v) || v == 0)
            continue;
        do
            snprintf(text, sizeof(text), "%.*e", precision++, v);
        while (strtod(text, NULL) != v);
        struct decimal d = double_to_decimal(v);
        size_t n = uint_to_text(d.digits, text);
        assert_true((int) n <= precision);
        n = double_to_prometheus(v, text);
        assert_true(n <= NUMBER_TEXT_MAX);
        assert_int_equal(slice_to_double(slice_new(text, n), &back), 0);
        assert_true(back == v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(shortest)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
