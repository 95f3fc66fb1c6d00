/* No query may name the function that reads files, in whatever disguise. */
#include "unit.h"

#include "store/guard.h"

static const char *const refused[] = {
        "SELECT file('/etc/passwd')",
        "SELECT FILE ('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT \"file\"('/etc/passwd')",
        "SELECT `fi\\x6ce`('/etc/passwd')",
        "SELECT * APPLY(file) FROM t",
        "SELECT 'it''s', file('x')",
        "SELECT 'a\\'b', file('x')",
        "SELECT $$ ' $$, file('x'), '",
        "SELECT $a$ ' $a$",
        "SELECT \xe2\x80\x98 ' \xe2\x80\x99, file('x'), '",
        "SELECT x'\\', file(' ')",
        "SELECT 1 -- '\n, file('x'), '",
        "SELECT 1 /* ' */, file('x'), '",
        "SELECT 1 # '\n, file('x')",
        "SELECT 'no end",
        "SELECT `no end",
        "SELECT 'no end\\",
};

static const char *const accepted[] = {
        "",
        "SELECT 1",
        "SELECT attributes['file'], 'file(1)' FROM spans WHERE name = 'gr\xc3\xb6\xc3\x9f e'",
        "SELECT profile, files, file_name, `code.file.path` FROM t",
        "SELECT 1 /* a comment */ + 2 -- another",
        "SELECT x'41', b'01', {name:String}, \"quoted\"",
        "SELECT '\\'', 'file', '-- no comment', '/* neither */'",
};

static void test_refused(void **state) {
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct error e = ERROR_NONE;
        if (guard_check(slice_from(refused[i]), &e) != -EINVAL || !*e.text)
            fail_msg("let through: %s", refused[i]);
    }
}

static void test_accepted(void **state) {
    for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
        struct error e = ERROR_NONE;
        if (guard_check(slice_from(accepted[i]), &e) != 0)
            fail_msg("refused: %s: %s", accepted[i], e.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
