/*
 * Inside the scraper. Threads: one speaks with the targets (scrape_loop.c), workers parse and
 * commit (scrape_work.c), each pool with discovery has one that looks for targets
 * (scrape_discovery.c), and callers read snapshots. A target is counted; its fetching side belongs
 * to the loop, its cache to whoever works on it (one at a time), its status to its lock.
 */
#ifndef VARAN_RECEIVE_SCRAPE_PRIVATE_H
#define VARAN_RECEIVE_SCRAPE_PRIVATE_H

#include "base/map.h"
#include "receive/scrape.h"
#include "receive/scrape_config.h"
#include "wire/prometheus_text.h"

#include <curl/curl.h>
#include <pthread.h>

#define SCRAPE_BODY_BYTES_MAX ((size_t) 256 << 20)   /* of one answer without body_size_limit */
#define SCRAPE_BODIES_BYTES_MAX ((size_t) 512 << 20) /* of all answers at once */
#define SCRAPE_SERIES_MAX 20000000u                  /* of one target */
#define SCRAPE_WORKERS 2
#define SCRAPE_ERROR_BYTES 500

/* ---- Cache: what is known about a target's series (scrape_cache.c). ---- */

struct scrape_series {
    struct slice text; /* as exposed; it begins the entry's memory */
    uint64_t hash;
    const struct label *labels; /* what is stored; NULL: dropped by relabelling */
    uint32_t n_labels;
    uint32_t next;               /* which one followed it last time */
    uint32_t seen;               /* in which scrape */
    struct ingest_series handle; /* when `has_handle` */
    bool has_handle;
    bool live;    /* its newest stored sample is no stale marker */
    bool tracked; /* a stale marker is due when it goes away */
};

struct scrape_cache {
    VECTOR(struct scrape_series) series;
    uint32_t *slots; /* index + 1; open addressing */
    size_t n_slots;
    uint32_t scrape; /* the present one's number */
    uint32_t seen;   /* how many series it has had so far */
};

/* The series, or NULL. `hash`: slice_hash(text). */
struct scrape_series *scrape_cache_get(struct scrape_cache *c, struct slice text, uint64_t hash);
/* Adds one that is not there; NULL without memory or beyond SCRAPE_SERIES_MAX. Copies all. */
struct scrape_series *scrape_cache_add(struct scrape_cache *c, struct slice text, uint64_t hash,
                                       const struct label *labels, size_t n_labels);
/* Forgets those that the present scrape has not seen. */
void scrape_cache_sweep(struct scrape_cache *c);
void scrape_cache_done(struct scrape_cache *c);

/* ---- Targets (scrape_target.c). ---- */

enum scrape_report {
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SAMPLES,
    REPORT_KEPT,
    REPORT_ADDED,
    REPORT_TIMEOUT,
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_SIZE,
    REPORTS
};
#define REPORTS_ALWAYS REPORT_TIMEOUT

struct scrape_metadata {
    enum metric_type type;
    struct slice help, unit; /* malloc'ed */
};

enum scrape_state { SCRAPE_IDLE, SCRAPE_FETCHING, SCRAPE_WORKING };

struct scrape_target {
    _Atomic unsigned references;
    struct scrape *scrape;
    struct scrape_config *config; /* counted: it owns the job */
    const struct scrape_job *job;
    struct arena arena;
    struct scrape_labels labels, discovered;
    struct scrape_labels report[REPORTS];
    const char *url;
    int64_t interval_ns, timeout_ns;
    uint64_t hash;               /* of labels and URL: what makes it this target */
    _Atomic bool removed, quiet; /* quiet: without stale markers */
    _Atomic bool over_limit;     /* the job has too many targets: nothing is fetched */

    /* The loop's. */
    enum scrape_state state;
    bool scheduled;
    size_t fetch_index;
    int64_t due_ns, offset_ns;
    CURL *curl;
    struct curl_slist *headers, *connect_to;

    /* One scrape, from the loop to a worker. */
    struct buffer body;
    size_t body_room; /* counted in the scraper's sum */
    int64_t start_ns; /* since 1970 */
    int64_t time_ms;  /* of its samples */
    int64_t started_mono_ns, duration_ns;
    char error[SCRAPE_ERROR_BYTES];
    char content_type[200], encoding[40];
    bool body_too_large;

    /* The worker's. */
    struct scrape_cache cache;
    bool reported; /* up and the others are live */

    pthread_mutex_t lock; /* of what follows */
    enum scrape_health health;
    char last_error[SCRAPE_ERROR_BYTES];
    int64_t last_scrape_ns, last_duration_ns;
    uint64_t last_samples, last_kept, series;
    struct map metadata; /* family → struct scrape_metadata * */
};

/* From what was discovered. 1 with a target; 0: dropped by relabelling, *ret has labels.n 0 and is
 * for show; -EINVAL with the reason. */
int scrape_target_new(struct scrape *s, struct scrape_config *c, const struct scrape_job *job,
                      const struct scrape_discovered *d, struct scrape_target **ret,
                      struct error *e);
struct scrape_target *scrape_target_ref(struct scrape_target *t);
void scrape_target_unref(struct scrape_target *t);
void scrape_target_set_error(struct scrape_target *t, const char *text);

/* ---- Pools: the targets of a job (scrape_pool.c). ---- */

struct scrape_pool {
    struct scrape *scrape;
    struct scrape_config *config;
    const struct scrape_job *job;
    VECTOR(struct scrape_target *) targets, dropped;
    size_t n_dropped;
    struct scrape_discovery *discovery; /* NULL: static targets only */
};

/* Begins with the static targets, and starts discovery. Not under the lock. */
int scrape_pool_new(struct scrape *s, struct scrape_config *c, const struct scrape_job *job,
                    struct scrape_pool **ret, struct error *e);
/* Ends discovery. Not under the lock. */
void scrape_pool_stop(struct scrape_pool *p);
void scrape_pool_free(struct scrape_pool *p);
/* Makes the targets those of all providers' lists. Takes the lock. */
void scrape_pool_sync(struct scrape_pool *p);

/* ---- Discovery (scrape_discovery.c and one file per kind). ---- */

struct scrape_found {
    struct arena arena;
    scrape_discovered_list list;
};

int scrape_discovery_new(struct scrape_pool *p, struct scrape_discovery **ret);
void scrape_discovery_stop(struct scrape_discovery *d);
void scrape_discovery_free(struct scrape_discovery *d);
/* What the provider found last; under the scraper's lock. NULL: nothing yet. */
const scrape_discovered_list *scrape_discovery_list(const struct scrape_discovery *d,
                                                    size_t provider);
/* One look. 0 with `found` filled; 1: nothing changed; negative: it failed, keep what was. `stamp`
 * is kept between looks. */
int scrape_find_files(const struct scrape_provider *p, struct scrape_found *found, uint64_t *stamp,
                      struct error *e);
int scrape_find_http(const struct scrape_provider *p, const char *version, const _Atomic bool *stop,
                     struct scrape_found *found, uint64_t *stamp, struct error *e);
int scrape_find_dns(const struct scrape_provider *p, struct scrape_found *found, uint64_t *stamp,
                    struct error *e);

/* The records of one answer to a question for `name`: appends their targets. 0, -EBADMSG, or the
 * list's error. */
int scrape_dns_read(const struct scrape_provider *p, struct slice name, struct slice answer,
                    struct scrape_found *found);

/* ---- HTTP (scrape_http.c). ---- */

/* Sets what does not change between requests. 0, -ENOMEM, or -EINVAL. */
int scrape_http_init(CURL *curl, const struct scrape_http *h, struct error *e);
/* What may change: files with credentials. Appends headers. */
int scrape_http_authorize(CURL *curl, const struct scrape_http *h, struct curl_slist **headers,
                          struct error *e);
/* Sets the URL, and what tls_config's server_name needs: appends to both lists, which must live as
 * long as the request. 0, -ENOMEM, or -EINVAL: no host can have that name. */
int scrape_http_address(CURL *curl, const struct scrape_http *h, const char *url,
                        struct curl_slist **connect_to, struct curl_slist **headers);
/* Appends; the list is freed and NULL without memory. */
int scrape_http_header(struct curl_slist **list, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* Everything that a target's requests need. */
int scrape_http_prepare(struct scrape_target *t, struct error *e);

/* ---- Work (scrape_work.c, scrape_append.c). ---- */

/* Parses what was fetched and commits it, with `up` and the others. */
void scrape_work(struct scrape_target *t);
/* The target is gone: stale markers. */
void scrape_work_end(struct scrape_target *t);

struct scrape_result {
    uint64_t samples, kept, added;
    char error[SCRAPE_ERROR_BYTES]; /* empty: good */
};
/* Adds the body's samples to `txn`, with stale markers of series that are gone. 0, or negative with
 * ret->error: the transaction must be aborted. */
int scrape_append(struct scrape_target *t, struct slice body, enum prometheus_format format,
                  struct ingest_txn *txn, struct scrape_result *ret);
/* Stale markers of all live series. */
int scrape_append_stale(struct scrape_target *t, struct ingest_txn *txn, int64_t time_ms);

/* ---- Metadata (scrape_metadata.c). A worker's. ---- */

/* Notes a TYPE, HELP or UNIT. When it says something new, *family is the family that waits to be
 * told; another one that waited is told. `arena` is cleared. */
void scrape_metadata_add(struct scrape_target *t, struct ingest_txn *txn, struct arena *arena,
                         const struct prometheus_entry *x, struct slice *family);
/* Tells the family that waits, once its TYPE, HELP and UNIT are all read; *family becomes empty. */
void scrape_metadata_tell(struct scrape_target *t, struct ingest_txn *txn, struct slice *family);

/* ---- The scraper. ---- */

struct scrape {
    struct scrape_options options;
    char *config_file, *version, *self_address;
    pthread_mutex_t lock; /* of pools and config */
    pthread_mutex_t reloading;
    struct scrape_config *config;
    VECTOR(struct scrape_pool *) pools;
    bool changed; /* for the loop: targets came */

    pthread_t loop, workers[SCRAPE_WORKERS];
    unsigned n_workers;
    bool loop_runs;
    CURLM *multi;
    _Atomic bool stop;

    pthread_mutex_t work_lock;
    pthread_cond_t work_ready;
    VECTOR(struct scrape_target *) work, worked; /* queues: to workers, back to the loop */
    size_t work_at;

    _Atomic size_t body_bytes;
    _Atomic uint64_t scrapes, scrapes_failed, samples, series_added, commit_failures,
            exceeded_sample_limit, exceeded_body_size_limit, exceeded_label_limits,
            exceeded_target_limit, duplicate_samples, out_of_bounds_samples, reloads,
            reloads_failed, discovery_failures, scrape_ns_sum;
    _Atomic int64_t last_reload_ns;
    _Atomic bool last_reload_ok;
    _Atomic unsigned commits; /* under way */
};

/* scrape_loop.c */
int scrape_loop_start(struct scrape *s);
void scrape_loop_stop(struct scrape *s);
void scrape_loop_wake(struct scrape *s);

#endif
