/* Secrets: which keys, which patterns, and what must be left alone. */
#include "../unit.h"

#include "derive/scrub.h"

static struct scrub *scrub;
static struct scrub_memo memo;
static struct arena arena;

static void keys(void **state) {
    static const struct {
        const char *key;
        enum scrub_verdict verdict;
    } cases[] = {
            {"password", SCRUB_TEXTS},
            {"db.user.password", SCRUB_TEXTS},
            {"userPassword", SCRUB_TEXTS},
            {"USER_PASSWD", SCRUB_TEXTS},
            {"X-Api-Key", SCRUB_TEXTS},
            {"apiKey", SCRUB_TEXTS},
            {"APIKey", SCRUB_TEXTS},
            {"aws_secret_access_key", SCRUB_TEXTS},
            {"http.request.header.authorization", SCRUB_LINE},
            {"http.response.header.set-cookie", SCRUB_LINE},
            {"session.id", SCRUB_TEXTS},
            {"creditCard", SCRUB_ALL},
            {"card.cvv", SCRUB_ALL},
            {"employee_badge", SCRUB_ALL}, /* an extra one */
            {"corp.employeeBadge.id", SCRUB_ALL},
            {"passwordless", SCRUB_KEEP},
            {"tokens", SCRUB_KEEP},
            {"gen_ai.usage.input_tokens", SCRUB_KEEP},
            {"token_type", SCRUB_KEEP},
            {"session.count", SCRUB_KEEP},
            {"http.route", SCRUB_KEEP},
            {"author", SCRUB_KEEP},
            {"", SCRUB_KEEP},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (scrub_key(scrub, slice_from(cases[i].key)) != cases[i].verdict)
            fail_msg("%s: %d", cases[i].key, (int) scrub_key(scrub, slice_from(cases[i].key)));
}

#define M SCRUB_MARK

static const struct {
    const char *text, *clean;
} texts[] = {
        {"login with password=hunter2 failed", "login with password=" M " failed"},
        {"password: \"hunter 2\", user: \"bob\"", "password: \"" M "\", user: \"bob\""},
        {"{\"password\": \"a\\\"b\", \"x\": 1}", "{\"password\": \"" M "\", \"x\": 1}"},
        {"[\"q = \\\"password=abc\\\"; x\"]", "[\"q = \\\"password=" M "\\\"; x\"]"},
        {"[\"token=abc\\\\\", 1]", "[\"token=" M "\", 1]"},
        {"[\"h = \\\"Authorization: a b c\\\"\"]", "[\"h = \\\"Authorization: " M "\\\"\"]"},
        {"{\\\"token\\\": \\\"abc\\\"}", "{\\\"token\\\": \\\"" M "\\\"}"},
        {"{'api_key': 'abc'}", "{'api_key': '" M "'}"},
        {"GET /x?token=abc&page=2", "GET /x?token=" M "&page=2"},
        {"Authorization: Basic dXNlcjpwYXNz\nHost: x", "Authorization: " M "\nHost: x"},
        {"Cookie: a=b; c=d", "Cookie: " M},
        {"sent Bearer abcDEF123456.x-y", "sent Bearer " M},
        {"basic dXNlcjpwYXNzd29yZA==", "basic " M},
        {"postgresql://shop:hunter2@db:5432/shop", "postgresql://shop:" M "@db:5432/shop"},
        {"redis://:hunter2@cache", "redis://:" M "@cache"},
        {"a jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123 here", "a jwt " M " here"},
        {"key AKIAIOSFODNN7EXAMPLE found", "key " M " found"},
        {"token ghp_0123456789abcdefghij0123456789", "token " M},
        {"xoxb-123456789012-abcdef in slack", M " in slack"},
        {"paid with 4111 1111 1111 1111 today", "paid with " M " today"},
        {"card-4111111111111111", "card-" M},
        {"378282246310005 amex", M " amex"},
        {"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx",
         "-----BEGIN RSA PRIVATE KEY-----" M "-----END RSA PRIVATE KEY-----\nx"},
        {"-----BEGIN PRIVATE KEY-----\nnever closed", "-----BEGIN PRIVATE KEY-----" M},
        {"--db-password=abc --x", "--db-password=" M " --x"},
        {"passwd = 'a' and secret=b", "passwd = '" M "' and secret=" M},
};

/* What looks a little like a secret. */
static const char *const harmless[] = {
        "",
        "order 4711 placed by customer 42: total 49.90 EUR",
        "4111 1111 1111 1112", /* fails Luhn's check */
        "1700000000000000000", /* nanoseconds */
        "1700000000000",       /* milliseconds */
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "2026-11-20 21:06:01.123456",
        "http://orders:8080/orders/17?page=2",
        "https://example.com/a@b:c",
        "password=",
        "password: null",
        "password=?",
        ("password=" M),
        "std::token::next a::b",
        "basic understanding of bearer instruments",
        "tokens=17 token_count=17",
        "eyJ not a token",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "AKIA is short, ASIA too",
        "a=b c:d e = f",
        "SELECT a FROM t WHERE b = ?",
        "10.2.3.4:5432",
};

static struct slice clean(const char *text, uint64_t *count) {
    struct slice s;

    assert_int_equal(scrub_text(scrub, &memo, slice_from(text), &arena, &s, count), 0);
    return s;
}

static void patterns(void **state) {
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        uint64_t count = 0;
        struct slice s = clean(texts[i].text, &count);
        if (!slice_is(s, texts[i].clean) || count == 0)
            fail_msg("%s\n  became %.*s\n  wanted %s", texts[i].text, SLICE_ARG(s), texts[i].clean);
        char again[1000];
        memcpy(again, s.data, s.size);
        again[s.size] = 0;
        assert_slice(clean(again, &count), texts[i].clean); /* nothing more to find */
    }
    for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
        uint64_t count = 0;
        struct slice s = clean(harmless[i], &count);
        if (!slice_is(s, harmless[i]) || count)
            fail_msg("%s\n  became %.*s", harmless[i], SLICE_ARG(s));
    }
}

/* Every cut of every text, so that no pattern looks beyond the end; sanitizers judge. */
static void cuts(void **state) {
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        for (size_t n = 0; n <= strlen(texts[i].text); n++) {
            uint64_t count = 0;
            struct slice s;
            uint8_t *copy = malloc(n ? n : 1);
            assert_non_null(copy);
            memcpy(copy, texts[i].text, n);
            assert_int_equal(scrub_text(scrub, &memo, slice_new(copy, n), &arena, &s, &count), 0);
            free(copy);
        }
}

static void nested(void **state) {
    const struct attribute map[] = {
            {SLICE("password"), {.type = VALUE_STRING, .text = SLICE("x")}},
            {SLICE("user"), {.type = VALUE_STRING, .text = SLICE("bob token=abc")}},
            {SLICE("cvv"), {.type = VALUE_INT, .integer = 123}},
            {SLICE("token"), {.type = VALUE_INT, .integer = 5}},
    };
    const struct value arguments[] = {
            {.type = VALUE_STRING, .text = SLICE("--password")},
            {.type = VALUE_STRING, .text = SLICE("hunter2")},
            {.type = VALUE_STRING, .text = SLICE("--verbose")},
            {.type = VALUE_STRING, .text = SLICE("x")},
    };
    const struct value v = {.type = VALUE_MAP, .map = {map, 4}},
                       list = {.type = VALUE_ARRAY, .array = {arguments, 4}};
    struct value ret;
    uint64_t count = 0;

    assert_int_equal(scrub_value(scrub, &memo, SCRUB_KEEP, &v, &arena, &ret, &count), 0);
    assert_slice(ret.map.items[0].value.text, M);
    assert_slice(ret.map.items[1].value.text, "bob token=" M);
    assert_slice(ret.map.items[2].value.text, M);
    assert_int_equal(ret.map.items[3].value.integer, 5);
    assert_int_equal(count, 3);
    assert_int_equal(scrub_value(scrub, &memo, SCRUB_KEEP, &list, &arena, &ret, &count), 0);
    assert_slice(ret.array.items[1].text, M);
    assert_slice(ret.array.items[3].text, "x");
    assert_int_equal(scrub_value(scrub, &memo, SCRUB_TEXTS, &list, &arena, &ret, &count), 0);
    assert_int_equal(ret.type, VALUE_STRING);
    assert_slice(ret.text, M);
}

static int teardown(void **state) {
    arena_done(&arena);
    scrub_free(scrub);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(keys),
            cmocka_unit_test(patterns),
            cmocka_unit_test(cuts),
            cmocka_unit_test(nested),
    };
    const struct slice extra[] = {SLICE("employee-badge")};
    arena_init(&arena, 64 << 20);
    if (scrub_new(extra, 1, &scrub) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, teardown);
}
