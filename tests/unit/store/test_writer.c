/* Group commit on the real engine: everybody is answered, nothing is lost or doubled, failures are
 * told. */
#include "fixture.h"

#include "base/clock.h"
#include "signal/columns.h"

#include <pthread.h>
#include <stdatomic.h>

#define DAY_NS (86400 * NS_PER_S)
#define DAYS 150 /* more than the engine allows in one INSERT by default */

static struct store *store;

/* The flush hook of all tests; what it does is set by each. */
static _Atomic int hook_result;
static atomic_uint hook_calls;
static atomic_bool hook_blocks;

static int hook(void *ctx, struct store_batch *b) {
    struct native_block *resources = store_batch_block(b, TABLE_RESOURCES);

    while (atomic_load(&hook_blocks))
        sched_yield();
    atomic_fetch_add(&hook_calls, 1);
    if (atomic_load(&hook_result) < 0)
        return atomic_load(&hook_result);
    for (unsigned c = 0; c < RESOURCES_COLUMNS; c++) {
        switch (c) {
        case RESOURCES_ID: native_put_u64(resources, c, 17); break;
        case RESOURCES_ATTRIBUTES:
        case RESOURCES_ATTRIBUTE_TYPES: native_close(resources, c); break;
        case RESOURCES_FIRST_SEEN:
        case RESOURCES_LAST_SEEN: native_put_u64(resources, c, 1700000000); break;
        default: native_put_string(resources, c, SLICE("derived"));
        }
    }
    native_block_end_row(resources);
    return 0;
}

static int setup(void **state) {
    struct store_options o = fixture_options();

    o.queue_bytes_max = 4 << 20;
    o.retention_days =
            STORE_DAYS_MAX; /* there are rows of 1970, and rounds of retention meanwhile */
    store = fixture_open(&o);
    store_set_flush_hook(store, hook, NULL);
    return 0;
}

static int teardown(void **state) {
    store_close(store);
    return 0;
}

static struct fixture_wait *send_spans(uint64_t first, size_t n, int64_t ts_ns, int64_t step_ns) {
    struct store_batch *b;
    struct fixture_wait *w = fixture_wait_new();

    assert_int_equal(store_batch_acquire(store, 1000, &b), 0);
    for (size_t i = 0; i < n; i++)
        fixture_span(store_batch_block(b, TABLE_SPANS), first + i, ts_ns + (int64_t) i * step_ns,
                     "shop", "GET /");
    store_batch_commit(b, fixture_done, w);
    return w;
}

#define THREADS 8u
#define REQUESTS 60u
#define ROWS 20u

static void *sender(void *arg) {
    uintptr_t me = (uintptr_t) arg;

    for (uintptr_t i = 0; i < REQUESTS; i++) {
        struct store_batch *b;
        struct fixture_wait *w = fixture_wait_new();
        while (store_batch_acquire(store, 1000, &b) == -EAGAIN)
            sched_yield();
        for (uintptr_t j = 0; j < ROWS; j++)
            fixture_span(store_batch_block(b, TABLE_SPANS),
                         1000000 + (me * REQUESTS + i) * ROWS + j, clock_now_ns(), "many", "GET /");
        if (i % 10 == 9) { /* some give up: their rows must not appear */
            store_batch_abort(b);
            fixture_done(w, 0);
        } else {
            store_batch_commit(b, fixture_done, w);
        }
        if (fixture_wait(w) != 0)
            return (void *) 1;
    }
    return NULL;
}

static void test_many_senders(void **state) {
    pthread_t ids[THREADS];
    struct store_stats before, after;

    store_read_stats(store, &before);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, sender, (void *) i);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(ids[i], &failed);
        assert_null(failed);
    }
    store_read_stats(store, &after);
    const unsigned kept = THREADS * (REQUESTS - REQUESTS / 10) * ROWS;
    assert_int_equal(fixture_number(store, "SELECT count() FROM spans WHERE service = 'many'"),
                     kept);
    assert_int_equal(
            fixture_number(store, "SELECT uniqExact(span_id) FROM spans WHERE service = 'many'"),
            kept);
    assert_int_equal(after.rows[TABLE_SPANS] - before.rows[TABLE_SPANS], kept);
    assert_int_equal(after.queue_bytes, 0);
    /* Gathered: far fewer commits than requests. */
    assert_true(after.commits - before.commits < THREADS * REQUESTS / 2);
}

static void test_hook_adds_derived_rows(void **state) {
    unsigned before = atomic_load(&hook_calls);

    assert_int_equal(fixture_wait(send_spans(1, 1, clock_now_ns(), 0)), 0);
    assert_int_equal(atomic_load(&hook_calls), before + 1);
    assert_true(fixture_number(store, "SELECT count() FROM resources WHERE service = 'derived'") >
                0);
}

static void test_hook_failure_is_told(void **state) {
    atomic_store(&hook_result, -ENOMEM);
    assert_int_equal(fixture_wait(send_spans(900, 1, clock_now_ns(), 0)), -ENOMEM);
    atomic_store(&hook_result, 0);
    assert_int_equal(fixture_wait(send_spans(901, 1, clock_now_ns(), 0)), 0);
    assert_int_equal(fixture_number(store, "SELECT count() FROM spans WHERE duration_ns = 1900"),
                     0);
    assert_int_equal(fixture_number(store, "SELECT count() FROM spans WHERE duration_ns = 1901"),
                     1);
}

/* Timestamps of a hostile or broken sender: hundreds of days in one commit, and the ends of time.
 */
static void test_many_partitions(void **state) {
    int64_t now = clock_now_ns();

    assert_int_equal(fixture_wait(send_spans(50000, DAYS, now - DAYS * DAY_NS, DAY_NS)), 0);
    assert_int_equal(fixture_wait(send_spans(60000, 1, 0, 0)), 0);
    assert_int_equal(fixture_wait(send_spans(60001, 1, INT64_MAX, 0)), 0);
    assert_int_equal(fixture_wait(send_spans(60002, 1, INT64_MIN, 0)), 0);
    assert_int_equal(fixture_number(store,
                                    "SELECT count() FROM spans WHERE duration_ns >= 51000 AND "
                                    "duration_ns < 61003"),
                     DAYS + 3);
}

static void test_failed_insert_is_told(void **state) {
    struct error e = ERROR_NONE;
    struct store_stats st;

    assert_int_equal(store_execute(store, "RENAME TABLE spans TO spans_away", &e), 0);
    assert_true(fixture_wait(send_spans(70000, 5, clock_now_ns(), 0)) < 0);
    store_read_stats(store, &st);
    assert_true(st.commit_failures > 0);
    assert_true(*st.last_error);
    assert_int_equal(store_execute(store, "RENAME TABLE spans_away TO spans", &e), 0);
    assert_int_equal(fixture_wait(send_spans(70005, 5, clock_now_ns(), 0)), 0);
    assert_int_equal(fixture_number(store,
                                    "SELECT count() FROM spans WHERE duration_ns >= 71000 AND "
                                    "duration_ns < 71010"),
                     5);
}

static void test_full_queue_refuses(void **state) {
    struct store_batch *b;
    struct store_stats st;

    atomic_store(&hook_blocks, true);
    struct fixture_wait *first = send_spans(80000, 20000, clock_now_ns(), 0);
    assert_int_equal(store_batch_acquire(store, 4 << 20, &b), -EAGAIN);
    store_read_stats(store, &st);
    assert_true(st.queue_refused > 0);
    assert_true(st.queue_bytes > 0);
    atomic_store(&hook_blocks, false);
    assert_int_equal(fixture_wait(first), 0);
    assert_int_equal(store_batch_acquire(store, 64 << 20, &b),
                     0); /* alone, a large one gets through */
    store_batch_abort(b);
}

static void test_close_writes_what_waits(void **state) {
    struct store_options o = fixture_options();

    atomic_store(&hook_blocks, true);
    struct fixture_wait *first = send_spans(600000, 10, clock_now_ns(), 0);
    struct fixture_wait *second = send_spans(600010, 10, clock_now_ns(), 0);
    atomic_store(&hook_blocks, false);
    store_close(store);
    assert_int_equal(fixture_wait(first), 0);
    assert_int_equal(fixture_wait(second), 0);
    store = fixture_open(&o);
    assert_int_equal(fixture_number(store,
                                    "SELECT count() FROM spans WHERE duration_ns >= 601000 AND "
                                    "duration_ns < 601020"),
                     20);
}

/* Rows that nobody waits for begin no commit, and go with the next one. */
static void test_patient_rows_gather(void **state) {
    struct store_options o = fixture_options();
    struct store_stats before, after;
    struct store_batch *b;
    struct fixture_wait *patient = fixture_wait_new();

    store_close(store);
    o.commit_ns_max = 600 * NS_PER_S;
    store = fixture_open(&o);
    store_read_stats(store, &before);
    assert_int_equal(store_batch_acquire(store, 1000, &b), 0);
    fixture_span(store_batch_block(b, TABLE_SPANS), 700000, clock_now_ns(), "patient", "GET /");
    store_batch_commit_patiently(b, fixture_done, patient);
    assert_int_equal(fixture_wait(send_spans(700001, 1, clock_now_ns(), 0)), 0);
    assert_int_equal(fixture_wait(patient), 0);
    store_read_stats(store, &after);
    assert_int_equal(after.commits - before.commits, 1);
    assert_int_equal(fixture_number(store, "SELECT count() FROM spans WHERE service = 'patient'"),
                     1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_many_senders),
            cmocka_unit_test(test_hook_adds_derived_rows),
            cmocka_unit_test(test_hook_failure_is_told),
            cmocka_unit_test(test_failed_insert_is_told),
            cmocka_unit_test(test_full_queue_refuses),
            cmocka_unit_test(test_many_partitions),
            cmocka_unit_test(test_close_writes_what_waits),
            cmocka_unit_test(test_patient_rows_gather),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
