/* The hash map: growth, caps, and what stays after a failure. */
#include "../unit.h"

#include "base/map.h"

#include <stdio.h>

static struct slice key_of(char *text, size_t room, int i) {
    return slice_new(text, (size_t) snprintf(text, room, "key %d", i));
}

static void grows(void **state) {
    struct map m;
    char text[32];
    bool added;

    map_init(&m, 10000, 1 << 20);
    for (int i = 0; i < 10000; i++) {
        struct map_entry *e = map_put(&m, key_of(text, sizeof(text), i), &added);
        assert_non_null(e);
        assert_true(added);
        e->number = (uint64_t) i;
    }
    assert_null(map_put(&m, SLICE("one too many"), NULL));
    assert_non_null(map_put(&m, SLICE("key 5"), &added));
    assert_false(added);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(map_get(&m, key_of(text, sizeof(text), i))->number, i);
    assert_null(map_get(&m, SLICE("absent")));
    map_clear(&m);
    assert_null(map_get(&m, SLICE("key 5")));
    map_done(&m);
}

static void survives_failure(void **state) {
    struct map m;

    map_init(&m, 100, 1 << 20);
    for (unsigned n = 1; n <= 2; n++) {
        memory_fail_at(n);
        assert_null(map_put(&m, SLICE("a"), NULL));
        assert_null(map_get(&m, SLICE("a")));
    }
    assert_non_null(map_put(&m, SLICE("a"), NULL));
    assert_non_null(map_put(&m, SLICE(""), NULL)); /* the empty key is a key */
    assert_non_null(map_get(&m, SLICE("")));
    memory_fail_at(0);
    map_done(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(grows),
            cmocka_unit_test(survives_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
