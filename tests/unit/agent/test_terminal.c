/* Control sequences of terminals leave a text, and nothing else does. */
#include "../unit.h"

#include "terminal.h"

static void stripped(const char *text, size_t n, const char *wanted) {
    char to[400], *exact = malloc(n ? n : 1); /* so that a read beyond it is seen */

    assert_non_null(exact);
    memcpy(exact, text, n);
    size_t left = terminal_strip(exact, n, to);
    assert_true(left <= n);
    to[left] = 0;
    assert_string_equal(to, wanted);
    free(exact);
}

static void takes_sequences_out(void **state) {
    static const char *const cases[][2] = {
            {"", ""},
            {"plain\ttext\r\n", "plain\ttext\r\n"},
            {"\x1b[31mred\x1b[0m", "red"},
            {"\x1b[1;38;5;208mx\x1b[m", "x"},
            {"\x1b[2K\x1b[?25lspin\x1b[?25h", "spin"},
            {"\x1b]0;title\x07text", "text"},
            {"\x1b]8;;http://h/\x1b\\link\x1b]8;;\x1b\\", "link"},
            {"\x1bPq#0\x1b\\x", "x"},
            {"\x1b(B\x1b=\x1b"
             "7a\x1b"
             "8",
             "a"},
            {"\xc3\xa4\x1b[1m\xe2\x82\xac\x1b[0m", "\xc3\xa4\xe2\x82\xac"},
            /* What only begins like one stays. */
            {"\x1b", "\x1b"},
            {"\x1b[", "\x1b["},
            {"\x1b[31", "\x1b[31"},
            {"\x1b[31\n", "\x1b[31\n"},
            {"\x1b]0;no end\nnext line", "\x1b]0;no end\nnext line"},
            {"\x1b]0;t\x1b[1mx", "\x1b]0;tx"},
            {"\x1b\x1b[1mx", "\x1bx"},
            {"\x1b and", "\x1b and"},
            {"[31m", "[31m"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        stripped(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    assert_false(terminal_talks("abc", 3));
    assert_false(terminal_talks(NULL, 0));
    assert_true(terminal_talks("a\x1b", 2));
}

/* Whatever the bytes: never more than there was. */
static void survives_any_bytes(void **state) {
    static const char alphabet[] = "\x1b\x1b\x1b[]P;0m\x07\\\nA\x80(";
    uint64_t seed = 1;

    for (unsigned round = 0; round < 20000; round++) {
        char text[40], to[40];
        seed = seed * UINT64_C(6364136223846793005) + 1;
        size_t n = (seed >> 33) % (sizeof(text) + 1);
        for (size_t i = 0; i < n; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1;
            text[i] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
        }
        assert_true(terminal_strip(text, n, to) <= n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(takes_sequences_out),
            cmocka_unit_test(survives_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
