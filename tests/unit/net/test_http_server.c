/*
 * Protects the HTTP/1.1 server as clients meet it, over real sockets: pipelining, chunked and
 * oversized bodies, slow clients, parked answers from other threads, streams to slow and vanished
 * readers, many connections, and a clean end.
 */
#include "../unit.h"

#include "net/http.h"
#include "sockets.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define MS NS_PER_MS

static struct http_server *server;
static int port;
static _Atomic(struct http_request *) parked;
static _Atomic(struct http_stream *) stream;
static _Atomic bool held, holding;

static void hello(struct http_request *q, void *ctx) {
    http_respond(q, 200, "text/plain", SLICE("hello"), NULL, 0);
}

static void echo(struct http_request *q, void *ctx) {
    struct http_header h = {"X-Peer", http_request_peer(q)};
    http_respond(q, 200, "application/octet-stream", http_request_body(q), &h, 1);
}

static void size(struct http_request *q, void *ctx) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%zu", http_request_body(q).size);
    http_respond(q, 200, "text/plain", slice_new(text, (size_t) n), NULL, 0);
}

static void param(struct http_request *q, void *ctx) {
    struct slice a = http_request_param(q, "a"), b = http_request_param(q, "b");
    char *text = arena_printf(http_request_arena(q), "%.*s|%.*s|%.*s", SLICE_ARG(a), SLICE_ARG(b),
                              SLICE_ARG(http_request_capture(q, 0)));
    http_respond(q, 200, "text/plain", slice_from(text), NULL, 0);
}

static void park(struct http_request *q, void *ctx) {
    atomic_store(&parked, q);
}

static void *answer_later(void *arg) {
    http_respond(arg, 200, "text/plain", SLICE("later"), NULL, 0);
    return NULL;
}

/* Answers from another thread at once: the answer may overtake the handler's return. */
static void race(struct http_request *q, void *ctx) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_later, q), 0);
    pthread_detach(thread);
}

/* Keeps the pool's thread until it is let go. */
static void hold(struct http_request *q, void *ctx) {
    atomic_store(&holding, true);
    while (atomic_load(&held))
        sched_yield();
    hello(q, ctx);
}

static void open_stream(struct http_request *q, void *ctx) {
    atomic_store(&stream, http_stream_start(q, 200, "text/event-stream"));
}

static void large(struct http_request *q, void *ctx) {
    struct buffer b;

    buffer_init(&b, 4 << 20);
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&b, "{\"key\": \"value\"},\n");
    http_respond_buffer(q, 200, "application/json", &b, NULL, 0);
}

static void fails(struct http_request *q, void *ctx) {
    http_respond_error(q, 422, "bad_request", "a \"quoted\" %s", "line\nbreak");
}

static const struct http_route routes[] = {
        {HTTP_GET, "/hello", hello, 0, ""},        {HTTP_POST, "/echo", echo, 1000, ""},
        {HTTP_POST, "/size", size, 8 << 20, ""},   {HTTP_GET, "/park", park, 0, ""},
        {HTTP_GET, "/race", race, 0, ""},          {HTTP_GET, "/stream", open_stream, 0, ""},
        {HTTP_GET, "/hold", hold, 0, ""},          {HTTP_GET, "/large", large, 0, ""},
        {HTTP_GET, "/fails", fails, 0, ""},        {HTTP_GET, "/param/:x", param, 0, ""},
        {HTTP_POST, "/param/:x", param, 1000, ""},
};
static const struct http_routes tables[] = {{routes, sizeof(routes) / sizeof(routes[0]), NULL}};

static int start_with(unsigned threads, int64_t idle_ns, int64_t request_ns, int64_t answer_ns) {
    struct http_server_options o = {.listen = "127.0.0.1:0",
                                    .routes = tables,
                                    .n_routes = 1,
                                    .threads = threads,
                                    .connections_max = 600,
                                    .body_bytes_total = 10 << 20,
                                    .idle_ns_max = idle_ns,
                                    .request_ns_max = request_ns,
                                    .answer_ns_max = answer_ns};
    struct error e;

    atomic_store(&parked, NULL);
    atomic_store(&stream, NULL);
    assert_int_equal(http_server_start(&o, &server, &e), 0);
    port = http_server_port(server);
    return 0;
}

static int start(void **state) {
    return start_with(2, WAIT_MS * MS, WAIT_MS * MS, WAIT_MS * MS);
}

static int start_single(void **state) {
    return start_with(1, WAIT_MS * MS, WAIT_MS * MS, WAIT_MS * MS);
}

/* For tests of the limits; a machine that stands still for a moment would end what others do. */
static int start_hurried(void **state) {
    return start_with(2, 2000 * MS, 400 * MS, 600 * MS);
}

static int stop(void **state) {
    http_server_stop(server, 200 * MS);
    return 0;
}

/* One exchange on a connection of its own; the whole answer is in `to`. */
static void ask(const char *text, char *to, size_t room) {
    int fd = dial(port);

    assert_int_equal(say(fd, text), 0);
    hear(fd, NULL, to, room);
    close(fd);
}

#define HOST "Host: localhost\r\n"
#define CLOSE "Host: localhost\r\nConnection: close\r\n"

static struct http_request *wait_parked(void) {
    struct http_request *q;
    for (int64_t end = clock_monotonic_ns() + WAIT_MS * MS; !(q = atomic_exchange(&parked, NULL));)
        assert_true(clock_monotonic_ns() < end);
    return q;
}

static void wait_holding(void) {
    for (int64_t end = clock_monotonic_ns() + WAIT_MS * MS; !atomic_exchange(&holding, false);)
        assert_true(clock_monotonic_ns() < end);
}

static void answers_and_refuses(void **state) {
    static const struct {
        const char *request, *status, *also;
    } cases[] = {
            {"GET /hello HTTP/1.1\r\n" CLOSE "\r\n", "200", "\r\n\r\nhello"},
            {"GET /hello?x=1 HTTP/1.0\r\n\r\n", "200", "hello"},
            {"GET http://localhost/hello HTTP/1.1\r\n" CLOSE "\r\n", "200", "hello"},
            {"GET /nope HTTP/1.1\r\n" CLOSE "\r\n", "404", "\"code\":\"not_found\""},
            {"POST /hello HTTP/1.1\r\n" CLOSE "Content-Length: 0\r\n\r\n", "405",
             "Allow: GET, HEAD"},
            {"BREW /hello HTTP/1.1\r\n" CLOSE "\r\n", "405", "Allow: GET, HEAD"},
            {"OPTIONS /echo HTTP/1.1\r\n" CLOSE "\r\n", "204", "Allow: POST"},
            {"POST /echo HTTP/1.1\r\n" CLOSE "\r\n", "411", "Content-Length"},
            {"POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\n\r\nabc", "200", "\r\n\r\nabc"},
            {"GET /%zz HTTP/1.1\r\n" CLOSE "\r\n", "400", "bad_request"},
            {"GET /a%00b HTTP/1.1\r\n" CLOSE "\r\n", "400", "bad_request"},
            {"GET /hello HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "403",
             "Host"},
            {"POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
             "400", ""},
            {"POST /echo HTTP/1.1\r\n" CLOSE
             "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             "400", ""},
            {"POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: -1\r\n\r\n", "400", ""},
            {"POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 99999999999999999999999\r\n\r\n", "4",
             ""},
            {"GET /fails HTTP/1.1\r\n" CLOSE "\r\n", "422", "a \\\"quoted\\\" line\\u000abreak"},
            {"GET /param/p%20q?a=%C3%A4&b=x+y HTTP/1.1\r\n" CLOSE "\r\n", "200",
             "\xc3\xa4|x y|p q"},
            {"POST /param/z?a=1 HTTP/1.1\r\n" CLOSE
             "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
             "Content-Length: 7\r\n\r\nb=%2b&a=2",
             "200", "1|+|z"},
    };
    char text[8192], status[32];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(cases[i].request, text, sizeof(text));
        snprintf(status, sizeof(status), "HTTP/1.%c %s", text[7], cases[i].status);
        assert_has(text, status);
        assert_has(text, cases[i].also);
    }
}

/* What is no request, or has no end that could be seen: it ends by a limit at the latest. */
static void ends_what_is_no_request(void **state) {
    static const char *const cases[] = {
            "POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: gzip\r\n\r\n",
            "\r\n\r\nGET",
            "GARBAGE\r\n\r\n",
    };
    static char large[200000];
    char text[8192];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ask(cases[i], text, sizeof(text));
    int n = snprintf(large, sizeof(large), "GET /hello HTTP/1.1\r\n" CLOSE "X: ");
    memset(large + n, 'x', 150000);
    memcpy(large + n + 150000, "\r\n\r\n", 5);
    int fd = dial(port);
    say(fd, large);
    hear(fd, NULL, text, sizeof(text)); /* 431 by the library, or closed */
    close(fd);
    ask("GET /hello HTTP/1.1\r\n" CLOSE "\r\n", text, sizeof(text));
}

static void head_has_no_body(void **state) {
    char text[4096];

    ask("HEAD /hello HTTP/1.1\r\n" CLOSE "\r\n", text, sizeof(text));
    assert_has(text, "Content-Length: 5\r\n");
    assert_null(strstr(text, "hello"));
}

static void serves_pipelined_requests_in_order(void **state) {
    int fd = dial(port);
    char text[65536];

    assert_int_equal(say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n"
                             "GET /race HTTP/1.1\r\n" HOST "\r\n"
                             "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"
                             "GET /nope HTTP/1.1\r\n" HOST "\r\n"
                             "GET /hello HTTP/1.1\r\n" CLOSE "\r\n"),
                     0);
    hear(fd, NULL, text, sizeof(text));
    close(fd);
    assert_int_equal(count_of(text, "HTTP/1.1 200"), 4);
    assert_int_equal(count_of(text, "HTTP/1.1 404"), 1);
    assert_true(strstr(text, "later") < strstr(text, "body"));
    assert_true(strstr(text, "body") < strstr(text, "not_found"));
}

static void reads_chunked_bodies(void **state) {
    int fd = dial(port);
    char text[4096];

    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    say(fd, "5;x=y\r\ndefgh\r\n0\r\n\r\n");
    hear(fd, "abcdefgh", text, sizeof(text));
    assert_has(text, "X-Peer: 127.0.0.1");
    /* The connection is kept. */
    say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    hear(fd, "hello", text, sizeof(text));
    close(fd);
}

static void refuses_large_bodies(void **state) {
    char text[4096], chunk[1003 + 1] = "3e8\r\n";
    int fd;

    /* Declared: the answer comes though the client sends it all first. */
    fd = dial(port);
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2000\r\n\r\n");
    memset(chunk + 5, 'x', 998);
    for (int i = 0; i < 2; i++)
        say_bytes(fd, chunk + 3, 1000);
    hear(fd, "}}", text, sizeof(text));
    assert_has(text, "HTTP/1.1 413");
    assert_has(text, "larger than 1000 bytes");
    close(fd);
    /* Chunked: found out on the way. */
    fd = dial(port);
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        say(fd, "1f4\r\n");
        say_bytes(fd, chunk + 5, 500);
        say(fd, "\r\n");
    }
    say(fd, "0\r\n\r\n");
    hear(fd, "}}", text, sizeof(text));
    assert_has(text, "HTTP/1.1 413");
    close(fd);
    /* Asked first: refused before the body is sent. */
    fd = dial(port);
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n");
    hear(fd, "}}", text, sizeof(text));
    assert_has(text, "HTTP/1.1 413");
    assert_null(strstr(text, "100 Continue"));
    close(fd);
    /* Gigantic: refused at once. */
    fd = dial(port);
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000000000\r\n\r\n");
    hear(fd, "}}", text, sizeof(text));
    assert_has(text, "HTTP/1.1 413");
    close(fd);
    /* A body where none belongs. */
    fd = dial(port);
    say(fd, "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    hear(fd, "}}", text, sizeof(text));
    assert_has(text, "HTTP/1.1 413");
    close(fd);
}

static void says_continue(void **state) {
    char text[4096];
    int fd = dial(port);

    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    hear(fd, "100 Continue\r\n\r\n", text, sizeof(text));
    say(fd, "body");
    hear(fd, "body", text, sizeof(text));
    close(fd);
}

/* Until the server has read `bytes` of bodies: what was sent may still be in the kernel. */
static void wait_received(uint64_t bytes) {
    static const struct timespec pause = {.tv_nsec = MS};
    int64_t end = clock_monotonic_ns() + WAIT_MS * MS;
    struct http_server_stats stats = {0};

    while (http_server_read_stats(server, &stats), stats.body_bytes < bytes) {
        assert_true(clock_monotonic_ns() < end);
        nanosleep(&pause, NULL);
    }
}

static void limits_all_bodies_together(void **state) {
    enum { HOLDERS = 2 };
    int holders[HOLDERS], fd;
    char text[4096], *much = calloc(1, 8 << 20);
    struct http_server_stats stats;

    /* Each holds most of 8 MiB of the 10 MiB there are. */
    for (int i = 0; i < HOLDERS; i++) {
        holders[i] = dial(port);
        say(holders[i], "POST /size HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n");
    }
    say_bytes(holders[0], much, 8000000);
    wait_received(8000000);
    say_bytes(holders[1], much, 8 << 20);
    hear(holders[1], "}}", text, sizeof(text));
    assert_has(text, "HTTP/1.1 503");
    assert_has(text, "Retry-After: 1");
    say_bytes(holders[0], much, (8 << 20) - 8000000);
    hear(holders[0], "8388608", text, sizeof(text));
    for (int i = 0; i < HOLDERS; i++)
        close(holders[i]);
    http_server_read_stats(server, &stats);
    assert_true(stats.refused_pressure >= 1);
    /* All of it is free again. */
    fd = dial(port);
    say(fd, "POST /size HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n");
    say_bytes(fd, much, 8 << 20);
    hear(fd, "8388608", text, sizeof(text));
    close(fd);
    free(much);
}

/* Sends a byte now and then, until the server hangs up; the answer is in `to`. */
static void dribble(int fd, const char *byte, char *to, size_t room) {
    int64_t begin = clock_monotonic_ns();
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, 50) == 0) {
        assert_true(clock_monotonic_ns() - begin < WAIT_MS * MS);
        if (say(fd, byte) < 0)
            break;
    }
    hear(fd, NULL, to, room);
}

static void ends_slow_clients(void **state) {
    char text[4096];
    struct http_server_stats stats;
    int fd = dial(port);

    say(fd, "GET /hello HTTP/1.1\r\nHost: localhost\r\nX: ");
    dribble(fd, "x", text, sizeof(text));
    assert_has(text, "HTTP/1.1 408");
    assert_has(text, "\"code\":\"timeout\"");
    close(fd);
    fd = dial(port);
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 900\r\n\r\n");
    dribble(fd, "x", text, sizeof(text));
    assert_has(text, "HTTP/1.1 408");
    close(fd);
    fd = dial(port);
    dribble(fd, "G", text, sizeof(text)); /* a request line without end: just closed */
    close(fd);
    http_server_read_stats(server, &stats);
    assert_true(stats.timeouts >= 2);
    fd = dial(port);
    hear(fd, NULL, text, sizeof(text)); /* says nothing at all */
    close(fd);
}

static void closes_idle_connections(void **state) {
    char text[4096];
    int fd = dial(port);

    say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    hear(fd, "hello", text, sizeof(text));
    assert_int_equal(hear(fd, NULL, text, sizeof(text)), 0);
    close(fd);
}

static void parks_until_answered(void **state) {
    char text[4096];
    int fd = dial(port);

    say(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    struct http_request *q = wait_parked();
    assert_false(http_request_gone(q));
    assert_true(http_request_deadline_ns(q) > clock_monotonic_ns());
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_later, q), 0);
    pthread_join(thread, NULL);
    hear(fd, "later", text, sizeof(text));
    for (int i = 0; i < 200; i++) {
        say(fd, "GET /race HTTP/1.1\r\n" HOST "\r\n");
        hear(fd, "later", text, sizeof(text));
    }
    close(fd);
}

static void gives_up_waiting_for_an_answer(void **state) {
    char text[4096];
    int fd = dial(port);

    say(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    struct http_request *q = wait_parked();
    hear(fd, "}}", text, sizeof(text));
    assert_has(text, "HTTP/1.1 503");
    assert_has(text, "took too long");
    http_respond(q, 200, "text/plain", SLICE("too late"), NULL, 0); /* dropped */
    say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    hear(fd, "hello", text, sizeof(text));
    close(fd);
}

static void notices_that_a_parked_client_left(void **state) {
    int fd = dial(port);

    say(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    struct http_request *q = wait_parked();
    close(fd);
    for (int64_t end = clock_monotonic_ns() + WAIT_MS * MS; !http_request_gone(q);)
        assert_true(clock_monotonic_ns() < end);
    http_respond(q, 200, "text/plain", SLICE("nobody"), NULL, 0);
}

static struct http_stream *wait_stream(void) {
    struct http_stream *s;
    for (int64_t end = clock_monotonic_ns() + WAIT_MS * MS; !(s = atomic_exchange(&stream, NULL));)
        assert_true(clock_monotonic_ns() < end);
    return s;
}

static void streams(void **state) {
    char text[65536];
    int fd = dial(port);

    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    struct http_stream *s = wait_stream();
    hear(fd, "\r\n\r\n", text, sizeof(text)); /* the head comes before any data */
    assert_has(text, "text/event-stream");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(http_stream_write(s, SLICE("data: tick\n\n")), 0);
        hear(fd, "tick", text, sizeof(text));
    }
    assert_int_equal(http_stream_write(s, SLICE("data: last\n\n")), 0);
    http_stream_end(s);
    hear(fd, "0\r\n\r\n", text, sizeof(text));
    say(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n"); /* chunked, so the connection goes on */
    hear(fd, "hello", text, sizeof(text));
    close(fd);
}

static void tells_a_stream_that_its_reader_is_slow_or_gone(void **state) {
    char *chunk = calloc(1, 60000), text[4096];
    int fd = dial(port), r = 0;

    say(fd, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    struct http_stream *s = wait_stream();
    for (int i = 0; i < 2000 && r == 0; i++)
        r = http_stream_write(s, slice_new(chunk, 60000));
    assert_int_equal(r, -EAGAIN);
    while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
        ;
    for (int64_t end = clock_monotonic_ns() + WAIT_MS * MS; r == -EAGAIN;) { /* it catches up */
        assert_true(clock_monotonic_ns() < end);
        while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
            ;
        r = http_stream_write(s, SLICE("x"));
    }
    close(fd);
    for (int64_t end = clock_monotonic_ns() + WAIT_MS * MS; r != -EPIPE;) {
        assert_true(clock_monotonic_ns() < end);
        r = http_stream_write(s, SLICE("x"));
    }
    http_stream_end(s);
    free(chunk);
}

static void gzips_large_text_when_accepted(void **state) {
    static char text[4 << 20];

    ask("GET /large HTTP/1.1\r\n" CLOSE "Accept-Encoding: br, gzip\r\n\r\n", text, sizeof(text));
    assert_has(text, "Content-Encoding: gzip");
    assert_has(text, "Vary: Accept-Encoding");
    static const char *const without[] = {"", "Accept-Encoding: gzip;q=0, *\r\n",
                                          "Accept-Encoding: identity\r\n"};
    for (size_t i = 0; i < 3; i++) {
        char request[200];
        snprintf(request, sizeof(request), "GET /large HTTP/1.1\r\n" CLOSE "%s\r\n", without[i]);
        ask(request, text, sizeof(text));
        assert_has(text, "Content-Length: 1800000");
        assert_null(strstr(text, "Content-Encoding"));
    }
}

static void serves_many_connections_at_once(void **state) {
    enum { N = 200 };
    int fds[N];
    char text[4096];

    for (int i = 0; i < N; i++)
        fds[i] = dial(port);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            say(fds[i], i % 2 ? "GET /race HTTP/1.1\r\n" HOST "\r\n"
                              : "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        for (int i = 0; i < N; i++)
            hear(fds[i], i % 2 ? "later" : "hello", text, sizeof(text));
    }
    for (int i = 0; i < N; i++)
        close(fds[i]);
}

/* However many connections are ready when the pool's one thread looks again: libmicrohttpd takes up
 * to 128 at a time, and must not wait for further ones when it has got just as many. */
static void serves_as_many_as_are_taken_at_a_time(void **state) {
    enum { TAKEN = 128 };
    int fds[TAKEN + 2];
    char text[4096];

    for (int n = TAKEN - 1; n <= TAKEN + 1; n++) {
        atomic_store(&held, true);
        for (int i = 0; i <= n; i++) {
            fds[i] = dial(port);
            say(fds[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
            hear(fds[i], "hello", text, sizeof(text));
        }
        say(fds[n], "GET /hold HTTP/1.1\r\n" HOST "\r\n");
        wait_holding();
        for (int i = 0; i < n; i++)
            say(fds[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        atomic_store(&held, false);
        for (int i = 0; i <= n; i++) {
            hear(fds[i], "hello", text, sizeof(text));
            close(fds[i]);
        }
    }
}

static void refuses_large_headers(void **state) {
    static char request[200000], text[4096];
    size_t n = (size_t) snprintf(request, sizeof(request), "GET /hello HTTP/1.1\r\n" CLOSE);

    for (int i = 0; i < 150; i++)
        n += (size_t) snprintf(request + n, sizeof(request) - n, "X-%d: y\r\n", i);
    snprintf(request + n, sizeof(request) - n, "\r\n");
    ask(request, text, sizeof(text));
    assert_has(text, "HTTP/1.1 431");
    ask("GET /hello HTTP/1.1\r\n" CLOSE "\r\n", text, sizeof(text));
    assert_has(text, "hello");
}

/* Stopping answers what is parked, ends streams, and waits for nobody longer than told. */
static void stops_cleanly(void **state) {
    char text[4096];
    int waiting = dial(port), listening = dial(port), idle = dial(port);

    say(waiting, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    struct http_request *q = wait_parked();
    say(listening, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    struct http_stream *s = wait_stream();
    say(idle, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    hear(idle, "hello", text, sizeof(text));
    int64_t begin = clock_monotonic_ns();
    http_server_stop(server, 100 * MS);
    assert_true(clock_monotonic_ns() - begin < WAIT_MS / 2 * MS); /* not for those that wait */
    hear(waiting, NULL, text, sizeof(text));
    assert_has(text, "HTTP/1.1 503");
    assert_has(text, "shutting down");
    assert_int_equal(http_stream_write(s, SLICE("x")), -EPIPE);
    http_stream_end(s);
    assert_true(http_request_gone(q));
    http_respond(q, 200, "text/plain", SLICE("after the end"), NULL, 0);
    close(waiting);
    close(listening);
    close(idle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(answers_and_refuses, start, stop),
            cmocka_unit_test_setup_teardown(ends_what_is_no_request, start_hurried, stop),
            cmocka_unit_test_setup_teardown(head_has_no_body, start, stop),
            cmocka_unit_test_setup_teardown(serves_pipelined_requests_in_order, start, stop),
            cmocka_unit_test_setup_teardown(reads_chunked_bodies, start, stop),
            cmocka_unit_test_setup_teardown(refuses_large_bodies, start, stop),
            cmocka_unit_test_setup_teardown(says_continue, start, stop),
            cmocka_unit_test_setup_teardown(limits_all_bodies_together, start, stop),
            cmocka_unit_test_setup_teardown(ends_slow_clients, start_hurried, stop),
            cmocka_unit_test_setup_teardown(closes_idle_connections, start_hurried, stop),
            cmocka_unit_test_setup_teardown(parks_until_answered, start, stop),
            cmocka_unit_test_setup_teardown(gives_up_waiting_for_an_answer, start_hurried, stop),
            cmocka_unit_test_setup_teardown(notices_that_a_parked_client_left, start, stop),
            cmocka_unit_test_setup_teardown(streams, start, stop),
            cmocka_unit_test_setup_teardown(tells_a_stream_that_its_reader_is_slow_or_gone, start,
                                            stop),
            cmocka_unit_test_setup_teardown(gzips_large_text_when_accepted, start, stop),
            cmocka_unit_test_setup_teardown(serves_many_connections_at_once, start, stop),
            cmocka_unit_test_setup_teardown(serves_as_many_as_are_taken_at_a_time, start_single,
                                            stop),
            cmocka_unit_test_setup_teardown(refuses_large_headers, start, stop),
            cmocka_unit_test_setup(stops_cleanly, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
