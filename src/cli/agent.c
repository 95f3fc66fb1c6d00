/* Where the agent is, and how a program gets it: through PYTHONPATH, as Python imports
 * sitecustomize. */
#include "cli/agent.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define ASK_PYTHON_NS_MAX (10 * NS_PER_S)

extern char **environ;

static const char *const places[] = {"", "/bootstrap", "/varan/bootstrap"};

/* `folder` itself, or the bootstrap folder in it. */
static const char *bootstrap_in(const char *folder, struct arena *arena) {
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *found = arena_printf(arena, "%s%s", folder, places[i]);
        const char *file = arena_printf(arena, "%s%s/sitecustomize.py", folder, places[i]);
        if (found && file && access(file, R_OK) == 0)
            return found;
    }
    return NULL;
}

/* The build tree has the binary in src/cli/ and the agent in agent/; an installation has both in
 * one folder, or the agent in lib/varan/. */
static const char *beside_binary(struct arena *arena) {
    static const char *const ways[] = {"agent", "../../agent", "../lib/varan/agent"};
    char exe[PATH_MAX], real[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (n <= 0)
        return NULL;
    exe[n] = 0;
    char *slash = strrchr(exe, '/');
    if (!slash)
        return NULL;
    *slash = 0;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const char *folder = arena_printf(arena, "%s/%s", exe, ways[i]);
        folder = folder && realpath(folder, real) ? arena_printf(arena, "%s", real) : NULL;
        const char *found = folder ? bootstrap_in(folder, arena) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static bool looks_like_python(const char *program) {
    const char *slash = strrchr(program, '/');
    return strncmp(slash ? slash + 1 : program, "python", 6) == 0;
}

/* One line of the program's output, for at most ASK_PYTHON_NS_MAX. */
static ssize_t read_line(int fd, char *to, size_t room) {
    int64_t end = clock_monotonic_ns() + ASK_PYTHON_NS_MAX;
    size_t n = 0;

    while (n + 1 < room) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - clock_monotonic_ns();
        if (left <= 0 || poll(&p, 1, (int) (left / NS_PER_MS) + 1) <= 0)
            return -ETIMEDOUT;
        ssize_t got = read(fd, to + n, room - 1 - n);
        if (got <= 0)
            break;
        n += (size_t) got;
    }
    to[n] = 0;
    to[strcspn(to, "\n")] = 0;
    return (ssize_t) n;
}

/* Asks a Python for the folder of its package, without importing it. */
static const char *installed(const char *program, struct arena *arena) {
    char ask[] = "import importlib.util, os\n"
                 "s = importlib.util.find_spec('varan')\n"
                 "print(os.path.dirname(s.origin) if s and s.origin else '')\n";
    char python3[] = "python3", option[] = "-c", line[PATH_MAX];
    char *python = program && looks_like_python(program) ? (char *) (uintptr_t) program : python3;
    char *words[] = {python, option, ask, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int r = posix_spawnp(&pid, python, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    ssize_t n = r == 0 ? read_line(ends[0], line, sizeof(line)) : -1;
    close(ends[0]);
    if (r == 0) {
        if (n < 0)
            kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return n > 0 && line[0] == '/' ? bootstrap_in(line, arena) : NULL;
}

int agent_find(const char *program, struct arena *arena, const char **ret, struct error *e) {
    const char *told = getenv("VARAN_AGENT_DIR");

    if (told && *told) {
        *ret = bootstrap_in(told, arena);
        if (!*ret)
            return error_set(e, -ENOENT,
                             "VARAN_AGENT_DIR=%s holds no agent (sitecustomize.py, or "
                             "varan/bootstrap/sitecustomize.py)",
                             told);
        return 0;
    }
    *ret = beside_binary(arena);
    if (!*ret)
        *ret = installed(program, arena);
    if (!*ret)
        return error_set(e, -ENOENT,
                         "the Python agent was not found; install it with `pip install varan` in "
                         "the environment of your program, run `make build` in Varan's source, or "
                         "set VARAN_AGENT_DIR to its folder");
    return 0;
}

int agent_set_environment(const char *folder, const char *endpoint, const char *service,
                          struct arena *arena) {
    const char *own = getenv("PYTHONPATH"), *path = folder;
    size_t n = strlen(folder);
    bool ours = own && strncmp(own, folder, n) == 0 && (own[n] == ':' || own[n] == 0);

    if (ours)
        path = own; /* a command under `varan run` that is `varan run` itself */
    else if (own && *own)
        path = arena_printf(arena, "%s:%s", folder, own);
    if (!path || setenv("PYTHONPATH", path, 1) < 0 ||
        (endpoint && setenv("VARAN_ENDPOINT", endpoint, 1) < 0) ||
        (service && setenv("VARAN_SERVICE", service, 1) < 0))
        return -ENOMEM;
    return 0;
}

int agent_exec(const char *command, char **argv) {
    signal(SIGPIPE, SIG_DFL); /* what this process ignores, its successor would ignore too */
    execvp(argv[0], argv);
    int r = errno;
    fprintf(stderr, "varan %s: cannot run %s: %s\n", command, argv[0],
            r == ENOENT ? "there is no such program on PATH" : error_name(-r));
    return r == ENOENT ? 127 : 126;
}
