/* UTF-8: recognition at every length, repair, cutting. */
#include "../unit.h"

#include "wire/utf8.h"

static void ascii(void **state) {
    uint8_t text[40];

    for (size_t n = 0; n < sizeof(text); n++) {
        memset(text, 'a', sizeof(text));
        assert_true(utf8_is_ascii(slice_new(text, n)));
        for (size_t i = 0; i < n; i++) {
            text[i] = 0x80;
            assert_false(utf8_is_ascii(slice_new(text, n)));
            text[i] = 'a';
        }
    }
    assert_true(utf8_valid(SLICE_EMPTY));
}

static void repair(void **state) {
    static const struct {
        const char *bad, *good;
    } cases[] = {
            {"plain", "plain"},
            {"\xff", "\xef\xbf\xbd"},
            {"a\xc3", "a\xef\xbf\xbd"},
            {"\xe2\x82", "\xef\xbf\xbd"}, /* one character, cut: one mark */
            {"\xe2\x82"
             "x",
             "\xef\xbf\xbd"
             "x"},
            {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
            {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
            {"\xf4\x90\x80\x80",
             "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* beyond 10FFFF */
            {"\xf0\x9f\x98\x80\x80", "\xf0\x9f\x98\x80\xef\xbf\xbd"},
    };
    struct arena a;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t repaired = 0;
        struct slice s = utf8_clean(slice_from(cases[i].bad), &a, &repaired);
        assert_slice(s, cases[i].good);
        assert_true(slice_is_utf8(s));
        assert_int_equal(repaired, strcmp(cases[i].bad, cases[i].good) != 0);
    }
    arena_done(&a);
}

static void cut(void **state) {
    struct slice s = SLICE("a\xe2\x82\xac"
                           "b");

    assert_slice(utf8_cut(s, 5), "a\xe2\x82\xac"
                                 "b");
    assert_slice(utf8_cut(s, 4), "a\xe2\x82\xac");
    assert_slice(utf8_cut(s, 3), "a");
    assert_slice(utf8_cut(s, 2), "a");
    assert_slice(utf8_cut(s, 0), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(ascii),
            cmocka_unit_test(repair),
            cmocka_unit_test(cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
