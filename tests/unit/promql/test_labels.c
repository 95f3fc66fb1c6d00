/* Label sets: order, uniqueness, deriving, the table, printing. */
#include "../unit.h"

#include "query/promql/labels.h"

#include <stdio.h>

static struct arena a;

static const struct promql_labels *make(const char *const *pairs) {
    struct promql_label items[16];
    uint32_t n = 0;

    for (; pairs[2 * n]; n++)
        items[n] = (struct promql_label){slice_from(pairs[2 * n]), slice_from(pairs[2 * n + 1])};
    return labels_make(&a, items, n);
}

#define LABELS(...) make((const char *const[]){__VA_ARGS__, NULL})

static void test_make(void **state) {
    const struct promql_labels *l = LABELS("b", "2", "a", "1", "c", "", "b", "3");

    assert_int_equal(l->n, 2);
    assert_slice(l->items[0].name, "a");
    assert_slice(promql_labels_get(l, SLICE("b")), "3");
    assert_slice(promql_labels_get(l, SLICE("c")), "");
    assert_true(labels_equal(l, LABELS("a", "1", "b", "3")));
    assert_false(labels_equal(l, LABELS("a", "1")));
    assert_true(l->hash == promql_labels_hash(l->items, l->n));
    assert_true(labels_equal(labels_make(&a, NULL, 0), &promql_no_labels));
}

static void test_derive(void **state) {
    const struct promql_labels *l = LABELS("__name__", "m", "a", "1", "__unit__", "s");
    const struct slice names[] = {SLICE("a"), SLICE("zz")};

    assert_true(labels_equal(labels_set(&a, l, SLICE("b"), SLICE("2")),
                             LABELS("__name__", "m", "__unit__", "s", "a", "1", "b", "2")));
    assert_true(labels_equal(labels_set(&a, l, SLICE("a"), SLICE_EMPTY),
                             LABELS("__name__", "m", "__unit__", "s")));
    assert_true(labels_equal(labels_drop_name(&a, l), LABELS("a", "1")));
    assert_true(labels_equal(labels_select(&a, l, names, 2, true), LABELS("a", "1")));
    assert_true(labels_equal(labels_select(&a, l, names, 2, false),
                             LABELS("__name__", "m", "__unit__", "s")));
    assert_true(labels_compare(LABELS("a", "1"), LABELS("a", "2")) < 0);
    assert_true(labels_compare(LABELS("a", "1"), LABELS("a", "1", "b", "1")) < 0);
    assert_true(labels_compare(l, l) == 0);
}

static void test_table(void **state) {
    struct labels_table t;
    char text[5000][8];

    labels_table_init(&t, &a);
    assert_int_equal(labels_table_get(&t, LABELS("k", "1")), -1);
    for (int i = 0; i < 5000; i++) {
        snprintf(text[i], sizeof(text[i]), "%d", i);
        assert_int_equal(labels_table_put(&t, LABELS("k", text[i])), i);
    }
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(labels_table_put(&t, LABELS("k", text[i])), i);
        assert_int_equal(labels_table_get(&t, LABELS("k", text[i])), i);
    }
    assert_int_equal(labels_table_get(&t, LABELS("k", "x")), -1);
}

static void expect_printed(const struct promql_labels *l, const char *text) {
    struct buffer b;

    buffer_init(&b, 1000);
    promql_labels_print(l, &b);
    assert_slice(buffer_slice(&b), text);
    buffer_done(&b);
}

static void test_print(void **state) {
    expect_printed(&promql_no_labels, "{}");
    expect_printed(LABELS("__name__", "m"), "m");
    expect_printed(LABELS("__name__", "m", "a", "x\"y\n"), "m{a=\"x\\\"y\\n\"}");
    expect_printed(LABELS("__name__", "m.n", "a b", "c"), "{\"m.n\", \"a b\"=\"c\"}");
}

/* limit_ratio() must choose the same series as Prometheus: XXH64 over its packed form. */
static void test_prometheus_hash(void **state) {
    char large[1000];

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    assert_true(labels_prometheus_hash(&a, &promql_no_labels) == UINT64_C(0xef46db3751d8e999));
    assert_true(labels_prometheus_hash(&a, LABELS("a", large)) !=
                labels_prometheus_hash(&a, LABELS("a", "x")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_make),
            cmocka_unit_test(test_derive),
            cmocka_unit_test(test_table),
            cmocka_unit_test(test_print),
            cmocka_unit_test(test_prometheus_hash),
    };

    arena_init(&a, 100u << 20);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&a);
    return r;
}
