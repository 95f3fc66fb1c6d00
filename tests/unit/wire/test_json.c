/* The JSON writer, numbers as text, base64, and the reader's limits. */
#include "../unit.h"

#include "wire/json.h"

#include <jansson.h>
#include <math.h>

static struct buffer out;

static struct json_writer fresh(void) {
    buffer_clear(&out);
    return json_writer(&out);
}

static void writes(void **state) {
    struct json_writer w = fresh();

    json_begin_object(&w);
    json_put_key(&w, "a");
    json_begin_array(&w);
    json_put_int(&w, INT64_MIN);
    json_put_uint(&w, UINT64_MAX);
    json_put_int_safe(&w, INT64_C(1) << 53);
    json_put_int_safe(&w, (INT64_C(1) << 53) + 1);
    json_put_double(&w, 0.1);
    json_put_double(&w, NAN);
    json_put_null(&w);
    json_begin_object(&w);
    json_end_object(&w);
    json_begin_array(&w);
    json_end_array(&w);
    json_end_array(&w);
    json_field_bool(&w, "b", true);
    json_field_text(&w, "c", NULL);
    json_put_key(&w, "d");
    json_put_hex(&w, SLICE("\x01\xab"));
    json_put_key(&w, "e");
    json_put_base64(&w, SLICE("ab"));
    json_put_key(&w, "f");
    json_put_int_text(&w, -5);
    json_end_object(&w);
    assert_int_equal(out.failed, 0);
    assert_slice(buffer_slice(&out),
                 "{\"a\":[-9223372036854775808,18446744073709551615,9007199254740992,"
                 "\"9007199254740993\",0.1,null,null,{},[]],\"b\":true,\"c\":null,\"d\":\"01ab\","
                 "\"e\":\"YWI=\",\"f\":\"-5\"}");
}

static void escapes(void **state) {
    struct json_writer w = fresh();

    json_put_string(&w, SLICE("\"\\/\b\f\n\r\t\x01\x7f\xc3\xa4\xe2\x82\xac"));
    assert_slice(buffer_slice(&out),
                 "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\xc3\xa4\xe2\x82\xac\"");
    w = fresh();
    json_put_string(&w, slice_new("a\0b\xff\xc3", 5));
    assert_slice(buffer_slice(&out), "\"a\\u0000b\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Whatever bytes come, the output is JSON that jansson reads. */
static void any_bytes(void **state) {
    uint8_t bytes[512];

    for (unsigned seed = 0; seed < 500; seed++) {
        uint32_t x = seed * 2654435761u + 1;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            x = x * 1664525u + 1013904223u;
            bytes[i] = (uint8_t) (x >> 24);
        }
        struct json_writer w = fresh();
        json_put_string(&w, slice_new(bytes, seed));
        json_t *v = json_loadb((const char *) out.data, out.size, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                               NULL);
        assert_non_null(v);
        json_decref(v);
    }
}

static void doubles(void **state) {
    static const struct {
        double v;
        const char *text;
    } cases[] = {
            {0, "0"},
            {-0.0, "-0"},
            {1, "1"},
            {-1.5, "-1.5"},
            {0.1, "0.1"},
            {0.30000000000000004, "0.30000000000000004"},
            {1e300, "1e+300"},
            {123456789.125, "123456789.125"},
            {1e15, "1e+15"},
            {5e-324, "5e-324"},
            {0.05, "0.05"},
            {1024, "1024"},
            {NAN, "NaN"},
            {INFINITY, "Infinity"},
            {-INFINITY, "-Infinity"},
    };
    char text[NUMBER_TEXT_MAX];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_slice(slice_new(text, double_to_text(cases[i].v, text)), cases[i].text);
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < 200000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        double v, back;
        if (i % 2)
            memcpy(&v, &x, 8);
        else
            v = (double) (int64_t) (x >> 30) / 1000;
        size_t n = double_to_text(v, text);
        if (!isfinite(v))
            continue;
        assert_int_equal(slice_to_double(slice_new(text, n), &back), 0);
        assert_true(back == v);
    }
}

static void base64(void **state) {
    static const char *const texts[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    struct buffer back;

    buffer_init(&back, 100);
    for (size_t i = 0; i < 7; i++) {
        buffer_clear(&out);
        buffer_clear(&back);
        assert_int_equal(base64_encode(slice_from(texts[i]), &out), 0);
        assert_int_equal(base64_decode(buffer_slice(&out), &back), 0);
        assert_slice(buffer_slice(&back), texts[i]);
    }
    buffer_clear(&back);
    assert_int_equal(base64_decode(SLICE("-_8"), &back), 0); /* URL-safe, no padding */
    assert_int_equal(back.size, 2);
    assert_int_equal(base64_decode(SLICE("a"), &back), -EINVAL);
    assert_int_equal(base64_decode(SLICE("ab!d"), &back), -EINVAL);
    assert_int_equal(base64_decode(SLICE("===="), &back), -EINVAL);
    buffer_done(&back);
}

static int parse(struct slice text, const struct json_limits *l) {
    json_t *v = NULL;
    struct error e;
    int r = json_parse(text, l, &v, NULL, &e);

    if (r == 0)
        json_decref(v);
    return r;
}

static void limits(void **state) {
    const struct json_limits l = {.bytes_max = 100, .values_max = 10, .depth_max = 3};
    struct error e;
    json_t *v;
    bool repaired;

    assert_int_equal(parse(SLICE("[[[1]]]"), &l), 0);
    assert_int_equal(parse(SLICE("[[[[1]]]]"), &l), -ENOBUFS);
    assert_int_equal(parse(SLICE("[1,2,3,4,5,6,7,8]"), &l), 0);
    assert_int_equal(parse(SLICE("[1,2,3,4,5,6,7,8,9,10]"), &l), -ENOBUFS);
    assert_int_equal(parse(SLICE("[\"[[[[[[,,,,,,,,,,,,\\\"[[[\"]"), &l), 0);
    assert_int_equal(parse(SLICE("{\"a\":}"), &l), -EBADMSG);
    assert_int_equal(parse(SLICE(""), &l), -EBADMSG);
    assert_int_equal(parse(SLICE("\"abc"), &l), -EBADMSG);
    assert_int_equal(parse(SLICE("\"abc\\"), &l), -EBADMSG);
    assert_int_equal(parse(SLICE("1 2"), &l), -EBADMSG);
    buffer_clear(&out);
    for (unsigned i = 0; i < 101; i++)
        buffer_append_u8(&out, ' ');
    assert_int_equal(parse(buffer_slice(&out), &l), -ENOBUFS);
    assert_int_equal(json_parse(SLICE("\"a\xff\""), NULL, &v, &repaired, &e), 0);
    assert_true(repaired);
    assert_string_equal(json_string_value(v), "a\xef\xbf\xbd");
    json_decref(v);
    assert_int_equal(json_parse(SLICE("[1,\n  oops]"), NULL, &v, &repaired, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "line 2"));
}

static int teardown(void **state) {
    buffer_done(&out);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(writes),  cmocka_unit_test(escapes), cmocka_unit_test(any_bytes),
            cmocka_unit_test(doubles), cmocka_unit_test(base64),  cmocka_unit_test(limits),
    };
    buffer_init(&out, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
