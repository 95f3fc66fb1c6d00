/* Arenas and buffers: caps hold, failures leave the object usable. */
#include "../unit.h"

#include "base/memory.h"
#include "base/vector.h"

static void arena_cap(void **state) {
    struct arena a;

    arena_init(&a, 10000);
    assert_non_null(arena_alloc(&a, 9000));
    assert_null(arena_alloc(&a, 2000));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_zalloc(&a, SIZE_MAX / 2, 4));
    arena_clear(&a);
    assert_non_null(arena_alloc(&a, 100));
    struct slice copy = arena_dup(&a, SLICE("text"));
    assert_slice(copy, "text");
    assert_int_equal(copy.data[4], 0);
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_done(&a);
}

static void arena_without_memory(void **state) {
    struct arena a;

    arena_init(&a, 1 << 20);
    memory_fail_at(1);
    assert_null(arena_alloc(&a, 10));
    assert_non_null(arena_alloc(&a, 10));
    arena_done(&a);
}

static void buffer_cap(void **state) {
    struct buffer b;

    buffer_init(&b, 10);
    assert_int_equal(buffer_append(&b, "12345678", 8), 0);
    assert_int_equal(buffer_append(&b, "9ab", 3), -ENOBUFS);
    assert_int_equal(buffer_append_u8(&b, '9'), -ENOBUFS); /* failure is sticky */
    assert_int_equal(b.size, 8);
    buffer_clear(&b);
    assert_int_equal(buffer_printf(&b, "%d", 123), 0);
    assert_slice(buffer_slice(&b), "123");
    memory_fail_at(1);
    buffer_done(&b);
    assert_int_equal(buffer_append_u8(&b, 1), -ENOMEM);
    buffer_done(&b);
}

static void vectors(void **state) {
    VECTOR(int) v = {0};

    for (int i = 0; i < 100; i++)
        assert_int_equal(vector_push(&v, i, 100), 0);
    assert_int_equal(vector_push(&v, 100, 100), -ENOBUFS);
    assert_int_equal(v.items[99], 99);
    vector_done(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(arena_cap),
            cmocka_unit_test(arena_without_memory),
            cmocka_unit_test(buffer_cap),
            cmocka_unit_test(vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
