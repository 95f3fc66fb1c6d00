/*
 * Facets: which values the keys of matching spans or lines have, and what is different about a box
 * of the heat map. Large ranges are sampled: rows for keys with a column of their own, whole
 * granules for attributes (a map must be read whole); the share that was looked at is told. One
 * owner.
 */
#include "query/internal.h"

#include "query/filter_fields.h"

#include <math.h>

#define FACET_KEYS_MAX 30u
#define FACET_VALUES 10u
#define FACET_RESERVE 2000u /* counters per key: exact as long as there are fewer values */
#define FREQUENT_KEYS 6u
#define COLUMN_ROWS 1000000u   /* rows looked at for keys with a column */
#define ATTRIBUTE_ROWS 200000u /* rows looked at for attributes */
#define SAMPLE_ENOUGH 2000u    /* with fewer matches in the sample everything is read */
#define GRANULE_ROWS 8192u
#define COMPARE_VALUES 5u

struct facet {
    struct slice label;
    struct filter_key key;
    bool column; /* cheap: not out of the map of attributes */
};

struct facet_list {
    struct facet items[FACET_KEYS_MAX];
    size_t n;
};

static enum filter_target target_of(const struct query *q) {
    return q->signal == FILTER_SPANS ? TARGET_SPANS : TARGET_LOGS;
}

static const char *table_of(const struct query *q) {
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

/* The attributes most records have, out of the table of what there is. */
static int add_frequent(struct query *q, struct facet_list *list) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_addf(&s,
             "SELECT key, sum(count) AS c FROM attributes WHERE signal = '%s' AND day >= toDate(",
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

static int choose_keys(struct query *q, struct slice keys, struct facet_list *list) {
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

static int count_rows(struct query *q, uint64_t *ret) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_addf(&s, "SELECT count() FROM %s WHERE ", table_of(q));
    sql_range(&s, q->from_ns, q->to_ns);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    *ret = rows.n ? row_u64(&rows, 0, 0) : 0;
    rows_done(&rows);
    return 0;
}

static void add_sample(struct sql *s, uint64_t every, bool column) {
    if (every > 1 && column)
        sql_addf(s, " AND _part_offset %% %llu = 0", (unsigned long long) every);
    else if (every > 1)
        sql_addf(s, " AND cityHash64(intDiv(_part_offset, %u)) %% %llu = 0", GRANULE_ROWS,
                 (unsigned long long) every);
}

/* All keys of one class at once. Columns: matches, then values, counts and distinct of each key. */
static int fetch_counts(struct query *q, const struct facet_list *list, bool column, uint64_t every,
                        struct rows *ret) {
    struct sql s;
    int r = 0;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT n");
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].column == column)
            sql_addf(&s, ", arrayMap(x -> toString(x.1), a%zu), arrayMap(x -> x.2, a%zu), u%zu", i,
                     i, i);
    sql_add(&s, " FROM (SELECT count() AS n");
    for (size_t i = 0; i < list->n && r == 0; i++) {
        if (list->items[i].column != column)
            continue;
        sql_addf(&s, ", approx_top_count(%u, %u)(v%zu) AS a%zu, uniqIf(v%zu, v%zu != '') AS u%zu",
                 FACET_VALUES + 1, FACET_RESERVE, i, i, i, i, i);
    }
    sql_add(&s, " FROM (SELECT 1");
    for (size_t i = 0; i < list->n && r == 0; i++) {
        if (list->items[i].column != column)
            continue;
        sql_add(&s, ", ");
        r = filter_key_text_sql(&list->items[i].key, target_of(q), &s);
        sql_addf(&s, " AS v%zu", i);
    }
    sql_addf(&s, " FROM %s WHERE ", table_of(q));
    sql_range(&s, q->from_ns, q->to_ns);
    add_sample(&s, every, column);
    if (r == 0)
        r = sql_filter(&s, q, target_of(q));
    sql_add(&s, "))");
    if (r == 0)
        r = query_run(q, &s, ret);
    sql_done(&s);
    return r;
}

/* With a sample, unless so little matches that everything can be read. */
static int fetch_sampled(struct query *q, const struct facet_list *list, bool column, uint64_t rows,
                         struct rows *ret, uint64_t *ret_every) {
    uint64_t most = column ? COLUMN_ROWS : ATTRIBUTE_ROWS;
    uint64_t every = rows / most + 1;
    int r = fetch_counts(q, list, column, every, ret);

    if (r == 0 && every > 1 && (ret->n == 0 || row_u64(ret, 0, 0) < SAMPLE_ENOUGH)) {
        rows_done(ret);
        every = 1;
        r = fetch_counts(q, list, column, every, ret);
    }
    *ret_every = every;
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
        struct slice value = native_reader_item(r->reader, 0, column, i).text;
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
    struct rows rows[2];
    uint64_t every[2] = {1, 1}, total = 0;
    bool wanted[2] = {false, false};

    memset(rows, 0, sizeof(rows));

    int r = choose_keys(q, keys, &list);
    if (r == 0)
        r = count_rows(q, &total);
    for (size_t i = 0; i < list.n; i++)
        wanted[list.items[i].column] = true;
    for (int c = 0; c < 2 && r == 0; c++)
        if (wanted[c]) {
            r = fetch_sampled(q, &list, c == 1, total, &rows[c], &every[c]);
            wanted[c] = r == 0;
        }
    if (r == 0) {
        unsigned column[2] = {1, 1};
        json_begin_object(q->json);
        json_put_key(q->json, "facets");
        json_begin_array(q->json);
        for (size_t i = 0; i < list.n; i++) {
            int c = list.items[i].column;
            if (rows[c].n)
                write_facet(q->json, &list.items[i], &rows[c], column[c], every[c]);
            column[c] += 3;
        }
        json_end_array(q->json);
        json_field_double(q->json, "sampled",
                          1.0 / (double) (every[0] > every[1] ? every[0] : every[1]));
        json_end_object(q->json);
    }
    for (int c = 0; c < 2; c++)
        rows_done(&rows[c]);
    return r;
}

/* ---- Comparing a box of the heat map with the rest ---- */

struct telling {
    const struct facet *facet;
    double score;
    size_t first, n; /* rows of the answer */
};

static void add_inside(struct sql *s, const struct compare_box *box) {
    sql_add(s, "(");
    sql_range(s, box->from_ns, box->to_ns);
    sql_addf(s, " AND duration_ns >= %llu AND duration_ns <= %llu)",
             (unsigned long long) box->duration_min_ns, (unsigned long long) box->duration_max_ns);
}

static int add_compared(struct sql *s, const struct query *q, const struct compare_box *box,
                        uint64_t every) {
    sql_add(s, " FROM spans WHERE ");
    sql_range(s, q->from_ns, q->to_ns);
    sql_add(s, " AND entry = 1");
    if (every > 1) {
        sql_addf(s, " AND (_part_offset %% %llu = 0 OR ", (unsigned long long) every);
        add_inside(s, box);
        sql_add(s, ")");
    }
    return sql_filter(s, q, TARGET_SPANS);
}

static int compare_totals(struct query *q, const struct compare_box *box, uint64_t every,
                          uint64_t *ret_inside, uint64_t *ret_outside) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT countIf(i), countIf(NOT i) FROM (SELECT ");
    add_inside(&s, box);
    sql_add(&s, " AS i");
    int r = add_compared(&s, q, box, every);
    sql_add(&s, ")");
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    *ret_inside = rows.n ? row_u64(&rows, 0, 0) : 0;
    *ret_outside = rows.n ? row_u64(&rows, 0, 1) : 0;
    rows_done(&rows);
    return 0;
}

/* Columns: number of the key, value, count inside, count outside; the most different ones of each.
 */
static int fetch_differences(struct query *q, const struct facet_list *list,
                             const struct compare_box *box, uint64_t every, uint64_t inside,
                             uint64_t outside, struct rows *ret) {
    struct sql s;
    int r = 0;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT k, v, a, b FROM (");
    for (size_t i = 0; i < list->n && r == 0; i++) {
        sql_addf(&s,
                 "%sSELECT toUInt8(%zu) AS k, v, countIf(i) AS a, countIf(NOT i) AS b, "
                 "abs(a / %llu - b / %llu) AS d FROM (SELECT ",
                 i ? " UNION ALL " : "", i, (unsigned long long) (inside ? inside : 1),
                 (unsigned long long) (outside ? outside : 1));
        r = filter_key_text_sql(&list->items[i].key, TARGET_SPANS, &s);
        sql_add(&s, " AS v, ");
        add_inside(&s, box);
        sql_add(&s, " AS i");
        if (r == 0)
            r = add_compared(&s, q, box, every);
        sql_addf(&s, ") WHERE v != '' GROUP BY v ORDER BY d DESC, v LIMIT %u", COMPARE_VALUES);
    }
    sql_add(&s, ") ORDER BY k, d DESC, v");
    if (r == 0)
        r = query_run(q, &s, ret);
    sql_done(&s);
    return r;
}

static int by_score(const void *a, const void *b) {
    const struct telling *x = a, *y = b;

    return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

static void write_differences(struct query *q, const struct facet_list *list,
                              const struct rows *rows, double inside, double outside) {
    struct telling found[FACET_KEYS_MAX];
    struct json_writer *w = q->json;
    size_t n = 0;

    for (size_t i = 0; i < rows->n; i++) {
        size_t k = row_u64(rows, i, 0);
        if (n == 0 || found[n - 1].facet != &list->items[k]) {
            double a = (double) row_u64(rows, i, 2), b = (double) row_u64(rows, i, 3);
            found[n++] = (struct telling){
                    &list->items[k], fabs((inside ? a / inside : 0) - (outside ? b / outside : 0)),
                    i, 0};
        }
        found[n - 1].n++;
    }
    if (n)
        qsort(found, n, sizeof(found[0]), by_score);
    json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        json_begin_object(w);
        json_field_string(w, "key", found[i].facet->label);
        json_put_key(w, "values");
        json_begin_array(w);
        for (size_t row = found[i].first; row < found[i].first + found[i].n; row++) {
            json_begin_object(w);
            json_field_string(w, "value", row_text(rows, row, 1));
            json_field_double(w, "inside", inside ? (double) row_u64(rows, row, 2) / inside : 0);
            json_field_double(w, "outside", outside ? (double) row_u64(rows, row, 3) / outside : 0);
            json_end_object(w);
        }
        json_end_array(w);
        json_field_double(w, "score", found[i].score);
        json_end_object(w);
    }
    json_end_array(w);
}

int query_traces_compare(struct query *q, const struct compare_box *box) {
    struct facet_list list;
    uint64_t total, inside = 0, outside = 0, every = 1;
    struct rows rows;

    q->signal = FILTER_SPANS;
    int r = choose_keys(q, SLICE_EMPTY, &list);
    if (r == 0)
        r = count_rows(q, &total);
    if (r == 0) {
        every = total / COLUMN_ROWS + 1;
        r = compare_totals(q, box, every, &inside, &outside);
    }
    if (r == 0)
        r = fetch_differences(q, &list, box, every, inside, outside, &rows);
    if (r < 0)
        return r;
    json_begin_object(q->json);
    json_put_key(q->json, "facets");
    write_differences(q, &list, &rows, (double) inside, (double) outside);
    json_field_uint(q->json, "inside", inside);
    json_field_uint(q->json, "outside", outside * every);
    json_end_object(q->json);
    rows_done(&rows);
    return 0;
}
