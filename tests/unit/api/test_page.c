/* Protects: the embedded page's caching, encodings and headers, and which paths are its views.
 * Works with the built page and with the stand-in. */
#include "../unit.h"

#include "../net/sockets.h"
#include "api/page.h"

#include <stdio.h>

static struct http_server *server;
static char text[4 << 20];

static int start(void **state) {
    struct http_routes table = page_routes();
    struct http_server_options o = {.listen = ":0", .routes = &table, .n_routes = 1, .threads = 1};
    struct error e;

    return http_server_start(&o, &server, &e);
}

static int stop(void **state) {
    http_server_stop(server, 0);
    return 0;
}

static void get(const char *path, const char *headers) {
    char request[1000];
    int fd = dial(http_server_port(server));

    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, headers);
    say(fd, request);
    hear(fd, NULL, text, sizeof(text));
    close(fd);
}

static void serves_the_document(void **state) {
    get("/", "");
    assert_has(text, "HTTP/1.1 200");
    assert_has(text, "Content-Type: text/html");
    assert_has(text, "Content-Security-Policy: default-src 'none'");
    assert_has(text, "X-Content-Type-Options: nosniff");
    assert_has(text, "Cache-Control: no-cache");
    assert_has(text, "<!doctype html>");
    get("/", "Accept-Encoding: gzip\r\n");
    assert_has(text, "Content-Encoding: gzip");
}

static void knows_what_the_client_has(void **state) {
    char header[200], tag[100];

    get("/", "");
    const char *at = strstr(text, "ETag: ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "ETag: %99s", tag), 1);
    snprintf(header, sizeof(header), "If-None-Match: \"other\", W/%s\r\n", tag);
    get("/", header);
    assert_has(text, "HTTP/1.1 304");
    assert_null(strstr(text, "doctype"));
    get("/", "If-None-Match: \"other\"\r\n");
    assert_has(text, "HTTP/1.1 200");
}

static void tells_views_from_missing_files(void **state) {
    get("/services/shop", "");
    assert_has(text, "<!doctype html>");
    get("/services/shop.internal", "Accept: text/html,*/*\r\n"); /* a browser opens a view */
    assert_has(text, "<!doctype html>");
    static const char *const missing[] = {"/missing.js",  "/assets/x", "/assets/x.js",
                                          "/api/v1/nope", "/v1/nope",  "/../etc/passwd.txt",
                                          "/a%00.b"};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        get(missing[i], "");
        assert_null(strstr(text, "<!doctype html>"));
        assert_has(text, "HTTP/1.1 4");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(serves_the_document),
            cmocka_unit_test(knows_what_the_client_has),
            cmocka_unit_test(tells_views_from_missing_files),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
