/* `varan record`: samples a running program, or one that it starts, and writes a profile.
 * Single-threaded; SIGINT and SIGTERM end the recording, and the profile is written. */
#include "base/clock.h"
#include "base/hot.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_file.h"
#include "cli/profile_process.h"
#include "profile/pause.h"
#include "profile/sampler.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRESS_EVERY_NS (NS_PER_S / 4)
#define GRACE_NS (5 * NS_PER_S) /* for the program to end on SIGTERM */
#define GRACE_POLL_US 10000

struct record_settings {
    const char *output, *format, *include, *exclude, *thread;
    uint64_t pid, rate;
    int64_t duration_ns;
    bool gil, idle, subprocesses, function, threads, async, native, blocking;
};

#define AT(field) offsetof(struct record_settings, field)

static const struct option_def rows[] = {
        {"pid", NULL, NULL, OPTION_NUMBER, AT(pid), NULL, "PID", "The running program to sample."},
        {"output", NULL, NULL, OPTION_TEXT, AT(output), "profile.html", "FILE",
         "The file to write (-o FILE); - is standard output."},
        {"format", NULL, NULL, OPTION_TEXT, AT(format), NULL, "FORMAT",
         "html, speedscope, chrome, pprof, svg, pstats or collapsed. Default: by the file's name "
         "(.html, .speedscope.json, .trace.json, .pb.gz, .svg, .pstats, .txt)."},
        {"duration", NULL, NULL, OPTION_DURATION, AT(duration_ns), "0s", "TIME",
         "End after this time (30s, 5m); 0s: until the program ends or Ctrl-C."},
        {"rate", NULL, NULL, OPTION_NUMBER, AT(rate), "100", "HZ", "Samples a second, 1 to 10000."},
        {"gil", NULL, NULL, OPTION_FLAG, AT(gil), "false", NULL,
         "Only threads that hold the interpreter's lock."},
        {"idle", NULL, NULL, OPTION_FLAG, AT(idle), "false", NULL, "Threads that wait, too."},
        {"subprocesses", NULL, NULL, OPTION_FLAG, AT(subprocesses), "false", NULL,
         "Child processes, too, as they come."},
        {"function", NULL, NULL, OPTION_FLAG, AT(function), "false", NULL,
         "Do not tell the lines of a function apart."},
        {"threads", NULL, NULL, OPTION_FLAG, AT(threads), "false", NULL,
         "Let every stack begin with its thread."},
        {"async", NULL, NULL, OPTION_FLAG, AT(async), "false", NULL,
         "Below a running asyncio task put the tasks that await it, not the event loop."},
        {"native", NULL, NULL, OPTION_FLAG, AT(native), "false", NULL,
         "Frames of C, C++, Rust and Cython, too. Holds the threads that run for some ten "
         "microseconds a sample."},
        {"blocking", NULL, NULL, OPTION_FLAG, AT(blocking), "false", NULL,
         "Hold the threads that run while they are read: no torn stacks, but a slower program."},
        {"thread", NULL, NULL, OPTION_TEXT, AT(thread), NULL, "REGEX",
         "Only threads whose name matches, or that have this id."},
        {"include", NULL, NULL, OPTION_TEXT, AT(include), NULL, "REGEX",
         "Only stacks with a function or file that matches."},
        {"exclude", NULL, NULL, OPTION_TEXT, AT(exclude), NULL, "REGEX",
         "Without stacks that have one."},
};

static const struct usage usage = {
        "varan record [OPTION]... (PID | -- PROGRAM [ARGUMENT]...)",
        "Samples the stacks of a Python program (CPython 3.8 to 3.14) without pausing or changing "
        "it, and writes a flame graph or a profile for another tool.",
        "Ctrl-C ends the recording and writes the file.\n"
        "Examples: varan record 1234 --duration 30s\n"
        "          varan record -o profile.pb.gz --rate 1000 -- python app.py\n",
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = 1;
}

struct recording {
    const struct record_settings *settings;
    const struct format *format;
    struct profile profile;
    struct sampler *sampler;
    pid_t child; /* 0: attached to a running program */
    int child_status;
    bool child_ended, progress;
    int64_t start_ns;
};

static HOT void count_stack(void *ctx, pid_t pid, const struct cpython_thread *t) {
    struct recording *r = ctx;

    profile_add_stack(&r->profile, pid, t); /* what does not fit is counted as dropped */
}

/* Starts the command; -errno of exec comes back through a pipe that closes itself on success. */
static int spawn(char **argv, pid_t *ret) {
    int ends[2], failed = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], argv);
        failed = errno;
        ssize_t ignored = write(ends[1], &failed, sizeof(failed));
        _exit(ignored < 0 ? 126 : 127);
    }
    int saved = errno;
    close(ends[1]);
    if (pid > 0 && read(ends[0], &failed, sizeof(failed)) == (ssize_t) sizeof(failed))
        waitpid(pid, NULL, 0);
    close(ends[0]);
    if (pid < 0 || failed)
        return pid < 0 ? -saved : -failed;
    *ret = pid;
    return 0;
}

static void show_progress(const struct recording *r) {
    const struct profile_stats *s = &r->profile.stats;

    if (r->progress)
        fprintf(stderr,
                "\rrecording %.1f s: %llu samples of %zu threads, %zu processes; %llu torn, "
                "%llu late, %llu missed\033[K",
                (double) (clock_monotonic_ns() - r->start_ns) / 1e9,
                (unsigned long long) s->samples, r->profile.threads.n,
                sampler_processes(r->sampler), (unsigned long long) s->torn,
                (unsigned long long) s->late, (unsigned long long) s->missed);
}

static HOT bool child_running(struct recording *r) {
    if (!r->child || r->child_ended)
        return false;
    if (waitpid(r->child, &r->child_status, WNOHANG) == r->child)
        r->child_ended = true;
    return !r->child_ended;
}

/* Until the time is over, the program ends, or a signal comes. */
static HOT void record_loop(struct recording *r) {
    int64_t shown = 0;

    for (;;) {
        int64_t now = clock_monotonic_ns(), left = INT64_MAX;
        if (r->settings->duration_ns)
            left = r->start_ns + r->settings->duration_ns - now;
        bool running = child_running(r);
        if (interrupted || left <= 0 || (r->child && !running))
            return;
        if (now - shown >= PROGRESS_EVERY_NS) {
            show_progress(r);
            shown = now;
        }
        int waited =
                sampler_wait(r->sampler, now, left < PROGRESS_EVERY_NS ? left : PROGRESS_EVERY_NS,
                             &r->profile.stats);
        if (waited < 0)
            continue;
        if (sampler_tick(r->sampler, &r->profile.stats, count_stack, r) == -ESRCH && !r->child)
            return;
        if (!r->profile.title[0])
            sampler_describe(r->sampler, r->profile.title, sizeof(r->profile.title));
    }
}

static void print_summary(const struct recording *r, size_t size) {
    const struct profile_stats *s = &r->profile.stats;

    if (r->progress)
        fprintf(stderr, "\r\033[K");
    fprintf(stderr, "%llu samples in %.1f s: %llu torn, %llu late, %llu missed, %llu dropped\n",
            (unsigned long long) s->samples, (double) r->profile.duration_ns / 1e9,
            (unsigned long long) s->torn, (unsigned long long) s->late,
            (unsigned long long) s->missed, (unsigned long long) s->dropped);
    uint64_t not_held = sampler_not_held(r->sampler);
    if (not_held)
        fprintf(stderr, "%llu times a thread did not stop in %d ms and was read while it ran%s\n",
                (unsigned long long) not_held, (int) (PAUSE_DEADLINE_NS / NS_PER_MS),
                r->settings->native ? ", without native frames" : "");
    profile_print_top(&r->profile);
    if (strcmp(r->settings->output, "-") != 0)
        fprintf(stderr, "wrote %s (%s, %zu bytes)\n", r->settings->output, r->format->name, size);
}

static int write_profile(struct recording *r) {
    const struct profile_filter filter = {r->settings->include, r->settings->exclude,
                                          r->settings->thread};
    size_t size;

    if (profile_apply_filter("record", &r->profile, &filter) != EXIT_OK)
        return -EINVAL;
    if (!r->profile.stats.samples) {
        fprintf(stderr,
                "varan record: no sample is left by --thread, --include and --exclude; nothing was "
                "written%s\n",
                r->settings->idle ? "" : " (--idle shows threads that wait)");
        return -ENODATA;
    }
    int e = profile_save("record", &r->profile, r->format, r->settings->output, &size);
    if (e == 0)
        print_summary(r, size);
    return e;
}

/* Says why nothing was sampled, when that is so. */
static int explain_empty(const struct recording *r) {
    if (r->profile.stats.samples || r->profile.threads.n)
        return 0;
    fprintf(stderr, "varan record: %s\n",
            r->profile.stats.torn ? "every stack changed while it was read; try again"
            : r->child && !r->profile.title[0]
                    ? "the program did not run a CPython 3.8 to 3.14 that could be read"
            : r->settings->gil
                    ? "no thread held the GIL while it was sampled (a free-threaded Python has "
                      "none)"
                    : "no thread ran while it was sampled; --idle shows threads that wait");
    return -ENODATA;
}

static int start(struct recording *r, char **command) {
    struct error e = ERROR_NONE;
    int n = r->child = 0;

    if (!*command) {
        if (sampler_add(r->sampler, (pid_t) r->settings->pid, &e) < 0)
            return process_open_failed("record", &e);
    } else {
        n = spawn(command, &r->child);
        if (n < 0) {
            fprintf(stderr, "varan record: cannot run %s: %s\n", *command, error_name(n));
            return n == -ENOENT ? 127 : 126;
        }
        if (sampler_watch(r->sampler, r->child) < 0)
            return EXIT_FAILED;
    }
    return EXIT_OK;
}

/* What the command's own end means for ours: the program's status is passed on. */
static int end(struct recording *r) {
    if (!r->child)
        return EXIT_OK;
    if (!r->child_ended && (interrupted || waitpid(r->child, &r->child_status, WNOHANG) == 0)) {
        kill(r->child, SIGTERM); /* Ctrl-C or the end of --duration: we started it, we end it */
        for (int64_t give_up = clock_monotonic_ns() + GRACE_NS;
             waitpid(r->child, &r->child_status, WNOHANG) == 0;) {
            if (clock_monotonic_ns() >= give_up)
                kill(r->child, SIGKILL);
            usleep(GRACE_POLL_US);
        }
    }
    if (interrupted || r->settings->duration_ns)
        return EXIT_OK;
    return WIFEXITED(r->child_status) ? WEXITSTATUS(r->child_status)
                                      : 128 + WTERMSIG(r->child_status);
}

static int record(struct recording *r, char **command) {
    const struct sampler_options options = {.rate = (unsigned) r->settings->rate,
                                            .gil_only = r->settings->gil,
                                            .include_idle = r->settings->idle,
                                            .no_states = true,
                                            .subprocesses = r->settings->subprocesses,
                                            .awaiters = r->settings->async,
                                            .native = r->settings->native,
                                            .blocking = r->settings->blocking};
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (profile_init(&r->profile) < 0 || sampler_new(&options, &r->sampler) < 0)
        return EXIT_FAILED;
    r->profile.period_ns = NS_PER_S / (int64_t) r->settings->rate;
    r->profile.timeline = r->format->timeline;
    r->profile.functions_only = r->settings->function;
    r->profile.threads_as_roots = r->settings->threads;
    int status = start(r, command);
    if (status != EXIT_OK)
        return status;
    r->progress = isatty(STDERR_FILENO);
    r->start_ns = clock_monotonic_ns();
    r->profile.start_ns = clock_now_ns();
    record_loop(r);
    r->profile.duration_ns = clock_monotonic_ns() - r->start_ns;
    if (strcmp(r->format->name, "html") == 0) /* without them the page shows none */
        profile_read_sources(&r->profile, r->child ? r->child : (pid_t) r->settings->pid);
    status = end(r);
    if (explain_empty(r) < 0 || write_profile(r) < 0)
        return status ? status : EXIT_FAILED;
    return status;
}

/* Whether the regular expressions are some: on an empty profile, before anything is recorded. */
static int check_filter(const struct record_settings *s) {
    const struct profile_filter filter = {s->include, s->exclude, s->thread};
    struct profile nothing;

    int r = profile_init(&nothing) < 0 ? EXIT_FAILED
                                       : profile_apply_filter("record", &nothing, &filter);
    profile_done(&nothing);
    return r == EXIT_OK ? 0 : -EINVAL;
}

/* Whether the file can be written: better known before an hour of recording than after it. */
static int check_output(const char *path) {
    struct stat st;

    if (strcmp(path, "-") == 0)
        return 0;
    bool existed = stat(path, &st) == 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        fprintf(stderr, "varan record: cannot write %s: %s\n", path, error_name(-errno));
        return -EACCES;
    }
    close(fd);
    if (!existed)
        unlink(path);
    return 0;
}

/* The process that stands by itself, as in `varan top 1234`; 0: none. */
static uint64_t process_of(const char *word) {
    uint64_t pid;

    return slice_to_u64(slice_from(word), &pid) < 0 ? 0 : pid;
}

static int check(const struct record_settings *s, bool command) {
    if (command != (s->pid != 0)) {
        if (s->rate < 1 || s->rate > SAMPLER_RATE_MAX)
            fprintf(stderr, "varan record: --rate is 1 to %u\n", SAMPLER_RATE_MAX);
        else if (s->pid > INT32_MAX)
            fprintf(stderr, "varan record: there is no process %llu\n",
                    (unsigned long long) s->pid);
        else
            return 0;
        return -ERANGE;
    }
    fprintf(stderr, "varan record: give the id of a process or a program after --, %s\n",
            command ? "not both" : "as in: varan record -- python app.py");
    return -EINVAL;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct record_settings settings = {0};
    struct recording r = {.settings = &settings};
    struct options_result result;

    int status = options_begin(table, &usage, argc, argv, arena, &settings, &result);
    if (status >= 0)
        return status;
    if (!settings.pid && result.rest + 1 == argc && (settings.pid = process_of(argv[result.rest])))
        result.rest = argc;
    if (check(&settings, result.rest < argc) < 0 ||
        !(r.format = profile_choose_format("record", settings.format, settings.output)))
        return EXIT_USAGE;
    if (check_filter(&settings) < 0)
        return EXIT_USAGE;
    if (check_output(settings.output) < 0)
        return EXIT_FAILED;
    status = record(&r, argv + result.rest);
    sampler_free(r.sampler);
    profile_done(&r.profile);
    return status;
}

int cmd_record(int argc, char **argv) {
    static char option[sizeof("--pid=") + 20];
    struct arena arena;

    if (argc > 1 && process_of(argv[1])) { /* options may follow */
        snprintf(option, sizeof(option), "--pid=%llu", (unsigned long long) process_of(argv[1]));
        argv[1] = option;
    }
    profile_long_output(argc, argv);
    arena_init(&arena, OPTIONS_TEXT_BYTES_MAX);
    int status = run(argc, argv, &arena);
    arena_done(&arena);
    return status;
}
