/*
 * Real interpreters: a program with a known stack is started, read while it runs, and must be
 * unharmed. python3 of the PATH always, and those that VARAN_TEST_PYTHONS names (separated by
 * colons).
 */
#include "pythons.h"

#include "base/clock.h"
#include "cpython/cpython.h"
#include "cpython/offsets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_NS (60 * NS_PER_S)

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
    each_python(check_python);
}

/* ---- What is not read anew ---- */

#define SLEEPERS 12u
#define TURNS 6u

/* Twelve threads sleep in even(), or in odd() when told by a byte, and say when all of them do. */
static const char turns[] =
        "import os, sys, threading\n"
        "n = 12\n"
        "gate = [threading.Barrier(n + 1) for _ in range(2)]\n"
        "go = [threading.Semaphore(0) for _ in range(2)]\n"
        "def even():\n"
        "    gate[0].wait(); go[0].acquire()\n"
        "def odd():\n"
        "    gate[1].wait(); go[1].acquire()\n"
        "def loop():\n"
        "    while True:\n"
        "        even(); odd()\n"
        "for _ in range(n): threading.Thread(target=loop, daemon=True).start()\n"
        "turn = 0\n"
        "while True:\n"
        "    gate[turn].wait()\n"
        "    os.write(1, b'.')\n"
        "    if not os.read(0, 1): break\n"
        "    for _ in range(n): go[turn].release()\n"
        "    turn = 1 - turn\n";

static pid_t start_turns(int *ret_in, int *ret_out) {
    int in[2], out[2];

    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execlp("python3", "python3", "-c", turns, (char *) NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *ret_in = in[1];
    *ret_out = out[0];
    return pid;
}

/* How many threads stand in the function. */
static size_t standing_in(const struct cpython_sample *s, const char *function) {
    size_t n = 0;

    for (size_t i = 0; i < s->n_threads; i++)
        for (size_t k = 0; k < s->threads[i].n_frames; k++)
            n += ends_with(s->threads[i].frames[k].code->name, function);
    return n;
}

/* Whether the kernel says of all threads that they sleep. */
static bool all_sleep(pid_t pid) {
    char path[64], text[512];
    bool all = true;

    snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (struct dirent *d; all && (d = readdir(tasks));) {
        if (d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", (int) pid, d->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        ssize_t n = read(fd, text, sizeof(text) - 1);
        close(fd);
        assert_true(n > 0);
        text[n] = 0;
        const char *name_end = strrchr(text, ')');
        all = name_end && strncmp(name_end, ") S", 3) == 0;
    }
    closedir(tasks);
    return all;
}

static int64_t cpu_of(pid_t pid) {
    struct timespec t;
    clockid_t clock;

    assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Whether nothing moves: who could run when the clock was read for the first time has run since, or
 * is seen to be about to. */
static bool is_at_rest(pid_t pid) {
    int64_t before = cpu_of(pid);

    return all_sleep(pid) && cpu_of(pid) == before;
}

/* Threads that moved while others did not are seen where they are, however many walks saw them
 * where they were. The last ones of them may still be on the way to sleep when the program says so:
 * a stack that changes under the walk is not what this is about. */
static void check_turns(unsigned want) {
    static const char *const names[] = {"even", "odd"};
    struct cpython *c;
    struct cpython_sample s;
    struct error e = ERROR_NONE;
    int in, out;
    char byte;
    pid_t pid = start_turns(&in, &out);

    assert_int_equal(read(out, &byte, 1), 1);
    assert_int_equal(cpython_open(pid, &c, &e), 0);
    cpython_want(c, want);
    cpython_sample_init(&s);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        int64_t end = clock_monotonic_ns() + DEADLINE_NS;
        do {
            assert_true(clock_monotonic_ns() < end);
            assert_int_equal(cpython_sample(c, &s), 0);
        } while (!is_at_rest(pid));
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(cpython_sample(c, &s), 0);
            assert_int_equal(s.n_threads, SLEEPERS + 1);
            assert_int_equal(standing_in(&s, names[turn % 2]), SLEEPERS);
            assert_int_equal(standing_in(&s, names[1 - turn % 2]), 0);
        }
        assert_int_equal(write(in, ".", 1), 1);
        assert_int_equal(read(out, &byte, 1), 1);
    }
    cpython_sample_done(&s);
    cpython_close(c);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(in);
    close(out);
}

static void moved_threads(void **state) {
    check_turns(0);
    check_turns(CPYTHON_NO_STATES);
    check_turns(CPYTHON_GIL_WAIT | CPYTHON_THREAD_NAMES);
}

static void no_python(void **state) {
    struct cpython *c;
    struct error e = ERROR_NONE;
    int become[2];
    char none;

    assert_int_equal(pipe2(become, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("sleep", "sleep", "1000", (char *) NULL);
        _exit(127);
    }
    close(become[1]);
    assert_int_equal(read(become[0], &none, 1), 0); /* it is another program now */
    close(become[0]);
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
            cmocka_unit_test(moved_threads),
            cmocka_unit_test(no_python),
            cmocka_unit_test(hostile_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
