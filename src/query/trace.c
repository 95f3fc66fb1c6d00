/* One trace by its id: its spans with what they mean together, resources, logs per span. One owner.
 */
#include "query/internal.h"
#include "query/trace_tree.h"

#include "base/map.h"

#define LOG_MARGIN_NS (60 * NS_PER_S)
#define STATEMENT_SHOWN 160u

enum {
    C_TS,
    C_DURATION,
    C_SPAN_ID,
    C_PARENT,
    C_SERVICE,
    C_NAME,
    C_KIND,
    C_STATUS,
    C_MESSAGE,
    C_RESOURCE,
    C_SCOPE,
    C_DB_SYSTEM,
    C_STATEMENT,
    C_PEER,
    C_ATTRIBUTES,
    C_TYPES,
    C_EVENTS,
    C_LINKS,
};

/* When the trace was: -ENOENT when the table of traces does not know it. */
static int find_range(struct query *q, struct slice id, int64_t *ret_from, int64_t *ret_to) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s,
            "SELECT toUnixTimestamp64Nano(min(start)), toUnixTimestamp64Nano(max(end)), count() "
            "FROM traces WHERE trace_id = ");
    sql_bytes(&s, id);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    if (rows.n == 0 || row_u64(&rows, 0, 2) == 0) {
        r = error_set(q->error, -ENOENT, "there is no such trace");
    } else {
        *ret_from = row_i64(&rows, 0, 0);
        *ret_to = row_i64(&rows, 0, 1);
    }
    rows_done(&rows);
    return r;
}

static int fetch_spans(struct query *q, struct slice id, int64_t from_ns, int64_t to_ns,
                       struct rows *ret) {
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT toUnixTimestamp64Nano(ts), duration_ns, span_id, parent_span_id, service, "
                "name, kind, status, status_message, resource_id, scope, db_system, db_statement, "
                "peer, attributes, attribute_types, events, links FROM spans WHERE ");
    /* Exactly what the table of traces says: it counts the same rows in the same commit. The index
     * on ts finds the granules; sql_range()'s conditions on the key would only cost time beside it
     * (measured at 10 M spans: 18 ms instead of 5). */
    sql_between(&s, from_ns, to_ns + 1);
    sql_add(&s, " AND trace_id = ");
    sql_bytes(&s, id);
    sql_addf(&s, " ORDER BY ts, span_id LIMIT 1 BY span_id LIMIT %u", TRACE_SPANS_MAX + 1);
    int r = query_run(q, &s, ret);
    sql_done(&s);
    if (r == 0 && ret->n == 0) {
        rows_done(ret);
        r = error_set(q->error, -ENOENT, "there is no such trace");
    }
    return r;
}

static int read_spans(struct query *q, const struct rows *rows, size_t n, struct trace_tree *ret) {
    struct trace_span *spans = arena_array(q->arena, struct trace_span, n);

    if (!spans)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct trace_span *s = &spans[i];
        struct slice id = row_text(rows, i, C_SPAN_ID), parent = row_text(rows, i, C_PARENT);
        if (id.size != SPAN_ID_SIZE || parent.size != SPAN_ID_SIZE)
            return error_set(q->error, -EBADMSG, "the engine's answer has an odd span id");
        memcpy(s->span_id, id.data, SPAN_ID_SIZE);
        memcpy(s->parent_id, parent.data, SPAN_ID_SIZE);
        s->start_ns = row_i64(rows, i, C_TS);
        if (__builtin_add_overflow(s->start_ns, row_i64(rows, i, C_DURATION), &s->end_ns) ||
            s->end_ns < s->start_ns)
            s->end_ns = s->start_ns;
        s->service = row_text(rows, i, C_SERVICE);
        s->name = row_text(rows, i, C_NAME);
        s->db_system = row_text(rows, i, C_DB_SYSTEM);
        s->statement = row_text(rows, i, C_STATEMENT);
        s->peer = row_text(rows, i, C_PEER);
        s->kind = (unsigned) row_u64(rows, i, C_KIND);
        s->status = (unsigned) row_u64(rows, i, C_STATUS);
    }
    return trace_tree_build(q->arena, spans, n, ret);
}

/* Log lines per span: map of span id → count. */
static int fetch_logs(struct query *q, struct slice id, int64_t from_ns, int64_t to_ns,
                      struct map *ret, uint64_t *ret_total) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT span_id, count() FROM logs WHERE ");
    sql_range(&s, from_ns - LOG_MARGIN_NS, to_ns + LOG_MARGIN_NS);
    sql_add(&s, " AND trace_id = ");
    sql_bytes(&s, id);
    sql_addf(&s, " GROUP BY span_id LIMIT %u", TRACE_SPANS_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n; i++) {
        struct map_entry *m = map_put(ret, row_text(&rows, i, 0), NULL);
        if (m)
            m->number = row_u64(&rows, i, 1);
        *ret_total += row_u64(&rows, i, 1);
    }
    rows_done(&rows);
    return 0;
}

/* ---- Writing ---- */

static void write_services(struct query *q, const struct trace_tree *t) {
    struct map seen;
    bool is_new;

    map_init(&seen, 1000, 1 << 20);
    json_put_key(q->json, "services");
    json_begin_array(q->json);
    for (size_t i = 0; i < t->n; i++)
        if (map_put(&seen, t->spans[i].service, &is_new) && is_new)
            json_put_string(q->json, t->spans[i].service);
    json_end_array(q->json);
    map_done(&seen);
}

static void write_times(struct json_writer *w, const struct trace_tree *t) {
    int64_t total = 0;

    for (size_t i = 0; i < t->n_times; i++)
        total += t->times[i].ns;
    json_put_key(w, "time_by");
    json_begin_array(w);
    for (size_t i = 0; i < t->n_times; i++) {
        json_begin_object(w);
        json_field_text(w, "category", time_category_names[t->times[i].category]);
        json_field_string(w, "service", t->times[i].service);
        json_field_int(w, "ns", t->times[i].ns);
        json_field_double(w, "share", total ? (double) t->times[i].ns / (double) total : 0);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_path(struct json_writer *w, const struct trace_tree *t) {
    json_put_key(w, "critical_path");
    json_begin_array(w);
    for (size_t i = 0; i < t->n_path; i++) {
        const struct trace_segment *g = &t->path[i];
        json_begin_object(w);
        json_field_hex(w, "span_id", slice_new(t->spans[g->span].span_id, SPAN_ID_SIZE));
        json_field_int(w, "from_ns", g->from_ns - t->start_ns);
        json_field_int(w, "to_ns", g->to_ns - t->start_ns);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_findings(struct query *q, const struct trace_tree *t) {
    struct json_writer *w = q->json;

    json_put_key(w, "findings");
    json_begin_array(w);
    for (size_t i = 0; i < t->n_findings; i++) {
        const struct trace_finding *f = &t->findings[i];
        struct slice what = slice_take(f->what, STATEMENT_SHOWN);
        char *text = arena_printf(q->arena, "%.*s%s ran %zu times, %.3g ms together",
                                  SLICE_ARG(what), what.size < f->what.size ? "…" : "", f->count,
                                  (double) f->ns / (double) NS_PER_MS);
        json_begin_object(w);
        json_field_text(w, "kind", "n_plus_one");
        json_field_text(w, "of", f->database ? "statement" : "call");
        json_field_text(w, "text", text ? text : "");
        json_field_uint(w, "count", f->count);
        json_put_key(w, "span_ids");
        json_begin_array(w);
        for (size_t k = 0; k < f->n_spans; k++)
            json_put_hex(w, slice_new(t->spans[f->spans[k]].span_id, SPAN_ID_SIZE));
        json_end_array(w);
        json_field_int(w, "ns", f->ns);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_span(struct query *q, const struct rows *rows, const struct trace_tree *t,
                       size_t i, const struct map *logs) {
    struct json_writer *w = q->json;
    const struct trace_span *s = &t->spans[i];
    struct map_entry *m = map_get(logs, slice_new(s->span_id, SPAN_ID_SIZE));
    char resource[32];

    json_begin_object(w);
    json_field_hex(w, "span_id", slice_new(s->span_id, SPAN_ID_SIZE));
    json_field_id(w, "parent_span_id", slice_new(s->parent_id, SPAN_ID_SIZE));
    json_field_string(w, "service", s->service);
    json_field_string(w, "name", s->name);
    json_field_uint(w, "kind", s->kind);
    json_field_int(w, "start_ns", s->start_ns - t->start_ns);
    json_field_int(w, "duration_ns", s->end_ns - s->start_ns);
    json_field_int(w, "self_ns", s->self_ns);
    json_field_uint(w, "status", s->status);
    json_field_string(w, "status_message", row_text(rows, i, C_MESSAGE));
    snprintf(resource, sizeof(resource), "%llu", (unsigned long long) row_u64(rows, i, C_RESOURCE));
    json_field_text(w, "resource", resource);
    json_field_string(w, "scope", row_text(rows, i, C_SCOPE));
    json_field_string(w, "db_system", s->db_system);
    json_field_string(w, "db_statement", s->statement);
    json_field_text(w, "category", time_category_names[trace_category(s)]);
    json_attributes(w, rows, i, C_ATTRIBUTES, C_TYPES);
    json_events(w, row_text(rows, i, C_EVENTS), t->start_ns);
    json_links(w, row_text(rows, i, C_LINKS));
    json_field_uint(w, "logs", m ? m->number : 0);
    json_end_object(w);
}

static int write_trace(struct query *q, struct slice id, const struct rows *rows,
                       const struct trace_tree *t, const struct map *logs, uint64_t n_logs) {
    struct json_writer *w = q->json;
    uint64_t *ids = arena_array(q->arena, uint64_t, t->n);

    if (!ids)
        return -ENOMEM;
    for (size_t i = 0; i < t->n; i++)
        ids[i] = row_u64(rows, i, C_RESOURCE);
    json_begin_object(w);
    json_field_hex(w, "trace_id", id);
    json_field_ns_text(w, "start_ns", t->start_ns);
    json_field_int(w, "duration_ns", t->end_ns - t->start_ns);
    json_field_bool(w, "truncated", rows->n > t->n);
    json_field_bool(w, "skewed", t->skewed);
    write_services(q, t);
    write_times(w, t);
    write_path(w, t);
    int r = json_resources(q, ids, t->n);
    if (r < 0)
        return r;
    json_put_key(w, "spans");
    json_begin_array(w);
    for (size_t i = 0; i < t->n; i++)
        write_span(q, rows, t, i, logs);
    json_end_array(w);
    json_field_uint(w, "logs", n_logs);
    write_findings(q, t);
    json_end_object(w);
    return 0;
}

int query_trace(struct query *q, const uint8_t trace_id[TRACE_ID_SIZE]) {
    struct slice id = slice_new(trace_id, TRACE_ID_SIZE);
    struct trace_tree tree;
    struct rows rows;
    struct map logs;
    int64_t from_ns = 0, to_ns = 0;
    uint64_t n_logs = 0;

    int r = find_range(q, id, &from_ns, &to_ns);
    if (r == 0)
        r = fetch_spans(q, id, from_ns, to_ns, &rows);
    if (r < 0)
        return r;
    map_init(&logs, TRACE_SPANS_MAX, 1 << 20);
    r = read_spans(q, &rows, rows.n < TRACE_SPANS_MAX ? rows.n : TRACE_SPANS_MAX, &tree);
    if (r == 0)
        r = fetch_logs(q, id, tree.start_ns, tree.end_ns, &logs, &n_logs);
    if (r == 0)
        r = write_trace(q, id, &rows, &tree, &logs, n_logs);
    map_done(&logs);
    rows_done(&rows);
    return r;
}
