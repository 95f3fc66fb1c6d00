/* What is scraped: targets, their metadata, the scrape configuration. */
#include "api/prometheus_call.h"
#include "receive/scrape.h"

#include <stdio.h>

#define CONFIG_BYTES_MAX ((size_t) 16 << 20)

static void put_labels(struct json_writer *w, const char *key, const struct scrape_labels *labels) {
    json_put_key(w, key);
    json_begin_object(w);
    for (size_t i = 0; i < labels->n; i++) {
        json_put_key_slice(w, labels->items[i].name);
        json_put_string(w, labels->items[i].value);
    }
    json_end_object(w);
}

static void put_duration(struct json_writer *w, const char *key, int64_t ns) {
    int64_t ms = ns / NS_PER_MS;
    char number[48];

    if (ms % 1000)
        snprintf(number, sizeof(number), "%lldms", (long long) ms);
    else if (ms / 1000 % 60)
        snprintf(number, sizeof(number), "%llds", (long long) ms / 1000);
    else if (ms / 60000 % 60 || ms == 0)
        snprintf(number, sizeof(number), "%lldm", (long long) ms / 60000);
    else
        snprintf(number, sizeof(number), "%lldh", (long long) ms / 3600000);
    json_field_text(w, key, number);
}

static void put_active(struct json_writer *w, const struct scrape_target_info *t) {
    static const char *const health[] = {"unknown", "up", "down"};
    char time[31] = "0001-01-01T00:00:00Z"; /* what "never" is in Go */

    if (t->last_scrape_ns)
        time_format_rfc3339(t->last_scrape_ns, time);
    json_begin_object(w);
    put_labels(w, "discoveredLabels", &t->discovered);
    put_labels(w, "labels", &t->labels);
    json_field_string(w, "scrapePool", t->pool);
    json_field_string(w, "scrapeUrl", t->url);
    json_field_string(w, "globalUrl", t->url);
    json_field_string(w, "lastError", t->last_error);
    json_field_text(w, "lastScrape", time);
    json_field_double(w, "lastScrapeDuration", (double) t->last_duration_ns / 1e9);
    json_field_text(w, "health", health[t->health]);
    put_duration(w, "scrapeInterval", t->interval_ns);
    put_duration(w, "scrapeTimeout", t->timeout_ns);
    json_end_object(w);
}

static void put_dropped(struct json_writer *w, const struct scrape_target_info *t) {
    json_begin_object(w);
    put_labels(w, "discoveredLabels", &t->discovered);
    json_field_string(w, "scrapePool", t->pool);
    json_end_object(w);
}

static void put_targets(struct json_writer *w, const struct scrape_targets *targets,
                        struct slice state, struct slice pool) {
    bool any = state.size == 0 || slice_is(state, "any");

    json_put_key(w, "activeTargets");
    json_begin_array(w);
    for (size_t i = 0; (any || slice_is(state, "active")) && i < targets->n_active; i++)
        if (!pool.size || slice_equal(pool, targets->active[i].pool))
            put_active(w, &targets->active[i]);
    json_end_array(w);
    json_put_key(w, "droppedTargets");
    json_begin_array(w);
    for (size_t i = 0; (any || slice_is(state, "dropped")) && i < targets->n_dropped; i++)
        if (!pool.size || slice_equal(pool, targets->dropped[i].pool))
            put_dropped(w, &targets->dropped[i]);
    json_end_array(w);
    json_put_key(w, "droppedTargetCounts");
    json_begin_object(w);
    for (size_t i = 0; i < targets->n_pools; i++) {
        json_put_key_slice(w, targets->pools[i].pool);
        json_put_uint(w, targets->pools[i].n_dropped);
    }
    json_end_object(w);
}

static int read_targets(struct prom_call *c, struct scrape_targets *ret) {
    struct scrape *s = c->p->options.scrape;

    *ret = (struct scrape_targets){0};
    return s ? scrape_read_targets(s, &c->arena, ret) : 0;
}

static int answer_targets(struct prom_call *c) {
    struct scrape_targets targets;
    int r = read_targets(c, &targets);

    if (r < 0)
        return r;
    json_begin_object(&c->json);
    put_targets(&c->json, &targets, prom_param(c, "state"), prom_param(c, "scrapePool"));
    json_end_object(&c->json);
    return 0;
}

static int answer_scrape_pools(struct prom_call *c) {
    struct json_writer *w = &c->json;
    struct scrape_targets targets;
    int r = read_targets(c, &targets);

    if (r < 0)
        return r;
    json_begin_object(w);
    json_put_key(w, "scrapePools");
    json_begin_array(w);
    for (size_t i = 0; i < targets.n_pools; i++)
        json_put_string(w, targets.pools[i].pool);
    json_end_array(w);
    json_end_object(w);
    return 0;
}

/* ---- Metadata ---- */

static struct slice label_of(const struct scrape_labels *labels, struct slice name) {
    for (size_t i = 0; i < labels->n; i++)
        if (slice_equal(labels->items[i].name, name))
            return labels->items[i].value;
    return SLICE("");
}

static bool is_matched(const struct scrape_labels *labels, const struct promql_matcher *matchers,
                       size_t n) {
    for (size_t i = 0; i < n; i++)
        if (promql_matcher_test(&matchers[i], label_of(labels, matchers[i].name)) != 1)
            return false;
    return true;
}

static void put_target_metadata(struct json_writer *w, const struct scrape_metadata_info *m,
                                bool with_metric) {
    json_begin_object(w);
    put_labels(w, "target", &m->target);
    if (with_metric)
        json_field_string(w, "metric", m->metadata.metric);
    json_field_text(w, "type", prom_type_name(m->metadata.type));
    json_field_string(w, "help", m->metadata.help);
    json_field_string(w, "unit", m->metadata.unit);
    json_end_object(w);
}

/* `match_target`: a selector over targets' labels; `metric`; `limit`. */
static int answer_targets_metadata(struct prom_call *c) {
    struct slice match = prom_param(c, "match_target"), metric = prom_param(c, "metric");
    const struct promql_matcher *matchers = NULL;
    struct scrape_metadata_info *items = NULL;
    struct promql_query *q = NULL;
    struct promql_error e;
    size_t n = 0, n_matchers = 0, given = 0;
    uint64_t limit;

    int r = prom_limit(c, "limit", &limit);
    if (r == 0 && match.size && !slice_is(match, "{}")) {
        r = promql_parse_selector(match, &q, &matchers, &n_matchers, &e);
        if (r < 0)
            r = prom_fail_query(c, r, "match_target", &e);
    }
    if (r == 0 && c->p->options.scrape)
        r = scrape_read_metadata(c->p->options.scrape, metric, 0, &c->arena, &items, &n);
    if (r == 0) {
        json_begin_array(&c->json);
        for (size_t i = 0; i < n && (limit == 0 || given < limit); i++)
            if (is_matched(&items[i].target, matchers, n_matchers)) {
                put_target_metadata(&c->json, &items[i], metric.size == 0);
                given++;
            }
        json_end_array(&c->json);
    }
    promql_query_free(q);
    return r;
}

/* ---- Configuration ---- */

static int answer_config(struct prom_call *c) {
    struct buffer yaml;
    int r = 0;

    buffer_init(&yaml, CONFIG_BYTES_MAX);
    if (c->p->options.scrape)
        r = scrape_print_config(c->p->options.scrape, &yaml);
    json_begin_object(&c->json);
    json_field_string(&c->json, "yaml", buffer_slice(&yaml));
    json_end_object(&c->json);
    buffer_done(&yaml);
    return r;
}

const struct prom_resource prom_targets = {answer_targets, false};
const struct prom_resource prom_targets_metadata = {answer_targets_metadata, false};
const struct prom_resource prom_scrape_pools = {answer_scrape_pools, false};
const struct prom_resource prom_config = {answer_config, false};
