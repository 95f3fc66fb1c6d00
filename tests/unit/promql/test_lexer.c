/* Tokens: numbers against durations, strings and their escapes, names, and what is no token. */
#include "../unit.h"

#include "query/promql/ast.h"
#include "query/promql/lexer.h"

#include <errno.h>
#include <math.h>

static void expect_kinds(const char *text, const enum token_kind *kinds, size_t n) {
    struct lexer l;

    lexer_init(&l, slice_from(text));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(lexer_next(&l).kind, kinds[i]);
}

#define KINDS(text, ...)                                                                           \
    expect_kinds(text, (const enum token_kind[]){__VA_ARGS__},                                     \
                 sizeof((const enum token_kind[]){__VA_ARGS__}) / sizeof(enum token_kind))

static void test_numbers(void **state) {
    KINDS("1 1.5 .5 1e3 1.e-3 0x1f", TOKEN_NUMBER, TOKEN_NUMBER, TOKEN_NUMBER, TOKEN_NUMBER,
          TOKEN_NUMBER, TOKEN_NUMBER, TOKEN_END);
    KINDS("5m 1h30m 100ms 1y2w", TOKEN_DURATION, TOKEN_DURATION, TOKEN_DURATION, TOKEN_DURATION,
          TOKEN_END);
    KINDS("5x", TOKEN_ERROR);
    KINDS("0x", TOKEN_ERROR);
    KINDS("1.2.3", TOKEN_ERROR);
    KINDS("5m3", TOKEN_ERROR);
}

static void test_punctuation(void **state) {
    KINDS("== =~ != !~ <= >= < > = </ >/", TOKEN_EQ, TOKEN_REGEX, TOKEN_NE, TOKEN_NOT_REGEX,
          TOKEN_LE, TOKEN_GE, TOKEN_LT, TOKEN_GT, TOKEN_ASSIGN, TOKEN_TRIM_UPPER, TOKEN_TRIM_LOWER,
          TOKEN_END);
    KINDS("a # rest is a comment\n b", TOKEN_NAME, TOKEN_NAME, TOKEN_END);
    KINDS("!", TOKEN_ERROR);
    KINDS("$", TOKEN_ERROR);
    KINDS("", TOKEN_END, TOKEN_END);
}

static void test_names(void **state) {
    struct lexer l;

    KINDS("a:b :c _d", TOKEN_NAME, TOKEN_NAME, TOKEN_NAME, TOKEN_END);
    lexer_init(&l, slice_from("a:b"));
    l.brackets = true;
    assert_int_equal(lexer_next(&l).kind, TOKEN_NAME);
    assert_int_equal(lexer_next(&l).kind, TOKEN_COLON);
    assert_int_equal(lexer_next(&l).kind, TOKEN_NAME);
}

static void expect_text(const char *quoted, const char *plain) {
    struct arena a;
    struct slice s;

    arena_init(&a, 10000);
    int r = string_unquote(&a, slice_from(quoted), &s);
    if (plain) {
        assert_int_equal(r, 0);
        assert_slice(s, plain);
    } else {
        assert_int_equal(r, -EINVAL);
    }
    arena_done(&a);
}

static void test_strings(void **state) {
    KINDS("\"a\" 'b' `c`", TOKEN_STRING, TOKEN_STRING, TOKEN_STRING, TOKEN_END);
    KINDS("\"a", TOKEN_ERROR);
    KINDS("\"a\\", TOKEN_ERROR);
    KINDS("\"a\nb\"", TOKEN_ERROR);
    KINDS("`a\nb`", TOKEN_STRING, TOKEN_END);
    expect_text("\"a\\n\\t\\\"\\\\\"", "a\n\t\"\\");
    expect_text("'\\''", "'");
    expect_text("`\\n`", "\\n");
    expect_text("\"\\x41\\101\\u00e9\\U0001F600\"", "AA\xc3\xa9\xf0\x9f\x98\x80");
    expect_text("\"\\q\"", NULL);
    expect_text("\"\\x4\"", NULL);
    expect_text("\"\\ud800\"", NULL);
    expect_text("\"\\400\"", NULL);
    expect_text("\"\\'\"", NULL);
}

static void expect_number(double v, const char *f, const char *g) {
    struct buffer b;

    buffer_init(&b, 1000);
    print_float(&b, v);
    assert_slice(buffer_slice(&b), f);
    buffer_clear(&b);
    print_float_g(&b, v);
    assert_slice(buffer_slice(&b), g);
    buffer_done(&b);
}

static void test_printing_numbers(void **state) {
    expect_number(0, "0", "0");
    expect_number(-1.5, "-1.5", "-1.5");
    expect_number(0.1, "0.1", "0.1");
    expect_number(1e6, "1000000", "1e+06");
    expect_number(123456, "123456", "123456");
    expect_number(1.25e-7, "0.000000125", "1.25e-07");
    expect_number(INFINITY, "+Inf", "+Inf");
    expect_number(NAN, "NaN", "NaN");
    expect_number(12345678.5, "12345678.5", "1.23456785e+07");
}

static void test_durations(void **state) {
    struct buffer b;
    double v;

    assert_int_equal(parse_duration_seconds(SLICE("1h30m"), &v), 0);
    assert_true(v == 5400);
    assert_int_equal(parse_duration_seconds(SLICE("5ms"), &v), 0);
    assert_true(v == 0.005);
    assert_int_equal(parse_duration_seconds(SLICE("30m1h"), &v), -EINVAL);
    assert_int_equal(parse_duration_seconds(SLICE("5m5m"), &v), -EINVAL);
    assert_int_equal(parse_duration_seconds(SLICE(""), &v), -EINVAL);
    assert_int_equal(parse_duration_seconds(SLICE("99999999999y"), &v), -ERANGE);
    buffer_init(&b, 100);
    print_duration_ms(&b, 5400000);
    buffer_append_u8(&b, ' ');
    print_duration_ms(&b, -300001);
    buffer_append_u8(&b, ' ');
    print_duration_ms(&b, 7 * 86400000);
    buffer_append_u8(&b, ' ');
    print_duration_ms(&b, INT64_MIN);
    assert_true(slice_starts(buffer_slice(&b), SLICE("1h30m -5m1ms 1w -")));
    buffer_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_numbers),   cmocka_unit_test(test_punctuation),
            cmocka_unit_test(test_names),     cmocka_unit_test(test_strings),
            cmocka_unit_test(test_durations), cmocka_unit_test(test_printing_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
