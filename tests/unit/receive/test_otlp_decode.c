/* OTLP decoding into blocks in memory: both encodings, hostile bytes, metric names. */
#include "../unit.h"

#include "memory_store.h"
#include "receive/otlp_decode.h"
#include "receive/otlp_metrics.h"
#include "request.h"
#include "signal/columns.h"

static struct store *store;
static struct ingest *ingest;
static struct buffer body;

static int setup(void **state) {
    struct ingest_options o = {.scrub = true};
    struct error e;

    o.store = store = memory_store_new();
    buffer_init(&body, 64 << 20);
    return ingest_new(&o, &ingest, &e);
}

static int teardown(void **state) {
    ingest_stop(ingest);
    ingest_free(ingest);
    memory_store_free(store);
    buffer_done(&body);
    return 0;
}

static void done(void *ctx, int result) {
}

static uint64_t rejected, repaired;
static char reason[1000];

/* Decodes and commits; aborts on an error, which it returns. */
static int decode(enum otlp_signal signal, bool json, struct slice bytes) {
    struct otlp_decoder d;
    struct ingest_txn *t;
    unsigned retry_s;

    assert_int_equal(ingest_begin(ingest, bytes.size, &t, &retry_s), 0);
    otlp_decoder_init(&d, t);
    int r = json ? otlp_decode_json(&d, signal, bytes) : otlp_decode_protobuf(&d, signal, bytes);
    rejected = d.rejected;
    repaired = d.repaired;
    snprintf(reason, sizeof(reason), "%s", r < 0 ? d.error.text : d.first.text);
    otlp_decoder_done(&d);
    if (r < 0)
        ingest_abort(t);
    else
        ingest_commit(t, done, NULL);
    return r;
}

static struct slice cell(struct native_reader *r, size_t row, unsigned column) {
    return native_reader_cell(r, row, column).text;
}

static struct slice attribute(struct native_reader *r, unsigned map, const char *key) {
    for (size_t i = 0; i < native_reader_length(r, 0, map); i++)
        if (slice_is(native_reader_key(r, 0, map, i).text, key))
            return native_reader_item(r, 0, map, i).text;
    return SLICE_EMPTY;
}

static void check_span(void) {
    struct native_reader *r = memory_store_read(store, TABLE_SPANS);

    assert_slice(cell(r, 0, SPANS_TRACE_ID), "0123456789abcdef");
    assert_slice(cell(r, 0, SPANS_SPAN_ID), "01234567");
    assert_slice(cell(r, 0, SPANS_PARENT_SPAN_ID), "76543210");
    assert_slice(cell(r, 0, SPANS_NAME), "good");
    assert_slice(cell(r, 0, SPANS_SERVICE), "shop");
    assert_slice(cell(r, 0, SPANS_SCOPE), "lib");
    assert_slice(cell(r, 0, SPANS_TRACE_STATE), "a=b");
    assert_slice(cell(r, 0, SPANS_STATUS_MESSAGE), "bad");
    assert_slice(cell(r, 0, SPANS_HTTP_ROUTE), "/x");
    assert_slice(cell(r, 0, SPANS_EXCEPTION_TYPE), "E");
    assert_int_equal(native_reader_cell(r, 0, SPANS_KIND).u64, 2);
    assert_int_equal(native_reader_cell(r, 0, SPANS_STATUS).u64, 2);
    assert_int_equal(native_reader_cell(r, 0, SPANS_FLAGS).u64, 0x101);
    assert_int_equal(native_reader_cell(r, 0, SPANS_DROPPED).u64, 4);
    assert_slice(attribute(r, SPANS_ATTRIBUTES, "nested"),
                 "[1,\"a\",{\"k\":true},2.5,{\"$bytes\":\"/wE=\"}]");
    assert_slice(
            cell(r, 0, SPANS_LINKS),
            "[{\"trace_id\":\"66656463626139383736353433323130\",\"span_id\":\"3839616263646566\","
            "\"trace_state\":\"\",\"flags\":1,\"attributes\":{\"why\":[1,\"a\",{\"k\":true},2.5,"
            "{\"$bytes\":\"/wE=\"}]}}]");
    native_reader_free(r);
}

static void traces(void **state) {
    build_traces(&body, false);
    assert_int_equal(decode(OTLP_TRACES, false, buffer_slice(&body)), 0);
    assert_int_equal(rejected, 1);
    assert_non_null(strstr(reason, "other"));
    assert_int_equal(memory_store_rows(store, TABLE_SPANS), 1);
    check_span();
}

#define NESTED                                                                                     \
    "{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{\"stringValue\":\"a\"},{\"kvlistValue\":"  \
    "{\"values\":[{\"key\":\"k\",\"value\":{\"boolValue\":true}}]}},{\"doubleValue\":2.5},"        \
    "{\"bytesValue\":\"/wE=\"}]}}"

static void json_traces(void **state) {
    buffer_printf(
            &body,
            "{\"resourceSpans\":[{\"unknown\":[1,{}],\"resource\":{\"attributes\":[{\"key\":"
            "\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},\"scopeSpans\":[{\"scope\":"
            "{\"name\":\"lib\",\"version\":\"1.0\"},\"spans\":[{\"traceId\":"
            "\"30313233343536373839616263646566\",\"spanId\":\"3031323334353637\",\"parentSpanId\":"
            "\"3736353433323130\",\"traceState\":\"a=b\",\"name\":\"good\",\"kind\":2,"
            "\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":%llu,\"attributes\":[{\"key\":"
            "\"http.route\",\"value\":{\"stringValue\":\"/"
            "x\"}},{\"key\":\"nested\",\"value\":" NESTED
            "}],\"droppedAttributesCount\":4,\"events\":[{\"timeUnixNano\":\"5\",\"name\":"
            "\"exception\",\"attributes\":[{\"key\":\"exception.type\",\"value\":{\"stringValue\":"
            "\"E\"}}]}],\"links\":[{\"traceId\":\"66656463626139383736353433323130\",\"spanId\":"
            "\"3839616263646566\",\"flags\":1,\"attributes\":[{\"key\":\"why\",\"value\":" NESTED
            "}]}],\"status\":{\"message\":\"bad\",\"code\":2},\"flags\":257}]}]}]}",
            (unsigned long long) NOW(), (unsigned long long) NOW() + 1000);
    assert_int_equal(decode(OTLP_TRACES, true, buffer_slice(&body)), 0);
    assert_int_equal(rejected, 0);
    check_span();
}

/* Every cut is either a whole message of fewer fields or malformed; never anything worse. */
static void truncated(void **state) {
    for (unsigned signal = 0; signal < 3; signal++) {
        buffer_clear(&body);
        if (signal == OTLP_TRACES)
            build_traces(&body, true);
        else if (signal == OTLP_LOGS)
            build_logs(&body, SLICE("text"));
        else
            build_metrics(&body);
        for (size_t n = 1; n < body.size; n++) {
            uint8_t *copy = malloc(n);
            assert_non_null(copy);
            memcpy(copy, body.data, n);
            assert_int_equal(decode(signal, false, slice_new(copy, n)), -EBADMSG);
            free(copy);
        }
        assert_int_equal(decode(signal, false, SLICE_EMPTY), 0);
    }
}

/* Every byte replaced by some others: no crash, and an answer. */
static void damaged(void **state) {
    static const uint8_t bytes[] = {0, 1, 2, 3, 0x0b, 0x7f, 0x80, 0xff};

    for (unsigned signal = 0; signal < 3; signal++) {
        buffer_clear(&body);
        if (signal == OTLP_TRACES)
            build_traces(&body, true);
        else if (signal == OTLP_LOGS)
            build_logs(&body, SLICE("text"));
        else
            build_metrics(&body);
        for (size_t i = 0; i < body.size; i++)
            for (size_t k = 0; k < sizeof(bytes); k++) {
                uint8_t kept = body.data[i];
                body.data[i] = bytes[k];
                int r = decode(signal, false, buffer_slice(&body));
                assert_true(r == 0 || r == -EBADMSG);
                body.data[i] = kept;
            }
    }
}

static void wrong_types(void **state) {
    static const char *const bodies[] = {
            "\x08\x01",                         /* resource_spans as a number */
            "\x0d\x01\x02\x03\x04",             /* as a fixed32 */
            "\x0a\x02\x10\x01",                 /* scope_spans as a number */
            "\x0a\x04\x12\x02\x10\x01",         /* spans as a number */
            "\x0a\x06\x12\x04\x12\x02\x08\x01", /* trace_id as a number */
            "\x0a\x06\x12\x04\x12\x02\x38\x01", /* start as a varint */
            "\x0b\x0c",                         /* groups */
            "\x0a\xff\xff\xff\xff\x03",         /* a gigabyte */
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        assert_int_equal(decode(OTLP_TRACES, false, slice_from(bodies[i])), -EBADMSG);
    assert_int_equal(memory_store_rows(store, TABLE_SPANS), 0);
}

static void texts(void **state) {
    build_logs(&body, SLICE("caf\xe9 \xf0\x9f\x98\x80 \xff"));
    assert_int_equal(decode(OTLP_LOGS, false, buffer_slice(&body)), 0);
    assert_int_equal(repaired, 1);
    struct native_reader *r = memory_store_read(store, TABLE_LOGS);
    assert_slice(cell(r, 0, LOGS_BODY), "caf\xef\xbf\xbd \xf0\x9f\x98\x80 \xef\xbf\xbd");
    assert_slice(cell(r, 0, LOGS_EVENT_NAME), "event");
    assert_int_equal(native_reader_cell(r, 0, LOGS_SEVERITY).u64, 17);
    native_reader_free(r);
}

/* An attribute nested `levels` deep. */
static void put_deep(struct buffer *b, unsigned levels) {
    size_t marks[2000];

    for (unsigned i = 0; i < levels; i++) {
        marks[2 * i] = pb_begin(b, i ? 1 : 2);
        marks[2 * i + 1] = pb_begin(b, 5);
    }
    for (unsigned i = levels; i-- > 0;) {
        pb_end(b, marks[2 * i + 1]);
        pb_end(b, marks[2 * i]);
    }
}

static void deep(void **state) {
    for (unsigned levels = 30; levels <= 900; levels += 435) {
        size_t scope, resource = (buffer_clear(&body), begin_resource(&body, &scope));
        size_t span = pb_begin(&body, 2);
        pb_put_bytes(&body, 1, SLICE("0123456789abcdef"));
        pb_put_bytes(&body, 2, SLICE("01234567"));
        pb_put_fixed64(&body, 7, NOW());
        pb_put_fixed64(&body, 8, NOW());
        size_t pair = pb_begin(&body, 9);
        pb_put_bytes(&body, 1, SLICE("deep"));
        put_deep(&body, levels);
        pb_end(&body, pair);
        pb_end(&body, span);
        pb_end(&body, scope);
        pb_end(&body, resource);
        assert_int_equal(decode(OTLP_TRACES, false, buffer_slice(&body)), 0);
        assert_int_equal(rejected, levels > 31);
        if (rejected)
            assert_non_null(strstr(reason, "\"deep\" is nested too deeply"));
    }
}

/* Attributes, events and links beyond the limits are dropped and counted. */
static void many(void **state) {
    size_t scope, resource = begin_resource(&body, &scope), span = pb_begin(&body, 2);

    pb_put_bytes(&body, 1, SLICE("0123456789abcdef"));
    pb_put_bytes(&body, 2, SLICE("01234567"));
    pb_put_fixed64(&body, 7, NOW());
    for (unsigned i = 0; i < 2000; i++) {
        put_text(&body, 9, "key", SLICE("value"));
        pb_end(&body, pb_begin(&body, 11));
        pb_end(&body, pb_begin(&body, 13));
    }
    put_text(&body, 9, "huge", slice_new(body.data, 20000));
    pb_end(&body, span);
    pb_end(&body, scope);
    pb_end(&body, resource);
    assert_int_equal(decode(OTLP_TRACES, false, buffer_slice(&body)), 0);
    assert_int_equal(rejected, 0);
    struct native_reader *r = memory_store_read(store, TABLE_SPANS);
    assert_int_equal(native_reader_cell(r, 0, SPANS_DROPPED).u64, 3 * (2000 - 1024) + 1);
    native_reader_free(r);
}

static void json_hostile(void **state) {
    static const char *const bodies[] = {
            "",
            "[]",
            "1",
            "{",
            "{\"resourceSpans\":{}}",
            "{\"resourceSpans\":[1]}",
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[1]}]}]}",
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"startTimeUnixNano\":\"x\"}]}]}]}",
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":[{\"key\":\"a\","
            "\"value\":"
            "{\"bytesValue\":\"!\"}}]}]}]}]}",
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":[{\"key\":\"a\","
            "\"value\":"
            "{\"intValue\":\"1.5\"}}]}]}]}]}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        assert_int_equal(decode(OTLP_TRACES, true, slice_from(bodies[i])), -EBADMSG);
        assert_true(strlen(reason) > 0);
    }
    assert_int_equal(decode(OTLP_TRACES, true, SLICE("{}")), 0);
    buffer_append_text(&body, "{\"resourceSpans\":");
    for (unsigned i = 0; i < 100000; i++)
        buffer_append_u8(&body, '[');
    assert_int_equal(decode(OTLP_TRACES, true, buffer_slice(&body)), -EBADMSG);
}

/* The samples of a series, named by its labels "name{a=b,…}"; NAN when there are none. */
static double sample_of(const char *series) {
    struct native_reader *s = memory_store_read(store, TABLE_SERIES),
                         *v = memory_store_read(store, TABLE_SAMPLES);
    double found = -1;

    for (size_t i = 0; i < native_reader_rows(s); i++) {
        char text[1000];
        size_t n = (size_t) snprintf(text, sizeof(text), "%.*s{",
                                     SLICE_ARG(cell(s, i, SERIES_METRIC)));
        for (size_t k = 0; k < native_reader_length(s, i, SERIES_LABELS); k++)
            n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%.*s=%.*s", k ? "," : "",
                                   SLICE_ARG(native_reader_key(s, i, SERIES_LABELS, k).text),
                                   SLICE_ARG(native_reader_item(s, i, SERIES_LABELS, k).text));
        snprintf(text + n, sizeof(text) - n, "}");
        for (size_t k = 0; strcmp(text, series) == 0 && k < native_reader_rows(v); k++)
            if (native_reader_cell(v, k, SAMPLES_ID).u64 == native_reader_cell(s, i, SERIES_ID).u64)
                found = native_reader_cell(v, k, SAMPLES_VALUE).f64;
    }
    native_reader_free(s);
    native_reader_free(v);
    return found;
}

#define TARGET "instance=i-1,job=demo/shop"

static void check_metrics(void) {
    static const struct {
        const char *series;
        double value;
    } wanted[] = {
            {"cpu_utilization_ratio{cpu_mode=user," TARGET "}", 0.5},
            {"http_requests_total{" TARGET "}", 42},
            {"http_server_request_duration_seconds_bucket{" TARGET ",le=0.1}", 1},
            {"http_server_request_duration_seconds_bucket{" TARGET ",le=1}", 3},
            {"http_server_request_duration_seconds_bucket{" TARGET ",le=+Inf}", 6},
            {"http_server_request_duration_seconds_sum{" TARGET "}", 1.5},
            {"http_server_request_duration_seconds_count{" TARGET "}", 6},
            {"rpc_size_bytes{" TARGET ",quantile=0.5}", 10},
            {"rpc_size_bytes_count{" TARGET "}", 3},
            {"target_info{host_name=node," TARGET "}", 1},
    };
    assert_int_equal(memory_store_rows(store, TABLE_HISTOGRAMS), 1); /* latency_milliseconds */
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (sample_of(wanted[i].series) != wanted[i].value)
            fail_msg("%s: %g", wanted[i].series, sample_of(wanted[i].series));
}

static void metrics(void **state) {
    build_metrics(&body);
    assert_int_equal(decode(OTLP_METRICS, false, buffer_slice(&body)), 0);
    assert_int_equal(rejected, 1);
    assert_non_null(strstr(reason, "delta temporality"));
    check_metrics();
}

static void json_metrics(void **state) {
    unsigned long long t = NOW();

    buffer_printf(
            &body,
            "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
            "\"value\":"
            "{\"stringValue\":\"shop\"}},{\"key\":\"service.namespace\",\"value\":{\"stringValue\":"
            "\"demo\"}},{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"i-1\"}},{"
            "\"key\":"
            "\"host.name\",\"value\":{\"stringValue\":\"node\"}}]},\"scopeMetrics\":[{\"metrics\":["
            "{\"name\":\"cpu.utilization\",\"unit\":\"1\",\"gauge\":{\"dataPoints\":[{"
            "\"timeUnixNano\":"
            "\"%llu\",\"asDouble\":0.5,\"attributes\":[{\"key\":\"cpu.mode\",\"value\":{"
            "\"stringValue\":"
            "\"user\"}}]}]}},"
            "{\"name\":\"http.requests\",\"unit\":\"{request}\",\"sum\":{"
            "\"aggregationTemporality\":2,"
            "\"isMonotonic\":true,\"dataPoints\":[{\"timeUnixNano\":\"%llu\",\"asInt\":\"42\"}]}},"
            "{\"name\":\"http.server.request.duration\",\"unit\":\"s\",\"histogram\":"
            "{\"aggregationTemporality\":2,\"dataPoints\":[{\"timeUnixNano\":\"%llu\",\"count\":"
            "\"6\","
            "\"sum\":1.5,\"bucketCounts\":[\"1\",2,\"3\"],\"explicitBounds\":[0.1,1]}]}},"
            "{\"name\":\"latency\",\"unit\":\"ms\",\"exponentialHistogram\":{"
            "\"aggregationTemporality\":2,"
            "\"dataPoints\":[{\"timeUnixNano\":\"%llu\",\"count\":9,\"sum\":99}]}},"
            "{\"name\":\"rpc.size\",\"unit\":\"By\",\"summary\":{\"dataPoints\":[{\"timeUnixNano\":"
            "\"%llu\",\"count\":3,\"sum\":30,\"quantileValues\":[{\"quantile\":0.5,\"value\":10}]}]"
            "}}"
            "]}]}]}",
            t, t, t, t, t);
    assert_int_equal(decode(OTLP_METRICS, true, buffer_slice(&body)), 0);
    assert_int_equal(rejected, 0);
    check_metrics();
}

static void names(void **state) {
    static const struct {
        const char *name, *unit;
        bool counter, gauge;
        const char *wanted;
    } cases[] = {
            {"system.io", "foo_bar", true, false, "system_io_foo_bar_total"},
            {"system.network.dropped", "{packets}", true, false, "system_network_dropped_total"},
            {"fs.usage", "By", false, true, "fs_usage_bytes"},
            {"rate", "By/s", false, true, "rate_bytes_per_second"},
            {"speed", "km/h", false, true, "speed_km_per_hour"},
            {"used.bytes", "By", false, true, "used_bytes"},
            {"requests.total", "1", true, false, "requests_total"},
            {"total.requests", "1", true, false, "requests_total"},
            {"2xx", "", false, true, "_2xx"},
            {"weird__name--x", "%", false, true, "weird_name_x_percent"},
    };
    struct arena a;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_slice(prometheus_metric_name(&a, slice_from(cases[i].name),
                                            slice_from(cases[i].unit), cases[i].counter,
                                            cases[i].gauge),
                     cases[i].wanted);
    assert_slice(prometheus_label_name(&a, SLICE("http.route")), "http_route");
    assert_slice(prometheus_label_name(&a, SLICE("0a")), "key_0a");
    assert_slice(prometheus_label_name(&a, SLICE("_a")), "key_a");
    assert_slice(prometheus_label_name(&a, SLICE("__a")), "__a");
    arena_done(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
            TEST(traces),       TEST(json_traces), TEST(truncated),    TEST(damaged),
            TEST(wrong_types),  TEST(texts),       TEST(deep),         TEST(many),
            TEST(json_hostile), TEST(metrics),     TEST(json_metrics), TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
