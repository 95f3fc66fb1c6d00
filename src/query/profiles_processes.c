/* Which processes a profile is of, and when a version of their program appeared first. */
#include "query/profiles.h"

#include <inttypes.h>

#define PROCESSES_MAX 200u
#define RELEASES_MAX 20u

/* Runs what `build` makes; of all services together nothing is said. */
static int of_service(struct query *q, const struct profile_selection *p,
                      void (*build)(struct sql *, const struct profile_selection *),
                      struct rows *ret) {
    struct sql s;

    *ret = (struct rows){0};
    if (!p->service.data)
        return 0;
    sql_init(&s, q->arena);
    build(&s, p);
    int r = query_run(q, &s, ret);
    sql_done(&s);
    return r;
}

/* ---- Processes ---- */

/* What each resource cost, with what it says about itself. */
static void build_processes(struct sql *s, const struct profile_selection *p) {
    const struct profile_selection all = {
            .from_ns = p->from_ns, .to_ns = p->to_ns, .service = p->service, .type = p->type};

    sql_add(s, "SELECT c.resource_id, c.v, c.version, c.first, c.last, r.instance, r.pid, r.host "
               "FROM (SELECT resource_id, sum(value) AS v, any(toString(version)) AS version, "
               "min(first) AS first, max(last) AS last FROM (");
    sql_profile_processes(s, &all);
    sql_addf(s,
             ") GROUP BY resource_id ORDER BY v DESC, resource_id LIMIT %u) AS c LEFT JOIN (SELECT "
             "id, any(toString(instance)) AS instance, any(attributes['process.pid']) AS pid, "
             "any(attributes['host.name']) AS host FROM resources WHERE service = ",
             PROCESSES_MAX);
    sql_string(s, p->service);
    sql_addf(s, " GROUP BY id) AS r ON c.resource_id = r.id ORDER BY c.v DESC, c.resource_id");
}

static void write_process(struct json_writer *w, const struct rows *rows, size_t i) {
    char id[24];

    snprintf(id, sizeof(id), "%" PRIu64, row_u64(rows, i, 0));
    json_begin_object(w);
    json_field_text(w, "value", id);
    json_field_uint(w, "sum", row_u64(rows, i, 1));
    json_field_string(w, "version", row_text(rows, i, 2));
    json_field_ns_text(w, "first_ns", row_i64(rows, i, 3) * NS_PER_S);
    json_field_ns_text(w, "last_ns", row_i64(rows, i, 4) * NS_PER_S);
    json_field_string(w, "instance", row_text(rows, i, 5));
    json_field_string(w, "pid", row_text(rows, i, 6));
    json_field_string(w, "host", row_text(rows, i, 7));
    json_end_object(w);
}

int write_profile_processes(struct query *q, const struct profile_selection *p) {
    struct rows rows;
    int r = of_service(q, p, build_processes, &rows);

    if (r < 0)
        return r;
    json_put_key(q->json, "processes");
    json_begin_array(q->json);
    for (size_t i = 0; i < rows.n; i++)
        write_process(q->json, &rows, i);
    json_end_array(q->json);
    rows_done(&rows);
    return 0;
}

/* ---- Releases ---- */

/* The version that the range's first samples are of is no release, and neither is one that was
 * there before and only had nothing to say at the beginning. Where samples are read in steps, what
 * the resource says is nearer to the moment. */
static void build_releases(struct sql *s, const struct profile_selection *p) {
    const struct profile_selection all = {
            .from_ns = p->from_ns, .to_ns = p->to_ns, .service = p->service};
    bool samples;
    struct steps st = profile_steps_of(p, &samples);

    sql_addf(s,
             "SELECT version, ts FROM (SELECT v.version AS version, r.first AS seen, "
             "if(seen > v.first AND seen < v.first + %u, seen, v.first) AS ts, "
             "row_number() OVER (ORDER BY v.first, seen, version) AS place FROM ("
             "SELECT toString(version) AS version, min(ts) AS first FROM (",
             samples ? 0 : (unsigned) (st.step_ns / NS_PER_S));
    sql_profile_sums(s, &all, "version, ts");
    sql_add(s, ") GROUP BY version) AS v INNER JOIN (SELECT toString(version) AS version, "
               "min(first_seen) AS first FROM resources WHERE service = ");
    sql_string(s, p->service);
    sql_add(s,
            " GROUP BY version) AS r ON v.version = r.version) WHERE place > 1 AND version != '' "
            "AND seen >= ");
    sql_seconds(s, p->from_ns);
    sql_addf(s, " ORDER BY ts DESC, version LIMIT %u", RELEASES_MAX);
}

int write_profile_releases(struct query *q, const struct profile_selection *p) {
    struct json_writer *w = q->json;
    struct rows rows;
    int r = of_service(q, p, build_releases, &rows);

    if (r < 0)
        return r;
    json_put_key(w, "releases");
    json_begin_array(w);
    for (size_t i = 0; i < rows.n; i++) {
        json_begin_object(w);
        json_field_string(w, "version", row_text(&rows, i, 0));
        json_field_ns_text(w, "time_ns", row_i64(&rows, i, 1) * NS_PER_S);
        json_end_object(w);
    }
    json_end_array(w);
    rows_done(&rows);
    return 0;
}
