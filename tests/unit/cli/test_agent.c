/* Protects: how a program gets the agent: which folder, and a PYTHONPATH that keeps the user's own.
 */
#include "../unit.h"

#include "cli/agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void finds_the_folder_it_is_told(void **state) {
    char base[] = "/tmp/varan-agent-XXXXXX", path[200];
    struct arena arena;
    const char *found;
    struct error e;

    assert_non_null(mkdtemp(base));
    arena_init(&arena, 65536);
    setenv("VARAN_AGENT_DIR", base, 1);
    assert_int_equal(agent_find("python", &arena, &found, &e), -ENOENT);
    assert_non_null(strstr(e.text, base));
    snprintf(path, sizeof(path), "%s/varan", base);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/varan/bootstrap", base);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/varan/bootstrap/sitecustomize.py", base);
    fclose(fopen(path, "w"));
    assert_int_equal(agent_find("python", &arena, &found, &e), 0);
    snprintf(path, sizeof(path), "%s/varan/bootstrap", base);
    assert_string_equal(found, path);
    setenv("VARAN_AGENT_DIR", path, 1); /* the folder itself */
    assert_int_equal(agent_find("python", &arena, &found, &e), 0);
    assert_string_equal(found, path);
    snprintf(path, sizeof(path), "rm -r '%s'", base);
    assert_int_equal(system(path), 0);
    arena_done(&arena);
}

static void keeps_the_users_path(void **state) {
    struct arena arena;

    arena_init(&arena, 65536);
    unsetenv("PYTHONPATH");
    assert_int_equal(agent_set_environment("/a/b", "http://x", NULL, &arena), 0);
    assert_string_equal(getenv("PYTHONPATH"), "/a/b");
    assert_string_equal(getenv("VARAN_ENDPOINT"), "http://x");
    setenv("PYTHONPATH", "/mine:/too", 1);
    assert_int_equal(agent_set_environment("/a/b", "http://y", "shop", &arena), 0);
    assert_string_equal(getenv("PYTHONPATH"), "/a/b:/mine:/too");
    assert_string_equal(getenv("VARAN_SERVICE"), "shop");
    assert_int_equal(agent_set_environment("/a/b", "http://y", NULL, &arena), 0); /* nested */
    assert_string_equal(getenv("PYTHONPATH"), "/a/b:/mine:/too");
    setenv("PYTHONPATH", "/a/bc", 1); /* another folder that begins alike */
    assert_int_equal(agent_set_environment("/a/b", "http://y", NULL, &arena), 0);
    assert_string_equal(getenv("PYTHONPATH"), "/a/b:/a/bc");
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(finds_the_folder_it_is_told),
            cmocka_unit_test(keeps_the_users_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
