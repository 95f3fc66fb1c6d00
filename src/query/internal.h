/* Inside query/: running SELECTs, reading rows, steps of time, common pieces of JSON. One owner. */
#ifndef VARAN_QUERY_INTERNAL_H
#define VARAN_QUERY_INTERNAL_H

#include "base/clock.h"
#include "query/query.h"

/* ---- Rows ---- */

struct rows {
    struct buffer bytes;
    struct native_reader *reader;
    size_t n;
};

/* Runs what `s` holds and keeps the answer. The caller ends it with rows_done(). */
int query_run(struct query *q, struct sql *s, struct rows *ret);
/* The same with a limit of rows of its own. */
int query_run_limit(struct query *q, struct sql *s, size_t rows_max, struct rows *ret);
void rows_done(struct rows *r);

static inline uint64_t row_u64(const struct rows *r, size_t row, unsigned column) {
    return native_reader_cell(r->reader, row, column).u64;
}
static inline int64_t row_i64(const struct rows *r, size_t row, unsigned column) {
    return (int64_t) native_reader_cell(r->reader, row, column).u64;
}
static inline double row_f64(const struct rows *r, size_t row, unsigned column) {
    return native_reader_cell(r->reader, row, column).f64;
}
static inline struct slice row_text(const struct rows *r, size_t row, unsigned column) {
    return native_reader_cell(r->reader, row, column).text;
}

/* A copy in the question's arena; the empty slice without memory. */
struct slice query_dup(struct query *q, struct slice s);
/* Whether there is time left and someone still waits: 0, -ETIMEDOUT or -ECANCELED. */
int query_goes_on(const struct query *q);

/* ---- Parts of statements ---- */

/* ts >= from AND ts < to, for tables whose ts is a DateTime64(9). */
void sql_between(struct sql *s, int64_t from_ns, int64_t to_ns);
/* The same as a condition that the primary key of spans and logs can use. */
void sql_range(struct sql *s, int64_t from_ns, int64_t to_ns);
/* The same for tables in steps of 10 s: the steps that touch the range. */
void sql_range_seconds(struct sql *s, int64_t from_ns, int64_t to_ns);
/* " AND " and the filter. */
int sql_filter(struct sql *s, const struct query *q, enum filter_target target);
/* Bytes as a constant of type FixedString(n). */
void sql_bytes(struct sql *s, struct slice bytes);

/* ---- Steps ---- */

#define STEPS_MAX 120u
#define RED_STEP_NS (10 * NS_PER_S)

struct steps {
    int64_t first_ns, step_ns;
    size_t n;
};
/* About `wanted` steps over the range, at multiples of a round length that is at least `min_ns`. */
struct steps steps_of(int64_t from_ns, int64_t to_ns, size_t wanted, int64_t min_ns);
/* Appends the step's number of column `ts` (DateTime64(9)), or of a DateTime in seconds. */
void sql_step(struct sql *s, const struct steps *st, bool seconds);

/* "from_ns", "to_ns", "step_ns" and "times". */
void json_steps(struct json_writer *w, const struct query *q, const struct steps *st);
void json_times(struct json_writer *w, const struct steps *st);
void json_field_ns_text(struct json_writer *w, const char *key, int64_t ns);
void json_field_hex(struct json_writer *w, const char *key, struct slice bytes);
void json_field_null(struct json_writer *w, const char *key);
/* Hexadecimal, or null when all bytes are zero. */
void json_field_id(struct json_writer *w, const char *key, struct slice bytes);
bool bytes_are_zero(struct slice bytes);

/* ---- Attributes: values.c ---- */

/* "attributes": [{key, type, value}] of a row's map column and its types. */
void json_attributes(struct json_writer *w, const struct rows *r, size_t row, unsigned map,
                     unsigned types);
/* One value in the text form of docs/internals/storage.md. */
void json_value(struct json_writer *w, unsigned type, struct slice text);
/* Whether `text` is one JSON value, whole. */
bool json_is_value(struct slice text);
/* "events": and "links": from their JSON columns; times become offsets from `start_ns`. */
void json_events(struct json_writer *w, struct slice events, int64_t start_ns);
void json_links(struct json_writer *w, struct slice links);

/* ---- Resources: resources.c ---- */

/* "resources": {"<id>": {key: text}} for the ids, which may repeat. */
int json_resources(struct query *q, const uint64_t *ids, size_t n);

/* ---- Trace summaries: trace_list.c ---- */

struct trace_hit {
    uint8_t trace_id[TRACE_ID_SIZE];
    int64_t key; /* what the list is sorted by: time or duration of the newest or slowest match */
};
/* An array of summaries in the order given; `q`'s range and filter count the matches. */
int json_trace_summaries(struct query *q, const struct trace_hit *hits, size_t n);
/* The first `limit` traces of a filter, without paging. */
int query_slowest(struct query *q, unsigned limit, struct trace_hit *ret, size_t *ret_n);

/* ---- Logs ---- */

/* {"times", "step_ns", "levels", "total"} fields, without the braces. */
int json_logs_by_level(struct query *q);

void json_log(struct json_writer *w, const struct rows *r, size_t row);

#endif
