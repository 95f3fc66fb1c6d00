/* The services screen: golden signals of every service and the calls between them. One owner. */
#include "query/red.h"

#include "base/map.h"

#include <math.h>

#define EDGES_MAX 500u

struct service_facts {
    struct slice version, namespace, language;
    uint64_t instances;
    int64_t last_seen_s;
};

/* What resources say about each service: map of name → facts. */
static int fetch_facts(struct query *q, struct map *ret) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s,
            "SELECT service, argMax(toString(version), seen), argMax(toString(namespace), seen), "
            "argMax(attributes['telemetry.sdk.language'], seen), "
            "uniqExactIf(id, seen >= ");
    sql_seconds(&s, q->from_ns);
    sql_add(&s,
            "), max(seen) AS newest FROM (SELECT id, any(service) AS service, "
            "any(version) AS version, any(namespace) AS namespace, any(attributes) AS attributes, "
            "max(last_seen) AS seen FROM resources GROUP BY id) GROUP BY service LIMIT 1000");
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n; i++) {
        struct map_entry *m = map_put(ret, row_text(&rows, i, 0), NULL);
        struct service_facts *f = arena_new(q->arena, struct service_facts);
        if (!m || !f) {
            r = -ENOMEM;
            break;
        }
        f->version = query_dup(q, row_text(&rows, i, 1));
        f->namespace = query_dup(q, row_text(&rows, i, 2));
        f->language = query_dup(q, row_text(&rows, i, 3));
        f->instances = row_u64(&rows, i, 4);
        f->last_seen_s = row_i64(&rows, i, 5);
        m->pointer = f;
    }
    rows_done(&rows);
    return r;
}

struct slowest {
    struct slice operation;
    uint64_t time_ns, total_ns;
    double p95;
};

/* Of each service the operation that takes the largest share of its time. */
static int build_slowest(struct sql *s, const struct query *q, bool spans) {
    int r;

    sql_add(s, "SELECT service, argMax(toString(o), t), max(t), sum(t), argMax(p, t) FROM (");
    if (spans) {
        sql_add(s, "SELECT service, name AS o, sum(d) AS t, "
                   "CAST((groupArray(b), groupArray(c)), 'Map(Int16, UInt64)') AS p FROM ("
                   "SELECT service, name, " SKETCH_SQL " AS b, count() AS c, sum(duration_ns) AS d "
                   "FROM spans WHERE ");
        sql_range(s, q->from_ns, q->to_ns);
    } else {
        sql_add(s, "SELECT service, operation AS o, sum(sum_ns) AS t, sumMap(sketch) AS p FROM red "
                   "WHERE ");
        sql_range_seconds(s, q->from_ns, q->to_ns);
    }
    sql_add(s, " AND entry = 1");
    r = sql_filter(s, q, spans ? TARGET_SPANS : TARGET_RED);
    sql_add(s, spans ? " GROUP BY service, name, b) GROUP BY service, name"
                     : " GROUP BY service, operation");
    sql_addf(s, ") GROUP BY service LIMIT %u", RED_KEYS_MAX);
    return r;
}

static int fetch_slowest(struct query *q, struct map *ret) {
    struct durations *scratch = arena_new(q->arena, struct durations);
    struct sql s;
    struct rows rows;

    if (!scratch)
        return -ENOMEM;
    sql_init(&s, q->arena);
    int r = build_slowest(&s, q, !filter_fits_red(q->filter));
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n && r == 0; i++) {
        struct map_entry *m = map_put(ret, row_text(&rows, i, 0), NULL);
        struct slowest *f = arena_new(q->arena, struct slowest);
        if (!m || !f) {
            r = -ENOMEM;
            break;
        }
        memset(scratch, 0, sizeof(*scratch));
        durations_add_row(scratch, &rows, i, 4);
        f->operation = query_dup(q, row_text(&rows, i, 1));
        f->time_ns = row_u64(&rows, i, 2);
        f->total_ns = row_u64(&rows, i, 3);
        f->p95 = durations_quantile(scratch, 0.95);
        m->pointer = f;
    }
    rows_done(&rows);
    return r;
}

static void write_service(struct query *q, const struct red_entry *e, const struct steps *st,
                          const struct service_facts *facts, const struct slowest *slowest) {
    static const struct service_facts nothing;
    struct json_writer *w = q->json;

    if (!facts)
        facts = &nothing;
    json_begin_object(w);
    json_field_string(w, "name", e->key);
    json_field_string(w, "namespace", facts->namespace);
    json_field_string(w, "version", facts->version);
    json_field_string(w, "language", facts->language);
    json_field_uint(w, "instances", facts->instances);
    json_red_figures(w, q, e, st);
    json_field_null(w, "saturation");
    json_field_uint(w, "requests", e->count[RED_NOW]);
    if (facts->last_seen_s)
        json_field_ns_text(w, "last_seen_ns", facts->last_seen_s * NS_PER_S);
    else
        json_field_null(w, "last_seen_ns");
    json_put_key(w, "slowest");
    if (slowest && slowest->total_ns) {
        json_begin_object(w);
        json_field_string(w, "operation", slowest->operation);
        json_field_known(w, "p95", round(slowest->p95));
        json_field_double(w, "share", (double) slowest->time_ns / (double) slowest->total_ns);
        json_end_object(w);
    } else {
        json_put_null(w);
    }
    json_end_object(w);
}

int json_edges(struct query *q, const char *where_column, struct slice service, unsigned limit,
               void (*each)(struct query *q, const struct rows *r, size_t row, double p95)) {
    struct durations *scratch = arena_new(q->arena, struct durations);
    struct sql s;
    struct rows rows;

    if (!scratch)
        return -ENOMEM;
    sql_init(&s, q->arena);
    sql_add(&s, "SELECT client, server, server_type, system, sum(count) AS c, sum(errors), "
                "sumMap(sketch) FROM edges WHERE ");
    sql_range_seconds(&s, q->from_ns, q->to_ns);
    if (where_column) {
        sql_addf(&s, " AND %s = ", where_column);
        sql_string(&s, service);
    }
    sql_addf(&s, " GROUP BY client, server, server_type, system ORDER BY c DESC LIMIT %u", limit);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n; i++) {
        memset(scratch, 0, sizeof(*scratch));
        durations_add_row(scratch, &rows, i, 6);
        each(q, &rows, i, durations_quantile(scratch, 0.95));
    }
    rows_done(&rows);
    return 0;
}

void json_edge_figures(struct query *q, const struct rows *r, size_t row, double p95) {
    uint64_t calls = row_u64(r, row, 4);

    json_field_double(q->json, "rate",
                      (double) calls / ((double) (q->to_ns - q->from_ns) / (double) NS_PER_S));
    json_field_double(q->json, "errors", calls ? (double) row_u64(r, row, 5) / (double) calls : 0);
    json_field_known(q->json, "p95", round(p95));
    json_field_uint(q->json, "calls", calls);
}

static void write_edge(struct query *q, const struct rows *r, size_t row, double p95) {
    struct json_writer *w = q->json;

    json_begin_object(w);
    json_field_string(w, "client", row_text(r, row, 0));
    json_field_string(w, "server", row_text(r, row, 1));
    json_field_string(w, "server_type", row_text(r, row, 2));
    json_field_string(w, "system", row_text(r, row, 3));
    json_edge_figures(q, r, row, p95);
    json_end_object(w);
}

int query_services(struct query *q) {
    struct json_writer *w = q->json;
    struct map facts, slowest;
    struct red_set set;

    map_init(&facts, 1000, 1 << 20);
    map_init(&slowest, 1000, 1 << 20);
    int r = red_fetch(q, RED_BY_SERVICE, SLICE_EMPTY, &set);
    if (r == 0)
        r = fetch_facts(q, &facts);
    if (r == 0)
        r = fetch_slowest(q, &slowest);
    if (r == 0) {
        json_begin_object(w);
        json_steps(w, q, &set.steps);
        json_put_key(w, "services");
        json_begin_array(w);
        for (size_t i = 0; i < set.n; i++) {
            struct red_entry *e = &set.items[i];
            struct map_entry *f = map_get(&facts, e->key), *s = map_get(&slowest, e->key);
            if (e->count[RED_NOW] + e->count[RED_BEFORE])
                write_service(q, e, &set.steps, f ? f->pointer : NULL, s ? s->pointer : NULL);
        }
        json_end_array(w);
        json_put_key(w, "edges");
        json_begin_array(w);
        r = json_edges(q, NULL, SLICE_EMPTY, EDGES_MAX, write_edge);
        json_end_array(w);
        json_end_object(w);
    }
    map_done(&facts);
    map_done(&slowest);
    return r;
}
