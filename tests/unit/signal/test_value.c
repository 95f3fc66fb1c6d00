/* Values as text: the stored forms, and back to the API's JSON. */
#include "../unit.h"

#include "signal/value.h"

#include <math.h>

static struct arena arena;
static struct buffer build, out;

static struct slice text_of(struct value v) {
    struct slice s;

    assert_int_equal(value_text(&v, &build, &arena, &s), 0);
    return s;
}

static void scalars(void **state) {
    assert_slice(text_of((struct value){.type = VALUE_STRING, .text = SLICE("a \"b\"")}),
                 "a \"b\"");
    assert_slice(text_of((struct value){.type = VALUE_BOOL, .boolean = true}), "true");
    assert_slice(text_of((struct value){.type = VALUE_INT, .integer = INT64_MIN}),
                 "-9223372036854775808");
    assert_slice(text_of((struct value){.type = VALUE_DOUBLE, .number = 3}), "3");
    assert_slice(text_of((struct value){.type = VALUE_DOUBLE, .number = 0.1}), "0.1");
    assert_slice(text_of((struct value){.type = VALUE_DOUBLE, .number = -INFINITY}), "-Infinity");
    assert_slice(text_of((struct value){.type = VALUE_BYTES, .text = SLICE("\xff\x01")}), "/wE=");
    assert_slice(text_of((struct value){.type = VALUE_EMPTY}), "");
}

static void nested(void **state) {
    const struct attribute pair = {SLICE("k"), {.type = VALUE_BOOL, .boolean = true}};
    const struct value items[] = {
            {.type = VALUE_INT, .integer = 1},
            {.type = VALUE_STRING, .text = SLICE("a\n")},
            {.type = VALUE_DOUBLE, .number = 2},
            {.type = VALUE_DOUBLE, .number = NAN},
            {.type = VALUE_BYTES, .text = SLICE("ab")},
            {.type = VALUE_MAP, .map = {&pair, 1}},
            {.type = VALUE_EMPTY},
            {.type = VALUE_INT, .integer = INT64_MAX},
    };
    const struct value array = {.type = VALUE_ARRAY, .array = {items, 8}};

    assert_slice(text_of(array), "[1,\"a\\n\",2.0,{\"$double\":\"NaN\"},{\"$bytes\":\"YWI=\"},"
                                 "{\"k\":true},null,9223372036854775807]");
    assert_slice(text_of((struct value){.type = VALUE_ARRAY}), "[]");
    assert_slice(text_of((struct value){.type = VALUE_MAP}), "{}");
}

static void depth(void **state) {
    struct value levels[VALUE_DEPTH_MAX + 2] = {{.type = VALUE_INT}};
    struct slice s;

    for (unsigned i = 1; i < VALUE_DEPTH_MAX + 2; i++)
        levels[i] = (struct value){.type = VALUE_ARRAY, .array = {&levels[i - 1], 1}};
    assert_int_equal(value_text(&levels[VALUE_DEPTH_MAX - 1], &build, &arena, &s), 0);
    assert_int_equal(value_text(&levels[VALUE_DEPTH_MAX], &build, &arena, &s), -EINVAL);
}

static int teardown(void **state) {
    arena_done(&arena);
    buffer_done(&build);
    buffer_done(&out);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(scalars),
            cmocka_unit_test(nested),
            cmocka_unit_test(depth),
    };
    arena_init(&arena, 1 << 20);
    buffer_init(&build, 1 << 20);
    buffer_init(&out, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
