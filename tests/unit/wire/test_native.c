/* Building native blocks: values, dictionaries, rolling back, limits; read back by the reader. */
#include "../unit.h"

#include "wire/native.h"

#include <errno.h>

enum { C_ID, C_NAME, C_TEXT, C_TAGS, C_TYPES, C_LIST, C_SKETCH, C_RATIO, C_COLUMNS };

static const struct native_column_def defs[C_COLUMNS] = {
        [C_ID] = {"id", NATIVE_FIXED16, NULL},
        [C_NAME] = {"name", NATIVE_LC_STRING, NULL},
        [C_TEXT] = {"text", NATIVE_STRING, NULL},
        [C_TAGS] = {"tags", NATIVE_MAP_LC_STRING, NULL},
        [C_TYPES] = {"types", NATIVE_ARRAY_U8, NULL},
        [C_LIST] = {"list", NATIVE_ARRAY_LC_STRING, NULL},
        [C_SKETCH] = {"sketch", NATIVE_MAP_I16_U64, NULL},
        [C_RATIO] = {"ratio", NATIVE_F64, NULL},
};

static struct native_block *new_block(size_t cap) {
    struct native_block *b = NULL;

    assert_int_equal(native_block_new(defs, C_COLUMNS, cap, &b), 0);
    return b;
}

/* Row `n`: every value follows from n. The first error, or 0. */
static int put_row(struct native_block *b, unsigned n, unsigned names) {
    uint8_t id[16] = {0};
    char text[64];
    int r;

    memcpy(id, &n, sizeof(n));
    if ((r = native_put_fixed(b, C_ID, id)) < 0)
        return r;
    snprintf(text, sizeof(text), "name-%u", n % names);
    if ((r = native_put_string(b, C_NAME, slice_from(text))) < 0)
        return r;
    snprintf(text, sizeof(text), "text of %u", n);
    if ((r = native_put_string(b, C_TEXT, slice_take(slice_from(text), n % 20))) < 0)
        return r;
    for (unsigned i = 0; i < n % 5; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key-%u", i);
        if ((r = native_map_entry(b, C_TAGS, slice_from(key), slice_from(text))) < 0 ||
            (r = native_array_item(b, C_TYPES, (uint8_t) i)) < 0 ||
            (r = native_array_text(b, C_LIST, slice_from(key))) < 0 ||
            (r = native_sketch_entry(b, C_SKETCH, (int16_t) - (int) i, n)) < 0)
            return r;
    }
    for (unsigned c = C_TAGS; c <= C_SKETCH; c++)
        if ((r = native_close(b, c)) < 0)
            return r;
    if ((r = native_put_f64(b, C_RATIO, n / 4.0)) < 0)
        return r;
    native_block_end_row(b);
    return 0;
}

static void check_row(const struct native_reader *r, size_t row, unsigned n, unsigned names) {
    char text[64];
    unsigned id;

    memcpy(&id, native_reader_cell(r, row, C_ID).text.data, sizeof(id));
    assert_int_equal(id, n);
    snprintf(text, sizeof(text), "name-%u", n % names);
    assert_slice(native_reader_cell(r, row, C_NAME).text, text);
    snprintf(text, sizeof(text), "text of %u", n);
    char cut[64] = {0};
    memcpy(cut, text, n % 20 < strlen(text) ? n % 20 : strlen(text));
    assert_slice(native_reader_cell(r, row, C_TEXT).text, cut);
    for (unsigned c = C_TAGS; c <= C_SKETCH; c++)
        assert_int_equal(native_reader_length(r, row, c), n % 5);
    for (unsigned i = 0; i < n % 5; i++) {
        char key[32];
        snprintf(key, sizeof(key), "key-%u", i);
        assert_slice(native_reader_key(r, row, C_TAGS, i).text, key);
        assert_slice(native_reader_item(r, row, C_TAGS, i).text, text);
        assert_int_equal(native_reader_item(r, row, C_TYPES, i).u64, i);
        assert_slice(native_reader_item(r, row, C_LIST, i).text, key);
        assert_int_equal((int64_t) native_reader_key(r, row, C_SKETCH, i).u64, -(int) i);
        assert_int_equal(native_reader_item(r, row, C_SKETCH, i).u64, n);
    }
    assert_true(native_reader_cell(r, row, C_RATIO).f64 == n / 4.0);
}

static struct native_reader *read_back(const struct native_block *b, struct buffer *bytes) {
    struct native_reader *r = NULL;

    buffer_init(bytes, 1u << 30);
    assert_int_equal(native_block_write(b, bytes), 0);
    assert_int_equal(native_reader_new(buffer_slice(bytes), &r), 0);
    return r;
}

static void round_trip(unsigned rows, unsigned names) {
    struct native_block *b = new_block(1u << 30);
    struct buffer bytes;

    for (unsigned n = 0; n < rows; n++)
        assert_int_equal(put_row(b, n, names), 0);
    struct native_reader *r = read_back(b, &bytes);
    assert_int_equal(native_reader_rows(r), rows);
    assert_int_equal(native_reader_columns(r), C_COLUMNS);
    assert_slice(native_reader_name(r, C_SKETCH), "sketch");
    for (unsigned n = 0; n < rows; n++)
        check_row(r, n, n, names);
    native_reader_free(r);
    buffer_done(&bytes);
    native_block_free(b);
}

static void test_round_trip(void **state) {
    round_trip(0, 1);
    round_trip(1, 1);
    round_trip(3000, 7);
}

static void test_dictionary_widths(void **state) {
    round_trip(600, 256);
    round_trip(600, 257);
    round_trip(140000, 65536);
    round_trip(140000, 65537);
}

static void test_several_blocks_in_one_stream(void **state) {
    struct native_block *b = new_block(1u << 20);
    struct native_reader *r = NULL;
    struct buffer bytes;
    unsigned n = 0;

    buffer_init(&bytes, 1u << 24);
    for (unsigned i = 0; i < 5; i++) {
        native_block_clear(b);
        for (unsigned j = 0; j < i; j++)
            assert_int_equal(put_row(b, n++, 3), 0);
        assert_int_equal(native_block_write(b, &bytes), 0);
    }
    assert_int_equal(native_reader_new(buffer_slice(&bytes), &r), 0);
    assert_int_equal(native_reader_rows(r), 10);
    for (unsigned i = 0; i < 10; i++)
        check_row(r, i, i, 3);
    native_reader_free(r);
    buffer_done(&bytes);
    native_block_free(b);
}

/* Rolls back to every kind of place (across checkpoints, in the middle of a row) and goes on. */
static void test_rollback(void **state) {
    static const unsigned marks[] = {0, 1, 5, 1023, 1024, 1025, 2500, 4096};

    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        struct native_block *b = new_block(1u << 24);
        struct buffer bytes;
        for (unsigned n = 0; n < marks[i]; n++)
            assert_int_equal(put_row(b, n, 300), 0);
        size_t mark = native_block_mark(b), before = native_block_bytes(b);
        for (unsigned n = 0; n < 3000; n++)
            assert_int_equal(put_row(b, 777000 + n, 1000), 0);
        native_put_string(b, C_TEXT, SLICE("half a row"));
        native_map_entry(b, C_TAGS, SLICE("a"), SLICE("b"));
        native_block_rollback(b, mark);
        assert_int_equal(native_block_rows(b), marks[i]);
        assert_true(native_block_bytes(b) >= before); /* dictionaries may keep what they learned */
        for (unsigned n = marks[i]; n < marks[i] + 1500; n++)
            assert_int_equal(put_row(b, n, 300), 0);
        struct native_reader *r = read_back(b, &bytes);
        assert_int_equal(native_reader_rows(r), marks[i] + 1500);
        for (unsigned n = 0; n < marks[i] + 1500; n++)
            check_row(r, n, n, 300);
        native_reader_free(r);
        buffer_done(&bytes);
        native_block_free(b);
    }
}

static void test_cap(void **state) {
    struct native_block *b = new_block(10000);
    struct buffer bytes;
    unsigned n = 0;
    int r;

    while ((r = put_row(b, n, 50)) == 0)
        n++;
    assert_int_equal(r, -ENOBUFS);
    assert_true(native_block_bytes(b) <= 10000);
    native_block_rollback(b, n);
    struct native_reader *reader = read_back(b, &bytes);
    assert_int_equal(native_reader_rows(reader), n);
    native_reader_free(reader);
    buffer_done(&bytes);
    assert_int_equal(native_put_string(b, C_NAME, slice_new("x", SIZE_MAX / 4)), -ENOBUFS);
    native_block_free(b);
}

/* Each allocation fails once: the row is refused, rolled back, and the block goes on. */
static void test_out_of_memory(void **state) {
    for (unsigned fail = 1; fail < 60; fail++) {
        struct native_block *b = new_block(1u << 24);
        struct buffer bytes;
        memory_fail_at(fail);
        for (unsigned n = 0; n < 2100; n++) {
            size_t mark = native_block_mark(b);
            if (put_row(b, n, 400) < 0) {
                native_block_rollback(b, mark);
                assert_int_equal(put_row(b, n, 400), 0);
            }
        }
        memory_fail_at(0);
        struct native_reader *r = read_back(b, &bytes);
        for (unsigned n = 0; n < 2100; n++)
            check_row(r, n, n, 400);
        native_reader_free(r);
        buffer_done(&bytes);
        native_block_free(b);
    }
}

static void test_incomplete_row_is_not_written(void **state) {
    struct native_block *b = new_block(1u << 20);
    struct buffer bytes;

    buffer_init(&bytes, 1u << 20);
    assert_int_equal(put_row(b, 1, 1), 0);
    assert_int_equal(native_put_f64(b, C_RATIO, 1), 0);
    assert_int_equal(native_block_write(b, &bytes), -EINVAL);
    assert_int_equal(bytes.size, 0);
    buffer_done(&bytes);
    native_block_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_round_trip),
            cmocka_unit_test(test_dictionary_widths),
            cmocka_unit_test(test_several_blocks_in_one_stream),
            cmocka_unit_test(test_rollback),
            cmocka_unit_test(test_cap),
            cmocka_unit_test(test_out_of_memory),
            cmocka_unit_test(test_incomplete_row_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
