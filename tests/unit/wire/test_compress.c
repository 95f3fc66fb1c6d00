/* Decompression: round trips, caps, bombs, damage. */
#include "../unit.h"

#include "wire/compress.h"

#include <errno.h>

static const enum compression all[] = {COMPRESSION_GZIP, COMPRESSION_DEFLATE, COMPRESSION_ZSTD};

static struct slice text_of(size_t size) {
    static uint8_t text[1 << 20];

    for (size_t i = 0; i < size; i++)
        text[i] = (uint8_t) ("abcdefgh"[i % 8] + i / 1000 % 3);
    return slice_new(text, size);
}

static void round_trips(void **state) {
    static const size_t sizes[] = {0, 1, 100, 65536, 1 << 20};

    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < 5; i++) {
            struct buffer packed, plain;
            struct slice text = text_of(sizes[i]);
            buffer_init(&packed, 4 << 20);
            buffer_init(&plain, 1 << 20);
            assert_int_equal(compress(all[c], text, 3, &packed), 0);
            assert_int_equal(decompress(all[c], buffer_slice(&packed), &plain), 0);
            assert_true(slice_equal(buffer_slice(&plain), text));
            buffer_done(&plain);
            buffer_init(&plain, sizes[i] ? sizes[i] - 1 : 0); /* a byte too small */
            assert_int_equal(decompress(all[c], buffer_slice(&packed), &plain),
                             sizes[i] ? -ENOBUFS : 0);
            assert_int_equal(plain.size, 0);
            assert_int_equal(plain.failed, 0);
            buffer_done(&plain);
            buffer_done(&packed);
        }
}

static void members(void **state) {
    struct buffer packed, plain;

    for (size_t c = 0; c < 3; c += 2) { /* gzip and zstd may be concatenated */
        buffer_init(&packed, 1 << 20);
        buffer_init(&plain, 1 << 20);
        compress(all[c], SLICE("first "), 1, &packed);
        compress(all[c], SLICE("second"), 1, &packed);
        assert_int_equal(decompress(all[c], buffer_slice(&packed), &plain), 0);
        assert_slice(buffer_slice(&plain), "first second");
        buffer_done(&plain);
        buffer_done(&packed);
    }
}

/* A kilobyte that would become a gigabyte stops at the cap. */
static void bombs(void **state) {
    struct buffer zeros, packed, plain;

    for (size_t c = 0; c < 3; c++) {
        buffer_init(&zeros, 32 << 20);
        buffer_init(&packed, 40 << 20);
        buffer_init(&plain, 1 << 20);
        memset(buffer_reserve(&zeros, 32 << 20), 0, 32 << 20);
        zeros.size = 32 << 20;
        assert_int_equal(compress(all[c], buffer_slice(&zeros), 3, &packed), 0);
        assert_true(packed.size < 100000);
        assert_int_equal(decompress(all[c], buffer_slice(&packed), &plain), -ENOBUFS);
        assert_true(plain.allocated <= 1 << 20);
        buffer_done(&zeros);
        buffer_done(&packed);
        buffer_done(&plain);
    }
}

static void damage(void **state) {
    struct buffer packed, plain;

    for (size_t c = 0; c < 3; c++) {
        buffer_init(&packed, 1 << 20);
        buffer_init(&plain, 1 << 20);
        assert_int_equal(decompress(all[c], SLICE_EMPTY, &plain), -EBADMSG);
        assert_int_equal(decompress(all[c], SLICE("not compressed at all"), &plain), -EBADMSG);
        compress(all[c], text_of(5000), 3, &packed);
        for (size_t n = 0; n < packed.size; n++)
            assert_int_equal(decompress(all[c], slice_take(buffer_slice(&packed), n), &plain),
                             -EBADMSG);
        buffer_append(&packed, "trailing", 8);
        assert_int_equal(decompress(all[c], buffer_slice(&packed), &plain), -EBADMSG);
        assert_int_equal(plain.size, 0);
        buffer_done(&packed);
        buffer_done(&plain);
    }
}

static void names(void **state) {
    enum compression c;

    assert_int_equal(compression_parse(SLICE_EMPTY, &c), 0);
    assert_int_equal(c, COMPRESSION_NONE);
    assert_int_equal(compression_parse(SLICE(" GZip "), &c), 0);
    assert_int_equal(c, COMPRESSION_GZIP);
    assert_int_equal(compression_parse(SLICE("zstd"), &c), 0);
    assert_int_equal(c, COMPRESSION_ZSTD);
    assert_int_equal(compression_parse(SLICE("gzip, gzip"), &c), -ENOTSUP);
    assert_int_equal(compression_parse(SLICE("br"), &c), -ENOTSUP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(round_trips), cmocka_unit_test(members), cmocka_unit_test(bombs),
            cmocka_unit_test(damage),      cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
