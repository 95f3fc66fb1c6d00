/* What profiles there are: services, types, versions, endpoints, threads, processes, and values
 * over time. */
#include "query/profiles.h"

#define VALUES_MAX 200u

/* The values of one column with what they cost, most first. */
static int write_values(struct query *q, const struct profile_selection *p, const char *key,
                        const char *column) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_addf(&s, "SELECT %s, sum(value) AS v FROM (", column);
    sql_profile_sums(&s, p, column);
    sql_addf(&s, ") GROUP BY %s ORDER BY v DESC LIMIT %u", column, VALUES_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(q->json, key);
    json_begin_array(q->json);
    for (size_t i = 0; i < rows.n; i++) {
        json_begin_object(q->json);
        json_field_string(q->json, "value", row_text(&rows, i, 0));
        json_field_uint(q->json, "sum", row_u64(&rows, i, 1));
        json_end_object(q->json);
    }
    json_end_array(q->json);
    rows_done(&rows);
    return 0;
}

/* Services with their types. */
static int write_services(struct query *q, const struct profile_selection *p) {
    const struct profile_selection all = {.from_ns = p->from_ns, .to_ns = p->to_ns};
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT service, type, any(unit), sum(value), sum(sum(value)) OVER (PARTITION BY "
                "service) AS whole FROM (");
    sql_profile_sums(&s, &all, "service, type, unit");
    sql_addf(&s, ") GROUP BY service, type ORDER BY whole DESC, service, type LIMIT %u",
             VALUES_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(q->json, "services");
    json_begin_array(q->json);
    for (size_t i = 0; i < rows.n; i++) {
        bool first = i == 0 || !slice_equal(row_text(&rows, i, 0), row_text(&rows, i - 1, 0));
        if (first && i) {
            json_end_array(q->json);
            json_end_object(q->json);
        }
        if (first) {
            json_begin_object(q->json);
            json_field_string(q->json, "service", row_text(&rows, i, 0));
            json_put_key(q->json, "types");
            json_begin_array(q->json);
        }
        json_begin_object(q->json);
        json_field_string(q->json, "type", row_text(&rows, i, 1));
        json_field_string(q->json, "unit", row_text(&rows, i, 2));
        json_field_uint(q->json, "sum", row_u64(&rows, i, 3));
        json_end_object(q->json);
    }
    if (rows.n) {
        json_end_array(q->json);
        json_end_object(q->json);
    }
    json_end_array(q->json);
    rows_done(&rows);
    return 0;
}

/* One line per type: sums by step. */
static int write_series(struct query *q, const struct profile_selection *p) {
    struct profile_selection every = *p;
    bool samples;
    struct steps st = profile_steps_of(p, &samples);
    struct rows rows;
    struct sql s;

    every.type = SLICE_EMPTY;
    sql_init(&s, q->arena);
    sql_add(&s, "SELECT type, any(unit), ");
    sql_step(&s, &st, true);
    sql_add(&s, " AS step, sum(value) FROM (");
    (samples ? sql_profile_samples : sql_profile_sums)(&s, &every, "ts, type, unit");
    sql_addf(&s, ") GROUP BY type, step ORDER BY type, step LIMIT %u", VALUES_MAX * STEPS_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(q->json, "series");
    json_begin_object(q->json);
    json_put_key(q->json, "first_ns");
    json_put_int_text(q->json, st.first_ns);
    json_put_key(q->json, "step_ns");
    json_put_int_text(q->json, st.step_ns);
    json_field_uint(q->json, "n", st.n);
    json_put_key(q->json, "types");
    json_begin_array(q->json);
    for (size_t i = 0; i < rows.n;) {
        struct slice type = row_text(&rows, i, 0);
        json_begin_object(q->json);
        json_field_string(q->json, "type", type);
        json_field_string(q->json, "unit", row_text(&rows, i, 1));
        json_put_key(q->json, "values");
        json_begin_array(q->json);
        for (size_t step = 0; step < st.n; step++) {
            bool here = i < rows.n && slice_equal(row_text(&rows, i, 0), type) &&
                        (size_t) row_i64(&rows, i, 2) == step;
            json_put_uint(q->json, here ? row_u64(&rows, i, 3) : 0);
            i += here;
        }
        while (i < rows.n && slice_equal(row_text(&rows, i, 0), type))
            i++; /* beyond the last step */
        json_end_array(q->json);
        json_end_object(q->json);
    }
    json_end_array(q->json);
    json_end_object(q->json);
    rows_done(&rows);
    return 0;
}

int query_profile_summary(struct query *q, const struct profile_selection *p) {
    json_begin_object(q->json);
    int r = write_services(q, p);

    if (r == 0)
        r = write_values(q, p, "versions", "version");
    if (r == 0)
        r = write_values(q, p, "endpoints", "endpoint");
    if (r == 0)
        r = write_values(q, p, "threads", "thread");
    if (r == 0)
        r = write_profile_processes(q, p);
    if (r == 0)
        r = write_series(q, p);
    json_end_object(q->json);
    return r;
}
