/* Where sums of profiles are read from, on the real engine: whatever the range and the parts of it,
 * every sample counts once; and long ranges are read from the sums that the engine keeps. */
#include "../store/fixture.h"
#include "base/clock.h"
#include "query/profiles.h"

#define DAYS 2
#define WINDOW_S 60
#define STACKS 7

static struct store *store;
static int64_t base_s; /* a midnight */

static void run(const char *sql) {
    struct error e = ERROR_NONE;

    if (store_execute(store, sql, &e) < 0)
        fail_msg("%s: %s", sql, e.text);
}

/* A sample of 1 each minute, in turn of each stack and process; steps as ingest sums them. Hours
 * are inserted one by one, so that there are parts to merge. */
static void fill(void) {
    char sql[1024];

    for (int64_t at = base_s; at < base_s + DAYS * 86400; at += 3 * 3600) {
        snprintf(
                sql, sizeof(sql),
                "INSERT INTO profile_samples SELECT toDateTime(%lld + number * %d, 'UTC'), 'shop', "
                "'1.0', number %% 5, 'cpu', 'nanoseconds', concat('t', toString(number %% 2)), "
                "'GET /', '', '', number %% %d, 1 FROM numbers(180)",
                (long long) at, WINDOW_S, STACKS);
        run(sql);
        snprintf(sql, sizeof(sql),
                 "INSERT INTO profile_steps SELECT toStartOfTenMinutes(ts), service, version, "
                 "type, unit, thread, endpoint, stack_id, sum(value) FROM profile_samples WHERE ts "
                 ">= toDateTime(%lld) AND ts < toDateTime(%lld) GROUP BY ALL",
                 (long long) at, (long long) at + 3 * 3600);
        run(sql);
    }
    run("OPTIMIZE TABLE profile_samples FINAL");
    run("OPTIMIZE TABLE profile_steps FINAL");
}

static int open_store(void **state) {
    struct store_options o = fixture_options();

    store = fixture_open(&o);
    base_s = (clock_now_ns() / NS_PER_S / 86400 - 5) * 86400;
    fill();
    return 0;
}

static int close_store(void **state) {
    store_close(store);
    return 0;
}

static struct profile_selection selection(int64_t from_s, int64_t to_s) {
    return (struct profile_selection){.from_ns = (base_s + from_s) * NS_PER_S,
                                      .to_ns = (base_s + to_s) * NS_PER_S,
                                      .service = SLICE("shop"),
                                      .type = SLICE("cpu")};
}

typedef void (*builder)(struct sql *s, const struct profile_selection *p);

static void by_stack(struct sql *s, const struct profile_selection *p) {
    sql_profile_sums(s, p, "stack_id");
}

static void by_thread(struct sql *s, const struct profile_selection *p) {
    sql_profile_sums(s, p, "thread");
}

/* The sum of all rows that it makes. `sums`: which of the engine's must be taken, or NULL. */
static uint64_t total(const struct profile_selection *p, builder build, const char *sums) {
    struct store_limits limits = {0};
    struct error e = ERROR_NONE;
    struct buffer answer;
    struct arena arena;
    struct sql s;
    uint64_t n = 0;

    arena_init(&arena, 1 << 20);
    buffer_init(&answer, 1 << 20);
    sql_init(&s, &arena);
    sql_add(&s, "SELECT toUInt64(sum(value)) FROM (");
    build(&s, p);
    sql_add(&s, ")");
    if (sums)
        sql_addf(&s, " SETTINGS force_optimize_projection_name = '%s'", sums);
    const char *text = sql_text(&s);
    assert_non_null(text);
    if (store_query(store, text, s.params, s.n_params, "TSV", &limits, &answer, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    assert_int_equal(slice_to_u64(slice_trim(buffer_slice(&answer)), &n), 0);
    sql_done(&s);
    buffer_done(&answer);
    arena_done(&arena);
    return n;
}

static void every_sample_counts_once(void **state) {
    static const int64_t ranges[][2] = {
            {0, 86400}, {60, 86340},    {3540, 3660}, {600, 1200},       {3599, 3 * 3600},
            {1, 40000}, {5000, 100000}, {3600, 7200}, {0, DAYS * 86400}, {599, 601 + 1800}};

    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        struct profile_selection p = selection(ranges[i][0], ranges[i][1]);
        uint64_t expected = (uint64_t) ((ranges[i][1] + WINDOW_S - 1) / WINDOW_S -
                                        (ranges[i][0] + WINDOW_S - 1) / WINDOW_S);
        assert_int_equal(total(&p, by_stack, NULL), expected);
        assert_int_equal(total(&p, by_thread, NULL), expected);
        assert_int_equal(total(&p, sql_profile_processes, NULL), expected);
    }
}

static void long_ranges_take_the_sums_that_are_kept(void **state) {
    struct profile_selection p = selection(1000, 80000);
    uint64_t all = total(&p, by_stack, "by_hour");

    assert_int_equal(all, 80000 / WINDOW_S + 1 - (1000 / WINDOW_S + 1));
    assert_int_equal(total(&p, by_thread, "by_kind"), all);
    assert_int_equal(total(&p, sql_profile_processes, "by_process"), all);
    p.endpoint = SLICE("GET /");
    p.version = SLICE("1.0");
    assert_int_equal(total(&p, by_stack, "by_hour"), all);
    p.thread = SLICE("t1");
    assert_in_range(total(&p, by_stack, NULL), all / 2, all / 2 + 1);
    p.has_process = true;
    p.process = 3;
    assert_in_range(total(&p, by_stack, NULL), all / 10 - 1, all / 10 + 1);
}

static void rows_of_before_have_no_sums_and_count(void **state) {
    struct profile_selection p = selection(0, 86400);

    /* A part of its own: nothing is kept of it until it is merged. */
    run("SYSTEM STOP MERGES profile_steps");
    char sql[300];
    snprintf(sql, sizeof(sql),
             "INSERT INTO profile_steps SELECT toDateTime(%lld, 'UTC'), 'shop', '1.0', 'cpu', "
             "'nanoseconds', 't0', 'GET /', 3, 1000",
             (long long) base_s + 7200);
    run(sql);
    assert_int_equal(total(&p, by_stack, "by_hour"), 1440 + 1000);
    assert_int_equal(total(&p, by_thread, "by_kind"), 1440 + 1000);
    run("SYSTEM START MERGES profile_steps");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_sample_counts_once),
            cmocka_unit_test(long_ranges_take_the_sums_that_are_kept),
            cmocka_unit_test(rows_of_before_have_no_sums_and_count),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
