/* Resources: an id that does not depend on order, and the well-known names. */
#include "../unit.h"

#include "signal/resource.h"

#include <errno.h>

static struct buffer build;

static uint64_t id_of(const struct attribute *items, size_t n) {
    struct resource r = {.attributes = {items, n, 0}};

    assert_int_equal(resource_finish(&r, &build), 0);
    return r.id;
}

static void ids(void **state) {
    const struct attribute a = {SLICE("service.name"),
                                {.type = VALUE_STRING, .text = SLICE("shop")}},
                           b = {SLICE("process.pid"), {.type = VALUE_INT, .integer = 7}},
                           c = {SLICE("process.pid"), {.type = VALUE_STRING, .text = SLICE("7")}};
    const struct attribute ab[] = {a, b}, ba[] = {b, a}, ac[] = {a, c}, aa[] = {a, a};

    assert_true(id_of(ab, 2) == id_of(ba, 2));
    assert_true(id_of(ab, 2) != id_of(ac, 2)); /* a number is not its text */
    assert_true(id_of(aa, 2) != id_of(aa, 1));
    assert_true(id_of(NULL, 0) != 0);
}

static void names(void **state) {
    const struct attribute items[] = {
            {SLICE("service.name"), {.type = VALUE_STRING, .text = SLICE("shop")}},
            {SLICE("service.namespace"), {.type = VALUE_STRING, .text = SLICE("demo")}},
            {SLICE("service.version"), {.type = VALUE_STRING, .text = SLICE("1.2")}},
            {SLICE("service.instance.id"), {.type = VALUE_STRING, .text = SLICE("i-1")}},
            {SLICE("deployment.environment"), {.type = VALUE_STRING, .text = SLICE("prod")}},
    };
    struct resource r = {.attributes = {items, 5, 0}}, none = {.id = 0};

    assert_int_equal(resource_finish(&r, &build), 0);
    assert_slice(r.service, "shop");
    assert_slice(r.service_namespace, "demo");
    assert_slice(r.version, "1.2");
    assert_slice(r.instance, "i-1");
    assert_slice(r.environment, "prod");
    assert_int_equal(resource_finish(&none, &build), 0);
    assert_slice(none.service, "unknown_service");
}

static void nested_too_deeply(void **state) {
    struct value levels[64] = {{.type = VALUE_INT}};
    for (unsigned i = 1; i < 64; i++)
        levels[i] = (struct value){.type = VALUE_ARRAY, .array = {&levels[i - 1], 1}};
    const struct attribute a = {SLICE("deep"), levels[63]};
    struct resource r = {.attributes = {&a, 1, 0}};

    assert_int_equal(resource_finish(&r, &build), -EINVAL);
}

static int teardown(void **state) {
    buffer_done(&build);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(ids),
            cmocka_unit_test(names),
            cmocka_unit_test(nested_too_deeply),
    };
    buffer_init(&build, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
