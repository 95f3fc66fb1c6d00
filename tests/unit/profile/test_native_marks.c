/* Lines of Cython's source, out of the C file that it writes. */
#include "../unit.h"

#include "profile/native_source.h"

static const char C_FILE[] = "static int helper(void);\n"                 /* 1 */
                             "/* #### Code section: module_code ### */\n" /* 2 */
                             "\n"
                             "  /* \"pack/mill.pyx\":4\n" /* 4 */
                             " * cdef long grind(long n):\n"
                             " */\n"
                             "  x = 1;\n" /* 7 */
                             "\t/* \"mill.pyx\":12\r\n"
                             "  y = 2;\n"
                             "/* #### Code section: utility_code_def ### */\n" /* 10 */
                             "  z = 3;\n";

static void lines_of_the_source(void **state) {
    struct native_marks marks = {0};
    static const struct {
        unsigned c_line, line;
        const char *file;
    } rows[] = {{2, 0, ""},
                {3, 0, ""},
                {4, 4, "pack/mill.pyx"},
                {7, 4, "pack/mill.pyx"},
                {8, 12, "mill.pyx"},
                {9, 12, "mill.pyx"},
                {10, 0, ""},
                {4000000000u, 0, ""}};

    assert_int_equal(native_marks_read(slice_from(C_FILE), &marks), 0);
    assert_int_equal(marks.n, 4);
    assert_null(native_mark_before(&marks, 1));
    assert_null(native_mark_before(&marks, 0));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct native_mark *mark = native_mark_before(&marks, rows[i].c_line);
        assert_int_equal(mark->line, rows[i].line);
        assert_int_equal(mark->file.size, strlen(rows[i].file));
        if (mark->file.size)
            assert_memory_equal(mark->file.data, rows[i].file, mark->file.size);
    }
    vector_done(&marks);
}

static void other_comments(void **state) {
    static const char *const texts[] = {"",
                                        "\n",
                                        "/* \"",
                                        "/* \"\n",
                                        "/* \"a.pyx\"",
                                        "/* \"a.pyx\":",
                                        "/* \"a.pyx\":\n",
                                        "/* \"a.pyx\":0\n",
                                        "/* \"\":1\n",
                                        "/* \"a.pyx\":1 */\n",
                                        "/* \"a.pyx\":99999999999999999999\n",
                                        "x = 1; /* \"a.pyx\":1\n"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct native_marks marks = {0};
        assert_int_equal(native_marks_read(slice_from(texts[i]), &marks), 0);
        assert_int_equal(marks.n, 0);
        vector_done(&marks);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(lines_of_the_source),
            cmocka_unit_test(other_comments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
