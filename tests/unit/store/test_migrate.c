/* A data folder of the first schema is taken over by this program, rows and all; a migration that
 * was interrupted at any statement goes on. */
#include "fixture.h"

#include "store/engine.h"
#include "store/migrate.h"

static struct engine *open_engine(const struct store_options *o) {
    struct error e = ERROR_NONE;
    struct engine *g;
    char path[400];
    int r;

    snprintf(path, sizeof(path), "%s/engine", o->data_dir);
    r = o->clickhouse_url ? engine_http_open(o->clickhouse_url, "varan", &g, &e)
                          : engine_embedded_open(o->engine_lib, path, &g, &e);
    if (r < 0)
        fail_msg("engine: %s", e.text);
    return g;
}

static void run(struct engine *g, const char *sql) {
    struct error e = ERROR_NONE;

    if (g->ops->execute(g, sql, NULL, &e) < 0)
        fail_msg("%s: %s", sql, e.text);
}

/* What the first schema had, with rows of two days. */
static void fill_first_schema(struct engine *g) {
    struct error e = ERROR_NONE;

    if (migrate(g, NULL, 1, &e) < 0)
        fail_msg("%s", e.text);
    run(g, "INSERT INTO samples SELECT 7, now64(3) - INTERVAL number HOUR, number FROM "
           "numbers(48)");
    run(g, "INSERT INTO samples SELECT 7, (SELECT max(ts) FROM samples), 0");
    run(g, "INSERT INTO series SELECT 7, 'old_total', map('job', 'x'), now() - 200000, now()");
}

static void from_the_first_schema(void **state) {
    struct store_options o = fixture_options();
    struct engine *g = open_engine(&o);
    struct error e = ERROR_NONE;

    fill_first_schema(g);
    /* Interrupted after each statement of the second one. */
    for (unsigned n = 1; n <= migrations[1].n; n++)
        for (unsigned i = 0; i < n; i++)
            run(g, migrations[1].statements[i]);
    if (migrate(g, NULL, 0, &e) < 0)
        fail_msg("%s", e.text);
    g->ops->close(g);
    struct store *s = fixture_open(&o);
    assert_int_equal(fixture_number(s, "SELECT count() FROM samples FINAL"), 48);
    assert_int_equal(fixture_number(s, "SELECT toUInt64(sum(value)) FROM samples FINAL"), 1128);
    assert_int_equal(fixture_number(s, "SELECT count() FROM series"), 1);
    assert_int_equal(fixture_number(s, "SELECT count() FROM system.tables WHERE database = "
                                       "currentDatabase() AND name = 'samples' AND engine = "
                                       "'ReplacingMergeTree'"),
                     1);
    assert_int_equal(fixture_number(s, "SELECT count() FROM system.columns WHERE database = "
                                       "currentDatabase() AND table = 'samples' AND "
                                       "compression_codec = 'CODEC(Delta(8), ZSTD(3))'"),
                     1);
    assert_int_equal(fixture_number(s, "SELECT max(version) FROM schema_version"), migrations_n);
    store_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_the_first_schema)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
