/* The store's main path on the real engine: open, migrate, fill, commit, read, close, open again.
 */
#include "fixture.h"

#include "base/clock.h"
#include "signal/columns.h"

#include <pthread.h>
#include <time.h>

static struct store *opened;

static int setup(void **state) {
    struct store_options o = fixture_options();

    opened = fixture_open(&o);
    return 0;
}

static int teardown(void **state) {
    store_close(opened);
    return 0;
}

static int commit_spans(struct store *s, uint64_t first, size_t n, int64_t ts_ns) {
    struct store_batch *b;
    struct fixture_wait *w = fixture_wait_new();

    assert_int_equal(store_batch_acquire(s, n * 300, &b), 0);
    for (size_t i = 0; i < n; i++)
        fixture_span(store_batch_block(b, TABLE_SPANS), first + i, ts_ns + (int64_t) i, "shop",
                     "GET /cart");
    store_batch_commit(b, fixture_done, w);
    return fixture_wait(w);
}

static void test_commit_and_query(void **state) {
    int64_t now = clock_now_ns();

    assert_int_equal(commit_spans(opened, 1, 1000, now), 0);
    assert_int_equal(fixture_number(opened, "SELECT count() FROM spans"), 1000);
    assert_int_equal(fixture_number(opened, "SELECT sum(duration_ns) FROM spans"),
                     1000 * 1000 + 500500);
    assert_string_equal(
            fixture_text(opened, "SELECT DISTINCT service, name, attributes['größe'], "
                                 "attribute_types FROM spans FORMAT JSONCompactEachRow"),
            "[\"shop\", \"GET \\/cart\", \"\\\\ tab\\t 'quote' \xe2\x82\xac\", [1,1]]\n");
}

static void test_abort_leaves_nothing(void **state) {
    struct store_batch *b;
    uint64_t before = fixture_number(opened, "SELECT count() FROM spans");

    assert_int_equal(store_batch_acquire(opened, 100, &b), 0);
    fixture_span(store_batch_block(b, TABLE_SPANS), 7777777, clock_now_ns(), "gone", "gone");
    store_batch_abort(b);
    assert_int_equal(commit_spans(opened, 2000, 1, clock_now_ns()), 0);
    assert_int_equal(fixture_number(opened, "SELECT count() FROM spans"), before + 1);
    assert_int_equal(fixture_number(opened, "SELECT count() FROM spans WHERE service = 'gone'"), 0);
}

static void test_logs_by_word(void **state) {
    struct store_batch *b;
    struct fixture_wait *w = fixture_wait_new();

    assert_int_equal(store_batch_acquire(opened, 100, &b), 0);
    fixture_log(store_batch_block(b, TABLE_LOGS), 1, clock_now_ns(),
                "payment refused for order 17");
    fixture_log(store_batch_block(b, TABLE_LOGS), 2, clock_now_ns(), "order 18 shipped");
    store_batch_commit(b, fixture_done, w);
    assert_int_equal(fixture_wait(w), 0);
    assert_int_equal(fixture_number(opened, "SELECT seq FROM logs WHERE hasToken(body, 'refused')"),
                     1);
}

static void test_parameters_are_data(void **state) {
    struct error e = ERROR_NONE;
    struct buffer answer;
    const struct store_param params[] = {
            {"a", SLICE("x' OR 1=1 --\\ \t\n{b:String}")},
            {"b", SLICE("['one','t\\'wo']")},
    };

    buffer_init(&answer, 4096);
    assert_int_equal(store_query(opened, "SELECT {a:String} AS a, {b:Array(String)} AS b", params,
                                 2, "JSONCompactEachRow", NULL, &answer, &e),
                     0);
    assert_slice(buffer_slice(&answer),
                 "[\"x' OR 1=1 --\\\\ \\t\\n{b:String}\", [\"one\",\"t'wo\"]]\n");
    buffer_done(&answer);
}

static void expect_error(const char *sql, const struct store_limits *l, int code) {
    struct error e = ERROR_NONE;
    struct buffer answer;

    buffer_init(&answer, 16 << 20);
    int r = store_query(opened, sql, NULL, 0, "TSV", l, &answer, &e);
    if (r != code)
        fail_msg("%s: %d instead of %d: %s", sql, r, code, e.text);
    assert_true(*e.text);
    buffer_done(&answer);
}

static void test_limits_and_errors(void **state) {
    struct store_limits short_time = {.timeout_ns = 200 * NS_PER_MS};
    struct store_limits few_rows = {.rows_max = 10};
    struct store_limits little_memory = {.memory_bytes_max = 4 << 20};

    expect_error("SELECT nonsense FROM spans", NULL, -EINVAL);
    expect_error("SELEKT 1", NULL, -EINVAL);
    expect_error("SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1",
                 &short_time, -ETIMEDOUT);
    expect_error("SELECT number FROM numbers(100000)", &few_rows, -ENOBUFS);
    expect_error("SELECT groupArray(number) FROM numbers(100000000)", &little_memory, -ENOBUFS);
}

static void test_queries_cannot_write_or_read_files(void **state) {
    expect_error("INSERT INTO schema_version VALUES (99, 'x', now())", NULL, -EINVAL);
    expect_error("DROP TABLE spans", NULL, -EINVAL);
    expect_error("ALTER TABLE spans DELETE WHERE 1", NULL, -EINVAL);
    expect_error("SET readonly = 0", NULL, -EINVAL);
    expect_error("SELECT 1 SETTINGS readonly = 0", NULL, -EINVAL);
    if (fixture_over_http())
        return; /* what its users may do besides is the server's own affair */
    expect_error("SELECT * FROM file('/etc/passwd', 'LineAsString')", NULL, -EINVAL);
    expect_error("SELECT * FROM default.`/etc/passwd`", NULL, -EINVAL);
    expect_error("SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", NULL, -EINVAL);
    expect_error("SELECT * FROM remote('127.0.0.1:1', system.one)", NULL, -EINVAL);
    expect_error("SELECT file('/etc/passwd')", NULL, -EINVAL);
    expect_error("SELECT 1 INTO OUTFILE '/tmp/varan-outfile'", NULL, -EINVAL);
    expect_error("SELECT 1; SELECT 2", NULL, -EINVAL);
    expect_error("USE default", NULL, -EINVAL);
    expect_error("SYSTEM STOP MERGES", NULL, -EINVAL);
}

struct canceler {
    pthread_t thread;
    atomic_bool cancel;
    long after_ns; /* any time is right */
};

static void *cancel_after(void *arg) {
    struct canceler *c = arg;

    nanosleep(&(struct timespec){0, c->after_ns}, NULL);
    atomic_store(&c->cancel, true);
    return NULL;
}

/* A query that sleeps for longer than it may, canceled after that time. */
static void cancel_one(const char *sql, const char *format, size_t bytes_max, long after_ns) {
    struct canceler c = {.after_ns = after_ns};
    struct store_limits limits = {
            .timeout_ns = 60 * NS_PER_S, .result_bytes_max = bytes_max, .cancel = &c.cancel};
    struct error e = ERROR_NONE;
    struct buffer b;

    buffer_init(&b, (size_t) 1 << 30);
    assert_int_equal(pthread_create(&c.thread, NULL, cancel_after, &c), 0);
    int r = store_query(opened, sql, NULL, 0, format, &limits, &b, &e);
    pthread_join(c.thread, NULL);
    if (r != -ECANCELED)
        fail_msg("canceled after %ld us: %d: %s", after_ns / 1000, r, e.text);
    buffer_done(&b);
}

static void test_cancel(void **state) {
    const char *sql = "SELECT sum(sleepEachRow(0.001) + number) FROM numbers(120000) SETTINGS "
                      "max_block_size = 100, function_sleep_max_microseconds_per_block = 100000000";
    struct store_limits limits = {.timeout_ns = 60 * NS_PER_S};
    struct error e = ERROR_NONE;
    struct buffer b;

    buffer_init(&b, 1 << 20);
    cancel_one(sql, "TSV", 1 << 20, 200 * NS_PER_MS);
    /* Before the engine knows of it, and while it begins. */
    for (long after_ns = 0; after_ns < (fixture_over_http() ? 1 : 3) * NS_PER_MS;
         after_ns += NS_PER_MS / 4)
        cancel_one(sql, "TSV", 1 << 20, after_ns);
    assert_int_equal(store_query(opened, "SELECT 1", NULL, 0, "TSV", &limits, &b, &e), 0);
    buffer_done(&b);
}

/* Large answers come in pieces: the same bytes, the same errors, and the connection can go on. */
static void test_large_answers(void **state) {
    static const struct {
        const char *sql;
        int r;
    } bad[] = {
            {"SELECT", -EINVAL},
            {"SELECT missing FROM spans", -EINVAL},
            {"SELECT throwIf(number = 500000) FROM numbers(1000000) SETTINGS max_block_size = "
             "1000",
             -EINVAL},
            {"SELECT number FROM numbers(5000000)", -ENOBUFS},
            {"SELECT repeat('x', 1000000) FROM numbers(500) SETTINGS max_block_size = 1", -ENOBUFS},
            {"SELECT sleepEachRow(1) FROM numbers(100) SETTINGS max_block_size = 1", -ETIMEDOUT}};
    /* Long, as a busy machine takes seconds for so much; only what sleeps shall not end in time. */
    const int64_t patient = 60 * NS_PER_S;
    struct store_limits limits = {
            .timeout_ns = patient, .rows_max = 2000000, .result_bytes_max = (size_t) 256 << 20};
    struct native_reader *rows;
    struct error e = ERROR_NONE;
    struct buffer b;

    buffer_init(&b, (size_t) 1 << 30);
    for (size_t i = 0; i <= sizeof(bad) / sizeof(*bad); i++) {
        buffer_clear(&b);
        if (i > 0) {
            limits.timeout_ns = bad[i - 1].r == -ETIMEDOUT ? 2 * NS_PER_S : patient;
            int r = store_query(opened, bad[i - 1].sql, NULL, 0, "Native", &limits, &b, &e);
            limits.timeout_ns = patient;
            if (r != bad[i - 1].r && !(r == -EIO && bad[i - 1].r == -EINVAL))
                fail_msg("%s: %d: %s", bad[i - 1].sql, r, e.text);
            buffer_clear(&b);
        }
        if (store_query(opened, "SELECT number, number % 7 FROM numbers(1000000)", NULL, 0,
                        "Native", &limits, &b, &e) < 0)
            fail_msg("%s", e.text);
        assert_int_equal(native_reader_new(buffer_slice(&b), &rows), 0);
        assert_int_equal(native_reader_rows(rows), 1000000);
        assert_true(native_reader_blocks(rows) > 1);
        assert_int_equal(native_reader_cell(rows, 999999, 0).u64, 999999);
        native_reader_free(rows);
    }
    buffer_clear(&b);
    assert_int_equal(store_query(opened, "SELECT number FROM numbers(10) WHERE number > 20", NULL,
                                 0, "Native", &limits, &b, &e),
                     0);
    assert_int_equal(native_reader_new(buffer_slice(&b), &rows), 0);
    assert_int_equal(native_reader_rows(rows), 0);
    native_reader_free(rows);
    buffer_done(&b);
}

static void test_large_answer_is_canceled(void **state) {
    struct store_limits limits = {.timeout_ns = 60 * NS_PER_S};
    struct error e = ERROR_NONE;
    struct buffer b;

    cancel_one("SELECT sleepEachRow(0.001) + number FROM numbers(120000) SETTINGS max_block_size = "
               "100, function_sleep_max_microseconds_per_block = 100000000",
               "Native", (size_t) 256 << 20, 200 * NS_PER_MS);
    buffer_init(&b, 1 << 20);
    assert_int_equal(store_query(opened, "SELECT 1", NULL, 0, "Native", &limits, &b, &e), 0);
    buffer_done(&b);
}

static void test_second_process_is_told(void **state) {
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;
    struct store *s = NULL;

    assert_int_equal(store_open(&o, &s, &e), -EBUSY);
    assert_non_null(strstr(e.text, "in use by process"));
}

/* What a table is made with or was changed to: the start brings it in line. */
static void test_settings_of_tables(void **state) {
    const char *sql =
            "SELECT countIf(engine_full LIKE '%merge_selector_base = 10,%') = count() - 1 "
            "AND countIf(engine_full LIKE '%merge_selector_base = 20,%' AND name = "
            "'samples') = 1 AND countIf(engine_full NOT LIKE "
            "'%auto_statistics_types = %') = 0 FROM system.tables WHERE database = "
            "currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_version'";
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;

    assert_int_equal(fixture_number(opened, sql), 1);
    assert_int_equal(store_execute(opened,
                                   "ALTER TABLE samples MODIFY SETTING merge_selector_base = 400",
                                   &e),
                     0);
    assert_int_equal(fixture_number(opened, sql), 0);
    store_close(opened);
    opened = fixture_open(&o);
    assert_int_equal(fixture_number(opened, sql), 1);
}

static void test_open_again(void **state) {
    struct store_options o = fixture_options();
    uint64_t before = fixture_number(opened, "SELECT count() FROM spans");

    store_close(opened);
    opened = fixture_open(&o);
    assert_int_equal(fixture_number(opened, "SELECT count() FROM spans"), before);
    assert_int_equal(commit_spans(opened, 5000, 10, clock_now_ns()), 0);
    assert_int_equal(fixture_number(opened, "SELECT count() FROM spans"), before + 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_commit_and_query),
            cmocka_unit_test(test_abort_leaves_nothing),
            cmocka_unit_test(test_logs_by_word),
            cmocka_unit_test(test_parameters_are_data),
            cmocka_unit_test(test_limits_and_errors),
            cmocka_unit_test(test_cancel),
            cmocka_unit_test(test_large_answers),
            cmocka_unit_test(test_large_answer_is_canceled),
            cmocka_unit_test(test_queries_cannot_write_or_read_files),
            cmocka_unit_test(test_second_process_is_told),
            cmocka_unit_test(test_settings_of_tables),
            cmocka_unit_test(test_open_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
