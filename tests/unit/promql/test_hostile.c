/*
 * Queries that want too much: deep, long, wide, slow. Each ends with an error that says so, within
 * its time and memory, and leaves nothing behind.
 */
#include "../unit.h"

#include "base/clock.h"
#include "query/promql/labels.h"
#include "query/promql/memstore.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

static struct memstore *store;

static struct promql_query *parse(const char *text) {
    struct promql_query *q;
    struct promql_error e;

    if (promql_parse(slice_from(text), &q, &e) < 0)
        fail_msg("%.100s: %s", text, e.text);
    return q;
}

static void refuse(struct slice text) {
    struct promql_query *q;
    struct promql_error e;

    assert_true(promql_parse(text, &q, &e) < 0);
    assert_true(e.text[0]);
}

static struct buffer repeated(const char *before, size_t n, const char *middle, const char *after) {
    struct buffer b;

    buffer_init(&b, 64u << 20);
    for (size_t i = 0; i < n; i++)
        buffer_append_text(&b, before);
    buffer_append_text(&b, middle);
    for (size_t i = 0; i < n; i++)
        buffer_append_text(&b, after);
    return b;
}

static void test_nesting(void **state) {
    static const struct {
        const char *before, *middle, *after;
    } shapes[] = {{"(", "1", ")"},      {"-", "1", ""},
                  {"abs(", "a", ")"},   {"sum(", "a", ")"},
                  {"1+(", "1", ")"},    {"2^", "2", ""},
                  {"", "a", "[5m:1m]"}, {"", "1", "+1"},
                  {"a and ", "a", ""},  {"{", "a", "}"},
                  {"[", "a", "]"},      {"a[", "5m", "]"},
                  {"a[(", "5m", ")]"},  {"a offset (", "5m", ")"},
                  {"a[-", "5m", ""}};

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct buffer b = repeated(shapes[i].before, 100000, shapes[i].middle, shapes[i].after);

        refuse(buffer_slice(&b));
        buffer_done(&b);
    }
    struct buffer b = repeated("a", 2u << 20, "", "");
    refuse(buffer_slice(&b));
    buffer_done(&b);
    refuse(SLICE("\"\xff\""));
    refuse(slice_new("a\0b", 3));
}

/* A chain of operators within the limits evaluates. */
static void test_height(void **state) {
    struct buffer b = repeated("1+", 900, "1", "");
    struct promql_query *q;
    struct promql_result *res;
    struct promql_error e;

    buffer_append_u8(&b, 0);
    q = parse((const char *) b.data);
    assert_int_equal(promql_eval_instant(q, memstore_source(store), 0, NULL, &res, &e), 0);
    assert_true(res->columns[0].values[0] == 901);
    promql_result_free(res);
    promql_query_free(q);
    buffer_done(&b);
}

static enum promql_failure run(const char *text, int64_t to, int64_t step,
                               const struct promql_options *o) {
    struct promql_query *q = parse(text);
    struct promql_result *res = NULL;
    struct promql_error e;
    int64_t start = clock_monotonic_ns();
    int r = promql_eval_range(q, memstore_source(store), 0, to, step, o, &res, &e);

    assert_true(clock_monotonic_ns() - start < 30 * NS_PER_S);
    promql_result_free(res);
    promql_query_free(q);
    if (r == 0)
        return PROMQL_OK;
    assert_true(e.text[0]);
    return e.kind;
}

static void test_steps(void **state) {
    assert_int_equal(run("a", INT64_C(1000000000000), 1, NULL), PROMQL_BAD_QUERY);
    assert_int_equal(run("a", -1, 1, NULL), PROMQL_BAD_QUERY);
    assert_int_equal(run("a", 1000, 0, NULL), PROMQL_BAD_QUERY);
    assert_int_equal(run("a", INT64_MAX, INT64_MAX, NULL), PROMQL_BAD_QUERY);
    assert_int_equal(run("sum_over_time(a[100y:1ms])", 1000, 1000, NULL), PROMQL_LIMIT);
    assert_int_equal(run("sum_over_time(a[1d:1s])", 1000, 1000, NULL), PROMQL_OK);
    assert_int_equal(run("rate(a[10000y])", 1000, 1000, NULL), PROMQL_OK);
    assert_int_equal(run("a offset 100000y", 1000, 1000, NULL), PROMQL_OK);
    assert_int_equal(run("a offset (1h/0)", 1000, 1000, NULL), PROMQL_EXECUTION);
    assert_int_equal(run("rate(a[5m-5m])", 1000, 1000, NULL), PROMQL_EXECUTION);
}

static void test_memory(void **state) {
    struct promql_options o = {.memory_bytes_max = 1 << 20};

    assert_int_equal(run("a", 10000000, 1000, &o), PROMQL_LIMIT);
    assert_int_equal(run("a * on(i) a", 600000, 1000, &o), PROMQL_LIMIT);
    o = (struct promql_options){.samples_max = 10000};
    assert_int_equal(run("a", 10000000, 1000, &o), PROMQL_LIMIT);
    assert_int_equal(run("max_over_time(a[1h:1s])", 10000, 1000, &o), PROMQL_LIMIT);
    o.samples_max = 0;
    assert_int_equal(
            run("label_replace(a, \"x\", \"$1$1$1$1$1$1$1$1$1$1\", \"i\", \"(.*)\")", 0, 1, &o),
            PROMQL_OK);
}

static void test_time(void **state) {
    struct promql_options o = {.timeout_ms = 50,
                               .steps_max = 100000,
                               .samples_max = UINT64_MAX,
                               .memory_bytes_max = (size_t) 4 << 30};

    assert_int_equal(run("max_over_time(max_over_time(a[10h:1s])[10h:1s])", 10000000, 1000, &o),
                     PROMQL_TIMEOUT);
    assert_int_equal(run("quantile_over_time(0.5, a[1d:1s])", 10000000, 1000, &o), PROMQL_TIMEOUT);
}

static atomic_bool canceled;

static void *cancel_soon(void *arg) {
    clock_monotonic_ns();
    atomic_store(&canceled, true);
    return NULL;
}

static void test_cancel(void **state) {
    struct promql_options o = {.steps_max = 100000,
                               .samples_max = UINT64_MAX,
                               .cancel = &canceled,
                               .memory_bytes_max = (size_t) 4 << 30};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    assert_int_equal(run("max_over_time(max_over_time(a[10h:1s])[10h:1s])", 10000000, 1000, &o),
                     PROMQL_CANCELED);
    pthread_join(thread, NULL);
}

/* Each allocation of an evaluation fails once. */
static void test_allocation(void **state) {
    struct promql_query *q = parse(
            "sum by (i) (rate(a[1m])) / on (i) group_left count by (i) (label_replace(a, \"x\", "
            "\"$1\", \"i\", \"(.*)\")) or topk(2, max_over_time(a[1m:10s])) or quantile(0.5, a)");
    struct promql_result *res;
    struct promql_error e;

    for (unsigned n = 1; n < 400; n++) {
        res = NULL;
        memory_fail_at(n);
        int r = promql_eval_range(q, memstore_source(store), 0, 60000, 10000, NULL, &res, &e);
        memory_fail_at(0);
        assert_true(r == 0 || e.kind != PROMQL_OK);
        promql_result_free(res);
    }
    promql_query_free(q);
}

/* A source that hands over nothing but trouble. */
static int broken_select(struct promql_source *source, const struct promql_matcher *matchers,
                         size_t n_matchers, int64_t from_ms, int64_t to_ms,
                         const struct promql_hints *hints, struct arena *arena, promql_add_fn *add,
                         void *add_ctx, struct promql_error *e) {
    e->kind = PROMQL_STORAGE;
    snprintf(e->text, sizeof(e->text), "the disk is on fire");
    return -EIO;
}

static void test_storage(void **state) {
    struct promql_source broken = {broken_select};
    struct promql_query *q = parse("sum(a) + 1");
    struct promql_result *res;
    struct promql_error e;

    assert_true(promql_eval_instant(q, &broken, 0, NULL, &res, &e) < 0);
    assert_int_equal(e.kind, PROMQL_STORAGE);
    assert_string_equal(e.text, "the disk is on fire");
    promql_query_free(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_nesting), cmocka_unit_test(test_height),
            cmocka_unit_test(test_steps),   cmocka_unit_test(test_memory),
            cmocka_unit_test(test_time),    cmocka_unit_test(test_cancel),
            cmocka_unit_test(test_storage), cmocka_unit_test(test_allocation),
    };

    store = memstore_new(100u << 20);
    for (int i = 0; i < 100; i++) {
        char text[16];
        struct promql_label items[2] = {{SLICE("__name__"), SLICE("a")}, {SLICE("i"), {0}}};
        struct promql_labels l = {2, 0, items};

        snprintf(text, sizeof(text), "%d", i);
        items[1].value = slice_from(text);
        l.hash = promql_labels_hash(items, 2);
        for (int k = 0; k < 100; k++)
            if (memstore_add(store, &l, k * 10000, k, 0) < 0)
                return 1;
    }
    if (memstore_commit(store) < 0)
        return 1;
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    memstore_free(store);
    return r;
}
