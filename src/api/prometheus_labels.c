/* What series there are: series, labels, values, metadata. */
#include "api/prometheus_call.h"

#define CUT_WARNING "results truncated due to limit"

const char *prom_type_name(enum metric_type t) {
    static const char *const names[] = {
            [METRIC_UNKNOWN] = "unknown",
            [METRIC_COUNTER] = "counter",
            [METRIC_GAUGE] = "gauge",
            [METRIC_HISTOGRAM] = "histogram",
            [METRIC_GAUGE_HISTOGRAM] = "gaugehistogram",
            [METRIC_SUMMARY] = "summary",
            [METRIC_INFO] = "info",
            [METRIC_STATE_SET] = "stateset",
    };

    return (size_t) t < sizeof(names) / sizeof(*names) ? names[t] : "unknown";
}

/* ---- series ---- */

static int answer_series(struct prom_call *c) {
    const struct promql_labels **items = NULL;
    struct prom_selectors selectors;
    struct error e = ERROR_NONE;
    struct metrics_range range;
    uint64_t limit;
    bool cut = false;
    size_t n = 0;

    int r = prom_range(c, &range, &limit);
    if (r == 0)
        r = prom_selectors(c, true, &selectors);
    if (r < 0)
        return r;
    r = metrics_series(c->p->options.metrics, selectors.items, selectors.n, &range, &c->arena,
                       &items, &n, &cut, &e);
    prom_selectors_done(&selectors);
    if (r < 0)
        return prom_fail_storage(c, r, &e);
    json_begin_array(&c->json);
    for (size_t i = 0; i < n; i++)
        prom_put_labels(&c->json, items[i]);
    json_end_array(&c->json);
    return cut ? prom_warn(c, CUT_WARNING) : 0;
}

const struct prom_resource prom_series = {answer_series, false};

/* ---- labels ---- */

/* Names (`name` without data), or values of a label. */
static int answer_list(struct prom_call *c, struct slice name) {
    struct prom_selectors selectors;
    struct error e = ERROR_NONE;
    struct metrics_range range;
    struct slice *items = NULL;
    uint64_t limit;
    bool cut = false;
    size_t n = 0;

    int r = prom_range(c, &range, &limit);
    if (r == 0)
        r = prom_selectors(c, false, &selectors);
    if (r < 0)
        return r;
    r = metrics_labels(c->p->options.metrics, name, selectors.items, selectors.n, &range, &c->arena,
                       &items, &n, &cut, &e);
    prom_selectors_done(&selectors);
    if (r < 0)
        return prom_fail_storage(c, r, &e);
    json_begin_array(&c->json);
    for (size_t i = 0; i < n; i++)
        json_put_string(&c->json, items[i]);
    json_end_array(&c->json);
    return cut ? prom_warn(c, CUT_WARNING) : 0;
}

static int answer_labels(struct prom_call *c) {
    return answer_list(c, SLICE_EMPTY);
}

static int answer_label_values(struct prom_call *c) {
    struct slice name = http_request_capture(c->request, 0);

    name = prom_unescape_name(&c->arena, name);
    if (!name.data)
        return -ENOMEM;
    if (name.size == 0 || !slice_is_utf8(name))
        return prom_fail(c, PROM_BAD_DATA, "invalid label name: \"%.*s\"",
                         SLICE_ARG(slice_take(name, 200)));
    return answer_list(c, name);
}

const struct prom_resource prom_labels = {answer_labels, false};
const struct prom_resource prom_label_values = {answer_label_values, false};

/* ---- metadata ---- */

static void put_metadata(struct json_writer *w, const struct metric_metadata *m) {
    json_begin_object(w);
    json_field_text(w, "type", prom_type_name(m->type));
    json_field_string(w, "help", m->help);
    json_field_string(w, "unit", m->unit);
    json_end_object(w);
}

static void put_all_metadata(struct prom_call *c, const struct metric_metadata *items, size_t n,
                             uint64_t per_metric) {
    struct json_writer *w = &c->json;

    json_begin_object(w);
    for (size_t i = 0; i < n;) {
        struct slice metric = items[i].metric;
        uint64_t given = 0;
        json_put_key_slice(w, metric);
        json_begin_array(w);
        for (; i < n && slice_equal(items[i].metric, metric); i++)
            if (per_metric == 0 || given++ < per_metric)
                put_metadata(w, &items[i]);
        json_end_array(w);
    }
    json_end_object(w);
}

/* A limit that Prometheus takes as "none" when it is negative. */
static int signed_limit(struct prom_call *c, const char *name, uint64_t *ret) {
    struct slice text = prom_param(c, name);
    int64_t v = -1;

    if (text.size && slice_to_i64(text, &v) < 0)
        return prom_fail(c, PROM_BAD_DATA, "limit must be a number");
    *ret = v > 0 ? (uint64_t) v : v == 0 ? UINT64_MAX : 0;
    return 0;
}

static int answer_metadata(struct prom_call *c) {
    struct slice metric = prom_param(c, "metric");
    struct metric_metadata *items = NULL;
    struct error e = ERROR_NONE;
    uint64_t limit, per_metric;
    size_t n = 0;

    int r = signed_limit(c, "limit", &limit);
    if (r == 0)
        r = signed_limit(c, "limit_per_metric", &per_metric);
    if (r < 0)
        return r;
    if (metric.size == 0)
        metric = SLICE_EMPTY;
    if (limit != UINT64_MAX) { /* 0 asked for: none at all */
        r = metrics_metadata(c->p->options.metrics, metric, (size_t) limit, &c->arena, &items, &n,
                             &e);
        if (r < 0)
            return prom_fail_storage(c, r, &e);
    }
    put_all_metadata(c, items, n, per_metric == UINT64_MAX ? 0 : per_metric);
    return 0;
}

const struct prom_resource prom_metadata = {answer_metadata, false};
