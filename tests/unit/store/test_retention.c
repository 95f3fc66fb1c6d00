/* Retention by age, by bytes, and the disk guard, on a few rows of several days. */
#include "fixture.h"

#include "base/clock.h"
#include "signal/columns.h"
#include "store/private.h"

#define DAY_NS (86400 * NS_PER_S)

static struct store *store;

/* What the engine merges on its own changes how many bytes there are. */
static void stop_merges(void) {
    int64_t until = clock_monotonic_ns() + 60 * NS_PER_S;
    struct error e = ERROR_NONE;

    assert_int_equal(store_execute(store, "SYSTEM STOP MERGES", &e), 0);
    while (fixture_number(store, "SELECT count() FROM system.merges") > 0)
        assert_true(clock_monotonic_ns() < until);
}

/* The rounds are those of the tests: one that came in between, on a machine that is slow enough,
 * would drop and count what they are about to. */
static int setup(void **state) {
    struct store_options o = fixture_options();

    o.retention_days = 3650;
    store = fixture_open(&o);
    keeper_stop(store);
    stop_merges();
    return 0;
}

static int teardown(void **state) {
    store_close(store);
    return 0;
}

static int commit_days(const int *days, size_t n) {
    struct store_batch *b;
    int r = store_batch_acquire(store, 1000, &b);

    if (r < 0)
        return r;
    struct fixture_wait *w = fixture_wait_new();
    for (size_t i = 0; i < n; i++) {
        int64_t ts = clock_now_ns() - days[i] * DAY_NS;
        fixture_span(store_batch_block(b, TABLE_SPANS), (uint64_t) days[i], ts, "shop", "GET /");
        fixture_log(store_batch_block(b, TABLE_LOGS), (uint64_t) days[i], ts, "a line");
    }
    store_batch_commit(b, fixture_done, w);
    return fixture_wait(w);
}

static void round_now(void) {
    struct error e = ERROR_NONE;

    if (keeper_round(store, &e) < 0)
        fail_msg("keeper_round: %s", e.text);
}

static uint64_t count(void) {
    return fixture_number(store, "SELECT (SELECT count() FROM spans) + (SELECT count() FROM logs)");
}

static void test_days(void **state) {
    struct store_stats st;

    assert_int_equal(commit_days((const int[]){40, 31, 29, 10, 1, 0}, 6), 0);
    round_now();
    assert_int_equal(count(), 12);
    store->options.retention_days = 30; /* as after a restart with another option */
    round_now();
    assert_int_equal(count(), 8);
    store_read_stats(store, &st);
    assert_int_equal(st.dropped_partitions, 4);
}

static void test_days_of_a_signal(void **state) {
    assert_int_equal(commit_days((const int[]){8, 7}, 2), 0);
    store->options.signal_days[SIGNAL_LOGS] = 7;
    store->options.signal_days[SIGNAL_TRACES] = STORE_DAYS_MAX;
    assert_int_equal(store_kept_days(store, SIGNAL_LOGS), 7);
    assert_int_equal(store_kept_days(store, SIGNAL_METRICS), 30);
    round_now();
    assert_int_equal(fixture_number(store, "SELECT count() FROM logs"), 3); /* 7, 1, 0 */
    assert_int_equal(fixture_number(store, "SELECT count() FROM spans"), 6);
    store->options.signal_days[SIGNAL_LOGS] = store->options.signal_days[SIGNAL_TRACES] = 0;
}

static void test_too_many_days_keep_everything(void **state) {
    store->options.retention_days = STORE_DAYS_MAX;
    round_now();
    assert_int_equal(count(), 9);
    store->options.retention_days = 30;
}

static void test_bytes_drop_the_oldest_day_of_all_tables(void **state) {
    uint64_t bytes =
            fixture_number(store, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND "
                                  "database = currentDatabase()");

    store->options.retention_bytes = bytes - 1;
    round_now();
    assert_int_equal(count(), 8);
    assert_int_equal(fixture_number(store, "SELECT count() FROM logs WHERE seq = 29"), 0);
    store->options.retention_bytes = 1; /* today stays all the same */
    round_now();
    assert_int_equal(count(), 2);
    store->options.retention_bytes = 0;
}

static void test_disk_guard(void **state) {
    struct store_stats st;

    assert_int_equal(commit_days((const int[]){5, 4}, 2), 0);
    store->options.free_bytes_min = UINT64_MAX;
    round_now();
    assert_int_equal(count(), 2); /* all but today are gone */
    assert_int_equal(commit_days((const int[]){0}, 1), -ENOSPC);
    store_read_stats(store, &st);
    assert_non_null(strstr(st.notice, "refused"));
    store->options.free_bytes_min = 1;
    round_now();
    store_read_stats(store, &st);
    assert_string_equal(st.notice, "");
    assert_int_equal(commit_days((const int[]){0}, 1), 0);
    assert_int_equal(count(), 4);
}

static void test_dropped_data_leaves_the_disk(void **state) {
    int64_t until = clock_monotonic_ns() + 60 * NS_PER_S;

    /* Dropped parts are taken from the disk by the engine's cleaner. */
    while (fixture_number(store,
                          "SELECT count() FROM system.parts WHERE NOT active AND database = "
                          "currentDatabase() AND table IN ('spans', 'logs') AND rows > 0") > 0)
        assert_true(clock_monotonic_ns() < until);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_days),
            cmocka_unit_test(test_days_of_a_signal),
            cmocka_unit_test(test_too_many_days_keep_everything),
            cmocka_unit_test(test_bytes_drop_the_oldest_day_of_all_tables),
            cmocka_unit_test(test_disk_guard),
            cmocka_unit_test(test_dropped_data_leaves_the_disk),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
