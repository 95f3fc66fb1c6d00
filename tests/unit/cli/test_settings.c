/* Protects: the option table of `varan serve` is complete and consistent, so that help, file,
 * environment and command line agree; and the data folder's default. */
#include "../unit.h"

#include "cli/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* VARAN_DATA_DIR, data_dir and --data-dir are one name in three spellings. */
static void spells_names_alike(void **state) {
    for (size_t i = 0; i < settings_table.n; i++) {
        const struct option_def *d = &settings_table.items[i];
        char variable[64] = "VARAN_", key[64];
        size_t n = strlen(d->name);
        for (size_t k = 0; k <= n; k++) {
            key[k] = d->name[k] == '-' ? '_' : d->name[k];
            variable[6 + k] = (char) toupper((unsigned char) key[k]);
        }
        assert_string_equal(d->variable, variable);
        if (d->key)
            assert_string_equal(d->key, key);
        assert_true(strlen(d->help) > 3);
        assert_true((d->type == OPTION_FLAG) == (d->metavar == NULL));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(d->name, settings_table.items[k].name);
            assert_int_not_equal(d->offset, settings_table.items[k].offset);
        }
    }
}

static void finds_the_data_folder(void **state) {
    char serve[] = "serve", option[] = "--data-dir", relative[] = "rel/dir";
    char *plain[] = {serve, NULL}, *with[] = {serve, option, relative, NULL};
    struct settings s;

    unsetenv("VARAN_DATA_DIR");
    setenv("HOME", "/home/x", 1);
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(settings_read(1, plain, &s), -1);
    assert_string_equal(s.data_dir, "/home/x/.local/share/varan");
    assert_string_equal(s.listen, "127.0.0.1:8272");
    settings_done(&s);
    setenv("XDG_DATA_HOME", "/data", 1);
    assert_int_equal(settings_read(1, plain, &s), -1);
    assert_string_equal(s.data_dir, "/data/varan");
    settings_done(&s);
    assert_int_equal(settings_read(3, with, &s), -1);
    assert_true(s.data_dir[0] == '/'); /* the engine needs it absolute */
    assert_non_null(strstr(s.data_dir, "/rel/dir"));
    settings_done(&s);
}

static void tells_what_changed(void **state) {
    char serve[] = "serve", option[] = "--retention-days=9", level[] = "--log-level=warn";
    char *plain[] = {serve, NULL}, *with[] = {serve, option, level, NULL};
    struct settings a, b;
    char names[200];

    setenv("HOME", "/home/x", 1);
    assert_int_equal(settings_read(1, plain, &a), -1);
    assert_int_equal(settings_read(1, plain, &b), -1);
    settings_differences(&a, &b, names, sizeof(names));
    assert_string_equal(names, "");
    settings_done(&b);
    assert_int_equal(settings_read(3, with, &b), -1);
    settings_differences(&a, &b, names, sizeof(names));
    assert_string_equal(names, "retention-days, log-level");
    settings_differences(&a, &b, names, 5); /* no room: cut, not overrun */
    assert_int_equal(strlen(names), 4);
    settings_done(&a);
    settings_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(spells_names_alike),
            cmocka_unit_test(finds_the_data_folder),
            cmocka_unit_test(tells_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
