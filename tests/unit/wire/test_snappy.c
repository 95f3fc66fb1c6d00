/* Snappy blocks: those of the reference library read back; hostile ones end, without growth. */
#include "../unit.h"

#include "wire/snappy.h"

#include <errno.h>
#include <snappy-c.h>
#include <stdlib.h>

#define CAP ((size_t) 1 << 20)

static struct buffer out;

static int setup(void **state) {
    buffer_init(&out, CAP);
    return 0;
}

static int teardown(void **state) {
    buffer_done(&out);
    return 0;
}

static void round_trip(const uint8_t *data, size_t size) {
    size_t room = snappy_max_compressed_length(size);
    uint8_t *packed = malloc(room);

    assert_non_null(packed);
    assert_int_equal(snappy_compress((const char *) data, size, (char *) packed, &room), SNAPPY_OK);
    buffer_clear(&out);
    assert_int_equal(snappy_decompress(slice_new(packed, room), &out), 0);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data ? out.data : data, data, size);
    for (size_t cut = 0; cut < room; cut += 1 + room / 50) { /* truncated */
        buffer_clear(&out);
        assert_int_equal(snappy_decompress(slice_new(packed, cut), &out), -EBADMSG);
        assert_int_equal(out.size, 0);
    }
    free(packed);
}

static void reference(void **state) {
    static uint8_t data[300000];
    uint64_t x = 1;

    for (unsigned kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < sizeof(data); i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            data[i] = (uint8_t) (kind == 0   ? 'a'
                                 : kind == 1 ? i % 7
                                 : kind == 2 ? x >> 60
                                             : x >> 40);
        }
        for (size_t size = 1; size <= sizeof(data); size = size * 3 + 1)
            round_trip(data, size);
    }
}

static void hostile(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
        int r;
    } cases[] = {
            {"", 0, -EBADMSG},
            {"\x80", 1, -EBADMSG},                 /* a length without end */
            {"\xff\xff\xff\xff\x7f", 5, -EBADMSG}, /* more than 32 bits */
            {"\xff\xff\xff\xff\x0f", 5, -ENOBUFS}, /* 4 GiB */
            {"\xff\xff\x1f", 3, -EBADMSG},         /* says 512 KiB, has nothing */
            {"\x04\x01\x00", 3, -EBADMSG},         /* a copy before the beginning */
            {"\x05\x00"
             "a"
             "\x01\x00",
             5, -EBADMSG}, /* offset 0 */
            {"\x02\x00"
             "a",
             3, -EBADMSG}, /* too short */
            {"\x00\x00"
             "a",
             3, -EBADMSG},                             /* too long */
            {"\x01\xf0", 2, -EBADMSG},                 /* a literal without its length */
            {"\x01\xfc\xff\xff\xff\xff", 6, -EBADMSG}, /* a literal of 4 GiB */
            {"\x00", 1, 0},
            {"\x05\x00"
             "a"
             "\x01\x01",
             5, 0}, /* a, then 4 of it */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        buffer_clear(&out);
        int r = snappy_decompress(slice_new(cases[i].bytes, cases[i].size), &out);
        if (r != cases[i].r)
            fail_msg("case %zu: %d", i, r);
        assert_true(out.allocated <= CAP + 64);
    }
}

/* What stood in the buffer stays, and the cap counts it. */
static void appends(void **state) {
    struct slice block = SLICE("\x05\x00"
                               "a"
                               "\x01\x01");

    buffer_append_text(&out, "x");
    assert_int_equal(snappy_decompress(block, &out), 0);
    assert_slice(buffer_slice(&out), "xaaaaa");
    out.cap = 7;
    assert_int_equal(snappy_decompress(block, &out), -ENOBUFS);
    assert_int_equal(out.failed, 0);
    assert_slice(buffer_slice(&out), "xaaaaa");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(reference), TEST(hostile), TEST(appends)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
