/*
 * `varan serve`: listens first, opens the parts behind, then waits for signals. The main thread
 * owns everything; signals are blocked in all threads and taken here.
 */
#include "cli/serve.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/command.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define GRACE_NS (4 * NS_PER_S) /* for answers in progress, all listeners together */

/* ---- Listeners ---- */

static bool is_off(const char *address) {
    return strcmp(address, "off") == 0 || strcmp(address, "none") == 0;
}

static struct http_server_options listener_options(const struct settings *settings,
                                                   const char *address,
                                                   const struct http_routes *routes) {
    return (struct http_server_options){
            .listen = address,
            .routes = routes,
            .n_routes = 1,
            .threads = settings->threads > 64 ? 64 : (unsigned) settings->threads,
            .connections_max =
                    settings->connections > 65536 ? 65536 : (unsigned) settings->connections,
            .body_bytes_total = settings->body_bytes,
            .request_ns_max = settings->request_timeout_ns,
            .idle_ns_max = settings->idle_timeout_ns,
            .answer_ns_max = settings->answer_timeout_ns,
    };
}

static int start_listeners(struct serve *s, struct error *e) {
    const struct settings *settings = s->settings;
    struct http_routes starting = serve_starting_routes(s);
    struct http_server_options o = listener_options(settings, settings->listen, &starting);

    int r = http_server_start(&o, &s->page, e);
    if (r < 0)
        return error_prefix(e, "--listen: ");
    o.listen = settings->otlp_http;
    if (!is_off(o.listen) && (r = http_server_start(&o, &s->otlp_http, e)) < 0)
        return error_prefix(e, "--otlp-http: ");
    o.listen = settings->otlp_grpc;
    if (!is_off(o.listen) && (r = grpc_server_start(&o, &s->otlp_grpc, e)) < 0)
        return error_prefix(e, "--otlp-grpc: ");
    return 0;
}

static void stop_listeners(struct serve *s) {
    int64_t end = clock_monotonic_ns() + GRACE_NS, left = GRACE_NS;

    http_server_stop(s->otlp_http, left);
    left = end - clock_monotonic_ns();
    grpc_server_stop(s->otlp_grpc, left > 0 ? left : 0);
    left = end - clock_monotonic_ns();
    http_server_stop(s->page, left > 0 ? left : 0);
}

/* ---- Telling where we are ---- */

/* The host that a person or a local client can use for a listening address. */
static void reachable_host(const char *address, char *to, size_t room) {
    const char *colon = strrchr(address, ':');
    struct slice host = slice_new(address, colon ? (size_t) (colon - address) : 0);

    if (!host.size || slice_is(host, "0.0.0.0") || slice_is(host, "[::]"))
        host = SLICE("127.0.0.1");
    snprintf(to, room, "%.*s", SLICE_ARG(host));
}

static void format_urls(struct serve *s) {
    char host[280];

    reachable_host(s->settings->listen, host, sizeof(host));
    snprintf(s->page_url, sizeof(s->page_url), "http://%s:%d", host, http_server_port(s->page));
    reachable_host(s->settings->otlp_http, host, sizeof(host));
    if (s->otlp_http)
        snprintf(s->otlp_http_url, sizeof(s->otlp_http_url), "http://%s:%d", host,
                 http_server_port(s->otlp_http));
    reachable_host(s->settings->otlp_grpc, host, sizeof(host));
    if (s->otlp_grpc)
        snprintf(s->otlp_grpc_url, sizeof(s->otlp_grpc_url), "http://%s:%d", host,
                 grpc_server_port(s->otlp_grpc));
}

static void print_banner(const struct serve *s) {
    printf("Varan " VARAN_VERSION ", ready in %.0f ms\n  page       %s\n", s->ready_s * 1000,
           s->page_url);
    if (*s->otlp_http_url)
        printf("  OTLP/HTTP  %s\n", s->otlp_http_url);
    if (*s->otlp_grpc_url)
        printf("  OTLP/gRPC  %s\n", s->otlp_grpc_url);
    printf("  data       %s\n", s->settings->data_dir);
    fflush(stdout);
}

static int write_port_file(const struct serve *s, struct error *e) {
    const char *path = s->settings->port_file;
    struct buffer text;
    char part[4096];

    if (!path)
        return 0;
    if (snprintf(part, sizeof(part), "%s.part", path) >= (int) sizeof(part))
        return error_set(e, -ENAMETOOLONG, "--port-file: the path is too long");
    buffer_init(&text, 4096);
    buffer_printf(&text, "{\"page\": %d", http_server_port(s->page));
    if (s->otlp_http)
        buffer_printf(&text, ", \"otlp_http\": %d", http_server_port(s->otlp_http));
    if (s->otlp_grpc)
        buffer_printf(&text, ", \"otlp_grpc\": %d", grpc_server_port(s->otlp_grpc));
    buffer_printf(&text, ", \"pid\": %d}\n", (int) getpid());
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int r = fd < 0 ? -errno : 0;
    if (r == 0 && write(fd, text.data, text.size) != (ssize_t) text.size)
        r = errno ? -errno : -EIO;
    if (fd >= 0)
        close(fd);
    if (r == 0 && rename(part, path) < 0) /* readers never see half of it */
        r = -errno;
    buffer_done(&text);
    return r < 0 ? error_set(e, r, "--port-file %s: %s", path, error_name(r)) : 0;
}

/* ---- Signals ---- */

static sigset_t handled_signals(void) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void set_log_level(const struct settings *settings) {
    enum log_level level;

    if (log_level_parse(settings->log_level, &level) == 0)
        log_set_level(level);
    else
        log_warn("serve", "log-level \"%s\" is not one of debug, info, warn, error",
                 settings->log_level);
}

/* Reads the configuration again. What cannot change while running is named. */
static void reload(struct serve *s, int argc, char **argv) {
    struct settings fresh;
    char names[400];

    if (settings_read(argc, argv, &fresh) >= 0) {
        log_error("serve", "the configuration has a mistake (above); the old one stays");
        return;
    }
    set_log_level(&fresh);
    fresh.log_level = s->settings->log_level;
    settings_differences(s->settings, &fresh, names, sizeof(names));
    if (*names)
        log_warn("serve", "configuration read; these take effect after a restart: %s", names);
    else
        log_info("serve", "configuration read");
    settings_done(&fresh);
    struct error e = ERROR_NONE;
    serve_reload_scrape(s, &e);
}

static void wait_for_end(struct serve *s, int argc, char **argv) {
    sigset_t set = handled_signals();
    int number;

    for (;;) {
        if (sigwait(&set, &number) != 0)
            continue;
        if (number != SIGHUP)
            break;
        reload(s, argc, argv);
    }
    log_info("serve", "%s: finishing what is in progress", strsignal(number));
}

static int64_t exit_ns_max;

/* Everything acknowledged is already on disk, so a hanging end may be cut short. */
static void *watchdog(void *arg) {
    int64_t end_ns = clock_monotonic_ns() + exit_ns_max;
    sigset_t set = handled_signals();
    int number;

    sigdelset(&set, SIGHUP);
    do { /* a process that was stopped and goes on is interrupted here, without a signal */
        int64_t ns = end_ns - clock_monotonic_ns();
        const struct timespec wait = {ns > 0 ? ns / NS_PER_S : 0, ns > 0 ? ns % NS_PER_S : 0};
        number = sigtimedwait(&set, NULL, &wait);
    } while (number < 0 && errno == EINTR);
    if (number < 0)
        log_error("serve", "the end took too long; leaving");
    else
        log_warn("serve", "second signal; leaving at once");
    _exit(EXIT_FAILED);
}

static void start_watchdog(const struct settings *settings) {
    pthread_t thread;

    exit_ns_max = settings->exit_timeout_ns;
    if (pthread_create(&thread, NULL, watchdog, NULL) == 0)
        pthread_detach(thread);
}

/* ---- The command ---- */

static void raise_file_limit(void) {
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max > 65536 ? 65536 : l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static int serve(const struct settings *settings, int argc, char **argv) {
    struct serve s = {.settings = settings, .started_ns = clock_monotonic_ns()};
    struct error e = ERROR_NONE;

    int r = start_listeners(&s, &e);
    if (r == 0) {
        format_urls(&s);
        r = write_port_file(&s, &e);
    }
    if (r == 0)
        r = serve_open_parts(&s, &e);
    if (r == 0) {
        s.ready_s = (double) (clock_monotonic_ns() - s.started_ns) / NS_PER_S;
        atomic_store(&s.state, SERVE_READY);
        print_banner(&s);
        wait_for_end(&s, argc, argv);
    } else {
        fprintf(stderr, "varan serve: %s\n", e.text);
    }
    atomic_store(&s.state, SERVE_DRAINING);
    start_watchdog(settings);
    stop_listeners(&s);
    serve_close_parts(&s);
    if (r == 0)
        log_info("serve", "ended");
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int command_serve(int argc, char **argv) {
    struct settings settings;
    sigset_t set = handled_signals();

    int r = settings_read(argc, argv, &settings);
    if (r >= 0)
        return r;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    set_log_level(&settings);
    raise_file_limit();
    r = serve(&settings, argc, argv);
    settings_done(&settings);
    return r;
}
