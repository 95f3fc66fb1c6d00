/*
 * Metrics through ingest into the real engine and back as PromQL sees them: values bit for bit,
 * duplicates, order, histograms, exemplars, metadata, restarts.
 */
#include "base/clock.h"
#include "derive/series.h"
#include "ingest_txn.h"
#include "query/metrics_private.h"
#include "unit.h"

#include <math.h>
#include <time.h>

#define MINUTE_MS INT64_C(60000)

static struct store *store;
static struct ingest *ingest;
static struct metrics *metrics;
static int64_t base_ms; /* some hours ago, at a full minute */

static void open_all(void) {
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;

    store = fixture_open(&o);
    struct ingest_options i = {.store = store, .load_series = true};
    assert_int_equal(ingest_new(&i, &ingest, &e), 0);
    struct metrics_options m = {.store = store, .ingest = ingest};
    assert_int_equal(metrics_new(&m, &metrics, &e), 0);
}

static void close_all(void) {
    metrics_free(metrics);
    ingest_stop(ingest);
    store_close(store);
    ingest_free(ingest);
}

static int setup(void **state) {
    base_ms = clock_now_ns() / NS_PER_MS / (60 * MINUTE_MS) * (60 * MINUTE_MS) - 180 * MINUTE_MS;
    open_all();
    return 0;
}

static int teardown(void **state) {
    close_all();
    return 0;
}

/* ---- Writing ---- */

static size_t make_labels(struct label *l, const char *metric, const char *instance) {
    l[0] = (struct label){SLICE("__name__"), slice_from(metric)};
    l[1] = (struct label){SLICE("instance"), slice_from(instance)};
    l[2] = (struct label){SLICE("job"), SLICE("node")};
    return 3;
}

static void put(struct ingest_txn *t, const char *metric, const char *instance, int64_t time_ms,
                double value) {
    struct label l[3];
    struct sample s = {.labels = l, .time_ms = time_ms, .value = value};
    struct error e = ERROR_NONE;

    s.n_labels = make_labels(l, metric, instance);
    if (ingest_sample(t, &s, &e) < 0)
        fail_msg("%s", e.text);
}

/* ---- Asking ---- */

static struct promql_result *range_query(const char *text, int64_t from_ms, int64_t to_ms,
                                         int64_t step_ms, struct metrics_source *source) {
    struct promql_options o = {0};
    struct promql_result *ret = NULL;
    struct promql_query *q = NULL;
    struct promql_error e = {0};

    metrics_source_init(source, metrics);
    if (promql_parse(slice_from(text), &q, &e) < 0 ||
        promql_eval_range(q, &source->source, from_ms, to_ms, step_ms, &o, &ret, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    promql_query_free(q);
    return ret;
}

static double value_at(const char *text, int64_t at_ms) {
    struct metrics_source source;
    struct promql_result *r = range_query(text, at_ms, at_ms, 1000, &source);

    if (r->n_columns != 1)
        fail_msg("%s: %zu series", text, r->n_columns);
    double v = r->columns[0].values[0];
    promql_result_free(r);
    return v;
}

static size_t count_at(const char *text, int64_t at_ms) {
    struct metrics_source source;
    struct promql_result *r = range_query(text, at_ms, at_ms, 1000, &source);
    size_t n = r->n_columns;

    promql_result_free(r);
    return n;
}

/* ---- Tests ---- */

static void values_come_back(void **state) {
    struct ingest_txn *t = txn_begin(ingest, 0);
    struct metrics_source source;

    for (int i = 0; i < 240; i++)
        for (int j = 0; j < 20; j++) {
            char instance[20];
            snprintf(instance, sizeof(instance), "host-%02d:9100", j);
            put(t, "requests_total", instance, base_ms + i * 15000 + j, i * 10.0 * (j + 1));
        }
    txn_commit(t);
    struct promql_result *r = range_query("requests_total", base_ms + 10 * MINUTE_MS,
                                          base_ms + 50 * MINUTE_MS, MINUTE_MS, &source);
    assert_int_equal(r->n_columns, 20);
    assert_int_equal(r->columns[0].n, 41);
    promql_result_free(r);
    assert_true(fabs(value_at("sum(rate(requests_total[5m]))", base_ms + 30 * MINUTE_MS) - 140.0) <
                1e-6);
    assert_int_equal(count_at("requests_total{instance=~\"host-0[1-3].*\"}", base_ms + MINUTE_MS),
                     3);
    assert_int_equal(count_at("requests_total{instance=~\"host-01:9100|host-07:9100|x\"}",
                              base_ms + MINUTE_MS),
                     2);
    assert_int_equal(count_at("requests_total{instance!~\"host-0.*\"}", base_ms + MINUTE_MS), 10);
    assert_int_equal(count_at("requests_total{nothing=\"\",job=\"node\"}", base_ms + MINUTE_MS),
                     20);
    assert_int_equal(count_at("requests_total{nothing!=\"\"}", base_ms + MINUTE_MS), 0);
    assert_int_equal(count_at("{job=~\".+\",__name__!~\"up|x\"}", base_ms + MINUTE_MS), 20);
}

static void duplicates_and_order(void **state) {
    /* Three commits: a retry, an earlier part, and a correction. */
    struct ingest_txn *t = txn_begin(ingest, 0);
    for (int i = 10; i < 20; i++)
        put(t, "odd_total", "a", base_ms + i * 15000, i);
    txn_commit(t);
    t = txn_begin(ingest, 0);
    for (int i = 0; i < 12; i++)
        put(t, "odd_total", "a", base_ms + i * 15000, i);
    txn_commit(t);
    t = txn_begin(ingest, 0);
    put(t, "odd_total", "a", base_ms + 5 * 15000, 500);
    put(t, "odd_total", "a", base_ms + 6 * 15000, 6);
    put(t, "odd_total", "a", base_ms + 6 * 15000, 600); /* the later one of one request */
    txn_commit(t);
    assert_true(value_at("count_over_time(odd_total[5m])", base_ms + 19 * 15000) == 20);
    assert_true(value_at("odd_total", base_ms + 5 * 15000) == 500);
    assert_true(value_at("odd_total", base_ms + 6 * 15000) == 600);
    assert_true(value_at("odd_total", base_ms + 19 * 15000) == 19);
}

static void bits_are_kept(void **state) {
    const uint64_t bits[] = {STALE_BITS, UINT64_C(0x7ff8000000000001), UINT64_C(0x7ff0000000000000),
                             UINT64_C(0x8000000000000000), 1};
    struct ingest_txn *t = txn_begin(ingest, 0);

    for (size_t i = 0; i < 5; i++) {
        double v;
        memcpy(&v, &bits[i], 8);
        put(t, "bits", "a", base_ms + (int64_t) i * 15000, v);
    }
    txn_commit(t);
    for (size_t i = 0; i < 5; i++) {
        char sql[200];
        snprintf(sql, sizeof(sql),
                 "SELECT reinterpretAsUInt64(value) FROM samples JOIN series ON samples.id = "
                 "series.id WHERE metric = 'bits' ORDER BY ts LIMIT 1 OFFSET %zu",
                 i);
        assert_true(fixture_number(store, sql) == bits[i]);
    }
    assert_int_equal(count_at("bits", base_ms), 0); /* the stale marker */
    assert_true(isnan(value_at("bits", base_ms + 15000)));
    assert_true(isinf(value_at("bits", base_ms + 30000)));
}

static void native_histograms(void **state) {
    const int32_t index[] = {-2, 0, 5};
    const double fractions[] = {0.5, 1.25, 3};
    struct label l[3];
    struct sample s = {.labels = l};
    struct error e = ERROR_NONE;
    struct ingest_txn *t = txn_begin(ingest, 0);

    s.n_labels = make_labels(l, "latency", "a");
    for (int i = 1; i <= 10; i++) {
        const double counts[] = {1.0 * i, 2.0 * i, 3.0 * i};
        struct histogram h = {.count = 6.0 * i,
                              .sum = 10.0 * i,
                              .zero_threshold = 1e-9,
                              .schema = 3,
                              .positive = {3, index, i == 10 ? fractions : counts}};
        s.histogram = &h;
        s.time_ms = base_ms + i * 15000;
        assert_int_equal(ingest_sample(t, &s, &e), 0);
    }
    struct histogram bad = {.count = 1, .schema = 99};
    s.histogram = &bad;
    assert_int_equal(ingest_sample(t, &s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "schema 99"));
    txn_commit(t);
    assert_true(value_at("histogram_count(latency)", base_ms + 2 * 15000) == 12);
    assert_true(value_at("histogram_sum(latency)", base_ms + 9 * 15000) == 90);
    assert_true(fabs(value_at("histogram_count(increase(latency[1m]))", base_ms + 9 * 15000) - 24) <
                1e-6);
}

static void what_describes_them(void **state) {
    struct label l[3], own[] = {{SLICE("trace_id"), SLICE("4bf92f3577b34da6a3ce929d0e0e4736")}};
    struct exemplar x = {.labels = l, .own = own, .n_own = 1, .value = 0.25};
    struct metric_metadata m = {SLICE("requests_total"), METRIC_COUNTER, SLICE("Requests."),
                                SLICE("requests")};
    struct error e = ERROR_NONE;
    struct ingest_txn *t = txn_begin(ingest, 0);
    struct arena arena;

    x.n_labels = make_labels(l, "requests_total", "host-01:9100");
    x.time_ms = base_ms + 15000;
    assert_int_equal(ingest_exemplar(t, &x, &e), 0);
    assert_int_equal(ingest_metadata(t, &m, &e), 0);
    assert_int_equal(ingest_metadata(t, &m, &e), 0);
    txn_commit(t);
    t = txn_begin(ingest, 0);
    assert_int_equal(ingest_metadata(t, &m, &e), 0);
    m.help = SLICE("Other words.");
    assert_int_equal(ingest_metadata(t, &m, &e), 0);
    txn_commit(t);

    arena_init(&arena, 64 << 20);
    struct metric_metadata *items;
    size_t n;
    assert_int_equal(metrics_metadata(metrics, SLICE("requests_total"), 0, &arena, &items, &n, &e),
                     0);
    assert_int_equal(n, 2);
    assert_int_equal(items[0].type, METRIC_COUNTER);
    /* Nobody sent metadata of the native histogram. */
    assert_int_equal(metrics_metadata(metrics, SLICE("latency"), 0, &arena, &items, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(items[0].type, METRIC_HISTOGRAM);
    t = txn_begin(ingest, 0);
    m = (struct metric_metadata){SLICE("latency"), METRIC_HISTOGRAM, SLICE("Waiting."),
                                 SLICE("seconds")};
    assert_int_equal(ingest_metadata(t, &m, &e), 0);
    txn_commit(t);
    assert_int_equal(metrics_metadata(metrics, SLICE("latency"), 0, &arena, &items, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_slice(items[0].help, "Waiting.");
    struct promql_query *q;
    struct metrics_selector selector;
    struct promql_error pe;
    assert_int_equal(promql_parse_selector(SLICE("requests_total{job=\"node\"}"), &q,
                                           &selector.matchers, &selector.n, &pe),
                     0);
    struct metrics_range range = {.from_ms = base_ms, .to_ms = base_ms + 60 * MINUTE_MS};
    struct exemplar *found;
    assert_int_equal(metrics_exemplars(metrics, &selector, 1, &range, &arena, &found, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_slice(found[0].own[0].value, "4bf92f3577b34da6a3ce929d0e0e4736");
    const struct promql_labels **sets;
    bool cut;
    assert_int_equal(metrics_series(metrics, &selector, 1, &range, &arena, &sets, &n, &cut, &e), 0);
    assert_int_equal(n, 20);
    struct slice *names;
    assert_int_equal(metrics_labels(metrics, SLICE_EMPTY, &selector, 1, &range, &arena, &names, &n,
                                    &cut, &e),
                     0);
    assert_int_equal(n, 3);
    assert_slice(names[0], "__name__");
    range.limit = 5;
    assert_int_equal(metrics_labels(metrics, SLICE("instance"), &selector, 1, &range, &arena,
                                    &names, &n, &cut, &e),
                     0);
    assert_int_equal(n, 5);
    assert_true(cut);
    promql_query_free(q);
    struct metrics_cardinality c;
    assert_int_equal(metrics_read_cardinality(metrics, 3, &arena, &c, &e), 0);
    assert_true(c.series >= 20 && c.n_by_metric == 3);
    assert_slice(c.by_metric[0].name, "requests_total");
    assert_int_equal(c.by_metric[0].n, 20);
    arena_done(&arena);
}

static void after_a_restart(void **state) {
    struct error e = ERROR_NONE;
    struct label l[3];
    struct ingest_labels set = {l, make_labels(l, "requests_total", "host-01:9100")};
    struct ingest_last last;
    struct arena arena;

    close_all();
    open_all();
    /* While the index is read, and after: the same answer. */
    assert_int_equal(count_at("requests_total", base_ms + MINUTE_MS), 20);
    for (int64_t end = clock_monotonic_ns() + 60 * NS_PER_S;
         series_gap(ingest_series(ingest)) == UINT32_MAX && clock_monotonic_ns() < end;)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    assert_int_not_equal(series_gap(ingest_series(ingest)), UINT32_MAX);
    assert_int_equal(count_at("requests_total", base_ms + MINUTE_MS), 20);
    assert_true(value_at("odd_total", base_ms + 6 * 15000) == 600);
    arena_init(&arena, 1 << 20);
    assert_int_equal(ingest_last_values(ingest, &set, 1, 0, &arena, &last, &e), 0);
    assert_int_equal(last.time_ms, base_ms + 239 * 15000 + 1);
    assert_true(last.value == 239 * 20.0);
    set.n = make_labels(l, "latency", "a");
    assert_int_equal(ingest_last_values(ingest, &set, 1, 0, &arena, &last, &e), 0);
    assert_non_null(last.histogram);
    assert_int_equal(last.histogram->positive.n, 3);
    assert_true(last.histogram->positive.count[1] == 1.25);
    arena_done(&arena);
    /* A series that goes on has the id it had. */
    struct ingest_txn *t = txn_begin(ingest, 0);
    put(t, "requests_total", "host-01:9100", base_ms + 241 * 15000, 7);
    txn_commit(t);
    assert_int_equal(fixture_number(store, "SELECT uniq(id) FROM series WHERE metric = "
                                           "'requests_total'"),
                     20);
}

static void evicted_series_are_found(void **state) {
    uint32_t now_s = (uint32_t) (clock_now_ns() / NS_PER_S);

    assert_true(series_evict(ingest_series(ingest), now_s + 100000, 1) > 0);
    assert_int_equal(count_at("requests_total", base_ms + MINUTE_MS), 20);
    assert_int_equal(
            count_at("{__name__=~\"requests.*\",instance=\"host-01:9100\"}", base_ms + MINUTE_MS),
            1);
    struct ingest_txn *t = txn_begin(ingest, 0);
    put(t, "requests_total", "host-01:9100", base_ms + 242 * 15000, 8);
    txn_commit(t);
    assert_int_equal(count_at("requests_total", base_ms + MINUTE_MS), 20);
}

static void a_handle(void **state) {
    struct label l[3];
    struct ingest_series series;
    struct error e = ERROR_NONE;
    struct ingest_txn *t = txn_begin(ingest, 0);
    struct sample s = {.time_ms = base_ms, .value = 3};

    assert_int_equal(ingest_series_lookup(t, l, make_labels(l, "handled", "a"), &series, &e), 0);
    assert_int_equal(ingest_sample_by_id(t, &series, &s, &e), 0);
    txn_commit(t);
    assert_true(value_at("handled", base_ms) == 3);
    series_evict(ingest_series(ingest), (uint32_t) (clock_now_ns() / NS_PER_S) + 100000, 1);
    t = txn_begin(ingest, 0);
    assert_int_equal(ingest_sample_by_id(t, &series, &s, &e), -ESTALE);
    ingest_abort(t);
}

static void time_and_limits(void **state) {
    atomic_bool cancel = true;
    struct metrics_source source;
    struct promql_options o = {0};
    struct promql_result *ret = NULL;
    struct promql_query *q = NULL;
    struct promql_error e = {0};

    assert_int_equal(promql_parse(SLICE("{__name__=~\".+\"}"), &q, &e), 0);
    metrics_source_init(&source, metrics);
    source.cancel = &cancel;
    assert_true(promql_eval_range(q, &source.source, base_ms, base_ms + 1000, 1000, &o, &ret, &e) <
                0);
    assert_int_equal(e.kind, PROMQL_CANCELED);
    metrics_source_init(&source, metrics);
    source.deadline_ns = 1;
    e = (struct promql_error){0};
    assert_true(promql_eval_range(q, &source.source, base_ms, base_ms + 1000, 1000, &o, &ret, &e) <
                0);
    assert_int_equal(e.kind, PROMQL_TIMEOUT);
    metrics_source_init(&source, metrics);
    o.memory_bytes_max = 40000;
    e = (struct promql_error){0};
    assert_true(promql_eval_range(q, &source.source, base_ms, base_ms + 60 * MINUTE_MS, 60000, &o,
                                  &ret, &e) < 0);
    assert_int_equal(e.kind, PROMQL_LIMIT);
    promql_query_free(q);
}

static void rules_of_retention(void **state) {
    int64_t now_ms = clock_now_ns() / NS_PER_MS, day_ms = 86400000;
    struct error e = ERROR_NONE;
    struct ingest_txn *t = txn_begin(ingest, 0);

    for (int day = 0; day < 12; day++) {
        put(t, "short_total", "a", now_ms - day * day_ms, day);
        put(t, "short_total", "b", now_ms - day * day_ms, day);
        put(t, "other_total", "a", now_ms - day * day_ms, day);
    }
    txn_commit(t);
    assert_int_equal(metrics_rules_read(metrics, "short_total{instance=\"b;\"} 1 ;{a=~\"", &e),
                     -EINVAL);
    assert_int_equal(
            metrics_rules_read(metrics, "short_total{instance=\"b\"} 9; short_total 3d", &e), 0);
    assert_int_equal(metrics_rules_apply(metrics, now_ms, &e), 0);
    const char *sql = "SELECT count() FROM samples WHERE id IN (SELECT id FROM series WHERE metric "
                      "IN ('short_total', 'other_total'))";
    for (int64_t end = clock_monotonic_ns() + 60 * NS_PER_S;
         fixture_number(store, sql) != 4 + 10 + 12 && clock_monotonic_ns() < end;)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    assert_int_equal(fixture_number(store, sql), 4 + 10 + 12);
    assert_int_equal(metrics_rules_apply(metrics, now_ms, &e), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(values_come_back),
            cmocka_unit_test(duplicates_and_order),
            cmocka_unit_test(bits_are_kept),
            cmocka_unit_test(native_histograms),
            cmocka_unit_test(what_describes_them),
            cmocka_unit_test(after_a_restart),
            cmocka_unit_test(time_and_limits),
            cmocka_unit_test(evicted_series_are_found),
            cmocka_unit_test(a_handle),
            cmocka_unit_test(rules_of_retention),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
