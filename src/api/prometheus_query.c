/* PromQL: query, query_range, exemplars, and the language's own services. */
#include "api/prometheus_call.h"

#define EXEMPLAR_SELECTORS_MAX 100u
#define CUT_WARNING "results truncated due to limit"

/* ---- What both kinds of evaluation share ---- */

struct evaluation {
    struct promql_query *query;
    struct promql_options options;
    struct metrics_source source;
    struct promql_result *result;
    uint64_t limit; /* columns; 0: none */
    int64_t at_ms;
    int64_t evaluated_ns;
};

static void evaluation_done(struct evaluation *v) {
    promql_result_free(v->result);
    promql_query_free(v->query);
    metrics_source_done(&v->source);
}

static int parse(struct prom_call *c, struct promql_query **ret) {
    struct promql_error e;

    int r = promql_parse(prom_param(c, "query"), ret, &e);
    return r < 0 ? prom_fail_query(c, r, "query", &e) : 0;
}

/* The parameters both have: timeout, lookback_delta, limit, query. */
static int begin(struct prom_call *c, struct evaluation *v) {
    const struct prometheus_options *o = &c->p->options;
    int64_t timeout_ms = 0, lookback_ms = 0;

    int r = prom_duration(c, "timeout", o->timeout_ns / NS_PER_MS, &timeout_ms);
    if (r == 0)
        r = prom_duration(c, "lookback_delta", o->lookback_ns / NS_PER_MS, &lookback_ms);
    if (r == 0 && lookback_ms < 0)
        r = prom_fail(c, PROM_BAD_DATA,
                      "invalid parameter \"lookback_delta\": it must not be negative");
    if (r == 0)
        r = prom_limit(c, "limit", &v->limit);
    if (r == 0)
        r = parse(c, &v->query);
    if (r < 0)
        return r;
    int64_t now = clock_monotonic_ns(), left_ms = (c->deadline_ns - now) / NS_PER_MS;
    if (timeout_ms > left_ms)
        timeout_ms = left_ms;
    if (timeout_ms <= 0)
        return prom_fail(c, PROM_TIMEOUT, "query timed out in query preparation");
    v->options = (struct promql_options){.lookback_ms = lookback_ms,
                                         .timeout_ms = timeout_ms,
                                         .memory_bytes_max = o->query_bytes_max,
                                         .samples_max = o->samples_max,
                                         .steps_max = PROMETHEUS_STEPS_MAX + 1,
                                         .cancel = &c->cancel};
    metrics_source_init(&v->source, o->metrics);
    v->source.deadline_ns = now + timeout_ms * NS_PER_MS;
    v->source.cancel = &c->cancel;
    return 0;
}

static void put_seconds(struct json_writer *w, const char *key, int64_t ns) {
    json_field_double(w, key, (double) ns / 1e9);
}

/* Times of phases that are one here (sorting is part of evaluating) are given to one of them. */
static void put_stats(struct prom_call *c, const struct evaluation *v) {
    struct json_writer *w = &c->json;
    int64_t queue = c->queued_ns, all = clock_monotonic_ns() - c->begun_ns;

    json_put_key(w, "stats");
    json_begin_object(w);
    json_put_key(w, "timings");
    json_begin_object(w);
    put_seconds(w, "evalTotalTime", v->evaluated_ns);
    put_seconds(w, "resultSortTime", 0);
    put_seconds(w, "queryPreparationTime", 0);
    put_seconds(w, "innerEvalTime", v->evaluated_ns);
    put_seconds(w, "execQueueTime", queue);
    put_seconds(w, "execTotalTime", all);
    json_end_object(w);
    json_put_key(w, "samples");
    json_begin_object(w);
    json_field_uint(w, "totalQueryableSamples", v->result->samples);
    json_field_uint(w, "peakSamples", v->result->samples);
    json_end_object(w);
    json_end_object(w);
}

static int finish(struct prom_call *c, struct evaluation *v) {
    const struct promql_result *result = v->result;
    size_t n = result->n_columns;
    int r = prom_annotate(c, result);

    atomic_fetch_add(&c->p->samples, result->samples);
    if (r == 0 && v->limit && n > v->limit && result->type >= PROMQL_VECTOR &&
        result->type <= PROMQL_MATRIX) {
        n = (size_t) v->limit;
        r = prom_warn(c, CUT_WARNING);
    }
    json_begin_object(&c->json);
    prom_put_result(&c->json, result, n, v->at_ms);
    if (prom_param(c, "stats").size)
        put_stats(c, v);
    json_end_object(&c->json);
    return r;
}

/* ---- One point in time ---- */

static int answer_query(struct prom_call *c) {
    struct evaluation v = {0};
    struct promql_error e;

    int r = prom_time(c, "time", c->received_ns / NS_PER_MS, &v.at_ms);
    if (r == 0)
        r = begin(c, &v);
    if (r == 0) {
        int64_t begun = clock_monotonic_ns();
        r = promql_eval_instant(v.query, &v.source.source, v.at_ms, &v.options, &v.result, &e);
        v.evaluated_ns = clock_monotonic_ns() - begun;
        r = r < 0 ? prom_fail_query(c, r, "query", &e) : finish(c, &v);
    }
    evaluation_done(&v);
    return r;
}

const struct prom_resource prom_query = {answer_query, false};

/* ---- A range ---- */

struct grid {
    int64_t from_ms, to_ms, step_ms;
};

static int read_grid(struct prom_call *c, struct grid *g) {
    int r = prom_time_needed(c, "start", &g->from_ms);

    if (r == 0)
        r = prom_time_needed(c, "end", &g->to_ms);
    if (r < 0)
        return r;
    if (g->to_ms < g->from_ms)
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"end\": end timestamp must not be before start time");
    struct slice step = prom_param(c, "step");
    if (prom_parse_duration(step, &g->step_ms) < 0)
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"step\": cannot parse \"%.*s\" to a valid duration",
                         SLICE_ARG(slice_take(step, 200)));
    if (g->step_ms <= 0)
        return prom_fail(c, PROM_BAD_DATA,
                         "invalid parameter \"step\": zero or negative query resolution step "
                         "widths are not accepted. Try a positive integer");
    if ((g->to_ms - g->from_ms) / g->step_ms > PROMETHEUS_STEPS_MAX)
        return prom_fail(c, PROM_BAD_DATA,
                         "exceeded maximum resolution of 11,000 points per timeseries. Try "
                         "decreasing the query resolution (?step=XX)");
    return 0;
}

static int answer_query_range(struct prom_call *c) {
    struct evaluation v = {0};
    struct promql_error e;
    struct grid g;

    int r = read_grid(c, &g);
    if (r == 0)
        r = begin(c, &v);
    if (r == 0) {
        int64_t begun = clock_monotonic_ns();
        r = promql_eval_range(v.query, &v.source.source, g.from_ms, g.to_ms, g.step_ms, &v.options,
                              &v.result, &e);
        v.evaluated_ns = clock_monotonic_ns() - begun;
        r = r < 0 ? prom_fail_query(c, r, "query", &e) : finish(c, &v);
    }
    evaluation_done(&v);
    return r;
}

const struct prom_resource prom_query_range = {answer_query_range, false};

/* ---- Exemplars ---- */

struct found_selectors {
    struct metrics_selector items[EXEMPLAR_SELECTORS_MAX];
    size_t n;
};

static void add_selector(void *ctx, const struct promql_matcher *matchers, size_t n) {
    struct found_selectors *f = ctx;

    if (f->n < EXEMPLAR_SELECTORS_MAX)
        f->items[f->n++] = (struct metrics_selector){matchers, n};
}

static void put_label_list(struct json_writer *w, const struct label *labels, size_t n) {
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key_slice(w, labels[i].name);
        json_put_string(w, labels[i].value);
    }
    json_end_object(w);
}

static bool same_series(const struct exemplar *a, const struct exemplar *b) {
    if (a->n_labels != b->n_labels)
        return false;
    for (size_t i = 0; i < a->n_labels; i++)
        if (!slice_equal(a->labels[i].name, b->labels[i].name) ||
            !slice_equal(a->labels[i].value, b->labels[i].value))
            return false;
    return true;
}

static void put_exemplar(struct json_writer *w, const struct exemplar *x) {
    json_begin_object(w);
    json_put_key(w, "labels");
    put_label_list(w, x->own, x->n_own);
    json_put_key(w, "value");
    prom_put_number(w->out, x->value);
    w->comma = true;
    json_put_key(w, "timestamp");
    prom_put_time(w->out, x->time_ms);
    w->comma = true;
    json_end_object(w);
}

static void put_exemplars(struct json_writer *w, const struct exemplar *items, size_t n) {
    json_begin_array(w);
    for (size_t i = 0; i < n;) {
        const struct exemplar *first = &items[i];
        json_begin_object(w);
        json_put_key(w, "seriesLabels");
        put_label_list(w, first->labels, first->n_labels);
        json_put_key(w, "exemplars");
        json_begin_array(w);
        for (; i < n && same_series(first, &items[i]); i++)
            put_exemplar(w, &items[i]);
        json_end_array(w);
        json_end_object(w);
    }
    json_end_array(w);
}

static int answer_exemplars(struct prom_call *c) {
    struct found_selectors found = {.n = 0};
    struct promql_query *q = NULL;
    struct error e = ERROR_NONE;
    struct metrics_range range;
    struct exemplar *items = NULL;
    uint64_t limit;
    size_t n = 0;

    int r = prom_range(c, &range, &limit);
    if (r == 0)
        r = parse(c, &q);
    if (r < 0)
        return r;
    promql_each_selector(q, add_selector, &found);
    if (found.n) {
        r = metrics_exemplars(c->p->options.metrics, found.items, found.n, &range, &c->arena,
                              &items, &n, &e);
        if (r < 0)
            r = prom_fail_storage(c, r, &e);
    }
    if (r == 0)
        put_exemplars(&c->json, items, n);
    promql_query_free(q);
    return r;
}

const struct prom_resource prom_exemplars = {answer_exemplars, false};

/* ---- The language ---- */

static int answer_text(struct prom_call *c,
                       void (*print)(const struct promql_query *q, struct buffer *out)) {
    struct promql_query *q = NULL;
    struct buffer text;

    int r = parse(c, &q);
    if (r < 0)
        return r;
    buffer_init(&text, PROMETHEUS_ANSWER_BYTES / 8);
    print(q, &text);
    promql_query_free(q);
    if (text.failed)
        r = prom_fail(c, PROM_EXECUTION, "the formatted query is too long");
    else if (print == promql_pretty)
        json_put_string(&c->json, buffer_slice(&text));
    else
        json_put_raw(&c->json, buffer_slice(&text));
    buffer_done(&text);
    return r;
}

static int answer_format_query(struct prom_call *c) {
    return answer_text(c, promql_pretty);
}

static int answer_parse_query(struct prom_call *c) {
    return answer_text(c, promql_tree_json);
}

const struct prom_resource prom_format_query = {answer_format_query, false};
const struct prom_resource prom_parse_query = {answer_parse_query, false};
