/*
 * A real interpreter's memory, damaged: everything that a walk reads of a running program is
 * recorded once; then bytes of the record are changed, thousands of times, and the walk and all
 * that hangs at it run over each. Whatever is found, nothing may crash, hang or leak (the
 * sanitizers look on). The changes are the same in every run.
 */
#include "pythons.h"

#include "base/clock.h"
#include "cpython/open.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_NS (60 * NS_PER_S)
#define ROUNDS 6000u
#define CHANGES_MAX 6u
#define READS_MAX 20000u /* then the target dies */
#define PAGE 4096u
#define NO_PROCESS ((pid_t) 0x7ffffff0)

static const char program[] =
        "import asyncio, threading, time\n"
        "lock, table = threading.RLock(), {'a': [1, 2.5, 'x'], 2: (None,)}\n"
        "def holds():\n"
        "    with lock:\n"
        "        time.sleep(1000)\n"
        "def wants(text='wärme', big=10**40):\n"
        "    with lock:\n"
        "        pass\n"
        "async def leaf():\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "async def main():\n"
        "    await asyncio.gather(leaf(), leaf())\n"
        "for f in (holds, wants):\n"
        "    threading.Thread(target=f, name=f.__name__, daemon=True).start()\n"
        "asyncio.run(main())\n";

/* Pages of the target by their number; each as it was when it was first read. */
struct record {
    struct map pages;
    struct arena memory;
    struct memory_reader live;
    bool recording;
    unsigned reads;
};

static uint8_t *page_of(struct record *r, uint64_t number) {
    struct map_entry *e = map_get(&r->pages, slice_new(&number, 8));

    if (e || !r->recording)
        return e ? e->pointer : NULL;
    uint8_t *page = arena_alloc(&r->memory, PAGE);
    assert_non_null(page);
    if (memory_read(&r->live, number * PAGE, page, PAGE) < 0)
        return NULL;
    e = map_put(&r->pages, slice_new(&number, 8), NULL);
    assert_non_null(e);
    e->pointer = page;
    return page;
}

static int read_record(void *ctx, uint64_t address, void *to, size_t size) {
    struct record *r = ctx;

    if (!r->recording && ++r->reads > READS_MAX)
        return -ESRCH;
    for (size_t done = 0; done < size;) {
        uint64_t at = address + done;
        size_t n = PAGE - at % PAGE < size - done ? PAGE - at % PAGE : size - done;
        const uint8_t *page = page_of(r, at / PAGE);
        if (!page)
            return -EFAULT;
        memcpy((uint8_t *) to + done, page + at % PAGE, n);
        done += n;
    }
    return 0;
}

/* Everything there is to read: how many frames, tasks and locks were found. */
static size_t read_all(struct cpython *c) {
    struct cpython_greenlets greenlets;
    struct cpython_sample s;
    struct cpython_tasks tasks;
    struct cpython_locks locks;
    size_t found = 0, circle[8];

    cpython_sample_init(&s);
    cpython_tasks_init(&tasks);
    cpython_greenlets_init(&greenlets);
    cpython_locks_init(&locks);
    cpython_want(c, CPYTHON_THREAD_NAMES | CPYTHON_AWAITERS);
    if (cpython_sample(c, &s) == 0) {
        for (size_t i = 0; i < s.n_threads; i++)
            found += s.threads[i].n_frames;
        if (cpython_read_tasks(c, &tasks) == 0)
            found += tasks.n;
        cpython_read_greenlets(c, &greenlets);
        if (cpython_read_locks(c, &s, &locks) == 0)
            for (size_t i = 0; i < s.n_threads; i++)
                cpython_deadlock(&locks, s.n_threads, i, circle, 8);
        found += locks.n;
        for (size_t i = 0; i < s.n_threads && i < 8; i++)
            for (size_t k = 0; k < s.threads[i].n_frames && k < 4; k++) {
                struct cpython_variable *rows;
                struct arena texts;
                size_t n;
                arena_init(&texts, (size_t) 16 << 20);
                if (cpython_locals(c, &s.threads[i].frames[k], &texts, &rows, &n) == 0)
                    found += n;
                arena_done(&texts);
            }
    }
    cpython_locks_done(&locks);
    cpython_greenlets_done(&greenlets);
    cpython_tasks_done(&tasks);
    cpython_sample_done(&s);
    return found;
}

static size_t read_target(struct record *r, const struct cpython_runtime *runtime) {
    struct memory_reader memory = {.read = read_record, .ctx = r};
    struct cpython *c;

    r->reads = 0;
    assert_int_equal(cpython_open_reader(NO_PROCESS, memory, runtime, &c), 0);
    size_t found = read_all(c);
    cpython_close(c);
    return found;
}

/* xorshift64: the same numbers everywhere. */
static uint64_t next_number(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct change {
    uint8_t *at;
    uint64_t before;
};

/* A word becomes another one of the record, a small or an extreme number, or has a byte changed. */
static struct change damage(uint8_t **pages, size_t n, uint64_t *state) {
    uint64_t place = next_number(state), kind = next_number(state);
    struct change c = {.at = pages[place % n] + (place >> 32) % (PAGE / 8) * 8};
    uint64_t word = next_number(state);

    memcpy(&c.before, c.at, 8);
    if (kind % 4 == 0)
        memcpy(&word, pages[word % n] + (word >> 32) % (PAGE / 8) * 8, 8);
    else if (kind % 4 == 1)
        word = kind >> 8 & 1 ? UINT64_MAX - (word & 15) : word & 0xffff;
    else if (kind % 4 == 2)
        word = c.before ^ (word & 0xff) << (kind >> 8 & 7) * 8;
    else
        word = c.before + (word & 255) - 128;
    memcpy(c.at, &word, 8);
    return c;
}

static void damage_and_read(struct record *r, const struct cpython_runtime *runtime) {
    uint8_t **pages = calloc(r->pages.n, sizeof(*pages));
    struct change changes[CHANGES_MAX];
    uint64_t state = 88172645463325252ull;
    size_t n = 0;

    assert_non_null(pages);
    map_each(&r->pages, e) pages[n++] = e->pointer;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct cpython_runtime damaged = *runtime;
        unsigned many = 1 + (unsigned) (next_number(&state) % CHANGES_MAX);
        for (unsigned i = 0; i < many; i++)
            changes[i] = damage(pages, n, &state);
        uint8_t head[CPYTHON_DEBUG_OFFSETS_MAX];
        uint32_t hex;
        if (runtime->offsets.minor >= 13 &&
            read_record(r, runtime->address, head, sizeof(head)) == 0)
            cpython_offsets_parse(slice_new(head, sizeof(head)), &damaged.offsets, &hex);
        read_target(r, &damaged);
        for (unsigned i = many; i > 0; i--)
            memcpy(changes[i - 1].at, &changes[i - 1].before, 8);
    }
    free(pages);
}

static pid_t start(const char *python) {
    pid_t pid = fork();

    if (pid == 0) {
        execlp(python, python, "-c", program, (char *) NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

/* Waits until the program is where it stays, then stops it. */
static bool find(pid_t pid, struct cpython_runtime *ret, size_t wanted) {
    struct memory_reader live = memory_reader_process(pid);
    struct image image;
    bool found = image_read(&image, pid, NULL) == 0 &&
                 cpython_runtime_find(&image, &live, RUNTIME_THOROUGH, ret, NULL) == 0;
    struct cpython *c;

    image_done(&image);
    if (!found || cpython_open_reader(pid, live, ret, &c) < 0)
        return false;
    found = read_all(c) >= wanted;
    cpython_close(c);
    return found;
}

static void check_python(const char *python) {
    struct record r = {.recording = true};
    struct cpython_runtime runtime;
    pid_t pid = start(python);
    int64_t end = clock_monotonic_ns() + DEADLINE_NS;

    while (!find(pid, &runtime, 20)) {
        assert_true(clock_monotonic_ns() < end);
        usleep(20000);
    }
    int status;
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid); /* it stands still now */
    assert_true(WIFSTOPPED(status));
    map_init(&r.pages, 65536, (size_t) 1 << 20);
    arena_init(&r.memory, (size_t) 512 << 20);
    r.live = memory_reader_process(pid);
    size_t whole = read_target(&r, &runtime);
    assert_true(whole >= 15);
    r.recording = false;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(read_target(&r, &runtime), whole); /* the record stands for the program */
    damage_and_read(&r, &runtime);
    assert_int_equal(read_target(&r, &runtime), whole); /* and was put back */
    map_done(&r.pages);
    arena_done(&r.memory);
}

static void every_python(void **state) {
    each_python(check_python);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_python)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
