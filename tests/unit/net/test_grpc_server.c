/*
 * Protects the gRPC server over real sockets. The client (grpc_client.h) breaks every rule.
 */
#include "../unit.h"
#include "grpc_client.h"

#include "net/http.h"
#include "wire/compress.h"

#include <pthread.h>
#include <stdatomic.h>

#define MS NS_PER_MS

static struct grpc_server *server;
static int port;
static _Atomic(struct http_request *) parked;
static _Atomic unsigned handled;

static void echo(struct http_request *q, void *ctx) {
    atomic_fetch_add(&handled, 1);
    http_respond(q, 200, NULL, http_request_body(q), NULL, 0);
}

static void *answer_later(void *arg) {
    http_respond(arg, 200, NULL, http_request_body(arg), NULL, 0);
    return NULL;
}

static void race(struct http_request *q, void *ctx) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_later, q), 0);
    pthread_detach(thread);
}

static void park(struct http_request *q, void *ctx) {
    atomic_store(&parked, q);
}

static void busy(struct http_request *q, void *ctx) {
    static const struct http_header h[] = {{"retry-after", "7"}, {"grpc-message", "come back"}};
    http_respond(q, 429, NULL, SLICE_EMPTY, h, 2);
}

static void wrong(struct http_request *q, void *ctx) {
    http_respond_error(q, 400, "bad_request", "field \"x\" is wrong");
}

static const struct http_route routes[] = {
        {HTTP_POST, "/t.T/Echo", echo, 4 << 20, ""}, {HTTP_POST, "/t.T/Race", race, 1000, ""},
        {HTTP_POST, "/t.T/Park", park, 1000, ""},    {HTTP_POST, "/t.T/Busy", busy, 1000, ""},
        {HTTP_POST, "/t.T/Wrong", wrong, 1000, ""},
};
static const struct http_routes tables[] = {{routes, 5, NULL}};

#define LIMIT (400 * MS)
#define PATIENT (WAIT_MS * MS)

static int start_with(int64_t idle_ns, int64_t request_ns, int64_t answer_ns) {
    struct http_server_options o = {.listen = "127.0.0.1:0",
                                    .routes = tables,
                                    .n_routes = 1,
                                    .threads = 2,
                                    .connections_max = 250,
                                    .body_bytes_total = 16 << 20,
                                    .idle_ns_max = idle_ns,
                                    .request_ns_max = request_ns,
                                    .answer_ns_max = answer_ns};
    struct error e;

    atomic_store(&parked, NULL);
    atomic_store(&handled, 0);
    assert_int_equal(grpc_server_start(&o, &server, &e), 0);
    port = grpc_server_port(server);
    return 0;
}

/* Each limit is short only where it is tested: a machine that stands still for a moment would let
 * it end what others do. */
static int start(void **state) {
    return start_with(PATIENT, PATIENT, PATIENT);
}

static int start_short_answers(void **state) {
    return start_with(PATIENT, PATIENT, LIMIT);
}

static int start_short_requests(void **state) {
    return start_with(LIMIT, LIMIT, PATIENT);
}

static int stop(void **state) {
    grpc_server_stop(server, 200 * MS);
    return 0;
}

/* One call on a connection of its own; the caller looks at calls[0] and frees. */
static struct client *one_call(const char *path, struct slice wire, const char *name,
                               const char *value) {
    struct client *c = client_new(port);
    client_call(c, path, wire, false, name, value);
    client_run(c, 1);
    return c;
}

static void answers_calls(void **state) {
    struct buffer b;
    struct client *c = one_call("/t.T/Echo", framed(&b, 0, SLICE("hello")), NULL, NULL);

    assert_string_equal(c->calls[0].http_status, "200");
    assert_string_equal(c->calls[0].status, "0");
    assert_slice(slice_skip(buffer_slice(&c->calls[0].reply), 5), "hello");
    client_free(c);
    buffer_done(&b);
    c = one_call("/t.T/Echo", framed(&b, 0, SLICE_EMPTY), NULL, NULL);
    assert_string_equal(c->calls[0].status, "0");
    assert_int_equal(c->calls[0].reply.size, 5);
    client_free(c);
    buffer_done(&b);
}

static void carries_large_messages(void **state) {
    struct buffer b, big;

    buffer_init(&big, 8 << 20);
    for (uint32_t i = 0; i < 1 << 20; i++)
        buffer_append_u32(&big, i * 2654435761u);
    struct client *c = one_call("/t.T/Echo", framed(&b, 0, buffer_slice(&big)), NULL, NULL);
    assert_string_equal(c->calls[0].status, "0");
    assert_true(slice_equal(slice_skip(buffer_slice(&c->calls[0].reply), 5), buffer_slice(&big)));
    client_free(c);
    buffer_done(&b);
    buffer_done(&big);
}

static void unpacks_gzip(void **state) {
    struct buffer b, zipped, plain;

    buffer_init(&zipped, 1 << 20);
    buffer_init(&plain, 8 << 20);
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&plain, "abcdefghij");
    assert_int_equal(compress(COMPRESSION_GZIP, buffer_slice(&plain), 6, &zipped), 0);
    struct client *c =
            one_call("/t.T/Echo", framed(&b, 1, buffer_slice(&zipped)), "grpc-encoding", "gzip");
    assert_string_equal(c->calls[0].status, "0");
    assert_true(slice_equal(slice_skip(buffer_slice(&c->calls[0].reply), 5), buffer_slice(&plain)));
    client_free(c);
    buffer_done(&b);
    /* The same is a bomb for a method that takes 1,000 bytes. */
    c = one_call("/t.T/Race", framed(&b, 1, slice_take(buffer_slice(&zipped), 990)),
                 "grpc-encoding", "gzip");
    assert_string_not_equal(c->calls[0].status, "0");
    client_free(c);
    buffer_done(&b);
    c = one_call("/t.T/Echo", framed(&b, 1, SLICE("no gzip")), "grpc-encoding", "gzip");
    assert_string_equal(c->calls[0].status, "3");
    client_free(c);
    buffer_done(&b);
    c = one_call("/t.T/Echo", framed(&b, 1, SLICE("x")), "grpc-encoding", "lzma");
    assert_string_equal(c->calls[0].status, "12");
    client_free(c);
    buffer_done(&b);
    c = one_call("/t.T/Echo", framed(&b, 1, SLICE("x")), NULL, NULL);
    assert_string_equal(c->calls[0].status, "13");
    client_free(c);
    buffer_done(&b);
    buffer_done(&zipped);
    buffer_done(&plain);
}

static void refuses_bad_calls(void **state) {
    static const struct {
        const char *path;
        struct slice wire;
        const char *name, *value, *status, *message;
    } cases[] = {
            {"/t.T/Nope", {(const uint8_t *) "\0\0\0\0\0", 5}, NULL, NULL, "12", "no such method"},
            {"/t.T/Echo", {(const uint8_t *) "", 0}, NULL, NULL, "3", "ends before"},
            {"/t.T/Echo", {(const uint8_t *) "\0\0\0", 3}, NULL, NULL, "3", "ends before"},
            {"/t.T/Echo", {(const uint8_t *) "\0\0\0\0\5ab", 7}, NULL, NULL, "3", "ends before"},
            {"/t.T/Echo", {(const uint8_t *) "\2\0\0\0\0", 5}, NULL, NULL, "13", "flags"},
            {"/t.T/Echo", {(const uint8_t *) "\0\0\0\0\1ab", 7}, NULL, NULL, "12", "one message"},
            {"/t.T/Echo",
             {(const uint8_t *) "\0\xff\xff\xff\xff", 5},
             NULL,
             NULL,
             "8",
             "larger than"},
            {"/t.T/Race", {(const uint8_t *) "\0\0\0\4\0", 5}, NULL, NULL, "8", "larger than 1000"},
            {"/t.T/Echo",
             {(const uint8_t *) "\0\0\0\0\0", 5},
             "grpc-timeout",
             "soon",
             "3",
             "time-out"},
            {"/t.T/Wrong",
             {(const uint8_t *) "\0\0\0\0\0", 5},
             NULL,
             NULL,
             "3",
             "field \"x\" is wrong"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client *c = one_call(cases[i].path, cases[i].wire, cases[i].name, cases[i].value);
        assert_string_equal(c->calls[0].status, cases[i].status);
        assert_has(c->calls[0].message, cases[i].message);
        assert_string_equal(c->calls[0].http_status, "200");
        assert_int_equal(c->calls[0].code, NGHTTP2_NO_ERROR);
        client_free(c);
    }
    struct client *c = one_call("/t.T/Busy", slice_new("\0\0\0\0\0", 5), NULL, NULL);
    assert_string_equal(c->calls[0].status, "14");
    assert_string_equal(c->calls[0].message, "come back");
    assert_true(strlen(c->calls[0].details) > 50);
    client_free(c);
}

static void refuses_what_is_not_grpc(void **state) {
    struct client *c = client_new(port);
    nghttp2_nv fields[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":path", "/"),
                           NV(":authority", "localhost")};

    c->n = 1;
    buffer_init(&c->calls[0].reply, 1000);
    nghttp2_submit_request(c->h2, NULL, fields, 4, NULL, &c->calls[0]);
    client_run(c, 1);
    assert_string_equal(c->calls[0].http_status, "415");
    client_free(c);
    char text[4096];
    int fd = dial(port);
    say(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(fd, NULL, text, sizeof(text));
    assert_has(text, "HTTP/1.1 400");
    assert_has(text, "gRPC");
    close(fd);
}

static void serves_many_streams_and_connections(void **state) {
    enum { CONNECTIONS = 50, STREAMS = 100 };
    struct client *clients[CONNECTIONS];
    struct buffer b;
    struct slice wire = framed(&b, 0, SLICE("x"));

    for (int i = 0; i < CONNECTIONS; i++) {
        clients[i] = client_new(port);
        for (int k = 0; k < STREAMS; k++)
            client_call(clients[i], k % 2 ? "/t.T/Race" : "/t.T/Echo", wire, false, NULL, NULL);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        client_run(clients[i], STREAMS);
        for (int k = 0; k < STREAMS; k++)
            assert_string_equal(clients[i]->calls[k].status, "0");
        client_free(clients[i]);
    }
    buffer_done(&b);
}

static struct http_request *wait_parked(void) {
    struct http_request *q;
    for (int64_t end = clock_monotonic_ns() + WAIT_MS * MS; !(q = atomic_exchange(&parked, NULL));)
        assert_true(clock_monotonic_ns() < end);
    return q;
}

static void limits_the_time_of_answers(void **state) {
    struct buffer b;
    struct slice wire = framed(&b, 0, SLICE("x"));

    struct client *c = one_call("/t.T/Park", wire, "grpc-timeout", "50m");
    assert_string_equal(c->calls[0].status, "4");
    struct http_request *q = wait_parked();
    http_respond(q, 200, NULL, SLICE("too late"), NULL, 0); /* dropped */
    client_free(c);
    c = one_call("/t.T/Park", wire, NULL, NULL);
    assert_string_equal(c->calls[0].status, "4");
    client_free(c);
    q = wait_parked();
    while (!http_request_gone(q))
        ;
    http_respond(q, 200, NULL, SLICE_EMPTY, NULL, 0);
    buffer_done(&b);
}

static void limits_the_time_of_requests(void **state) {
    int64_t end = clock_monotonic_ns() + WAIT_MS * MS;
    struct client *c = NULL;
    struct buffer b;
    struct slice wire = framed(&b, 0, SLICE("x"));

    /* A message that does not end. (The connection itself has no more time to begin a call.) */
    do {
        assert_true(clock_monotonic_ns() < end);
        if (c)
            client_free(c);
        c = client_new(port);
        client_call(c, "/t.T/Echo", slice_take(wire, 5), true, NULL, NULL);
        client_run(c, 1);
    } while (!*c->calls[0].status);
    assert_string_equal(c->calls[0].status, "4");
    assert_has(c->calls[0].message, "arrive");
    /* Then the idle connection is told goodbye. */
    client_run(c, 2);
    assert_true(c->goaway && c->eof);
    client_free(c);
    /* A peer that never speaks. */
    char text[200];
    int fd = dial(port);
    hear(fd, NULL, text, sizeof(text));
    close(fd);
    buffer_done(&b);
}

static void survives_clients_that_leave(void **state) {
    struct buffer b;
    struct slice wire = framed(&b, 0, SLICE("x"));

    for (int i = 0; i < 20; i++) {
        struct client *c = client_new(port);
        client_call(c, "/t.T/Park", wire, false, NULL, NULL);
        for (int k = 0; k < 20; k++)
            client_call(c, "/t.T/Race", wire, false, NULL, NULL);
        const uint8_t *data;
        ssize_t n;
        while ((n = nghttp2_session_mem_send(c->h2, &data)) > 0)
            say_bytes(c->fd, data, (size_t) n);
        struct http_request *q = wait_parked();
        client_free(c);
        http_respond(q, 200, NULL, SLICE("nobody"), NULL, 0);
    }
    struct client *c = one_call("/t.T/Echo", wire, NULL, NULL);
    assert_string_equal(c->calls[0].status, "0");
    client_free(c);
    buffer_done(&b);
}

/* ---- Floods: frames written by hand ---- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void put_frame(struct buffer *b, uint8_t type, uint8_t flags, uint32_t stream,
                      const void *payload, size_t size) {
    uint8_t head[9] = {(uint8_t) (size >> 16),
                       (uint8_t) (size >> 8),
                       (uint8_t) size,
                       type,
                       flags,
                       (uint8_t) (stream >> 24),
                       (uint8_t) (stream >> 16),
                       (uint8_t) (stream >> 8),
                       (uint8_t) stream};
    buffer_append(b, head, 9);
    if (size)
        buffer_append(b, payload, size);
}

static bool has_ended(int fd, int flags) {
    char text[65536];
    ssize_t n = recv(fd, text, sizeof(text), flags);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* Sends the bytes, over and over, until the server hangs up. */
static void flood(struct buffer *once, struct buffer *repeated) {
    int64_t end = clock_monotonic_ns() + WAIT_MS / 2 * MS; /* before any limit of time is over */
    int fd = dial(port);

    say_bytes(fd, once->data, once->size);
    while (!has_ended(fd, MSG_DONTWAIT) && say_bytes(fd, repeated->data, repeated->size) == 0)
        assert_true(clock_monotonic_ns() < end);
    close(fd);
}

static void ends_floods(void **state) {
    static const uint8_t zeros[8];
    struct buffer once, many;

    buffer_init(&once, 65536);
    buffer_init(&many, 65536);
    for (int kind = 0; kind < 6; kind++) {
        buffer_clear(&once);
        buffer_clear(&many);
        buffer_append(&once, preface, sizeof(preface) - 1);
        put_frame(&once, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
        /* A request's head: indexed fields of the static table (method POST, scheme http, path /).
         */
        static const uint8_t head[] = {0x83, 0x86, 0x84};
        for (int i = 0; i < 500; i++)
            switch (kind) {
            case 0: put_frame(&many, NGHTTP2_PING, 0, 0, zeros, 8); break;
            case 1: put_frame(&many, NGHTTP2_SETTINGS, 0, 0, NULL, 0); break;
            case 2: put_frame(&many, NGHTTP2_PRIORITY, 0, 1, "\0\0\0\0\1", 5); break;
            case 3: put_frame(&many, 0xbe, 0, 0, zeros, 8); break; /* unknown type */
            case 4: put_frame(&many, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4); break;
            case 5: /* CONTINUATION without end */
                if (i == 0)
                    put_frame(&once, NGHTTP2_HEADERS, 0, 1, head, 3);
                put_frame(&many, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
                break;
            }
        flood(&once, &many);
    }
    /* Rapid reset: opened and cancelled at once. */
    int fd = dial(port);
    buffer_clear(&once);
    buffer_append(&once, preface, sizeof(preface) - 1);
    put_frame(&once, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    say_bytes(fd, once.data, once.size);
    bool ended = false;
    for (uint32_t id = 1; id < 200000 && !ended; id += 2) {
        static const uint8_t head[] = {0x83, 0x86, 0x84};
        buffer_clear(&many);
        put_frame(&many, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, head, 3);
        put_frame(&many, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\x8", 4);
        ended = has_ended(fd, MSG_DONTWAIT) || say_bytes(fd, many.data, many.size) < 0;
    }
    /* All of it may lie in the sockets' buffers while the server waits for a processor. */
    for (int64_t end = clock_monotonic_ns() + WAIT_MS / 2 * MS; !ended;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_true(clock_monotonic_ns() < end);
        ended = poll(&p, 1, 100) > 0 && has_ended(fd, MSG_DONTWAIT);
    }
    close(fd);
    buffer_done(&once);
    buffer_done(&many);
    struct client *c = one_call("/t.T/Echo", slice_new("\0\0\0\0\0", 5), NULL, NULL);
    assert_string_equal(c->calls[0].status, "0");
    client_free(c);
}

static void limits_headers(void **state) {
    static char value[20000];

    memset(value, 'x', sizeof(value) - 1);
    struct client *c = one_call("/t.T/Echo", slice_new("\0\0\0\0\0", 5), "x-large", value);
    assert_string_not_equal(c->calls[0].status, "0");
    client_free(c);
}

/* Garbage at every place of a good exchange: no crash, and the next client is served. */
static void survives_broken_bytes(void **state) {
    struct buffer good, bad;

    buffer_init(&good, 65536);
    buffer_init(&bad, 65536);
    buffer_append(&good, preface, sizeof(preface) - 1);
    put_frame(&good, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    static const uint8_t head[] = {0x83, 0x86, 0x84};
    put_frame(&good, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head, 3);
    put_frame(&good, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "\0\0\0\0\0", 5);
    for (size_t at = 0; at < good.size; at++) {
        buffer_clear(&bad);
        buffer_append_slice(&bad, buffer_slice(&good));
        bad.data[at] ^= 0xff;
        int fd = dial(port);
        say_bytes(fd, bad.data, bad.size);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    struct client *c = one_call("/t.T/Echo", slice_new("\0\0\0\0\0", 5), NULL, NULL);
    assert_string_equal(c->calls[0].status, "0");
    client_free(c);
    buffer_done(&good);
    buffer_done(&bad);
}

static void stops_cleanly(void **state) {
    struct buffer b;
    struct client *c = client_new(port);

    client_call(c, "/t.T/Park", framed(&b, 0, SLICE("x")), false, NULL, NULL);
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(c->h2, &data)) > 0)
        say_bytes(c->fd, data, (size_t) n);
    struct http_request *q = wait_parked();
    int64_t begin = clock_monotonic_ns();
    grpc_server_stop(server, 100 * MS);
    assert_true(clock_monotonic_ns() - begin < WAIT_MS / 2 * MS); /* not for those that wait */
    client_run(c, 1);
    assert_string_equal(c->calls[0].status, "14");
    assert_true(c->goaway);
    http_respond(q, 200, NULL, SLICE("after the end"), NULL, 0);
    client_free(c);
    buffer_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(answers_calls, start, stop),
            cmocka_unit_test_setup_teardown(carries_large_messages, start, stop),
            cmocka_unit_test_setup_teardown(unpacks_gzip, start, stop),
            cmocka_unit_test_setup_teardown(refuses_bad_calls, start, stop),
            cmocka_unit_test_setup_teardown(refuses_what_is_not_grpc, start, stop),
            cmocka_unit_test_setup_teardown(serves_many_streams_and_connections, start, stop),
            cmocka_unit_test_setup_teardown(limits_the_time_of_answers, start_short_answers, stop),
            cmocka_unit_test_setup_teardown(limits_the_time_of_requests, start_short_requests,
                                            stop),
            cmocka_unit_test_setup_teardown(survives_clients_that_leave, start, stop),
            cmocka_unit_test_setup_teardown(ends_floods, start, stop),
            cmocka_unit_test_setup_teardown(limits_headers, start, stop),
            cmocka_unit_test_setup_teardown(survives_broken_bytes, start, stop),
            cmocka_unit_test_setup(stops_cleanly, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
