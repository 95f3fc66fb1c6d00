/* Libraries that are opened when they are called: what was found works, and stays found; what is
 * not there ends the process as the dynamic linker would, with the name of what is missing. */
#include "../unit.h"

#include "base/late.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static struct late_library mathematics = {.file = "libm.so.6", .package = "libc6"};

static void test_found(void **state) {
    for (int i = 0; i < 2; i++)
        assert_true(LATE_FUNCTION(&mathematics, floor)(2.5) == 2.0);
    assert_non_null(mathematics.handle);
}

/* What a child that calls it says, and its status. */
static int call_missing(struct late_library *library, const char *name, char *ret, size_t room) {
    int ends[2], status = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        late_function(library, name);
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(ends[0], ret + n, room - 1 - n)) > 0;)
        n += (size_t) got;
    ret[n] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_missing(void **state) {
    struct late_library none = {.file = "libvaran-has-none.so.7", .package = "a-package"};
    char text[512];

    assert_int_equal(call_missing(&none, "anything", text, sizeof(text)), 127);
    assert_non_null(strstr(text, "libvaran-has-none.so.7"));
    assert_non_null(strstr(text, "apt install a-package"));
    assert_int_equal(call_missing(&mathematics, "varan_has_none", text, sizeof(text)), 127);
    assert_non_null(strstr(text, "varan_has_none"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found),
                                       cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
