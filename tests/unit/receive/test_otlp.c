/*
 * OTLP over HTTP as senders meet it: statuses, bodies in the request's own encoding, partial
 * success, Retry-After, compression, bombs. A real server on a free port; blocks in memory in place
 * of the store.
 */
#include "../unit.h"

#include "memory_store.h"
#include "net/client.h"
#include "receive/otlp.h"
#include "request.h"
#include "wire/compress.h"
#include "wire/json.h"

static struct store *store;
static struct ingest *ingest;
static struct otlp *otlp;
static struct http_server *server;
static struct http_client *client;
static struct http_client_answer answer;
static struct buffer body, packed;

static int setup(void **state) {
    struct ingest_options o = {.scrub = true};
    struct error e;

    o.store = store = memory_store_new();
    buffer_init(&body, 80 << 20);
    buffer_init(&packed, 80 << 20);
    assert_int_equal(ingest_new(&o, &ingest, &e), 0);
    assert_int_equal(otlp_new(ingest, &otlp), 0);
    struct http_routes routes = otlp_http_routes(otlp);
    struct http_server_options options = {
            .listen = "127.0.0.1:0", .routes = &routes, .n_routes = 1, .threads = 1};
    if (http_server_start(&options, &server, &e) < 0)
        fail_msg("%s", e.text);
    return http_client_new(&client);
}

static int teardown(void **state) {
    http_client_free(client);
    http_server_stop(server, NS_PER_S);
    otlp_free(otlp);
    ingest_stop(ingest);
    ingest_free(ingest);
    memory_store_free(store);
    buffer_done(&body);
    buffer_done(&packed);
    buffer_done(&answer.body);
    return 0;
}

static char headers_seen[200];

static int post(const char *path, const char *type, const char *encoding, struct slice bytes) {
    char url[100], type_header[100], encoding_header[100];
    const char *headers[] = {type_header, encoding_header};
    struct error e;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", http_server_port(server), path);
    snprintf(type_header, sizeof(type_header), "Content-Type: %s", type);
    snprintf(encoding_header, sizeof(encoding_header), "Content-Encoding: %s",
             encoding ? encoding : "");
    struct http_client_request q = {
            .method = "POST",
            .url = url,
            .headers = headers,
            .n_headers = encoding ? 2 : 1,
            .body = slice_new(bytes.data ? bytes.data : (const uint8_t *) "", bytes.size)};
    buffer_done(&answer.body);
    if (http_client_send(client, &q, &answer, &e) < 0)
        fail_msg("%s", e.text);
    snprintf(headers_seen, sizeof(headers_seen), "%s", answer.content_type);
    return answer.status;
}

#define PROTOBUF "application/x-protobuf"
#define JSON "application/json"

/* google.rpc.Status: code, and whether its message holds `text`. */
static void check_status(uint64_t code, const char *text) {
    struct pb_reader r = pb_reader(buffer_slice(&answer.body));
    struct slice message = SLICE_EMPTY;
    uint64_t found = 0;
    struct pb_field f;

    while (pb_next(&r, &f) > 0) {
        if (f.number == 1)
            found = f.u64;
        else if (f.number == 2)
            message = f.bytes;
    }
    assert_string_equal(headers_seen, PROTOBUF);
    assert_int_equal(found, code);
    if (slice_find(message, slice_from(text)) < 0)
        fail_msg("%.*s", SLICE_ARG(message));
}

static void success(void **state) {
    static const char *const encodings[] = {NULL, "gzip", "deflate", "zstd", "identity", "GZIP"};

    build_traces(&body, true);
    for (size_t i = 0; i < sizeof(encodings) / sizeof(*encodings); i++) {
        enum compression c = COMPRESSION_NONE;
        if (encodings[i])
            assert_int_equal(compression_parse(slice_from(encodings[i]), &c), 0);
        buffer_clear(&packed);
        compress(c, buffer_slice(&body), 3, &packed);
        assert_int_equal(post("/v1/traces", PROTOBUF, encodings[i], buffer_slice(&packed)), 200);
        assert_string_equal(headers_seen, PROTOBUF);
        assert_int_equal(answer.body.size, 0);
        assert_int_equal(memory_store_rows(store, TABLE_SPANS), 2);
    }
    assert_int_equal(post("/v1/traces", JSON "; charset=utf-8", NULL, SLICE("{}")), 200);
    assert_string_equal(headers_seen, JSON);
    assert_slice(buffer_slice(&answer.body), "{}");
    assert_int_equal(post("/v1/traces", PROTOBUF, NULL, SLICE_EMPTY), 200); /* an empty message */
    buffer_clear(&body);
    build_logs(&body, SLICE("hello"));
    assert_int_equal(post("/v1/logs", PROTOBUF, NULL, buffer_slice(&body)), 200);
    assert_int_equal(memory_store_rows(store, TABLE_LOGS), 1);
}

static void partial_success(void **state) {
    struct pb_field f;
    struct slice message = SLICE_EMPTY;
    uint64_t rejected = 0;

    build_traces(&body, false);
    assert_int_equal(post("/v1/traces", PROTOBUF, NULL, buffer_slice(&body)), 200);
    struct pb_reader r = pb_reader(buffer_slice(&answer.body));
    assert_int_equal(pb_next(&r, &f), 1);
    assert_int_equal(f.number, 1);
    r = pb_reader(f.bytes);
    while (pb_next(&r, &f) > 0) {
        if (f.number == 1)
            rejected = f.u64;
        else
            message = f.bytes;
    }
    assert_int_equal(rejected, 1);
    assert_true(slice_find(message, SLICE("trace id")) >= 0);
    assert_int_equal(memory_store_rows(store, TABLE_SPANS), 1);
    assert_int_equal(
            post("/v1/traces", JSON, NULL,
                 SLICE("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"x\"}]}]}]}")),
            200);
    assert_slice(buffer_slice(&answer.body), "{\"partialSuccess\":{\"rejectedSpans\":\"1\","
                                             "\"errorMessage\":\"span \\\"x\\\": the trace "
                                             "id is empty\"}}");
}

static void refusals(void **state) {
    build_traces(&body, true);
    assert_int_equal(post("/v1/traces", PROTOBUF, NULL, slice_take(buffer_slice(&body), 50)), 400);
    check_status(3, "malformed protobuf");
    assert_int_equal(memory_store_rows(store, TABLE_SPANS), 0);
    assert_int_equal(post("/v1/traces", JSON, NULL, SLICE("{\"resourceSpans\":")), 400);
    assert_string_equal(headers_seen, JSON);
    assert_true(slice_starts(buffer_slice(&answer.body),
                             SLICE("{\"code\":3,\"message\":\"malformed JSON")));
    assert_int_equal(post("/v1/traces", "text/plain", NULL, buffer_slice(&body)), 415);
    assert_int_equal(post("/v1/traces", "", NULL, buffer_slice(&body)), 415);
    assert_int_equal(post("/v1/traces", PROTOBUF, "br", buffer_slice(&body)), 415);
    check_status(3, "Content-Encoding");
    assert_int_equal(post("/v1/traces", PROTOBUF, "gzip", buffer_slice(&body)), 400);
    check_status(3, "decompressed");
    assert_int_equal(post("/v1/traces", PROTOBUF, NULL, SLICE("\x0a\xff\xff\xff\xff\x03")), 400);
    assert_int_equal(post("/v1/nothing", PROTOBUF, NULL, buffer_slice(&body)), 404);
}

static void bombs(void **state) {
    static const enum compression all[] = {COMPRESSION_GZIP, COMPRESSION_DEFLATE, COMPRESSION_ZSTD};
    static const char *const names[] = {"gzip", "deflate", "zstd"};

    memset(buffer_reserve(&body, 70 << 20), 0, 70 << 20);
    body.size = 70 << 20;
    for (unsigned i = 0; i < 3; i++) {
        buffer_clear(&packed);
        assert_int_equal(compress(all[i], buffer_slice(&body), 1, &packed), 0);
        assert_int_equal(post("/v1/traces", PROTOBUF, names[i], buffer_slice(&packed)), 413);
        check_status(3, "larger than");
    }
}

/* A value of ten megabytes is kept, cut; the answer is a success. */
static void large_values(void **state) {
    size_t scope, resource = begin_resource(&body, &scope), span = pb_begin(&body, 2);

    memset(buffer_reserve(&packed, 10 << 20), 'x', 10 << 20);
    packed.size = 10 << 20;
    pb_put_bytes(&body, 1, SLICE("0123456789abcdef"));
    pb_put_bytes(&body, 2, SLICE("01234567"));
    pb_put_bytes(&body, 5, buffer_slice(&packed)); /* the name too */
    pb_put_fixed64(&body, 7, NOW());
    put_text(&body, 9, "huge", buffer_slice(&packed));
    pb_end(&body, span);
    pb_end(&body, scope);
    pb_end(&body, resource);
    assert_int_equal(post("/v1/traces", PROTOBUF, NULL, buffer_slice(&body)), 200);
    assert_int_equal(answer.body.size, 0);
    assert_true(memory_store_bytes(store) < 2 << 20);
}

static void pressure(void **state) {
    build_traces(&body, true);
    memory_store_refuse(store, -EAGAIN);
    assert_int_equal(post("/v1/traces", PROTOBUF, NULL, buffer_slice(&body)), 429);
    check_status(8, "waiting");
    memory_store_refuse(store, 0);
    assert_int_equal(post("/v1/traces", PROTOBUF, NULL, buffer_slice(&body)), 200);
    struct otlp_stats stats;
    otlp_read_stats(otlp, &stats);
    assert_int_equal(stats.requests, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
            TEST(success), TEST(partial_success), TEST(refusals),
            TEST(bombs),   TEST(large_values),    TEST(pressure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
