/* `varan dump PID`: the stacks of all threads of a running Python program. Single-threaded. */
#include "cli/dump.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_process.h"
#include "cli/query.h"

#define DUMP_BYTES_MAX ((size_t) 256 << 20)
#define ATTEMPTS 5 /* a stack that moves under the walk is walked again this often */

struct dump_settings {
    bool json, locals, async_tree;
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
        {"core", NULL, NULL, OPTION_TEXT, AT(core), NULL, "FILE",
         "Read a core file instead of a process."},
};

static const struct usage usage = {
        "varan dump [OPTION]... (PID | --core FILE)",
        "Prints the stack of every thread of a running Python program (CPython 3.8 to 3.14), "
        "innermost call first, without pausing it.",
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

static int take(struct cpython *c, const struct dump_settings *settings, struct cpython_sample *s,
                struct cpython_locks *locks, struct cpython_tasks *tasks) {
    int r = cpython_sample(c, s);

    for (unsigned i = 1; i < ATTEMPTS && r == 0 && any_torn(s); i++)
        r = cpython_sample(c, s);
    if (r == 0)
        r = cpython_read_locks(c, s, locks);
    return r == 0 && settings->async_tree ? cpython_read_tasks(c, tasks) : r;
}

static int dump(const struct dump_settings *settings, pid_t pid) {
    struct error e = ERROR_NONE;
    struct cpython_sample s;
    struct cpython_locks locks;
    struct cpython_tasks tasks;
    struct cpython *c;
    struct buffer out;

    if ((settings->core ? cpython_open_core(settings->core, &c, &e) : cpython_open(pid, &c, &e)) <
        0)
        return process_open_failed("dump", &e);
    cpython_sample_init(&s);
    cpython_want(c, CPYTHON_THREAD_NAMES | CPYTHON_GIL_WAIT);
    buffer_init(&out, DUMP_BYTES_MAX);
    cpython_locks_init(&locks);
    cpython_tasks_init(&tasks);
    int r = take(c, settings, &s, &locks, &tasks);
    const struct dump_report report = {.pid = cpython_pid(c),
                                       .target = c,
                                       .sample = &s,
                                       .locks = &locks,
                                       .tasks = settings->async_tree ? &tasks : NULL,
                                       .locals = settings->locals};
    if (r == 0 && settings->json) {
        dump_put_json(&out, &report);
    } else if (r == 0) {
        dump_put_text(&out, &report);
        if (report.tasks)
            dump_put_task_tree(&out, &report);
    }
    if (r == 0)
        r = out.failed;
    if (r < 0)
        fprintf(stderr, "varan dump: %s\n", r == -ESRCH ? "the process has ended" : error_name(r));
    else if (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0)
        r = -EIO;
    buffer_done(&out);
    cpython_locks_done(&locks);
    cpython_tasks_done(&tasks);
    cpython_sample_done(&s);
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
    if (!settings.core && process_id_parse(argv[result.rest], &pid, &e) < 0) {
        fprintf(stderr, "varan dump: %s\n", e.text);
        return EXIT_USAGE;
    }
    return dump(&settings, pid);
}

int cmd_dump(int argc, char **argv) {
    static const char *const flags[] = {"json",       "no-json",       "locals", "no-locals",
                                        "async-tree", "no-async-tree", "help",   NULL};

    return run_options_first(argc, argv, flags, run);
}
