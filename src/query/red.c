/* RED figures: see red.h. Memory of the question's arena; one owner at a time. */
#include "query/red.h"

#include "base/map.h"

#include <math.h>

#define LOG_1_02 0.01980262729617973

void durations_add(struct durations *k, int64_t bucket, uint64_t count) {
    if (bucket < 0)
        bucket = 0;
    if (bucket >= DURATION_BUCKETS)
        bucket = DURATION_BUCKETS - 1;
    k->counts[bucket] += count;
    k->total += count;
}

double durations_bound(int64_t bucket) {
    return bucket <= 0 ? 1 : exp((double) bucket * LOG_1_02);
}

double durations_quantile(const struct durations *k, double q) {
    if (k->total == 0)
        return NAN;
    uint64_t rank = (uint64_t) ceil(q * (double) k->total), seen = 0;
    if (rank == 0)
        rank = 1;
    for (unsigned i = 0; i < DURATION_BUCKETS; i++) {
        seen += k->counts[i];
        if (seen >= rank) /* the bucket's geometric middle: at most 1 % off */
            return i == 0 ? 1 : exp(((double) i - 0.5) * LOG_1_02);
    }
    return durations_bound(DURATION_BUCKETS - 1);
}

void durations_add_row(struct durations *k, const struct rows *r, size_t row, unsigned column) {
    size_t n = native_reader_length(r->reader, row, column);

    for (size_t i = 0; i < n; i++)
        durations_add(k, (int16_t) native_reader_key(r->reader, row, column, i).u64,
                      native_reader_item(r->reader, row, column, i).u64);
}

/* ---- The statement ---- */

static const char *key_column(enum red_key by, bool spans) {
    return by == RED_TOTAL ? "''" : by == RED_BY_SERVICE ? "service" : spans ? "name" : "operation";
}

/* Conditions both sources share, over both ranges. */
static int add_conditions(struct sql *s, const struct query *q, struct slice service, bool spans) {
    int64_t before = q->from_ns - (q->to_ns - q->from_ns);

    sql_add(s, " WHERE ");
    if (spans)
        sql_range(s, before, q->to_ns);
    else
        sql_range_seconds(s, before, q->to_ns);
    sql_add(s, " AND entry = 1");
    if (service.size) {
        sql_add(s, " AND service = ");
        sql_string(s, service);
    }
    return sql_filter(s, q, spans ? TARGET_SPANS : TARGET_RED);
}

/* Only the busiest keys. */
static int add_busiest(struct sql *s, const struct query *q, enum red_key by, struct slice service,
                       bool spans) {
    if (by == RED_TOTAL)
        return 0;
    sql_addf(s, " AND %s IN (SELECT %s FROM %s", key_column(by, spans), key_column(by, spans),
             spans ? "spans" : "red");
    int r = add_conditions(s, q, service, spans);
    sql_addf(s, " GROUP BY 1 ORDER BY %s DESC LIMIT %u)", spans ? "count()" : "sum(count)",
             RED_KEYS_MAX);
    return r;
}

/* Columns: key, kind, now (0 or 1), step, count, errors, time, sketch. */
static int build(struct sql *s, const struct query *q, enum red_key by, struct slice service,
                 const struct steps *st, bool spans) {
    const char *key = key_column(by, spans);
    const char *kind = by == RED_BY_OPERATION ? "kind" : "toUInt8(0)";
    int r;

    sql_add(s, spans ? "SELECT k, kd, now, step, sum(c), sum(e), sum(t), "
                       "CAST((groupArray(b), groupArray(c)), 'Map(Int16, UInt64)') FROM ("
                     : "");
    sql_addf(s, "SELECT %s AS k, %s AS kd, toUInt8(ts >= ", key, kind);
    if (spans)
        sql_time(s, q->from_ns);
    else
        sql_seconds(s, q->from_ns / RED_STEP_NS * RED_STEP_NS);
    sql_add(s, ") AS now, if(now, ");
    sql_step(s, st, !spans);
    sql_add(s, ", 0) AS step, ");
    sql_add(s,
            spans ? SKETCH_SQL " AS b, count() AS c, countIf(status = 2) AS e, "
                               "sum(duration_ns) AS t FROM spans"
                  : "sum(count), sumIf(count, status = 2), sum(sum_ns), sumMap(sketch) FROM red");
    r = add_conditions(s, q, service, spans);
    if (r == 0)
        r = add_busiest(s, q, by, service, spans);
    sql_add(s, spans ? " GROUP BY k, kd, now, step, b) GROUP BY k, kd, now, step"
                     : " GROUP BY k, kd, now, step");
    return r;
}

/* ---- Reading ---- */

static int new_entry(struct query *q, struct red_set *set, struct slice key, unsigned kind) {
    struct red_entry *e = &set->items[set->n];
    size_t n = set->steps.n;

    *e = (struct red_entry){.key = query_dup(q, key), .kind = kind};
    for (int i = 0; i < 2; i++)
        e->sketch[i] = arena_new(q->arena, struct durations);
    e->counts = arena_array(q->arena, uint64_t, n);
    e->error_counts = arena_array(q->arena, uint64_t, n);
    e->p50 = arena_array(q->arena, double, n);
    e->p95 = arena_array(q->arena, double, n);
    e->p99 = arena_array(q->arena, double, n);
    if (!e->sketch[0] || !e->sketch[1] || !e->counts || !e->error_counts || !e->p50 || !e->p95 ||
        !e->p99)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        e->p50[i] = e->p95[i] = e->p99[i] = NAN;
    set->n++;
    return 0;
}

static void read_row(const struct rows *r, size_t row, const struct steps *st,
                     struct durations *scratch, struct red_entry *e) {
    unsigned when = row_u64(r, row, 2) ? RED_NOW : RED_BEFORE;
    uint64_t count = row_u64(r, row, 4), errors = row_u64(r, row, 5);

    e->count[when] += count;
    e->errors[when] += errors;
    e->time_ns[when] += row_u64(r, row, 6);
    durations_add_row(e->sketch[when], r, row, 7);
    size_t step = row_u64(r, row, 3);
    if (when != RED_NOW || step >= st->n)
        return;
    memset(scratch, 0, sizeof(*scratch));
    durations_add_row(scratch, r, row, 7);
    e->counts[step] += count;
    e->error_counts[step] += errors;
    e->p50[step] = durations_quantile(scratch, 0.5);
    e->p95[step] = durations_quantile(scratch, 0.95);
    e->p99[step] = durations_quantile(scratch, 0.99);
}

static int by_count(const void *a, const void *b) {
    const struct red_entry *x = a, *y = b;

    if (x->count[RED_NOW] != y->count[RED_NOW])
        return x->count[RED_NOW] < y->count[RED_NOW] ? 1 : -1;
    return slice_compare(x->key, y->key);
}

static int read_rows(struct query *q, const struct rows *r, struct red_set *set) {
    struct durations *scratch = arena_new(q->arena, struct durations);
    struct map index;
    int error = scratch ? 0 : -ENOMEM;

    /* One operation may come as several kinds. */
    size_t cap = RED_KEYS_MAX * 6;
    set->items = arena_array(q->arena, struct red_entry, cap);
    if (!set->items)
        return -ENOMEM;
    map_init(&index, cap, 4 << 20);
    for (size_t i = 0; i < r->n && error == 0; i++) {
        struct slice key = row_text(r, i, 0);
        char tail[2] = {(char) row_u64(r, i, 1), 0};
        char *joined = arena_printf(q->arena, "%.*s%c", SLICE_ARG(key), tail[0]);
        bool is_new = false;
        struct map_entry *m =
                joined ? map_put(&index, slice_new(joined, key.size + 1), &is_new) : NULL;
        if (!m) {
            error = set->n == cap ? 0 : -ENOMEM;
            continue;
        }
        if (is_new) {
            error = new_entry(q, set, key, (unsigned) row_u64(r, i, 1));
            m->number = set->n - 1;
        }
        if (error == 0)
            read_row(r, i, &set->steps, scratch, &set->items[m->number]);
    }
    map_done(&index);
    if (error == 0 && set->n)
        qsort(set->items, set->n, sizeof(*set->items), by_count);
    return error;
}

int red_fetch(struct query *q, enum red_key by, struct slice service, struct red_set *ret) {
    bool spans = !filter_fits_red(q->filter);
    struct sql s;
    struct rows rows;

    *ret = (struct red_set){.steps = steps_of(q->from_ns, q->to_ns, 60, RED_STEP_NS)};
    sql_init(&s, q->arena);
    int r = build(&s, q, by, service, &ret->steps, spans);
    if (r == 0)
        r = query_run(q, &s, &rows);
    sql_done(&s);
    if (r < 0)
        return r;
    r = read_rows(q, &rows, ret);
    rows_done(&rows);
    return r;
}

/* ---- Writing ---- */

void json_field_known(struct json_writer *w, const char *key, double v) {
    json_put_key(w, key);
    json_put_double(w, v); /* null unless finite */
}

static void begin_figure(struct json_writer *w, const char *key, double value, double previous) {
    json_put_key(w, key);
    json_begin_object(w);
    json_field_known(w, "value", value);
    json_field_known(w, "previous", previous);
    json_put_key(w, "points");
    json_begin_array(w);
}

static void end_figure(struct json_writer *w) {
    json_end_array(w);
    json_end_object(w);
}

static double ratio(uint64_t part, uint64_t whole) {
    return whole ? (double) part / (double) whole : NAN;
}

static void quantile_figure(struct json_writer *w, const char *key, const struct red_entry *e,
                            double quantile, const double *points, size_t n) {
    begin_figure(w, key, round(durations_quantile(e->sketch[RED_NOW], quantile)),
                 round(durations_quantile(e->sketch[RED_BEFORE], quantile)));
    for (size_t i = 0; i < n; i++)
        json_put_double(w, round(points[i]));
    end_figure(w);
}

void json_red_figures(struct json_writer *w, const struct query *q, const struct red_entry *e,
                      const struct steps *st) {
    double seconds = (double) (q->to_ns - q->from_ns) / 1e9, step = (double) st->step_ns / 1e9;

    begin_figure(w, "rate", (double) e->count[RED_NOW] / seconds,
                 e->count[RED_BEFORE] ? (double) e->count[RED_BEFORE] / seconds : NAN);
    for (size_t i = 0; i < st->n; i++)
        json_put_double(w, (double) e->counts[i] / step);
    end_figure(w);
    begin_figure(w, "errors", ratio(e->errors[RED_NOW], e->count[RED_NOW]),
                 ratio(e->errors[RED_BEFORE], e->count[RED_BEFORE]));
    for (size_t i = 0; i < st->n; i++)
        json_put_double(w, ratio(e->error_counts[i], e->counts[i]));
    end_figure(w);
    quantile_figure(w, "p50", e, 0.5, e->p50, st->n);
    quantile_figure(w, "p95", e, 0.95, e->p95, st->n);
    quantile_figure(w, "p99", e, 0.99, e->p99, st->n);
}
