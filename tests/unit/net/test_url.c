/* Protects: percent-decoding of hostile text stays in bounds; parameters keep their order and
 * limits. */
#include "../unit.h"

#include "net/url.h"

#include <errno.h>
#include <stdlib.h>

static void decodes(void **state) {
    struct arena a;
    struct slice s;

    arena_init(&a, 65536);
    assert_int_equal(url_decode(&a, SLICE("a%20b+c%C3%A4"), false, &s), 0);
    assert_slice(s, "a b+c\xc3\xa4");
    assert_int_equal(url_decode(&a, SLICE("a+b"), true, &s), 0);
    assert_slice(s, "a b");
    assert_int_equal(url_decode(&a, SLICE("%00"), false, &s), 0);
    assert_int_equal(s.size, 1);
    static const char *const broken[] = {"%", "%1", "%g0", "%0g", "abc%", "abc%f", "%%41"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_int_equal(url_decode(&a, slice_from(broken[i]), false, &s), -EINVAL);
    arena_done(&a);
}

static void splits_parameters(void **state) {
    struct url_params p = {0};
    struct arena a;

    arena_init(&a, 65536);
    assert_int_equal(url_params_parse(&a, SLICE("a=1&&b=x%20y&c&=d&a=2&e=%zz&f=1=2"), &p), 0);
    static const char *const want[][2] = {{"a", "1"}, {"b", "x y"}, {"c", ""},   {"", "d"},
                                          {"a", "2"}, {"e", "%zz"}, {"f", "1=2"}};
    assert_int_equal(p.n, 7);
    for (size_t i = 0; i < p.n; i++) {
        assert_slice(p.items[i].name, want[i][0]);
        assert_slice(p.items[i].value, want[i][1]);
        assert_non_null(p.items[i].value.data); /* present, though empty */
    }
    arena_done(&a);
}

static void encodes(void **state) {
    struct buffer to;

    buffer_init(&to, 100);
    url_encode(&to, slice_new("aZ09-_.~ &=/%\0\xc3\xa4", 16));
    assert_slice(buffer_slice(&to), "aZ09-_.~%20%26%3D%2F%25%00%C3%A4");
    buffer_done(&to);
    buffer_init(&to, 4); /* too little room */
    url_encode(&to, SLICE("a b c"));
    assert_true(to.failed);
    buffer_done(&to);
}

static void limits_parameters(void **state) {
    struct url_params p = {0};
    struct arena a;
    struct buffer text;

    arena_init(&a, 1 << 20);
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < 5000; i++)
        buffer_append_text(&text, "a=b&");
    assert_int_equal(url_params_parse(&a, buffer_slice(&text), &p), 0);
    assert_int_equal(p.n, URL_PARAMS_MAX);
    arena_done(&a);
    arena_init(&a, 1000); /* too little memory */
    p = (struct url_params){0};
    assert_true(url_params_parse(&a, buffer_slice(&text), &p) < 0);
    arena_done(&a);
    buffer_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(decodes),
            cmocka_unit_test(splits_parameters),
            cmocka_unit_test(encodes),
            cmocka_unit_test(limits_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
