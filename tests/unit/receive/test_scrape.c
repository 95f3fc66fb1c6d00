/*
 * The scraper's threads with a real server, blocks in memory in place of the store: start, targets
 * from a file, reload, failure, end.
 */
#include "../unit.h"

#include "base/clock.h"
#include "memory_store.h"
#include "net/http.h"
#include "receive/scrape.h"

#include <stdio.h>
#include <unistd.h>

#define DEADLINE_NS (60 * NS_PER_S)

static struct store *store;
static struct ingest *ingest;
static struct http_server *server;
static char folder[] = "/tmp/varan-scrape-XXXXXX", config[100], targets[100];
static const char *_Atomic body = "# HELP a Help.\n# TYPE a counter\na{x=\"1\"} 1\nb 2\n";

static void metrics(struct http_request *q, void *ctx) {
    http_respond(q, 200, "text/plain", slice_from(body), NULL, 0);
}

static void write_file(const char *path, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void write_file(const char *path, const char *format, ...) {
    char part[120];
    va_list args;

    snprintf(part, sizeof(part), "%s.part", path);
    FILE *f = fopen(part, "w");
    assert_non_null(f);
    va_start(args, format);
    vfprintf(f, format, args);
    va_end(args);
    fclose(f);
    assert_int_equal(rename(part, path), 0);
}

/* The interval is how long a scrape may take, too. */
static void write_config(const char *more) {
    write_file(config,
               "global: {scrape_interval: 250ms}\nscrape_configs:\n- job_name: files\n"
               "  file_sd_configs: [{files: [t.json], refresh_interval: 50ms}]\n%s",
               more);
}

static int setup(void **state) {
    static const struct http_route routes[] = {{HTTP_GET, "/metrics", metrics, 0, "test"}};
    const struct http_routes table = {routes, 1, NULL};
    struct http_server_options o = {
            .listen = "127.0.0.1:0", .routes = &table, .n_routes = 1, .threads = 1};
    struct ingest_options io = {.scrub = true};
    struct error e;

    io.store = store = memory_store_new();
    assert_int_equal(ingest_new(&io, &ingest, &e), 0);
    assert_int_equal(http_server_start(&o, &server, &e), 0);
    assert_non_null(mkdtemp(folder));
    snprintf(config, sizeof(config), "%s/p.yml", folder);
    snprintf(targets, sizeof(targets), "%s/t.json", folder);
    write_config("");
    write_file(targets, "[{\"targets\": [\"127.0.0.1:%d\"]}]", http_server_port(server));
    return 0;
}

static int teardown(void **state) {
    http_server_stop(server, NS_PER_S);
    ingest_stop(ingest);
    ingest_free(ingest);
    memory_store_free(store);
    unlink(config);
    unlink(targets);
    return rmdir(folder);
}

/* The only target's state, or SCRAPE_UNKNOWN; *ret_n: how many there are. */
static enum scrape_health look(struct scrape *s, size_t *ret_n, char *error, size_t room) {
    struct scrape_targets all;
    struct arena a;

    arena_init(&a, 1 << 20);
    assert_int_equal(scrape_read_targets(s, &a, &all), 0);
    *ret_n = all.n_active;
    enum scrape_health health = all.n_active ? all.active[0].health : SCRAPE_UNKNOWN;
    if (all.n_active)
        snprintf(error, room, "%.*s", SLICE_ARG(all.active[0].last_error));
    arena_done(&a);
    return health;
}

static void wait_for(struct scrape *s, size_t n, enum scrape_health health, char *error,
                     size_t room) {
    int64_t end = clock_monotonic_ns() + DEADLINE_NS;
    enum scrape_health now;
    size_t found;

    while ((now = look(s, &found, error, room)) != health || found != n) {
        if (clock_monotonic_ns() > end)
            fail_msg("%zu targets, health %d: %s", found, (int) now, error);
        usleep(1000);
    }
}

static void test_life(void **state) {
    struct scrape_options o = {.ingest = ingest, .config_file = config, .version = "1"};
    struct scrape *s;
    struct scrape_stats stats;
    struct error e = ERROR_NONE;
    char error[600];

    if (scrape_new(&o, &s, &e) < 0)
        fail_msg("%s", e.text);
    wait_for(s, 1, SCRAPE_UP, error, sizeof(error));
    /* A mistake changes nothing. */
    write_config("  foo: 1\n");
    assert_int_equal(scrape_reload(s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "p.yml:5: there is no key \"foo\""));
    body = "a 1\nb{\n";
    int64_t end = clock_monotonic_ns() + DEADLINE_NS;
    do { /* on a busy machine it may be down for another reason before: its time is short */
        assert_true(clock_monotonic_ns() < end);
        wait_for(s, 1, SCRAPE_DOWN, error, sizeof(error));
    } while (!strstr(error, "line 2, column 2: the labels are not closed: `b{`"));
    /* Another configuration of the same target. */
    body = "a 1\n";
    write_config("  honor_labels: true\n");
    assert_int_equal(scrape_reload(s, &e), 0);
    wait_for(s, 1, SCRAPE_UP, error, sizeof(error));
    write_file(targets, "[]");
    wait_for(s, 0, SCRAPE_UNKNOWN, error, sizeof(error));
    scrape_read_stats(s, &stats);
    assert_true(stats.scrapes > 2 && stats.scrapes_failed > 0 && stats.reloads_failed == 1);
    scrape_stop(s);
    scrape_free(s);
}

static void test_metadata_and_config(void **state) {
    struct scrape_options o = {.ingest = ingest, .config_file = config};
    struct scrape_metadata_info *found;
    struct scrape *s;
    struct error e = ERROR_NONE;
    struct buffer text;
    struct arena a;
    char error[600];
    size_t n;

    body = "# HELP a Help.\n# TYPE a counter\na 1\n";
    write_config("");
    write_file(targets, "[{\"targets\": [\"127.0.0.1:%d\"]}]", http_server_port(server));
    assert_int_equal(scrape_new(&o, &s, &e), 0);
    wait_for(s, 1, SCRAPE_UP, error, sizeof(error));
    arena_init(&a, 1 << 20);
    assert_int_equal(scrape_read_metadata(s, SLICE("a"), 0, &a, &found, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(found[0].metadata.type, METRIC_COUNTER);
    assert_slice(found[0].metadata.help, "Help.");
    assert_int_equal(found[0].target.n, 2);
    arena_done(&a);
    buffer_init(&text, 10000);
    assert_int_equal(scrape_print_config(s, &text), 0);
    assert_true(slice_find(buffer_slice(&text), SLICE("job_name: files")) > 0);
    buffer_done(&text);
    scrape_stop(s);
    scrape_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_life),
            cmocka_unit_test(test_metadata_and_config),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
