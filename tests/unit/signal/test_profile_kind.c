/* Whose code a file holds. */
#include "../unit.h"
#include "signal/profile_kind.h"

static void kinds_go_by_the_path(void **state) {
    static const struct {
        const char *file, *kind;
    } rows[] = {
            {"/app/shop.py", "app"},
            {"shop/views.py", "app"},
            {"/home/me/python/tool.py", "app"},
            {"<stdin>", "app"},
            {"/v/lib/python3.12/site-packages/flask/app.py", "library"},
            {"/usr/lib/python3/dist-packages/yaml/__init__.py", "library"},
            {"/opt/lib/varan/agent/varan/hooks/flask.py", "library"},
            {"<attrs generated init shop.Order>", "library"},
            {"/usr/lib/python3.12/json/decoder.py", "python"},
            {"/usr/lib64/python3.9/threading.py", "python"},
            {"/opt/lib/pypy3.10/re.py", "python"},
            {"<frozen importlib._bootstrap>", "python"},
            {"/usr/lib/python312.zip/abc.py", "python"},
            {"", "native"},
            {"[kernel.kallsyms]", "native"},
            {"/usr/lib/x86_64-linux-gnu/libc.so.6", "native"},
            {"/v/lib/python3.12/site-packages/numpy/core.cpython-312-x86_64-linux-gnu.so",
             "native"},
            {"/usr/bin/python3.11", "native"},
            {"numpy/core/src/multiarray.c", "native"},
            {"parser.pyx", "native"},
            {"/", "app"},
            {"<", "library"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_string_equal(profile_kind_name(profile_kind_of(slice_from(rows[i].file))),
                            rows[i].kind);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds_go_by_the_path)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
