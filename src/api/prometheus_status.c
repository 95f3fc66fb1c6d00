/* What the server is and does: status/…, targets, rules, alerts. */
#include "api/prometheus_call.h"
#include "receive/scrape.h"

#include <stdio.h>
#include <unistd.h>

#define CARDINALITY_ROWS 10u
#define CARDINALITY_ROWS_MAX 10000u

/* ---- Rules and alerts ---- */

static void put_empty(struct json_writer *w, const char *const *lists, size_t n) {
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key(w, lists[i]);
        json_begin_array(w);
        json_end_array(w);
    }
    json_end_object(w);
}

static int answer_rules(struct prom_call *c) {
    struct slice type = prom_param(c, "type");

    if (type.size && !slice_is(type, "alert") && !slice_is(type, "record"))
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"type\": not supported value \"%.*s\"",
                         SLICE_ARG(slice_take(type, 100)));
    put_empty(&c->json, (const char *const[]){"groups"}, 1);
    return 0;
}

static int answer_alerts(struct prom_call *c) {
    put_empty(&c->json, (const char *const[]){"alerts"}, 1);
    return 0;
}

static int answer_alertmanagers(struct prom_call *c) {
    put_empty(&c->json, (const char *const[]){"activeAlertmanagers", "droppedAlertmanagers"}, 2);
    return 0;
}

const struct prom_resource prom_rules = {answer_rules, false};
const struct prom_resource prom_alerts = {answer_alerts, false};
const struct prom_resource prom_alertmanagers = {answer_alertmanagers, false};

/* ---- status ---- */

static int answer_buildinfo(struct prom_call *c) {
    struct json_writer *w = &c->json;

    json_begin_object(w);
    json_field_text(w, "version", PROMETHEUS_VERSION);
    json_field_text(w, "revision", c->p->options.version);
    json_field_text(w, "branch", "varan");
    json_field_text(w, "buildUser", "");
    json_field_text(w, "buildDate", "");
    json_field_text(w, "goVersion", "");
    json_field_text(w, "application", "Varan");
    json_end_object(w);
    return 0;
}

static void put_flag(void *to, const char *name, const char *value) {
    json_field_text(to, name, value);
}

static int answer_flags(struct prom_call *c) {
    const struct prometheus_options *o = &c->p->options;

    json_begin_object(&c->json);
    if (o->flags)
        o->flags(o->ctx, put_flag, &c->json);
    json_end_object(&c->json);
    return 0;
}

static void put_moment(struct json_writer *w, const char *key, int64_t ns) {
    char text[31];

    time_format_rfc3339(ns, text);
    json_field_text(w, key, text);
}

static int answer_runtimeinfo(struct prom_call *c) {
    struct json_writer *w = &c->json;
    char folder[4096] = "", host[256] = "", retention[32] = "";
    struct scrape_stats scrape = {.last_reload_ok = true, .last_reload_ns = c->p->started_ns};

    if (c->p->options.scrape)
        scrape_read_stats(c->p->options.scrape, &scrape);
    if (!getcwd(folder, sizeof(folder)))
        folder[0] = 0;
    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = 0;
    if (c->p->options.retention_days)
        snprintf(retention, sizeof(retention), "%ud", c->p->options.retention_days);
    json_begin_object(w);
    put_moment(w, "startTime", c->p->started_ns);
    json_field_text(w, "CWD", folder);
    json_field_text(w, "hostname", host);
    put_moment(w, "serverTime", clock_now_ns());
    json_field_bool(w, "reloadConfigSuccess", scrape.last_reload_ok);
    put_moment(w, "lastConfigTime", scrape.last_reload_ns);
    json_field_int(w, "corruptionCount", 0);
    json_field_int(w, "goroutineCount", 0);
    json_field_int(w, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    json_field_int(w, "GOMEMLIMIT", 0);
    json_field_text(w, "GOGC", "");
    json_field_text(w, "GODEBUG", "");
    json_field_text(w, "storageRetention", retention);
    json_end_object(w);
    return 0;
}

static int answer_walreplay(struct prom_call *c) {
    json_begin_object(&c->json);
    json_field_int(&c->json, "min", 0);
    json_field_int(&c->json, "max", 0);
    json_field_int(&c->json, "current", 0);
    json_field_text(&c->json, "state", "done");
    json_end_object(&c->json);
    return 0;
}

const struct prom_resource prom_buildinfo = {answer_buildinfo, false};
const struct prom_resource prom_flags = {answer_flags, false};
const struct prom_resource prom_runtimeinfo = {answer_runtimeinfo, false};
const struct prom_resource prom_walreplay = {answer_walreplay, false};

/* ---- Cardinality ---- */

static void put_counts(struct json_writer *w, const char *key, const struct metrics_count *items,
                       size_t n) {
    json_put_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w);
        json_field_string(w, "name", items[i].name);
        json_field_uint(w, "value", items[i].n);
        json_end_object(w);
    }
    json_end_array(w);
}

static int answer_tsdb(struct prom_call *c) {
    struct metrics_cardinality found;
    struct json_writer *w = &c->json;
    struct error e = ERROR_NONE;
    uint64_t limit;

    int r = prom_limit(c, "limit", &limit);
    if (r < 0)
        return r;
    if (limit > CARDINALITY_ROWS_MAX)
        return prom_fail(c, PROM_BAD_DATA, "invalid parameter \"limit\": at most %u",
                         CARDINALITY_ROWS_MAX);
    r = metrics_read_cardinality(c->p->options.metrics, limit ? (size_t) limit : CARDINALITY_ROWS,
                                 &c->arena, &found, &e);
    if (r < 0)
        return prom_fail_storage(c, r, &e);
    json_begin_object(w);
    json_put_key(w, "headStats");
    json_begin_object(w);
    json_field_uint(w, "numSeries", found.series);
    json_field_uint(w, "numLabelPairs", found.label_pairs);
    json_field_int(w, "chunkCount", 0);
    json_field_int(w, "minTime", found.oldest_ms);
    json_field_int(w, "maxTime", found.newest_ms);
    /* Beyond Prometheus' own fields: churn, and how near the limit is. */
    json_field_uint(w, "seriesAdded1h", found.series_added_1h);
    json_field_uint(w, "seriesGone1h", found.series_gone_1h);
    json_field_uint(w, "seriesLimit", found.series_limit);
    json_field_uint(w, "seriesRefused", found.series_refused);
    json_field_uint(w, "samplesPerSecond", found.samples_per_second);
    json_field_uint(w, "indexBytes", found.index_bytes);
    json_end_object(w);
    put_counts(w, "seriesCountByMetricName", found.by_metric, found.n_by_metric);
    put_counts(w, "labelValueCountByLabelName", found.by_label_values, found.n_by_label_values);
    put_counts(w, "memoryInBytesByLabelName", found.bytes_by_label, found.n_bytes_by_label);
    put_counts(w, "seriesCountByLabelValuePair", found.by_label_pair, found.n_by_label_pair);
    json_end_object(w);
    return 0;
}

const struct prom_resource prom_tsdb = {answer_tsdb, false};
