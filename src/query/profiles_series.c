/* Profiles over time: a line for each value of a column. */
#include "query/profiles.h"

#define LINES_MAX 20u
#define ROWS_MAX 20000u

static const char *const columns[] = {
        [PROFILE_BY_TYPE] = "type",       [PROFILE_BY_SERVICE] = "service",
        [PROFILE_BY_VERSION] = "version", [PROFILE_BY_ENDPOINT] = "endpoint",
        [PROFILE_BY_THREAD] = "thread",
};

/* Rows of one line stand together, the largest line first, in the order of their steps; the last
 * column counts lines. */
static int load(struct query *q, const struct profile_selection *p, enum profile_by by,
                const struct steps *st, bool samples, struct rows *ret) {
    char keys[64];
    struct sql s;

    /* `type` once: it may be what the lines are */
    snprintf(keys, sizeof(keys), "ts, unit, type%s%s", by == PROFILE_BY_TYPE ? "" : ", ",
             by == PROFILE_BY_TYPE ? "" : columns[by]);
    sql_init(&s, q->arena);
    sql_add(&s, "SELECT line, t, u, step, v, whole, rank, max(rank) OVER () FROM (SELECT line, t, "
                "u, step, v, whole, dense_rank() OVER (ORDER BY whole DESC, line, t) AS rank FROM "
                "(SELECT line, t, any(unit) AS u, ");
    sql_step(&s, st, true);
    sql_add(&s, " AS step, sum(value) AS v, sum(sum(value)) OVER (PARTITION BY line, t) AS whole "
                "FROM (SELECT ts, unit, value, type AS t, ");
    sql_addf(&s, "%s AS line FROM (", columns[by]);
    (samples ? sql_profile_samples : sql_profile_sums)(&s, p, keys);
    sql_addf(&s, ")) GROUP BY line, t, step)) ORDER BY rank, step LIMIT %u", ROWS_MAX);
    int r = query_run_limit(q, &s, ROWS_MAX, ret);
    sql_done(&s);
    return r;
}

static void write_points(struct query *q, const struct steps *st, const struct rows *rows,
                         size_t first, size_t end) {
    double step_s = (double) st->step_ns / 1e9;

    json_put_key(q->json, "points");
    json_begin_array(q->json);
    for (size_t step = 0; step < st->n; step++) {
        double v = 0;
        while (first < end && row_u64(rows, first, 3) < step)
            first++;
        if (first < end && row_u64(rows, first, 3) == step)
            v = (double) row_u64(rows, first, 4) / step_s;
        json_put_double(q->json, v);
    }
    json_end_array(q->json);
}

int query_profile_series(struct query *q, const struct profile_selection *p, enum profile_by by) {
    bool samples;
    struct steps st = profile_steps_of(p, &samples);
    struct rows rows;
    int r = load(q, p, by, &st, samples, &rows);

    if (r < 0)
        return r;
    json_begin_object(q->json);
    json_steps(q->json, q, &st);
    json_field_text(q->json, "by", columns[by]);
    json_field_string(q->json, "type", p->type);
    json_put_key(q->json, "series");
    json_begin_array(q->json);
    for (size_t i = 0, end; i < rows.n && row_u64(&rows, i, 6) <= LINES_MAX; i = end) {
        for (end = i; end < rows.n && row_u64(&rows, end, 6) == row_u64(&rows, i, 6);)
            end++;
        json_begin_object(q->json);
        json_field_string(q->json, "value", row_text(&rows, i, 0));
        json_field_string(q->json, "type", row_text(&rows, i, 1));
        json_field_string(q->json, "unit", row_text(&rows, i, 2));
        json_field_uint(q->json, "sum", row_u64(&rows, i, 5));
        write_points(q, &st, &rows, i, end);
        json_end_object(q->json);
    }
    json_end_array(q->json);
    uint64_t lines = rows.n ? row_u64(&rows, 0, 7) : 0;
    json_field_uint(q->json, "others", lines > LINES_MAX ? lines - LINES_MAX : 0);
    rows_done(&rows);
    r = write_profile_releases(q, p);
    json_end_object(q->json);
    return r;
}
