/* Ingest over blocks in memory: rows, derived tables, edges in both orders, aborts that leave
 * nothing. */
#include "../unit.h"

#include "base/clock.h"
#include "derive/ingest.h"
#include "memory_store.h"
#include "signal/columns.h"
#include "signal/resource.h"

#include <math.h>

static struct store *store;
static struct ingest *ingest;
static struct buffer build;
static const struct scope scope = {.name = SLICE("test"), .version = SLICE("1")};

static int setup(void **state) {
    struct ingest_options o = {.scrub = true};
    struct error e;

    o.store = store = memory_store_new();
    assert_int_equal(ingest_new(&o, &ingest, &e), 0);
    return 0;
}

static int teardown(void **state) {
    ingest_stop(ingest);
    ingest_free(ingest);
    memory_store_free(store);
    return 0;
}

static struct ingest_txn *begin(void) {
    struct ingest_txn *t;
    unsigned retry_s;

    assert_int_equal(ingest_begin(ingest, 100, &t, &retry_s), 0);
    return t;
}

static int last_result;
static unsigned answers;

static void done(void *ctx, int result) {
    last_result = result;
    answers++;
}

static struct attribute text(const char *key, const char *value) {
    return (struct attribute){slice_from(key), {.type = VALUE_STRING, .text = slice_from(value)}};
}

static struct attribute number(const char *key, int64_t value) {
    return (struct attribute){slice_from(key), {.type = VALUE_INT, .integer = value}};
}

static struct resource resource_named(struct attribute *name, const char *service) {
    struct resource r = {.attributes = {name, 1, 0}};

    *name = text("service.name", service);
    assert_int_equal(resource_finish(&r, &build), 0);
    return r;
}

/* Span `id` below `parent` (0: root) of trace `trace`, a minute ago. */
static struct span span_of(const struct resource *r, uint8_t trace, uint8_t id, uint8_t parent,
                           enum span_kind kind) {
    struct span s = {.resource = r, .scope = &scope, .name = SLICE("work"), .kind = kind};

    s.trace_id[0] = trace;
    s.span_id[0] = id;
    s.parent_span_id[0] = parent;
    s.start_ns = clock_now_ns() - 60 * NS_PER_S;
    s.end_ns = s.start_ns + 5 * NS_PER_MS;
    return s;
}

static void add(struct ingest_txn *t, const struct span *s) {
    struct error e = ERROR_NONE;

    if (ingest_span(t, s, &e) < 0)
        fail_msg("%s", e.text);
}

static struct slice cell(struct native_reader *r, size_t row, unsigned column) {
    return native_reader_cell(r, row, column).text;
}

static uint64_t cell_number(struct native_reader *r, size_t row, unsigned column) {
    return native_reader_cell(r, row, column).u64;
}

/* The value of a span's attribute in the first row; *ret_type its type. */
static struct slice stored(struct native_reader *r, unsigned map, const char *key, unsigned types,
                           unsigned *ret_type) {
    for (size_t i = 0; i < native_reader_length(r, 0, map); i++)
        if (slice_is(native_reader_key(r, 0, map, i).text, key)) {
            *ret_type = (unsigned) native_reader_item(r, 0, types, i).u64;
            return native_reader_item(r, 0, map, i).text;
        }
    return SLICE_EMPTY;
}

static void a_span(void **state) {
    struct attribute name;
    struct resource r = resource_named(&name, "orders");
    const struct attribute attributes[] = {
            text("http.request.method", "GET"),       text("http.route", "/orders/{id}"),
            number("http.response.status_code", 503), text("password", "hunter2"),
            text("url.query", "token=abc&x=1"),       {SLICE("tags"), {.type = VALUE_ARRAY}},
    };
    const struct attribute exception[] = {text("exception.type", "ValueError"),
                                          text("exception.message", "bad password=hunter2")};
    const struct span_event event = {
            .time_ns = 17, .name = SLICE("exception"), .attributes = {exception, 2, 3}};
    struct span s = span_of(&r, 1, 1, 0, SPAN_SERVER);
    unsigned type = 99;

    s.attributes = (struct attributes){attributes, 6, 2};
    s.events = &event;
    s.n_events = 1;
    s.status = STATUS_ERROR;
    s.status_message = SLICE("Bearer abcDEF123456 refused");
    struct ingest_txn *t = begin();
    add(t, &s);
    ingest_commit(t, done, NULL);
    assert_int_equal(last_result, 0);

    struct native_reader *x = memory_store_read(store, TABLE_SPANS);
    assert_int_equal(native_reader_rows(x), 1);
    assert_int_equal(cell_number(x, 0, SPANS_TS), (uint64_t) s.start_ns);
    assert_int_equal(cell_number(x, 0, SPANS_DURATION_NS), 5 * NS_PER_MS);
    assert_slice(cell(x, 0, SPANS_SERVICE), "orders");
    assert_slice(cell(x, 0, SPANS_HTTP_METHOD), "GET");
    assert_slice(cell(x, 0, SPANS_HTTP_ROUTE), "/orders/{id}");
    assert_int_equal(cell_number(x, 0, SPANS_HTTP_STATUS), 503);
    assert_slice(cell(x, 0, SPANS_EXCEPTION_TYPE), "ValueError");
    assert_slice(cell(x, 0, SPANS_STATUS_MESSAGE), "Bearer [scrubbed] refused");
    assert_int_equal(cell_number(x, 0, SPANS_ENTRY), 1);
    assert_int_equal(cell_number(x, 0, SPANS_DROPPED), 2);
    assert_slice(
            cell(x, 0, SPANS_EVENTS),
            "[{\"time_ns\":\"17\",\"name\":\"exception\",\"attributes\":{\"exception.type\":"
            "\"ValueError\",\"exception.message\":\"bad password=[scrubbed]\"},\"dropped\":3}]");
    assert_slice(stored(x, SPANS_ATTRIBUTES, "password", SPANS_ATTRIBUTE_TYPES, &type),
                 "[scrubbed]");
    assert_slice(stored(x, SPANS_ATTRIBUTES, "url.query", SPANS_ATTRIBUTE_TYPES, &type),
                 "token=[scrubbed]&x=1");
    assert_slice(
            stored(x, SPANS_ATTRIBUTES, "http.response.status_code", SPANS_ATTRIBUTE_TYPES, &type),
            "503");
    assert_int_equal(type, VALUE_INT);
    assert_slice(stored(x, SPANS_ATTRIBUTES, "tags", SPANS_ATTRIBUTE_TYPES, &type), "[]");
    assert_int_equal(type, VALUE_ARRAY);
    native_reader_free(x);

    x = memory_store_read(store, TABLE_RED);
    assert_int_equal(native_reader_rows(x), 1);
    assert_slice(cell(x, 0, RED_OPERATION), "work");
    assert_int_equal(cell_number(x, 0, RED_COUNT), 1);
    assert_int_equal(cell_number(x, 0, RED_TS) % 10, 0);
    assert_int_equal(native_reader_key(x, 0, RED_SKETCH, 0).u64,
                     (uint64_t) ceil(log(5e6) / log(1.02)));
    native_reader_free(x);
    x = memory_store_read(store, TABLE_TRACES);
    assert_int_equal(native_reader_rows(x), 1);
    assert_slice(cell(x, 0, TRACES_ROOT_SERVICE), "orders");
    assert_int_equal(cell_number(x, 0, TRACES_ERRORS), 1);
    assert_slice(native_reader_item(x, 0, TRACES_SERVICES, 0).text, "orders");
    native_reader_free(x);
    assert_int_equal(memory_store_rows(store, TABLE_RESOURCES), 1);
    assert_true(memory_store_rows(store, TABLE_ATTRIBUTES) >= 7);
    struct ingest_stats stats;
    ingest_read_stats(ingest, &stats);
    assert_int_equal(stats.spans, 1);
    assert_int_equal(stats.scrubbed_values, 4);
}

static void statements(void **state) {
    struct attribute name;
    struct resource r = resource_named(&name, "orders");

    for (unsigned i = 0; i < 3; i++) { /* the memo answers the second and third time */
        const struct attribute attributes[] = {
                text("db.system", "postgresql"),
                text("db.name", "shop"),
                text("db.statement", i < 2 ? "SELECT a FROM t WHERE b = 'secret' AND c IN (1, 2)"
                                           : "SELECT a FROM t WHERE b = 'other' AND c IN (3, 4)"),
        };
        struct span s = span_of(&r, 1, (uint8_t) (i + 1), 9, SPAN_CLIENT);
        unsigned type;
        s.attributes = (struct attributes){attributes, 3, 0};
        struct ingest_txn *t = begin();
        add(t, &s);
        ingest_commit(t, done, NULL);
        struct native_reader *x = memory_store_read(store, TABLE_SPANS);
        assert_slice(cell(x, 0, SPANS_DB_SYSTEM), "postgresql");
        assert_slice(cell(x, 0, SPANS_DB_STATEMENT), "SELECT a FROM t WHERE b = ? AND c IN (?)");
        assert_slice(cell(x, 0, SPANS_PEER), "postgresql:shop");
        assert_slice(stored(x, SPANS_ATTRIBUTES, "db.statement", SPANS_ATTRIBUTE_TYPES, &type),
                     "SELECT a FROM t WHERE b = ? AND c IN (?, ?)");
        native_reader_free(x);
        x = memory_store_read(store, TABLE_EDGES);
        assert_int_equal(native_reader_rows(x), 1);
        assert_slice(cell(x, 0, EDGES_CLIENT), "orders");
        assert_slice(cell(x, 0, EDGES_SERVER), "postgresql:shop");
        assert_slice(cell(x, 0, EDGES_SERVER_TYPE), "database");
        native_reader_free(x);
    }
}

static void edge_is(const char *client, const char *server, uint64_t count) {
    struct native_reader *x = memory_store_read(store, TABLE_EDGES);

    assert_int_equal(native_reader_rows(x), count ? 1 : 0);
    if (count) {
        assert_slice(cell(x, 0, EDGES_CLIENT), client);
        assert_slice(cell(x, 0, EDGES_SERVER), server);
        assert_slice(cell(x, 0, EDGES_SERVER_TYPE), "service");
        assert_int_equal(cell_number(x, 0, EDGES_COUNT), count);
    }
    native_reader_free(x);
}

/* The client's and the server's span come in different requests, in either order, and twice. */
static void service_edges(void **state) {
    struct attribute names[2];
    struct resource gateway = resource_named(&names[0], "gateway"),
                    orders = resource_named(&names[1], "orders");

    for (unsigned order = 0; order < 2; order++) {
        struct span client = span_of(&gateway, (uint8_t) (5 + order), 2, 1, SPAN_CLIENT),
                    server = span_of(&orders, (uint8_t) (5 + order), 3, 2, SPAN_SERVER);
        struct ingest_txn *t = begin();
        add(t, order ? &server : &client);
        ingest_commit(t, done, NULL);
        edge_is("", "", 0);
        t = begin();
        add(t, order ? &client : &server);
        ingest_commit(t, done, NULL);
        edge_is("gateway", "orders", 1);
        t = begin(); /* a retried request does not count again */
        add(t, &client);
        add(t, &server);
        ingest_commit(t, done, NULL);
        edge_is("", "", 0);
    }
}

static void aborts(void **state) {
    struct attribute name;
    struct resource r = resource_named(&name, "orders");
    struct span s = span_of(&r, 1, 1, 0, SPAN_SERVER);
    const struct attribute a = text("colour", "blue");

    memory_store_hold(store, true);
    s.attributes = (struct attributes){&a, 1, 0};
    struct ingest_txn *t = begin();
    add(t, &s);
    add(t, &s);
    ingest_abort(t);
    assert_int_equal(memory_store_flush(store, 0), 0);
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        assert_int_equal(memory_store_rows(store, i), 0);
    t = begin(); /* and the next one is whole: its resource's row too */
    add(t, &s);
    ingest_commit(t, done, NULL);
    memory_store_flush(store, 0);
    assert_int_equal(memory_store_rows(store, TABLE_RESOURCES), 1);
    struct native_reader *x = memory_store_read(store, TABLE_ATTRIBUTES);
    for (size_t i = 0; i < native_reader_rows(x); i++)
        assert_int_equal(cell_number(x, i, ATTRIBUTES_COUNT), 1);
    native_reader_free(x);
}

/* After a commit that failed, rows thought written are written again. */
static void failed_commit(void **state) {
    struct attribute name;
    struct resource r = resource_named(&name, "orders");
    struct span s = span_of(&r, 1, 1, 0, SPAN_SERVER);

    memory_store_hold(store, true);
    for (unsigned i = 0; i < 3; i++) {
        struct ingest_txn *t = begin();
        add(t, &s);
        ingest_commit(t, done, NULL);
        memory_store_flush(store, i == 0 ? -EIO : 0);
        assert_int_equal(last_result, i == 0 ? -EIO : 0);
        assert_int_equal(memory_store_rows(store, TABLE_RESOURCES), i < 2 ? 1 : 0);
    }
    struct ingest_stats stats;
    ingest_read_stats(ingest, &stats);
    assert_int_equal(stats.spans, 2);
}

static void rejects(void **state) {
    struct attribute name;
    struct resource r = resource_named(&name, "orders");
    struct ingest_txn *t = begin();
    struct span good = span_of(&r, 1, 1, 0, SPAN_SERVER), s = good;
    struct error e;

    s.trace_id[0] = 0;
    assert_int_equal(ingest_span(t, &s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "trace id"));
    s = good;
    s.span_id[0] = 0;
    assert_int_equal(ingest_span(t, &s, &e), -EINVAL);
    s = good;
    s.start_ns = s.end_ns = 0;
    assert_int_equal(ingest_span(t, &s, &e), -EINVAL);
    s.start_ns = s.end_ns = -5;
    assert_int_equal(ingest_span(t, &s, &e), -EINVAL);
    s.start_ns = s.end_ns = clock_now_ns() + 3 * 86400 * NS_PER_S;
    assert_int_equal(ingest_span(t, &s, &e), -EINVAL);
    s = good;
    s.end_ns = s.start_ns - NS_PER_S; /* repaired */
    add(t, &s);
    unsigned days = 0; /* each day is a partition */
    for (unsigned i = 1; i < 200; i++) {
        s.start_ns = s.end_ns = good.start_ns - (int64_t) i * 86400 * NS_PER_S;
        days += ingest_span(t, &s, &e) == 0;
    }
    assert_in_range(days, 80, 90);
    ingest_commit(t, done, NULL);
    assert_int_equal(memory_store_rows(store, TABLE_SPANS), days + 1);
    struct ingest_stats stats;
    ingest_read_stats(ingest, &stats);
    assert_int_equal(stats.rejected_spans, 5 + 199 - days);
}

static void pressure(void **state) {
    struct ingest_txn *t;
    unsigned retry_s = 0;

    memory_store_refuse(store, -EAGAIN);
    assert_int_equal(ingest_begin(ingest, 1, &t, &retry_s), -EAGAIN);
    assert_int_equal(retry_s, 1);
    memory_store_refuse(store, 0);
    answers = 0;
    ingest_commit(begin(), done, NULL); /* without rows: answered at once */
    assert_int_equal(answers, 1);
    assert_int_equal(last_result, 0);
}

/* Values beyond the cap are counted under the empty value, and long ones are cut. */
static void caps(void **state) {
    static char huge[3 << 20];
    struct attribute name;
    struct resource r = resource_named(&name, "orders");
    struct ingest_txn *t = begin();
    unsigned type;

    for (unsigned i = 0; i < 1500; i++) {
        char value[32];
        snprintf(value, sizeof(value), "v%u", i);
        const struct attribute a = text("id", value);
        struct span s = span_of(&r, 1, 1, 0, SPAN_SERVER);
        s.attributes = (struct attributes){&a, 1, 0};
        add(t, &s);
    }
    ingest_commit(t, done, NULL);
    struct native_reader *x = memory_store_read(store, TABLE_ATTRIBUTES);
    uint64_t others = 0, values = 0;
    for (size_t i = 0; i < native_reader_rows(x); i++)
        if (slice_is(cell(x, i, ATTRIBUTES_KEY), "id")) {
            values++;
            if (cell(x, i, ATTRIBUTES_VALUE).size == 0)
                others = cell_number(x, i, ATTRIBUTES_COUNT);
        }
    assert_int_equal(values, 1001);
    assert_int_equal(others, 500);
    native_reader_free(x);

    for (size_t i = 0; i + 3 < sizeof(huge); i += 3)
        memcpy(huge + i, "\xe2\x82\xac", 3);
    struct attribute many[1100];
    for (unsigned i = 0; i < 1100; i++)
        many[i] = number("n", i);
    many[0] = text("huge", huge);
    struct span s = span_of(&r, 1, 1, 0, SPAN_SERVER);
    s.attributes = (struct attributes){many, 1100, 0};
    t = begin();
    add(t, &s);
    ingest_commit(t, done, NULL);
    x = memory_store_read(store, TABLE_SPANS);
    struct slice cut = stored(x, SPANS_ATTRIBUTES, "huge", SPANS_ATTRIBUTE_TYPES, &type);
    assert_in_range(cut.size, (1 << 20) - 20, 1 << 20);
    assert_true(slice_is_utf8(cut));
    assert_true(slice_ends(cut, SLICE("[cut]")));
    assert_int_equal(native_reader_length(x, 0, SPANS_ATTRIBUTES), 1024);
    assert_int_equal(cell_number(x, 0, SPANS_DROPPED), 76);
    native_reader_free(x);
}

/* More operations than are told apart: none is lost, the rest is counted together. */
static void many_operations(void **state) {
    struct attribute name;
    struct resource r = resource_named(&name, "orders");
    struct ingest_txn *t = begin();
    uint64_t count = 0, others = 0;

    for (unsigned i = 0; i < 60000; i++) {
        char text[32];
        struct span s = span_of(&r, 1, 1, 0, SPAN_SERVER);
        s.name = slice_new(text, (size_t) snprintf(text, sizeof(text), "operation %u", i));
        add(t, &s);
    }
    ingest_commit(t, done, NULL);
    struct native_reader *x = memory_store_read(store, TABLE_RED);
    for (size_t i = 0; i < native_reader_rows(x); i++) {
        count += cell_number(x, i, RED_COUNT);
        if (slice_is(cell(x, i, RED_OPERATION), "(other)"))
            others += cell_number(x, i, RED_COUNT);
    }
    assert_int_equal(count, 60000);
    assert_in_range(others, 10000, 12000);
    assert_true(native_reader_rows(x) <= 50000);
    native_reader_free(x);
}

/* What a process has counted itself is added; its spans are not counted again. */
static void red_by_the_process(void **state) {
    struct attribute attributes[2] = {text("service.name", "orders"), text("varan.red", "process")};
    struct resource r = {.attributes = {attributes, 2, 0}};
    const double durations[] = {1e6, 2e6, 5e9};
    const uint64_t counts[] = {90, 0, 10};
    struct red_report report = {
            .resource = &r,
            .operation = SLICE("work"),
            .kind = SPAN_SERVER,
            .entry = true,
            .time_ns = clock_now_ns() - 60 * NS_PER_S,
            .count = 100,
            .sum_ns = 50090000000,
            .durations_ns = durations,
            .counts = counts,
            .n = 3,
    };
    struct error e = ERROR_NONE;

    assert_int_equal(resource_finish(&r, &build), 0);
    struct span s = span_of(&r, 1, 1, 0, SPAN_SERVER);
    struct ingest_txn *t = begin();
    add(t, &s);
    assert_int_equal(ingest_red(t, &report, &e), 0);
    report.count = 99;
    assert_int_equal(ingest_red(t, &report, &e), -EINVAL);
    assert_string_equal(e.text, "varan.red: the buckets hold 100 of 99");
    ingest_commit(t, done, NULL);

    struct native_reader *x = memory_store_read(store, TABLE_RED);
    assert_int_equal(native_reader_rows(x), 1);
    assert_int_equal(cell_number(x, 0, RED_COUNT), 100);
    assert_int_equal(cell_number(x, 0, RED_SUM_NS), 50090000000);
    assert_int_equal(cell_number(x, 0, RED_MAX_NS), 5000000000);
    assert_int_equal(cell_number(x, 0, RED_ENTRY), 1);
    assert_int_equal(native_reader_length(x, 0, RED_SKETCH), 2);
    assert_int_equal(native_reader_item(x, 0, RED_SKETCH, 0).u64, 90);
    native_reader_free(x);
    assert_int_equal(memory_store_rows(store, TABLE_SPANS), 1);
}

static struct log_record tailed;
static unsigned tailed_n;

static void tail(void *ctx, const struct log_record *l) {
    tailed = *l;
    tailed_n++;
    assert_slice(l->body.text, "user logged in, password=[scrubbed]");
    assert_slice(l->resource->service, "orders");
    assert_slice(l->attributes.items[0].value.text, "[scrubbed]");
}

static void logs_and_tails(void **state) {
    struct attribute name;
    struct resource r = resource_named(&name, "orders");
    const struct attribute a = text("token", "abc");
    struct log_record l = {
            .resource = &r,
            .scope = &scope,
            .severity = 9,
            .body = {.type = VALUE_STRING, .text = SLICE("user logged in, password=hunter2")},
            .attributes = {&a, 1, 0}};
    struct error e;

    memory_store_hold(store, true);
    struct ingest_tail *x = ingest_tail_start(ingest, tail, NULL);
    struct ingest_txn *t = begin();
    assert_int_equal(ingest_log(t, &l, &e), 0);
    ingest_commit(t, done, NULL);
    assert_int_equal(tailed_n, 0); /* not before it is durable */
    memory_store_flush(store, 0);
    assert_int_equal(tailed_n, 1);
    struct native_reader *rows = memory_store_read(store, TABLE_LOGS);
    assert_int_equal(cell_number(rows, 0, LOGS_SEQ), tailed.seq);
    assert_int_equal(cell_number(rows, 0, LOGS_TS), (uint64_t) tailed.time_ns);
    assert_slice(cell(rows, 0, LOGS_BODY), "user logged in, password=[scrubbed]");
    assert_int_equal(cell_number(rows, 0, LOGS_BODY_TYPE), VALUE_STRING);
    native_reader_free(rows);
    ingest_tail_stop(x);
    t = begin();
    assert_int_equal(ingest_log(t, &l, &e), 0);
    ingest_commit(t, done, NULL);
    memory_store_flush(store, 0);
    assert_int_equal(tailed_n, 1);
}

static void samples(void **state) {
    const struct label labels[] = {{SLICE("__name__"), SLICE("up")}, {SLICE("job"), SLICE("x")}};
    struct sample s = {
            .labels = labels, .n_labels = 2, .time_ms = clock_now_ns() / NS_PER_MS, .value = 1.5};
    struct error e;

    for (unsigned i = 0; i < 2; i++) {
        struct ingest_txn *t = begin();
        assert_int_equal(ingest_sample(t, &s, &e), 0);
        s.n_labels = 0;
        assert_int_equal(ingest_sample(t, &s, &e), -EINVAL);
        s.n_labels = 2;
        ingest_commit(t, done, NULL);
        assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 1);
        assert_int_equal(memory_store_rows(store, TABLE_SERIES), i == 0);
    }
}

static int all_done(void **state) {
    buffer_done(&build);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
            TEST(a_span),         TEST(statements),    TEST(service_edges),
            TEST(aborts),         TEST(failed_commit), TEST(rejects),
            TEST(pressure),       TEST(caps),          TEST(red_by_the_process),
            TEST(logs_and_tails), TEST(samples),       TEST(many_operations),
    };
    buffer_init(&build, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, all_done);
}
