/* The option table of `varan serve`. */
#include "cli/settings.h"
#include "cli/command.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define AT(field) offsetof(struct settings, field)

static const struct option_def rows[] = {
        {"config", "VARAN_CONFIG", NULL, OPTION_TEXT, AT(config), NULL, "FILE",
         "A YAML file with \"key: value\" lines; the keys are named below."},
        {"data-dir", "VARAN_DATA_DIR", "data_dir", OPTION_TEXT, AT(data_dir), NULL, "DIR",
         "Where everything is kept. Default ${XDG_DATA_HOME:-~/.local/share}/varan."},
        {"listen", "VARAN_LISTEN", "listen", OPTION_TEXT, AT(listen), PAGE_ADDRESS_DEFAULT,
         "HOST:PORT",
         "The page, the API and OTLP over HTTP. 0.0.0.0:8272 opens it to the network; port 0 picks "
         "a "
         "free one."},
        {"otlp-http", "VARAN_OTLP_HTTP", "otlp_http", OPTION_TEXT, AT(otlp_http),
         OTLP_HTTP_ADDRESS_DEFAULT, "HOST:PORT", "OTLP over HTTP; \"off\" for none."},
        {"otlp-grpc", "VARAN_OTLP_GRPC", "otlp_grpc", OPTION_TEXT, AT(otlp_grpc),
         OTLP_GRPC_ADDRESS_DEFAULT, "HOST:PORT", "OTLP over gRPC; \"off\" for none."},
        {"engine-lib", "VARAN_ENGINE_LIB", "engine_lib", OPTION_TEXT, AT(engine_lib), NULL, "FILE",
         "The storage engine's library, libchdb.so. Default: beside the binary, then the usual "
         "library folders."},
        {"clickhouse", "VARAN_CLICKHOUSE", "clickhouse", OPTION_TEXT, AT(clickhouse), NULL, "URL",
         "Store in this ClickHouse server (http://host:8123) instead of the engine inside."},
        {"clickhouse-database", "VARAN_CLICKHOUSE_DATABASE", "clickhouse_database", OPTION_TEXT,
         AT(clickhouse_database), "varan", "NAME", "The database there."},
        {"retention-days", "VARAN_RETENTION_DAYS", "retention_days", OPTION_NUMBER,
         AT(retention_days), "30", "N", "Days that data is kept."},
        {"traces-retention-days", "VARAN_TRACES_RETENTION_DAYS", "traces_retention_days",
         OPTION_NUMBER, AT(traces_retention_days), "0", "N",
         "The same for traces alone; 0: as retention-days."},
        {"logs-retention-days", "VARAN_LOGS_RETENTION_DAYS", "logs_retention_days", OPTION_NUMBER,
         AT(logs_retention_days), "0", "N", "For logs; 0: as retention-days."},
        {"profiles-retention-days", "VARAN_PROFILES_RETENTION_DAYS", "profiles_retention_days",
         OPTION_NUMBER, AT(profiles_retention_days), "0", "N",
         "For profiles; 0: as retention-days."},
        {"metrics-retention-days", "VARAN_METRICS_RETENTION_DAYS", "metrics_retention_days",
         OPTION_NUMBER, AT(metrics_retention_days), "0", "N",
         "For metrics as they came; 0: as retention-days."},
        {"metrics-5m-retention-days", "VARAN_METRICS_5M_RETENTION_DAYS",
         "metrics_5m_retention_days", OPTION_NUMBER, AT(metrics_5m_retention_days), "120", "N",
         "For metrics in steps of five minutes, which long ranges are read from; 0: none are "
         "made."},
        {"metrics-1h-retention-days", "VARAN_METRICS_1H_RETENTION_DAYS",
         "metrics_1h_retention_days", OPTION_NUMBER, AT(metrics_1h_retention_days), "730", "N",
         "For metrics in steps of an hour; 0: none are made."},
        {"metrics-retention", "VARAN_METRICS_RETENTION", "metrics_retention", OPTION_TEXT,
         AT(metrics_retention), NULL, "RULES",
         "Metrics that are kept for fewer days: \"SELECTOR DAYS; …\", as in '{job=\"x\"} 7; "
         "{__name__=~\"go_.*\"} 3'. The first that matches counts."},
        {"metrics-series-max", "VARAN_METRICS_SERIES_MAX", "metrics_series_max", OPTION_NUMBER,
         AT(metrics_series_max), "2000000", "N",
         "Series in use at once; new ones beyond it are refused."},
        {"metrics-instance-series-max", "VARAN_METRICS_INSTANCE_SERIES_MAX",
         "metrics_instance_series_max", OPTION_NUMBER, AT(metrics_instance_series_max), "500000",
         "N", "The same for one value of the label instance; 0: no limit of its own."},
        {"metrics-cache-bytes", "VARAN_METRICS_CACHE_BYTES", "metrics_cache_bytes", OPTION_BYTES,
         AT(metrics_cache_bytes), "256MiB", "SIZE",
         "Samples kept in memory of the series that are asked for up to now; 0: none."},
        {"query-timeout", "VARAN_QUERY_TIMEOUT", "query_timeout", OPTION_DURATION,
         AT(query_timeout_ns), "2m", "TIME",
         "A PromQL query ends with an error after it (Prometheus: query.timeout)."},
        {"query-bytes", "VARAN_QUERY_BYTES", "query_bytes", OPTION_BYTES, AT(query_bytes), "512MiB",
         "SIZE", "Memory of one PromQL query; beyond it that query ends with an error."},
        {"query-samples", "VARAN_QUERY_SAMPLES", "query_samples", OPTION_NUMBER, AT(query_samples),
         "50000000", "N",
         "Samples of one PromQL query in memory at once (Prometheus: query.max-samples)."},
        {"query-lookback", "VARAN_QUERY_LOOKBACK", "query_lookback", OPTION_DURATION,
         AT(query_lookback_ns), "5m", "TIME",
         "For how long a sample is its series' value (Prometheus: query.lookback-delta)."},
        {"retention-bytes", "VARAN_RETENTION_BYTES", "retention_bytes", OPTION_BYTES,
         AT(retention_bytes), "0", "SIZE",
         "The oldest data goes when all of it takes more than this; 0: no limit."},
        {"free-bytes-min", "VARAN_FREE_BYTES_MIN", "free_bytes_min", OPTION_BYTES,
         AT(free_bytes_min), "2GiB", "SIZE",
         "The oldest data goes when less disk than this is free."},
        {"queue-bytes", "VARAN_QUEUE_BYTES", "queue_bytes", OPTION_BYTES, AT(queue_bytes), "128MiB",
         "SIZE", "What may wait to be written; beyond it senders are told to come back."},
        {"commit-interval", "VARAN_COMMIT_INTERVAL", "commit_interval", OPTION_DURATION,
         AT(commit_interval_ns), "1s", "TIME",
         "Longest wait for more rows before a write. Senders wait that long for their answer."},
        {"durable", "VARAN_DURABLE", "durable", OPTION_FLAG, AT(durable), "true", NULL,
         "Answer before the data is safe against a power failure."},
        {"body-bytes", "VARAN_BODY_BYTES", "body_bytes", OPTION_BYTES, AT(body_bytes), "256MiB",
         "SIZE", "Request bodies in memory at once, per listener."},
        {"threads", "VARAN_THREADS", "threads", OPTION_NUMBER, AT(threads), "0", "N",
         "Threads per listener; 0: as many as processors, at most 8."},
        {"request-timeout", "VARAN_REQUEST_TIMEOUT", "request_timeout", OPTION_DURATION,
         AT(request_timeout_ns), "30s", "TIME",
         "A request that has not arrived whole by then is ended: a protection against slow "
         "clients."},
        {"idle-timeout", "VARAN_IDLE_TIMEOUT", "idle_timeout", OPTION_DURATION, AT(idle_timeout_ns),
         "75s", "TIME", "A kept connection without a request is closed after this."},
        {"answer-timeout", "VARAN_ANSWER_TIMEOUT", "answer_timeout", OPTION_DURATION,
         AT(answer_timeout_ns), "120s", "TIME", "A request without an answer by then gets a 503."},
        {"exit-timeout", "VARAN_EXIT_TIMEOUT", "exit_timeout", OPTION_DURATION, AT(exit_timeout_ns),
         "9500ms", "TIME",
         "Longest end after SIGTERM: what takes longer is cut short. What was acknowledged is "
         "safe."},
        {"connections", "VARAN_CONNECTIONS", "connections", OPTION_NUMBER, AT(connections), "1024",
         "N", "Connections per listener."},
        {"scrub", "VARAN_SCRUB", "scrub", OPTION_FLAG, AT(scrub), "true", NULL,
         "Keep secrets (passwords, tokens, card numbers) that senders put into attributes and "
         "logs."},
        {"scrub-keys", "VARAN_SCRUB_KEYS", "scrub_keys", OPTION_TEXT, AT(scrub_keys), NULL, "A,B",
         "More attribute keys whose values are secrets; a list in the file."},
        {"prometheus-config", "VARAN_PROMETHEUS_CONFIG", "prometheus_config", OPTION_TEXT,
         AT(prometheus_config), NULL, "FILE",
         "Scrape what this prometheus.yml says (scrape_configs); read again at SIGHUP and POST "
         "/-/reload."},
        {"self-metrics", "VARAN_SELF_METRICS", "self_metrics", OPTION_FLAG, AT(self_metrics),
         "true", NULL, "Store the server's own metrics, as job \"varan\"."},
        {"port-file", "VARAN_PORT_FILE", "port_file", OPTION_TEXT, AT(port_file), NULL, "FILE",
         "Write the ports listened on to this file, as JSON."},
        {"log-level", "VARAN_LOG_LEVEL", "log_level", OPTION_TEXT, AT(log_level), "info", "LEVEL",
         "debug, info, warn or error."},
};

const struct option_table settings_table = {rows, sizeof(rows) / sizeof(rows[0])};

const struct usage settings_usage = {
        "varan serve [OPTION]...",
        "Runs the server: receives telemetry, stores it, and serves the page and the API.",
        "Signals: TERM and INT write what waits and end within 10 s; HUP reads the configuration "
        "again\n(the log level takes effect at once, the rest after a restart).\n",
};

const char *default_data_dir(struct arena *arena) {
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (xdg && *xdg == '/')
        return arena_printf(arena, "%s/varan", xdg);
    return home && *home ? arena_printf(arena, "%s/.local/share/varan", home) : NULL;
}

/* Makes the data folder's path absolute: the engine keeps paths relative to its own folder. */
static int make_absolute(struct settings *s) {
    char cwd[PATH_MAX];

    if (s->data_dir[0] == '/')
        return 0;
    if (!getcwd(cwd, sizeof(cwd)))
        return -errno;
    s->data_dir = arena_printf(&s->arena, "%s/%s", cwd, s->data_dir);
    return s->data_dir ? 0 : -ENOMEM;
}

int settings_read(int argc, char *const *argv, struct settings *ret) {
    struct options_result result;

    *ret = (struct settings){0};
    arena_init(&ret->arena, OPTIONS_TEXT_BYTES_MAX);
    int r = options_begin(settings_table, &settings_usage, argc, argv, &ret->arena, ret, &result);
    if (r < 0 && result.rest < argc) {
        fprintf(stderr, "varan serve: it takes options only, not \"%s\"; --help lists them\n",
                argv[result.rest]);
        r = EXIT_USAGE;
    }
    if (r < 0 && !ret->data_dir) {
        ret->data_dir = default_data_dir(&ret->arena);
        if (!ret->data_dir) {
            fprintf(stderr, "varan serve: there is no home folder; give --data-dir DIR\n");
            r = EXIT_USAGE;
        }
    }
    if (r < 0 && make_absolute(ret) < 0) {
        fprintf(stderr, "varan serve: --data-dir: the current folder cannot be found out\n");
        r = EXIT_USAGE;
    }
    if (r >= 0)
        settings_done(ret);
    return r;
}

void settings_done(struct settings *s) {
    arena_done(&s->arena);
}

static bool same(const struct option_def *d, const struct settings *a, const struct settings *b) {
    const char *x = (const char *) a + d->offset, *y = (const char *) b + d->offset;

    if (d->type == OPTION_TEXT) {
        const char *s = *(const char *const *) (const void *) x;
        const char *t = *(const char *const *) (const void *) y;
        return s == t || (s && t && strcmp(s, t) == 0);
    }
    return memcmp(x, y, d->type == OPTION_FLAG ? sizeof(bool) : sizeof(uint64_t)) == 0;
}

void settings_differences(const struct settings *a, const struct settings *b, char *to,
                          size_t room) {
    size_t n = 0;

    to[0] = 0;
    for (size_t i = 0; i < settings_table.n; i++)
        if (!same(&rows[i], a, b) && n < room)
            n += (size_t) snprintf(to + n, room - n, "%s%s", n ? ", " : "", rows[i].name);
}
