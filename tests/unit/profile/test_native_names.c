/* Names of Cython's functions, out of their symbols. */
#include "../unit.h"

#include "profile/native.h"

static void cython_names(void **state) {
    static const struct {
        const char *symbol, *name;
    } rows[] = {
            {"__pyx_pf_4demo_work", "demo.work"},
            {"__pyx_pw_4demo_1compute", "demo.compute"},
            {"__pyx_pf_4demo_5Thing_2run", "demo.Thing.run"},
            {"__pyx_f_7package_6module_fast", "package.module.fast"},
            {"__pyx_pw_4demo_5Thing_12__init__", "demo.Thing.__init__"},
    };
    char name[64];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(native_cython_name(rows[i].symbol, name, sizeof(name)));
        assert_string_equal(name, rows[i].name);
    }
}

static void other_names(void **state) {
    static const char *const symbols[] = {"",
                                          "deflate",
                                          "__pyx_",
                                          "__pyx_pf_",
                                          "__pyx_pf_4demo_",
                                          "__pyx_pf_99demo_x",
                                          "__pyx_pf_0_x",
                                          "__pyx_pf_99999999999999999999demo_x",
                                          "__pyx_pymod_exec_demo"};
    char name[64];

    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
        assert_false(native_cython_name(symbols[i], name, sizeof(name)));
    assert_false(native_cython_name("__pyx_pf_4demo_work", name, 6)); /* no room */
    assert_false(native_cython_name("__pyx_pf_4demo_work", name, 0));
}

static void main_loop(void **state) {
    assert_true(native_is_eval("_PyEval_EvalFrameDefault"));
    assert_true(native_is_eval("_PyEval_EvalFrameDefault.cold"));
    assert_false(native_is_eval("PyEval_EvalCode"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(cython_names),
            cmocka_unit_test(other_names),
            cmocka_unit_test(main_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
