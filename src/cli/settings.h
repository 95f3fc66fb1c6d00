/* The settings of `varan serve`: one structure, one table of options. Text lives in the settings'
 * arena. */
#ifndef VARAN_CLI_SETTINGS_H
#define VARAN_CLI_SETTINGS_H

#include "cli/options.h"

#define PAGE_ADDRESS_DEFAULT "127.0.0.1:8272"
#define OTLP_HTTP_ADDRESS_DEFAULT "127.0.0.1:4318"
#define OTLP_GRPC_ADDRESS_DEFAULT "127.0.0.1:4317"

struct settings {
    struct arena arena;
    const char *config, *data_dir, *listen, *otlp_http, *otlp_grpc, *engine_lib, *clickhouse,
            *clickhouse_database, *port_file, *log_level, *scrub_keys, *prometheus_config,
            *metrics_retention;
    uint64_t metrics_series_max, metrics_instance_series_max, metrics_cache_bytes;
    uint64_t query_bytes, query_samples;
    int64_t query_timeout_ns, query_lookback_ns; /* of PromQL */
    uint64_t retention_days, traces_retention_days, logs_retention_days, metrics_retention_days,
            profiles_retention_days, metrics_5m_retention_days, metrics_1h_retention_days;
    uint64_t retention_bytes, free_bytes_min, queue_bytes, body_bytes, threads, connections;
    int64_t commit_interval_ns, request_timeout_ns, idle_timeout_ns, answer_timeout_ns,
            exit_timeout_ns;
    bool scrub, durable, self_metrics;
};

extern const struct option_table settings_table;
extern const struct usage settings_usage;

/* Reads the settings of a `varan serve` command line. -1 to go on, else the exit status (an error
 * was printed, or the help). Free with settings_done(). */
int settings_read(int argc, char *const *argv, struct settings *ret);
void settings_done(struct settings *s);
/* The names of rows whose values differ, with commas between, for a message; empty when none does.
 */
void settings_differences(const struct settings *a, const struct settings *b, char *to,
                          size_t room);
/* ${XDG_DATA_HOME:-~/.local/share}/varan in the arena; NULL without a home. */
const char *default_data_dir(struct arena *arena);

#endif
