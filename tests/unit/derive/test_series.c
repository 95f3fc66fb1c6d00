/* The index of series: finding, limits, eviction, ids that stay, many threads, memory. */
#include "../unit.h"
#include "derive/series.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static struct series_index *x;

static int setup(void **state) {
    return series_index_new(0, 0, &x);
}

static int teardown(void **state) {
    series_index_free(x);
    return 0;
}

struct texts {
    char metric[40], instance[40], path[40];
    struct label labels[4];
};

static struct series_ref put(struct series_index *index, unsigned metric, unsigned instance,
                             unsigned path) {
    struct texts t;
    struct series_ref ret = {0};
    struct error e = ERROR_NONE;

    snprintf(t.metric, sizeof(t.metric), "metric_%u_total", metric);
    snprintf(t.instance, sizeof(t.instance), "host-%u:9100", instance);
    snprintf(t.path, sizeof(t.path), "/path/%u", path);
    t.labels[0] = (struct label){SLICE("__name__"), slice_from(t.metric)};
    t.labels[1] = (struct label){SLICE("instance"), slice_from(t.instance)};
    t.labels[2] = (struct label){SLICE("job"), SLICE("node")};
    t.labels[3] = (struct label){SLICE("path"), slice_from(t.path)};
    if (series_put(index, t.labels, 4, &ret, &e) < 0)
        ret.id = 0;
    return ret;
}

static void touch(struct series_ref s, uint32_t now_s) {
    static uint32_t token = 1000;
    int r = series_touch(x, s, (int64_t) now_s * 1000, now_s, ++token);

    if (r == 1)
        series_written(x, s, now_s);
    assert_true(r == 0 || r == 1);
}

static int count(void *ctx, const struct series_view *v) {
    ++*(size_t *) ctx;
    return 0;
}

static int is_even(const void *ctx, struct slice value) {
    return value.size && (value.data[value.size - 1] - '0') % 2 == 0;
}

static size_t find(const struct series_condition *c, size_t n) {
    size_t found = 0;

    assert_int_equal(series_each(x, c, n, 0, UINT32_MAX, count, &found), 0);
    return found;
}

static void test_find(void **state) {
    for (unsigned i = 0; i < 1000; i++)
        touch(put(x, i % 10, i / 10 % 10, i / 100), 1000);
    assert_int_equal(find(NULL, 0), 1000);
    struct series_condition c[3] = {
            {.name = SLICE("__name__"), .is_equal = true, .value = SLICE("metric_3_total")},
            {.name = SLICE("path"), .test = is_even, .prefix = SLICE("/path/")},
            {.name = SLICE("zone"), .is_equal = true, .value = SLICE_EMPTY}};
    assert_int_equal(find(c, 1), 100);
    assert_int_equal(find(c, 3), 50);
    assert_int_equal(find(c + 1, 1), 500);
    const struct slice values[] = {SLICE("host-1:9100"), SLICE("none"), SLICE("host-4:9100")};
    c[1] = (struct series_condition){
            .name = SLICE("instance"), .values = values, .n_values = 3, .test = is_even};
    assert_int_equal(find(c + 1, 1), 200);
    c[2].value = SLICE("eu");
    assert_int_equal(find(c, 3), 0);
    assert_int_equal(series_count(x, SLICE("job"), SLICE("node")), 1000);
    size_t n = 0;
    assert_int_equal(series_each(x, NULL, 0, 1001, 2000, count, &n), 0);
    assert_int_equal(n, 0); /* nothing was seen then */
}

static void test_ids(void **state) {
    struct series_ref a = put(x, 1, 1, 1), b = put(x, 1, 1, 2), c = put(x, 1, 2, 1),
                      d = put(x, 2, 1, 1);

    assert_int_equal(put(x, 1, 1, 1).id, a.id);
    assert_true(a.id >> 38 == b.id >> 38);                             /* one target's */
    assert_true(a.id >> 48 == c.id >> 48 && a.id >> 38 != c.id >> 38); /* one metric's */
    assert_true(a.id >> 48 != d.id >> 48);
    struct series_index *other;
    assert_int_equal(series_index_new(0, 0, &other), 0);
    assert_int_equal(put(other, 1, 1, 1).id, a.id); /* the same after a start */
    series_index_free(other);
    /* What storage knows under another id is read beside it. */
    struct label l[] = {{SLICE("__name__"), SLICE("metric_9_total")}};
    struct series_row row = {.id = 77, .labels = l, .n = 1, .first_s = 5, .last_s = 9};
    struct series_ref r;
    struct error e;
    assert_int_equal(series_load(x, &row), 0);
    assert_int_equal(series_put(x, l, 1, &r, &e), 0);
    assert_int_equal(r.id, 77);
    row.id = 78;
    assert_int_equal(series_load(x, &row), -EEXIST);
    uint64_t ids[2];
    assert_int_equal(series_other_ids(x, 77, ids, 2), 1);
    assert_int_equal(ids[0], 78);
}

static void test_refused(void **state) {
    const struct label ok[] = {{SLICE("__name__"), SLICE("a")}, {SLICE("b"), SLICE("c")}};
    const struct label unnamed[] = {{SLICE("b"), SLICE("c")}};
    const struct label order[] = {{SLICE("b"), SLICE("c")}, {SLICE("__name__"), SLICE("a")}};
    const struct label twice[] = {
            {SLICE("__name__"), SLICE("a")}, {SLICE("b"), SLICE("c")}, {SLICE("b"), SLICE("d")}};
    const struct label empty[] = {{SLICE("__name__"), SLICE("a")}, {SLICE("b"), SLICE("")}};
    const struct label text[] = {{SLICE("__name__"), SLICE("a")}, {SLICE("b"), SLICE("\xff")}};
    static struct label many[SERIES_LABELS_MAX + 1];
    static char names[SERIES_LABELS_MAX + 1][16], big[SERIES_LABELS_BYTES_MAX + 1];
    struct series_ref r;
    struct error e;

    memset(big, 'x', sizeof(big));
    for (unsigned i = 0; i <= SERIES_LABELS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "l%05u", i);
        many[i] = (struct label){slice_from(names[i]), SLICE("v")};
    }
    many[0].name = SLICE("__name__");
    const struct label bomb[] = {{SLICE("__name__"), SLICE("a")},
                                 {SLICE("b"), slice_new(big, sizeof(big))}};
    const struct label value[] = {{SLICE("__name__"), SLICE("a")},
                                  {SLICE("b"), slice_new(big, SERIES_VALUE_BYTES_MAX + 1)}};
    assert_int_equal(series_put(x, ok, 2, &r, &e), 0);
    assert_int_equal(series_put(x, unnamed, 1, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, order, 2, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, twice, 3, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, empty, 2, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, text, 2, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, many, SERIES_LABELS_MAX + 1, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, many, SERIES_LABELS_MAX, &r, &e), 0);
    assert_int_equal(series_put(x, bomb, 2, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, value, 2, &r, &e), -EINVAL);
    assert_int_equal(series_put(x, NULL, 0, &r, &e), -EINVAL);
}

static void test_limits(void **state) {
    struct series_index *small;
    struct series_stats stats;

    assert_int_equal(series_index_new(100, 60, &small), 0);
    for (unsigned i = 0; i < 100; i++)
        put(small, i, 0, 0);
    series_read_stats(small, &stats);
    assert_int_equal(stats.series, 60);
    assert_int_equal(stats.refused, 40);
    for (unsigned i = 0; i < 100; i++)
        put(small, i, 1, 0);
    series_read_stats(small, &stats);
    assert_int_equal(stats.series, 100);
    assert_true(put(small, 0, 0, 0).id != 0); /* those that are there go on */
    series_index_free(small);
}

static void test_eviction(void **state) {
    struct series_stats before, after;
    struct series_ref kept[100], gone = {0};

    for (unsigned round = 0; round < 5; round++) { /* churn: memory does not grow */
        uint32_t now_s = 100000 + round * 100000;
        for (unsigned i = 0; i < 20000; i++) {
            struct series_ref s = put(x, i % 10, 1000 + round, i);
            touch(s, now_s);
            gone = s;
        }
        for (unsigned i = 0; i < 100; i++) {
            kept[i] = put(x, i, 0, 0);
            touch(kept[i], now_s);
            touch(kept[i], now_s + 90000);
        }
        assert_int_equal(series_evict(x, now_s + 90000, 50000), 20000);
        series_read_stats(x, round == 0 ? &before : &after);
        assert_int_equal(series_touch(x, gone, 1, now_s, 2), -ESTALE);
        assert_int_equal(series_gap(x), now_s + 1);
    }
    assert_int_equal(after.series, 100);
    assert_int_equal(after.evicted, 100000);
    assert_true(after.pairs < 20300);
    assert_true(after.bytes < before.bytes + before.bytes / 4);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(put(x, i, 0, 0).id, kept[i].id);
    assert_int_equal(find(NULL, 0), 100);
}

static void test_rows_are_due(void **state) {
    struct series_ref s = put(x, 1, 1, 1);

    assert_int_equal(series_touch(x, s, 5000000, 5000, 7), 1);
    assert_int_equal(series_touch(x, s, 5001000, 5000, 7), 0); /* once a transaction */
    assert_int_equal(series_touch(x, s, 5001000, 5000, 8), 1); /* until it is durable */
    assert_int_equal(find(NULL, 0), 0);
    series_written(x, s, 5000);
    assert_int_equal(find(NULL, 0), 1);
    assert_int_equal(series_touch(x, s, 5002000, 5002, 9), 0);
    assert_int_equal(series_touch(x, s, 9000000, 5000 + SERIES_EMIT_S, 10), 1);
    series_written(x, s, 9000);
    assert_int_equal(series_touch(x, s, 9000000, 100, 11), 1); /* the clock went far back */
    series_written(x, s, 9000);
    assert_int_equal(series_touch(x, s, 20000000, 9000, 12), 1); /* samples that hurry */
    series_unwritten(x, s);
    assert_int_equal(series_touch(x, s, 20000000, 9000, 13), 1);
    series_written(x, s, 9000);
    assert_int_equal(series_touch(x, s, 1000, 9000, 14), 1); /* older than what the row says */
}

/* ---- Threads ---- */

static atomic_bool stop;

static void *write_some(void *arg) {
    unsigned n = *(unsigned *) arg;

    for (unsigned round = 0; round < 20; round++)
        for (unsigned i = 0; i < 500; i++) {
            struct series_ref s = put(x, i % 10, n, i + round * 100);
            int r = series_touch(x, s, 1000000 + round * 1000, 1000 + round, round * 8 + n + 1);
            if (r == 1)
                series_written(x, s, 1000 + round);
        }
    return NULL;
}

static void *read_some(void *arg) {
    while (!atomic_load(&stop)) {
        struct series_stats stats;
        find(NULL, 0);
        series_read_stats(x, &stats);
        series_evict(x, 1010, 5);
    }
    return NULL;
}

static void test_threads(void **state) {
    pthread_t writers[3], reader;
    unsigned numbers[3] = {0, 1, 2};

    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&reader, NULL, read_some, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_some, &numbers[i]), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&stop, true);
    pthread_join(reader, NULL);
}

static void test_memory_fails(void **state) {
    for (unsigned i = 1; i < 60; i++) {
        struct series_index *small;
        memory_fail_at(0);
        assert_int_equal(series_index_new(0, 0, &small), 0);
        memory_fail_at(i);
        for (unsigned j = 0; j < 20; j++)
            put(small, j, j % 3, j % 7);
        memory_fail_at(0);
        for (unsigned j = 0; j < 20; j++)
            assert_true(put(small, j, j % 3, j % 7).id != 0);
        series_index_free(small);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
            TEST(test_find),    TEST(test_ids),          TEST(test_refused),
            TEST(test_limits),  TEST(test_eviction),     TEST(test_rows_are_due),
            TEST(test_threads), TEST(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
