/* The protobuf walker and writer: round trips, and what hostile senders write. */
#include "../unit.h"

#include "wire/protobuf.h"

static void round_trip(void **state) {
    static const uint64_t numbers[] = {0,     1,          127,       128,       16383,
                                       16384, UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct buffer b;
    struct pb_field f;
    size_t n = sizeof(numbers) / sizeof(*numbers);

    buffer_init(&b, 1 << 20);
    for (size_t i = 0; i < n; i++)
        pb_put_varint(&b, 1, numbers[i]);
    pb_put_fixed64(&b, 2, UINT64_C(0x1122334455667788));
    pb_put_fixed32(&b, 3, 0x11223344);
    pb_put_double(&b, 536870911, -1.5);
    pb_put_bytes(&b, 4, SLICE("text"));
    struct pb_reader r = pb_reader(buffer_slice(&b));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(pb_next(&r, &f), 1);
        assert_int_equal(f.number, 1);
        assert_true(f.u64 == numbers[i]);
    }
    assert_int_equal(pb_next(&r, &f), 1);
    assert_true(f.u64 == UINT64_C(0x1122334455667788));
    assert_int_equal(pb_next(&r, &f), 1);
    assert_true(f.wire == PB_FIXED32 && f.u64 == 0x11223344);
    assert_int_equal(pb_next(&r, &f), 1);
    assert_true(f.number == 536870911 && pb_double(&f) == -1.5);
    assert_int_equal(pb_next(&r, &f), 1);
    assert_slice(f.bytes, "text");
    assert_int_equal(pb_next(&r, &f), 0);
    buffer_done(&b);
}

/* Lengths of one, two and three bytes, nested. */
static void nested_lengths(void **state) {
    static const size_t sizes[] = {0, 1, 120, 127, 128, 16383, 16384, 70000};
    static uint8_t content[70000];
    struct pb_field outer, inner;
    struct buffer b;

    buffer_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        buffer_clear(&b);
        size_t begin = pb_begin(&b, 7), middle = pb_begin(&b, 8);
        buffer_append(&b, content, sizes[i]);
        pb_end(&b, middle);
        pb_end(&b, begin);
        struct pb_reader r = pb_reader(buffer_slice(&b));
        assert_int_equal(pb_next(&r, &outer), 1);
        struct pb_reader in = pb_reader(outer.bytes);
        assert_int_equal(pb_next(&in, &inner), 1);
        assert_int_equal(inner.bytes.size, sizes[i]);
        assert_int_equal(pb_next(&in, &inner), 0);
        assert_int_equal(pb_next(&r, &outer), 0);
    }
    buffer_done(&b);
}

static int first(const void *bytes, size_t size) {
    struct pb_reader r = pb_reader(slice_new(bytes, size));
    struct pb_field f;

    return pb_next(&r, &f);
}

#define FIRST(literal) first(literal, sizeof(literal) - 1)

static void hostile(void **state) {
    assert_int_equal(FIRST(""), 0);
    assert_int_equal(FIRST("\x00"), -EBADMSG);     /* field number 0 */
    assert_int_equal(FIRST("\x02\x00"), -EBADMSG); /* field number 0 with a length */
    assert_int_equal(FIRST("\x0b\x0c"), -EBADMSG); /* a group */
    assert_int_equal(FIRST("\x0c"), -EBADMSG);     /* the end of a group */
    assert_int_equal(FIRST("\x0e"), -EBADMSG);     /* wire type 6 */
    assert_int_equal(FIRST("\x0f"), -EBADMSG);     /* wire type 7 */
    assert_int_equal(FIRST("\x0a\x05"
                           "abcd"),
                     -EBADMSG);                                     /* one byte short */
    assert_int_equal(FIRST("\x0a\x80\x80\x80\x80\x04x"), -EBADMSG); /* 1 GiB */
    assert_int_equal(FIRST("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EBADMSG); /* 2^64-1 */
    assert_int_equal(FIRST("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), -EBADMSG); /* 65 bits */
    assert_int_equal(FIRST("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), -EBADMSG);
    assert_int_equal(FIRST("\x08\x80"), -EBADMSG);
    assert_int_equal(FIRST("\x08"), -EBADMSG);
    assert_int_equal(FIRST("\x09\x01\x02\x03"), -EBADMSG);
    assert_int_equal(FIRST("\x0d\x01\x02\x03"), -EBADMSG);
    assert_int_equal(FIRST("\xff\xff\xff\xff\xff\x01\x00"), -EBADMSG); /* a tag beyond 32 bits */
    assert_int_equal(FIRST("\x08\x80\x80\x00"), 1); /* padded varints are allowed */
}

static void packed(void **state) {
    struct pb_reader r = pb_reader(SLICE("\x01\x80\x01"));
    uint64_t v;

    assert_int_equal(pb_packed(&r, PB_VARINT, &v), 1);
    assert_int_equal(v, 1);
    assert_int_equal(pb_packed(&r, PB_VARINT, &v), 1);
    assert_int_equal(v, 128);
    assert_int_equal(pb_packed(&r, PB_VARINT, &v), 0);
    r = pb_reader(SLICE("\x01\x00\x00\x00\x00\x00\x00\x00\x02"));
    assert_int_equal(pb_packed(&r, PB_FIXED64, &v), 1);
    assert_int_equal(pb_packed(&r, PB_FIXED64, &v), -EBADMSG);
}

static void full_buffer(void **state) {
    struct buffer b;

    buffer_init(&b, 70);
    size_t begin = pb_begin(&b, 1);
    for (unsigned i = 0; i < 40; i++)
        pb_put_varint(&b, 1, 1);
    assert_int_equal(b.failed, -ENOBUFS);
    pb_end(&b, begin); /* nothing happens */
    buffer_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(round_trip),  cmocka_unit_test(nested_lengths),
            cmocka_unit_test(hostile),     cmocka_unit_test(packed),
            cmocka_unit_test(full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
