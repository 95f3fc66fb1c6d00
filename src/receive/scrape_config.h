/*
 * The scrape configuration: Prometheus' prometheus.yml as far as it concerns scraping. Immutable
 * after reading and counted: every thread that works with a part holds a reference. All texts are
 * NUL-terminated behind their end and live in the configuration's arena.
 */
#ifndef VARAN_RECEIVE_SCRAPE_CONFIG_H
#define VARAN_RECEIVE_SCRAPE_CONFIG_H

#include "base/error.h"
#include "base/vector.h"
#include "receive/relabel.h"

#include <stdatomic.h>

#define SCRAPE_CONFIG_BYTES_MAX ((size_t) 16 << 20)
#define SCRAPE_JOBS_MAX 10000u
#define SCRAPE_TARGETS_MAX 100000u /* of one discovery */

/* How to speak with a server: of a job, and of an http_sd_config. NULL: not given. */
struct scrape_http {
    const char *username, *username_file, *password, *password_file;
    const char *auth_type, *credentials, *credentials_file;
    const char *ca_file, *cert_file, *key_file, *server_name, *tls_min, *tls_max;
    const char *ca, *cert, *key; /* PEM in the file itself */
    const char *proxy_url, *no_proxy;
    bool insecure, follow_redirects, enable_http2, has_basic_auth, has_authorization,
            proxy_from_environment;
    struct label *headers, *file_headers; /* file_headers: the value is a file's path */
    size_t n_headers, n_file_headers;
};

enum scrape_protocol {
    SCRAPE_PROTOBUF,
    SCRAPE_OPENMETRICS_0_0_1,
    SCRAPE_OPENMETRICS_1_0_0,
    SCRAPE_TEXT_0_0_4,
    SCRAPE_TEXT_1_0_0,
    SCRAPE_PROTOCOLS
};

enum scrape_sd { SCRAPE_SD_STATIC, SCRAPE_SD_FILE, SCRAPE_SD_HTTP, SCRAPE_SD_DNS };
enum scrape_dns { SCRAPE_DNS_SRV, SCRAPE_DNS_A, SCRAPE_DNS_AAAA, SCRAPE_DNS_MX, SCRAPE_DNS_NS };

/* A target as discovered: its labels, __address__ and others, sorted. */
struct scrape_discovered {
    const struct label *labels;
    size_t n_labels;
};
typedef VECTOR(struct scrape_discovered) scrape_discovered_list;

/* One entry of a *_sd_configs list, or all of static_configs. */
struct scrape_provider {
    enum scrape_sd kind;
    int64_t refresh_ns;
    struct slice *names; /* FILE: globs; DNS: names */
    size_t n_names;
    const char *url; /* HTTP */
    struct scrape_http http;
    enum scrape_dns dns;
    uint64_t port;                /* DNS: of A, AAAA, MX, NS */
    scrape_discovered_list fixed; /* STATIC */
};

struct scrape_job {
    const char *name;
    int64_t interval_ns, timeout_ns;
    bool honor_labels, honor_timestamps, track_staleness, compression, extra_metrics;
    bool utf8_names;
    bool native_histograms, classic_histograms; /* scraped; classic: of those that have both, too */
    uint64_t native_bucket_limit;               /* 0: no limit */
    double native_min_bucket_factor;
    bool protocols_given; /* by the file, and not by what else it says */
    const char *scheme, *metrics_path;
    struct scrape_param {
        struct slice name, *values;
        size_t n;
    } * params; /* sorted by name */
    size_t n_params;
    struct scrape_http http;
    uint64_t body_size_limit, sample_limit, label_limit, label_name_limit, label_value_limit,
            target_limit, keep_dropped; /* 0: no limit */
    enum scrape_protocol protocols[SCRAPE_PROTOCOLS];
    size_t n_protocols;
    int fallback; /* enum scrape_protocol, -1: none */
    struct relabel_rules relabel, metric_relabel;
    VECTOR(struct scrape_provider) providers;
    bool self;            /* the server's own metrics, without HTTP */
    uint64_t fingerprint; /* of the text: equal when nothing about the job changed */
};

struct scrape_config {
    _Atomic unsigned references;
    struct arena arena;
    const char *file;         /* NULL: no file */
    struct scrape_job global; /* defaults of all jobs */
    VECTOR(struct scrape_job *) jobs;
    VECTOR(struct slice) notes;
    struct slice printed; /* the YAML without secrets */
};

/* An empty configuration with the defaults; 0 or -ENOMEM. */
int scrape_config_new(struct scrape_config **ret);
/* Reads `file`. -EINVAL with "FILE:LINE: …", or why it cannot be read. */
int scrape_config_read(const char *file, struct scrape_config **ret, struct error *e);
/* The same of text; `file` is for messages and for what is relative to it. */
int scrape_config_parse(const char *file, struct slice text, struct scrape_config **ret,
                        struct error *e);
struct scrape_config *scrape_config_ref(struct scrape_config *c);
void scrape_config_unref(struct scrape_config *c);

/* Prometheus' durations: 1h30m, 15s, 500ms, 0; units y w d h m s ms in that order. 0 or -EINVAL. */
int scrape_duration_parse(struct slice text, int64_t *ret_ns);
/* The same, printed: "1m30s". */
void scrape_duration_print(int64_t ns, char *ret, size_t room);

/* Target groups as file_sd has them: a YAML or JSON list of {targets, labels}. Appends to `ret`;
 * texts in `a`. `source`: the value of `meta` when that is not empty. */
int scrape_groups_parse(const char *file, struct slice text, struct slice meta, struct slice source,
                        struct arena *a, scrape_discovered_list *ret, struct error *e);
/* A whole file, at most `max` bytes, NUL behind; data NULL and the reason in `e`. */
struct slice scrape_file_read(const char *path, size_t max, struct arena *a, struct error *e);

#endif
