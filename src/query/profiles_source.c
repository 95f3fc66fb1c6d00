/* The text of a file's functions, as their processes had it. */
#include "query/profiles.h"

#define SOURCES_MAX 200u

/* Texts are sent anew each hour, so that a day before the range holds them too. */
static void build_sources(struct sql *s, const struct profile_selection *p, struct slice file,
                          struct slice function) {
    sql_add(s, "SELECT function, first_line, text, argMax(toString(version), seen), "
               "max(seen) AS newest FROM profile_sources WHERE day >= toDate(");
    sql_seconds(s, p->from_ns - DAY_NS);
    sql_add(s, ") AND day <= toDate(");
    sql_seconds(s, p->to_ns + DAY_NS);
    sql_add(s, ") AND path = ");
    sql_string(s, file);
    if (function.data) {
        sql_add(s, " AND function = ");
        sql_string(s, function);
    }
    if (p->service.data) {
        sql_add(s, " AND service = ");
        sql_string(s, p->service);
    }
    if (p->version.data) {
        sql_add(s, " AND version = ");
        sql_string(s, p->version);
    }
    sql_addf(s,
             " GROUP BY function, first_line, text ORDER BY newest DESC, function, first_line "
             "LIMIT %u",
             SOURCES_MAX);
}

int write_profile_sources(struct query *q, const struct profile_selection *p, struct slice file,
                          struct slice function) {
    struct json_writer *w = q->json;
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    build_sources(&s, p, file, function);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(w, "sources");
    json_begin_array(w);
    for (size_t i = 0; i < rows.n; i++) {
        json_begin_object(w);
        json_field_string(w, "function", row_text(&rows, i, 0));
        json_field_uint(w, "first_line", row_u64(&rows, i, 1));
        json_field_string(w, "text", row_text(&rows, i, 2));
        json_field_string(w, "version", row_text(&rows, i, 3));
        json_field_ns_text(w, "seen_ns", row_i64(&rows, i, 4) * NS_PER_S);
        json_end_object(w);
    }
    json_end_array(w);
    rows_done(&rows);
    return 0;
}
