/* Statements for a cluster: their text, and that the engine's parser takes each. No cluster runs
 * here. */
#include "fixture.h"

#include "store/cluster.h"
#include "store/migrate.h"

static void test_names(void **state) {
    assert_true(cluster_name_is_valid("prod-1_a"));
    assert_false(cluster_name_is_valid(""));
    assert_false(cluster_name_is_valid("a' ENGINE"));
    assert_false(cluster_name_is_valid(
            "0123456789012345678901234567890123456789012345678901234567890123456"));
}

static void test_text(void **state) {
    struct buffer local, distributed;

    buffer_init(&local, 4096);
    buffer_init(&distributed, 4096);
    assert_int_equal(
            cluster_rewrite("CREATE TABLE IF NOT EXISTS spans\n(\n    a UInt8\n)\nENGINE = "
                            "MergeTree\nORDER BY a",
                            "c", &local, &distributed),
            0);
    assert_string_equal(
            (char *) local.data,
            "CREATE TABLE IF NOT EXISTS spans_local ON CLUSTER 'c'\n(\n    a UInt8\n)\nENGINE = "
            "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/spans_local', "
            "'{replica}')\nORDER BY a");
    assert_string_equal((char *) distributed.data,
                        "CREATE TABLE IF NOT EXISTS spans ON CLUSTER 'c' AS spans_local ENGINE = "
                        "Distributed('c', currentDatabase(), 'spans_local', cityHash64(trace_id))");
    buffer_clear(&local);
    buffer_clear(&distributed);
    assert_int_equal(cluster_rewrite("CREATE TABLE IF NOT EXISTS odd\n(a UInt8)\nENGINE = Log\n",
                                     "c", &local, &distributed),
                     -EINVAL);
    buffer_clear(&local);
    assert_int_equal(cluster_rewrite("ALTER TABLE spans\n    MODIFY COLUMN a UInt8", "c", &local,
                                     &distributed),
                     0);
    assert_string_equal((char *) local.data,
                        "ALTER TABLE spans_local ON CLUSTER 'c'\n    MODIFY COLUMN a UInt8");
    assert_int_equal(distributed.size, 0);
    buffer_clear(&local);
    assert_int_equal(cluster_rewrite("DROP TABLE spans", "c", &local, &distributed), 0);
    assert_string_equal((char *) local.data,
                        "DROP TABLE IF EXISTS spans_local ON CLUSTER 'c' SYNC");
    assert_string_equal((char *) distributed.data,
                        "DROP TABLE IF EXISTS spans ON CLUSTER 'c' SYNC");
    buffer_clear(&local);
    buffer_clear(&distributed);
    assert_int_equal(cluster_rewrite("RENAME TABLE odd TO samples", "c", &local, &distributed), 0);
    assert_string_equal((char *) local.data, "RENAME TABLE odd_local TO samples_local, odd TO "
                                             "samples ON CLUSTER 'c'");
    assert_string_equal((char *) distributed.data,
                        "CREATE OR REPLACE TABLE samples ON CLUSTER 'c' AS samples_local ENGINE = "
                        "Distributed('c', currentDatabase(), 'samples_local', id)");
    buffer_clear(&local);
    buffer_clear(&distributed);
    assert_int_equal(cluster_rewrite("RENAME TABLE odd", "c", &local, &distributed), -EINVAL);
    assert_int_equal(distributed.size, 0);
    buffer_clear(&local);
    assert_int_equal(
            cluster_rewrite("INSERT INTO a (b) SELECT b FROM c", "c", &local, &distributed), 0);
    assert_string_equal((char *) local.data, "INSERT INTO a (b) SELECT b FROM c");
    assert_string_equal((char *) distributed.data, "SYSTEM FLUSH DISTRIBUTED a");
    buffer_clear(&local);
    buffer_clear(&distributed);
    assert_int_equal(cluster_rewrite("SELECT 1", "c", &local, &distributed), 0);
    assert_string_equal((char *) local.data, "SELECT 1");
    assert_int_equal(distributed.size, 0);
    buffer_done(&local);
    buffer_done(&distributed);
}

static void parse(struct store *s, const struct buffer *statement) {
    struct error e = ERROR_NONE;
    struct buffer sql, answer;

    buffer_init(&sql, 1 << 20);
    buffer_init(&answer, 1 << 20);
    buffer_printf(&sql, "EXPLAIN AST %s", (const char *) statement->data);
    buffer_append_u8(&sql, 0);
    if (store_execute(s, (const char *) sql.data, &e) < 0)
        fail_msg("%s: %s", (const char *) statement->data, e.text);
    buffer_done(&sql);
    buffer_done(&answer);
}

static void test_engine_parses_all(void **state) {
    struct store_options o = fixture_options();
    struct store *s = fixture_open(&o);
    struct buffer local, distributed;
    unsigned n = 0;

    buffer_init(&local, 1 << 20);
    buffer_init(&distributed, 1 << 20);
    for (unsigned i = 0; i < migrations_n; i++)
        for (unsigned j = 0; j < migrations[i].n; j++) {
            buffer_clear(&local);
            buffer_clear(&distributed);
            assert_int_equal(
                    cluster_rewrite(migrations[i].statements[j], "c", &local, &distributed), 0);
            parse(s, &local);
            if (distributed.size) {
                parse(s, &distributed);
                n++;
            }
        }
    assert_true(n >= TABLE_COUNT);
    buffer_done(&local);
    buffer_done(&distributed);
    store_close(s);
}

static void test_cluster_needs_a_server(void **state) {
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;
    struct store *s;

    o.clickhouse_url = NULL;
    o.clickhouse_cluster = "c";
    assert_int_equal(store_open(&o, &s, &e), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_text),
            cmocka_unit_test(test_engine_parses_all),
            cmocka_unit_test(test_cluster_needs_a_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
