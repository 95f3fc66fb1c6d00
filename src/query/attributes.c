/*
 * What keys and values there are, for completion: the language's own fields first, then attributes
 * out of their rollup, never out of a scan of all spans. One owner.
 */
#include "query/internal.h"

#include "query/filter_fields.h"
#include "signal/value.h"

#define VALUES_DAYS_NS (7 * 86400 * NS_PER_S) /* the rollup is asked for so far back, at least */
#define RECENT_ROWS 200000u /* spans or lines looked at for values that no rollup holds */

static const char *field_type_name(const struct filter_field *f) {
    switch (f->type) {
    case FIELD_NUMBER: return "int";
    case FIELD_DURATION: return "duration";
    case FIELD_FLAG: return "bool";
    default: return "string";
    }
}

static void write_key(struct json_writer *w, struct slice key, const char *type, uint64_t count,
                      const struct filter_field *f) {
    json_begin_object(w);
    json_field_string(w, "key", key);
    json_field_text(w, "type", type);
    json_field_uint(w, "count", count);
    json_field_bool(w, "field", f != NULL);
    if (f) {
        json_field_text(w, "help", f->help);
        json_field_text(w, "example", f->example);
    }
    json_end_object(w);
}

static void add_days(struct sql *s, const struct query *q) {
    int64_t from = q->from_ns < q->to_ns - VALUES_DAYS_NS ? q->from_ns : q->to_ns - VALUES_DAYS_NS;

    sql_add(s, "day >= toDate(");
    sql_time(s, from);
    sql_add(s, ") AND day <= toDate(");
    sql_time(s, q->to_ns);
    sql_add(s, ")");
}

static bool starts_nocase(const char *text, struct slice prefix) {
    return slice_equal_nocase(slice_take(slice_from(text), prefix.size), prefix);
}

int query_attribute_keys(struct query *q, struct slice prefix) {
    struct json_writer *w = q->json;
    struct sql s;
    struct rows rows;
    unsigned shown = 0;

    sql_init(&s, q->arena);
    sql_addf(&s,
             "SELECT signal = 'resource' AS own, key, argMax(type, count), sum(count) AS c FROM "
             "attributes WHERE signal IN ('%s', 'resource') AND ",
             q->signal == FILTER_SPANS ? "span" : "log");
    add_days(&s, q);
    if (prefix.size) {
        sql_add(&s, " AND startsWith(lower(if(own, concat('resource.', key), key)), lower(");
        sql_string(&s, prefix);
        sql_add(&s, "))");
    }
    sql_addf(&s, " GROUP BY own, key ORDER BY own, c DESC, key LIMIT %u", q->limit);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_begin_object(w);
    json_put_key(w, "keys");
    json_begin_array(w);
    for (size_t i = 0; i < filter_n_fields && shown < q->limit; i++) {
        const struct filter_field *f = &filter_fields[i];
        if (filter_field_on(f, q->signal) && !f->attribute && starts_nocase(f->name, prefix)) {
            write_key(w, slice_from(f->name), field_type_name(f), 0, f);
            shown++;
        }
    }
    for (size_t i = 0; i < rows.n && shown < q->limit; i++, shown++) {
        struct slice key = row_text(&rows, i, 1);
        unsigned type = (unsigned) row_u64(&rows, i, 2);
        if (row_u64(&rows, i, 0)) {
            char *name = arena_printf(q->arena, "resource.%.*s", SLICE_ARG(key));
            key = name ? slice_from(name) : key;
        }
        write_key(w, key, value_type_name(type), row_u64(&rows, i, 3), NULL);
    }
    json_end_array(w);
    json_end_object(w);
    rows_done(&rows);
    return 0;
}

/* ---- Values ---- */

static void write_values(struct query *q, const struct rows *rows) {
    struct json_writer *w = q->json;

    json_begin_object(w);
    json_put_key(w, "values");
    json_begin_array(w);
    for (size_t i = 0; i < rows->n && i < q->limit; i++) {
        json_begin_object(w);
        json_field_string(w, "value", row_text(rows, i, 0));
        json_field_uint(w, "count", row_u64(rows, i, 1));
        json_end_object(w);
    }
    json_end_array(w);
    json_field_bool(w, "truncated", rows->n > q->limit);
    json_end_object(w);
}

/* Kinds, states, levels, true and false: the language's own words. */
static void write_names(struct query *q, const struct filter_field *f, struct slice prefix) {
    static const struct filter_name flags[] = {{"true", 1, 1}, {"false", 0, 0}, {NULL, 0, 0}};
    const struct filter_name *names = f->type == FIELD_FLAG ? flags : filter_field_names(f);
    struct json_writer *w = q->json;

    json_begin_object(w);
    json_put_key(w, "values");
    json_begin_array(w);
    for (const struct filter_name *n = names; n->name; n++)
        if (starts_nocase(n->name, prefix)) {
            json_begin_object(w);
            json_field_text(w, "value", n->name);
            json_field_uint(w, "count", 0);
            json_end_object(w);
        }
    json_end_array(w);
    json_field_bool(w, "truncated", false);
    json_end_object(w);
}

static void add_from_rollup(struct sql *s, const struct query *q, const struct filter_key *k) {
    sql_addf(s, "SELECT value AS v, sum(count) AS c FROM attributes WHERE signal = '%s' AND ",
             k->kind == KEY_RESOURCE     ? "resource"
             : q->signal == FILTER_SPANS ? "span"
                                         : "log");
    add_days(s, q);
    sql_add(s, " AND key IN (");
    sql_string(s, k->name);
    struct slice aliases = k->field ? slice_from(k->field->aliases) : SLICE_EMPTY;
    while (aliases.size) { /* old and new semantic names */
        sql_add(s, ", ");
        sql_string(s, slice_cut(&aliases, ' '));
    }
    sql_add(s, ") AND value != ''");
}

/* Where a field's values are found cheaply. */
static int add_source(struct sql *s, const struct query *q, const struct filter_key *k) {
    enum filter_target target = q->signal == FILTER_SPANS ? TARGET_SPANS : TARGET_LOGS;

    if (k->kind != KEY_FIELD ||
        (k->field->attribute && strcmp(k->field->name, "exception.type") != 0)) {
        add_from_rollup(s, q, k);
        return 0;
    }
    if (k->field->type == FIELD_RESOURCE || k->field->type == FIELD_RESOURCE_ATTR) {
        const char *column = filter_field_sql(k->field, target);
        sql_addf(s,
                 k->field->type == FIELD_RESOURCE ? "SELECT toString(%s)"
                                                  : "SELECT attributes['%s']",
                 column);
        sql_add(s, " AS v, count() AS c FROM resources WHERE v != ''");
        return 0;
    }
    if (k->field->red && q->signal == FILTER_SPANS) {
        sql_addf(s, "SELECT toString(%s) AS v, sum(count) AS c FROM red WHERE ", k->field->red);
        sql_range_seconds(s, q->from_ns, q->to_ns);
        sql_add(s, " AND v != ''");
        return 0;
    }
    sql_add(s, "SELECT ");
    int r = filter_key_text_sql(k, target, s);
    sql_addf(s, " AS v, count() AS c FROM (SELECT * FROM %s WHERE ",
             q->signal == FILTER_SPANS ? "spans" : "logs");
    sql_range(s, q->from_ns, q->to_ns);
    sql_addf(s, " LIMIT %u) WHERE v != ''", RECENT_ROWS);
    return r;
}

int query_attribute_values(struct query *q, struct slice key, struct slice prefix) {
    struct filter_error e;
    struct filter_key k;
    struct sql s;
    struct rows rows;

    int r = filter_parse_key(q->arena, q->signal, key, &k, &e);
    if (r == -EINVAL)
        return error_set(q->error, r, "key: %s", e.message);
    if (r < 0)
        return r;
    if (k.kind == KEY_FIELD && (k.field->type == FIELD_FLAG || filter_field_names(k.field))) {
        write_names(q, k.field, prefix);
        return 0;
    }
    sql_init(&s, q->arena);
    r = add_source(&s, q, &k);
    if (prefix.size) {
        sql_add(&s, " AND startsWith(lower(v), lower(");
        sql_string(&s, prefix);
        sql_add(&s, "))");
    }
    sql_addf(&s, " GROUP BY v ORDER BY c DESC, v LIMIT %u", q->limit + 1);
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    write_values(q, &rows);
    rows_done(&rows);
    return 0;
}
