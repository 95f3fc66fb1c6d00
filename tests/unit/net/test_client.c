/* Protects: the HTTP client's answers, limits, deadlines and messages. */
#include "../unit.h"

#include "net/client.h"
#include "net/http.h"
#include "sockets.h"

#include <errno.h>
#include <stdatomic.h>

static struct http_server *server;

static void echo(struct http_request *q, void *ctx) {
    struct slice x = http_request_header(q, "x-test");
    char *text = arena_printf(http_request_arena(q), "%.*s:%.*s", SLICE_ARG(x),
                              SLICE_ARG(http_request_body(q)));
    http_respond(q, 201, "text/plain", slice_from(text), NULL, 0);
}

static void large(struct http_request *q, void *ctx) {
    char *much = arena_zalloc(http_request_arena(q), 1, 1 << 20);
    http_respond(q, 200, "application/octet-stream", slice_new(much, 1 << 20), NULL, 0);
}

static struct http_request *_Atomic held;

static void let_go(void) {
    struct http_request *q = atomic_exchange(&held, NULL);

    if (q)
        http_respond(q, 200, NULL, SLICE_EMPTY, NULL, 0);
}

/* The last one is kept without an answer. */
static void hold(struct http_request *q, void *ctx) {
    let_go();
    held = q;
}

static const struct http_route routes[] = {
        {HTTP_POST, "/echo", echo, 1000, ""},
        {HTTP_GET, "/large", large, 0, ""},
        {HTTP_GET, "/hold", hold, 0, ""},
};

static ssize_t pieces(void *ctx, uint8_t *to, size_t room) {
    int *left = ctx;
    if (*left == 0)
        return 0;
    memcpy(to, "ab", 2);
    return --*left >= 0 ? 2 : 0;
}

static int stop_early(void *ctx, struct slice piece) {
    *(size_t *) ctx += piece.size;
    return -ECANCELED;
}

static void talks(void **state) {
    struct http_routes table = {routes, 3, NULL};
    struct http_server_options o = {.listen = ":0", .routes = &table, .n_routes = 1};
    struct http_client *c;
    struct http_client_answer a;
    struct error e = ERROR_NONE;
    char url[64];
    int left = 3;
    size_t seen = 0;

    assert_int_equal(http_server_start(&o, &server, &e), 0);
    assert_int_equal(http_client_new(&c), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/echo", http_server_port(server));
    const char *const headers[] = {"X-Test: yes"};
    struct http_client_request q = {
            .method = "POST", .url = url, .headers = headers, .n_headers = 1, .body = SLICE("hi")};
    assert_int_equal(http_client_send(c, &q, &a, &e), 0);
    assert_int_equal(a.status, 201);
    assert_string_equal(a.content_type, "text/plain");
    assert_slice(buffer_slice(&a.body), "yes:hi");
    buffer_done(&a.body);
    q.body = SLICE_EMPTY; /* a body made on the way goes out chunked */
    q.read_body = pieces;
    q.ctx = &left;
    assert_int_equal(http_client_send(c, &q, &a, &e), 0);
    assert_slice(buffer_slice(&a.body), "yes:ababab");
    buffer_done(&a.body);

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/large", http_server_port(server));
    q = (struct http_client_request){.method = "GET", .url = url, .answer_bytes_max = 1000};
    assert_int_equal(http_client_send(c, &q, &a, &e), -ENOBUFS);
    assert_has(e.text, url);
    q.answer_bytes_max = 0;
    assert_int_equal(http_client_send(c, &q, &a, &e), 0);
    assert_int_equal(a.body.size, 1 << 20);
    buffer_done(&a.body);
    q.on_body = stop_early;
    q.ctx = &seen;
    assert_int_equal(http_client_send(c, &q, &a, &e), -ECANCELED);
    assert_true(seen > 0);

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/hold", http_server_port(server));
    q = (struct http_client_request){.method = "GET", .url = url, .timeout_ns = 50 * NS_PER_MS};
    int64_t end = clock_monotonic_ns() + 60 * NS_PER_S;
    do { /* again until the server has one: the time may be over before anything was sent */
        assert_true(clock_monotonic_ns() < end);
        assert_int_equal(http_client_send(c, &q, &a, &e), -ETIMEDOUT);
    } while (!held);
    let_go();
    http_server_stop(server, 0);
    let_go(); /* one that it came to later */
    q.timeout_ns = 0;
    assert_int_equal(http_client_send(c, &q, &a, &e), -ECONNREFUSED);
    assert_has(e.text, url);
    q.url = "file:///etc/passwd";
    assert_int_equal(http_client_send(c, &q, &a, &e), -EINVAL);
    http_client_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(talks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
