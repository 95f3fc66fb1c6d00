/* The server's own metrics as Prometheus text. Any thread; reads counters, owns nothing. */
#include "api/prometheus.h"
#include "base/clock.h"
#include "cli/serve.h"
#include "derive/ingest.h"
#include "query/metrics.h"
#include "receive/otlp.h"
#include "receive/remote_write.h"
#include "receive/scrape.h"
#include "store/store.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void head(struct buffer *b, const char *name, const char *type, const char *help) {
    buffer_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buffer *b, const char *name, const char *type, const char *help,
                double value) {
    head(b, name, type, help);
    buffer_printf(b, "%s %.17g\n", name, value);
}

/* ---- Listeners ---- */

struct listener_stats {
    const char *name;
    struct http_server_stats stats;
};

struct listener_metric {
    const char *name, *help;
    size_t offset;
};

#define AT(field) offsetof(struct http_server_stats, field)

static const struct listener_metric listener_metrics[] = {
        {"varan_http_requests_total", "Requests received.", AT(requests)},
        {"varan_http_responses_4xx_total", "Answers with a status of 400 to 499.",
         AT(responses_4xx)},
        {"varan_http_responses_5xx_total", "Answers with a status of 500 to 599.",
         AT(responses_5xx)},
        {"varan_http_connections_total", "Connections accepted.", AT(connections)},
        {"varan_http_received_body_bytes_total", "Bytes of request bodies.", AT(body_bytes)},
        {"varan_http_refused_pressure_total",
         "Requests refused because bodies took too much memory.", AT(refused_pressure)},
        {"varan_http_timeouts_total", "Requests ended because they or their answer took too long.",
         AT(timeouts)},
};

static void format_listeners(struct serve *s, struct buffer *b) {
    struct listener_stats all[3];
    size_t n = 0;

    if (s->page) {
        all[n].name = "page";
        http_server_read_stats(s->page, &all[n++].stats);
    }
    if (s->otlp_http) {
        all[n].name = "otlp_http";
        http_server_read_stats(s->otlp_http, &all[n++].stats);
    }
    if (s->otlp_grpc) {
        all[n].name = "otlp_grpc";
        grpc_server_read_stats(s->otlp_grpc, &all[n++].stats);
    }
    for (size_t m = 0; m < sizeof(listener_metrics) / sizeof(listener_metrics[0]); m++) {
        const struct listener_metric *metric = &listener_metrics[m];
        head(b, metric->name, "counter", metric->help);
        for (size_t i = 0; i < n; i++) {
            uint64_t value;
            memcpy(&value, (const char *) &all[i].stats + metric->offset, sizeof(value));
            buffer_printf(b, "%s{listener=\"%s\"} %" PRIu64 "\n", metric->name, all[i].name, value);
        }
    }
}

/* ---- Ingest and storage ---- */

static void format_ingest(struct ingest *g, struct buffer *b) {
    struct ingest_stats i = {0};

    ingest_read_stats(g, &i);
    head(b, "varan_ingest_records_total", "counter", "Records accepted.");
    buffer_printf(b,
                  "varan_ingest_records_total{signal=\"span\"} %" PRIu64
                  "\nvaran_ingest_records_total{signal=\"log\"} %" PRIu64
                  "\nvaran_ingest_records_total{signal=\"sample\"} %" PRIu64 "\n",
                  i.spans, i.logs, i.samples);
    head(b, "varan_ingest_rejected_records_total", "counter", "Records that were unacceptable.");
    buffer_printf(b,
                  "varan_ingest_rejected_records_total{signal=\"span\"} %" PRIu64
                  "\nvaran_ingest_rejected_records_total{signal=\"log\"} %" PRIu64
                  "\nvaran_ingest_rejected_records_total{signal=\"sample\"} %" PRIu64 "\n",
                  i.rejected_spans, i.rejected_logs, i.rejected_samples);
    one(b, "varan_ingest_refused_pressure_total", "counter",
        "Requests told to come back because the queue was full.", (double) i.refused_pressure);
    one(b, "varan_ingest_scrubbed_values_total", "counter", "Values in which a secret was masked.",
        (double) i.scrubbed_values);
}

static const char *const table_names[TABLE_COUNT] = {
        [TABLE_SPANS] = "spans",
        [TABLE_LOGS] = "logs",
        [TABLE_RESOURCES] = "resources",
        [TABLE_RED] = "red",
        [TABLE_EDGES] = "edges",
        [TABLE_TRACES] = "traces",
        [TABLE_ATTRIBUTES] = "attributes",
        [TABLE_SERIES] = "series",
        [TABLE_SAMPLES] = "samples",
        [TABLE_SAMPLE_STARTS] = "sample_starts",
        [TABLE_HISTOGRAMS] = "histograms",
        [TABLE_EXEMPLARS] = "exemplars",
        [TABLE_METRIC_METADATA] = "metric_metadata",
        [TABLE_STACKS] = "stacks",
        [TABLE_PROFILE_SAMPLES] = "profile_samples",
        [TABLE_PROFILE_STEPS] = "profile_steps",
        [TABLE_PROFILE_SOURCES] = "profile_sources",
};

static void format_store(struct store *store, struct buffer *b) {
    struct store_stats t = {0};

    store_read_stats(store, &t);
    head(b, "varan_store_rows_total", "counter", "Rows written.");
    for (int i = 0; i < TABLE_COUNT; i++)
        buffer_printf(b, "varan_store_rows_total{table=\"%s\"} %" PRIu64 "\n", table_names[i],
                      t.rows[i]);
    one(b, "varan_store_commits_total", "counter", "Group commits.", (double) t.commits);
    one(b, "varan_store_commit_failures_total", "counter", "Group commits that failed.",
        (double) t.commit_failures);
    one(b, "varan_store_commit_seconds_total", "counter", "Time spent in group commits.",
        t.commit_seconds_sum);
    one(b, "varan_store_inserted_bytes_total", "counter", "Bytes given to the engine.",
        (double) t.bytes_inserted);
    one(b, "varan_store_queue_bytes", "gauge", "Bytes that wait to be written.",
        (double) t.queue_bytes);
    one(b, "varan_store_queue_refused_total", "counter",
        "Batches refused because the queue was full.", (double) t.queue_refused);
    one(b, "varan_store_disk_used_bytes", "gauge", "Disk that the data takes.",
        (double) t.disk_used_bytes);
    one(b, "varan_store_disk_free_bytes", "gauge", "Disk that is free.",
        (double) t.disk_free_bytes);
    one(b, "varan_store_dropped_partitions_total", "counter",
        "Partitions dropped to keep within the limits.", (double) t.dropped_partitions);
}

/* ---- Scraping ---- */

static void format_scrape_limits(const struct scrape_stats *t, struct buffer *b) {
    head(b, "varan_scrape_exceeded_limit_total", "counter",
         "Scrapes that failed because of a limit.");
    buffer_printf(b,
                  "varan_scrape_exceeded_limit_total{limit=\"sample_limit\"} %" PRIu64
                  "\nvaran_scrape_exceeded_limit_total{limit=\"body_size_limit\"} %" PRIu64
                  "\nvaran_scrape_exceeded_limit_total{limit=\"label_limits\"} %" PRIu64
                  "\nvaran_scrape_exceeded_limit_total{limit=\"target_limit\"} %" PRIu64 "\n",
                  t->exceeded_sample_limit, t->exceeded_body_size_limit, t->exceeded_label_limits,
                  t->exceeded_target_limit);
}

static void format_scrape(struct scrape *scrape, struct buffer *b) {
    struct scrape_stats t = {0};

    scrape_read_stats(scrape, &t);
    one(b, "varan_scrape_targets", "gauge", "Targets that are scraped.", (double) t.targets);
    one(b, "varan_scrape_series", "gauge", "Series of the last scrapes.", (double) t.series);
    one(b, "varan_scrapes_total", "counter", "Scrapes.", (double) t.scrapes);
    one(b, "varan_scrapes_failed_total", "counter", "Scrapes that failed.",
        (double) t.scrapes_failed);
    one(b, "varan_scrape_seconds_total", "counter", "Time that scrapes waited for their targets.",
        t.scrape_seconds_sum);
    one(b, "varan_scrape_samples_total", "counter", "Samples after relabelling.",
        (double) t.samples);
    one(b, "varan_scrape_series_added_total", "counter", "Series that were new to their target.",
        (double) t.series_added);
    one(b, "varan_scrape_commit_failures_total", "counter",
        "Scrapes whose samples storage did not take.", (double) t.commit_failures);
    one(b, "varan_scrape_duplicate_samples_total", "counter",
        "Samples left out because their series stood twice in a scrape.",
        (double) t.duplicate_samples);
    one(b, "varan_scrape_out_of_bounds_samples_total", "counter",
        "Samples left out because of a time of their own that storage refused.",
        (double) t.out_of_bounds_samples);
    format_scrape_limits(&t, b);
    one(b, "varan_discovery_failures_total", "counter", "Looks for targets that failed.",
        (double) t.discovery_failures);
    one(b, "varan_config_reloads_total", "counter", "Times that scrape configuration was reread.",
        (double) t.reloads);
    one(b, "varan_config_last_reload_successful", "gauge", "1 when the last time was good.",
        t.last_reload_ok);
    one(b, "varan_config_last_reload_success_timestamp_seconds", "gauge",
        "The last good time, in Unix seconds.", (double) t.last_reload_ns / NS_PER_S);
}

/* ---- The process, under the names that all Prometheus clients use ---- */

static unsigned count_fds(void) {
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    if (!d)
        return 0;
    for (struct dirent *entry; (entry = readdir(d));)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n ? n - 1 : 0; /* without the folder's own */
}

/* Virtual and resident bytes of /proc/self/statm. */
static void read_memory(double *ret_virtual, double *ret_resident) {
    unsigned long long pages_virtual = 0, pages_resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f && fscanf(f, "%llu %llu", &pages_virtual, &pages_resident) != 2)
        pages_virtual = pages_resident = 0;
    if (f)
        fclose(f);
    *ret_virtual = (double) pages_virtual * (double) sysconf(_SC_PAGESIZE);
    *ret_resident = (double) pages_resident * (double) sysconf(_SC_PAGESIZE);
}

static void format_remote_write(struct remote_write *w, struct buffer *b) {
    struct remote_write_stats t;

    remote_write_read_stats(w, &t);
    head(b, "varan_remote_write_requests_total", "counter", "Requests of remote write.");
    buffer_printf(b,
                  "varan_remote_write_requests_total{version=\"1\"} %" PRIu64 "\n"
                  "varan_remote_write_requests_total{version=\"2\"} %" PRIu64 "\n",
                  t.requests - t.requests_v2, t.requests_v2);
    head(b, "varan_remote_write_written_total", "counter", "What remote write brought.");
    buffer_printf(b,
                  "varan_remote_write_written_total{kind=\"sample\"} %" PRIu64 "\n"
                  "varan_remote_write_written_total{kind=\"histogram\"} %" PRIu64 "\n"
                  "varan_remote_write_written_total{kind=\"exemplar\"} %" PRIu64 "\n",
                  t.samples, t.histograms, t.exemplars);
    one(b, "varan_remote_write_rejected_total", "counter", "Samples that were refused.",
        (double) t.rejected);
    one(b, "varan_remote_write_malformed_total", "counter", "Requests that were malformed.",
        (double) t.malformed);
}

static void format_deltas(struct otlp *o, struct buffer *b) {
    struct otlp_stats t;

    otlp_read_stats(o, &t);
    one(b, "varan_otlp_delta_series", "gauge", "Series of delta temporality that are added up.",
        (double) t.delta_series);
    one(b, "varan_otlp_delta_repeated_total", "counter", "Delta points that came again.",
        (double) t.delta_repeated);
    one(b, "varan_otlp_delta_out_of_order_total", "counter", "Delta points that came too late.",
        (double) t.delta_out_of_order);
}

static void format_cache(const struct serve *s, struct buffer *b) {
    struct metrics_cache_figures c;

    metrics_read_cache(atomic_load(&s->metrics), &c);
    one(b, "varan_metrics_cache_bytes", "gauge", "Samples that are kept in memory for queries.",
        (double) c.bytes);
    one(b, "varan_metrics_cache_series", "gauge", "Series of those.", (double) c.series);
    one(b, "varan_metrics_cache_hits_total", "counter", "Series that queries read from memory.",
        (double) c.hits);
    one(b, "varan_metrics_cache_misses_total", "counter", "Series that they read from storage.",
        (double) c.misses);
}

static void format_prometheus(struct prometheus *p, struct buffer *b) {
    struct prometheus_stats t;

    prometheus_read_stats(p, &t);
    one(b, "varan_prometheus_requests_total", "counter", "Requests of Prometheus' API.",
        (double) t.queries);
    one(b, "varan_prometheus_failed_total", "counter", "Those that were answered with an error.",
        (double) t.failed);
    one(b, "varan_prometheus_timeouts_total", "counter", "Those that took too long.",
        (double) t.timeouts);
    one(b, "varan_prometheus_refused_total", "counter", "Those refused as too many waited.",
        (double) t.refused);
    one(b, "varan_prometheus_samples_total", "counter", "Samples that queries read.",
        (double) t.samples);
    one(b, "varan_prometheus_answer_seconds_total", "counter", "Time that answers took.",
        (double) t.answer_ns / 1e9);
    one(b, "varan_prometheus_running", "gauge", "Requests at work.", (double) t.running);
    one(b, "varan_prometheus_waiting", "gauge", "Requests that wait for a worker.",
        (double) t.waiting);
}

static void format_process(const struct serve *s, struct buffer *b) {
    struct rlimit files = {0};
    double memory_virtual, memory_resident;
    double up_s = (double) (clock_monotonic_ns() - s->started_ns) / NS_PER_S;

    read_memory(&memory_virtual, &memory_resident);
    getrlimit(RLIMIT_NOFILE, &files);
    one(b, "process_cpu_seconds_total", "counter", "CPU time, user and system.",
        (double) clock_cpu_ns() / NS_PER_S);
    one(b, "process_resident_memory_bytes", "gauge", "Resident memory.", memory_resident);
    one(b, "process_virtual_memory_bytes", "gauge", "Virtual memory.", memory_virtual);
    one(b, "process_open_fds", "gauge", "Open file descriptors.", count_fds());
    one(b, "process_max_fds", "gauge", "Most open file descriptors.", (double) files.rlim_cur);
    one(b, "process_start_time_seconds", "gauge", "Start, in Unix seconds.",
        (double) clock_now_ns() / NS_PER_S - up_s);
}

void serve_format_metrics(struct serve *s, struct buffer *b) {
    struct store *store = atomic_load(&s->store);
    struct ingest *ingest = atomic_load(&s->ingest);

    head(b, "varan_build_info", "gauge", "The version.");
    buffer_printf(b, "varan_build_info{version=\"%s\"} 1\n", VARAN_VERSION);
    one(b, "varan_ready", "gauge", "1 while requests are served.",
        atomic_load(&s->state) == SERVE_READY);
    one(b, "varan_start_seconds", "gauge", "From start to ready.", s->ready_s);
    format_listeners(s, b);
    if (ingest)
        format_ingest(ingest, b);
    if (store)
        format_store(store, b);
    if (atomic_load(&s->scrape))
        format_scrape(atomic_load(&s->scrape), b);
    if (atomic_load(&s->state) == SERVE_READY) { /* all parts are open */
        format_remote_write(s->remote_write, b);
        format_deltas(s->otlp, b);
        format_prometheus(s->prometheus, b);
        format_cache(s, b);
    }
    format_process(s, b);
}
