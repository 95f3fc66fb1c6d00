/* Targets, query strings, forms, listen addresses, Host and Accept-Encoding values: anything a
 * client may put into a request's head. */
#include "net/listen.h"
#include "net/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nothing(struct http_request *q, void *ctx) {
}

static const struct http_route routes[] = {
        {HTTP_GET, "/", nothing, 0, ""},
        {HTTP_GET, "/a/:b", nothing, 0, ""},
        {HTTP_POST, "/a/:b/c/:d", nothing, 0, ""},
        {HTTP_GET, "/*", nothing, 0, ""},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct http_routes table = {routes, 4, NULL};
    struct listener l = {.fd = -1, .loopback = true, .host = "127.0.0.1"};
    struct slice text = slice_new(data, size), decoded;
    struct url_params params = {0};
    struct route_match match;
    struct arena arena;
    char host[LISTEN_HOST_MAX], copy[300];
    int port;

    arena_init(&arena, 1 << 20);
    url_decode(&arena, text, true, &decoded);
    url_params_parse(&arena, text, &params);
    for (size_t i = 0; i < params.n; i++)
        if (!params.items[i].value.data || !params.items[i].name.data)
            __builtin_trap();
    if (router_match(&table, 1, &arena, HTTP_GET, text, &match) == 0 && !match.route &&
        !match.allowed && size && data[0] == '/')
        __builtin_trap(); /* the last route takes every path that no other has for other methods */
    accepts_gzip(text);
    listen_allows_host(&l, text);
    if (size < sizeof(copy)) {
        if (size)
            memcpy(copy, data, size);
        copy[size] = 0;
        listen_parse(copy, host, &port, NULL);
    }
    arena_done(&arena);
    return 0;
}
