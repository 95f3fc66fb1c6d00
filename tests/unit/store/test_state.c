/* Control-plane state: migrations per owner, kept over a restart, refused when newer. */
#include "fixture.h"

#include <sqlite3.h>

static const char *const versions[] = {
        "CREATE TABLE rules (id INTEGER PRIMARY KEY, name TEXT)",
        "ALTER TABLE rules ADD COLUMN note TEXT; INSERT INTO rules (name, note) VALUES ('a', 'b')",
};

static int rows(struct store *s) {
    sqlite3_stmt *q = NULL;
    struct sqlite3 *db = store_state_lock(s);

    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM rules", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int n = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    store_state_unlock(s);
    return n;
}

static void test_state(void **state) {
    struct store_options o = fixture_options();
    struct store *s = fixture_open(&o);
    struct error e = ERROR_NONE;

    assert_int_equal(store_state_migrate(s, "alert", versions, 1, &e), 0);
    assert_int_equal(rows(s), 0);
    assert_int_equal(store_state_migrate(s, "alert", versions, 2, &e), 0);
    assert_int_equal(store_state_migrate(s, "alert", versions, 2, &e), 0);
    assert_int_equal(rows(s), 1);
    assert_int_equal(store_state_migrate(s, "alert", versions, 1, &e), -EPROTONOSUPPORT);
    assert_non_null(strstr(e.text, "newer"));
    static const char *const broken[] = {"CREATE TABLE half (a); CREATE TABLE rules (b)"};
    assert_int_equal(store_state_migrate(s, "other", broken, 1, &e), -EIO);
    static const char *const whole[] = {
            "CREATE TABLE half (a)"}; /* nothing of the broken one is left */
    assert_int_equal(store_state_migrate(s, "other", whole, 1, &e), 0);
    store_close(s);
    s = fixture_open(&o);
    assert_int_equal(rows(s), 1);
    store_close(s);
}

static void test_newer_schema_is_refused(void **state) {
    struct store_options o = fixture_options();
    struct store *s = fixture_open(&o);
    struct error e = ERROR_NONE;

    assert_int_equal(
            store_execute(s, "INSERT INTO schema_version VALUES (9999, 'future', now())", &e), 0);
    store_close(s);
    assert_int_equal(store_open(&o, &s, &e), -EPROTONOSUPPORT);
    assert_non_null(strstr(e.text, "newer Varan"));
}

static void test_data_dir_errors(void **state) {
    struct store_options o = fixture_options();
    struct error e = ERROR_NONE;
    struct store *s;

    o.data_dir = "/proc/varan-cannot-be-made";
    assert_true(store_open(&o, &s, &e) < 0);
    assert_non_null(strstr(e.text, "/proc/varan-cannot-be-made"));
    o.data_dir = NULL;
    assert_int_equal(store_open(&o, &s, &e), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_state),
            cmocka_unit_test(test_newer_schema_is_refused),
            cmocka_unit_test(test_data_dir_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
