/* Reading native blocks that are not as they should be: every truncation, every lie about lengths.
 */
#include "../unit.h"

#include "wire/native.h"

#include <errno.h>

static const struct native_column_def defs[] = {
        {"n", NATIVE_U32, NULL},
        {"s", NATIVE_STRING, NULL},
        {"lc", NATIVE_LC_STRING, NULL},
        {"m", NATIVE_MAP_LC_STRING, NULL},
};

static void fill(struct buffer *bytes) {
    struct native_block *b = NULL;

    assert_int_equal(native_block_new(defs, 4, 1 << 20, &b), 0);
    for (unsigned i = 0; i < 20; i++) {
        native_put_u64(b, 0, i);
        native_put_string(b, 1, SLICE("text"));
        native_put_string(b, 2, i % 2 ? SLICE("odd") : SLICE("even"));
        native_map_entry(b, 3, SLICE("k"), SLICE("v"));
        native_close(b, 3);
        native_block_end_row(b);
    }
    buffer_init(bytes, 1 << 20);
    assert_int_equal(native_block_write(b, bytes), 0);
    native_block_free(b);
}

static void touch(const struct native_reader *r) {
    for (size_t row = 0; row < native_reader_rows(r); row++)
        for (unsigned c = 0; c < native_reader_columns(r); c++) {
            native_reader_cell(r, row, c);
            for (size_t i = 0; i < native_reader_length(r, row, c); i++)
                native_reader_item(r, row, c, i);
        }
}

static void test_every_truncation(void **state) {
    struct buffer bytes;

    fill(&bytes);
    for (size_t n = 1; n < bytes.size; n++) {
        struct native_reader *r = NULL;
        uint8_t *copy = malloc(n); /* so that a sanitizer sees one byte too many */
        memcpy(copy, bytes.data, n);
        assert_int_equal(native_reader_new(slice_new(copy, n), &r), -EBADMSG);
        free(copy);
    }
    buffer_done(&bytes);
}

static void test_every_flipped_byte(void **state) {
    struct buffer bytes;

    fill(&bytes);
    for (size_t at = 0; at < bytes.size; at++)
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            struct native_reader *r = NULL;
            bytes.data[at] ^= (uint8_t) flip;
            if (native_reader_new(buffer_slice(&bytes), &r) == 0) {
                touch(r);
                native_reader_free(r);
            }
            bytes.data[at] ^= (uint8_t) flip;
        }
    buffer_done(&bytes);
}

static void refuse(const char *bytes, size_t n) {
    struct native_reader *r = NULL;

    assert_int_equal(native_reader_new(slice_new(bytes, n), &r), -EBADMSG);
}
#define REFUSE(literal) refuse(literal, sizeof(literal) - 1)

static void test_lies(void **state) {
    REFUSE("\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
           "\x01"
           "a\x05UInt8");               /* rows beyond the bytes */
    REFUSE("\x00\x05");                 /* rows without columns */
    REFUSE("\xff\xff\xff\xff\x0f\x00"); /* columns without end */
    REFUSE("\x01\x01\x01"
           "a\x06Mystic"
           "x"); /* a type nobody knows */
    REFUSE("\x01\x01\x01"
           "a\x15"
           "Array(Array(Array(Int8))"); /* bracket missing, nested arrays */
    REFUSE("\x01\x01\x01"
           "a\x19"
           "FixedString(99999999999999)"
           "x");
    REFUSE("\x01\x01\x01"
           "a\x06String"
           "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* huge text */
}

static void test_types_of_answers(void **state) {
    /* SELECT CAST(-5, 'Nullable(Int16)') AS a, CAST(NULL, 'Nullable(String)') AS b, 1.5::Float32 AS
     * c */
    static const char bytes[] = "\x03\x01"
                                "\x01"
                                "a\x0fNullable(Int16)"
                                "\x00\xfb\xff"
                                "\x01"
                                "b\x10Nullable(String)"
                                "\x01\x00"
                                "\x01"
                                "c\x07"
                                "Float32"
                                "\x00\x00\xc0\x3f";
    struct native_reader *r = NULL;

    assert_int_equal(native_reader_new(slice_new(bytes, sizeof(bytes) - 1), &r), 0);
    assert_int_equal((int64_t) native_reader_cell(r, 0, 0).u64, -5);
    assert_int_equal(native_reader_cell(r, 0, 1).text.size, 0);
    assert_true(native_reader_cell(r, 0, 2).f64 == 1.5);
    native_reader_free(r);
}

static void test_empty(void **state) {
    struct native_reader *r = NULL;

    assert_int_equal(native_reader_new(SLICE_EMPTY, &r), 0);
    assert_int_equal(native_reader_rows(r), 0);
    assert_int_equal(native_reader_columns(r), 0);
    native_reader_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_every_truncation),
            cmocka_unit_test(test_every_flipped_byte),
            cmocka_unit_test(test_lies),
            cmocka_unit_test(test_types_of_answers),
            cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
