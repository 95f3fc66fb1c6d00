/* Running SELECTs and reading their rows; steps of time; small pieces of JSON. One owner at a time.
 */
#include "query/internal.h"

#include <math.h>

#define ROWS_MAX 200000u

int query_goes_on(const struct query *q) {
    if (q->cancel && atomic_load(q->cancel))
        return error_set(q->error, -ECANCELED, "the client left");
    if (clock_monotonic_ns() >= q->deadline_ns)
        return error_set(q->error, -ETIMEDOUT, "the query took too long; narrow the time range");
    return 0;
}

int query_run_limit(struct query *q, struct sql *s, size_t rows_max, struct rows *ret) {
    const char *text = sql_text(s);
    int r = query_goes_on(q);

    if (r < 0)
        return r;
    if (!text)
        return error_set(q->error, s->failed, "the query is too large: %s", error_name(s->failed));
    /* Whole seconds, so that the engine's settings seldom change. */
    int64_t left = q->deadline_ns - clock_monotonic_ns();
    struct store_limits limits = {.timeout_ns = (left / NS_PER_S + 1) * NS_PER_S,
                                  .rows_max = rows_max,
                                  .result_bytes_max = QUERY_ANSWER_BYTES,
                                  .cancel = q->cancel};
    *ret = (struct rows){0};
    buffer_init(&ret->bytes, QUERY_ANSWER_BYTES);
    r = store_query(q->store, text, s->params, s->n_params, "Native", &limits, &ret->bytes,
                    q->error);
    if (r == 0) {
        r = native_reader_new(buffer_slice(&ret->bytes), &ret->reader);
        if (r < 0)
            error_set(q->error, r, "the engine's answer cannot be read: %s", error_name(r));
    }
    if (r < 0) {
        buffer_done(&ret->bytes);
        return r;
    }
    ret->n = native_reader_rows(ret->reader);
    return 0;
}

int query_run(struct query *q, struct sql *s, struct rows *ret) {
    return query_run_limit(q, s, ROWS_MAX, ret);
}

void rows_done(struct rows *r) {
    native_reader_free(r->reader);
    buffer_done(&r->bytes);
    r->reader = NULL;
    r->n = 0;
}

struct slice query_dup(struct query *q, struct slice s) {
    return arena_dup(q->arena, s);
}

/* ---- Parts of statements ---- */

void sql_between(struct sql *s, int64_t from_ns, int64_t to_ns) {
    sql_add(s, "ts >= ");
    sql_time(s, from_ns);
    sql_add(s, " AND ts < ");
    sql_time(s, to_ns);
}

void sql_range(struct sql *s, int64_t from_ns, int64_t to_ns) {
    static const int64_t bucket = 300 * NS_PER_S;

    sql_between(s, from_ns, to_ns);
    /* The tables are sorted by five minutes, service, …, ts. The engine sees ts in the key and does
     * not think of its first part: measured, a minute of an hour then reads a third of it. */
    sql_add(s, " AND toStartOfFiveMinutes(ts) >= ");
    sql_seconds(s, from_ns / bucket * bucket);
    sql_add(s, " AND toStartOfFiveMinutes(ts) <= ");
    sql_seconds(s, to_ns / bucket * bucket);
}

void sql_range_seconds(struct sql *s, int64_t from_ns, int64_t to_ns) {
    sql_add(s, "ts >= ");
    sql_seconds(s, from_ns / RED_STEP_NS * RED_STEP_NS);
    sql_add(s, " AND ts < ");
    sql_seconds(s, (to_ns + RED_STEP_NS - 1) / RED_STEP_NS * RED_STEP_NS);
}

int sql_filter(struct sql *s, const struct query *q, enum filter_target target) {
    if (!q->filter)
        return 0;
    sql_add(s, " AND ");
    return filter_compile(q->filter, target, s);
}

void sql_bytes(struct sql *s, struct slice bytes) {
    char hex[2 * TRACE_ID_SIZE];

    if (bytes.size > TRACE_ID_SIZE) {
        s->failed = -EINVAL;
        return;
    }
    slice_to_hex(bytes, hex);
    sql_addf(s, "toFixedString(unhex('%.*s'), %zu)", (int) (2 * bytes.size), hex, bytes.size);
}

/* ---- Steps ---- */

struct steps steps_of(int64_t from_ns, int64_t to_ns, size_t wanted, int64_t min_ns) {
    static const int64_t round_ms[] = {
            1,      2,      5,       10,      20,      50,       100,      200,      500,
            1000,   2000,   5000,    10000,   20000,   30000,    60000,    120000,   300000,
            600000, 900000, 1800000, 3600000, 7200000, 14400000, 21600000, 43200000, 86400000};
    int64_t span = to_ns > from_ns ? to_ns - from_ns : 1, step = 0;
    size_t n = sizeof(round_ms) / sizeof(round_ms[0]);

    for (size_t i = 0; i < n; i++) {
        step = round_ms[i] * NS_PER_MS;
        if (step >= min_ns && span / step <= (int64_t) wanted)
            break;
    }
    while (span / step > (int64_t) wanted)
        step *= 2;
    struct steps st = {.first_ns = from_ns / step * step, .step_ns = step};
    st.n = (size_t) ((to_ns - st.first_ns + step - 1) / step);
    if (st.n == 0)
        st.n = 1;
    if (st.n > STEPS_MAX)
        st.n = STEPS_MAX;
    return st;
}

void sql_step(struct sql *s, const struct steps *st, bool seconds) {
    if (seconds)
        sql_addf(s, "toUInt32(intDiv(toInt64(toUnixTimestamp(ts)) - %lld, %lld))",
                 (long long) (st->first_ns / NS_PER_S), (long long) (st->step_ns / NS_PER_S));
    else
        sql_addf(s, "toUInt32(intDiv(toUnixTimestamp64Nano(ts) - %lld, %lld))",
                 (long long) st->first_ns, (long long) st->step_ns);
}

void json_field_ns_text(struct json_writer *w, const char *key, int64_t ns) {
    json_put_key(w, key);
    json_put_int_text(w, ns);
}

void json_field_null(struct json_writer *w, const char *key) {
    json_put_key(w, key);
    json_put_null(w);
}

void json_times(struct json_writer *w, const struct steps *st) {
    json_put_key(w, "times");
    json_begin_array(w);
    for (size_t i = 0; i < st->n; i++) {
        int64_t ns = st->first_ns + (int64_t) i * st->step_ns;
        if (st->step_ns % NS_PER_S == 0)
            json_put_int(w, ns / NS_PER_S);
        else
            json_put_double(w, (double) (ns / NS_PER_MS) / 1e3);
    }
    json_end_array(w);
}

void json_steps(struct json_writer *w, const struct query *q, const struct steps *st) {
    json_field_ns_text(w, "from_ns", q->from_ns);
    json_field_ns_text(w, "to_ns", q->to_ns);
    json_field_int(w, "step_ns", st->step_ns);
    json_times(w, st);
}

bool bytes_are_zero(struct slice bytes) {
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i])
            return false;
    return true;
}

void json_field_hex(struct json_writer *w, const char *key, struct slice bytes) {
    json_put_key(w, key);
    json_put_hex(w, bytes);
}

void json_field_id(struct json_writer *w, const char *key, struct slice bytes) {
    if (bytes_are_zero(bytes))
        json_field_null(w, key);
    else
        json_field_hex(w, key, bytes);
}
