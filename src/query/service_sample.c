/* See service_sample.h. */
#include "query/service_sample.h"

#include "base/map.h"

#define SAMPLE_REQUESTS 300u
#define SAMPLE_SPANS_MAX 30000u
#define SAMPLE_MARGIN_NS (10 * NS_PER_S)
#define OPERATIONS_MAX 200u
#define STATEMENTS_MAX 2000u

enum {
    C_TRACE,
    C_TS,
    C_DURATION,
    C_SPAN_ID,
    C_PARENT,
    C_NAME,
    C_KIND,
    C_DB_SYSTEM,
    C_STATEMENT,
    C_PEER
};

struct statement_sum {
    size_t operation;
    struct slice text;
    int64_t ns;
    uint64_t calls;
};

struct sums {
    struct query *q;
    struct service_sample *sample;
    struct map operations, statements;
    struct statement_sum *items;
    size_t n;
};

/* The newest requests: their traces, and when they were. */
static int fetch_newest(struct query *q, struct slice service, struct rows *ret) {
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT trace_id, toUnixTimestamp64Nano(ts), duration_ns FROM spans WHERE ");
    sql_range(&s, q->from_ns, q->to_ns);
    sql_add(&s, " AND entry = 1 AND service = ");
    sql_string(&s, service);
    sql_addf(&s, " ORDER BY ts DESC LIMIT %u", SAMPLE_REQUESTS);
    int r = query_run(q, &s, ret);
    sql_done(&s);
    return r;
}

/* Spans of the service in those traces, trace by trace. */
static int fetch_spans(struct query *q, struct slice service, const struct rows *newest,
                       struct rows *ret) {
    int64_t from = INT64_MAX, to = 0;
    struct sql s;

    for (size_t i = 0; i < newest->n; i++) {
        int64_t start = row_i64(newest, i, 1), end;
        if (__builtin_add_overflow(start, row_i64(newest, i, 2), &end))
            end = start;
        from = start < from ? start : from;
        to = end > to ? end : to;
    }
    sql_init(&s, q->arena);
    sql_add(&s, "SELECT trace_id, toUnixTimestamp64Nano(ts), duration_ns, span_id, parent_span_id, "
                "name, kind, db_system, db_statement, peer FROM spans WHERE ");
    sql_range(&s, from - SAMPLE_MARGIN_NS, to + SAMPLE_MARGIN_NS);
    sql_add(&s, " AND service = ");
    sql_string(&s, service);
    sql_add(&s, " AND trace_id IN (");
    for (size_t i = 0; i < newest->n; i++) {
        sql_add(&s, i ? ", " : "");
        sql_bytes(&s, row_text(newest, i, 0));
    }
    sql_addf(&s, ") ORDER BY trace_id, ts LIMIT %u", SAMPLE_SPANS_MAX);
    int r = query_run(q, &s, ret);
    sql_done(&s);
    return r;
}

static int fetch(struct query *q, struct slice service, struct rows *ret) {
    struct rows newest;
    int r = fetch_newest(q, service, &newest);

    if (r < 0)
        return r;
    *ret = (struct rows){0};
    r = newest.n ? fetch_spans(q, service, &newest, ret) : 0;
    rows_done(&newest);
    return r;
}

static int find_operation(struct sums *u, struct slice name, struct sampled_operation **ret) {
    bool is_new;
    struct map_entry *m = map_put(&u->operations, name, &is_new);

    if (!m)
        return -ENOBUFS;
    if (is_new) {
        m->number = u->sample->n++;
        u->sample->items[m->number].name = query_dup(u->q, name);
    }
    *ret = &u->sample->items[m->number];
    return 0;
}

static void add_statement(struct sums *u, size_t operation, const struct trace_span *s) {
    char *key = arena_printf(u->q->arena, "%zu|%.*s", operation, SLICE_ARG(s->statement));
    bool is_new;
    struct map_entry *m = key ? map_put(&u->statements, slice_from(key), &is_new) : NULL;

    if (!m)
        return; /* enough of them */
    if (is_new) {
        m->number = u->n++;
        u->items[m->number] =
                (struct statement_sum){operation, query_dup(u->q, s->statement), 0, 0};
    }
    u->items[m->number].ns += s->end_ns - s->start_ns;
    u->items[m->number].calls++;
}

/* One trace's spans of the service: its longest root is the request. */
static int add_trace(struct sums *u, struct trace_span *spans, size_t n) {
    struct sampled_operation *o;
    struct trace_tree t;

    int r = trace_tree_build(u->q->arena, spans, n, &t);
    if (r < 0)
        return r;
    if (find_operation(u, spans[t.root].name, &o) < 0)
        return 0;
    o->requests++;
    o->total_ns += spans[t.root].end_ns - spans[t.root].start_ns;
    for (size_t i = 0; i < t.n_times; i++)
        o->by_category[t.times[i].category] += t.times[i].ns;
    for (size_t i = 0; i < n; i++)
        if (spans[i].statement.size)
            add_statement(u, (size_t) (o - u->sample->items), &spans[i]);
    return 0;
}

static int add_traces(struct sums *u, const struct rows *rows, struct slice service) {
    struct trace_span *spans = arena_array(u->q->arena, struct trace_span, rows->n);
    int r = spans ? 0 : -ENOMEM;
    size_t first = 0;

    for (size_t i = 0; i < rows->n && r == 0; i++) {
        struct trace_span *s = &spans[i];
        struct slice id = row_text(rows, i, C_SPAN_ID), parent = row_text(rows, i, C_PARENT);
        if (id.size != SPAN_ID_SIZE || parent.size != SPAN_ID_SIZE)
            return -EBADMSG;
        memcpy(s->span_id, id.data, SPAN_ID_SIZE);
        memcpy(s->parent_id, parent.data, SPAN_ID_SIZE);
        s->start_ns = row_i64(rows, i, C_TS);
        if (__builtin_add_overflow(s->start_ns, row_i64(rows, i, C_DURATION), &s->end_ns))
            s->end_ns = s->start_ns;
        s->service = service;
        s->name = row_text(rows, i, C_NAME);
        s->kind = (unsigned) row_u64(rows, i, C_KIND);
        s->db_system = row_text(rows, i, C_DB_SYSTEM);
        s->statement = row_text(rows, i, C_STATEMENT);
        s->peer = row_text(rows, i, C_PEER);
        if (i + 1 == rows->n ||
            !slice_equal(row_text(rows, i, C_TRACE), row_text(rows, i + 1, C_TRACE))) {
            r = add_trace(u, spans + first, i + 1 - first);
            first = i + 1;
        }
    }
    return r;
}

int service_sample_fetch(struct query *q, struct slice service, struct service_sample *ret) {
    struct sums u = {.q = q, .sample = ret};
    struct rows rows;

    *ret = (struct service_sample){0};
    ret->items = arena_array(q->arena, struct sampled_operation, OPERATIONS_MAX);
    u.items = arena_array(q->arena, struct statement_sum, STATEMENTS_MAX);
    if (!ret->items || !u.items)
        return -ENOMEM;
    int r = fetch(q, service, &rows);
    if (r < 0)
        return r;
    map_init(&u.operations, OPERATIONS_MAX, 1 << 20);
    map_init(&u.statements, STATEMENTS_MAX, 16 << 20);
    r = add_traces(&u, &rows, service);
    for (size_t i = 0; i < u.n; i++) {
        struct sampled_operation *o = &ret->items[u.items[i].operation];
        if (u.items[i].ns > o->statement_ns) {
            o->statement = u.items[i].text;
            o->statement_ns = u.items[i].ns;
            o->statement_calls = u.items[i].calls;
        }
    }
    map_done(&u.operations);
    map_done(&u.statements);
    rows_done(&rows);
    return r;
}

const struct sampled_operation *service_sample_find(const struct service_sample *s,
                                                    struct slice name) {
    for (size_t i = 0; i < s->n; i++)
        if (slice_equal(s->items[i].name, name))
            return &s->items[i];
    return NULL;
}
