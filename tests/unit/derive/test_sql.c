/* Statements without literals: known cases of each dialect, and the property that no literal
 * survives. */
#include "../unit.h"

#include "derive/sql.h"

#include <stdio.h>

static struct buffer out;

static struct slice fingerprint(enum sql_dialect d, const char *text) {
    buffer_clear(&out);
    assert_int_equal(sql_fingerprint(d, slice_from(text), &out), 0);
    return buffer_slice(&out);
}

static struct slice sanitised(enum sql_dialect d, const char *text) {
    buffer_clear(&out);
    assert_int_equal(sql_sanitise(d, slice_from(text), &out), 0);
    return buffer_slice(&out);
}

static const struct {
    enum sql_dialect dialect;
    const char *text, *fingerprint;
} cases[] = {
        {SQL_GENERIC, "SELECT 1", "SELECT ?"},
        {SQL_GENERIC, "  SELECT *\n\tFROM   t -- secret\n WHERE a = 'x' ; ",
         "SELECT * FROM t WHERE a = ?"},
        {SQL_GENERIC, "SELECT /* secret */ a FROM t1 WHERE b2 = 3.5e-7",
         "SELECT a FROM t1 WHERE b2 = ?"},
        {SQL_GENERIC, "SELECT a FROM t WHERE b IN (1, 2,3) AND c IN ('x')",
         "SELECT a FROM t WHERE b IN (?) AND c IN (?)"},
        {SQL_GENERIC, "SELECT a FROM t WHERE b IN (?, ?, ?)", "SELECT a FROM t WHERE b IN (?)"},
        {SQL_GENERIC, "SELECT a FROM t WHERE (b, c) IN ((1,2),(3,4))",
         "SELECT a FROM t WHERE (b, c) IN ((?))"},
        {SQL_GENERIC, "SELECT a FROM t WHERE b IN (SELECT id FROM u WHERE c = 5)",
         "SELECT a FROM t WHERE b IN (SELECT id FROM u WHERE c = ?)"},
        {SQL_GENERIC, "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, NULL)",
         "INSERT INTO t (a, b) VALUES (?)"},
        {SQL_GENERIC, "INSERT INTO t (a, b) VALUES (1, NOW()), (2, NOW()) RETURNING id",
         "INSERT INTO t (a, b) VALUES (?, NOW()) RETURNING id"},
        {SQL_GENERIC, "SELECT f(1, 2), -5 FROM t LIMIT 10 OFFSET 20",
         "SELECT f(?, ?), ? FROM t LIMIT ? OFFSET ?"},
        {SQL_GENERIC, "SELECT a-1, a - -1 FROM t", "SELECT a-?, a - ? FROM t"},
        {SQL_GENERIC, "SELECT 'it''s' || 'x'", "SELECT ? || ?"},
        {SQL_GENERIC, "SELECT 'it\\'s secret' , b FROM t", "SELECT ?"},
        {SQL_GENERIC, "SELECT 'never closed", "SELECT ?"},
        {SQL_GENERIC, "SELECT x'ff', N'secret', 0xFF FROM t", "SELECT ?, ?, ? FROM t"},
        {SQL_GENERIC, "SELECT \"a\".\"b\" FROM \"a\" WHERE \"a\".\"b\" = \"c\".\"d\"",
         "SELECT \"a\".\"b\" FROM \"a\" WHERE \"a\".\"b\" = \"c\".\"d\""},
        {SQL_GENERIC, "SELECT * FROM t WHERE name = \"secret\"", "SELECT * FROM t WHERE name = ?"},
        {SQL_GENERIC,
         "SELECT * FROM t WHERE a = :name AND b = @p1 AND c = %s AND d = %(x)s AND e = $1",
         "SELECT * FROM t WHERE a = ? AND b = ? AND c = ? AND d = ? AND e = ?"},
        {SQL_GENERIC, "SELECT {id:UInt64}, a::int, @@version", "SELECT ?, a::int, @@version"},
        {SQL_POSTGRES, "SELECT $$secret$$, $tag$ sec$$ret $tag$, E'a\\'b' FROM t",
         "SELECT ?, ?, ? FROM t"},
        {SQL_POSTGRES, "SELECT a /* x /* y */ secret */ FROM t", "SELECT a FROM t"},
        {SQL_POSTGRES, "SELECT 'C:\\' , b FROM t", "SELECT ? , b FROM t"},
        {SQL_POSTGRES, "SELECT * FROM t WHERE a = ANY(ARRAY[1,2,3])",
         "SELECT * FROM t WHERE a = ANY(ARRAY[?])"},
        {SQL_POSTGRES, "SELECT \"weird name\" FROM t", "SELECT \"weird name\" FROM t"},
        {SQL_POSTGRES, "SELECT U&'d\\0061t', U&\"x\" FROM t", "SELECT ?, \"x\" FROM t"},
        {SQL_MYSQL, "SELECT `a b` FROM t WHERE c = \"secret\" # secret\n AND d = 'a\\'b'",
         "SELECT `a b` FROM t WHERE c = ? AND d = ?"},
        {SQL_MYSQL, "SELECT _utf8'secret', 1e10", "SELECT ?, ?"},
        {SQL_MSSQL, "SELECT [order id] FROM [dbo].[t] WHERE a = N'x'",
         "SELECT [order id] FROM [dbo].[t] WHERE a = ?"},
        {SQL_STRICT, "SELECT q'[it's secret]' FROM dual", "SELECT ? FROM dual"},
        {SQL_DOCUMENT,
         "{\"find\": \"users\", \"filter\": {\"age\": {\"$gt\": 30}, \"tags\": [1, \"x\"]}}",
         "{\"find\": ?, \"filter\": {\"age\": {\"$gt\": ?}, \"tags\": [?, ?]}}"},
        {SQL_GENERIC, "{'find': 'users', 'n': None}", "{'find': ?, 'n': ?}"},
        {SQL_COMMAND, "SET key secret EX 5", "SET ?"},
        {SQL_COMMAND, "GET a\nPING", "GET ?\nPING"},
        {SQL_COMMAND, "s3cret", "?"},
        {SQL_GENERIC, "", ""},
        {SQL_GENERIC, "BEGIN", "BEGIN"},
        {SQL_GENERIC, "SELECT 1;", "SELECT ?"},
        {SQL_GENERIC, "CREATE TABLE t (a VARCHAR(20))", "CREATE TABLE t (a VARCHAR(?))"},
        {SQL_MYSQL, "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)",
         "INSERT INTO t VALUES (?) ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)"},
};

static void fingerprints(void **state) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct slice s = fingerprint(cases[i].dialect, cases[i].text);
        if (!slice_is(s, cases[i].fingerprint))
            fail_msg("%s\n  became %.*s\n  wanted %s", cases[i].text, SLICE_ARG(s),
                     cases[i].fingerprint);
        char again[4096];
        snprintf(again, sizeof(again), "%.*s", SLICE_ARG(s));
        assert_slice(fingerprint(cases[i].dialect, again), cases[i].fingerprint); /* stable */
    }
}

/* The fingerprint of the sanitised text is that of the text: state.c relies on it. */
static void agree(void **state) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[4096];
        snprintf(text, sizeof(text), "%.*s", SLICE_ARG(sanitised(cases[i].dialect, cases[i].text)));
        if (!slice_is(fingerprint(cases[i].dialect, text), cases[i].fingerprint))
            fail_msg("%s\n  sanitised %s\n  became %.*s", cases[i].text, text,
                     SLICE_ARG(buffer_slice(&out)));
    }
}

static void sanitises(void **state) {
    assert_slice(sanitised(SQL_GENERIC, "SELECT  a\n FROM t WHERE b = 'x' AND c IN (1, 2) -- y"),
                 "SELECT  a\n FROM t WHERE b = ? AND c IN (?, ?)  ");
    assert_slice(sanitised(SQL_GENERIC, "SELECT a FROM t WHERE b = ? AND c=$1"),
                 "SELECT a FROM t WHERE b = ? AND c=$1");
    assert_slice(sanitised(SQL_GENERIC, "INSERT INTO t (\"a\") VALUES (\"x\")"),
                 "INSERT INTO t (\"a\") VALUES (?)");
}

static uint32_t seed = 1;

static uint32_t below(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* Random statements with a marked secret in every literal: none may be seen afterwards. */
static void no_literal_survives(void **state) {
    static const char *const parts[] = {
            "SELECT ", "a, ",   "FROM t ",    "WHERE ",   "b = ",    "AND ",     "(",
            ")",       ", ",    "IN (",       "VALUES (", "-- c\n",  "/* c */ ", "= ",
            "< ",      "LIKE ", ":p ",        "? ",       "\"id\" ", "\"t\".",   "- ",
            "1 ",      "x.",    "CASE WHEN ", "f(",       "[",       "] ",       "$1 ",
            "::int ",  "@v ",   "%s ",        ";",        "\n",      "tab1e ",   "_x ",
    };
    static const char *const literals[] = {
            "'SECRET'",    "'a ''SECRET'' b'", "N'SECRET'",       "X'5ECRE7'",     "'\nSECRET'",
            "-- SECRET\n", "/* SECRET */",     "'SECRET;SECRET'", "'(SECRET)'",    "'--SECRET'",
            "'/*SECRET'",  "4242424242",       "0x4242424242",    "-4242424242.5", "'\"SECRET'",
            "'`SECRET'",   "'$$SECRET'",
    };
    for (unsigned round = 0; round < 20000; round++) {
        enum sql_dialect d = (enum sql_dialect) below(SQL_STRICT + 1);
        char text[2000];
        size_t n = 0;
        for (unsigned i = 0; i < 3 + below(20); i++) {
            const char *part = below(3) ? parts[below(sizeof(parts) / sizeof(*parts))]
                                        : literals[below(sizeof(literals) / sizeof(*literals))];
            n += (size_t) snprintf(text + n, sizeof(text) - n, "%s ", part);
        }
        for (unsigned way = 0; way < 2; way++) {
            struct slice s = way ? sanitised(d, text) : fingerprint(d, text);
            if (slice_find(s, SLICE("SECRET")) >= 0 || slice_find(s, SLICE("4242")) >= 0 ||
                slice_find(s, SLICE("5ECRE7")) >= 0)
                fail_msg("dialect %d: %s\n  became %.*s", (int) d, text, SLICE_ARG(s));
        }
    }
}

/* Long ones are cut at the cap, between characters, and quickly. */
static void caps(void **state) {
    static char text[100000];

    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    struct slice s = fingerprint(SQL_GENERIC, text);
    assert_true(s.size <= SQL_FINGERPRINT_BYTES_MAX);
    assert_true(slice_is_utf8(s));
    memset(text, '(', sizeof(text) - 1);
    assert_true(fingerprint(SQL_GENERIC, text).size <= SQL_FINGERPRINT_BYTES_MAX);
    assert_int_equal(sanitised(SQL_GENERIC, text).size, sizeof(text) - 1);
}

static int teardown(void **state) {
    buffer_done(&out);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(fingerprints), cmocka_unit_test(agree),
            cmocka_unit_test(sanitises),    cmocka_unit_test(no_literal_survives),
            cmocka_unit_test(caps),
    };
    buffer_init(&out, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
