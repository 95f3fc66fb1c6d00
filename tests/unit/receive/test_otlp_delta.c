/*
 * Deltas and exponential histograms on the real engine: sums go on after a restart of the server,
 * points that come twice count once, late ones are refused.
 */
#include "../ingest_txn.h"

#include "receive/otlp_delta.h"
#include "receive/otlp_metrics.h"
#include "request.h"

static struct store *store;
static struct ingest *ingest;
static struct otlp_deltas *deltas;
static struct buffer body;
static uint64_t t0;
static uint64_t rejected;
static char reason[1000];

/* As a server that starts anew: nothing of what was added up is in memory. */
static void restart(void) {
    otlp_deltas_free(deltas);
    assert_int_equal(otlp_deltas_new(ingest, OTLP_DELTA_LOOKBACK_S, &deltas), 0);
}

static void send(void) {
    struct ingest_txn *t = txn_begin(ingest, body.size);
    struct otlp_decoder d;

    otlp_decoder_init(&d, t);
    d.deltas = deltas;
    int r = otlp_decode_protobuf(&d, OTLP_METRICS, buffer_slice(&body));
    if (r < 0)
        fail_msg("%d: %s", r, d.error.text);
    rejected = d.rejected;
    snprintf(reason, sizeof(reason), "%s", d.first.text);
    otlp_decoder_done(&d);
    txn_commit(t);
    buffer_clear(&body);
}

static size_t begin_points(const char *name, uint32_t kind, size_t open[4]) {
    open[0] = begin_resource(&body, &open[1]);
    open[2] = pb_begin(&body, 2);
    pb_put_bytes(&body, 1, slice_from(name));
    open[3] = pb_begin(&body, kind);
    pb_put_varint(&body, 2, 1); /* delta */
    if (kind == 7)
        pb_put_varint(&body, 3, 1);
    return open[3];
}

static void end_points(const size_t open[4]) {
    for (size_t i = 4; i-- > 0;)
        pb_end(&body, open[i]);
}

static void put_number(uint64_t from_s, uint64_t to_s, double v) {
    size_t point = pb_begin(&body, 1);

    pb_put_fixed64(&body, 2, t0 + from_s * 1000000000u);
    pb_put_fixed64(&body, 3, t0 + to_s * 1000000000u);
    pb_put_double(&body, 4, v);
    pb_end(&body, point);
}

static void send_number(const char *name, uint64_t from_s, uint64_t to_s, double v) {
    size_t open[4];

    begin_points(name, 7, open);
    put_number(from_s, to_s, v);
    end_points(open);
    send();
}

static const char *values(const char *name) {
    char sql[500];

    snprintf(sql, sizeof(sql),
             "SELECT arrayStringConcat(groupArray(toString(v)), ' ') FROM (SELECT argMax(value, "
             "value) AS v FROM samples WHERE id IN (SELECT id FROM series WHERE metric = '%s') "
             "GROUP BY ts ORDER BY ts)",
             name);
    return fixture_text(store, sql);
}

static void sums(void **state) {
    send_number("d", 0, 10, 5);
    send_number("d", 10, 20, 3);
    assert_string_equal(values("d_total"), "5 8\n");
    send_number("d", 10, 20, 3); /* sent again: its answer was lost */
    assert_int_equal(rejected, 0);
    assert_string_equal(values("d_total"), "5 8\n");
    send_number("d", 0, 15, 100);
    assert_int_equal(rejected, 1);
    assert_non_null(strstr(reason, "older than the last one"));
    assert_non_null(strstr(reason, "d_total"));
    assert_non_null(strstr(reason, "demo/shop"));
    restart();
    send_number("d", 10, 20, 3); /* again, to a new server */
    send_number("d", 20, 30, 2);
    assert_string_equal(values("d_total"), "5 8 10\n");
}

/* Several points of one series in one message, in any order. */
static void batch(void **state) {
    size_t open[4];

    begin_points("b", 7, open);
    put_number(20, 30, 4);
    put_number(0, 10, 1);
    put_number(10, 20, 2);
    end_points(open);
    send();
    assert_int_equal(rejected, 0);
    assert_string_equal(values("b_total"), "1 3 7\n");
    restart();
    begin_points("b", 7, open);
    put_number(30, 40, 1);
    put_number(40, 50, 1);
    end_points(open);
    send();
    assert_string_equal(values("b_total"), "1 3 7 8 9\n");
}

static void put_exponential(uint64_t to_s, int32_t scale, uint64_t first, uint64_t second) {
    size_t point = pb_begin(&body, 1), list;

    pb_put_fixed64(&body, 3, t0 + to_s * 1000000000u);
    pb_put_fixed64(&body, 4, first + second + 1);
    pb_put_double(&body, 5, 10);
    pb_put_varint(&body, 6, (uint32_t) scale << 1 ^ (uint32_t) (scale >> 31));
    pb_put_fixed64(&body, 7, 1);
    list = pb_begin(&body, 8);
    pb_put_varint(&body, 1, 2 << 1); /* from bucket 2 */
    pb_put_varint(&body, 2, first);
    pb_put_varint(&body, 2, second);
    pb_end(&body, list);
    pb_end(&body, point);
}

static void send_exponential(const char *name, uint64_t to_s, int32_t scale, uint64_t first,
                             uint64_t second) {
    size_t open[4];

    begin_points(name, 10, open);
    put_exponential(to_s, scale, first, second);
    end_points(open);
    send();
}

static void histograms(void **state) {
    send_exponential("e", 10, 3, 4, 6);
    restart();
    send_exponential("e", 20, 2, 1, 1); /* coarser: all of it becomes so */
    assert_int_equal(rejected, 0);
    assert_string_equal(
            fixture_text(store,
                         "SELECT count, sum, schema, zero_count FROM histograms ORDER BY ts"),
            "11\t10\t3\t1\n14\t20\t2\t2\n");
    send_exponential("e", 30, -5, 1, 1);
    assert_int_equal(rejected, 1);
    assert_non_null(strstr(reason, "scale -5"));
    assert_non_null(strstr(reason, "metric \"e\", point 1"));
}

/* Bucket numbers: one higher than OTLP's, halved for each scale that is too fine. */
static void indices(void **state) {
    const uint64_t counts[] = {1, 2, 3, 4};
    struct otlp_point p = {.count = 10, .scale = 10, .positive = {-2, counts, 4}};
    struct histogram h;
    struct arena a;
    struct error e;

    arena_init(&a, 1 << 20);
    assert_int_equal(otlp_native_histogram(&a, &p, &h, &e), 0);
    assert_int_equal(h.schema, 8);
    /* -2, -1, 0, 1 of scale 10 are -1, 0, 1, 2 as Prometheus counts; of four each: 0, 0, 1, 1 */
    assert_int_equal(h.positive.n, 2);
    assert_int_equal(h.positive.index[0], 0);
    assert_int_equal(h.positive.index[1], 1);
    assert_true(h.positive.count[0] == 3 && h.positive.count[1] == 7);
    assert_true(h.zero_threshold == 1e-128);
    p.positive.offset = INT32_MAX;
    p.scale = 0;
    assert_int_equal(otlp_native_histogram(&a, &p, &h, &e), -EINVAL);
    p.scale = INT32_MAX;
    assert_int_equal(otlp_native_histogram(&a, &p, &h, &e), 0);
    p.scale = INT32_MIN;
    assert_int_equal(otlp_native_histogram(&a, &p, &h, &e), -EINVAL);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums), cmocka_unit_test(batch),
                                       cmocka_unit_test(histograms), cmocka_unit_test(indices)};
    struct store_options o = fixture_options();
    struct ingest_options options = {.scrub = true};
    struct error e;

    t0 = (uint64_t) clock_now_ns() / 1000000000u * 1000000000u - UINT64_C(600000000000);
    buffer_init(&body, 1 << 20);
    options.store = store = fixture_open(&o);
    if (ingest_new(&options, &ingest, &e) < 0 ||
        otlp_deltas_new(ingest, OTLP_DELTA_LOOKBACK_S, &deltas) < 0)
        return 1;
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    ingest_stop(ingest);
    store_close(store);
    otlp_deltas_free(deltas);
    ingest_free(ingest);
    buffer_done(&body);
    return r;
}
