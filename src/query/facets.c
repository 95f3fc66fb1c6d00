/*
 * Facets: which values the keys of matching spans or lines have, and what is different about a box
 * of the heat map. Large ranges are sampled: rows for keys with a column of their own, whole
 * granules for attributes (a map must be read whole); the share that was looked at is told. One
 * owner.
 */
#include "query/facets.h"

#include "query/filter_fields.h"

#define FACET_VALUES 10u
#define FACET_RESERVE 2000u /* counters per key: exact as long as there are fewer values */
#define FREQUENT_KEYS 6u
#define COLUMN_ROWS 1000000u   /* rows looked at for keys with a column */
#define ATTRIBUTE_ROWS 200000u /* rows looked at for attributes */
#define ATTRIBUTES_ENOUGH 300u
#define SAMPLE_ENOUGH 2000u /* with fewer matches in the sample everything is read */
#define COMPARE_TOP 40u
#define GRANULE_ROWS 8192u

enum filter_target facets_target(const struct query *q) {
    return q->signal == FILTER_SPANS ? TARGET_SPANS : TARGET_LOGS;
}

const char *facets_table(const struct query *q) {
    return q->signal == FILTER_SPANS ? "spans" : "logs";
}

static int add_key(struct query *q, struct facet_list *list, struct slice text) {
    struct filter_error e;
    struct filter_key key;

    text = slice_trim(text);
    int r = filter_parse_key(q->arena, q->signal, text, &key, &e);
    if (r == -EINVAL)
        return error_set(q->error, r, "keys: %s%s%s", e.message, e.hint[0] ? ": " : "", e.hint);
    if (r < 0)
        return r;
    if (list->n == FACET_KEYS_MAX)
        return error_set(q->error, -EINVAL, "keys: at most %u", FACET_KEYS_MAX);
    list->items[list->n++] = (struct facet){query_dup(q, text), key, key.kind == KEY_FIELD};
    return 0;
}

/* Texts that nobody chooses by: no two are alike, and each fills a screen. */
#define UNCHOSEN_KEYS "'exception.stacktrace', 'varan.exception.detail', 'code.stacktrace'"

/* The attributes most records have, out of the table of what there is. */
static int add_frequent(struct query *q, struct facet_list *list) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_addf(&s,
             "SELECT key, sum(count) AS c FROM attributes WHERE signal = '%s' "
             "AND key NOT IN (" UNCHOSEN_KEYS ") AND day >= toDate(",
             q->signal == FILTER_SPANS ? "span" : "log");
    sql_time(&s, q->from_ns);
    sql_add(&s, ") AND day <= toDate(");
    sql_time(&s, q->to_ns);
    sql_addf(&s, ") GROUP BY key ORDER BY c DESC, key LIMIT %u", FACET_KEYS_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    size_t most = list->n + FREQUENT_KEYS;
    for (size_t i = 0; i < rows.n && list->n < most && list->n < FACET_KEYS_MAX; i++) {
        struct filter_key key = {.kind = KEY_ATTRIBUTE, .signal = q->signal};
        key.name = query_dup(q, row_text(&rows, i, 0));
        /* Those with a column stand in the list already. */
        if (!key.name.data || filter_field_find(q->signal, key.name))
            continue;
        struct buffer label;
        buffer_init(&label, 2 * FILTER_KEY_BYTES_MAX);
        if (filter_print_key(&key, &label) == 0)
            list->items[list->n++] = (struct facet){query_dup(q, buffer_slice(&label)), key, false};
        buffer_done(&label);
    }
    rows_done(&rows);
    return 0;
}

int facets_choose(struct query *q, struct slice keys, struct facet_list *list) {
    struct slice rest = keys.size ? keys
                        : q->signal == FILTER_SPANS
                                ? SLICE("service,name,kind,status,http.response.status_code,"
                                        "http.route,db.system,exception.type")
                                : SLICE("service,severity,scope");
    int r = 0;

    list->n = 0;
    while (rest.size && r == 0)
        r = add_key(q, list, slice_cut(&rest, ','));
    return r == 0 && !keys.size ? add_frequent(q, list) : r;
}

int facets_count_rows(struct query *q, uint64_t *ret) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_addf(&s, "SELECT count() FROM %s WHERE ", facets_table(q));
    sql_range(&s, q->from_ns, q->to_ns);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    *ret = rows.n ? row_u64(&rows, 0, 0) : 0;
    rows_done(&rows);
    return 0;
}

static void add_sample(struct sql *s, const struct facet_scan *f) {
    if (f->every > 1 && f->column)
        sql_addf(s, " AND _part_offset %% %llu = 0", (unsigned long long) f->every);
    else if (f->every > 1)
        sql_addf(s, " AND cityHash64(intDiv(_part_offset, %u)) %% %llu = 0", GRANULE_ROWS,
                 (unsigned long long) f->every);
}

/* What is counted: a column as it is, where the value's text can be told from it afterwards. */
static int add_counted(struct sql *s, const struct filter_key *k, enum filter_target target) {
    const char *column = k->kind == KEY_FIELD ? filter_field_sql(k->field, target) : NULL;

    if (column && (k->field->type == FIELD_TEXT || k->field->type == FIELD_NUMBER ||
                   k->field->type == FIELD_KIND || k->field->type == FIELD_STATUS))
        sql_add(s, column);
    else if (column && k->field->type == FIELD_LEVEL)
        sql_addf(s, "toUInt8(intDiv(%s + 3, 4))", column);
    else
        return filter_key_text_sql(k, target, s);
    return s->failed;
}

static const char *absent_value(const struct filter_key *k) {
    if (k->kind != KEY_FIELD)
        return "''";
    return k->field->type == FIELD_NUMBER ? "0" : filter_field_names(k->field) ? NULL : "''";
}

struct slice facet_value(const struct facet *f, struct slice text) {
    const struct filter_name *names = f->key.field ? filter_field_names(f->key.field) : NULL;
    uint64_t n;

    if (f->key.field && f->key.field->type == FIELD_NUMBER)
        return slice_is(text, "0") ? SLICE_EMPTY : text;
    if (!names || slice_to_u64(text, &n) < 0)
        return text;
    if (f->key.field->type == FIELD_LEVEL && n > 0)
        n = n * 4 - 3;
    for (; names->name; names++)
        if (names->low == n)
            return slice_from(names->name);
    return SLICE_EMPTY;
}

static void add_top(struct sql *s, const char *name, const char *condition, size_t i,
                    unsigned most) {
    sql_addf(s, ", approx_top_count%s(%u, %u)(v%zu%s%s) AS %s%zu", condition ? "If" : "", most,
             FACET_RESERVE, i, condition ? ", " : "", condition ? condition : "", name, i);
}

static void add_aggregates(struct sql *s, const struct facet_scan *f, size_t i) {
    const char *absent = absent_value(&f->list->items[i].key);

    if (f->box) {
        add_top(s, "a", "inside", i, COMPARE_TOP);
        add_top(s, "b", "NOT inside", i, COMPARE_TOP);
        return;
    }
    add_top(s, "a", NULL, i, FACET_VALUES + 1);
    if (absent)
        sql_addf(s, ", uniqIf(v%zu, v%zu != %s) AS u%zu", i, i, absent, i);
    else
        sql_addf(s, ", uniq(v%zu) AS u%zu", i, i);
}

static void add_results(struct sql *s, const struct facet_scan *f, size_t i) {
    sql_addf(s, ", arrayMap(x -> toString(x.1), a%zu), arrayMap(x -> x.2, a%zu)", i, i);
    if (f->box)
        sql_addf(s, ", arrayMap(x -> toString(x.1), b%zu), arrayMap(x -> x.2, b%zu)", i, i);
    else
        sql_addf(s, ", u%zu", i);
}

static void add_inside(struct sql *s, const struct compare_box *box) {
    sql_add(s, "(");
    sql_between(s, box->from_ns, box->to_ns);
    sql_addf(s, " AND duration_ns >= %llu AND duration_ns <= %llu)",
             (unsigned long long) box->duration_min_ns, (unsigned long long) box->duration_max_ns);
}

int facets_scan(struct query *q, const struct facet_scan *f, struct rows *ret) {
    const struct facet_list *list = f->list;
    struct sql s;
    int r = 0;

    sql_init(&s, q->arena);
    sql_add(&s, f->box ? "SELECT n, m" : "SELECT n");
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].column == f->column)
            add_results(&s, f, i);
    sql_add(&s, f->box ? " FROM (SELECT countIf(inside) AS n, countIf(NOT inside) AS m"
                       : " FROM (SELECT count() AS n");
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].column == f->column)
            add_aggregates(&s, f, i);
    sql_add(&s, " FROM (SELECT 1");
    if (f->box) {
        sql_add(&s, ", ");
        add_inside(&s, f->box);
        sql_add(&s, " AS inside");
    }
    for (size_t i = 0; i < list->n && r == 0; i++) {
        if (list->items[i].column != f->column)
            continue;
        sql_add(&s, ", ");
        r = add_counted(&s, &list->items[i].key, facets_target(q));
        sql_addf(&s, " AS v%zu", i);
    }
    sql_addf(&s, " FROM %s", facets_table(q));
    filter_compile_prewhere(q->filter, &s);
    sql_add(&s, " WHERE ");
    sql_range(&s, q->from_ns, q->to_ns);
    add_sample(&s, f);
    if (f->box)
        sql_add(&s, " AND entry = 1");
    if (r == 0)
        r = sql_filter(&s, q, facets_target(q));
    sql_add(&s, "))");
    if (r == 0)
        r = query_run(q, &s, ret);
    sql_done(&s);
    return r;
}

int facets_scan_sampled(struct query *q, struct facet_scan *f, uint64_t rows, struct rows *ret) {
    f->every = rows / (f->column ? COLUMN_ROWS : ATTRIBUTE_ROWS) + 1;
    int r = facets_scan(q, f, ret);

    if (r == 0 && f->every > 1 && (ret->n == 0 || row_u64(ret, 0, 0) < f->enough)) {
        rows_done(ret);
        f->every = 1;
        r = facets_scan(q, f, ret);
    }
    return r;
}

static void write_facet(struct json_writer *w, const struct facet *f, const struct rows *r,
                        unsigned column, uint64_t every) {
    size_t n = native_reader_length(r->reader, 0, column), shown = 0;
    uint64_t distinct = row_u64(r, 0, column + 2);

    json_begin_object(w);
    json_field_string(w, "key", f->label);
    json_put_key(w, "values");
    json_begin_array(w);
    for (size_t i = 0; i < n && shown < FACET_VALUES; i++) {
        struct slice value = facet_value(f, native_reader_item(r->reader, 0, column, i).text);
        if (value.size == 0)
            continue;
        json_begin_object(w);
        json_field_string(w, "value", value);
        json_field_uint(w, "count", native_reader_item(r->reader, 0, column + 1, i).u64 * every);
        json_end_object(w);
        shown++;
    }
    json_end_array(w);
    json_field_uint(w, "distinct", distinct);
    json_field_bool(w, "truncated", distinct > shown);
    json_end_object(w);
}

int query_facets(struct query *q, struct slice keys) {
    struct facet_list list;
    struct facet_scan scans[2];
    struct rows rows[2];
    bool wanted[2] = {false, false};
    uint64_t total = 0;

    memset(rows, 0, sizeof(rows));
    int r = facets_choose(q, keys, &list);
    if (r == 0)
        r = facets_count_rows(q, &total);
    for (size_t i = 0; r == 0 && i < list.n; i++)
        wanted[list.items[i].column] = true;
    for (int c = 0; c < 2; c++) {
        scans[c] = (struct facet_scan){.list = &list,
                                       .column = c == 1,
                                       .every = 1,
                                       .enough = c ? SAMPLE_ENOUGH : ATTRIBUTES_ENOUGH};
        if (wanted[c] && r == 0)
            r = facets_scan_sampled(q, &scans[c], total, &rows[c]);
    }
    if (r == 0) {
        unsigned column[2] = {1, 1};
        json_begin_object(q->json);
        json_put_key(q->json, "facets");
        json_begin_array(q->json);
        for (size_t i = 0; i < list.n; i++) {
            int c = list.items[i].column;
            if (rows[c].n)
                write_facet(q->json, &list.items[i], &rows[c], column[c], scans[c].every);
            column[c] += 3;
        }
        json_end_array(q->json);
        uint64_t every = scans[0].every > scans[1].every ? scans[0].every : scans[1].every;
        json_field_double(q->json, "sampled", 1.0 / (double) every);
        json_end_object(q->json);
    }
    for (int c = 0; c < 2; c++)
        rows_done(&rows[c]);
    return r;
}
