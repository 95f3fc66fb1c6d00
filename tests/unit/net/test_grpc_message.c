/* Protects: gRPC's framing and status vocabulary, byte for byte. */
#include "../unit.h"

#include "base/clock.h"
#include "net/grpc_message.h"

#include <errno.h>
#include <stdio.h>

static void reads_prefixes_in_pieces(void **state) {
    static const uint8_t wire[] = {1, 0x01, 0x02, 0x03, 0x04, 'm', 's', 'g'};

    for (size_t step = 1; step <= sizeof(wire); step++) {
        struct grpc_prefix p = {0};
        struct slice rest = SLICE_EMPTY;
        size_t at = 0;
        bool done = false;
        while (!done && at < sizeof(wire)) {
            size_t n = step < sizeof(wire) - at ? step : sizeof(wire) - at;
            rest = slice_new(wire + at, n);
            at += n;
            done = grpc_prefix_feed(&p, &rest);
        }
        assert_true(done);
        assert_int_equal(grpc_prefix_flags(&p), 1);
        assert_int_equal(grpc_prefix_length(&p), 0x01020304);
        assert_int_equal(at - rest.size, GRPC_PREFIX_BYTES);
    }
    uint8_t written[GRPC_PREFIX_BYTES];
    grpc_prefix_write(1, 0x01020304, written);
    assert_memory_equal(written, wire, sizeof(written));
}

static void parses_timeouts(void **state) {
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"1H", 3600 * NS_PER_S},
                {"2M", 120 * NS_PER_S},
                {"3S", 3 * NS_PER_S},
                {"250m", 250 * NS_PER_MS},
                {"7u", 7000},
                {"9n", 9},
                {"00000000n", 0},
                {"99999999H", INT64_MAX}};
    static const char *const bad[] = {"",    "S",    "1",   "1s", "123456789S",
                                      "-1S", "1.5S", " 1S", "1SS"};
    int64_t ns;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(grpc_timeout_parse(slice_from(good[i].text), &ns), 0);
        if (good[i].ns != INT64_MAX)
            assert_int_equal(ns, good[i].ns);
        else
            assert_true(ns > 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(grpc_timeout_parse(slice_from(bad[i]), &ns), -EINVAL);
}

static void maps_statuses(void **state) {
    static const int pairs[][2] = {{200, 0},  {202, 0}, {400, 3},  {401, 16}, {403, 7},
                                   {404, 12}, {413, 8}, {429, 14}, {503, 14}, {504, 4},
                                   {500, 13}, {418, 3}, {599, 2}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        assert_int_equal(grpc_status_from_http(pairs[i][0]), pairs[i][1]);
}

static void encodes_messages(void **state) {
    char text[16];

    grpc_message_encode("a 1%\n\xc3\xa4", text, sizeof(text));
    assert_string_equal(text, "a 1%25%0A%C3%A4");
    grpc_message_encode("0123456789abcdefghi", text, sizeof(text));
    assert_true(strlen(text) < sizeof(text));
    memset(text, 1, sizeof(text));
    grpc_message_encode("%%%%%%%%%%%%%%", text, sizeof(text));
    assert_int_equal(strlen(text) % 3, 0); /* no half escape at the end */
}

/* The bytes were checked against googleapis' google.rpc.Status once. */
static void encodes_retry_details(void **state) {
    char text[256], small[20];

    assert_int_equal(grpc_retry_details(GRPC_UNAVAILABLE, "m", 7, text, sizeof(text)), 0);
    assert_string_equal(text, "CA4SAW0aMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIE"
                              "CgIIBw");
    assert_int_equal(grpc_retry_details(GRPC_UNAVAILABLE, "m", 7, small, sizeof(small)), -ENOBUFS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(reads_prefixes_in_pieces),
            cmocka_unit_test(parses_timeouts),
            cmocka_unit_test(maps_statuses),
            cmocka_unit_test(encodes_messages),
            cmocka_unit_test(encodes_retry_details),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
