/*
 * Real interpreters: a program with a known stack is started, read while it runs, and must be
 * unharmed. python3 of the PATH always, and those that VARAN_TEST_PYTHONS names (separated by
 * colons).
 */
#include "../unit.h"

#include "base/clock.h"
#include "cpython/cpython.h"
#include "cpython/offsets.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_NS (20 * NS_PER_S)

static const char program[] = "import threading, time\n"
                              "def wärme():\n"
                              "    time.sleep(1000)\n"
                              "def middle():\n"
                              "    for _ in (1,):\n"
                              "        wärme()\n"
                              "def busy():\n"
                              "    while True:\n"
                              "        sum(range(100))\n"
                              "threading.Thread(target=busy, daemon=True).start()\n"
                              "middle()\n";

static pid_t start(const char *python) {
    pid_t pid = fork();

    if (pid == 0) {
        execlp(python, python, "-c", program, (char *) NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static bool ends_with(const char *text, const char *end) {
    return slice_ends(slice_from(text), slice_from(end));
}

/* Whether the thread is the main one, in the stack that the program leads to. */
static bool is_expected(const struct cpython_thread *t) {
    static const int lines[] = {3, 6, 11};
    static const char *const names[] = {"w\xc3\xa4rme", "middle", "<module>"};

    if (t->n_frames != 3)
        return false;
    for (size_t i = 0; i < 3; i++)
        if (t->frames[i].line != lines[i] || !ends_with(t->frames[i].code->name, names[i]) ||
            strcmp(t->frames[i].code->file, "<string>") != 0)
            return false;
    return true;
}

static bool reads_well(pid_t pid, struct error *e) {
    struct cpython *c;
    struct cpython_sample s;
    bool main_found = false, busy_found = false;

    if (cpython_open(pid, &c, e) < 0)
        return false;
    cpython_sample_init(&s);
    for (unsigned i = 0; i < 50; i++) {
        if (cpython_sample(c, &s) < 0)
            break;
        for (size_t k = 0; k < s.n_threads; k++) {
            const struct cpython_thread *t = &s.threads[k];
            main_found |= is_expected(t);
            busy_found |= t->n_frames >= 3 && strcmp(t->frames[0].code->name, "busy") == 0 &&
                          (t->frames[0].line == 8 || t->frames[0].line == 9);
        }
    }
    cpython_sample_done(&s);
    cpython_close(c);
    return main_found && busy_found;
}

static void check_python(const char *python) {
    pid_t pid = start(python);
    int64_t end = clock_monotonic_ns() + DEADLINE_NS;
    struct error e = ERROR_NONE;
    bool good;

    while (!(good = reads_well(pid, &e)) && clock_monotonic_ns() < end)
        usleep(10000);
    if (!good)
        print_message("%s: %s\n", python, e.text);
    assert_true(good);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* still alive */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void every_python(void **state) {
    struct slice rest = slice_from(getenv("VARAN_TEST_PYTHONS"));

    check_python("python3");
    while (rest.size) {
        struct slice one = slice_cut(&rest, ':');
        char path[512];
        assert_true(one.size < sizeof(path));
        memcpy(path, one.data, one.size);
        path[one.size] = 0;
        check_python(path);
    }
}

static void no_python(void **state) {
    struct cpython *c;
    struct error e = ERROR_NONE;
    pid_t pid = fork();

    if (pid == 0) {
        execlp("sleep", "sleep", "1000", (char *) NULL);
        _exit(127);
    }
    usleep(1000);
    assert_int_equal(cpython_open(pid, &c, &e), -ENOENT);
    assert_non_null(strstr(e.text, "no CPython"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(cpython_open(pid, &c, &e), -ESRCH);
}

static void hostile_offsets(void **state) {
    uint8_t head[CPYTHON_DEBUG_OFFSETS_MAX] = "xdebugpy";
    struct cpython_offsets o;
    uint32_t hex;
    uint64_t version = 0x030d00f0;

    assert_int_equal(cpython_offsets_parse(SLICE("short"), &o, &hex), -ENOENT);
    memcpy(head + 8, &version, 8);
    memset(head + 24, 0xff, sizeof(head) - 24);
    assert_int_equal(cpython_offsets_parse(slice_new(head, sizeof(head)), &o, &hex), -EBADMSG);
    assert_int_equal(cpython_offsets_parse(slice_new(head, 100), &o, &hex), -EBADMSG);
    version = 0x03630000;
    memcpy(head + 8, &version, 8);
    assert_int_equal(cpython_offsets_parse(slice_new(head, sizeof(head)), &o, &hex), -ENOTSUP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_python),
            cmocka_unit_test(no_python),
            cmocka_unit_test(hostile_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
