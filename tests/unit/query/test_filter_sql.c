/* Protects the SQL that filters become: what a user wrote reaches it as parameters only. */
#include "../unit.h"

#include "query/filter.h"

static struct arena arena;
static struct sql sql;

static int setup(void **state) {
    arena_init(&arena, 16 << 20);
    sql_init(&sql, &arena);
    return 0;
}

static int teardown(void **state) {
    sql_done(&sql);
    arena_done(&arena);
    return 0;
}

static int compile(enum filter_signal signal, enum filter_target target, const char *text) {
    struct filter *f = NULL;
    struct filter_error e;

    sql_clear(&sql);
    if (filter_parse(&arena, signal, slice_from(text), &f, &e) < 0)
        fail_msg("%s: column %u: %s", text, e.column, e.message);
    return filter_compile(f, target, &sql);
}

static void check(enum filter_signal signal, const char *text, const char *expected,
                  const char *first_param) {
    assert_int_equal(compile(signal, signal == FILTER_SPANS ? TARGET_SPANS : TARGET_LOGS, text), 0);
    assert_string_equal(sql_text(&sql), expected);
    if (first_param)
        assert_slice(sql.params[0].value, first_param);
}

static void compiles(void **state) {
    check(FILTER_SPANS, "", "1", NULL);
    check(FILTER_SPANS, "service=shop", "(service = {p0:String})", "shop");
    check(FILTER_SPANS, "service!=shop", "(NOT (service = {p0:String}))", "shop");
    check(FILTER_SPANS, "name=GET*", "(name LIKE {p0:String})", "GET%");
    check(FILTER_SPANS, "name=a_b%*", "(name LIKE {p0:String})", "a\\_b\\%%");
    check(FILTER_SPANS, "name=\"GET*\"", "(name = {p0:String})", "GET*");
    check(FILTER_SPANS, "duration>200ms", "(duration_ns > {p0:Int64})", "200000000");
    check(FILTER_SPANS, "duration<=1.5s", "(duration_ns <= {p0:Int64})", "1500000000");
    check(FILTER_SPANS, "kind=server", "(kind = 2)", NULL);
    check(FILTER_SPANS, "status=error AND entry=true", "((status = 2) AND (entry = 1))", NULL);
    check(FILTER_SPANS, "http.status_code>=500", "(http_status != 0 AND http_status >= {p0:Int64})",
          "500");
    check(FILTER_SPANS, "x=5", "(attributes[{p0:String}] = {p1:String})", "x");
    check(FILTER_SPANS, "x>5",
          "(ifNull(toFloat64OrNull(attributes[{p0:String}]) > {p1:Float64}, 0))", "x");
    check(FILTER_SPANS, "x=5e2",
          "(ifNull(toFloat64OrNull(attributes[{p0:String}]) = {p1:Float64}, 0))", "x");
    check(FILTER_SPANS, "x IN (a, b)",
          "(attributes[{p0:String}] IN JSONExtract({p1:String}, 'Array(String)'))", "x");
    check(FILTER_SPANS, "name NOT IN (a, b*)",
          "(NOT ((name = {p0:String}) OR (name LIKE {p1:String})))", "a");
    check(FILTER_SPANS, "version=1",
          "(resource_id IN (SELECT id FROM resources WHERE version = {p0:String}))", "1");
    check(FILTER_SPANS, "EXISTS x", "(mapContains(attributes, {p0:String}))", "x");
    check(FILTER_SPANS, "a~\"^x+$\"", "(match(attributes[{p0:String}], {p1:String}))", "a");
    check(FILTER_LOGS, "level>=warn", "(severity >= 13)", NULL);
    check(FILTER_LOGS, "level>warn", "(severity > 16)", NULL);
    check(FILTER_LOGS, "level<warn", "(severity < 13)", NULL);
    check(FILTER_LOGS, "level=error", "(severity BETWEEN 17 AND 20)", NULL);
    check(FILTER_SPANS, "span_id=00f067aa0ba902b7",
          "(span_id = toFixedString(unhex({p0:String}), 8))", "00f067aa0ba902b7");
}

static void compiles_for_red_what_it_has(void **state) {
    static const char *const yes[] = {"", "service=a", "name=GET* OR NOT kind=server",
                                      "status=error", "entry=true AND service IN (a, b)"};
    static const char *const no[] = {"duration>1s", "x=1",      "service=a AND \"text\"",
                                     "version=1",   "EXISTS x", "x IN (1)"};
    struct filter *f;
    struct filter_error e;

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_int_equal(compile(FILTER_SPANS, TARGET_RED, yes[i]), 0);
        assert_int_equal(filter_parse(&arena, FILTER_SPANS, slice_from(yes[i]), &f, &e), 0);
        assert_true(filter_fits_red(f));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        assert_int_equal(compile(FILTER_SPANS, TARGET_RED, no[i]), -EOPNOTSUPP);
        assert_int_equal(filter_parse(&arena, FILTER_SPANS, slice_from(no[i]), &f, &e), 0);
        assert_false(filter_fits_red(f));
    }
}

/* Nothing of a hostile value or key may stand in the statement. */
static void never_lets_values_into_sql(void **state) {
    static const char *const hostile[] = {
            "service=\"x' OR 1=1 --HOSTILE\"",
            "service='HOSTILE\\'; DROP TABLE spans; --'",
            "@\"HOSTILE'] = '' OR 1=1 --\"=1",
            "resource.\"HOSTILE') --\"=1",
            "service IN (HOSTILE, \"HOSTILE{p0:String}\", 'a`HOSTILE`')",
            "\"HOSTILE%' OR '1'='1\"",
            "name~\"HOSTILE'\"",
            "name=HOSTILE*",
            "HOSTILE>5",
            "EXISTS HOSTILE",
            "EXISTS @\"HOSTILE'\"",
            "version=HOSTILE host=HOSTILE",
            "HOSTILE NOT IN (1.5, 2)",
            "statement=HOSTILE* peer!=HOSTILE scope!~HOSTILE",
    };

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        for (int target = TARGET_SPANS; target <= TARGET_LOGS; target++) {
            enum filter_signal signal = target == TARGET_SPANS ? FILTER_SPANS : FILTER_LOGS;
            assert_int_equal(compile(signal, (enum filter_target) target, hostile[i]), 0);
            assert_null(strstr(sql_text(&sql), "HOSTILE"));
            assert_true(sql.n_params > 0);
        }
}

static void bounds_parameters(void **state) {
    for (unsigned i = 0; i < SQL_PARAMS_MAX + 1; i++)
        sql_string(&sql, SLICE("the same one is bound once"));
    assert_non_null(sql_text(&sql));
    assert_int_equal(sql.n_params, 1);
    for (unsigned i = 0; i < SQL_PARAMS_MAX + 1; i++)
        sql_u64(&sql, i);
    assert_null(sql_text(&sql));
    assert_int_equal(sql.failed, -ENOBUFS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(compiles, setup, teardown),
            cmocka_unit_test_setup_teardown(compiles_for_red_what_it_has, setup, teardown),
            cmocka_unit_test_setup_teardown(never_lets_values_into_sql, setup, teardown),
            cmocka_unit_test_setup_teardown(bounds_parameters, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
