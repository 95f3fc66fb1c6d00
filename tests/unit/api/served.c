#include "served.h"

#include "api/api.h"
#include "base/clock.h"
#include "store/fixture.h"

struct served served;

static struct api *api;
static char range[100]; /* "from=…&to=…" around the shop's data */

int served_start(void **state) {
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;

    served.store = fixture_open(&o);
    struct ingest_options g = {.store = served.store, .scrub = true};
    assert_int_equal(ingest_new(&g, &served.ingest, &e), 0);
    struct api_options a = {.store = served.store,
                            .ingest = served.ingest,
                            .version = "1.2.3",
                            .page_url = "http://page",
                            .retention_days = 30};
    assert_int_equal(api_new(&a, &api), 0);
    struct http_routes routes = api_routes(api);
    struct http_server_options h = {.listen = "127.0.0.1:0", .routes = &routes, .n_routes = 1};
    if (http_server_start(&h, &served.server, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(http_client_new(&served.client), 0);
    served.end_ns = clock_now_ns() / NS_PER_S * NS_PER_S;
    snprintf(range, sizeof(range), "from=%lld&to=%lld",
             (long long) (served.end_ns / NS_PER_S - 300),
             (long long) (served.end_ns / NS_PER_S + 1));
    return 0;
}

int served_stop(void **state) {
    http_client_free(served.client);
    http_server_stop(served.server, 5 * NS_PER_S);
    api_free(api);
    ingest_free(served.ingest);
    store_close(served.store);
    return 0;
}

json_t *ask(const char *method, const char *path, struct slice body, int status) {
    char url[4096];
    struct http_client_answer a;
    struct error e = ERROR_NONE;
    json_error_t why;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/api/v1%s", http_server_port(served.server),
             path);
    struct http_client_request q = {.method = method, .url = url, .body = body};
    if (http_client_send(served.client, &q, &a, &e) < 0)
        fail_msg("%s", e.text);
    json_t *json = json_loadb((char *) a.body.data, a.body.size, JSON_DECODE_ANY, &why);
    if (a.status != status || !json)
        fail_msg("%s: %d %.*s (%s)", path, a.status, (int) a.body.size, (char *) a.body.data,
                 why.text);
    buffer_done(&a.body);
    return json;
}

json_t *get(const char *path, const char *rest, int status) {
    char text[3000];

    snprintf(text, sizeof(text), "%s?%s%s%s", path, range, *rest ? "&" : "", rest);
    return ask("GET", text, SLICE_EMPTY, status);
}

size_t each_page(const char *path, const char *rest, const char *key,
                 void (*seen)(json_t *item, void *ctx), void *ctx) {
    char text[1000], cursor[200] = "";
    size_t n = 0;

    for (unsigned page = 0; page < 100; page++) {
        snprintf(text, sizeof(text), "%s%s%s", rest, *cursor ? "&cursor=" : "", cursor);
        json_t *j = get(path, text, 200), *item;
        size_t i;
        json_array_foreach(list_of(j, key), i, item) {
            seen(item, ctx);
            n++;
        }
        bool more = json_is_string(list_of(j, "next_cursor"));
        snprintf(cursor, sizeof(cursor), "%s", more ? text_at(j, "next_cursor") : "");
        json_decref(j);
        if (!more)
            return n;
    }
    fail_msg("%s?%s: no end after 100 pages", path, rest);
    return n;
}
