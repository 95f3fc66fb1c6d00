/*
 * Remote write as senders meet it: both versions, statuses, headers, what is kept of a partly bad
 * request, hostile bodies. A real server on a free port; blocks in memory in place of the store.
 */
#include "../unit.h"

#include "base/clock.h"
#include "derive/series.h"
#include "memory_store.h"
#include "net/client.h"
#include "receive/remote_write.h"
#include "wire/protobuf.h"

#include <math.h>
#include <snappy-c.h>

#define V1 "application/x-protobuf"
#define V2 "application/x-protobuf;proto=io.prometheus.write.v2.Request"

static struct store *store;
static struct ingest *ingest;
static struct remote_write *receiver;
static struct http_server *server;
static struct http_client *client;
static struct http_client_answer answer;
static struct buffer body;
static int64_t now_ms;

static int setup(void **state) {
    struct ingest_options o = {.scrub = true};
    struct error e;

    o.store = store = memory_store_new();
    now_ms = clock_now_ns() / NS_PER_MS - 60000;
    buffer_init(&body, 80 << 20);
    assert_int_equal(ingest_new(&o, &ingest, &e), 0);
    assert_int_equal(remote_write_new(ingest, &receiver), 0);
    struct http_routes routes = remote_write_routes(receiver);
    struct http_server_options options = {
            .listen = "127.0.0.1:0", .routes = &routes, .n_routes = 1, .threads = 1};
    if (http_server_start(&options, &server, &e) < 0)
        fail_msg("%s", e.text);
    return http_client_new(&client);
}

static int teardown(void **state) {
    http_client_free(client);
    http_server_stop(server, NS_PER_S);
    ingest_stop(ingest);
    remote_write_free(receiver);
    ingest_free(ingest);
    memory_store_free(store);
    buffer_done(&body);
    buffer_done(&answer.body);
    return 0;
}

static int post_raw(const char *type, const char *encoding, struct slice bytes) {
    char url[100], type_header[200], encoding_header[100];
    const char *headers[] = {type_header, encoding_header};
    struct error e;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/prometheus/api/v1/write",
             http_server_port(server));
    snprintf(type_header, sizeof(type_header), "Content-Type: %s", type);
    snprintf(encoding_header, sizeof(encoding_header), "Content-Encoding: %s", encoding);
    struct http_client_request q = {
            .method = "POST",
            .url = url,
            .headers = headers,
            .n_headers = 2,
            .body = slice_new(bytes.data ? bytes.data : (const uint8_t *) "", bytes.size)};
    buffer_done(&answer.body);
    if (http_client_send(client, &q, &answer, &e) < 0)
        fail_msg("%s", e.text);
    buffer_append_u8(&answer.body, 0);
    return answer.status;
}

/* What was built in `body`, packed. */
static int post(const char *type) {
    size_t room = snappy_max_compressed_length(body.size);
    char *packed = malloc(room);

    assert_non_null(packed);
    assert_int_equal(snappy_compress((const char *) body.data, body.size, packed, &room),
                     SNAPPY_OK);
    int status = post_raw(type, "snappy", slice_new(packed, room));
    free(packed);
    buffer_clear(&body);
    return status;
}

static bool answered(const char *text) {
    return strstr((const char *) answer.body.data, text) != NULL;
}

static struct remote_write_stats stats(void) {
    struct remote_write_stats s;

    remote_write_read_stats(receiver, &s);
    return s;
}

/* ---- 1.0 ---- */

static void put_label(const char *name, struct slice value) {
    size_t label = pb_begin(&body, 1);

    pb_put_bytes(&body, 1, slice_from(name));
    pb_put_bytes(&body, 2, value);
    pb_end(&body, label);
}

static void put_sample(double value, int64_t ms) {
    size_t sample = pb_begin(&body, 2);

    pb_put_double(&body, 1, value);
    pb_put_varint(&body, 2, (uint64_t) ms);
    pb_end(&body, sample);
}

static size_t begin_series(const char *name) {
    size_t series = pb_begin(&body, 1);

    put_label("__name__", slice_from(name));
    put_label("job", SLICE("j"));
    return series;
}

static void put_span(uint32_t field, int32_t offset, uint32_t length) {
    size_t span = pb_begin(&body, field);

    pb_put_varint(&body, 1, (uint64_t) ((uint32_t) offset << 1 ^ (uint32_t) (offset >> 31)));
    pb_put_varint(&body, 2, length);
    pb_end(&body, span);
}

/* Positive buckets 0: 2, 1: 1, 5: 3; zero bucket 1; count 7. */
static void put_histogram(uint32_t field, uint32_t last_length) {
    size_t h = pb_begin(&body, field);

    pb_put_varint(&body, 1, 7);
    pb_put_double(&body, 3, 18.5);
    pb_put_varint(&body, 4, 6); /* schema 3 */
    pb_put_double(&body, 5, 1e-128);
    pb_put_varint(&body, 6, 1);
    put_span(11, 0, 2);
    put_span(11, 3, last_length);
    size_t deltas = pb_begin(&body, 12);
    pb_put_raw_varint(&body, 4); /* +2 */
    pb_put_raw_varint(&body, 1); /* -1 */
    pb_put_raw_varint(&body, 4); /* +2 */
    pb_end(&body, deltas);
    pb_put_varint(&body, 15, (uint64_t) now_ms);
    pb_end(&body, h);
}

static void version_1(void **state) {
    size_t series = begin_series("a_total");
    put_sample(1, now_ms);
    put_sample(2, now_ms + 15000);
    size_t exemplar = pb_begin(&body, 3);
    put_label("trace_id", SLICE("0123456789abcdef0123456789abcdef"));
    pb_put_double(&body, 2, 0.5);
    pb_put_varint(&body, 3, (uint64_t) now_ms);
    pb_end(&body, exemplar);
    pb_end(&body, series);
    series = begin_series("h");
    put_histogram(4, 1);
    pb_end(&body, series);
    size_t metadata = pb_begin(&body, 3);
    pb_put_varint(&body, 1, 1);
    pb_put_bytes(&body, 2, SLICE("a_total"));
    pb_put_bytes(&body, 4, SLICE("help"));
    pb_end(&body, metadata);

    assert_int_equal(post(V1), 204);
    struct remote_write_stats s = stats();
    assert_int_equal(s.samples, 2);
    assert_int_equal(s.histograms, 1);
    assert_int_equal(s.exemplars, 1);
    assert_int_equal(s.rejected + s.rejected_exemplars, 0);
    assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 2);
    assert_int_equal(memory_store_rows(store, TABLE_HISTOGRAMS), 1);
    assert_int_equal(memory_store_rows(store, TABLE_EXEMPLARS), 1);
    assert_int_equal(memory_store_rows(store, TABLE_METRIC_METADATA), 2); /* and the histogram's */
    assert_int_equal(memory_store_rows(store, TABLE_SERIES), 2);
}

/* The good part of a bad request is kept, and the bad one named. */
static void partial(void **state) {
    size_t series = begin_series("good");
    put_sample(1, now_ms);
    pb_end(&body, series);
    series = begin_series("twice");
    put_label("job", SLICE("again"));
    put_sample(1, now_ms);
    pb_end(&body, series);
    series = begin_series("future");
    put_sample(1, now_ms + INT64_C(100) * 86400000);
    pb_end(&body, series);
    series = begin_series("broken");
    put_histogram(4, 3);
    pb_end(&body, series);

    assert_int_equal(post(V1), 400);
    assert_true(answered("twice"));
    assert_true(answered("two labels have the same name"));
    assert_true(answered("future"));
    assert_true(answered("broken"));
    assert_true(answered("its spans need more buckets than there are"));
    assert_false(answered("good"));
    assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 1);
    assert_int_equal(stats().rejected, 3);
    assert_int_equal(stats().partial, 1);
}

/* What was sent before is known by its bytes: nothing else is different, errors neither. */
static void known_series(void **state) {
    struct ingest_stats told;

    for (int64_t round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 300; i++) {
            char name[32];
            snprintf(name, sizeof(name), "known_%u", i);
            size_t series = begin_series(name);
            put_sample((double) i, now_ms + round);
            pb_end(&body, series);
        }
        assert_int_equal(post(V1), 204);
        assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 300);
        assert_int_equal(memory_store_rows(store, TABLE_SERIES), round ? 0 : 300);
    }
    for (int64_t round = 0; round < 2; round++) {
        size_t series = begin_series("known_7");
        put_sample(1, now_ms + 10);
        put_sample(2, now_ms + INT64_C(100) * 86400000);
        put_sample(3, now_ms + 20);
        pb_end(&body, series);
        assert_int_equal(post(V1), 400);
        assert_true(answered("known_7"));
        assert_true(answered("ahead of this server's"));
        assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 2);
    }
    assert_int_equal(stats().samples, 904);
    assert_int_equal(stats().rejected, 2);
    ingest_read_stats(ingest, &told);
    assert_int_equal(told.rejected_samples, 2);
    /* Series that the index forgot are found anew. */
    series_evict(ingest_series(ingest), (uint32_t) (now_ms / 1000) + 40 * 86400, 86400);
    size_t series = begin_series("known_9");
    put_sample(1, now_ms + 30);
    pb_end(&body, series);
    series = begin_series("known_10");
    put_sample(1, now_ms + 30);
    put_sample(1, now_ms + 40);
    pb_end(&body, series);
    assert_int_equal(post(V1), 204);
    assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 3);
    assert_int_equal(memory_store_rows(store, TABLE_SERIES), 2);
}

static void many_bad(void **state) {
    char name[32];

    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "bad_%u", i);
        size_t series = begin_series(name);
        put_sample(1, -1);
        put_sample(1, -2);
        pb_end(&body, series);
    }
    assert_int_equal(post(V1), 400);
    assert_true(answered("bad_9\""));
    assert_false(answered("bad_11\""));
    assert_true(answered("and 490 more series"));
    assert_true(answer.body.size < 8192);
}

/* Any bits of a NaN, the stale marker among them; unsorted labels; an empty value is no label. */
static void odd_values(void **state) {
    uint64_t stale = STALE_BITS;
    double v;

    memcpy(&v, &stale, sizeof(v));
    size_t series = pb_begin(&body, 1);
    put_label("z", SLICE("1"));
    put_label("__name__", SLICE("odd"));
    put_label("empty", SLICE(""));
    put_sample(v, now_ms);
    put_sample(NAN, now_ms + 1);
    put_sample(INFINITY, now_ms + 2);
    pb_end(&body, series);
    series = pb_begin(&body, 1);
    put_label("__name__", SLICE("odd"));
    put_label("z", SLICE("1"));
    put_sample(-0.0, now_ms + 3);
    pb_end(&body, series);
    assert_int_equal(post(V1), 204);
    assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 4);
    assert_int_equal(memory_store_rows(store, TABLE_SERIES), 1);
}

/* ---- 2.0 ---- */

static const char *const symbols[] = {"",  "__name__",  "b_total", "job",   "j",
                                      "h", "help text", "bytes",   "trace", "b_seconds"};

static void put_symbols(void) {
    for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++)
        pb_put_bytes(&body, 4, slice_from(symbols[i]));
}

static void put_refs(const uint8_t *refs, size_t n) {
    pb_put_bytes(&body, 1, slice_new(refs, n));
}

static void version_2(void **state) {
    put_symbols();
    size_t series = pb_begin(&body, 5);
    put_refs((const uint8_t[]){1, 2, 3, 4}, 4);
    put_sample(5, now_ms);
    size_t exemplar = pb_begin(&body, 4);
    put_refs((const uint8_t[]){8, 4}, 2);
    pb_put_double(&body, 2, 1);
    pb_put_varint(&body, 3, (uint64_t) now_ms);
    pb_end(&body, exemplar);
    size_t metadata = pb_begin(&body, 5);
    pb_put_varint(&body, 1, 1);
    pb_put_varint(&body, 3, 6);
    pb_put_varint(&body, 4, 7);
    pb_end(&body, metadata);
    pb_put_varint(&body, 6, (uint64_t) now_ms - 5000);
    pb_end(&body, series);
    series = pb_begin(&body, 5);
    put_refs((const uint8_t[]){1, 5, 3, 4}, 4);
    put_histogram(3, 1);
    pb_end(&body, series);

    assert_int_equal(post(V2), 204);
    struct remote_write_stats s = stats();
    assert_int_equal(s.requests_v2, 1);
    assert_int_equal(s.samples, 1);
    assert_int_equal(s.histograms, 1);
    assert_int_equal(s.exemplars, 1);
    assert_int_equal(memory_store_rows(store, TABLE_METRIC_METADATA), 2); /* and the histogram's */
    assert_int_equal(memory_store_rows(store, TABLE_SAMPLE_STARTS), 1);
}

static void bad_symbols(void **state) {
    put_symbols();
    size_t series = pb_begin(&body, 5);
    put_refs((const uint8_t[]){1, 100}, 2);
    put_sample(5, now_ms);
    pb_end(&body, series);
    assert_int_equal(post(V2), 400);
    assert_true(answered("symbol"));

    pb_put_bytes(&body, 4, SLICE("not empty"));
    assert_int_equal(post(V2), 400);

    put_symbols();
    series = pb_begin(&body, 5);
    put_refs((const uint8_t[]){1, 2, 3}, 3);
    put_sample(5, now_ms);
    pb_end(&body, series);
    assert_int_equal(post(V2), 400);
    assert_true(answered("odd number"));
    assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 0);
}

/* ---- Statuses ---- */

static void statuses(void **state) {
    assert_int_equal(post_raw("text/plain", "snappy", SLICE("")), 415);
    assert_int_equal(post_raw(V1 ";proto=io.prometheus.write.v3.Request", "snappy", SLICE("")),
                     415);
    assert_int_equal(post_raw(V1, "br", SLICE("")), 415);
    assert_int_equal(post_raw(V1, "snappy", SLICE("garbage")), 400);
    assert_int_equal(post_raw(V1, "snappy", SLICE("\x00")), 204); /* nothing */
    assert_int_equal(post_raw(V1 "; proto=\"prometheus.WriteRequest\"", "snappy", SLICE("\x00")),
                     204);
    /* A block that says it is 4 GiB, and one of 70 MiB. */
    assert_int_equal(post_raw(V1, "snappy", SLICE("\xff\xff\xff\xff\x0f")), 413);
    assert_int_equal(post_raw(V1, "snappy", SLICE("\x80\x80\xc0\x23")), 413);
    memory_store_refuse(store, -EAGAIN);
    size_t series = begin_series("a");
    put_sample(1, now_ms);
    pb_end(&body, series);
    assert_int_equal(post(V1), 503); /* 429 would make senders throw it away */
    memory_store_refuse(store, 0);
}

/* A label of 10 MB, a series of a thousand labels, a message that ends early. */
static void hostile(void **state) {
    size_t size = 10 << 20;
    uint8_t *text = malloc(size);

    assert_non_null(text);
    memset(text, 'x', size);
    size_t series = begin_series("large");
    put_label("k", slice_new(text, size));
    put_sample(1, now_ms);
    pb_end(&body, series);
    free(text);
    assert_int_equal(post(V1), 400);
    assert_true(answer.body.size < 4096);

    series = begin_series("many");
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "l%u", i);
        put_label(name, SLICE("v"));
    }
    put_sample(1, now_ms);
    pb_end(&body, series);
    assert_int_equal(post(V1), 400);
    series = begin_series("cut");
    put_sample(1, now_ms);
    pb_end(&body, series);
    body.size -= 3;
    assert_int_equal(post(V1), 400);
    assert_true(answered("malformed"));
    assert_int_equal(memory_store_rows(store, TABLE_SAMPLES), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
            TEST(version_1),   TEST(partial),    TEST(known_series),
            TEST(many_bad),    TEST(odd_values), TEST(version_2),
            TEST(bad_symbols), TEST(statuses),   TEST(hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
