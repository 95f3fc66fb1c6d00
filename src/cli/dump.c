/* `varan dump PID`: the stacks of all threads of a running Python program. Single-threaded. */
#include "cli/dump.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_process.h"
#include "cli/query.h"

#define DUMP_BYTES_MAX ((size_t) 256 << 20)
#define ATTEMPTS 5 /* a stack that moves under the walk is walked again this often */

struct dump_settings {
    bool json, locals, async_tree, native;
    const char *core;
};

#define AT(field) offsetof(struct dump_settings, field)

static const struct option_def rows[] = {
        {"json", NULL, NULL, OPTION_FLAG, AT(json), "false", NULL,
         "One JSON object instead of text."},
        {"locals", NULL, NULL, OPTION_FLAG, AT(locals), "false", NULL,
         "The local variables of each frame, too: texts, numbers and what holds them, shortened."},
        {"async-tree", NULL, NULL, OPTION_FLAG, AT(async_tree), "false", NULL,
         "The asyncio tasks, too, with what they await and who awaits them."},
        {"native", NULL, NULL, OPTION_FLAG, AT(native), "false", NULL,
         "Frames of C, C++, Rust and Cython among Python's, too. All threads are held while they "
         "are read: some milliseconds."},
        {"core", NULL, NULL, OPTION_TEXT, AT(core), NULL, "FILE",
         "Read a core file instead of a process."},
};

static const struct usage usage = {
        "varan dump [OPTION]... (PID | --core FILE)",
        "Prints the stack of every thread of a running Python program (CPython 3.8 to 3.14), "
        "innermost call first, without pausing it (but with --native): whether it runs, which lock "
        "it waits for, which it holds, deadlocks, suspended greenlets.",
        "The program needs no preparation. Reading another process needs its user's rights, or "
        "root's.\n",
};

static bool any_torn(const struct cpython_sample *s) {
    for (size_t i = 0; i < s->n_threads; i++)
        if (s->threads[i].torn)
            return true;
    return false;
}

size_t dump_deadlock(const struct dump_report *report, size_t thread, size_t *ret_circle,
                     size_t room) {
    size_t n = cpython_deadlock(report->locks, report->sample->n_threads, thread, ret_circle, room);

    for (size_t i = 1; i < n; i++)
        if (ret_circle[i] < thread)
            return 0;
    return n;
}

/* What a dump reads, beside the target itself. */
struct found {
    struct cpython_sample sample;
    struct cpython_locks locks;
    struct cpython_greenlets greenlets;
    struct cpython_tasks tasks;
    struct dump_native native;
};

static void found_init(struct found *f) {
    cpython_sample_init(&f->sample);
    cpython_locks_init(&f->locks);
    cpython_greenlets_init(&f->greenlets);
    cpython_tasks_init(&f->tasks);
    f->native = (struct dump_native){0};
}

static void found_done(struct found *f) {
    dump_native_done(&f->native);
    cpython_tasks_done(&f->tasks);
    cpython_greenlets_done(&f->greenlets);
    cpython_locks_done(&f->locks);
    cpython_sample_done(&f->sample);
}

static int take(struct cpython *c, const struct dump_settings *settings, struct found *f) {
    int r = settings->native ? dump_native_take(c, &f->sample, &f->native)
                             : cpython_sample(c, &f->sample);

    for (unsigned i = 1; i < ATTEMPTS && r == 0 && !settings->native && any_torn(&f->sample); i++)
        r = cpython_sample(c, &f->sample);
    if (r == 0)
        r = cpython_read_locks(c, &f->sample, &f->locks);
    if (r == 0)
        r = cpython_read_greenlets(c, &f->greenlets);
    return r == 0 && settings->async_tree ? cpython_read_tasks(c, &f->tasks) : r;
}

static void put(struct buffer *out, const struct dump_settings *settings, struct cpython *c,
                const struct found *f) {
    const struct dump_report report = {.pid = cpython_pid(c),
                                       .target = c,
                                       .sample = &f->sample,
                                       .shown = f->native.threads ? f->native.threads
                                                                  : f->sample.threads,
                                       .locks = &f->locks,
                                       .greenlets = &f->greenlets,
                                       .tasks = settings->async_tree ? &f->tasks : NULL,
                                       .locals = settings->locals};

    if (settings->json) {
        dump_put_json(out, &report);
        return;
    }
    dump_put_text(out, &report);
    if (report.tasks)
        dump_put_task_tree(out, &report);
}

static const char *explain(const struct dump_settings *settings, int r) {
    if (r == -ESRCH)
        return "the process has ended";
    if (settings->native && r == -EPERM)
        return "the threads cannot be held: a debugger or another tracer has them (without "
               "--native they are read as they run)";
    if (settings->native && r == -ENOTSUP)
        return "--native knows x86-64 and arm64 only";
    return error_name(r);
}

static int dump(const struct dump_settings *settings, pid_t pid) {
    struct error e = ERROR_NONE;
    struct found found;
    struct cpython *c;
    struct buffer out;

    int opened = settings->core ? cpython_open_core(settings->core, &c, &e)
                                : cpython_open_starting(pid, &c, &e);
    if (opened < 0)
        return process_open_failed("dump", &e);
    found_init(&found);
    cpython_want(c, CPYTHON_THREAD_NAMES | CPYTHON_GIL_WAIT);
    buffer_init(&out, DUMP_BYTES_MAX);
    int r = take(c, settings, &found);
    if (r == 0)
        put(&out, settings, c, &found);
    if (r == 0)
        r = out.failed;
    if (r < 0)
        fprintf(stderr, "varan dump: %s\n", explain(settings, r));
    else if (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0)
        r = -EIO;
    if (r == 0 && found.native.not_held)
        fprintf(stderr, "varan dump: %zu threads could not be held, and have no native frames\n",
                found.native.not_held);
    buffer_done(&out);
    found_done(&found);
    cpython_close(c);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct dump_settings settings = {0};
    struct options_result result;
    struct error e = ERROR_NONE;
    pid_t pid = 0;

    int r = options_begin(table, &usage, argc, argv, arena, &settings, &result);
    if (r >= 0)
        return r;
    if (result.rest + (settings.core ? 0 : 1) != argc) {
        fprintf(stderr,
                "varan dump: give one process id, as in: varan dump 1234, or --core FILE\n");
        return EXIT_USAGE;
    }
    if (settings.core && settings.native) {
        fprintf(stderr, "varan dump: --native reads a running process, not a core file\n");
        return EXIT_USAGE;
    }
    if (!settings.core && process_id_parse(argv[result.rest], &pid, &e) < 0) {
        fprintf(stderr, "varan dump: %s\n", e.text);
        return EXIT_USAGE;
    }
    return dump(&settings, pid);
}

int cmd_dump(int argc, char **argv) {
    static const char *const flags[] = {
            "json",          "no-json", "locals",    "no-locals", "async-tree",
            "no-async-tree", "native",  "no-native", "help",      NULL};

    return run_options_first(argc, argv, flags, run);
}
