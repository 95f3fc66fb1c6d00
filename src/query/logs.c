/*
 * Log lines: search, histogram by level, the lines around one. Lists walk windows of time like the
 * traces' do; a cursor holds the range and the last line's time and number. One owner.
 */
#include "query/internal.h"

#include "base/map.h"
#include "signal/signal.h"

#include <inttypes.h>

#define WINDOWS_FIRST 64
#define WINDOW_NS_MIN (10 * NS_PER_S)
#define SEARCH_BUDGET_NS (4 * NS_PER_S)
#define CONTEXT_NS (3600 * NS_PER_S) /* looked at first, on each side */
#define CONTEXT_NS_FAR (24 * 3600 * NS_PER_S)

enum {
    C_SEQ,
    C_TS,
    C_OBSERVED,
    C_SEVERITY,
    C_SEVERITY_TEXT,
    C_SERVICE,
    C_BODY,
    C_BODY_TYPE,
    C_TRACE,
    C_SPAN,
    C_SCOPE,
    C_EVENT,
    C_RESOURCE,
    C_ATTRIBUTES,
    C_TYPES,
};

#define LOG_COLUMNS                                                                                \
    "seq, toUnixTimestamp64Nano(ts), toUnixTimestamp64Nano(observed_ts), severity, "               \
    "severity_text, "                                                                              \
    "service, body, body_type, trace_id, span_id, scope, event_name, resource_id, attributes, "    \
    "attribute_types"

static const char *severity_name(unsigned n) {
    static const char *const names[] = {"trace", "debug", "info", "warn", "error", "fatal"};

    return n == 0 || n > 24 ? "" : names[(n - 1) / 4];
}

void json_log(struct json_writer *w, const struct rows *r, size_t row) {
    char text[32];
    unsigned severity = (unsigned) row_u64(r, row, C_SEVERITY);

    json_begin_object(w);
    snprintf(text, sizeof(text), "%" PRIu64, row_u64(r, row, C_SEQ));
    json_field_text(w, "id", text);
    json_field_ns_text(w, "time_ns", row_i64(r, row, C_TS));
    json_field_ns_text(w, "observed_ns", row_i64(r, row, C_OBSERVED));
    json_field_text(w, "severity", severity_name(severity));
    json_field_uint(w, "severity_number", severity);
    json_field_string(w, "severity_text", row_text(r, row, C_SEVERITY_TEXT));
    json_field_string(w, "service", row_text(r, row, C_SERVICE));
    json_put_key(w, "body");
    json_value(w, (unsigned) row_u64(r, row, C_BODY_TYPE), row_text(r, row, C_BODY));
    json_field_id(w, "trace_id", row_text(r, row, C_TRACE));
    json_field_id(w, "span_id", row_text(r, row, C_SPAN));
    json_field_string(w, "scope", row_text(r, row, C_SCOPE));
    json_field_string(w, "event_name", row_text(r, row, C_EVENT));
    snprintf(text, sizeof(text), "%" PRIu64, row_u64(r, row, C_RESOURCE));
    json_field_text(w, "resource", text);
    json_attributes(w, r, row, C_ATTRIBUTES, C_TYPES);
    json_end_object(w);
}

/* ---- Search ---- */

struct log_place { /* in the order of (ts, seq) */
    int64_t ts_ns;
    uint64_t seq;
};

struct walk {
    struct query *q;
    bool ascending, bounded, exhausted;
    struct log_place bound, last;
    size_t n, wanted;
};

static int read_cursor(struct walk *f) {
    struct query *q = f->q;
    struct slice rest = q->cursor;
    struct slice from = slice_cut(&rest, '.'), to = slice_cut(&rest, '.'),
                 ts = slice_cut(&rest, '.');

    if (q->cursor.size == 0)
        return 0;
    if (slice_to_i64(from, &q->from_ns) < 0 || slice_to_i64(to, &q->to_ns) < 0 ||
        slice_to_i64(ts, &f->bound.ts_ns) < 0 || slice_to_u64(rest, &f->bound.seq) < 0 ||
        q->from_ns < 0 || q->to_ns <= q->from_ns || f->bound.ts_ns < 0)
        return error_set(q->error, -EINVAL, "cursor: not one that was given out");
    f->bounded = true;
    return 0;
}

/* Lines before (after) the bound, newest (oldest) first. */
static void add_bound(struct sql *s, const struct log_place *b, bool ascending) {
    sql_addf(s, " AND ts %s ", ascending ? ">=" : "<=");
    sql_time(s, b->ts_ns);
    sql_addf(s, " AND (ts %s ", ascending ? ">" : "<");
    sql_time(s, b->ts_ns);
    sql_addf(s, " OR seq %s %" PRIu64 ")", ascending ? ">" : "<", b->seq);
}

static int read_lines(struct walk *f, int64_t from_ns, int64_t to_ns, size_t most,
                      struct rows *ret) {
    struct sql s;

    sql_init(&s, f->q->arena);
    sql_add(&s, "SELECT " LOG_COLUMNS " FROM logs");
    filter_compile_prewhere(f->q->filter, &s);
    sql_add(&s, " WHERE ");
    sql_range(&s, from_ns, to_ns);
    if (f->bounded)
        add_bound(&s, &f->bound, f->ascending);
    int r = sql_filter(&s, f->q, TARGET_LOGS);
    sql_addf(&s,
             f->ascending ? " ORDER BY ts, seq LIMIT %zu" : " ORDER BY ts DESC, seq DESC LIMIT %zu",
             most);
    if (r == 0)
        r = query_run(f->q, &s, ret);
    sql_done(&s);
    return r;
}

/* Writes lines until the page is full; one more than wanted is looked for and not written. */
static int walk_lines(struct walk *f) {
    struct query *q = f->q;
    int64_t from = q->from_ns, to = q->to_ns, window = (to - from) / WINDOWS_FIRST;
    int64_t budget = clock_monotonic_ns() + SEARCH_BUDGET_NS;

    if (window < WINDOW_NS_MIN)
        window = WINDOW_NS_MIN;
    if (f->bounded && f->ascending && f->bound.ts_ns > from)
        from = f->bound.ts_ns;
    if (f->bounded && !f->ascending && f->bound.ts_ns < to)
        to = f->bound.ts_ns + 1;
    while (f->n <= f->wanted && from < to && clock_monotonic_ns() < budget) {
        int64_t low = f->ascending || to - from <= window ? from : to - window;
        int64_t high = !f->ascending || to - from <= window ? to : from + window;
        struct rows rows;
        int r = read_lines(f, low, high, f->wanted + 1 - f->n, &rows);
        if (r < 0)
            return r;
        for (size_t i = 0; i < rows.n; i++, f->n++) {
            if (f->n == f->wanted)
                continue;
            f->last = (struct log_place){row_i64(&rows, i, C_TS), row_u64(&rows, i, C_SEQ)};
            json_log(q->json, &rows, i);
        }
        rows_done(&rows);
        if (f->ascending)
            from = high;
        else
            to = low;
        if (window < INT64_MAX / 4)
            window *= 4;
    }
    f->exhausted = from >= to;
    return 0;
}

int query_logs(struct query *q, bool ascending) {
    struct walk f = {.q = q, .ascending = ascending, .wanted = q->limit};
    struct json_writer *w = q->json;
    char text[128];

    int r = read_cursor(&f);
    if (r < 0)
        return r;
    json_begin_object(w);
    json_put_key(w, "logs");
    json_begin_array(w);
    r = walk_lines(&f);
    if (r < 0)
        return r;
    json_end_array(w);
    bool more = f.n > f.wanted, truncated = !more && !f.exhausted;
    json_put_key(w, "next_cursor");
    if ((more || truncated) && f.n) {
        int n = snprintf(text, sizeof(text), "%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRIu64,
                         q->from_ns, q->to_ns, f.last.ts_ns, f.last.seq);
        json_put_string(w, slice_new(text, (size_t) n));
    } else {
        json_put_null(w);
    }
    json_field_bool(w, "truncated", truncated);
    json_end_object(w);
    return 0;
}

/* ---- Histogram ---- */

static const char *const level_keys[] = {"error", "warn", "info", "debug", "other"};
enum { LEVELS = sizeof(level_keys) / sizeof(level_keys[0]) };

static int level_of(unsigned severity) {
    return severity == 0 || severity > 24 ? 4
           : severity >= 17               ? 0
           : severity >= 13               ? 1
           : severity >= 9                ? 2
                                          : 3;
}

int json_logs_by_level(struct query *q) {
    struct steps st = steps_of(q->from_ns, q->to_ns, 60, NS_PER_MS);
    uint64_t *counts = arena_array(q->arena, uint64_t, st.n * LEVELS), total = 0;
    struct json_writer *w = q->json;
    struct sql s;
    struct rows rows;

    if (!counts)
        return -ENOMEM;
    sql_init(&s, q->arena);
    sql_add(&s, "SELECT ");
    sql_step(&s, &st, false);
    sql_add(&s, " AS step, severity, count() FROM logs");
    filter_compile_prewhere(q->filter, &s);
    sql_add(&s, " WHERE ");
    sql_range(&s, q->from_ns, q->to_ns);
    int r = sql_filter(&s, q, TARGET_LOGS);
    sql_add(&s, " GROUP BY step, severity");
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.n; i++) {
        size_t step = row_u64(&rows, i, 0);
        if (step < st.n)
            counts[(size_t) level_of((unsigned) row_u64(&rows, i, 1)) * st.n + step] +=
                    row_u64(&rows, i, 2);
        total += row_u64(&rows, i, 2);
    }
    rows_done(&rows);
    json_times(w, &st);
    json_field_int(w, "step_ns", st.step_ns);
    json_put_key(w, "levels");
    json_begin_object(w);
    for (size_t level = 0; level < LEVELS; level++) {
        json_put_key(w, level_keys[level]);
        json_begin_array(w);
        for (size_t i = 0; i < st.n; i++)
            json_put_uint(w, counts[level * st.n + i]);
        json_end_array(w);
    }
    json_end_object(w);
    json_field_uint(w, "total", total);
    return 0;
}

int query_logs_histogram(struct query *q) {
    json_begin_object(q->json);
    int r = json_logs_by_level(q);
    json_end_object(q->json);
    return r;
}

/* ---- One line, and those around it ---- */

static int fetch_line(struct query *q, uint64_t seq, int64_t time_ns, struct rows *ret) {
    struct sql s;

    sql_init(&s, q->arena);
    sql_addf(&s, "SELECT " LOG_COLUMNS " FROM logs WHERE seq = %" PRIu64, seq);
    if (time_ns) {
        sql_add(&s, " AND ");
        sql_range(&s, time_ns, time_ns + 1);
    }
    sql_add(&s, " LIMIT 1");
    int r = query_run(q, &s, ret);
    sql_done(&s);
    if (r == 0 && ret->n == 0) {
        rows_done(ret);
        r = error_set(q->error, -ENOENT, "there is no such log line");
    }
    return r;
}

int query_log(struct query *q, uint64_t seq, int64_t time_ns) {
    struct rows rows;
    int r = fetch_line(q, seq, time_ns, &rows);

    if (r < 0)
        return r;
    json_log(q->json, &rows, 0);
    rows_done(&rows);
    return 0;
}

/* Up to `most` lines of the resource on one side of the place, nearest first. */
static int fetch_side(struct query *q, uint64_t resource, const struct log_place *place, bool later,
                      unsigned most, struct rows *ret) {
    int64_t reach = CONTEXT_NS;
    int r;

    for (;;) {
        struct sql s;
        sql_init(&s, q->arena);
        sql_add(&s, "SELECT " LOG_COLUMNS " FROM logs WHERE ");
        if (later)
            sql_range(&s, place->ts_ns, place->ts_ns + reach);
        else
            sql_range(&s, place->ts_ns - reach, place->ts_ns + 1);
        sql_addf(&s, " AND resource_id = %" PRIu64, resource);
        add_bound(&s, place, later);
        sql_addf(&s, later ? " ORDER BY ts, seq LIMIT %u" : " ORDER BY ts DESC, seq DESC LIMIT %u",
                 most);
        r = query_run(q, &s, ret);
        sql_done(&s);
        if (r < 0 || ret->n == most || reach == CONTEXT_NS_FAR)
            return r;
        rows_done(ret);
        reach = CONTEXT_NS_FAR;
    }
}

int query_logs_context(struct query *q, uint64_t seq, int64_t time_ns, unsigned before,
                       unsigned after) {
    struct rows line, earlier, later;

    int r = fetch_line(q, seq, time_ns, &line);
    if (r < 0)
        return r;
    uint64_t resource = row_u64(&line, 0, C_RESOURCE);
    struct log_place place = {row_i64(&line, 0, C_TS), seq};
    r = fetch_side(q, resource, &place, false, before, &earlier);
    if (r == 0) {
        r = fetch_side(q, resource, &place, true, after, &later);
        if (r == 0) {
            json_begin_object(q->json);
            json_put_key(q->json, "logs");
            json_begin_array(q->json);
            for (size_t i = earlier.n; i > 0; i--)
                json_log(q->json, &earlier, i - 1);
            json_log(q->json, &line, 0);
            for (size_t i = 0; i < later.n; i++)
                json_log(q->json, &later, i);
            json_end_array(q->json);
            json_field_uint(q->json, "index", earlier.n);
            json_end_object(q->json);
            rows_done(&later);
        }
        rows_done(&earlier);
    }
    rows_done(&line);
    return r;
}

/* ---- Live tail ---- */

int query_logs_newer(struct query *q, uint64_t seq, unsigned most,
                     void (*each)(void *ctx, uint64_t seq, struct slice json), void *ctx,
                     uint64_t *ret_newest) {
    struct buffer line;
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT " LOG_COLUMNS " FROM logs WHERE ");
    sql_range(&s, q->from_ns, q->to_ns);
    sql_addf(&s, " AND seq > %" PRIu64, seq);
    int r = sql_filter(&s, q, TARGET_LOGS);
    sql_addf(&s, " ORDER BY seq DESC LIMIT %u", most);
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    buffer_init(&line, QUERY_ANSWER_BYTES);
    for (size_t i = rows.n; i > 0; i--) {
        struct json_writer w = json_writer(&line);
        uint64_t own = row_u64(&rows, i - 1, C_SEQ);
        buffer_clear(&line);
        json_log(&w, &rows, i - 1);
        if (own > *ret_newest)
            *ret_newest = own;
        if (!line.failed)
            each(ctx, own, buffer_slice(&line));
    }
    buffer_done(&line);
    rows_done(&rows);
    return 0;
}

int query_logs_count_newer(struct query *q, uint64_t seq, uint64_t *ret_count,
                           uint64_t *ret_newest) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT count(), max(seq) FROM logs WHERE ");
    sql_range(&s, q->from_ns, q->to_ns);
    sql_addf(&s, " AND seq > %" PRIu64, seq);
    int r = sql_filter(&s, q, TARGET_LOGS);
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    *ret_count = rows.n ? row_u64(&rows, 0, 0) : 0;
    *ret_newest = rows.n ? row_u64(&rows, 0, 1) : 0;
    rows_done(&rows);
    return 0;
}

int query_has_data(struct query *q, bool ret[3]) {
    struct rows rows;
    struct sql s;

    sql_init(&s, q->arena);
    sql_add(&s, "SELECT (SELECT count() FROM spans), (SELECT count() FROM logs), "
                "(SELECT count() FROM samples)");
    int r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < 3; i++)
        ret[i] = rows.n && row_u64(&rows, 0, i) > 0;
    rows_done(&rows);
    return 0;
}
