/* Protects what the API answers about logs (docs/internals/api.md), on the real engine, over HTTP.
 */
#include "served.h"

#include "base/clock.h"

#include <pthread.h>

static void finds_logs(void **state) {
    static const struct {
        const char *filter;
        size_t n;
    } cases[] = {
            {"", 24},
            {"level%3E%3Dwarn", 4},
            {"severity%3Dinfo", 20},
            {"%22TIMED%20out%22", 4},
            {"body~%22customer%20%5C%5Cd%2B%22", 20},
            {"code.line.number%3E41%20level%3Dinfo", 20},
            {"trace_id%3D" SHOP_TRACE_FIRST, 2},
            {"scope%3Dshop%20service%3Dorders%20-order", 4},
            {"EXISTS%20trace_id", 24},
            {"service%3Dnobody", 0},
    };
    char rest[500];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(rest, sizeof(rest), "filter=%s", cases[i].filter);
        json_t *j = get("/logs", rest, 200);
        if (json_array_size(list_of(j, "logs")) != cases[i].n)
            fail_msg("%s: %zu lines", cases[i].filter, json_array_size(list_of(j, "logs")));
        json_decref(j);
        j = get("/logs/histogram", rest, 200);
        assert_int_equal(int_at(j, "total"), cases[i].n);
        json_decref(j);
    }
}

struct in_order {
    bool ascending;
    int64_t last;
};

static void log_in_order(json_t *log, void *ctx) {
    struct in_order *o = ctx;
    int64_t at = strtoll(text_at(log, "time_ns"), NULL, 10);

    assert_true(o->ascending ? at > o->last : at < o->last);
    o->last = at;
}

static void pages_through_logs(void **state) {
    struct in_order up = {true, 0}, down = {false, INT64_MAX};

    assert_int_equal(each_page("/logs", "limit=5&order=asc", "logs", log_in_order, &up), 24);
    assert_int_equal(each_page("/logs", "limit=5&order=desc", "logs", log_in_order, &down), 24);
}

static void shows_context(void **state) {
    json_t *j = get("/logs", "limit=10", 200), *l = json_array_get(list_of(j, "logs"), 5);
    char rest[200], path[100];

    snprintf(rest, sizeof(rest), "id=%s&before=3&after=2", text_at(l, "id"));
    json_t *c = get("/logs/context", rest, 200);
    assert_int_equal(json_array_size(list_of(c, "logs")), 6);
    assert_int_equal(int_at(c, "index"), 3);
    assert_string_equal(text_at(json_array_get(list_of(c, "logs"), 3), "id"), text_at(l, "id"));
    json_decref(c);
    snprintf(path, sizeof(path), "/logs/%s", text_at(l, "id"));
    snprintf(rest, sizeof(rest), "time_ns=%s", text_at(l, "time_ns"));
    c = get(path, rest, 200);
    assert_string_equal(text_at(c, "body"), text_at(l, "body"));
    assert_string_equal(text_at(c, "service"), "orders");
    json_decref(c);
    json_decref(j);
    json_decref(get("/logs/99999999999", "", 404));
    json_decref(get("/logs/context", "", 400));
}

struct tail_reader {
    struct buffer seen;
    bool filled;
    int64_t deadline_ns;
};

/* When the stream stands (its first comment or line), a line is written; it must come back. */
static int read_tail(void *ctx, struct slice piece) {
    struct tail_reader *t = ctx;

    buffer_append_slice(&t->seen, piece);
    return slice_find(buffer_slice(&t->seen), SLICE("pigeon")) >= 0 ? -ECANCELED : 0;
}

static void *write_lines(void *arg) {
    struct tail_reader *t = arg;

    for (unsigned i = 0; clock_monotonic_ns() < t->deadline_ns && !__atomic_load_n(&t->filled, 0);
         i++)
        shop_log(served.ingest, clock_now_ns(), i % 2 ? "a carrier pigeon came" : "a crow came");
    return NULL;
}

static void tails_logs(void **state) {
    struct tail_reader t = {.deadline_ns = clock_monotonic_ns() + 60 * NS_PER_S};
    struct http_client_answer a = {0};
    struct error e = ERROR_NONE;
    pthread_t writer;
    char url[200];

    buffer_init(&t.seen, 1 << 20);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/api/v1/logs/tail?filter=pigeon",
             http_server_port(served.server));
    struct http_client_request q = {.method = "GET",
                                    .url = url,
                                    .on_body = read_tail,
                                    .ctx = &t,
                                    .timeout_ns = 60 * NS_PER_S};
    assert_int_equal(pthread_create(&writer, NULL, write_lines, &t), 0);
    http_client_send(served.client, &q, &a, &e);
    __atomic_store_n(&t.filled, true, 0);
    pthread_join(writer, NULL);
    buffer_done(&a.body);
    struct slice seen = buffer_slice(&t.seen);
    assert_true(slice_find(seen, SLICE("event: log\ndata: {")) >= 0);
    assert_true(slice_find(seen, SLICE("pigeon")) >= 0);
    assert_true(slice_find(seen, SLICE("crow")) < 0);
    buffer_done(&t.seen);
    json_decref(get("/logs/tail", "", 400)); /* from, to: not for a tail */
}

static int start(void **state) {
    served_start(state);
    shop_fill(served.ingest, served.end_ns);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(finds_logs),
            cmocka_unit_test(pages_through_logs),
            cmocka_unit_test(shows_context),
            cmocka_unit_test(tails_logs),
    };
    return cmocka_run_group_tests(tests, start, served_stop);
}
