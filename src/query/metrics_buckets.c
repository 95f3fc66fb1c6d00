/*
 * Downsampled samples as PromQL takes them: each bucket becomes a few floats from which the
 * function computes what it would from the samples themselves (when the windows are whole buckets),
 * or some evenly spread ones, so that windows and lookback narrower than a bucket find something.
 */
#include "query/metrics_private.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define SPREAD_MAX 60 /* floats of one bucket */
#define WINDOW_PARTS 4
#define ROWS_PER_SELECT 3000000

static int no_room(struct error *e) {
    return error_set(e, -ENOBUFS,
                     "the samples take more memory than a query may have: ask for fewer series or "
                     "a shorter range");
}

struct bucket {
    int64_t end, first_ms, last_ms;
    uint32_t count;
    bool stale;
    double value, last, dropped; /* value: what the function is about; of a counter the first */
};

/* ---- Floats of one bucket ---- */

static int reserve(struct floats *f, size_t more, struct arena *arena) {
    size_t room = f->room;

    if (f->n + more <= room && f->counts)
        return 0;
    while (room < f->n + more)
        room = room ? room * 2 : 64;
    int64_t *times = arena_alloc(arena, room * sizeof(*times));
    double *values = arena_alloc(arena, room * sizeof(*values));
    uint32_t *counts = arena_alloc(arena, room * sizeof(*counts));
    if (!times || !values || !counts)
        return -ENOBUFS;
    for (size_t i = 0; i < f->n; i++) {
        times[i] = f->times[i];
        values[i] = f->values[i];
        counts[i] = f->counts ? f->counts[i] : 1;
    }
    *f = (struct floats){f->n, room, times, values, f->starts, counts, f->unsorted, f->twice};
    return 0;
}

static void put(struct floats *f, int64_t time, double value, uint32_t count) {
    f->times[f->n] = time;
    f->values[f->n] = value;
    f->counts[f->n++] = count;
}

static double stale_marker(void) {
    uint64_t bits = PROMQL_STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* What rate() and increase() give for it is what they gave for the samples: the first, the last,
 * and between them a fall from the sum of all values before resets. */
static void put_counter(struct floats *f, const struct bucket *b) {
    put(f, b->first_ms, b->value, 1);
    if (b->count < 2)
        return;
    if (b->dropped > 0 && b->count > 2 && b->last_ms - b->first_ms > 2) {
        put(f, b->first_ms + 1, b->dropped, 0);
        put(f, b->first_ms + 2, 0, 0);
    }
    put(f, b->last_ms, b->last, b->count - 1);
}

static void put_exact(struct floats *f, const struct bucket *b, enum tier_emit emit) {
    switch (emit) {
    case EMIT_COUNTER: put_counter(f, b); break;
    case EMIT_SUM: put(f, b->last_ms, b->value, b->count); break;
    case EMIT_FIRST: put(f, b->first_ms, b->value, 1); break;
    case EMIT_LAST:
        put(f, b->last_ms, b->value, 1);
        if (b->stale)
            put(f, b->last_ms + 1, stale_marker(), 1);
        break;
    default: put(f, b->last_ms, b->value, 1);
    }
}

/* Evenly apart over all buckets, so that rate() takes the windows' ends right. */
static void put_slope(struct floats *f, const struct bucket *b, int64_t width, uint32_t parts) {
    int64_t apart = width / parts;

    for (uint32_t i = 0; i < parts; i++) {
        int64_t t = b->end - width * (parts - 1 - i) / parts;
        int64_t in = t < b->first_ms ? b->first_ms : t > b->last_ms ? b->last_ms : t;
        if (t > b->first_ms - apart && t < b->last_ms + apart)
            put(f, t,
                b->value + (b->last - b->value) * (double) (in - b->first_ms) /
                                   (double) (b->last_ms - b->first_ms),
                1);
    }
}

static void put_spread(struct floats *f, const struct bucket *b, enum tier_emit emit, int64_t width,
                       uint32_t parts) {
    if (emit == EMIT_COUNTER) {
        if (b->dropped > 0 || b->count < 2 || b->last_ms == b->first_ms)
            put_counter(f, b);
        else
            put_slope(f, b, width, parts);
        return;
    }
    if (emit == EMIT_SUM && parts > b->count)
        parts = b->count;
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t count = 1;
        double value = b->value;
        if (emit == EMIT_SUM) {
            count = (uint32_t) ((uint64_t) b->count * (i + 1) / parts -
                                (uint64_t) b->count * i / parts);
            value = b->value * count / b->count;
        }
        put(f, b->end - width * (parts - 1 - i) / parts, value, count);
    }
}

/* Into how many pieces a bucket is spread, so that each window has some. */
static uint32_t parts_of(const struct promql_hints *h, int64_t width) {
    int64_t each = h->range_ms ? h->range_ms / WINDOW_PARTS : h->lookback_ms;
    int64_t n = each > 0 ? (width + each - 1) / each : SPREAD_MAX;

    if (h->range_ms && n < WINDOW_PARTS)
        n = WINDOW_PARTS;
    return n > SPREAD_MAX ? SPREAD_MAX : n < 1 ? 1 : (uint32_t) n;
}

/* ---- Reading ---- */

static const char *const values_of[] = {
        [EMIT_LAST] = "last", [EMIT_FIRST] = "first", [EMIT_MIN] = "min",
        [EMIT_MAX] = "max",   [EMIT_SUM] = "sum",     [EMIT_COUNTER] = "first",
};

static int ask(const struct metrics_turn *t, const struct finding *f, size_t from, size_t to,
               const struct tier_part *p, size_t rows_max, struct metrics_answer *ret) {
    bool counter = p->emit == EMIT_COUNTER;
    int64_t width = tier_ms(p->tier);
    struct buffer sql;

    buffer_init(&sql, 1 << 20);
    /* Buckets that begin before the end; but none beyond what this part is for, when another one
     * follows: parts end where buckets do, except the last. */
    buffer_printf(&sql,
                  "SELECT id, toInt64(ts) * 1000 AS end, toUInt64(count), %s, %s, %s, "
                  "end - first_ago, end - last_ago, toUInt64(stale) FROM %s FINAL WHERE "
                  "ts >= toDateTime(%" PRId64 ") AND ts <= toDateTime(%" PRId64 ")",
                  values_of[p->emit], counter ? "last" : "0.", counter ? "dropped" : "0.",
                  p->tier == TIER_5M ? "samples_5m" : "samples_1h", (p->from_ms + 999) / 1000,
                  p->to_ms % width == 0 ? p->to_ms / 1000 : (p->to_ms / width + 1) * width / 1000);
    metrics_add_ids(&sql, f, from, to);
    buffer_append_text(&sql, " ORDER BY id, ts SETTINGS max_threads = 2, max_query_size = 1048576, "
                             "do_not_merge_across_partitions_select_final = 1");
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = metrics_ask(t, (const char *) sql.data, NULL, 0, rows_max, ret);
    else
        error_set(t->error, r, "the selector finds too many series for one statement");
    buffer_done(&sql);
    return r;
}

static int order_found(const void *a, const void *b) {
    const struct found *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int take_row(const struct native_reader *rows, size_t i, const struct tier_part *p,
                    uint32_t parts, struct arena *arena, struct floats *to) {
    struct bucket b = {
            .end = (int64_t) native_reader_cell(rows, i, 1).u64,
            .count = (uint32_t) native_reader_cell(rows, i, 2).u64,
            .value = native_reader_cell(rows, i, 3).f64,
            .last = native_reader_cell(rows, i, 4).f64,
            .dropped = native_reader_cell(rows, i, 5).f64,
            .first_ms = (int64_t) native_reader_cell(rows, i, 6).u64,
            .last_ms = (int64_t) native_reader_cell(rows, i, 7).u64,
            .stale = native_reader_cell(rows, i, 8).u64 != 0,
    };

    if (b.count == 0)
        return 0;
    int r = reserve(to, SPREAD_MAX + 1, arena);
    if (r < 0)
        return r;
    size_t before = to->n;
    if (p->exact)
        put_exact(to, &b, p->emit);
    else
        put_spread(to, &b, p->emit, tier_ms(p->tier), parts);
    /* Another id's rows of the same labels: the first one's stay. */
    if (before && to->times[before] <= to->times[before - 1])
        to->n = before;
    return 0;
}

int metrics_read_buckets(const struct metrics_turn *t, const struct finding *f,
                         const struct tier_part *p, const struct promql_hints *hints,
                         struct arena *arena, struct floats *ret, struct metrics_source *stats) {
    size_t rows_each = (size_t) ((p->to_ms - p->from_ms) / tier_ms(p->tier)) + 2;
    size_t step = ROWS_PER_SELECT / rows_each + 1, n = f->series.n;
    uint32_t parts = parts_of(hints, tier_ms(p->tier));
    int r = 0;

    if (!f->dense && step > METRICS_IDS_MAX)
        step = METRICS_IDS_MAX;
    for (size_t i = 0; i < n && r == 0; i += step) {
        struct metrics_answer a;
        r = ask(t, f, i, i + step < n ? i + step : n, p,
                (arena->cap - arena->used) / sizeof(struct bucket) + 1, &a);
        if (r < 0)
            return r;
        for (size_t j = 0; j < native_reader_rows(a.rows) && r == 0; j++) {
            struct found key = {.id = native_reader_cell(a.rows, j, 0).u64};
            const struct found *s =
                    bsearch(&key, f->series.items, f->series.n, sizeof(key), order_found);
            if (s)
                r = take_row(a.rows, j, p, parts, arena, &ret[s->slot]);
        }
        if (r < 0)
            no_room(t->error);
        stats->bytes += a.bytes.size;
        stats->downsampled += native_reader_rows(a.rows);
        metrics_answer_done(&a);
    }
    return r;
}

/* The floats of raw samples behind those of buckets. */
int metrics_append_floats(struct floats *to, const struct floats *from, struct arena *arena) {
    if (to->n == 0) {
        *to = *from;
        return 0;
    }
    int r = reserve(to, from->n, arena);
    for (size_t i = 0; r == 0 && i < from->n; i++)
        if (from->times[i] > to->times[to->n - 1])
            put(to, from->times[i], from->values[i], 1);
    return r;
}
