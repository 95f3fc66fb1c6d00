/* Line tables of the three formats: known tables, and malformed ones that must not be read past. */
#include "../unit.h"

#include "cpython/lines.h"

static void lnotab(void **state) {
    /* def f(): at line 10; 6 bytes to line 11, 50 more to line 9 (loop head), long jump of lines */
    static const uint8_t table[] = {6, 1, 50, (uint8_t) -2, 0, 100, 255, 0, 10, 127};
    struct slice t = slice_new(table, sizeof(table));

    assert_int_equal(cpython_line(9, t, 10, 0), 10);
    assert_int_equal(cpython_line(9, t, 10, 6), 11);
    assert_int_equal(cpython_line(8, t, 10, 56), 109);
    assert_int_equal(cpython_line(8, t, 10, 400), 236);
    assert_int_equal(cpython_line(8, SLICE_EMPTY, 10, 5), 10);
}

static void pairs(void **state) {
    static const uint8_t table[] = {4, 1, 8, 2, 6, 0x80, 2, (uint8_t) -1};
    struct slice t = slice_new(table, sizeof(table));

    assert_int_equal(cpython_line(10, t, 5, 0), 6);
    assert_int_equal(cpython_line(10, t, 5, 4), 8);
    assert_int_equal(cpython_line(10, t, 5, 12), 0); /* no line */
    assert_int_equal(cpython_line(10, t, 5, 18), 7);
    assert_int_equal(cpython_line(10, t, 5, 999), 0);
}

static void entries(void **state) {
    static const uint8_t table[] = {
            0x80 | 11 << 3 | 1, 0,        0,       /* one line further, 2 units */
            0x80 | 13 << 3 | 0, 3,                 /* no columns: -1, 1 unit */
            0x80 | 14 << 3 | 0, 8,        0, 1, 1, /* long: +4 */
            0x80 | 15 << 3 | 0,                    /* no line */
            0x80 | 3 << 3 | 7,  0x10,              /* short form */
            0x80 | 13 << 3 | 0, 0x40 | 2, 1,       /* varint of two bytes: 66 → +33 */
    };
    struct slice t = slice_new(table, sizeof(table));

    assert_int_equal(cpython_line(11, t, 100, 0), 101);
    assert_int_equal(cpython_line(12, t, 100, 4), 100);
    assert_int_equal(cpython_line(13, t, 100, 6), 104);
    assert_int_equal(cpython_line(14, t, 100, 8), 0);
    assert_int_equal(cpython_line(11, t, 100, 10), 104);
    assert_int_equal(cpython_line(11, t, 100, 26), 137);
    for (size_t n = 0; n < sizeof(table); n++) /* cut anywhere: no read past the end */
        cpython_line(11, slice_take(t, n), 100, 1000);
    assert_int_equal(cpython_line(11, SLICE("\x05\x05"), 1, 0), 0);
}

static void last_lines(void **state) {
    static const uint8_t lnotab_bytes[] = {6,   1,   50, (uint8_t) -2, 0,
                                           100, 255, 0,  10,           (uint8_t) -9};
    static const uint8_t pair_bytes[] = {4, 1, 8, 2, 6, 0x80, 2, (uint8_t) -1};
    static const uint8_t entry_bytes[] = {
            0x80 | 11 << 3 | 1, 0, 0,       /* 101 */
            0x80 | 14 << 3 | 0, 8, 6, 1, 1, /* 105, to 111 */
            0x80 | 15 << 3 | 0,             /* no line */
            0x80 | 13 << 3 | 0, 3,          /* 104 */
    };
    static const uint8_t far[] = {0x80 | 13 << 3, 0x7e, 0x7f, 0x7f, 0x7f, 0x3f};
    struct slice t = slice_new(entry_bytes, sizeof(entry_bytes));

    assert_int_equal(cpython_last_line(9, slice_new(lnotab_bytes, 10), 10), 109);
    assert_int_equal(cpython_last_line(10, slice_new(pair_bytes, 8), 5), 8);
    assert_int_equal(cpython_last_line(12, t, 100), 111);
    assert_int_equal(cpython_last_line(12, slice_take(t, 3), 100), 101);
    assert_int_equal(cpython_last_line(12, SLICE_EMPTY, 100), 0);
    assert_int_equal(cpython_last_line(9, SLICE_EMPTY, -7), 0);
    cpython_last_line(11, slice_new(far, sizeof(far)), INT32_MAX); /* no overflow */
    cpython_last_line(9, slice_new(pair_bytes, 8), INT32_MAX);
    for (size_t n = 0; n < t.size; n++)
        cpython_last_line(11, slice_take(t, n), 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(lnotab),
            cmocka_unit_test(pairs),
            cmocka_unit_test(entries),
            cmocka_unit_test(last_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
