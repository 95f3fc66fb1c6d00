/*
 * `varan dev -- CMD…`: a local server in the background when none answers, and CMD under the agent
 * as a child. The server is a session of its own, so that Ctrl-C in the terminal reaches CMD and
 * not it.
 */
#include "base/clock.h"
#include "cli/agent.h"
#include "cli/command.h"
#include "cli/settings.h"
#include "net/client.h"
#include "net/listen.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_NS_MAX (20 * NS_PER_S)
#define STOP_NS_MAX (12 * NS_PER_S)
#define LOG_TAIL_BYTES 2000

struct dev_settings {
    const char *service, *data_dir, *listen, *otlp_http, *otlp_grpc, *engine_lib;
    bool keep;
};

#define AT(field) offsetof(struct dev_settings, field)

static const struct option_def rows[] = {
        {"service", "VARAN_SERVICE", NULL, OPTION_TEXT, AT(service), NULL, "NAME",
         "What the program is called on the page."},
        {"keep", NULL, NULL, OPTION_FLAG, AT(keep), "false", NULL,
         "Leave the server running when the program ends."},
        {"data-dir", "VARAN_DATA_DIR", NULL, OPTION_TEXT, AT(data_dir), NULL, "DIR",
         "Where the server keeps its data and its log. Default "
         "${XDG_DATA_HOME:-~/.local/share}/varan."},
        {"listen", "VARAN_LISTEN", NULL, OPTION_TEXT, AT(listen), PAGE_ADDRESS_DEFAULT, "HOST:PORT",
         "Where the page is, or shall be."},
        {"otlp-http", "VARAN_OTLP_HTTP", NULL, OPTION_TEXT, AT(otlp_http),
         OTLP_HTTP_ADDRESS_DEFAULT, "HOST:PORT",
         "OTLP over HTTP of a server that is started; \"off\" for none."},
        {"otlp-grpc", "VARAN_OTLP_GRPC", NULL, OPTION_TEXT, AT(otlp_grpc),
         OTLP_GRPC_ADDRESS_DEFAULT, "HOST:PORT",
         "OTLP over gRPC of a server that is started; \"off\" for none."},
        {"engine-lib", "VARAN_ENGINE_LIB", NULL, OPTION_TEXT, AT(engine_lib), NULL, "FILE",
         "The storage engine's library, for a server that is started."},
};

static const struct usage usage = {
        "varan dev [OPTION]... -- PROGRAM [ARGUMENT]...",
        "Runs a Python program under the agent, with a local server and its page. A server that "
        "answers already is used; else one is started and stopped again with the program.",
        "Example: varan dev -- python app.py\n",
};

struct dev {
    struct dev_settings settings;
    struct arena arena;
    struct http_client *client;
    const char *log, *port_file;
    pid_t server; /* 0: not ours */
    char page[LISTEN_HOST_MAX + 32];
};

/* ---- The server ---- */

static bool answers(struct dev *d, const char *page, const char *path) {
    const char *url = arena_printf(&d->arena, "%s%s", page, path);
    struct http_client_request q = {.method = "GET", .url = url, .timeout_ns = NS_PER_S};
    struct http_client_answer a;
    struct error e;

    if (!url || http_client_send(d->client, &q, &a, &e) < 0)
        return false;
    buffer_done(&a.body);
    return a.status == 200;
}

static int make_folder(const char *path) {
    char part[4096];
    size_t n = strlen(path);

    if (n >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= n; i++)
        if (path[i] == '/' || path[i] == 0) {
            memcpy(part, path, i);
            part[i] = 0;
            if (mkdir(part, 0700) < 0 && errno != EEXIST)
                return -errno;
        }
    return 0;
}

static void exec_server(const struct dev *d) {
    const struct dev_settings *s = &d->settings;
    const char *words[] = {"varan",
                           "serve",
                           "--data-dir",
                           s->data_dir,
                           "--listen",
                           s->listen,
                           "--otlp-http",
                           s->otlp_http,
                           "--otlp-grpc",
                           s->otlp_grpc,
                           "--port-file",
                           d->port_file,
                           s->engine_lib ? "--engine-lib" : NULL,
                           s->engine_lib,
                           NULL};
    int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

    if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", (char *const *) (uintptr_t) words);
    _exit(127);
}

/* The port of the page from the server's port file; 0 while it is not there. */
static int read_port(const char *path) {
    json_t *root = json_load_file(path, 0, NULL);
    int port = (int) json_integer_value(json_object_get(root, "page"));

    json_decref(root);
    return port;
}

static void print_log_tail(const char *path) {
    char text[LOG_TAIL_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    ssize_t n = fd < 0 ? 0
                       : pread(fd, text, sizeof(text),
                               size > LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0);

    if (n > 0)
        fprintf(stderr, "%.*s", (int) n, text);
    fprintf(stderr, "varan dev: the server did not start; its log is %s\n", path);
    if (fd >= 0)
        close(fd);
}

static void format_page(struct dev *d, int port) {
    char host[LISTEN_HOST_MAX];
    int unused;

    if (listen_parse(d->settings.listen, host, &unused, NULL) < 0 || strcmp(host, "0.0.0.0") == 0 ||
        strcmp(host, "::") == 0)
        snprintf(host, sizeof(host), "127.0.0.1");
    bool v6 = strchr(host, ':');
    snprintf(d->page, sizeof(d->page), "http://%s%s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "",
             port);
}

static bool server_ended(struct dev *d) {
    return waitpid(d->server, NULL, WNOHANG) == d->server;
}

static int wait_until_ready(struct dev *d) {
    const struct timespec pause = {0, 20 * NS_PER_MS};
    int64_t end = clock_monotonic_ns() + START_NS_MAX;

    while (clock_monotonic_ns() < end) {
        if (server_ended(d)) {
            d->server = 0;
            return -ESRCH;
        }
        int port = read_port(d->port_file);
        if (port)
            format_page(d, port);
        if (port && answers(d, d->page, "/readyz"))
            return 0;
        nanosleep(&pause, NULL);
    }
    return -ETIMEDOUT;
}

static void stop_server(struct dev *d) {
    const struct timespec pause = {0, 20 * NS_PER_MS};
    int64_t end = clock_monotonic_ns() + STOP_NS_MAX;

    if (!d->server)
        return;
    kill(d->server, SIGTERM);
    while (!server_ended(d)) {
        if (clock_monotonic_ns() > end)
            kill(d->server, SIGKILL);
        nanosleep(&pause, NULL);
    }
    unlink(d->port_file);
    d->server = 0;
}

static int start_server(struct dev *d) {
    int r = make_folder(d->settings.data_dir);

    if (r < 0) {
        fprintf(stderr, "varan dev: %s: %s\n", d->settings.data_dir, error_name(r));
        return r;
    }
    unlink(d->port_file);
    d->server = fork();
    if (d->server < 0) {
        d->server = 0;
        fprintf(stderr, "varan dev: cannot start the server: %s\n", error_name(-errno));
        return -EAGAIN;
    }
    if (d->server == 0)
        exec_server(d);
    r = wait_until_ready(d);
    if (r < 0) {
        print_log_tail(d->log);
        stop_server(d);
    }
    return r;
}

/* ---- The program ---- */

static sigset_t taken_signals(void) {
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&set, numbers[i]);
    return set;
}

/* Waits for the child and hands on what is sent to us. The terminal's own signals (Ctrl-C) it has
 * got already, as it is in the same process group. Returns the exit status, as a shell gives it. */
static int attend(pid_t child) {
    sigset_t set = taken_signals();

    for (;;) {
        siginfo_t info;
        int status, number = sigwaitinfo(&set, &info);
        if (number < 0)
            continue;
        if (number != SIGCHLD) {
            if (info.si_code <= 0) /* sent by a process */
                kill(child, number);
            continue;
        }
        if (waitpid(child, &status, WNOHANG) != child)
            continue;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

static int run_program(struct dev *d, char **argv) {
    const char *endpoint = getenv("VARAN_ENDPOINT"), *folder;
    struct error e = ERROR_NONE;

    if (agent_find(argv[0], &d->arena, &folder, &e) < 0) {
        fprintf(stderr, "varan dev: %s\n", e.text);
        return EXIT_FAILED;
    }
    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "varan dev: cannot start %s: %s\n", argv[0], error_name(-errno));
        return EXIT_FAILED;
    }
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (agent_set_environment(folder, endpoint && *endpoint ? endpoint : d->page,
                                  d->settings.service, &d->arena) < 0)
            _exit(126);
        _exit(agent_exec("dev", argv));
    }
    return attend(child);
}

static int dev(struct dev *d, char **program) {
    char host[LISTEN_HOST_MAX];
    struct error e = ERROR_NONE;
    int port;

    d->log = arena_printf(&d->arena, "%s/server.log", d->settings.data_dir);
    d->port_file = arena_printf(&d->arena, "%s/dev-ports.json", d->settings.data_dir);
    if (!d->log || !d->port_file || http_client_new(&d->client) < 0) {
        fprintf(stderr, "varan dev: out of memory\n");
        return EXIT_FAILED;
    }
    if (listen_parse(d->settings.listen, host, &port, &e) < 0) {
        fprintf(stderr, "varan dev: --listen: %s\n", e.text);
        return EXIT_USAGE;
    }
    format_page(d, port);
    bool running = port && answers(d, d->page, "/healthz");
    if (!running && start_server(d) < 0)
        return EXIT_FAILED;
    fprintf(stderr, "varan: %s %s\n", running ? "using the server at" : "the page is", d->page);
    int r = run_program(d, program);
    if (d->server && d->settings.keep)
        fprintf(stderr, "varan: the server keeps running (process %d): %s\n", (int) d->server,
                d->page);
    else
        stop_server(d);
    return r;
}

int command_dev(int argc, char **argv) {
    struct dev d = {0};
    struct options_result result;
    struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    sigset_t set = taken_signals();

    arena_init(&d.arena, OPTIONS_TEXT_BYTES_MAX);
    int r = options_begin(table, &usage, argc, argv, &d.arena, &d.settings, &result);
    if (r < 0 && result.rest >= argc) {
        fprintf(stderr,
                "varan dev: name the program after --, as in: varan dev -- python app.py\n");
        r = EXIT_USAGE;
    }
    if (r < 0 && !d.settings.data_dir)
        d.settings.data_dir = default_data_dir(&d.arena);
    if (r < 0 && !d.settings.data_dir) {
        fprintf(stderr, "varan dev: there is no home folder; give --data-dir DIR\n");
        r = EXIT_USAGE;
    }
    if (r < 0) {
        sigprocmask(SIG_BLOCK, &set, NULL);
        r = dev(&d, argv + result.rest);
        http_client_free(d.client);
    }
    arena_done(&d.arena);
    return r;
}
