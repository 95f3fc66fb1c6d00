/* `varan doctor -- CMD…`: starts CMD as `varan run` would, but the first Python in it reports what
 * the agent would do there, instead of running the application. */
#include "base/clock.h"
#include "cli/agent.h"
#include "cli/command.h"
#include "cli/options.h"
#include "wire/json.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_BYTES_MAX ((size_t) 4 << 20)
#define REPORT_NS_MAX (90 * NS_PER_S)
#define LOOK_MS 50 /* how often the program is asked whether it has ended */
#define TROUBLE_BYTES_MAX 2048

extern char **environ;

struct doctor_settings {
    const char *endpoint;
    bool json;
};

static const struct option_def rows[] = {
        {"endpoint", "VARAN_ENDPOINT", NULL, OPTION_TEXT,
         offsetof(struct doctor_settings, endpoint), NULL, "URL",
         "The server that the program's telemetry would go to; without it "
         "OTEL_EXPORTER_OTLP_ENDPOINT, without that http://127.0.0.1:4318."},
        {"json", NULL, NULL, OPTION_FLAG, offsetof(struct doctor_settings, json), NULL, NULL,
         "Print one JSON object: instrumented, verdict, command, parts."},
};

static const struct usage usage = {
        "varan doctor [OPTION]... -- PROGRAM [ARGUMENT]...",
        "Says what the agent would see of a Python program, what not, why, and what to do: its "
        "interpreter, the settings in force, whether a server answers, each library that is "
        "installed (its hooks are tried), other agents. The program is started, but the first "
        "Python in it ends after its report, before the application's own code. The exit status is "
        "0 when the agent would run in the program, else 1.",
        "Example: varan doctor -- gunicorn shop:app\n",
};

/* Options of Python that keep sitecustomize, and with it the agent, out. */
static const char *shutting_out(char *const *words) {
    const char *slash = strrchr(words[0], '/'), *name = slash ? slash + 1 : words[0];

    if (strncmp(name, "python", 6) != 0)
        return NULL;
    for (size_t i = 1; words[i] && words[i][0] == '-' && words[i][1]; i++) {
        if (strcmp(words[i], "-c") == 0 || strcmp(words[i], "-m") == 0 || words[i][1] == '-')
            return NULL;
        if (strpbrk(words[i] + 1, "IES") && !strpbrk(words[i] + 1, "WX"))
            return words[i];
        if (strcmp(words[i], "-W") == 0 || strcmp(words[i], "-X") == 0)
            i++;
    }
    return NULL;
}

/* What stands between a program and a report: on stderr, or as the JSON object. */
__attribute__((format(printf, 2, 3))) static int refuse(bool json, const char *format, ...) {
    char text[TROUBLE_BYTES_MAX];
    struct buffer out;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!json) {
        fprintf(stderr, "varan doctor: %s\n", text);
        return EXIT_FAILED;
    }
    buffer_init(&out, REPORT_BYTES_MAX);
    struct json_writer w = json_writer(&out);
    json_begin_object(&w);
    json_field_bool(&w, "instrumented", false);
    json_field_text(&w, "verdict", text);
    json_end_object(&w);
    fwrite(out.data, 1, out.size, stdout);
    putchar('\n');
    buffer_done(&out);
    return EXIT_FAILED;
}

/* Appends what the pipe holds. 1: up to the report's end mark, 0: not yet, negative: an error. */
static int take(int fd, struct buffer *to) {
    uint8_t piece[4096];

    for (;;) {
        ssize_t got = read(fd, piece, sizeof(piece));
        if (got <= 0)
            return got == 0 || errno == EAGAIN ? 0 : -errno;
        const uint8_t *mark = memchr(piece, 0, (size_t) got);
        int r = buffer_append(to, piece, mark ? (size_t) (mark - piece) : (size_t) got);
        if (r < 0 || mark)
            return r < 0 ? r : 1;
    }
}

/* Waits for the report. 1: whole, 0: the program ended without one, negative: an error. The pipe
 * never ends by itself, as its writing end is open here: the program's end is asked for. */
static int read_report(int fd, pid_t pid, struct buffer *to) {
    int64_t end = clock_monotonic_ns() + REPORT_NS_MAX;

    while (clock_monotonic_ns() < end) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        siginfo_t info = {0};
        int n = poll(&p, 1, LOOK_MS);
        if (n < 0 && errno != EINTR)
            return -errno;
        bool ended = waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                     info.si_pid == pid;
        int r = take(fd, to);
        if (r != 0 || ended)
            return r;
    }
    return -ETIMEDOUT;
}

static int start(char *const *words, pid_t *ret) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    int r = posix_spawnp(ret, words[0], &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static void stop(pid_t pid) {
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int explain(int r, bool json, const char *program) {
    if (r == -ETIMEDOUT)
        return refuse(json,
                      "%s started no Python with the agent within 90 s; it was ended. Is it a "
                      "Python program that runs here, not in a container or on another machine?",
                      program);
    if (r == 0 && strstr(program, "opentelemetry-instrument"))
        return refuse(json,
                      "%s puts its own start before the agent's; leave it away, or set "
                      "OTEL_PYTHON_DISTRO=varan OTEL_PYTHON_CONFIGURATOR=varan with the "
                      "package varan installed in that environment",
                      program);
    if (r == 0)
        return refuse(json,
                      "%s ended without a Python that takes the agent. Either no Python runs in "
                      "it, or its Python is started with -I, -E or -S, or PYTHONPATH is replaced "
                      "on the way; `import varan; varan.start()` in the program's first line "
                      "works in all these cases",
                      program);
    return refuse(json, "cannot read the report: %s", error_name(r));
}

/* The report's first byte says whether the program can be instrumented. */
static int examine(bool json, char *const *words, int reading) {
    struct buffer report;
    pid_t pid;

    int r = start(words, &pid);
    if (r < 0) {
        refuse(json, "cannot run %s: %s", words[0],
               r == -ENOENT ? "there is no such program on PATH" : error_name(r));
        return r == -ENOENT ? 127 : 126;
    }
    buffer_init(&report, REPORT_BYTES_MAX);
    r = read_report(reading, pid, &report);
    stop(pid);
    if (r > 0 && report.size > 1)
        fwrite(report.data + 1, 1, report.size - 1, stdout);
    bool good = report.size > 0 && report.data[0] == '1';
    buffer_done(&report);
    return r <= 0 ? explain(r, json, words[0]) : good ? EXIT_OK : EXIT_FAILED;
}

/* What the agent is told through VARAN_DOCTOR: the form of its report, and where to write it. The
 * pipe is named by its place in /proc, as programs on the way close what they inherit. */
static int announce(bool json, int writing, struct arena *arena) {
    struct winsize w = {0};
    const char *type = getenv("TERM");
    bool terminal = isatty(STDOUT_FILENO);
    bool colours = terminal && !getenv("NO_COLOR") && !(type && strcmp(type, "dumb") == 0);

    if (terminal)
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
    const char *how = arena_printf(arena, "%s:%d:%d:/proc/%d/fd/%d", json ? "json" : "text",
                                   w.ws_col, colours, (int) getpid(), writing);
    return how && setenv("VARAN_DOCTOR", how, 1) == 0 ? 0 : -ENOMEM;
}

static int diagnose(const struct doctor_settings *s, char *const *words, struct arena *arena) {
    struct error e = ERROR_NONE;
    const char *folder;
    int ends[2];

    if (shutting_out(words))
        return refuse(s->json,
                      "Python's option %s keeps the agent out; leave it away, or write `import "
                      "varan; varan.start()` in the program's first line",
                      shutting_out(words));
    if (agent_find(words[0], arena, &folder, &e) < 0)
        return refuse(s->json, "%s", e.text);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return refuse(s->json, "%s", error_name(-errno));
    int r = announce(s->json, ends[1], arena);
    if (r == 0)
        r = agent_set_environment(folder, s->endpoint, NULL, arena);
    r = r < 0 ? refuse(s->json, "out of memory") : examine(s->json, words, ends[0]);
    close(ends[0]);
    close(ends[1]);
    return r;
}

int command_doctor(int argc, char **argv) {
    struct doctor_settings s = {0};
    struct options_result result;
    struct arena arena;

    arena_init(&arena, OPTIONS_TEXT_BYTES_MAX);
    int r = options_begin((struct option_table){rows, sizeof(rows) / sizeof(rows[0])}, &usage, argc,
                          argv, &arena, &s, &result);
    if (r < 0 && result.rest >= argc) {
        fprintf(stderr,
                "varan doctor: name the program after --, as in: varan doctor -- python app.py\n");
        r = EXIT_USAGE;
    }
    if (r < 0)
        r = diagnose(&s, argv + result.rest, &arena);
    arena_done(&arena);
    return r;
}
