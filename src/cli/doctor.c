/* `varan doctor -- CMD…`: starts CMD as `varan run` would, but the first Python in it reports what
 * the agent would do there, instead of running the application. */
#include "base/clock.h"
#include "cli/agent.h"
#include "cli/command.h"
#include "cli/options.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_FD 9 /* in the child */
#define REPORT_BYTES_MAX ((size_t) 4 << 20)
#define REPORT_NS_MAX (30 * NS_PER_S)

extern char **environ;

struct doctor_settings {
    const char *endpoint;
    bool json;
};

static const struct option_def rows[] = {
        {"endpoint", "VARAN_ENDPOINT", NULL, OPTION_TEXT,
         offsetof(struct doctor_settings, endpoint), "http://127.0.0.1:4318", "URL",
         "The server that the program's telemetry would go to."},
        {"json", NULL, NULL, OPTION_FLAG, offsetof(struct doctor_settings, json), NULL, NULL,
         "Print one JSON object."},
};

static const struct usage usage = {
        "varan doctor [OPTION]... -- PROGRAM [ARGUMENT]...",
        "Says what the agent would see of a Python program, what not, and why: its interpreter, "
        "settings, whether a server answers, each library that is installed, other agents. The "
        "program is started, but the first Python in it ends after its report, before the "
        "application's own code.",
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

/* Reads up to the report's end mark. 1: whole, 0: the program ended or closed it before, negative:
 * an error. */
static int read_report(int fd, struct buffer *to) {
    int64_t end = clock_monotonic_ns() + REPORT_NS_MAX;
    uint8_t piece[4096];

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - clock_monotonic_ns();
        if (left <= 0)
            return -ETIMEDOUT;
        int n = poll(&p, 1, (int) (left / NS_PER_MS) + 1);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n <= 0)
            continue;
        ssize_t got = read(fd, piece, sizeof(piece));
        if (got <= 0)
            return got < 0 ? -errno : 0;
        const uint8_t *mark = memchr(piece, 0, (size_t) got);
        int r = buffer_append(to, piece, mark ? (size_t) (mark - piece) : (size_t) got);
        if (r < 0 || mark)
            return r < 0 ? r : 1;
    }
}

static int start(char *const *words, int report, pid_t *ret) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, report, REPORT_FD);
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

static int explain(int r, const char *program) {
    if (r == -ETIMEDOUT)
        fprintf(stderr,
                "varan doctor: %s started no Python with the agent in 30 s; it was ended. Is it a "
                "Python program that runs here, not in a container or on another machine?\n",
                program);
    else if (r == 0)
        fprintf(stderr,
                "varan doctor: %s ended without a Python that takes the agent. Either no Python "
                "runs in it, or its Python is started with -I, -E or -S, or PYTHONPATH is "
                "replaced on the way; `import varan; varan.start()` in the program's first line "
                "works in all these cases\n",
                program);
    else
        fprintf(stderr, "varan doctor: cannot read the report: %s\n", error_name(r));
    return EXIT_FAILED;
}

static int examine(char *const *words) {
    struct buffer report;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        fprintf(stderr, "varan doctor: %s\n", error_name(-errno));
        return EXIT_FAILED;
    }
    int r = start(words, ends[1], &pid);
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        fprintf(stderr, "varan doctor: cannot run %s: %s\n", words[0],
                r == -ENOENT ? "there is no such program on PATH" : error_name(r));
        return r == -ENOENT ? 127 : 126;
    }
    buffer_init(&report, REPORT_BYTES_MAX);
    r = read_report(ends[0], &report);
    stop(pid);
    close(ends[0]);
    if (r > 0)
        fwrite(report.data, 1, report.size, stdout);
    buffer_done(&report);
    return r > 0 ? EXIT_OK : explain(r, words[0]);
}

static int prepare(const struct doctor_settings *s, char *const *words, struct arena *arena) {
    struct error e = ERROR_NONE;
    const char *folder;

    if (shutting_out(words)) {
        fprintf(stderr,
                "varan doctor: Python's option %s keeps the agent out; leave it away, or write "
                "`import varan; varan.start()` in the program's first line\n",
                shutting_out(words));
        return -EINVAL;
    }
    int r = agent_find(words[0], arena, &folder, &e);
    if (r < 0) {
        fprintf(stderr, "varan doctor: %s\n", e.text);
        return r;
    }
    const char *how = arena_printf(arena, "%s:%d", s->json ? "json" : "text", REPORT_FD);
    if (!how || setenv("VARAN_DOCTOR", how, 1) < 0)
        r = -ENOMEM;
    else
        r = agent_set_environment(folder, s->endpoint, NULL, arena);
    if (r < 0)
        fprintf(stderr, "varan doctor: out of memory\n");
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
        r = prepare(&s, argv + result.rest, &arena) < 0 ? EXIT_FAILED : examine(argv + result.rest);
    arena_done(&arena);
    return r;
}
