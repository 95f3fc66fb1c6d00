/*
 * Searching traces. Candidates are spans that match, newest (or slowest) first, read in runs until
 * the page is full: recent ones by walking windows of time backwards, so that a page costs what it
 * shows and not what is stored. A trace stands where its newest (slowest) match stands; a cursor
 * holds the range and that place, so pages do not move while new rows arrive. Memory of the
 * question's arena; one owner.
 */
#include "query/internal.h"

#include "base/map.h"

#include <inttypes.h>

#define RUN_ROWS_MIN 500u
#define RUN_ROWS_PER_HIT 10u
#define WINDOWS_FIRST 64 /* the first window is this part of the range */
#define WINDOW_NS_MIN (10 * NS_PER_S)
#define SEARCH_BUDGET_NS (4 * NS_PER_S) /* then a page is given as far as it is */

struct search {
    struct query *q;
    uint64_t *matched; /* of each hit, in what was read */
    enum traces_sort sort;
    struct trace_hit *hits;
    size_t n, wanted;
    struct map seen;
    bool bounded; /* only what comes after `bound` in the order */
    struct trace_hit bound, cursor;
    bool has_cursor, exhausted;
    bool cut; /* a run held as many rows as it may: there are matches that were not seen */
    int64_t budget_ns;
};

/* ---- Cursor: "from.to.key.trace id" ---- */

static int read_cursor(struct search *f) {
    struct query *q = f->q;
    struct slice rest = q->cursor;
    struct slice from = slice_cut(&rest, '.'), to = slice_cut(&rest, '.'),
                 key = slice_cut(&rest, '.');

    if (q->cursor.size == 0)
        return 0;
    if (slice_to_i64(from, &q->from_ns) < 0 || slice_to_i64(to, &q->to_ns) < 0 ||
        slice_to_i64(key, &f->cursor.key) < 0 || q->from_ns < 0 || q->to_ns <= q->from_ns ||
        slice_from_hex(rest, f->cursor.trace_id, TRACE_ID_SIZE) < 0)
        return error_set(q->error, -EINVAL, "cursor: not one that was given out");
    f->has_cursor = f->bounded = true;
    f->bound = f->cursor;
    return 0;
}

static void write_cursor(const struct query *q, const struct trace_hit *last) {
    char text[128], hex[2 * TRACE_ID_SIZE];

    slice_to_hex(slice_new(last->trace_id, TRACE_ID_SIZE), hex);
    int n = snprintf(text, sizeof(text), "%" PRId64 ".%" PRId64 ".%" PRId64 ".%.*s", q->from_ns,
                     q->to_ns, last->key, (int) sizeof(hex), hex);
    json_put_key(q->json, "next_cursor");
    json_put_string(q->json, slice_new(text, (size_t) n));
}

/* ---- Candidates ---- */

static const char *key_sql(enum traces_sort sort) {
    return sort == TRACES_RECENT ? "toUnixTimestamp64Nano(ts)" : "toInt64(duration_ns)";
}

/* One run of rows within [from, to), in order, after the bound. */
static int read_run(struct search *f, int64_t from_ns, int64_t to_ns, size_t rows_max,
                    struct rows *ret) {
    const char *column = f->sort == TRACES_RECENT ? "ts" : "duration_ns";
    struct sql s;

    sql_init(&s, f->q->arena);
    sql_addf(&s, "SELECT trace_id, %s FROM spans", key_sql(f->sort));
    filter_compile_prewhere(f->q->filter, &s);
    sql_add(&s, " WHERE ");
    sql_range(&s, from_ns, to_ns);
    int r = sql_filter(&s, f->q, TARGET_SPANS);
    if (f->bounded) {
        sql_addf(&s, " AND %s <= ", column);
        if (f->sort == TRACES_RECENT)
            sql_time(&s, f->bound.key);
        else
            sql_addf(&s, "%" PRId64, f->bound.key);
        sql_addf(&s, " AND (%s < %" PRId64 " OR trace_id > ", key_sql(f->sort), f->bound.key);
        sql_bytes(&s, slice_new(f->bound.trace_id, TRACE_ID_SIZE));
        sql_add(&s, ")");
    }
    sql_addf(&s, " ORDER BY %s DESC, trace_id LIMIT %zu", column, rows_max);
    if (r == 0)
        r = query_run(f->q, &s, ret);
    sql_done(&s);
    return r;
}

static int keep_run(struct search *f, const struct rows *rows) {
    for (size_t i = 0; i < rows->n; i++) {
        struct slice id = row_text(rows, i, 0);
        bool is_new;
        if (id.size != TRACE_ID_SIZE)
            return -EBADMSG;
        memcpy(f->bound.trace_id, id.data, id.size);
        f->bound.key = row_i64(rows, i, 1);
        f->bounded = true;
        struct map_entry *m = map_put(&f->seen, id, &is_new);
        if (!m)
            return -ENOMEM;
        if (!is_new) {
            f->matched[m->number]++;
            continue;
        }
        m->number = f->n;
        f->matched[f->n] = 1;
        f->hits[f->n++] = f->bound;
        if (f->n == f->wanted)
            return 0;
    }
    return 0;
}

static int walk_recent(struct search *f, size_t rows_max) {
    struct query *q = f->q;
    int64_t to = f->has_cursor && f->cursor.key < q->to_ns ? f->cursor.key + 1 : q->to_ns;
    int64_t window = (q->to_ns - q->from_ns) / WINDOWS_FIRST;
    int r = 0;

    if (window < WINDOW_NS_MIN)
        window = WINDOW_NS_MIN;
    while (r == 0 && f->n < f->wanted && to > q->from_ns && clock_monotonic_ns() < f->budget_ns) {
        int64_t from = to - q->from_ns > window ? to - window : q->from_ns;
        struct rows rows;
        r = read_run(f, from, to, rows_max, &rows);
        if (r < 0)
            break;
        r = keep_run(f, &rows);
        f->cut = f->cut || rows.n == rows_max;
        if (rows.n == rows_max) {
            to = f->bound.key + 1; /* more in this window */
        } else {
            to = from;
            if (window < INT64_MAX / 4)
                window *= 4;
        }
        rows_done(&rows);
    }
    f->exhausted = to <= q->from_ns;
    return r;
}

static int walk_slowest(struct search *f, size_t rows_max) {
    size_t got = rows_max;
    int r = 0;

    while (r == 0 && f->n < f->wanted && got == rows_max && clock_monotonic_ns() < f->budget_ns) {
        struct rows rows;
        r = read_run(f, f->q->from_ns, f->q->to_ns, rows_max, &rows);
        if (r < 0)
            break;
        got = rows.n;
        f->cut = f->cut || got == rows_max;
        r = keep_run(f, &rows);
        rows_done(&rows);
    }
    f->exhausted = got < rows_max;
    return r;
}

/* Fills f->hits with up to f->wanted traces. */
static int search(struct search *f) {
    size_t rows_max = f->wanted * RUN_ROWS_PER_HIT;

    if (rows_max < RUN_ROWS_MIN)
        rows_max = RUN_ROWS_MIN;
    f->budget_ns = clock_monotonic_ns() + SEARCH_BUDGET_NS;
    f->hits = arena_array(f->q->arena, struct trace_hit, f->wanted);
    f->matched = arena_array(f->q->arena, uint64_t, f->wanted);
    if (!f->hits || !f->matched)
        return -ENOMEM;
    map_init(&f->seen, f->wanted, f->wanted * 64 + 4096);
    int r = f->sort == TRACES_RECENT ? walk_recent(f, rows_max) : walk_slowest(f, rows_max);
    map_done(&f->seen);
    return r;
}

/* ---- Summaries ---- */

struct summary {
    int64_t start_ns, end_ns;
    uint64_t spans, errors, matched, http_status;
    int64_t key; /* of the newest or slowest match in the range */
    struct slice root_service, root_name;
    unsigned root_kind, root_status;
    struct slice *services;
    size_t n_services;
};

static void add_ids(struct sql *s, const struct trace_hit *hits, size_t n) {
    sql_add(s, "trace_id IN (");
    for (size_t i = 0; i < n; i++) {
        if (i)
            sql_add(s, ", ");
        sql_bytes(s, slice_new(hits[i].trace_id, TRACE_ID_SIZE));
    }
    sql_add(s, ")");
}

static int keep_services(struct query *q, const struct rows *r, size_t row, unsigned column,
                         struct summary *u) {
    u->n_services = native_reader_length(r->reader, row, column);
    u->services = arena_array(q->arena, struct slice, u->n_services);
    if (!u->services)
        return -ENOMEM;
    for (size_t i = 0; i < u->n_services; i++)
        u->services[i] = query_dup(q, native_reader_item(r->reader, row, column, i).text);
    return 0;
}

/* From the table of traces: what a trace is, whatever the range. */
static int fetch_traces(struct query *q, const struct trace_hit *hits, size_t n, struct map *ret,
                        int64_t *ret_start, int64_t *ret_end) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s,
            "SELECT trace_id, toUnixTimestamp64Nano(min(start)), toUnixTimestamp64Nano(max(end)), "
            "sum(spans), sum(errors), max(root_service), max(root_name), max(root_kind), "
            "max(root_status), arraySort(groupUniqArrayArray(services)) FROM traces WHERE day >= "
            "toDate(");
    sql_time(&s, q->from_ns);
    sql_add(&s, ") - 1 AND day <= toDate(");
    sql_time(&s, q->to_ns);
    sql_add(&s, ") + 1 AND ");
    add_ids(&s, hits, n);
    sql_add(&s, " GROUP BY trace_id");
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n && r == 0; i++) {
        struct map_entry *m = map_put(ret, row_text(&rows, i, 0), NULL);
        struct summary *u = arena_new(q->arena, struct summary);
        if (!m || !u) {
            r = -ENOMEM;
            break;
        }
        m->pointer = u;
        u->start_ns = row_i64(&rows, i, 1);
        u->end_ns = row_i64(&rows, i, 2);
        u->spans = row_u64(&rows, i, 3);
        u->errors = row_u64(&rows, i, 4);
        u->root_service = query_dup(q, row_text(&rows, i, 5));
        u->root_name = query_dup(q, row_text(&rows, i, 6));
        u->root_kind = (unsigned) row_u64(&rows, i, 7);
        u->root_status = (unsigned) row_u64(&rows, i, 8);
        r = keep_services(q, &rows, i, 9, u);
        if (u->start_ns < *ret_start)
            *ret_start = u->start_ns;
        if (u->end_ns > *ret_end)
            *ret_end = u->end_ns;
    }
    rows_done(&rows);
    return r;
}

/* Whether all that matches was read, so that nothing needs to be counted again. */
static bool counts_are_known(const struct search *f) {
    return f && f->exhausted && !f->cut && !f->has_cursor && f->n < f->wanted;
}

/* From the spans: what matched (unless `known`), and what only they know. */
static int fetch_matches(struct query *q, enum traces_sort sort, bool known,
                         const struct trace_hit *hits, size_t n, int64_t start_ns, int64_t end_ns,
                         struct map *ret) {
    struct sql s;
    struct rows rows;

    sql_init(&s, q->arena);
    sql_add(&s,
            "SELECT trace_id, countIf(m), maxIf(k, m), maxIf(http_status, r), min(t), max(e), "
            "count(), countIf(status = 2), arraySort(groupUniqArray(sv)) FROM (SELECT trace_id, ");
    sql_between(&s, q->from_ns, q->to_ns);
    int r = known ? 0 : sql_filter(&s, q, TARGET_SPANS);
    sql_addf(&s,
             " AS m, %s AS k, http_status, status, toString(service) AS sv, "
             "parent_span_id = toFixedString('', 8) AS r, toUnixTimestamp64Nano(ts) AS t, "
             "t + toInt64(duration_ns) AS e FROM spans WHERE ",
             key_sql(sort));
    sql_range(&s, start_ns, end_ns + 1);
    sql_add(&s, " AND ");
    add_ids(&s, hits, n);
    sql_add(&s, ") GROUP BY trace_id");
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n && r == 0; i++) {
        bool is_new;
        struct map_entry *m = map_put(ret, row_text(&rows, i, 0), &is_new);
        struct summary *u = !m ? NULL : is_new ? arena_new(q->arena, struct summary) : m->pointer;
        if (!u) {
            r = -ENOMEM;
            break;
        }
        m->pointer = u;
        u->matched = row_u64(&rows, i, 1);
        u->key = row_i64(&rows, i, 2);
        u->http_status = row_u64(&rows, i, 3);
        if (is_new) {
            u->start_ns = row_i64(&rows, i, 4);
            u->end_ns = row_i64(&rows, i, 5);
            u->spans = row_u64(&rows, i, 6);
            u->errors = row_u64(&rows, i, 7);
            r = keep_services(q, &rows, i, 8, u);
        }
    }
    rows_done(&rows);
    return r;
}

static void write_summary(struct json_writer *w, const struct trace_hit *hit,
                          const struct summary *u) {
    json_begin_object(w);
    json_field_hex(w, "trace_id", slice_new(hit->trace_id, TRACE_ID_SIZE));
    json_field_ns_text(w, "start_ns", u->start_ns);
    json_field_int(w, "duration_ns", u->end_ns - u->start_ns);
    json_field_uint(w, "spans", u->spans);
    json_field_uint(w, "errors", u->errors);
    json_field_uint(w, "matched", u->matched);
    json_put_key(w, "services");
    json_begin_array(w);
    for (size_t i = 0; i < u->n_services; i++)
        json_put_string(w, u->services[i]);
    json_end_array(w);
    json_put_key(w, "root");
    if (u->root_service.size) {
        json_begin_object(w);
        json_field_string(w, "service", u->root_service);
        json_field_string(w, "name", u->root_name);
        json_field_uint(w, "kind", u->root_kind);
        json_field_uint(w, "status", u->root_status);
        if (u->http_status)
            json_field_uint(w, "http_status", u->http_status);
        else
            json_field_null(w, "http_status");
        json_end_object(w);
    } else {
        json_put_null(w);
    }
    json_end_object(w);
}

/* Whether the trace stood on an earlier page. */
static bool was_shown(const struct search *f, const struct summary *u,
                      const struct trace_hit *hit) {
    if (!f || !f->has_cursor)
        return false;
    return u->key > f->cursor.key ||
           (u->key == f->cursor.key &&
            memcmp(hit->trace_id, f->cursor.trace_id, TRACE_ID_SIZE) <= 0);
}

static int write_summaries(struct query *q, const struct search *f, enum traces_sort sort,
                           const struct trace_hit *hits, size_t n) {
    int64_t start_ns = q->from_ns, end_ns = q->to_ns;
    struct map found;
    int r = 0;

    map_init(&found, n + 1, n * 64 + 4096);
    if (n) {
        r = fetch_traces(q, hits, n, &found, &start_ns, &end_ns);
        if (r == 0)
            r = fetch_matches(q, sort, counts_are_known(f), hits, n, start_ns, end_ns, &found);
    }
    if (r == 0) {
        json_begin_array(q->json);
        for (size_t i = 0; i < n; i++) {
            struct map_entry *m = map_get(&found, slice_new(hits[i].trace_id, TRACE_ID_SIZE));
            struct summary *u = m ? m->pointer : NULL;
            if (u && counts_are_known(f))
                u->matched = f->matched[i];
            if (u && !was_shown(f, u, &hits[i]))
                write_summary(q->json, &hits[i], u);
        }
        json_end_array(q->json);
    }
    map_done(&found);
    return r;
}

int json_trace_summaries(struct query *q, const struct trace_hit *hits, size_t n) {
    return write_summaries(q, NULL, TRACES_SLOWEST, hits, n);
}

int query_slowest(struct query *q, unsigned limit, struct trace_hit *ret, size_t *ret_n) {
    struct search f = {.q = q, .sort = TRACES_SLOWEST, .wanted = limit};
    int r = search(&f);

    if (r < 0)
        return r;
    if (f.n)
        memcpy(ret, f.hits, f.n * sizeof(*ret));
    *ret_n = f.n;
    return 0;
}

int query_traces(struct query *q, enum traces_sort sort) {
    struct search f = {.q = q, .sort = sort, .wanted = q->limit + 1};
    int r = read_cursor(&f);

    if (r == 0)
        r = search(&f);
    if (r < 0)
        return r;
    size_t n = f.n < q->limit ? f.n : q->limit;
    bool more = f.n > q->limit, truncated = !more && !f.exhausted;
    json_begin_object(q->json);
    json_put_key(q->json, "traces");
    r = write_summaries(q, &f, sort, f.hits, n);
    if (r < 0)
        return r;
    if ((more || truncated) && n)
        write_cursor(q, &f.hits[n - 1]);
    else
        json_field_null(q->json, "next_cursor");
    json_field_bool(q->json, "truncated", truncated);
    json_end_object(q->json);
    return 0;
}
