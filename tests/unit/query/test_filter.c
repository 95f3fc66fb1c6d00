/* Protects the filter language: what parses, what it prints back, and where errors point. */
#include "../unit.h"

#include "query/filter.h"
#include "query/filter_fields.h"

static struct arena arena;

static int setup(void **state) {
    arena_init(&arena, 64 << 20);
    return 0;
}

static int teardown(void **state) {
    arena_done(&arena);
    return 0;
}

static char *print(const struct filter *f) {
    struct buffer b;

    buffer_init(&b, 1 << 20);
    assert_int_equal(filter_print(f, &b), 0);
    char *text = arena_printf(&arena, "%.*s", (int) b.size, b.data ? (char *) b.data : "");
    buffer_done(&b);
    return text;
}

static struct filter *parse(enum filter_signal signal, const char *text) {
    struct filter *f = NULL;
    struct filter_error e;
    int r = filter_parse(&arena, signal, slice_from(text), &f, &e);

    if (r < 0)
        fail_msg("%s: column %u: %s (%s)", text, e.column, e.message, e.hint);
    return f;
}

/* Parses, prints, and parses the print again: equal tree, equal print. */
static void check(enum filter_signal signal, const char *text, const char *canonical) {
    struct filter *f = parse(signal, text);
    const char *printed = print(f);

    assert_string_equal(printed, canonical);
    struct filter *again = parse(signal, printed);
    assert_true(filter_equal(f, again));
    assert_string_equal(print(again), canonical);
}

static void prints_canonical_text(void **state) {
    static const struct {
        const char *text, *canonical;
    } cases[] = {
            {"", ""},
            {"  \t\n", ""},
            {"service=shop", "service=shop"},
            {"service = shop", "service=shop"},
            {"service==shop", "service=shop"},
            {"Service=shop", "service=shop"},
            {"operation=x", "name=x"},
            {"service=shop AND duration>200ms AND http.response.status_code>=500 AND \"timeout\"",
             "service=shop AND duration>200ms AND http.response.status_code>=500 AND \"timeout\""},
            {"service=shop duration>1.5s timeout",
             "service=shop AND duration>1.5s AND \"timeout\""},
            {"a=1 OR b=2 AND c=3", "a=1 OR b=2 AND c=3"},
            {"(a=1 OR b=2) AND c=3", "(a=1 OR b=2) AND c=3"},
            {"((a=1))", "a=1"},
            {"a=1 AND (b=2 AND c=3)", "a=1 AND b=2 AND c=3"},
            {"a=1 or (b=2 or c=3)", "a=1 OR b=2 OR c=3"},
            {"a=1 && b=2 || c=3", "a=1 AND b=2 OR c=3"},
            {"not a=1", "NOT a=1"},
            {"-a=1", "NOT a=1"},
            {"!a=1", "NOT a=1"},
            {"NOT (a=1 b=2)", "NOT (a=1 AND b=2)"},
            {"NOT NOT a=1", "NOT NOT a=1"},
            {"-timeout", "NOT \"timeout\""},
            {"service IN (a, b,\"c d\")", "service IN (a, b, \"c d\")"},
            {"service in(a)", "service IN (a)"},
            {"service NOT IN (a, b)", "service NOT IN (a, b)"},
            {"exists http.route", "EXISTS http.route"},
            {"exists=1", "@exists=1"},
            {"in=1 and and=2", "@in=1 AND @and=2"},
            {"name=GET*", "name=GET*"},
            {"name=\"GET*\"", "name=\"GET*\""},
            {"name=\"GET /x\"", "name=\"GET /x\""},
            {"name='GET /x'", "name=\"GET /x\""},
            {"name=\"a\\\"b\\\\c\\n\"", "name=\"a\\\"b\\\\c\\n\""},
            {"name~^GET.*", "name~^GET.*"},
            {"name~\"\\d+ (ms|s)\"", "name~\"\\\\d+ (ms|s)\""},
            {"name!~x", "name!~x"},
            {"name=~x", "name~x"},
            {"@\"odd key\"=1", "@\"odd key\"=1"},
            {"@service=1", "@service=1"},
            {"@http.target=1", "http.target=1"},
            {"@http.route=1", "@http.route=1"},
            {"resource.host.name=web", "resource.host.name=web"},
            {"resource.\"odd key\"=web", "resource.\"odd key\"=web"},
            {"a= =b", "a= =b"},
            {"a= =b*", "a= =b*"},
            {"a=\"=b\"", "a= =b"},
            {"url.full=http://x/y?a=b&c=d", "url.full=http://x/y?a=b&c=d"},
            {"a=\"\"", "a=\"\""},
            {"a=b\"c\"", "a=b AND \"c\""},
            {"status=error", "status=error"},
            {"http.status_code=500", "http.response.status_code=500"},
            {"entry=true root=false", "entry=true AND root=false"},
            {"trace_id=4bf92f3577b34da6a3ce929d0e0e4736",
             "trace_id=4bf92f3577b34da6a3ce929d0e0e4736"},
            {"size>10MB", "size>10MB"},
            {"größe=5 ümlaut", NULL},
    };

    for (size_t i = 0; i + 1 < sizeof(cases) / sizeof(cases[0]); i++)
        check(FILTER_SPANS, cases[i].text, cases[i].canonical);
    check(FILTER_SPANS, "@\"größe\"=5 ümlaut", "@\"größe\"=5 AND \"ümlaut\"");
    check(FILTER_LOGS, "level>=warn body~x severity=info", "level>=warn AND body~x AND level=info");
    check(FILTER_LOGS, "status=500 duration>3 http.route=/x",
          "status=500 AND duration>3 AND http.route=/x");
}

static void points_at_errors(void **state) {
    static const struct {
        enum filter_signal signal;
        const char *text;
        unsigned column, length;
        const char *code, *hint_part;
    } cases[] = {
            {FILTER_SPANS, "service=", 9, 1, "filter_syntax", ""},
            {FILTER_SPANS, "service", 1, 7, "filter_syntax", "service=shop"},
            {FILTER_SPANS, "service:shop", 8, 1, "filter_syntax", "service=shop"},
            {FILTER_SPANS, "servce=shop", 1, 6, "filter_key", "did you mean service"},
            {FILTER_SPANS, "a=1 AND durtion>2s", 9, 7, "filter_key", "duration"},
            {FILTER_SPANS, "a=1 AND", 8, 1, "filter_syntax", ""},
            {FILTER_SPANS, "AND a=1", 1, 3, "filter_syntax", "quotes"},
            {FILTER_SPANS, "(a=1", 1, 1, "filter_syntax", ""},
            {FILTER_SPANS, "a=1)", 4, 1, "filter_syntax", ""},
            {FILTER_SPANS, "()", 2, 1, "filter_syntax", ""},
            {FILTER_SPANS, "a=\"x", 3, 2, "filter_syntax", "\""},
            {FILTER_SPANS, "\"x\"=5", 4, 1, "filter_syntax", "@"},
            {FILTER_SPANS, "a IN b", 6, 1, "filter_syntax", "IN ("},
            {FILTER_SPANS, "a IN (b", 8, 1, "filter_syntax", ""},
            {FILTER_SPANS, "a IN (b c)", 9, 1, "filter_syntax", ""},
            {FILTER_SPANS, "a IN ()", 7, 1, "filter_syntax", ""},
            {FILTER_SPANS, "duration>200", 10, 3, "filter_syntax", "200ms"},
            {FILTER_SPANS, "duration>x", 10, 1, "filter_syntax", "200ms"},
            {FILTER_LOGS, "duration>200ms", 10, 5, "filter_syntax", "spans"},
            {FILTER_SPANS, "x>5ms", 3, 3, "filter_syntax", "duration"},
            {FILTER_SPANS, "x>abc", 3, 3, "filter_syntax", "10MB"},
            {FILTER_SPANS, "x>nan", 3, 3, "filter_syntax", ""},
            {FILTER_SPANS, "x>0x10", 3, 4, "filter_syntax", ""},
            {FILTER_SPANS, "service>a", 1, 9, "filter_syntax", "IN"},
            {FILTER_SPANS, "kind=serverr", 6, 7, "filter_syntax", "server"},
            {FILTER_SPANS, "status>ok", 1, 9, "filter_syntax", ""},
            {FILTER_LOGS, "level=loud", 7, 4, "filter_syntax", "warn"},
            {FILTER_SPANS, "trace_id=xyz", 10, 3, "filter_syntax", ""},
            {FILTER_SPANS, "entry=maybe", 7, 5, "filter_syntax", ""},
            {FILTER_SPANS, "name~\"a(b\"", 9, 1, "filter_syntax", "RE2"},
            {FILTER_SPANS, "name~(?=x)", 6, 1, "filter_syntax", ""},
            {FILTER_SPANS, "name~\"(?=x)\"", 7, 1, "filter_syntax", "RE2"},
            {FILTER_SPANS, "name~\"(a)\\1\"", 10, 1, "filter_syntax", "RE2"},
            {FILTER_SPANS, "name~\"a{2000}\"", 8, 1, "filter_syntax", "RE2"},
            {FILTER_SPANS, "duration~x", 1, 10, "filter_syntax", ""},
            {FILTER_SPANS, "@=1", 2, 1, "filter_key", ""},
            {FILTER_SPANS, "EXISTS", 7, 1, "filter_key", ""},
            {FILTER_SPANS, "a=1 AND =5", 9, 1, "filter_syntax", ""},
            {FILTER_SPANS, "@\"\"=1", 2, 2, "filter_key", ""},
            {FILTER_SPANS, "ünïcode=1 (", 12, 1, "filter_key", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct filter *f = NULL;
        struct filter_error e = {0};
        int r = filter_parse(&arena, cases[i].signal, slice_from(cases[i].text), &f, &e);
        if (r != -EINVAL)
            fail_msg("%s: accepted", cases[i].text);
        if (i + 1 == sizeof(cases) / sizeof(cases[0]))
            break;
        if (e.column != cases[i].column || e.length != cases[i].length ||
            strcmp(e.code, cases[i].code) != 0 || !strstr(e.hint, cases[i].hint_part))
            fail_msg("%s: %s column %u length %u: %s (%s)", cases[i].text, e.code, e.column,
                     e.length, e.message, e.hint);
    }
}

static void keeps_limits(void **state) {
    struct buffer b;
    struct filter *f;
    struct filter_error e;

    buffer_init(&b, 1 << 20);
    for (unsigned i = 0; i < FILTER_DEPTH_MAX + 1; i++)
        buffer_append_text(&b, "(");
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, buffer_slice(&b), &f, &e), -EINVAL);
    assert_non_null(strstr(e.message, "deep"));
    buffer_clear(&b);
    for (unsigned i = 0; i < FILTER_DEPTH_MAX + 1; i++)
        buffer_append_text(&b, "NOT ");
    buffer_append_text(&b, "a=1");
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, buffer_slice(&b), &f, &e), -EINVAL);
    buffer_clear(&b);
    for (unsigned i = 0; i < FILTER_TERMS_MAX + 1; i++)
        buffer_append_text(&b, "a=1 ");
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, buffer_slice(&b), &f, &e), -EINVAL);
    assert_non_null(strstr(e.message, "conditions"));
    buffer_truncate(&b, b.size - 4);
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, buffer_slice(&b), &f, &e), 0);
    assert_int_equal(f->n_children, FILTER_TERMS_MAX);
    buffer_clear(&b);
    buffer_append_text(&b, "a IN (0");
    for (unsigned i = 0; i < FILTER_LIST_MAX; i++)
        buffer_append_text(&b, ",1");
    buffer_append_text(&b, ")");
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, buffer_slice(&b), &f, &e), -EINVAL);
    buffer_clear(&b);
    for (unsigned i = 0; i < FILTER_BYTES_MAX + 1; i++)
        buffer_append_text(&b, "a");
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, buffer_slice(&b), &f, &e), -EINVAL);
    buffer_truncate(&b, FILTER_VALUE_BYTES_MAX + 1);
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, buffer_slice(&b), &f, &e), -EINVAL);
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, SLICE("a=\xff"), &f, &e), -EINVAL);
    assert_int_equal(filter_parse(&arena, FILTER_SPANS, SLICE("a=\0b"), &f, &e), -EINVAL);
    buffer_done(&b);
}

/* Whatever tokens are strung together: what parses prints to what parses to the same tree. */
static void prints_what_it_reads(void **state) {
    static const char *const tokens[] = {
            "service",   "=",    "shop", " ",      "AND ", "OR ",  "NOT ",    "-",
            "(",         ")",    "a.b",  "!=",     "~",    ">",    "200ms",   "5",
            "IN (",      "x",    ",",    "\"q\"",  "'z'",  "@",    "EXISTS ", "duration",
            "*",         "GET*", "kind", "server", "in",   "not",  "level",   "warn",
            "resource.", "\\",   "<=",   "true",   "é",    "entry"};
    uint64_t seed = 42;
    unsigned parsed = 0;

    for (unsigned round = 0; round < 60000; round++) {
        char text[512];
        size_t n = 0;
        unsigned words = 1 + (unsigned) (seed >> 33) % 9;
        for (unsigned i = 0; i < words; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const char *t = tokens[(seed >> 33) % (sizeof(tokens) / sizeof(tokens[0]))];
            n += (size_t) snprintf(text + n, sizeof(text) - n, "%s", t);
        }
        enum filter_signal signal = round & 1 ? FILTER_SPANS : FILTER_LOGS;
        struct filter *f, *again;
        struct filter_error e;
        arena_clear(&arena);
        if (filter_parse(&arena, signal, slice_new(text, n), &f, &e) < 0) {
            assert_true(e.column >= 1 && e.length >= 1 && e.message[0] && e.column <= n + 1);
            continue;
        }
        parsed++;
        const char *printed = print(f);
        if (filter_parse(&arena, signal, slice_from(printed), &again, &e) < 0)
            fail_msg("%s → %s: %s", text, printed, e.message);
        if (!filter_equal(f, again) || strcmp(print(again), printed) != 0)
            fail_msg("%s → %s → %s", text, printed, print(again));
    }
    assert_true(parsed > 3000);
}

static void fails_without_memory(void **state) {
    struct slice text = SLICE("a=1 AND (b IN (x, \"y\") OR NOT c~\"z+\") \"text\"");
    struct filter *f;
    struct filter_error e;

    for (unsigned i = 1; i < 20; i++) {
        struct arena small;
        arena_init(&small, 1 << 20);
        memory_fail_at(i);
        int r = filter_parse(&small, FILTER_SPANS, text, &f, &e);
        memory_fail_at(0);
        assert_true(r == 0 || r == -ENOMEM);
        arena_done(&small);
    }
}

static void parses_single_keys(void **state) {
    struct filter_key k;
    struct filter_error e;

    assert_int_equal(filter_parse_key(&arena, FILTER_SPANS, SLICE("service"), &k, &e), 0);
    assert_int_equal(k.kind, KEY_FIELD);
    assert_int_equal(filter_parse_key(&arena, FILTER_LOGS, SLICE("http.route"), &k, &e), 0);
    assert_int_equal(k.kind, KEY_ATTRIBUTE);
    assert_int_equal(filter_parse_key(&arena, FILTER_LOGS, SLICE("@\"a b\""), &k, &e), 0);
    assert_slice(k.name, "a b");
    assert_int_equal(filter_parse_key(&arena, FILTER_LOGS, SLICE("a b"), &k, &e), -EINVAL);
    assert_int_equal(filter_parse_key(&arena, FILTER_LOGS, SLICE(""), &k, &e), -EINVAL);
    assert_int_equal(filter_parse_key(&arena, FILTER_LOGS, SLICE("a'); DROP TABLE x"), &k, &e),
                     -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(prints_canonical_text, setup, teardown),
            cmocka_unit_test_setup_teardown(points_at_errors, setup, teardown),
            cmocka_unit_test_setup_teardown(keeps_limits, setup, teardown),
            cmocka_unit_test_setup_teardown(prints_what_it_reads, setup, teardown),
            cmocka_unit_test_setup_teardown(fails_without_memory, setup, teardown),
            cmocka_unit_test_setup_teardown(parses_single_keys, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
