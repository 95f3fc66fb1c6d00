/* Downsampled samples against the samples themselves, on the real engine: the same answers where
 * windows are whole buckets, near ones elsewhere, late samples counted, rules and days. */
#include "base/clock.h"
#include "ingest_txn.h"
#include "query/metrics_private.h"
#include "unit.h"

#include <math.h>

#define MINUTE_MS INT64_C(60000)
#define HOURS 8

static struct store *store;
static struct ingest *ingest;
static struct metrics *metrics;
static int64_t base_ms; /* yesterday's midnight but one */

static void open_all(void) {
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;

    store = fixture_open(&o);
    struct ingest_options i = {.store = store, .load_series = true};
    assert_int_equal(ingest_new(&i, &ingest, &e), 0);
    struct metrics_options m = {.store = store, .ingest = ingest, .make_5m = true, .make_1h = true};
    if (metrics_new(&m, &metrics, &e) < 0)
        fail_msg("%s", e.text);
}

static void close_all(void) {
    metrics_free(metrics);
    ingest_stop(ingest);
    store_close(store);
    ingest_free(ingest);
}

/* ---- Data ---- */

static void put(struct ingest_txn *t, const char *metric, int64_t time_ms, double value) {
    struct label l[] = {{SLICE("__name__"), slice_from(metric)}, {SLICE("job"), SLICE("node")}};
    struct sample s = {.labels = l, .n_labels = 2, .time_ms = time_ms, .value = value};
    struct error e = ERROR_NONE;

    if (ingest_sample(t, &s, &e) < 0)
        fail_msg("%s", e.text);
}

/* A native histogram of `i` steps: buckets grow by 1, 2 and 3. */
static void put_histogram(struct ingest_txn *t, int64_t time_ms, int64_t i) {
    static const int32_t index[] = {-1, 0, 3};
    struct label l[] = {{SLICE("__name__"), SLICE("spread")}, {SLICE("job"), SLICE("native")}};
    double n = (double) i, counts[] = {n, 2 * n, 3 * n};
    struct histogram h = {.count = 6 * n,
                          .sum = 9 * n,
                          .zero_threshold = 0.001,
                          .schema = 1,
                          .positive = {3, index, counts}};
    struct sample s = {.labels = l, .n_labels = 2, .time_ms = time_ms, .histogram = &h};
    struct error e = ERROR_NONE;

    if (ingest_sample(t, &s, &e) < 0)
        fail_msg("%s", e.text);
}

static double stale(void) {
    uint64_t bits = PROMQL_STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* A level; a counter that rises evenly; one with resets, also twice in five minutes; one with a gap
 * of an hour and samples at the very edges of buckets; one that ends with a marker. */
static void write_samples(void) {
    struct ingest_txn *t = txn_begin(ingest, 0);
    double resets = 100;

    for (int64_t i = 0; i < HOURS * 240; i++) {
        int64_t at = base_ms + i * 15000 + i * 7 % 1000;
        put(t, "level", at, 100 + 50 * sin((double) i / 40));
        put(t, "even_total", at, (double) i * 15);
        resets = i % 97 == 0 || i % 97 == 5 ? 1 : resets + (double) (i % 7);
        put(t, "resets_total", at, resets);
        if (i < 480 || i >= 720)
            put(t, "gap_total", base_ms + i * 15000, (double) i);
        if (i <= 1003)
            put(t, "ends", at, i == 1003 ? stale() : (double) i);
        put(t, "holes", at, i % 3 ? NAN : (double) i);
        put_histogram(t, at, i % 700 + 1);
    }
    txn_commit(t);
}

static void downsample(void) {
    struct error e = ERROR_NONE;

    if (metrics_downsample(metrics, clock_now_ns() / NS_PER_MS, false, &e) < 0)
        fail_msg("%s", e.text);
}

static int setup(void **state) {
    int64_t day = 24 * HOUR_MS;

    base_ms = clock_now_ns() / NS_PER_MS / day * day - 2 * day;
    open_all();
    write_samples();
    downsample();
    return 0;
}

static int teardown(void **state) {
    close_all();
    return 0;
}

/* ---- Asking ---- */

static uint64_t last_samples; /* that the last question read */

static struct promql_result *ask(const char *text, int64_t from_ms, int64_t to_ms, int64_t step_ms,
                                 bool raw, uint64_t *ret_buckets) {
    struct promql_options o = {0};
    struct promql_result *ret = NULL;
    struct promql_query *q = NULL;
    struct promql_error e = {0};
    struct metrics_source source;

    metrics->raw_samples_max = raw ? INFINITY : 0;
    metrics_source_init(&source, metrics);
    if (promql_parse(slice_from(text), &q, &e) < 0 ||
        promql_eval_range(q, &source.source, from_ms, to_ms, step_ms, &o, &ret, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    promql_query_free(q);
    *ret_buckets = source.downsampled;
    last_samples = source.samples;
    return ret;
}

static bool near(double a, double b, double tolerance) {
    return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

static void compare(const char *text, const struct promql_result *a, const struct promql_result *b,
                    double tolerance) {
    assert_true(a->n_columns > 0);
    if (a->n_columns != b->n_columns)
        fail_msg("%s: %zu and %zu series", text, a->n_columns, b->n_columns);
    for (size_t i = 0; i < a->n_columns; i++) {
        const struct promql_column *x = &a->columns[i], *y = &b->columns[i];
        if (x->n != y->n)
            fail_msg("%s: %zu and %zu points", text, x->n, y->n);
        for (size_t k = 0; k < x->n; k++)
            if (x->times_ms[k] != y->times_ms[k] || !near(x->values[k], y->values[k], tolerance))
                fail_msg("%s: at +%lld min %.17g, downsampled %.17g at +%lld min", text,
                         (long long) (x->times_ms[k] - base_ms) / MINUTE_MS, x->values[k],
                         y->values[k], (long long) (y->times_ms[k] - base_ms) / MINUTE_MS);
    }
}

static const char *const exact[] = {
        "rate(even_total[10m])",
        "rate(resets_total[10m])",
        "increase(resets_total[1h])",
        "rate(gap_total[30m])",
        "delta(level[20m])",
        "min_over_time(level[1h])",
        "max_over_time(holes[15m])",
        "avg_over_time(holes[30m])",
        "avg_over_time(gap_total[30m])",
        "sum_over_time(ends[10m])",
        "count_over_time(ends[1h])",
        "count_over_time(gap_total[1h])",
        "last_over_time({job='node'}[10m])",
        "first_over_time(resets_total[10m])",
        "present_over_time(gap_total[10m])",
        "absent_over_time(gap_total[10m])",
        "level",
        "ends",
        "{job='node'}",
        "gap_total offset 1h",
        "max_over_time(sum(rate(resets_total[10m]))[1h:10m])",
};

static void test_whole_buckets_give_the_same(void **state) {
    for (size_t i = 0; i < sizeof(exact) / sizeof(*exact); i++) {
        uint64_t none, buckets;
        int64_t from = base_ms + 60 * MINUTE_MS, to = base_ms + (HOURS - 1) * 60 * MINUTE_MS;
        struct promql_result *a = ask(exact[i], from, to, 10 * MINUTE_MS, true, &none);
        struct promql_result *b = ask(exact[i], from, to, 10 * MINUTE_MS, false, &buckets);
        assert_int_equal(none, 0);
        if (buckets == 0)
            fail_msg("%s: not read downsampled", exact[i]);
        compare(exact[i], a, b, 1e-12);
        promql_result_free(a);
        promql_result_free(b);
    }
}

static void test_hours_when_windows_are_hours(void **state) {
    static const char *const queries[] = {"increase(resets_total[2h])", "increase(gap_total[2h])",
                                          "avg_over_time(level[1h])", "level"};
    int64_t from = base_ms + 120 * MINUTE_MS, to = base_ms + (HOURS - 1) * 60 * MINUTE_MS;

    for (size_t i = 0; i < 4; i++) {
        uint64_t none, buckets;
        struct promql_result *a = ask(queries[i], from, to, HOUR_MS, true, &none);
        struct promql_result *b = ask(queries[i], from, to, HOUR_MS, false, &buckets);
        assert_in_range(buckets, 1, 4 * HOURS);
        compare(queries[i], a, b, 1e-12);
        promql_result_free(a);
        promql_result_free(b);
    }
}

/* What buckets cannot answer is read raw as long as that is there. */
static void test_others_stay_raw(void **state) {
    static const char *const queries[] = {
            "irate(even_total[10m])", "quantile_over_time(0.5, level[1h])", "changes(level[1h])",
            "stddev_over_time(level[1h])", "rate(even_total[7m])"};
    int64_t from = base_ms + 60 * MINUTE_MS, to = from + 120 * MINUTE_MS;
    uint64_t buckets;

    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        promql_result_free(ask(queries[i], from, to, 10 * MINUTE_MS, false, &buckets));
        assert_int_equal(buckets, 0);
    }
    promql_result_free(
            ask("rate(even_total[10m])", from + 1000, to, 10 * MINUTE_MS, false, &buckets));
    assert_int_equal(buckets, 0);
    promql_result_free(ask("rate(even_total[10m])", from, to, 60000, false, &buckets));
    assert_int_equal(buckets, 0);
}

/* They have no buckets of time: all of them are read, whatever is done to floats. */
static void test_native_histograms_are_read_as_they_came(void **state) {
    static const char *const queries[] = {
            "histogram_count(increase(spread[1h]))", "histogram_quantile(0.9, rate(spread[30m]))",
            "histogram_sum(spread)", "histogram_avg(sum(sum_over_time(spread[10m])))"};
    int64_t from = base_ms + 60 * MINUTE_MS, to = base_ms + (HOURS - 1) * 60 * MINUTE_MS;
    uint64_t none, buckets;

    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        struct promql_result *a = ask(queries[i], from, to, 10 * MINUTE_MS, true, &none);
        struct promql_result *b = ask(queries[i], from, to, 10 * MINUTE_MS, false, &buckets);
        assert_int_equal(a->n_columns, 1);
        assert_true(a->columns[0].n > 30);
        compare(queries[i], a, b, 0);
        promql_result_free(a);
        promql_result_free(b);
    }
}

static double instant(const char *text, int64_t at_ms, bool raw) {
    uint64_t buckets;
    struct promql_result *r = ask(text, at_ms, at_ms, 1000, raw, &buckets);

    assert_int_equal(r->n_columns, 1);
    double v = r->columns[0].values[0];
    promql_result_free(r);
    return v;
}

static void test_late_samples_are_counted(void **state) {
    int64_t at = base_ms + 125 * MINUTE_MS;
    struct ingest_txn *t;

    assert_int_equal(late_hours_count(metrics->late), 0);
    t = txn_begin(ingest, 0);
    put(t, "level", at - 1001, 1e6);
    put(t, "level", at - 2001, -1e6);
    put(t, "even_total", at - 12 * MINUTE_MS, 0); /* an earlier time, a value anew: a reset */
    txn_commit(t);
    assert_int_equal(late_hours_count(metrics->late),
                     2 - (at / HOUR_MS == (at - 12 * MINUTE_MS) / HOUR_MS));
    /* Until it is done again the samples themselves are read. */
    assert_true(instant("max_over_time(level[10m])", at, false) == 1e6);
    downsample();
    assert_int_equal(late_hours_count(metrics->late), 0);
    assert_true(instant("max_over_time(level[10m])", at, false) == 1e6);
    assert_true(instant("min_over_time(level[10m])", at, false) == -1e6);
    assert_true(instant("count_over_time(level[10m])", at, false) ==
                instant("count_over_time(level[10m])", at, true));
    assert_true(near(instant("increase(even_total[20m])", at, false),
                     instant("increase(even_total[20m])", at, true), 1e-12));
}

/* Late samples are remembered through a restart. */
static void test_marks_are_durable(void **state) {
    struct ingest_txn *t = txn_begin(ingest, 0);
    int64_t at = base_ms + 185 * MINUTE_MS;

    put(t, "level", at - 1001, 2e6);
    txn_commit(t);
    close_all();
    open_all();
    assert_int_equal(late_hours_count(metrics->late), 1);
    downsample();
    assert_int_equal(late_hours_count(metrics->late), 0);
    assert_true(instant("max_over_time(level[10m])", at, false) == 2e6);
}

/* A bucket made again from fewer samples, because the others were dropped, does not count. */
static void test_dropped_samples_do_not_thin_buckets(void **state) {
    double before = instant("count_over_time(level[10m])", base_ms + 10 * MINUTE_MS, false);
    struct error e = ERROR_NONE;
    char sql[200];

    snprintf(sql, sizeof(sql),
             "ALTER TABLE samples DELETE WHERE ts <= fromUnixTimestamp64Milli(%lld) SETTINGS "
             "mutations_sync = 2",
             (long long) (base_ms + 5 * MINUTE_MS));
    if (store_execute(store, sql, &e) < 0)
        fail_msg("%s", e.text);
    struct ingest_txn *t = txn_begin(ingest, 0);
    put(t, "level", base_ms + 4 * MINUTE_MS + 77, 1);
    txn_commit(t);
    downsample();
    assert_true(instant("count_over_time(level[10m])", base_ms + 10 * MINUTE_MS, false) == before);
}

static void drop(const char *table) {
    struct error e = ERROR_NONE;
    char sql[200];

    snprintf(sql, sizeof(sql), "TRUNCATE TABLE %s", table);
    if (store_execute(store, sql, &e) < 0 || metrics_look_at_tiers(metrics, &e) < 0)
        fail_msg("%s", e.text);
}

/* Windows that cut buckets, narrow windows, any step: near what the samples said. */
static void check_without_raw(double tolerance, int64_t window_min) {
    int64_t from = base_ms + 340 * MINUTE_MS + 12345, to = from + 120 * MINUTE_MS;
    uint64_t buckets;
    char text[100];

    snprintf(text, sizeof(text), "rate(even_total[%lldm])", (long long) window_min);
    struct promql_result *r = ask(text, from, to, 7 * MINUTE_MS + 1, true, &buckets);
    assert_true(buckets > 0);
    assert_int_equal(r->n_columns, 1);
    assert_int_equal(r->columns[0].n, 18);
    for (size_t k = 0; k < r->columns[0].n; k++)
        if (!near(r->columns[0].values[k], 1, tolerance))
            fail_msg("%s: %g", text, r->columns[0].values[k]);
    promql_result_free(r);
    r = ask("level", from, to, 60000, true, &buckets);
    assert_int_equal(r->n_columns, 1);
    assert_int_equal(r->columns[0].n, 121);
    promql_result_free(r);
    snprintf(text, sizeof(text), "avg_over_time(level[%lldm])", (long long) window_min);
    r = ask(text, from, to, 60000, true, &buckets);
    assert_int_equal(r->columns[0].n, 121);
    for (size_t k = 0; k < 121; k++)
        assert_true(r->columns[0].values[k] >= 49 && r->columns[0].values[k] <= 151);
    promql_result_free(r);
}

static void test_when_samples_are_gone(void **state) {
    uint64_t none, buckets;
    int64_t from = base_ms + 300 * MINUTE_MS, to = base_ms + (HOURS - 1) * 60 * MINUTE_MS;
    struct promql_result *before =
            ask("increase(resets_total[1h])", from, to, HOUR_MS, true, &none);

    drop("samples");
    struct promql_result *after =
            ask("increase(resets_total[1h])", from, to, HOUR_MS, true, &buckets);
    assert_int_equal(none, 0);
    assert_true(buckets > 0);
    compare("increase without samples", before, after, 1e-12);
    promql_result_free(before);
    promql_result_free(after);
    check_without_raw(0.1, 5);
    check_without_raw(0.03, 30);
    test_native_histograms_are_read_as_they_came(state);
    drop("samples_5m");
    check_without_raw(0.1, 5);
    check_without_raw(0.1, 90);
    drop("samples_1h");
    promql_result_free(ask("level", from, to, HOUR_MS, true, &buckets));
    assert_int_equal(buckets, 0);
}

/* Behind buckets, as before them: of raw samples those in windows only. */
static void test_windows_go_on_behind_buckets(void **state) {
    int64_t half = 30 * MINUTE_MS, to = clock_now_ns() / NS_PER_MS / half * half,
            from = to - 8 * half;
    struct ingest_txn *t = txn_begin(ingest, 0);
    uint64_t none, buckets;
    struct error e = ERROR_NONE;

    for (int64_t i = 0; i < 5 * 240; i++)
        put(t, "fresh_total", to - 5 * HOUR_MS + i * 15000, (double) (i * i));
    txn_commit(t);
    if (metrics_downsample(metrics, to + 10 * MINUTE_MS, false, &e) < 0)
        fail_msg("%s", e.text);
    struct promql_result *a = ask("rate(fresh_total[5m])", from, to, half, true, &none);
    struct promql_result *b = ask("rate(fresh_total[5m])", from, to, half, false, &buckets);
    assert_in_range(buckets, 1, 100);
    compare("rate(fresh_total[5m])", a, b, 1e-9);
    assert_in_range(last_samples, 1, 200); /* of an hour and a half there are 360 */
    promql_result_free(a);
    promql_result_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_whole_buckets_give_the_same),
            cmocka_unit_test(test_hours_when_windows_are_hours),
            cmocka_unit_test(test_others_stay_raw),
            cmocka_unit_test(test_native_histograms_are_read_as_they_came),
            cmocka_unit_test(test_late_samples_are_counted),
            cmocka_unit_test(test_marks_are_durable),
            cmocka_unit_test(test_dropped_samples_do_not_thin_buckets),
            cmocka_unit_test(test_windows_go_on_behind_buckets),
            cmocka_unit_test(test_when_samples_are_gone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
