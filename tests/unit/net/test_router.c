/* Protects: which route a path gets, what it captures, and that wrong methods are told apart from
 * unknown paths. */
#include "../unit.h"

#include "net/router.h"

#include <errno.h>

static void nothing(struct http_request *q, void *ctx) {
}

static const struct http_route api[] = {
        {HTTP_GET, "/", nothing, 0, ""},
        {HTTP_GET, "/api/v1/services", nothing, 0, ""},
        {HTTP_GET, "/api/v1/services/:name", nothing, 0, ""},
        {HTTP_POST, "/v1/traces", nothing, 1, ""},
        {HTTP_DELETE, "/api/v1/services/:name/items/:id", nothing, 0, ""},
        {HTTP_POST, "/files/upload", nothing, 1, ""},
        {HTTP_GET, "/files/*", nothing, 0, ""},
};
static const struct http_route page[] = {{HTTP_GET, "/*", nothing, 0, ""}};

static const struct http_routes tables[] = {{api, 7, NULL}, {page, 1, NULL}};

static const char *match(enum http_method m, const char *path, struct route_match *ret,
                         struct arena *a) {
    int r = router_match(tables, 2, a, m, slice_from(path), ret);
    return r < 0 ? "error" : ret->route ? ret->route->pattern : "none";
}

static void finds_routes(void **state) {
    struct route_match m;
    struct arena a;

    arena_init(&a, 65536);
    assert_string_equal(match(HTTP_GET, "/", &m, &a), "/");
    assert_string_equal(match(HTTP_HEAD, "/api/v1/services", &m, &a), "/api/v1/services");
    assert_string_equal(match(HTTP_GET, "/api/v1/services/a%2Fb%20c", &m, &a),
                        "/api/v1/services/:name");
    assert_slice(m.captures[0], "a/b c");
    assert_string_equal(match(HTTP_DELETE, "/api/v1/services/x/items/7", &m, &a),
                        "/api/v1/services/:name/items/:id");
    assert_int_equal(m.n_captures, 2);
    assert_slice(m.captures[1], "7");
    assert_string_equal(match(HTTP_GET, "/files/a/b%2fc", &m, &a), "/files/*");
    assert_slice(m.captures[0], "a/b/c");
    assert_string_equal(match(HTTP_GET, "/api/v1/services/", &m, &a), "/*");
    assert_slice(m.captures[0], "api/v1/services/");
    arena_done(&a);
}

static void tells_wrong_method_from_unknown_path(void **state) {
    struct route_match m;
    struct arena a;
    char allow[80];

    arena_init(&a, 65536);
    assert_string_equal(match(HTTP_GET, "/v1/traces", &m, &a), "none"); /* not the page */
    router_format_allow(m.allowed, allow);
    assert_string_equal(allow, "POST");
    assert_string_equal(match(HTTP_POST, "/api/v1/services", &m, &a), "none");
    router_format_allow(m.allowed, allow);
    assert_string_equal(allow, "GET, HEAD");
    assert_string_equal(match(HTTP_GET, "/files/upload", &m, &a), "none"); /* not the star */
    assert_string_equal(match(HTTP_OTHER, "/", &m, &a), "none");
    assert_int_equal(router_match(tables, 1, &a, HTTP_GET, SLICE("/nope"), &m), 0);
    assert_null(m.route);
    assert_int_equal(m.allowed, 0);
    arena_done(&a);
}

static void format_error(struct buffer *to, int status, const char *message) {
}

/* Errors of an API in its own shape, on its prefix and below, and nowhere else. */
static void finds_the_shape_of_errors(void **state) {
    const struct http_routes shaped[] = {{page, 1, NULL, NULL, NULL},
                                         {page, 1, NULL, "/prometheus", format_error}};

    assert_ptr_equal(router_shape(shaped, 2, SLICE("/prometheus")), &shaped[1]);
    assert_ptr_equal(router_shape(shaped, 2, SLICE("/prometheus/api/v1/x")), &shaped[1]);
    assert_null(router_shape(shaped, 2, SLICE("/prometheus2")));
    assert_null(router_shape(shaped, 2, SLICE("/prom")));
    assert_null(router_shape(shaped, 1, SLICE("/prometheus")));
}

/* A table that takes everything by several methods, as that of a server that starts: a sender must
 * hear "later", and not that its method is wrong. */
static void takes_everything_by_any_method(void **state) {
    static const struct http_route all[] = {{HTTP_GET, "/healthz", nothing, 0, ""},
                                            {HTTP_GET, "/*", nothing, 0, ""},
                                            {HTTP_POST, "/*", nothing, 1, ""}};
    const struct http_routes table = {all, 3, NULL};
    struct route_match m;
    struct arena a;

    arena_init(&a, 65536);
    assert_int_equal(router_match(&table, 1, &a, HTTP_POST, SLICE("/api/v1/push"), &m), 0);
    assert_ptr_equal(m.route, &all[2]);
    assert_int_equal(router_match(&table, 1, &a, HTTP_GET, SLICE("/x"), &m), 0);
    assert_ptr_equal(m.route, &all[1]);
    assert_int_equal(router_match(&table, 1, &a, HTTP_POST, SLICE("/healthz"), &m), 0);
    assert_null(m.route);
    arena_done(&a);
}

static void survives_hostile_paths(void **state) {
    struct route_match m;
    struct arena a;
    char deep[4096];

    arena_init(&a, 1 << 20);
    static const char *const bad[] = {"", "x", "%2f", "/%", "/%zz/a", "/a/%00", "*"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(router_match(tables, 2, &a, HTTP_GET, slice_from(bad[i]), &m), -EINVAL);
    memset(deep, '/', sizeof(deep));
    assert_int_equal(router_match(tables, 2, &a, HTTP_GET, slice_new(deep, sizeof(deep)), &m), 0);
    assert_string_equal(m.route->pattern, "/*");
    assert_int_equal(m.captures[0].size, sizeof(deep) - 1);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(finds_routes),
            cmocka_unit_test(tells_wrong_method_from_unknown_path),
            cmocka_unit_test(finds_the_shape_of_errors),
            cmocka_unit_test(takes_everything_by_any_method),
            cmocka_unit_test(survives_hostile_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
