/* One service: signals, operations and where their time goes, dependencies, statements, errors. One
 * owner. */
#include "query/red.h"
#include "query/service_sample.h"

#include <math.h>

#define DEPENDENCIES_MAX 50u
#define STATEMENTS_MAX 10u
#define VERSIONS_MAX 10u
#define ERRORS_MAX 10u
#define SLOWEST_MAX 5u

static void add_service(struct sql *s, struct slice service) {
    sql_add(s, " AND service = ");
    sql_string(s, service);
}

/* ---- "service" and "versions" ---- */

static int write_facts(struct query *q, struct slice service, bool has_data) {
    struct json_writer *w = q->json;
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT argMax(toString(namespace), seen), argMax(toString(version), seen), "
                "argMax(attributes, seen), uniqExactIf(id, seen >= ");
    sql_seconds(&s, q->from_ns);
    sql_add(&s, "), min(first), max(seen), count() FROM (SELECT id, any(namespace) AS namespace, "
                "any(version) AS version, any(attributes) AS attributes, min(first_seen) AS first, "
                "max(last_seen) AS seen FROM resources WHERE service = ");
    sql_string(&s, service);
    sql_add(&s, " GROUP BY id)");
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    bool known = rows.n && row_u64(&rows, 0, 6);
    if (!known && !has_data) {
        rows_done(&rows);
        return error_set(q->error, -ENOENT, "there is no service of this name");
    }
    struct slice language = SLICE_EMPTY;
    size_t n = native_reader_length(rows.reader, 0, 2);
    for (size_t i = 0; i < n; i++)
        if (slice_is(native_reader_key(rows.reader, 0, 2, i).text, "telemetry.sdk.language"))
            language = native_reader_item(rows.reader, 0, 2, i).text;
    json_put_key(w, "service");
    json_begin_object(w);
    json_field_string(w, "name", service);
    json_field_string(w, "namespace", row_text(&rows, 0, 0));
    json_field_string(w, "version", row_text(&rows, 0, 1));
    json_field_string(w, "language", language);
    json_field_uint(w, "instances", row_u64(&rows, 0, 3));
    json_field_ns_text(w, "first_seen_ns", row_i64(&rows, 0, 4) * NS_PER_S);
    json_field_ns_text(w, "last_seen_ns", row_i64(&rows, 0, 5) * NS_PER_S);
    json_put_key(w, "attributes");
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        json_put_key_slice(w, native_reader_key(rows.reader, 0, 2, i).text);
        json_put_string(w, native_reader_item(rows.reader, 0, 2, i).text);
    }
    json_end_object(w);
    json_end_object(w);
    rows_done(&rows);
    return 0;
}

static int write_versions(struct query *q, struct slice service) {
    struct json_writer *w = q->json;
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s,
            "SELECT version, min(first_seen) AS f, max(last_seen) FROM resources WHERE version != "
            "'' AND service = ");
    sql_string(&s, service);
    sql_addf(&s, " GROUP BY version ORDER BY f DESC LIMIT %u", VERSIONS_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(w, "versions");
    json_begin_array(w);
    for (size_t i = 0; i < rows.n; i++) {
        json_begin_object(w);
        json_field_string(w, "version", row_text(&rows, i, 0));
        json_field_ns_text(w, "first_seen_ns", row_i64(&rows, i, 1) * NS_PER_S);
        json_field_ns_text(w, "last_seen_ns", row_i64(&rows, i, 2) * NS_PER_S);
        json_end_object(w);
    }
    json_end_array(w);
    rows_done(&rows);
    return 0;
}

/* ---- Operations ---- */

static void write_breakdown(struct json_writer *w, const struct sampled_operation *o) {
    json_put_key(w, "breakdown");
    int64_t total = 0;
    for (int i = 0; o && i < TIME_CATEGORIES; i++)
        total += o->by_category[i];
    if (total <= 0) {
        json_put_null(w);
        return;
    }
    json_begin_object(w);
    for (int i = 0; i < TIME_CATEGORIES; i++)
        json_field_double(w, time_category_names[i], (double) o->by_category[i] / (double) total);
    json_end_object(w);
}

static void write_operations(struct query *q, const struct red_set *set, uint64_t total_ns,
                             const struct service_sample *sample) {
    struct json_writer *w = q->json;

    json_put_key(w, "operations");
    json_begin_array(w);
    for (size_t i = 0; i < set->n; i++) {
        const struct red_entry *e = &set->items[i];
        if (e->count[RED_NOW] + e->count[RED_BEFORE] == 0)
            continue;
        json_begin_object(w);
        json_field_string(w, "name", e->key);
        json_field_uint(w, "kind", e->kind);
        json_red_figures(w, q, e, &set->steps);
        json_field_uint(w, "time_ns", e->time_ns[RED_NOW]);
        json_field_double(w, "share",
                          total_ns ? (double) e->time_ns[RED_NOW] / (double) total_ns : 0);
        json_field_uint(w, "requests", e->count[RED_NOW]);
        write_breakdown(w, service_sample_find(sample, e->key));
        json_end_object(w);
    }
    json_end_array(w);
}

static int by_time(const void *a, const void *b) {
    const struct red_entry *x = a, *y = b;

    return x->time_ns[RED_NOW] < y->time_ns[RED_NOW]   ? 1
           : x->time_ns[RED_NOW] > y->time_ns[RED_NOW] ? -1
                                                       : slice_compare(x->key, y->key);
}

/* ---- Dependencies, statements, errors ---- */

static void write_dependency(struct query *q, const struct rows *r, size_t row, double p95,
                             bool out) {
    struct json_writer *w = q->json;

    json_begin_object(w);
    json_field_string(w, "name", row_text(r, row, out ? 1 : 0));
    if (out)
        json_field_string(w, "type", row_text(r, row, 2));
    else
        json_field_text(w, "type", "service");
    json_field_string(w, "system", row_text(r, row, 3));
    json_field_text(w, "direction", out ? "out" : "in");
    json_edge_figures(q, r, row, p95);
    json_end_object(w);
}

static void write_out(struct query *q, const struct rows *r, size_t row, double p95) {
    write_dependency(q, r, row, p95, true);
}

static void write_in(struct query *q, const struct rows *r, size_t row, double p95) {
    write_dependency(q, r, row, p95, false);
}

static int write_statements(struct query *q, struct slice service, uint64_t requests,
                            uint64_t total_ns) {
    struct json_writer *w = q->json;
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT db_statement, any(db_system), count(), sum(duration_ns) AS t, "
                "quantileDD(0.01, 0.95)(duration_ns) FROM spans WHERE ");
    sql_range(&s, q->from_ns, q->to_ns);
    add_service(&s, service);
    sql_addf(&s, " AND db_statement != '' GROUP BY db_statement ORDER BY t DESC LIMIT %u",
             STATEMENTS_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(w, "statements");
    json_begin_array(w);
    for (size_t i = 0; i < rows.n; i++) {
        double calls = (double) row_u64(&rows, i, 2);
        json_begin_object(w);
        json_field_string(w, "statement", row_text(&rows, i, 0));
        json_field_string(w, "system", row_text(&rows, i, 1));
        json_field_uint(w, "calls", row_u64(&rows, i, 2));
        json_field_uint(w, "time_ns", row_u64(&rows, i, 3));
        json_field_known(w, "p95", round(row_f64(&rows, i, 4)));
        json_field_double(w, "share",
                          total_ns ? (double) row_u64(&rows, i, 3) / (double) total_ns : 0);
        json_field_known(w, "calls_per_request", requests ? calls / (double) requests : NAN);
        json_end_object(w);
    }
    json_end_array(w);
    rows_done(&rows);
    return 0;
}

static int write_errors(struct query *q, struct slice service) {
    struct json_writer *w = q->json;
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT exception_type, count() AS c, toUnixTimestamp64Nano(max(ts)), "
                "argMax(trace_id, ts) FROM spans WHERE ");
    sql_range(&s, q->from_ns, q->to_ns);
    add_service(&s, service);
    sql_addf(&s, " AND exception_type != '' GROUP BY exception_type ORDER BY c DESC LIMIT %u",
             ERRORS_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(w, "errors_by_type");
    json_begin_array(w);
    for (size_t i = 0; i < rows.n; i++) {
        json_begin_object(w);
        json_field_string(w, "type", row_text(&rows, i, 0));
        json_field_uint(w, "count", row_u64(&rows, i, 1));
        json_field_ns_text(w, "last_ns", row_i64(&rows, i, 2));
        json_field_hex(w, "trace_id", row_text(&rows, i, 3));
        json_end_object(w);
    }
    json_end_array(w);
    rows_done(&rows);
    return 0;
}

/* A question about traces or logs of the service alone. */
static int with_filter(struct query *q, struct slice service, enum filter_signal signal,
                       struct query *ret) {
    struct filter *f = arena_new(q->arena, struct filter);
    struct filter_value *v = arena_new(q->arena, struct filter_value);
    struct filter_key key;

    if (!f || !v)
        return -ENOMEM;
    int r = filter_parse_key(q->arena, signal, SLICE("service"), &key, NULL);
    v->text = service;
    v->quoted = true;
    *f = (struct filter){
            .kind = FILTER_COMPARE, .key = key, .op = OP_EQ, .values = v, .n_values = 1};
    *ret = *q;
    ret->signal = signal;
    ret->filter = f;
    return r;
}

static int write_slowest(struct query *q, struct slice service) {
    struct trace_hit hits[SLOWEST_MAX];
    struct query own;
    size_t n = 0;

    int r = with_filter(q, service, FILTER_SPANS, &own);
    if (r == 0)
        r = query_slowest(&own, SLOWEST_MAX, hits, &n);
    json_put_key(q->json, "slowest_traces");
    return r < 0 ? r : json_trace_summaries(&own, hits, n);
}

static int write_logs(struct query *q, struct slice service) {
    struct query own;
    int r = with_filter(q, service, FILTER_LOGS, &own);

    json_put_key(q->json, "logs_by_level");
    json_begin_object(q->json);
    if (r == 0)
        r = json_logs_by_level(&own);
    json_end_object(q->json);
    return r;
}

/* ---- The sentence at the top ---- */

static void write_answer(struct query *q, const struct red_set *set, uint64_t total_ns,
                         const struct service_sample *sample) {
    static const char *const what[TIME_CATEGORIES] = {[TIME_OWN] = "its own code",
                                                      [TIME_DATABASE] = "the database",
                                                      [TIME_NETWORK] = "calls to other services",
                                                      [TIME_MESSAGING] = "messaging"};
    const struct red_entry *e = set->n ? &set->items[0] : NULL; /* by time */
    const struct sampled_operation *o = e ? service_sample_find(sample, e->key) : NULL;
    char *text = NULL;

    if (o && o->total_ns > 0 && total_ns && o->requests) {
        double share = 100.0 * (double) e->time_ns[RED_NOW] / (double) total_ns;
        double statement = 100.0 * (double) o->statement_ns / (double) o->total_ns;
        int most = 0;
        for (int i = 1; i < TIME_CATEGORIES; i++)
            if (o->by_category[i] > o->by_category[most])
                most = i;
        double calls = (double) o->statement_calls / (double) o->requests;
        char repeated[64] = "";
        if (calls >= 1.5) /* once is what one expects: only more is worth a word */
            snprintf(repeated, sizeof(repeated), ", run %.3g times per request", calls);
        if (most == TIME_DATABASE && statement >= 30 && statement <= 100)
            text = arena_printf(
                    q->arena,
                    "%.*s takes %.0f %% of the time; %.0f %% of it is one SQL statement%s.",
                    SLICE_ARG(slice_take(e->key, 200)), share, statement, repeated);
        else
            text = arena_printf(q->arena, "%.*s takes %.0f %% of the time; %.0f %% of it is %s.",
                                SLICE_ARG(slice_take(e->key, 200)), share,
                                100.0 * (double) o->by_category[most] / (double) o->total_ns,
                                what[most]);
    }
    json_field_text(q->json, "answer", text ? text : "");
}

/* ---- All of it ---- */

static void write_signals(struct query *q, const struct red_set *total) {
    static const struct durations none;
    static uint64_t no_counts[STEPS_MAX];
    double no_points[STEPS_MAX];

    for (size_t i = 0; i < STEPS_MAX; i++)
        no_points[i] = NAN;
    struct red_entry nothing = {.sketch = {(struct durations *) &none, (struct durations *) &none},
                                .counts = no_counts,
                                .error_counts = no_counts,
                                .p50 = no_points,
                                .p95 = no_points,
                                .p99 = no_points};
    json_steps(q->json, q, &total->steps);
    json_red_figures(q->json, q, total->n ? &total->items[0] : &nothing, &total->steps);
}

static int write_rest(struct query *q, struct slice service, uint64_t requests, uint64_t total_ns) {
    struct json_writer *w = q->json;

    json_put_key(w, "dependencies");
    json_begin_array(w);
    int r = json_edges(q, "client", service, DEPENDENCIES_MAX, write_out);
    if (r == 0)
        r = json_edges(q, "server", service, DEPENDENCIES_MAX, write_in);
    json_end_array(w);
    if (r == 0)
        r = write_statements(q, service, requests, total_ns);
    if (r == 0)
        r = write_versions(q, service);
    if (r == 0)
        r = write_errors(q, service);
    if (r == 0)
        r = write_slowest(q, service);
    return r < 0 ? r : write_logs(q, service);
}

int query_service(struct query *q, struct slice service) {
    struct red_set total, operations;
    struct service_sample sample;
    uint64_t requests = 0, total_ns = 0;

    q->filter = NULL;
    int r = red_fetch(q, RED_TOTAL, service, &total);
    if (r == 0)
        r = red_fetch(q, RED_BY_OPERATION, service, &operations);
    if (r == 0)
        r = service_sample_fetch(q, service, &sample);
    if (r < 0)
        return r;
    if (total.n) {
        requests = total.items[0].count[RED_NOW];
        total_ns = total.items[0].time_ns[RED_NOW];
    }
    if (operations.n)
        qsort(operations.items, operations.n, sizeof(*operations.items), by_time);
    json_begin_object(q->json);
    r = write_facts(q, service, total.n > 0);
    if (r == 0) {
        write_signals(q, &total);
        write_operations(q, &operations, total_ns, &sample);
        r = write_rest(q, service, requests, total_ns);
    }
    write_answer(q, &operations, total_ns, &sample);
    json_end_object(q->json);
    return r;
}
