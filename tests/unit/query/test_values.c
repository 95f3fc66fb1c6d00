/* Protects attributes, events and links as JSON, whatever is stored. */
#include "../unit.h"

#include "query/internal.h"
#include "signal/signal.h"

static void tells_json(void **state) {
    static const char *const yes[] = {"1",    "-0.5e+3", "\"a\\u00e9\\n\"",
                                      "true", "null",    "[1, [], {\"a\": [2]}]",
                                      " {} ", "[\"é\"]"};
    static const char *const no[] = {
            "",    "01", "1 2", "{",  "[1,]",  "{\"a\"}", "nul",         "\"a",       "\"\\x\"",
            "[1}", "+1", ".5",  "1.", "{a:1}", "NaN",     "\"\\u12g4\"", "\x01\"a\"", "[\xff]"};
    char deep[300];

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (!json_is_value(slice_from(yes[i])))
            fail_msg("%s: refused", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (json_is_value(slice_from(no[i])))
            fail_msg("%s: accepted", no[i]);
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    assert_false(json_is_value(slice_new(deep, 200)));
}

static void writes_values_by_type(void **state) {
    static const struct {
        unsigned type;
        const char *text, *json;
    } cases[] = {
            {VALUE_EMPTY, "", "null"},
            {VALUE_STRING, "a\"b", "\"a\\\"b\""},
            {VALUE_BOOL, "true", "true"},
            {VALUE_BOOL, "maybe", "\"maybe\""},
            {VALUE_INT, "42", "42"},
            {VALUE_INT, "9007199254740993", "\"9007199254740993\""},
            {VALUE_INT, "x", "\"x\""},
            {VALUE_DOUBLE, "0.5", "0.5"},
            {VALUE_DOUBLE, "NaN", "\"NaN\""},
            {VALUE_BYTES, "AAE=", "\"AAE=\""},
            {VALUE_ARRAY, "[1, \"a\"]", "[1, \"a\"]"},
            {VALUE_MAP, "{\"k\": tru", "\"{\\\"k\\\": tru\""},
            {99, "x", "\"x\""},
    };
    struct buffer b;

    buffer_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_writer w = json_writer(&b);
        buffer_clear(&b);
        json_value(&w, cases[i].type, slice_from(cases[i].text));
        assert_slice(buffer_slice(&b), cases[i].json);
    }
    buffer_done(&b);
}

static void writes_events_and_links(void **state) {
    struct buffer b;

    buffer_init(&b, 1 << 20);
    struct json_writer w = json_writer(&b);
    json_begin_object(&w);
    json_events(&w,
                SLICE("[{\"time_ns\": \"1000\", \"name\": \"exception\", \"attributes\": {\"a\": "
                      "1, \"b\": "
                      "{\"$bytes\": \"AA==\"}}, \"dropped\": 0}, 7, {}]"),
                400);
    json_links(&w, SLICE("not json"));
    json_end_object(&w);
    assert_slice(
            buffer_slice(&b),
            "{\"events\":[{\"time_ns\":600,\"name\":\"exception\",\"attributes\":[{\"key\":\"a\","
            "\"type\":\"int\",\"value\":1},{\"key\":\"b\",\"type\":\"bytes\",\"value\":\"AA==\"}]},"
            "{\"time_ns\":0,\"name\":\"\",\"attributes\":[]}],\"links\":[]}");
    buffer_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_json),
                                       cmocka_unit_test(writes_values_by_type),
                                       cmocka_unit_test(writes_events_and_links)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
