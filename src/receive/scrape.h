/*
 * Scraping: fetches metrics over HTTP as Prometheus does, from a configuration file in Prometheus'
 * own YAML, and adds them to ingest. One thread speaks with all targets, a few parse; discovery
 * runs beside them. All functions are thread-safe but scrape_new() and scrape_free().
 *
 * Sources: prometheus.io/docs/prometheus/latest/configuration, …/concepts/jobs_instances.
 */
#ifndef VARAN_RECEIVE_SCRAPE_H
#define VARAN_RECEIVE_SCRAPE_H

#include "base/memory.h"
#include "derive/ingest.h"

struct scrape;

struct scrape_options {
    struct ingest *ingest;
    const char *config_file; /* NULL: nothing but the server itself is scraped */
    const char *version;     /* for User-Agent */
    /* The server's own metrics as Prometheus text, scraped as job "varan" without HTTP; NULL: not.
     * Called on a thread of the scraper. */
    void (*self_metrics)(void *ctx, struct buffer *to);
    void *self_ctx;
    const char *self_address; /* HOST:PORT: its instance */
};

/* Reads the configuration and begins. -EINVAL and the like with "FILE:LINE: …" in `e`. */
int scrape_new(const struct scrape_options *o, struct scrape **ret, struct error *e);
/* Reads the configuration again. After an error the old one stays in force. Targets that stay the
 * same go on without a gap. */
int scrape_reload(struct scrape *s, struct error *e);
/* Ends fetching; what was fetched is committed or given up. Before ingest_stop(). */
void scrape_stop(struct scrape *s);
/* After store_close(): no commit is under way any more. */
void scrape_free(struct scrape *s);

/* What is accepted but does nothing here ("line 12: rule_files is not used yet"), a line each;
 * and how the file was read. For the log and the API; in `a`. */
struct scrape_config_notes {
    struct slice *lines;
    size_t n;
};
int scrape_read_notes(struct scrape *s, struct arena *a, struct scrape_config_notes *ret);
/* The configuration in force as YAML, secrets replaced by <secret>. */
int scrape_print_config(struct scrape *s, struct buffer *to);

/* Reads a configuration and everything it names, without using it: for checks. The notes as above.
 * *ret_jobs counts scrape configurations. */
int scrape_check_config(const char *file, struct arena *a, struct scrape_config_notes *ret_notes,
                        size_t *ret_jobs, struct error *e);

/* ---- Targets, for the API ---- */

enum scrape_health { SCRAPE_UNKNOWN, SCRAPE_UP, SCRAPE_DOWN };

struct scrape_labels {
    const struct label *items; /* sorted by name */
    size_t n;
};

struct scrape_target_info {
    struct slice pool;               /* job_name */
    struct scrape_labels labels;     /* those of its series; empty: dropped by relabelling */
    struct scrape_labels discovered; /* before relabelling */
    struct slice url;
    enum scrape_health health;
    struct slice last_error; /* empty: none */
    int64_t last_scrape_ns;  /* since 1970; 0: never */
    int64_t last_duration_ns;
    int64_t interval_ns, timeout_ns;
    uint64_t last_samples, last_samples_kept; /* exposed; after relabelling */
    uint64_t series;                          /* known from the last scrape */
};

struct scrape_pool_info {
    struct slice pool;
    size_t n_active, n_dropped; /* dropped ones beyond keep_dropped_targets are counted only */
};

struct scrape_targets {
    struct scrape_target_info *active, *dropped; /* by pool, then by URL */
    size_t n_active, n_dropped;
    struct scrape_pool_info *pools; /* in the order of the file */
    size_t n_pools;
};

/* A snapshot in `a`. -ENOMEM/-ENOBUFS. */
int scrape_read_targets(struct scrape *s, struct arena *a, struct scrape_targets *ret);

struct scrape_metadata_info {
    struct scrape_labels target; /* the target's labels */
    struct metric_metadata metadata;
};

/* What targets say about their metrics. `metric`: this family only, or empty for all. `limit`: most
 * entries, 0: no limit. */
int scrape_read_metadata(struct scrape *s, struct slice metric, size_t limit, struct arena *a,
                         struct scrape_metadata_info **ret, size_t *ret_n);

struct scrape_stats {
    uint64_t scrapes, scrapes_failed, samples, series_added, commit_failures;
    uint64_t exceeded_sample_limit, exceeded_body_size_limit, exceeded_label_limits,
            exceeded_target_limit, duplicate_samples, out_of_bounds_samples;
    uint64_t reloads, reloads_failed;
    uint64_t targets, series;
    uint64_t discovery_failures;
    double scrape_seconds_sum;
    int64_t last_reload_ns; /* since 1970, the last good one */
    bool last_reload_ok;
};
void scrape_read_stats(struct scrape *s, struct scrape_stats *ret);

#endif
