/* `varan profile`: profiles processes from outside and sends what they did to a server, until it is
 * told to end. Single-threaded but for the sender. */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/profile_process.h"
#include "cli/profile_sender.h"
#include "cli/query.h"
#include "cli/settings.h"
#include "profile/continuous.h"

#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_NS (2 * NS_PER_S)
#define FLUSH_NS (5 * NS_PER_S)
#define WAIT_MOST_NS (NS_PER_S / 4)
#define URL_BYTES_MAX 8192u

struct profile_settings {
    const char *match, *server, *service, *environment;
    uint64_t pid, rate;
    int64_t duration_ns;
    bool continuous, wall, source, list;
};

#define AT(field) offsetof(struct profile_settings, field)

static const struct option_def rows[] = {
        {"match", NULL, NULL, OPTION_TEXT, AT(match), NULL, "REGEX",
         "Processes whose command line matches (an extended regular expression, anywhere in the "
         "words joined with blanks): 'gunicorn.*shop', '^python .*worker\\.py'."},
        {"pid", NULL, NULL, OPTION_NUMBER, AT(pid), "0", "PID", "This process alone."},
        {"continuous", NULL, NULL, OPTION_FLAG, AT(continuous), "false", NULL,
         "Until Ctrl-C or SIGTERM: processes are found as they come and left as they end."},
        {"duration", NULL, NULL, OPTION_DURATION, AT(duration_ns), "0s", "TIME",
         "End after this time (30s, 5m)."},
        {"rate", NULL, NULL, OPTION_NUMBER, AT(rate), "19", "HZ",
         "Samples a second, 1 to 250; fewer where one per cent of a processor does not allow it."},
        {"wall", NULL, NULL, OPTION_FLAG, AT(wall), "true", NULL,
         "Wall time too, of threads that wait as well (--no-wall: CPU time and GIL wait alone)."},
        {"source", "VARAN_PROFILE_SOURCE", NULL, OPTION_FLAG, AT(source), "true", NULL,
         "The text of the application's functions that cost most too (--no-source: not)."},
        {"service", "VARAN_SERVICE", NULL, OPTION_TEXT, AT(service), NULL, "NAME",
         "What all of them are called. Without it each process by its own OTEL_SERVICE_NAME or "
         "VARAN_SERVICE, else by its program."},
        {"environment", NULL, NULL, OPTION_TEXT, AT(environment), NULL, "NAME",
         "deployment.environment.name of all of them."},
        {"server", "VARAN_SERVER", NULL, OPTION_TEXT, AT(server), "http://" PAGE_ADDRESS_DEFAULT,
         "URL", "The server that takes the profiles."},
        {"list", NULL, NULL, OPTION_FLAG, AT(list), "false", NULL,
         "Print which processes match and what they would be called, and end."},
};

static const struct usage usage = {
        "varan profile (--match REGEX | --pid PID) (--continuous | --duration TIME) [OPTION]...",
        "Profiles running Python programs (CPython 3.8 to 3.14) from outside, without a change to "
        "them, and sends CPU time, wall time and GIL wait by stack and thread to a server, every "
        "ten seconds.",
        "Programs under the agent profile themselves and are left alone.\n"
        "Reading another process takes what a debugger needs: the same user, or root.\n"
        "Examples: varan profile --continuous --match 'gunicorn.*'\n"
        "          sudo varan profile --continuous --match python --server http://varan:8272\n"
        "          varan profile --match celery --list\n",
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    interrupted = 1;
}

struct profiling {
    const struct profile_settings *settings;
    struct sender *sender;
    char host[256];
};

/* ---- What becomes of a process ---- */

static void tell(void *ctx, enum continuous_event event, const struct process_info *p,
                 const char *text) {
    fprintf(stderr, "varan profile: %d (", (int) p->pid);
    print_clean(stderr, p->command);
    switch (event) {
    case CONTINUOUS_ATTACHED:
        fprintf(stderr, "): profiling it as ");
        print_clean(stderr, p->service);
        fprintf(stderr, ", Python %s\n", text);
        break;
    case CONTINUOUS_ENDED: fprintf(stderr, ") ended\n"); break;
    case CONTINUOUS_REFUSED: fprintf(stderr, ") is left out: %s\n", text); break;
    case CONTINUOUS_HAS_AGENT:
        fprintf(stderr, ") is left out: the agent in it profiles it already\n");
        break;
    }
}

static void add_param(struct buffer *url, const char *name, const char *value) {
    if (!value || !*value)
        return;
    buffer_printf(url, "&%s=", name);
    url_encode(url, slice_from(value));
}

static void sealed(void *ctx, const struct process_info *p, const char *python_version,
                   struct slice pprof) {
    struct profiling *g = ctx;
    struct slice server = slice_from(g->settings->server);
    struct buffer url;
    char text[512];

    while (slice_ends(server, SLICE("/")))
        server = slice_take(server, server.size - 1);
    buffer_init(&url, URL_BYTES_MAX);
    buffer_append_slice(&url, server);
    buffer_append_text(&url, "/api/v1/profiles?service=");
    url_encode(&url, slice_from(p->service));
    add_param(&url, "version", p->version);
    add_param(&url, "environment", g->settings->environment);
    snprintf(text, sizeof(text), "%s-%d-%llu", g->host, (int) p->pid,
             (unsigned long long) p->start_ticks);
    add_param(&url, "instance", text);
    snprintf(text, sizeof(text), "%d", (int) p->pid);
    add_param(&url, "resource.process.pid", text);
    add_param(&url, "resource.host.name", g->host);
    add_param(&url, "resource.process.runtime.name", "cpython");
    add_param(&url, "resource.process.runtime.version", python_version);
    add_param(&url, "resource.telemetry.sdk.language", "python");
    buffer_append_u8(&url, 0);
    if (!url.failed)
        sender_put(g->sender, (const char *) url.data, pprof);
    buffer_done(&url);
}

/* ---- The loop ---- */

static void wait_until(int64_t ns) {
    int64_t now = clock_monotonic_ns();
    int64_t until = ns < now + WAIT_MOST_NS ? ns : now + WAIT_MOST_NS;
    struct timespec at = {until / NS_PER_S, until % NS_PER_S};

    if (until > now)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void loop(const struct profile_settings *s, struct continuous *c) {
    int64_t start = clock_monotonic_ns(), looked = 0;
    bool any = false;

    while (!interrupted) {
        int64_t now = clock_monotonic_ns();
        if (s->duration_ns && now - start >= s->duration_ns)
            break;
        if (now - looked >= LOOK_EVERY_NS) {
            looked = now;
            size_t n = continuous_look(c);
            if (n == 0 && s->pid)
                break; /* it has ended, or cannot be read */
            if (n == 0 && !any)
                fprintf(stderr, "varan profile: no process to profile yet; waiting\n");
            any = true;
        }
        if (now >= continuous_due_ns(c))
            continuous_tick(c);
        wait_until(continuous_due_ns(c));
    }
    continuous_seal(c);
}

static int finish(struct profiling *g, const struct continuous *c, int64_t took_ns) {
    struct continuous_stats s;
    struct sender_stats sent;

    sender_free(g->sender, FLUSH_NS, &sent);
    continuous_read_stats(c, &s);
    fprintf(stderr,
            "varan profile: %llu samples in %.1f s (%.2f %% of a processor), %llu torn, %llu "
            "dropped; %llu windows sent, %llu refused, %llu lost\n",
            (unsigned long long) s.samples, (double) took_ns / 1e9,
            took_ns ? 100 * (double) s.cpu_ns / (double) took_ns : 0.0, (unsigned long long) s.torn,
            (unsigned long long) s.dropped, (unsigned long long) sent.sent,
            (unsigned long long) sent.refused, (unsigned long long) sent.dropped);
    if (!sent.sent && (sent.refused || sent.dropped))
        return EXIT_FAILED;
    return s.samples || interrupted ? EXIT_OK : EXIT_FAILED;
}

static int profile(const struct profile_settings *s, const regex_t *regex) {
    struct profiling g = {.settings = s};
    const struct continuous_options o = {.regex = regex,
                                         .pid = (pid_t) s->pid,
                                         .service = s->service,
                                         .rate_max = (unsigned) s->rate,
                                         .wall = s->wall,
                                         .source = s->source,
                                         .tell = tell,
                                         .sealed = sealed,
                                         .ctx = &g};
    struct sigaction action = {.sa_handler = on_signal};
    struct continuous *c;

    gethostname(g.host, sizeof(g.host) - 1);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sender_new("profile", &g.sender) < 0 || continuous_new(&o, &c) < 0) {
        fprintf(stderr, "varan profile: out of memory\n");
        return EXIT_FAILED;
    }
    int64_t start = clock_monotonic_ns();
    loop(s, c);
    int status = finish(&g, c, clock_monotonic_ns() - start);
    continuous_free(c);
    return status;
}

/* ---- --list ---- */

struct listing {
    pid_t pid;
    size_t n;
};

static int list_one(void *ctx, const struct process_info *p) {
    struct listing *l = ctx;
    struct process_info info = *p;
    struct cpython *c = NULL;
    struct error e = ERROR_NONE;

    if (l->pid && p->pid != l->pid)
        return 0;
    int r = cpython_open(p->pid, &c, &e);
    if (r == -ENOENT || r == -ESRCH)
        return 0; /* no Python */
    process_name(&info);
    printf("%7d  ", (int) p->pid);
    print_clean(stdout, r < 0 ? "-" : info.service);
    printf("  %s  ", r < 0 ? "-" : cpython_version(c));
    print_clean(stdout, p->command);
    printf("%s%s\n",
           r < 0                          ? "  "
           : process_has_profiler(p->pid) ? "  (profiled by the agent)"
                                          : "",
           r < 0 ? e.text : "");
    cpython_close(c);
    l->n++;
    return 0;
}

static int list(const struct profile_settings *s, const regex_t *regex) {
    struct listing l = {.pid = (pid_t) s->pid};

    process_each(regex, list_one, &l);
    if (l.n == 0)
        fprintf(stderr, "varan profile: no Python process matches\n");
    return l.n ? EXIT_OK : EXIT_FAILED;
}

/* ---- Options ---- */

static int check(const struct profile_settings *s) {
    if (!s->match == !s->pid)
        fprintf(stderr, "varan profile: give --match REGEX or --pid PID%s\n",
                s->match ? ", not both" : ", as in: varan profile --continuous --match gunicorn");
    else if (!s->list && s->continuous == (s->duration_ns > 0))
        fprintf(stderr, "varan profile: give --continuous (until Ctrl-C) or --duration TIME%s\n",
                s->continuous ? ", not both" : "");
    else if (s->rate < 1 || s->rate > CONTINUOUS_RATE_MAX || s->pid > INT32_MAX)
        fprintf(stderr, "varan profile: --rate is 1 to %u, --pid a process id\n",
                CONTINUOUS_RATE_MAX);
    else
        return 0;
    return -EINVAL;
}

static int run(int argc, char **argv, struct arena *arena) {
    const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};
    struct profile_settings s = {0};
    struct options_result result;
    char why[256];
    regex_t regex;

    int status = options_begin(table, &usage, argc, argv, arena, &s, &result);
    if (status >= 0)
        return status;
    if (result.rest < argc) {
        fprintf(stderr,
                "varan profile: \"%s\" is not expected; `varan record -- PROGRAM` starts "
                "a program\n",
                argv[result.rest]);
        return EXIT_USAGE;
    }
    if (check(&s) < 0)
        return EXIT_USAGE;
    int r = s.match ? regcomp(&regex, s.match, REG_EXTENDED | REG_NOSUB) : 0;
    if (r != 0) {
        regerror(r, &regex, why, sizeof(why));
        fprintf(stderr, "varan profile: --match %s: %s\n", s.match, why);
        return EXIT_USAGE;
    }
    status = s.list ? list(&s, s.match ? &regex : NULL) : profile(&s, s.match ? &regex : NULL);
    if (s.match)
        regfree(&regex);
    return status;
}

int cmd_profile(int argc, char **argv) {
    struct arena arena;

    arena_init(&arena, OPTIONS_TEXT_BYTES_MAX);
    int status = run(argc, argv, &arena);
    arena_done(&arena);
    return status;
}
