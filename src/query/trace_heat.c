/* The distribution of durations over time: a heat map of entry spans. One owner. */
#include "query/red.h"

#include <math.h>

#define HEAT_ROWS_MAX 30 /* buckets of duration */

struct heat {
    struct steps steps;
    struct durations *per_step;
    uint64_t *errors;  /* per step */
    int64_t low, high; /* sketch buckets that occur */
    struct durations all;
};

/* Columns: step, bucket, count, errors. From RED rows: step, map, errors. */
static int build(struct sql *s, const struct query *q, const struct steps *st, bool spans,
                 bool entry) {
    int r;

    sql_add(s, "SELECT ");
    sql_step(s, st, !spans);
    sql_add(s, spans ? " AS step, " SKETCH_SQL " AS b, count(), countIf(status = 2) FROM spans"
                     : " AS step, sumMap(sketch), sumIf(count, status = 2) FROM red");
    if (spans)
        filter_compile_prewhere(q->filter, s);
    sql_add(s, " WHERE ");
    if (spans)
        sql_range(s, q->from_ns, q->to_ns);
    else
        sql_range_seconds(s, q->from_ns, q->to_ns);
    if (entry)
        sql_add(s, " AND entry = 1");
    r = sql_filter(s, q, spans ? TARGET_SPANS : TARGET_RED);
    sql_add(s, spans ? " GROUP BY step, b" : " GROUP BY step");
    return r;
}

static int read_cells(struct query *q, const struct rows *rows, bool spans, struct heat *h) {
    struct durations *per_step = arena_array(q->arena, struct durations, h->steps.n);

    h->per_step = per_step;
    h->errors = arena_array(q->arena, uint64_t, h->steps.n);
    if (!per_step || !h->errors)
        return -ENOMEM;
    for (size_t i = 0; i < rows->n; i++) {
        size_t step = row_u64(rows, i, 0);
        if (step >= h->steps.n)
            continue;
        if (spans) {
            durations_add(&per_step[step], (int16_t) row_u64(rows, i, 1), row_u64(rows, i, 2));
            h->errors[step] += row_u64(rows, i, 3);
        } else {
            durations_add_row(&per_step[step], rows, i, 1);
            h->errors[step] += row_u64(rows, i, 2);
        }
    }
    h->low = DURATION_BUCKETS;
    h->high = -1;
    for (size_t step = 0; step < h->steps.n; step++)
        for (int64_t b = 0; b < DURATION_BUCKETS; b++) {
            uint64_t n = per_step[step].counts[b];
            if (n == 0)
                continue;
            durations_add(&h->all, b, n);
            if (b < h->low)
                h->low = b;
            if (b > h->high)
                h->high = b;
        }
    return 0;
}

static uint64_t cell(const struct heat *h, size_t step, int64_t first, int64_t width) {
    uint64_t n = 0;

    for (int64_t b = first; b < first + width && b < DURATION_BUCKETS; b++)
        n += h->per_step[step].counts[b];
    return n;
}

static void write_heat(struct query *q, const struct heat *h, bool entry) {
    struct json_writer *w = q->json;
    int64_t span = h->high >= h->low ? h->high - h->low + 1 : 0;
    int64_t width = (span + HEAT_ROWS_MAX - 1) / HEAT_ROWS_MAX;
    int64_t n = width ? (span + width - 1) / width : 0;

    json_begin_object(w);
    json_steps(w, q, &h->steps);
    json_put_key(w, "bounds_ns");
    json_begin_array(w);
    for (int64_t i = 0; n && i <= n; i++)
        json_put_double(w, round(durations_bound(h->low - 1 + i * width)));
    json_end_array(w);
    json_put_key(w, "counts");
    json_begin_array(w);
    for (size_t step = 0; step < h->steps.n; step++) {
        json_begin_array(w);
        for (int64_t i = 0; i < n; i++)
            json_put_uint(w, cell(h, step, h->low + i * width, width));
        json_end_array(w);
    }
    json_end_array(w);
    json_put_key(w, "errors");
    json_begin_array(w);
    for (size_t step = 0; step < h->steps.n; step++)
        json_put_uint(w, h->errors[step]);
    json_end_array(w);
    json_field_uint(w, "total", h->all.total);
    json_field_known(w, "p50", round(durations_quantile(&h->all, 0.5)));
    json_field_known(w, "p95", round(durations_quantile(&h->all, 0.95)));
    json_field_known(w, "p99", round(durations_quantile(&h->all, 0.99)));
    json_field_text(w, "of", entry ? "entry" : "all");
    json_end_object(w);
}

static int fetch(struct query *q, bool entry, struct heat *h) {
    /* RED rows are ten seconds long: short ranges want the spans themselves. */
    bool spans = !filter_fits_red(q->filter) || q->to_ns - q->from_ns < 30 * RED_STEP_NS;
    struct sql s;
    struct rows rows;

    memset(h, 0, sizeof(*h));
    h->steps = steps_of(q->from_ns, q->to_ns, 60, spans ? NS_PER_MS : RED_STEP_NS);
    sql_init(&s, q->arena);
    int r = build(&s, q, &h->steps, spans, entry);
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    r = read_cells(q, &rows, spans, h);
    rows_done(&rows);
    return r;
}

int query_traces_histogram(struct query *q) {
    struct heat *h = arena_new(q->arena, struct heat);
    bool entry = true;

    if (!h)
        return -ENOMEM;
    int r = fetch(q, entry, h);
    /* A filter that only inner spans match (a database, a peer) gives the picture of those. */
    if (r == 0 && h->all.total == 0 && q->filter) {
        entry = false;
        r = fetch(q, entry, h);
    }
    if (r == 0)
        write_heat(q, h, entry);
    return r;
}
