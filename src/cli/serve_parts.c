/*
 * What stands behind the listeners of `varan serve`: storage, ingest, receivers, API, page. Opened
 * and closed by the main thread.
 */
#include "api/api.h"
#include "api/page.h"
#include "api/prometheus.h"
#include "base/log.h"
#include "base/vector.h"
#include "cli/serve.h"
#include "derive/ingest.h"
#include "query/metrics.h"
#include "receive/otlp.h"
#include "receive/profiles.h"
#include "receive/remote_write.h"
#include "receive/scrape.h"
#include "receive/scrape_config.h"
#include "store/store.h"

#include <stdio.h>

#define ROUTE_TABLES_MAX 12
#define SCRUB_KEYS_MAX 1000

static unsigned days(uint64_t n) {
    return n > STORE_DAYS_MAX ? STORE_DAYS_MAX : (unsigned) n;
}

static void set_retention(struct store_options *o, const struct settings *s) {
    o->retention_days = days(s->retention_days);
    o->signal_days[SIGNAL_TRACES] = days(s->traces_retention_days);
    o->signal_days[SIGNAL_LOGS] = days(s->logs_retention_days);
    o->signal_days[SIGNAL_METRICS] = days(s->metrics_retention_days);
    o->signal_days[SIGNAL_PROFILES] = days(s->profiles_retention_days);
    o->signal_days[SIGNAL_METRICS_5M] = days(s->metrics_5m_retention_days);
    o->signal_days[SIGNAL_METRICS_1H] = days(s->metrics_1h_retention_days);
    o->retention_bytes = s->retention_bytes;
}

static int open_store(struct serve *s, struct error *e) {
    const struct settings *settings = s->settings;
    struct store_options o;
    struct store *store;

    store_options_default(&o);
    o.data_dir = settings->data_dir;
    o.engine_lib = settings->engine_lib;
    o.clickhouse_url = settings->clickhouse;
    o.clickhouse_database = settings->clickhouse_database;
    set_retention(&o, settings);
    o.free_bytes_min = settings->free_bytes_min;
    o.queue_bytes_max = (size_t) settings->queue_bytes;
    o.commit_ns_max = settings->commit_interval_ns;
    o.durable = settings->durable;
    int r = store_open(&o, &store, e);
    if (r == 0)
        atomic_store(&s->store, store);
    return r;
}

static int open_ingest(struct serve *s, struct error *e) {
    struct slice rest = slice_from(s->settings->scrub_keys);
    struct ingest_options o = {.store = atomic_load(&s->store),
                               .scrub = s->settings->scrub,
                               .series_max = s->settings->metrics_series_max,
                               .instance_series_max = s->settings->metrics_instance_series_max,
                               .load_series = true};
    VECTOR(struct slice) keys = {0};
    struct ingest *ingest;
    int r = 0;

    while (rest.size && r == 0) {
        struct slice key = slice_trim(slice_cut(&rest, ','));
        if (key.size)
            r = vector_push(&keys, key, SCRUB_KEYS_MAX);
    }
    if (r == -ENOBUFS)
        error_set(e, r, "--scrub-keys: more than %d keys", SCRUB_KEYS_MAX);
    else if (r < 0)
        error_set(e, r, "out of memory");
    o.scrub_keys = keys.items;
    o.n_scrub_keys = keys.n;
    if (r == 0)
        r = ingest_new(&o, &ingest, e);
    if (r == 0)
        atomic_store(&s->ingest, ingest);
    vector_done(&keys);
    return r;
}

static int open_metrics(struct serve *s, struct error *e) {
    struct metrics_options o = {.store = atomic_load(&s->store),
                                .ingest = atomic_load(&s->ingest),
                                .retention = s->settings->metrics_retention,
                                .cache_bytes = (size_t) s->settings->metrics_cache_bytes,
                                .make_5m = s->settings->metrics_5m_retention_days > 0,
                                .make_1h = s->settings->metrics_1h_retention_days > 0};
    struct metrics *metrics;
    int r = metrics_new(&o, &metrics, e);

    if (r == 0)
        atomic_store(&s->metrics, metrics);
    return r;
}

static int open_receivers(struct serve *s, struct error *e) {
    int r = otlp_new(atomic_load(&s->ingest), &s->otlp);

    if (r == 0)
        r = profiles_receiver_new(atomic_load(&s->ingest), &s->profiles);
    if (r == 0)
        r = remote_write_new(atomic_load(&s->ingest), &s->remote_write);
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

static const char *or_null(const char *text) {
    return *text ? text : NULL;
}

static int open_api(struct serve *s, struct error *e) {
    struct api_options o = {.store = atomic_load(&s->store),
                            .ingest = atomic_load(&s->ingest),
                            .version = VARAN_VERSION,
                            .page_url = or_null(s->page_url),
                            .otlp_http_url = or_null(s->otlp_http_url),
                            .otlp_grpc_url = or_null(s->otlp_grpc_url),
                            .retention_days = days(s->settings->retention_days)};
    int r = api_new(&o, &s->api);

    return r < 0 ? error_set(e, r, "cannot start the API: %s", error_name(r)) : 0;
}

/* Under the names that Prometheus has for them. */
static void print_flags(void *ctx, void (*each)(void *to, const char *name, const char *value),
                        void *to) {
    const struct serve *s = ctx;
    char kept[32];

    snprintf(kept, sizeof(kept), "%ud", store_kept_days(atomic_load(&s->store), SIGNAL_METRICS));
    each(to, "storage.tsdb.path", s->settings->data_dir);
    each(to, "storage.tsdb.retention.time", kept);
    each(to, "web.external-url", s->page_url);
    scrape_duration_print(s->settings->query_timeout_ns, kept, sizeof(kept));
    each(to, "query.timeout", kept);
    scrape_duration_print(s->settings->query_lookback_ns, kept, sizeof(kept));
    each(to, "query.lookback-delta", kept);
    snprintf(kept, sizeof(kept), "%llu", (unsigned long long) s->settings->query_samples);
    each(to, "query.max-samples", kept);
}

static int open_prometheus(struct serve *s, struct error *e) {
    struct prometheus_options o = {.metrics = atomic_load(&s->metrics),
                                   .scrape = atomic_load(&s->scrape),
                                   .version = VARAN_VERSION,
                                   .retention_days = (unsigned) s->settings->retention_days,
                                   .timeout_ns = s->settings->query_timeout_ns,
                                   .query_bytes_max = (size_t) s->settings->query_bytes,
                                   .samples_max = s->settings->query_samples,
                                   .lookback_ns = s->settings->query_lookback_ns,
                                   .flags = print_flags,
                                   .ctx = s};
    int r = prometheus_new(&o, &s->prometheus);

    return r < 0 ? error_set(e, r, "cannot start Prometheus' API: %s", error_name(r)) : 0;
}

static int set_routes(struct serve *s, struct error *e) {
    struct http_routes tables[ROUTE_TABLES_MAX];
    struct http_routes otlp_http = otlp_http_routes(s->otlp), otlp_grpc = otlp_grpc_routes(s->otlp);
    size_t n = 0;
    int r = 0;

    tables[n++] = serve_operation_routes(s);
    tables[n++] = serve_scrape_routes(s);
    tables[n++] = otlp_http;
    tables[n++] = profiles_receiver_routes(s->profiles);
    tables[n++] = remote_write_routes(s->remote_write);
    tables[n++] = prometheus_routes(s->prometheus);
    tables[n++] = api_routes(s->api);
    tables[n++] = page_routes();
    if (s->otlp_http)
        r = http_server_set_routes(s->otlp_http, &otlp_http, 1);
    if (r == 0 && s->otlp_grpc)
        r = grpc_server_set_routes(s->otlp_grpc, &otlp_grpc, 1);
    if (r == 0)
        r = http_server_set_routes(s->page, tables, n);
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

int serve_open_parts(struct serve *s, struct error *e) {
    int r = open_store(s, e);

    if (r == 0)
        r = open_ingest(s, e);
    if (r == 0)
        r = open_metrics(s, e);
    if (r == 0)
        r = open_receivers(s, e);
    if (r == 0)
        r = serve_open_scrape(s, e);
    if (r == 0)
        r = open_api(s, e);
    if (r == 0)
        r = open_prometheus(s, e);
    return r < 0 ? r : set_routes(s, e);
}

/* In this order: ingest's last rows are written by the store as it closes, and the answers that it
 * gives then go through the receiver. */
void serve_close_parts(struct serve *s) {
    struct ingest *ingest = atomic_load(&s->ingest);
    struct store *store = atomic_load(&s->store);

    if (s->api)
        api_free(s->api);
    scrape_stop(atomic_load(&s->scrape)); /* it reads the server's own metrics */
    prometheus_free(s->prometheus);
    metrics_free(atomic_load(&s->metrics));
    if (ingest)
        ingest_stop(ingest);
    if (store)
        store_close(store);
    scrape_free(atomic_load(&s->scrape));
    if (s->otlp)
        otlp_free(s->otlp);
    profiles_receiver_free(s->profiles);
    remote_write_free(s->remote_write);
    if (ingest)
        ingest_free(ingest);
}
