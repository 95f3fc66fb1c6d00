/* Profiles of one trace: its range, the spans below a span, what each span cost. */
#include "query/profiles.h"

/* A sample carries the time when its window began; senders' windows are a minute at most. */
#define WINDOW_NS_MAX (60 * NS_PER_S)
#define SPANS_SHOWN 1000u
#define TYPES_MAX 32u

/* ---- Completing a selection ---- */

static int find_range(struct query *q, struct profile_selection *p) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT toUnixTimestamp64Nano(min(start)), toUnixTimestamp64Nano(max(end)), "
                "count() FROM traces WHERE trace_id = ");
    sql_bytes(&s, slice_new(p->trace_id, TRACE_ID_SIZE));
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    if (rows.n && row_u64(&rows, 0, 2)) { /* else the range that was asked for has to do */
        p->from_ns = row_i64(&rows, 0, 0) - WINDOW_NS_MAX;
        p->to_ns = row_i64(&rows, 0, 1) + NS_PER_S;
    }
    rows_done(&rows);
    return 0;
}

/* Spans of the trace by their parents: first child of a parent, next of its siblings. */
struct family {
    struct rows rows;
    struct map first; /* parent's id → row + 1 */
    uint32_t *next;
};

static int load_family(struct query *q, const struct profile_selection *p, struct family *f) {
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT span_id, parent_span_id FROM spans WHERE ");
    sql_between(&s, p->from_ns, p->to_ns + WINDOW_NS_MAX);
    sql_add(&s, " AND trace_id = ");
    sql_bytes(&s, slice_new(p->trace_id, TRACE_ID_SIZE));
    sql_addf(&s, " LIMIT 1 BY span_id LIMIT %u", TRACE_SPANS_MAX);
    int r = query_run_limit(q, &s, TRACE_SPANS_MAX, &f->rows);
    sql_done(&s);
    if (r < 0)
        return r;
    f->next = arena_array(q->arena, uint32_t, f->rows.n + 1);
    if (!f->next)
        r = -ENOMEM;
    for (size_t i = 0; i < f->rows.n && r == 0; i++) {
        struct map_entry *e = map_put(&f->first, row_text(&f->rows, i, 1), NULL);
        if (!e) {
            r = -ENOMEM;
            break;
        }
        f->next[i] = (uint32_t) e->number;
        e->number = i + 1;
    }
    if (r < 0)
        rows_done(&f->rows);
    return r;
}

/* Breadth first, so that what is beyond the limit is deepest. Each span is somebody's child once,
 * but the ids named may lie below each other. */
static int add_descendants(struct query *q, struct profile_selection *p, struct family *f) {
    uint8_t *ids = arena_alloc(q->arena, PROFILE_SUBTREE_SPANS_MAX * SPAN_ID_SIZE);
    struct map seen;
    size_t n = 0;

    if (!ids)
        return -ENOMEM;
    map_init(&seen, PROFILE_SUBTREE_SPANS_MAX, PROFILE_SUBTREE_SPANS_MAX * SPAN_ID_SIZE * 2);
    for (size_t i = 0; i < p->n_spans; i++, n++) {
        memcpy(ids + n * SPAN_ID_SIZE, p->span_ids + i * SPAN_ID_SIZE, SPAN_ID_SIZE);
        map_put(&seen, slice_new(ids + n * SPAN_ID_SIZE, SPAN_ID_SIZE), NULL);
    }
    for (size_t at = 0; at < n; at++) {
        const struct map_entry *e =
                map_get(&f->first, slice_new(ids + at * SPAN_ID_SIZE, SPAN_ID_SIZE));
        for (uint64_t row = e ? e->number : 0; row && n < PROFILE_SUBTREE_SPANS_MAX;
             row = f->next[row - 1]) {
            struct slice id = row_text(&f->rows, row - 1, 0);
            bool is_new;
            if (id.size == SPAN_ID_SIZE && map_put(&seen, id, &is_new) && is_new)
                memcpy(ids + n++ * SPAN_ID_SIZE, id.data, SPAN_ID_SIZE);
        }
    }
    map_done(&seen);
    p->span_ids = ids;
    p->n_spans = n;
    return 0;
}

int query_profile_of_trace(struct query *q, struct profile_selection *p, bool whole_range,
                           bool subtree) {
    struct family f = {0};
    int r = whole_range ? find_range(q, p) : 0;

    if (r < 0 || !subtree || p->n_spans == 0)
        return r;
    map_init(&f.first, TRACE_SPANS_MAX, TRACE_SPANS_MAX * SPAN_ID_SIZE * 2);
    r = load_family(q, p, &f);
    if (r == 0) {
        r = add_descendants(q, p, &f);
        rows_done(&f.rows);
    }
    map_done(&f.first);
    return r;
}

/* ---- What each span cost ---- */

static int write_types(struct query *q, const struct profile_selection *p) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT type, any(unit), sum(value) AS v FROM (");
    sql_profile_samples(&s, p, "type, unit");
    sql_addf(&s, ") GROUP BY type ORDER BY type LIMIT %u", TYPES_MAX);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(q->json, "types");
    json_begin_array(q->json);
    for (size_t i = 0; i < rows.n; i++) {
        json_begin_object(q->json);
        json_field_string(q->json, "type", row_text(&rows, i, 0));
        json_field_string(q->json, "unit", row_text(&rows, i, 1));
        json_field_uint(q->json, "sum", row_u64(&rows, i, 2));
        json_end_object(q->json);
    }
    json_end_array(q->json);
    rows_done(&rows);
    return 0;
}

static int write_spans(struct query *q, const struct profile_selection *p) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT span_id, any(service), groupArray(type), groupArray(v) FROM (SELECT "
                "span_id, type, any(service) AS service, sum(value) AS v FROM (");
    sql_profile_samples(&s, p, "span_id, type, service");
    sql_addf(&s,
             ") GROUP BY span_id, type ORDER BY type) GROUP BY span_id ORDER BY sum(v) DESC, "
             "span_id LIMIT %u",
             SPANS_SHOWN);
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    json_put_key(q->json, "spans");
    json_begin_array(q->json);
    for (size_t i = 0; i < rows.n; i++) {
        json_begin_object(q->json);
        json_field_hex(q->json, "span_id", row_text(&rows, i, 0));
        json_field_string(q->json, "service", row_text(&rows, i, 1));
        json_put_key(q->json, "values");
        json_begin_object(q->json);
        for (size_t at = 0; at < native_reader_length(rows.reader, i, 2); at++) {
            json_put_key_slice(q->json, native_reader_item(rows.reader, i, 2, at).text);
            json_put_uint(q->json, native_reader_item(rows.reader, i, 3, at).u64);
        }
        json_end_object(q->json);
        json_end_object(q->json);
    }
    json_end_array(q->json);
    rows_done(&rows);
    return 0;
}

int query_profile_trace(struct query *q, const struct profile_selection *p) {
    json_begin_object(q->json);
    json_field_hex(q->json, "trace_id", slice_new(p->trace_id, TRACE_ID_SIZE));
    json_field_ns_text(q->json, "from_ns", p->from_ns);
    json_field_ns_text(q->json, "to_ns", p->to_ns);
    int r = write_types(q, p);
    if (r == 0)
        r = write_spans(q, p);
    json_end_object(q->json);
    return r;
}
