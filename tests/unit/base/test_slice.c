/* Slices: what the decoders rely on (numbers, UTF-8, hexadecimal) at their edges. */
#include "../unit.h"

#include <errno.h>

static void numbers(void **state) {
    uint64_t u;
    int64_t i;
    double d;

    assert_int_equal(slice_to_u64(SLICE("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(slice_to_u64(SLICE("18446744073709551616"), &u), -ERANGE);
    assert_int_equal(slice_to_u64(SLICE(""), &u), -EINVAL);
    assert_int_equal(slice_to_u64(SLICE("1x"), &u), -EINVAL);
    assert_int_equal(slice_to_i64(SLICE("-9223372036854775808"), &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(slice_to_i64(SLICE("9223372036854775808"), &i), -ERANGE);
    assert_int_equal(slice_to_double(SLICE("-1.5e3"), &d), 0);
    assert_true(d == -1500);
    assert_int_equal(slice_to_double(SLICE("1.5 "), &d), -EINVAL);
    assert_int_equal(slice_to_double(SLICE(" 1.5"), &d), -EINVAL);
}

static void utf8(void **state) {
    assert_true(slice_is_utf8(SLICE("plain ascii, long enough for words")));
    assert_true(slice_is_utf8(SLICE("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\xa6\x8e")));
    assert_true(slice_is_utf8(SLICE_EMPTY));
    assert_false(slice_is_utf8(SLICE("\xc3")));
    assert_false(slice_is_utf8(SLICE("\xc0\x80")));
    assert_false(slice_is_utf8(SLICE("\xed\xa0\x80")));
    assert_false(slice_is_utf8(SLICE("\xf4\x90\x80\x80")));
    assert_false(slice_is_utf8(SLICE("12345678\xff")));
}

static void hex(void **state) {
    uint8_t bytes[2];
    char text[4];

    assert_int_equal(slice_from_hex(SLICE("aF09"), bytes, 2), 0);
    slice_to_hex(slice_new(bytes, 2), text);
    assert_memory_equal(text, "af09", 4);
    assert_int_equal(slice_from_hex(SLICE("af0"), bytes, 2), -EINVAL);
    assert_int_equal(slice_from_hex(SLICE("af0g"), bytes, 2), -EINVAL);
}

static void cutting(void **state) {
    struct slice rest = SLICE("a,b");

    assert_slice(slice_cut(&rest, ','), "a");
    assert_slice(slice_cut(&rest, ','), "b");
    assert_slice(slice_cut(&rest, ','), "");
    assert_slice(slice_trim(SLICE(" \tx y\r\n")), "x y");
    assert_int_equal(slice_find(SLICE("abcabd"), SLICE("abd")), 3);
    assert_int_equal(slice_find(SLICE("abc"), SLICE("abcd")), -1);
    assert_true(slice_compare(SLICE("ab"), SLICE("abc")) < 0);
    assert_true(slice_equal_nocase(SLICE("Content-TYPE"), SLICE("content-type")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(numbers),
            cmocka_unit_test(utf8),
            cmocka_unit_test(hex),
            cmocka_unit_test(cutting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
