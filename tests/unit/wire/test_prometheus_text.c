/* Prometheus' text formats: what is read, what is refused and where, numbers to the last bit. */
#include "../unit.h"

#include "wire/prometheus_text.h"

#include <math.h>
#include <stdio.h>

static struct prometheus_entry entries[64];

/* All entries of a body; fails the test at the first error. */
static size_t read_all(const char *text, enum prometheus_format format) {
    struct prometheus_text p;
    struct error e = ERROR_NONE;
    size_t n = 0;

    prometheus_text_init(&p, slice_from(text), format);
    for (; n < 64; n++) {
        if (prometheus_text_next(&p, &entries[n]) < 0) {
            prometheus_text_error(&p, &e);
            fail_msg("%s", e.text);
        }
        if (entries[n].kind == PROMETHEUS_END)
            return n;
    }
    return n;
}

static void expect_error(const char *text, enum prometheus_format format, const char *want) {
    struct prometheus_text p;
    struct prometheus_entry entry;
    struct error e = ERROR_NONE;
    int r;

    prometheus_text_init(&p, slice_from(text), format);
    while ((r = prometheus_text_next(&p, &entry)) == 0 && entry.kind != PROMETHEUS_END)
        ;
    if (r == 0)
        fail_msg("accepted: %s", text);
    prometheus_text_error(&p, &e);
    if (!strstr(e.text, want))
        fail_msg("%s\n  says %s\n  not  %s", text, e.text, want);
}

static void test_text(void **state) {
    size_t n = read_all("# HELP http_total Requests\\nseen\n"
                        "# TYPE http_total counter\n"
                        "http_total{code=\"200\",path=\"/\"} 1027 1395066363000\n"
                        "\n"
                        "  # a remark\n"
                        "#remark\n"
                        "plain 1.5e-3\n"
                        "spaced { a = \"b\" , } \t -Inf -5\n"
                        "{\"dotted.name\",\"with space\"=\"}\\\"\"} NaN\n"
                        "last +Inf",
                        PROMETHEUS_TEXT);
    assert_int_equal(n, 7);
    assert_int_equal(entries[0].kind, PROMETHEUS_HELP);
    assert_slice(entries[0].metric, "http_total");
    assert_slice(entries[0].text, "Requests\\nseen");
    assert_true(entries[0].escaped);
    assert_int_equal(entries[1].kind, PROMETHEUS_TYPE);
    assert_int_equal(entries[1].type, PROMETHEUS_COUNTER);
    assert_slice(entries[2].series, "http_total{code=\"200\",path=\"/\"}");
    assert_true(entries[2].value == 1027 && entries[2].has_time);
    assert_int_equal(entries[2].time_ms, 1395066363000);
    assert_slice(entries[3].series, "plain");
    assert_true(entries[3].value == 0.0015 && !entries[3].has_time);
    assert_true(isinf(entries[4].value) && entries[4].value < 0 && entries[4].time_ms == -5);
    assert_slice(entries[5].series, "{\"dotted.name\",\"with space\"=\"}\\\"\"}");
    assert_true(isnan(entries[5].value));
    assert_slice(entries[6].series, "last");
}

static void test_openmetrics(void **state) {
    size_t n =
            read_all("# TYPE lag_seconds histogram\n"
                     "# UNIT lag_seconds seconds\n"
                     "# HELP lag_seconds How late.\n"
                     "lag_seconds_bucket{le=\"1.0\"} 5 # {trace_id=\"abc\"} 0.67 1520879607.789\n"
                     "lag_seconds_bucket{le=\"+Inf\"} 7 1520879607.5 # {} 9\n"
                     "lag_seconds_created 1520430000.123\n"
                     "# TYPE state stateset\n"
                     "# TYPE build info\n"
                     "# EOF\n",
                     PROMETHEUS_OPENMETRICS);
    assert_int_equal(n, 8);
    assert_int_equal(entries[1].kind, PROMETHEUS_UNIT);
    assert_slice(entries[1].text, "seconds");
    assert_true(entries[3].has_exemplar && entries[3].exemplar_has_time && !entries[3].has_time);
    assert_slice(entries[3].exemplar, "{trace_id=\"abc\"}");
    assert_true(entries[3].exemplar_value == 0.67);
    assert_int_equal(entries[3].exemplar_time_ms, 1520879607789);
    assert_int_equal(entries[4].time_ms, 1520879607500);
    assert_true(entries[4].has_exemplar && !entries[4].exemplar_has_time);
    assert_int_equal(entries[6].type, PROMETHEUS_STATE_SET);
    assert_int_equal(entries[7].type, PROMETHEUS_INFO);
    assert_int_equal(read_all("# EOF", PROMETHEUS_OPENMETRICS), 0);
}

static void test_errors_have_a_place(void **state) {
    expect_error("a 1\nb{x=\"1\" 2\n", PROMETHEUS_TEXT, "line 2, column 2: the labels are not");
    expect_error("a\n", PROMETHEUS_TEXT, "line 1, column 2: this cannot stand in a name");
    expect_error("a \n", PROMETHEUS_TEXT, "line 1, column 3: a value is missing");
    expect_error("a one\n", PROMETHEUS_TEXT, "line 1, column 3: this is not a number");
    expect_error("a 0x10\n", PROMETHEUS_TEXT, "not a number");
    expect_error("a 1 1.5\n", PROMETHEUS_TEXT, "whole number of milliseconds");
    expect_error("a 1 2 3\n", PROMETHEUS_TEXT, "the line goes on");
    expect_error("1a 1\n", PROMETHEUS_TEXT, "name or a comment");
    expect_error("a-b 1\n", PROMETHEUS_TEXT, "line 1, column 2");
    expect_error("# TYPE a thing\n", PROMETHEUS_TEXT, "line 1, column 10: there is no such");
    expect_error("# TYPE a stateset\n", PROMETHEUS_TEXT, "no such metric type");
    expect_error("# HELP a \xff\n", PROMETHEUS_TEXT, "not UTF-8");
    expect_error("a 1\n", PROMETHEUS_OPENMETRICS, "does not end with # EOF");
    expect_error("# EOF\na 1\n", PROMETHEUS_OPENMETRICS, "behind # EOF");
    expect_error("\n# EOF\n", PROMETHEUS_OPENMETRICS, "line 1, column 1");
    expect_error("a  1\n# EOF\n", PROMETHEUS_OPENMETRICS, "value is missing");
    expect_error("a 1 \n# EOF\n", PROMETHEUS_OPENMETRICS, "line 1, column 4");
    expect_error("#x\n# EOF\n", PROMETHEUS_OPENMETRICS, "a space should follow");
    expect_error("# WHAT a\n# EOF\n", PROMETHEUS_OPENMETRICS, "one of TYPE, HELP");
    expect_error("# UNIT a seconds\n# EOF\n", PROMETHEUS_OPENMETRICS, "end with its unit");
    expect_error("a 1 # {b=\"c\"}\n# EOF\n", PROMETHEUS_OPENMETRICS, "a value after its labels");
    expect_error("# TYPE a untyped\n# EOF\n", PROMETHEUS_OPENMETRICS, "no such metric type");
}

static void test_hint(void **state) {
    const char *body = "a{b=\"1\"} 1\na{b=\"1\"}x 2\n";
    struct prometheus_text p;
    struct prometheus_entry entry;

    prometheus_text_init(&p, slice_from(body), PROMETHEUS_TEXT);
    p.expected = SLICE("a{b=\"1\"}");
    assert_int_equal(prometheus_text_next(&p, &entry), 0);
    assert_true(slice_equal(entry.series, p.expected));
    /* A longer text is not taken for the expected one. */
    assert_int_equal(prometheus_text_next(&p, &entry), -EBADMSG);
}

/* ---- Labels ---- */

static void expect_labels(const char *series, const char *want) {
    struct prometheus_label *labels;
    struct arena a;
    struct buffer out;
    const char *why = NULL;
    size_t n, at = 0;

    arena_init(&a, 1 << 20);
    buffer_init(&out, 10000);
    int r = prometheus_text_labels(slice_from(series), &a, &labels, &n, &why, &at);
    if (r < 0)
        buffer_printf(&out, "%zu: %s", at, why);
    for (size_t i = 0; r == 0 && i < n; i++)
        buffer_printf(&out, "%.*s=%.*s;", SLICE_ARG(labels[i].name), SLICE_ARG(labels[i].value));
    buffer_append_u8(&out, 0);
    assert_string_equal((const char *) out.data, want);
    buffer_done(&out);
    arena_done(&a);
}

static void test_labels(void **state) {
    expect_labels("a", "__name__=a;");
    expect_labels("a:b{}", "__name__=a:b;");
    expect_labels("a {x=\"1\",y=\"\"}", "__name__=a;x=1;y=;");
    expect_labels("a{x=\"1\",}", "__name__=a;x=1;");
    expect_labels("a{x=\"\\\\ \\\" \\n \\t\"}", "__name__=a;x=\\ \" \n \\t;");
    expect_labels("{x=\"1\",\"a.b\"}", "__name__=a.b;x=1;");
    expect_labels("{\"a.b\",\"c d\"=\"e\"}", "__name__=a.b;c d=e;");
    expect_labels("{x=\"1\"}", "x=1;");
    expect_labels("a{\"b\"}", "2: the metric has a name already");
    expect_labels("a{x=1}", "4: a label's value stands in quotes");
    expect_labels("a{x:y=\"1\"}", "3: = and a value should follow the label's name");
    expect_labels("a{x=\"1\" y=\"2\"}", "8: a comma or } should stand here");
    expect_labels("a{,}", "2: a label's name should stand here");
    expect_labels("a{x=\"\xc3\x28\"}", "5: this text is not UTF-8");
    expect_labels("a{x=\"1\"}b", "8: something stands behind the labels");
    expect_labels("a{x=\"1", "4: this string is not closed");
}

static void test_many_labels(void **state) {
    struct prometheus_label *labels;
    struct buffer text;
    struct arena a;
    const char *why = NULL;
    size_t n, at;

    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "a{");
    for (unsigned i = 0; i < PROMETHEUS_LABELS_MAX + 1; i++)
        buffer_printf(&text, "l%u=\"v\",", i);
    buffer_append_text(&text, "}");
    arena_init(&a, 1 << 20);
    assert_int_equal(prometheus_text_labels(buffer_slice(&text), &a, &labels, &n, &why, &at),
                     -EBADMSG);
    assert_string_equal(why, "too many labels");
    arena_done(&a);
    buffer_done(&text);
}

/* ---- Numbers ---- */

static void test_numbers(void **state) {
    static const char *good[] = {"0",
                                 "-0",
                                 "1",
                                 "0.1",
                                 "1e22",
                                 "1e23",
                                 "123456789012345678901",
                                 "4.35",
                                 ".5",
                                 "5.",
                                 "-1.5E-7",
                                 "+3",
                                 "1e-400",
                                 "1.7976931348623157e308",
                                 "5e-324",
                                 "0.30000000000000004",
                                 "9007199254740993",
                                 "1234567.891011",
                                 "0000000000000000000000012.5"};
    static const char *bad[] = {"",      "-",     ".",    "1e", "e5", "1_0", "0x1p3",
                                "1.2.3", "1e400", "nano", "in", "1 ", "--1"};
    double v;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(prometheus_number(slice_from(good[i]), &v), 0);
        double want = strtod(good[i], NULL);
        assert_memory_equal(&v, &want, sizeof(v));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (prometheus_number(slice_from(bad[i]), &v) != -EINVAL)
            fail_msg("%s", bad[i]);
    assert_int_equal(prometheus_number(SLICE("-inf"), &v), 0);
    assert_true(isinf(v) && v < 0);
    assert_int_equal(prometheus_number(SLICE("Infinity"), &v), 0);
    assert_true(isinf(v) && v > 0);
    assert_int_equal(prometheus_number(SLICE("NaN"), &v), 0);
    assert_true(isnan(v));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_text),    cmocka_unit_test(test_openmetrics),
            cmocka_unit_test(test_hint),    cmocka_unit_test(test_errors_have_a_place),
            cmocka_unit_test(test_labels),  cmocka_unit_test(test_many_labels),
            cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
