/* Protects the shapes and meanings of docs/internals/api.md, on the real engine, over HTTP; logs:
 * test_logs.c. */
#include "served.h"

#include "base/clock.h"
#include "store/fixture.h"

/* ---- Before there is data ---- */

static void answers_empty(void **state) {
    static const char *const paths[] = {"/services",       "/traces",         "/traces/histogram",
                                        "/traces/facets",  "/traces/compare", "/logs",
                                        "/logs/histogram", "/logs/facets",    "/attributes",
                                        "/status"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        json_decref(i == 9 ? ask("GET", paths[i], SLICE_EMPTY, 200) : get(paths[i], "", 200));
    json_t *j = get("/services", "", 200);
    assert_int_equal(json_array_size(list_of(j, "services")), 0);
    json_decref(j);
    j = get("/traces/histogram", "", 200);
    assert_int_equal(json_array_size(list_of(j, "bounds_ns")), 0);
    assert_true(json_is_null(list_of(j, "p95")));
    json_decref(j);
    j = get("/services/nobody", "", 404);
    assert_string_equal(text_at(list_of(j, "error"), "code"), "not_found");
    json_decref(j);
    j = ask("GET", "/status", SLICE_EMPTY, 200);
    assert_false(json_is_true(list_of(list_of(j, "has_data"), "spans")));
    json_decref(j);
    shop_fill(served.ingest, served.end_ns);
}

/* ---- Services ---- */

static void lists_services(void **state) {
    json_t *j = get("/services", "", 200), *s = json_array_get(list_of(j, "services"), 0);

    assert_int_equal(json_array_size(list_of(j, "services")), 2);
    for (size_t i = 0; i < 2; i++) {
        s = json_array_get(list_of(j, "services"), i);
        assert_int_equal(int_at(s, "requests"), SHOP_CHECKOUTS);
        assert_true(number_at(list_of(s, "errors"), "value") > 0.19);
        assert_true(number_at(list_of(s, "errors"), "value") < 0.21);
        assert_true(json_is_null(list_of(list_of(s, "rate"), "previous")));
        assert_int_equal(json_array_size(list_of(list_of(s, "p95"), "points")),
                         json_array_size(list_of(j, "times")));
        assert_string_equal(text_at(s, "language"), "python");
        assert_int_equal(int_at(s, "instances"), 1);
        if (strcmp(text_at(s, "name"), "shop-gateway") == 0) {
            double p50 = number_at(list_of(s, "p50"), "value");
            assert_true(p50 > 107e6 && p50 < 111e6); /* 100 … 119 ms */
            assert_string_equal(text_at(s, "version"), "1.4.2");
            assert_string_equal(text_at(list_of(s, "slowest"), "operation"), "POST /checkout");
        }
    }
    json_decref(j);
    j = get("/services", "filter=service%3Dorders", 200);
    assert_int_equal(json_array_size(list_of(j, "services")), 1);
    json_decref(j);
    j = get("/services", "filter=duration%3E110ms", 200); /* from the spans, not the RED table */
    s = json_array_get(list_of(j, "services"), 0);
    assert_int_equal(json_array_size(list_of(j, "services")), 1);
    assert_int_equal(int_at(s, "requests"), 9);
    json_decref(j);
}

static void explains_a_service(void **state) {
    json_t *j = get("/services/orders", "", 200), *x;

    assert_string_equal(text_at(list_of(j, "service"), "name"), "orders");
    assert_string_equal(text_at(list_of(list_of(j, "service"), "attributes"), "host.name"),
                        "web-2");
    x = json_array_get(list_of(j, "operations"), 0);
    assert_string_equal(text_at(x, "name"), "POST /orders");
    assert_true(number_at(list_of(x, "breakdown"), "database") > 0.6);
    x = json_array_get(list_of(j, "statements"), 0);
    assert_non_null(strstr(text_at(x, "statement"), "FROM items"));
    assert_null(strstr(text_at(x, "statement"), "17")); /* normalised */
    assert_int_equal(int_at(x, "calls"), SHOP_CHECKOUTS * SHOP_QUERIES);
    assert_true(number_at(x, "calls_per_request") == SHOP_QUERIES);
    x = json_array_get(list_of(j, "errors_by_type"), 0);
    assert_string_equal(text_at(x, "type"), "ValueError");
    assert_int_equal(int_at(x, "count"), 4);
    assert_int_equal(json_array_size(list_of(j, "slowest_traces")), 5);
    assert_string_equal(text_at(json_array_get(list_of(j, "versions"), 0), "version"), "2.0");
    assert_non_null(strstr(text_at(j, "answer"), "run 12 times per request"));
    assert_true(json_array_size(list_of(j, "dependencies")) >= 1);
    assert_non_null(list_of(list_of(list_of(j, "logs_by_level"), "levels"), "error"));
    json_decref(j);
}

/* ---- Traces ---- */

static void finds_traces(void **state) {
    static const struct {
        const char *filter; /* percent-encoded */
        size_t n, matched;
    } cases[] = {
            {"", SHOP_CHECKOUTS, SHOP_SPANS_PER_CHECKOUT},
            {"service%3Dshop-gateway", SHOP_CHECKOUTS, 2},
            {"http.response.status_code%3E%3D500", 4, 2},
            {"http.status_code%3D500%20kind%3Dserver%20service%3Dorders", 4, 1},
            {"duration%3E110ms", 9, 1},
            {"status%3Derror%20AND%20NOT%20service%3Dorders", 4, 1},
            {"cart.items%3E%3D15", 5, 1},
            {"cart.items%3D7", 1, 1},
            {"cart.items%20IN%20(3,4,5)", 3, 1},
            {"%22out%20of%20stock%22", 4, 1},
            {"exception.type%3DValueError", 4, 1},
            {"version%3D1.4.2", SHOP_CHECKOUTS, 2},
            {"host%3Dweb-2%20kind%3Dinternal", SHOP_CHECKOUTS, 1},
            {"resource.host.name~%5Eweb-%5B0-9%5D%24%20root%3Dtrue", SHOP_CHECKOUTS, 1},
            {"name%3DSELECT*", SHOP_CHECKOUTS, SHOP_QUERIES},
            {"EXISTS%20cart.items", SHOP_CHECKOUTS, 1},
            {"name%20NOT%20IN%20(%22POST%20%2Fcheckout%22)%20root%3Dtrue", 0, 0},
            {"service%3Dnobody", 0, 0},
            {"env!%3Dproduction%20entry%3Dtrue", SHOP_CHECKOUTS, 1},
            {"name~%22%5E%5C%5Cw%2B%20items%24%22", SHOP_CHECKOUTS, SHOP_QUERIES},
    };
    char rest[500];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int sort = 0; sort < 2; sort++) {
            snprintf(rest, sizeof(rest), "filter=%s&sort=%s", cases[i].filter,
                     sort ? "slowest" : "recent");
            json_t *j = get("/traces", rest, 200), *t = json_array_get(list_of(j, "traces"), 0);
            if (json_array_size(list_of(j, "traces")) != cases[i].n)
                fail_msg("%s: %zu traces", cases[i].filter, json_array_size(list_of(j, "traces")));
            if (cases[i].n && int_at(t, "matched") != (json_int_t) cases[i].matched)
                fail_msg("%s: %d matched", cases[i].filter, (int) int_at(t, "matched"));
            assert_true(json_is_null(list_of(j, "next_cursor")));
            json_decref(j);
        }
}

static void summarises_a_trace(void **state) {
    json_t *j = get("/traces", "limit=1&sort=slowest", 200);
    json_t *t = json_array_get(list_of(j, "traces"), 0), *root = list_of(t, "root");

    assert_int_equal(int_at(t, "spans"), SHOP_SPANS_PER_CHECKOUT);
    assert_int_equal(int_at(t, "duration_ns"), (100 + SHOP_CHECKOUTS - 1) * NS_PER_MS);
    assert_int_equal(json_array_size(list_of(t, "services")), 2);
    assert_string_equal(text_at(root, "service"), "shop-gateway");
    assert_string_equal(text_at(root, "name"), "POST /checkout");
    assert_int_equal(int_at(root, "http_status"), 200);
    assert_true(json_is_string(list_of(j, "next_cursor")));
    json_decref(j);
}

struct once_in_order {
    bool by_duration;
    char seen[SHOP_CHECKOUTS];
    int64_t last;
};

static void trace_once_in_order(json_t *trace, void *ctx) {
    struct once_in_order *o = ctx;
    uint8_t number;

    assert_int_equal(slice_from_hex(slice_from(text_at(trace, "trace_id") + 30), &number, 1), 0);
    assert_false(o->seen[number]++);
    int64_t at = o->by_duration ? int_at(trace, "duration_ns")
                                : strtoll(text_at(trace, "start_ns"), NULL, 10);
    assert_true(at < o->last);
    o->last = at;
}

/* All pages together hold each trace once, in order. */
static void pages_through_traces(void **state) {
    for (int slowest = 0; slowest < 2; slowest++) {
        struct once_in_order o = {.by_duration = slowest, .last = INT64_MAX};
        const char *rest = slowest ? "limit=3&sort=slowest" : "limit=3&sort=recent";
        assert_int_equal(each_page("/traces", rest, "traces", trace_once_in_order, &o),
                         SHOP_CHECKOUTS);
    }
}

static void shows_one_trace(void **state) {
    json_t *j = get("/traces/" SHOP_TRACE_FIRST, "", 200), *s, *found = NULL;
    double share = 0;
    size_t i;

    assert_int_equal(json_array_size(list_of(j, "spans")), SHOP_SPANS_PER_CHECKOUT);
    assert_int_equal(int_at(j, "duration_ns"), 100 * NS_PER_MS);
    assert_int_equal(int_at(j, "logs"), 2);
    json_array_foreach(list_of(j, "spans"), i, s) if (json_array_size(list_of(s, "events"))) found =
            s;
    assert_non_null(found);
    assert_string_equal(text_at(found, "name"), "POST /orders");
    assert_int_equal(int_at(found, "logs"), 2);
    assert_string_equal(text_at(found, "parent_span_id"), "0100000000000002");
    s = json_array_get(list_of(found, "events"), 0);
    assert_int_equal(int_at(s, "time_ns"), 90 * NS_PER_MS);
    assert_string_equal(text_at(json_array_get(list_of(s, "attributes"), 0), "key"),
                        "exception.type");
    s = json_array_get(list_of(found, "attributes"), 2);
    assert_string_equal(text_at(s, "type"), "int");
    assert_int_equal(int_at(s, "value"), 500);
    assert_non_null(list_of(list_of(j, "resources"), text_at(found, "resource")));
    json_array_foreach(list_of(j, "time_by"), i, s) share += number_at(s, "share");
    assert_true(share > 0.999 && share < 1.001);
    assert_string_equal(text_at(json_array_get(list_of(j, "time_by"), 0), "category"), "database");
    s = json_array_get(list_of(j, "findings"), 0);
    assert_string_equal(text_at(s, "kind"), "n_plus_one");
    assert_int_equal(json_array_size(list_of(s, "span_ids")), SHOP_QUERIES);
    assert_non_null(strstr(text_at(s, "text"), "ran 12 times, 60 ms together"));
    json_decref(j);
    json_decref(get("/traces/ffffffffffffffffffffffffffffffff", "", 404));
    json_decref(get("/traces/xyz", "", 400));
}

static void draws_durations(void **state) {
    static const char *const filters[] = {"", "filter=duration%3E1ms", "filter=db.system%3Dsqlite"};

    for (size_t f = 0; f < 3; f++) {
        json_t *j = get("/traces/histogram", filters[f], 200), *row;
        json_int_t sum = 0;
        size_t i, n = json_array_size(list_of(j, "bounds_ns"));
        assert_true(n >= 2);
        json_array_foreach(list_of(j, "counts"), i, row) {
            assert_int_equal(json_array_size(row), n - 1);
            for (size_t k = 0; k < n - 1; k++)
                sum += json_integer_value(json_array_get(row, k));
        }
        assert_int_equal(sum, int_at(j, "total"));
        assert_int_equal(sum, f == 2 ? SHOP_CHECKOUTS * SHOP_QUERIES : SHOP_CHECKOUTS * 2);
        assert_string_equal(text_at(j, "of"), f == 2 ? "all" : "entry");
        json_decref(j);
    }
}

static json_t *facet(json_t *j, const char *key) {
    json_t *f;
    size_t i;

    json_array_foreach(list_of(j, "facets"), i,
                       f) if (strcmp(text_at(f, "key"), key) == 0) return f;
    fail_msg("no facet %s", key);
    return NULL;
}

static void counts_facets(void **state) {
    json_t *j = get("/traces/facets", "", 200), *v;
    size_t i;

    v = json_array_get(list_of(facet(j, "service"), "values"), 0);
    assert_string_equal(text_at(v, "value"), "orders");
    assert_int_equal(int_at(v, "count"), SHOP_CHECKOUTS * (2 + SHOP_QUERIES));
    v = json_array_get(list_of(facet(j, "kind"), "values"), 0);
    assert_string_equal(text_at(v, "value"), "client");
    v = json_array_get(list_of(facet(j, "http.response.status_code"), "values"), 0);
    assert_string_equal(text_at(v, "value"), "200");
    assert_int_equal(int_at(facet(j, "exception.type"), "distinct"), 1);
    assert_true(number_at(j, "sampled") == 1.0);
    json_decref(j);
    j = get("/traces/facets",
            "keys=cart.items,version,%40%22odd%20key%22,duration&filter=root%3Dtrue", 200);
    assert_int_equal(int_at(facet(j, "cart.items"), "distinct"), SHOP_CHECKOUTS);
    assert_true(json_is_true(list_of(facet(j, "cart.items"), "truncated")));
    assert_string_equal(text_at(json_array_get(list_of(facet(j, "version"), "values"), 0), "value"),
                        "1.4.2");
    assert_int_equal(json_array_size(list_of(facet(j, "@\"odd key\""), "values")), 0);
    json_decref(j);
    j = get("/logs/facets", "", 200);
    v = json_array_get(list_of(facet(j, "severity"), "values"), 0);
    assert_string_equal(text_at(v, "value"), "info");
    facet(j, "code.function.name");
    json_array_foreach(list_of(j, "facets"), i, v)
            assert_string_not_equal(text_at(v, "key"), "exception.stacktrace");
    json_decref(j);
    j = get("/traces/compare", "min_ns=110000000", 200); /* only the gateway's are so slow */
    v = json_array_get(list_of(facet(j, "service"), "values"), 0);
    assert_true(number_at(facet(j, "service"), "score") > 0.5);
    assert_true(number_at(v, "inside") == 1.0 || number_at(v, "inside") == 0.0);
    json_decref(j);
}

/* ---- Editors, SQL, hostile requests ---- */

static void completes(void **state) {
    json_t *j = get("/attributes", "signal=span&prefix=cart", 200), *k;

    k = json_array_get(list_of(j, "keys"), 0);
    assert_string_equal(text_at(k, "key"), "cart.items");
    assert_string_equal(text_at(k, "type"), "int");
    assert_int_equal(int_at(k, "count"), SHOP_CHECKOUTS);
    json_decref(j);
    j = get("/attributes", "signal=span&prefix=ser", 200);
    k = json_array_get(list_of(j, "keys"), 0);
    assert_string_equal(text_at(k, "key"), "service");
    assert_true(json_is_true(list_of(k, "field")));
    json_decref(j);
    static const struct {
        const char *key, *value;
    } values[] = {{"service", "orders"},
                  {"http.route", "/checkout"},
                  {"kind", "server"},
                  {"version", "1.4.2"},
                  {"host", "web-1"},
                  {"name", "SELECT items"},
                  {"cart.items", "3"},
                  {"peer", "orders"},
                  {"exception.type", "ValueError"},
                  {"resource.host.name", "web-2"},
                  {"entry", "true"}};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char rest[200];
        bool found = false;
        size_t n;
        snprintf(rest, sizeof(rest), "signal=span&key=%s&limit=100", values[i].key);
        j = get("/attributes/values", rest, 200);
        json_array_foreach(list_of(j, "values"), n, k) found |=
                strcmp(text_at(k, "value"), values[i].value) == 0;
        if (!found)
            fail_msg("%s has no value %s", values[i].key, values[i].value);
        json_decref(j);
    }
}

static void checks_filters(void **state) {
    json_t *j = ask("GET", "/filter/check?signal=span&filter=servce%3Dx", SLICE_EMPTY, 200);

    assert_string_equal(text_at(list_of(j, "error"), "code"), "filter_key");
    assert_int_equal(int_at(list_of(j, "error"), "column"), 1);
    json_decref(j);
    j = ask("GET", "/filter/check?signal=log&filter=severity%3Dwarn%20x", SLICE_EMPTY, 200);
    assert_true(json_is_true(list_of(j, "ok")));
    assert_string_equal(text_at(j, "canonical"), "level=warn AND \"x\"");
    json_decref(j);
    j = get("/traces", "filter=duration%3E", 400);
    assert_string_equal(text_at(list_of(j, "error"), "code"), "filter_syntax");
    assert_int_equal(int_at(list_of(j, "error"), "column"), 10);
    json_decref(j);
}

static void runs_sql(void **state) {
    json_t *j =
            ask("POST", "/sql",
                SLICE("{\"query\":\"SELECT count() AS n FROM spans;\",\"format\":\"JSONCompact\"}"),
                200);

    assert_int_equal(json_integer_value(json_array_get(json_array_get(list_of(j, "data"), 0), 0)),
                     SHOP_CHECKOUTS * SHOP_SPANS_PER_CHECKOUT);
    json_decref(j);
    static const char *const refused[] = {
            "{\"query\":\"INSERT INTO spans (service) VALUES ('x')\"}",
            "{\"query\":\"DROP TABLE spans\"}",
            "{\"query\":\"SELECT 1 INTO OUTFILE '/tmp/varan-should-not-exist'\"}",
            "{\"query\":\"SELECT * FROM file('/etc/passwd', 'LineAsString')\"}",
            "{\"query\":\"SELECT * FROM '/etc/passwd'\"}",
            "{\"query\":\"SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')\"}",
            "{\"query\":\"SELECT 1; SELECT 2\"}",
            "{\"query\":\"SELECT nothing FROM nowhere\"}",
            "{\"query\":\"SELECT 1\",\"format\":\"Native\"}",
            "{\"query\":\"\"}",
            "{\"query\":1}",
            "[]",
            "nonsense",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        j = ask("POST", "/sql", slice_from(refused[i]), 400);
        assert_non_null(text_at(list_of(j, "error"), "message"));
        json_decref(j);
    }
}

static void refuses_hostile_parameters(void **state) {
    static const char *const bad[] = {"/traces?nonsense=1",
                                      "/traces?limit=0",
                                      "/traces?limit=1001",
                                      "/traces?limit=-1",
                                      "/traces?limit=x",
                                      "/traces?from=yesterday",
                                      "/traces?from=now&to=now-1h",
                                      "/traces?sort=random",
                                      "/traces?cursor=x",
                                      "/traces?cursor=1.2.3.zz",
                                      "/traces?cursor=-5.9.1.000102030405060708090a0b0c0d0e0f",
                                      "/logs?cursor=1.2.3",
                                      "/logs?cursor=%27%20OR%201",
                                      "/logs?order=up",
                                      "/traces/facets?keys=a%27b",
                                      "/traces/facets?keys=a%20b",
                                      "/attributes?signal=metric",
                                      "/attributes/values?signal=span",
                                      "/traces?filter=%ff",
                                      "/traces?filter=((((",
                                      "/traces?filter=name~(",
                                      "/traces/compare?min_ns=-1",
                                      "/logs/abc",
                                      "/logs/context?id=x",
                                      "/traces/00%27%20OR%201%3D1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        json_decref(ask("GET", bad[i], SLICE_EMPTY, 400));
    static const char *const odd[] = {"/traces?filter=service%3D%27x%5C%27%20OR%201%3D1%20--%27",
                                      "/traces?filter=%40%22a%27%5D%20OR%201%20--%22%3D1",
                                      "/traces?filter=resource.%22x%27)%20OR%20(1%22%3D1",
                                      "/logs?filter=%22%25%27%3B%20DROP%20TABLE%20logs%3B%20--%22",
                                      "/logs?filter=%22%7Bp0%3AString%7D%22%20body%3D%22%5C%5C%22",
                                      "/services/%27%20OR%20%271%27%3D%271",
                                      "/attributes/values?signal=span&key=x&prefix=%27%25",
                                      "/attributes?signal=log&prefix=%27%20OR%201%3D1",
                                      "/traces?from=0&to=4500000000&limit=1000"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        json_decref(ask("GET", odd[i], SLICE_EMPTY, i == 5 ? 404 : 200));
    /* Nothing of it did harm. */
    assert_int_equal(fixture_number(served.store, "SELECT count() FROM spans"),
                     SHOP_CHECKOUTS * SHOP_SPANS_PER_CHECKOUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(answers_empty),
            cmocka_unit_test(lists_services),
            cmocka_unit_test(explains_a_service),
            cmocka_unit_test(finds_traces),
            cmocka_unit_test(summarises_a_trace),
            cmocka_unit_test(pages_through_traces),
            cmocka_unit_test(shows_one_trace),
            cmocka_unit_test(draws_durations),
            cmocka_unit_test(counts_facets),
            cmocka_unit_test(completes),
            cmocka_unit_test(checks_filters),
            cmocka_unit_test(runs_sql),
            cmocka_unit_test(refuses_hostile_parameters),
    };
    return cmocka_run_group_tests(tests, served_start, served_stop);
}
