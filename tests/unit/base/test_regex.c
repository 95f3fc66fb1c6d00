/* Regular expressions: RE2's syntax and no other, anchoring, shortcuts, limits, replacement. */
#include "../unit.h"

#include "base/regex.h"

#include <stdio.h>

static void expect_match(const char *pattern, const char *text, int want) {
    struct regex *r;
    struct error e = ERROR_NONE;

    if (regex_compile(slice_from(pattern), &r, &e) < 0)
        fail_msg("%s: %s", pattern, e.text);
    int got = regex_match(r, slice_from(text));
    if (got != want)
        fail_msg("%s on \"%s\": %d", pattern, text, got);
    regex_unref(r);
}

static void test_matching(void **state) {
    expect_match("", "", 1);
    expect_match("", "a", 0);
    expect_match("abc", "abc", 1);
    expect_match("abc", "abcd", 0);
    expect_match("a|b|", "", 1);
    expect_match("\\|w.+", "we", 0);
    expect_match("\\|w.+", "|we", 1);
    expect_match("a|b", "ab", 0);
    expect_match("(a|b)", "b", 1);
    expect_match("(?:a|b\\.c)", "b.c", 1);
    expect_match("(a)|(b)", "b", 1);
    expect_match("(a)|b(c)", "bc", 1);
    expect_match(".*", "", 1);
    expect_match(".+", "", 0);
    expect_match(".+", "\n", 1);
    expect_match("ab.*", "ab\ncd", 1);
    expect_match("ab.*", "a", 0);
    expect_match("ab.+", "ab", 0);
    expect_match("ab.+", "abc", 1);
    expect_match(".*ab", "xab", 1);
    expect_match(".+ab", "ab", 0);
    expect_match(".*ab.*", "xaby", 1);
    expect_match("ab*", "a", 1);
    expect_match("ab?c", "ac", 1);
    expect_match("a{2}", "aa", 1);
    expect_match("a{2,}", "aaaa", 1);
    expect_match("a{,2}", "a{,2}", 1); /* no repetition in RE2: text */
    expect_match("a{", "a{", 1);
    expect_match("(?i)ABC", "abc", 1);
    expect_match("a(?i:B)c", "abc", 1);
    expect_match("(?s-i:a.b)", "a\nb", 1);
    expect_match("\\d+\\.\\d*", "12.5", 1);
    expect_match("\\s", "\v", 0); /* RE2's \s has no vertical tab */
    expect_match("[\\s]", "\v", 0);
    expect_match("[\\S]+", "ab\v", 1);
    expect_match("[^\\S]", " ", 1);
    expect_match("[[:digit:]a-c]+", "1b2", 1);
    expect_match("[]a]+", "]a", 1);
    expect_match("[a[]", "[", 1);
    expect_match("[a\\-z]", "-", 1);
    expect_match("[a-]", "-", 1);
    expect_match("\\Qa.b\\E.", "a.bx", 1);
    expect_match("\\x41\\x{1F600}", "A\xf0\x9f\x98\x80", 1);
    expect_match("\\101", "A", 1);
    expect_match("\\pL+", "\xc3\xa9", 1);
    expect_match("\\p{Greek}", "\xce\xb1", 1);
    expect_match("^a$", "a", 1);
    expect_match("a$", "a\n", 0);
    expect_match("\\Aa\\z", "a", 1);
    expect_match("\xc3\xa9*", "\xc3\xa9\xc3\xa9", 1);
    expect_match(".", "\xc3\xa9", 1);
    expect_match("(?P<n>a)(?<m>b)", "ab", 1);
    expect_match("a#b c", "a#b c", 1);
    expect_match("a+?b", "aab", 1);
    expect_match("a.*", "a\xff\xfe", 1); /* bytes that are no UTF-8 */
}

static void test_refused(void **state) {
    static const char *const bad[] = {
            "(",
            ")",
            "a)",
            "(a",
            "[",
            "[a",
            "[]",
            "*",
            "a**",
            "a*+",
            "a++",
            "a?+",
            "+a",
            "(*a)",
            "|*",
            "a{3,2}",
            "a{1001}",
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?>a)",
            "(?#c)",
            "(?R)",
            "(?1)",
            "(?(1)a)",
            "\\1",
            "\\k<a>",
            "\\K",
            "\\G",
            "\\Z",
            "\\h",
            "\\R",
            "\\X",
            "\\N",
            "\\C",
            "\\e",
            "\\cA",
            "\\8",
            "\\",
            "[\\",
            "[z-a]",
            "[a-\\d]",
            "[[:no:]]",
            "\\xZ",
            "\\x{110000}",
            "\\p{",
            "(?x)a",
            "(?P=n)",
            "(?P>n)",
            "(?P<n",
            "(?P<n>a)(?P<n>b)",
            "\\p{NoSuchScript}",
            "\\u0041",
            "(?",
            "(?i",
            "(?-)",
            "\xff",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct regex *r;
        struct error e = ERROR_NONE;

        if (regex_compile(slice_from(bad[i]), &r, &e) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_true(slice_starts(slice_from(e.text), SLICE("error parsing regexp")));
    }
}

static void test_shortcuts(void **state) {
    struct regex *r;
    size_t n;

    assert_int_equal(regex_compile(SLICE("a\\.b|c"), &r, NULL), 0);
    const struct slice *l = regex_literals(r, &n);
    assert_int_equal(n, 2);
    assert_slice(l[0], "a.b");
    regex_unref(r);
    assert_int_equal(regex_compile(SLICE("web-[0-9]+"), &r, NULL), 0);
    assert_null(regex_literals(r, &n));
    assert_slice(regex_prefix(r), "web-");
    regex_unref(r);
    assert_int_equal(regex_compile(SLICE("ab|cd.*"), &r, NULL), 0);
    assert_slice(regex_prefix(r), "");
    regex_unref(r);
    assert_int_equal(regex_compile(SLICE("abc?"), &r, NULL), 0);
    assert_slice(regex_prefix(r), "ab");
    regex_unref(r);
}

/* What a page sends when somebody picks thousands of values: texts, found by a table. */
static void test_many_literals(void **state) {
    struct regex *r;
    struct buffer b, out;

    buffer_init(&b, 1u << 20);
    buffer_init(&out, 1000);
    buffer_append_u8(&b, '(');
    for (int i = 0; i < 20000; i++)
        buffer_printf(&b, "%spod-%d-with-a-long-name", i ? "|" : "", i);
    buffer_append_u8(&b, ')');
    assert_int_equal(regex_compile(buffer_slice(&b), &r, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        char text[60];

        snprintf(text, sizeof(text), "pod-%d-with-a-long-name", i);
        assert_int_equal(regex_match(r, slice_from(text)), 1);
    }
    assert_int_equal(regex_match(r, SLICE("pod-20000-with-a-long-name")), 0);
    assert_int_equal(regex_expand(r, SLICE("pod-7-with-a-long-name"), SLICE("<$1$2>"), &out), 1);
    assert_slice(buffer_slice(&out), "<pod-7-with-a-long-name>");
    assert_int_equal(regex_expand(r, SLICE("x"), SLICE("$1"), &out), 0);
    regex_unref(r);
    buffer_done(&out);
    buffer_done(&b);
}

/* Expressions that would take exponential time end, with an answer or an error. */
static void test_bombs(void **state) {
    static const char *const bombs[] = {
            "(a*)*b",    "(a|a)*b",        "(a|aa)+$",           "(.*)*x(.*)*y",
            "((a+)+)+b", "(a?){25}a{25}b", "(((a{30}){30}){30})"};
    uint8_t text[20000];

    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        struct regex *r;

        if (regex_compile(slice_from(bombs[i]), &r, NULL) < 0)
            continue;
        assert_true(regex_match(r, slice_new(text, sizeof(text))) <= 1);
        regex_unref(r);
    }
}

static void expect_expand(const char *pattern, const char *text, const char *with,
                          const char *want) {
    struct regex *r;
    struct buffer b;

    assert_int_equal(regex_compile(slice_from(pattern), &r, NULL), 0);
    buffer_init(&b, 1000);
    assert_int_equal(regex_expand(r, slice_from(text), slice_from(with), &b), 1);
    assert_slice(buffer_slice(&b), want);
    buffer_done(&b);
    regex_unref(r);
}

static void test_expand(void **state) {
    expect_expand("(a)(b)?", "a", "$1-$2-$3", "a--");
    expect_expand("(a)", "a", "${1}x $1x $$1 $", "ax  $1 $");
    expect_expand("(?P<one>.)(.*)", "abc", "$2${one}", "bca");
    expect_expand("x", "x", "${1", "${1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_matching),  cmocka_unit_test(test_refused),
            cmocka_unit_test(test_shortcuts), cmocka_unit_test(test_bombs),
            cmocka_unit_test(test_expand),    cmocka_unit_test(test_many_literals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
