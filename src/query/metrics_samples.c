/*
 * Samples of the series that were found: one SELECT for many series, its blocks taken column by
 * column into one run per series. Blocks come in any order (each part of the table is sorted by
 * itself), so runs are merged here, which is cheaper than having the engine sort.
 */
#include "query/metrics_private.h"

#include <errno.h>
#include <inttypes.h>

#define ROWS_PER_SELECT 6000000
#define GRANULE_MS                                                                                 \
    (8192 * (int64_t) METRICS_INTERVAL_MS) /* what a granule of a series spans, about */
#define INTERVAL_GUESS_MS 10000            /* between two samples, for the size of a SELECT */

static int no_room(struct error *e) {
    return error_set(e, -ENOBUFS,
                     "the samples take more memory than a query may have: ask for fewer series or "
                     "a shorter range");
}

/* ---- One answer ---- */

struct block {
    size_t rows;
    const uint8_t *ids, *times, *values;
};

static int block_of(const struct native_reader *r, size_t i, struct block *ret) {
    ret->ids = native_reader_wide(r, i, 0, &ret->rows);
    ret->times = native_reader_wide(r, i, 1, &ret->rows);
    ret->values = native_reader_wide(r, i, 2, &ret->rows);
    return ret->rows && (!ret->ids || !ret->times || !ret->values) ? -EBADMSG : 0;
}

static uint64_t word(const uint8_t *p, size_t i) {
    uint64_t v;

    memcpy(&v, p + i * 8, 8);
    return v;
}

/* The series with that id, looked for from *at on: blocks are sorted. NULL: not wanted. */
static const struct found *find(const struct finding *f, size_t *at, uint64_t id) {
    size_t low = 0, high = f->series.n;

    for (size_t i = *at; i < f->series.n && i < *at + 4; i++)
        if (f->series.items[i].id == id) {
            *at = i;
            return &f->series.items[i];
        }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (f->series.items[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == f->series.n || f->series.items[low].id != id)
        return NULL;
    *at = low;
    return &f->series.items[low];
}

/* The end of the run of rows with the id of row `from`. */
static size_t run_end(const struct block *b, size_t from) {
    uint64_t id = word(b->ids, from);
    size_t i = from + 1;

    while (i < b->rows && word(b->ids, i) == id)
        i++;
    return i;
}

static int count_rows(const struct native_reader *rows, const struct finding *f, size_t *counts) {
    for (size_t i = 0; i < native_reader_blocks(rows); i++) {
        struct block b;
        size_t at = 0;
        int r = block_of(rows, i, &b);
        if (r < 0)
            return r;
        for (size_t from = 0, to; from < b.rows; from = to) {
            to = run_end(&b, from);
            const struct found *s = find(f, &at, word(b.ids, from));
            if (s)
                counts[s->slot] += to - from;
        }
    }
    return 0;
}

int floats_reserve(struct floats *s, size_t more, struct arena *arena) {
    if (s->n + more <= s->room)
        return 0;
    int64_t *times = arena_alloc(arena, (s->n + more) * sizeof(*times));
    double *values = arena_alloc(arena, (s->n + more) * sizeof(*values));
    if (!times || !values)
        return -ENOBUFS;
    if (s->n) {
        memcpy(times, s->times, s->n * sizeof(*times));
        memcpy(values, s->values, s->n * sizeof(*values));
    }
    s->times = times;
    s->values = values;
    s->room = s->n + more;
    return 0;
}

static void take_run(const struct block *b, size_t from, size_t to, struct floats *s) {
    memcpy(s->times + s->n, b->times + from * 8, (to - from) * 8);
    memcpy(s->values + s->n, b->values + from * 8, (to - from) * 8);
    for (size_t i = s->n ? s->n : 1; i < s->n + to - from; i++)
        if (s->times[i] <= s->times[i - 1]) {
            s->unsorted = true;
            break;
        }
    s->n += to - from;
}

/* Room for all; those that have nothing yet get theirs in one piece. */
static int reserve_all(const struct finding *f, struct arena *arena, struct floats *ret,
                       const size_t *counts) {
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < f->n_slots; i++)
        n += ret[i].room ? 0 : counts[i];
    uint64_t *room = arena_alloc(arena, n * 2 * sizeof(*room));
    if (!room)
        return -ENOBUFS;
    for (size_t i = 0; i < f->n_slots && r == 0; i++) {
        if (ret[i].room) {
            r = floats_reserve(&ret[i], counts[i], arena);
        } else if (counts[i]) {
            ret[i].times = (int64_t *) room;
            ret[i].values = (double *) (room + counts[i]);
            ret[i].room = counts[i];
            room += 2 * counts[i];
        }
    }
    return r;
}

static int take_rows(const struct native_reader *rows, const struct finding *f, struct arena *arena,
                     struct floats *ret, size_t *counts) {
    int r = reserve_all(f, arena, ret, counts);

    if (r < 0)
        return r;
    for (size_t i = 0; i < native_reader_blocks(rows); i++) {
        struct block b;
        size_t at = 0;
        r = block_of(rows, i, &b);
        if (r < 0)
            return r;
        for (size_t from = 0, to; from < b.rows; from = to) {
            to = run_end(&b, from);
            const struct found *s = find(f, &at, word(b.ids, from));
            if (s)
                take_run(&b, from, to, &ret[s->slot]);
        }
    }
    return 0;
}

/* ---- Asking ---- */

/* The rows of found series [from, to). `final`: of one time the last one written only. */
static int read_part(const struct metrics_turn *t, const struct finding *f, size_t from, size_t to,
                     bool final, const struct samples_range *range, struct arena *arena,
                     struct floats *ret, struct metrics_source *stats) {
    struct metrics_answer a;
    struct buffer sql;
    size_t room = arena->cap - arena->used;

    buffer_init(&sql, 1 << 20);
    buffer_printf(
            &sql,
            "SELECT id, ts, value FROM samples%s WHERE ts >= fromUnixTimestamp64Milli(%" PRId64
            ") AND ts <= fromUnixTimestamp64Milli(%" PRId64 ")",
            final ? " FINAL" : "", range->from_ms, range->to_ms);
    bool gaps = samples_have_gaps(range);
    if (gaps)
        buffer_printf(&sql,
                      " AND modulo(toUnixTimestamp64Milli(ts) - %" PRId64 ", %" PRId64
                      ") < %" PRId64,
                      range->origin_ms, range->step_ms, range->window_ms);
    metrics_add_ids(&sql, f, from, to);
    /* With a window in each granule nothing is spared by looking at times first. */
    if (gaps && range->step_ms <= GRANULE_MS)
        buffer_append_text(&sql, " SETTINGS optimize_move_to_prewhere = 0,");
    else
        buffer_append_text(&sql, " SETTINGS");
    buffer_append_text(&sql, " max_threads = 2, max_block_size = 65536, max_query_size = "
                             "1048576, do_not_merge_across_partitions_select_final = 1");
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = metrics_ask(t, (const char *) sql.data, NULL, 0, room / 16 + 1, &a);
    else
        error_set(t->error, r, "the selector finds too many series for one statement");
    buffer_done(&sql);
    if (r < 0)
        return r;
    size_t *counts = memory_alloc((f->n_slots + 1) * sizeof(*counts));
    r = counts ? 0 : -ENOMEM;
    if (r == 0) {
        memset(counts, 0, (f->n_slots + 1) * sizeof(*counts));
        r = count_rows(a.rows, f, counts);
    }
    if (r == 0)
        r = take_rows(a.rows, f, arena, ret, counts);
    if (r == -EBADMSG)
        error_set(t->error, r, "the engine's answer cannot be read");
    else if (r < 0)
        no_room(t->error);
    stats->bytes += a.bytes.size;
    free(counts);
    metrics_answer_done(&a);
    return r;
}

/* A series with two values of one time: the one written last, as the engine knows. */
static int read_again(const struct metrics_turn *t, const struct finding *f, uint32_t slot,
                      const struct samples_range *range, struct arena *arena, struct floats *ret,
                      struct metrics_source *stats) {
    int r = 0;

    ret[slot].n = 0;
    for (size_t i = 0; i < f->series.n && r == 0; i++)
        if (f->series.items[i].slot == slot) {
            struct finding one = *f;
            one.dense = false;
            r = read_part(t, &one, i, i + 1, true, range, arena, ret, stats);
        }
    if (r == 0 && ret[slot].unsorted && floats_put_in_order(&ret[slot]) < 0)
        r = no_room(t->error);
    return r;
}

int metrics_read_stored(const struct metrics_turn *t, const struct finding *f,
                        const struct samples_range *range, struct arena *arena, struct floats *ret,
                        struct metrics_source *stats) {
    int64_t now_ms = clock_now_ns() / NS_PER_MS; /* behind it there are few, if any */
    int64_t until_ms = range->to_ms > now_ms && now_ms > range->from_ms ? now_ms : range->to_ms;
    double span = (double) (until_ms - range->from_ms);
    size_t n = f->series.n;
    int r = 0;

    if (samples_have_gaps(range))
        span = span / (double) range->step_ms * (double) range->window_ms;
    size_t step = (size_t) (ROWS_PER_SELECT / (span / INTERVAL_GUESS_MS + 2)) + 1;
    if (!f->dense && step > METRICS_IDS_MAX)
        step = METRICS_IDS_MAX;
    for (size_t i = 0; i < n && r == 0; i += step)
        r = read_part(t, f, i, i + step < n ? i + step : n, false, range, arena, ret, stats);
    return r;
}

int metrics_finish_samples(const struct metrics_turn *t, const struct finding *f,
                           const struct samples_range *range, struct arena *arena,
                           struct floats *ret, struct metrics_source *stats) {
    int r = 0;

    for (uint32_t i = 0; i < f->n_slots && r == 0; i++) {
        if (ret[i].unsorted && floats_put_in_order(&ret[i]) < 0)
            r = no_room(t->error);
        if (r == 0 && ret[i].twice)
            r = read_again(t, f, i, range, arena, ret, stats);
        stats->samples += ret[i].n;
    }
    return r;
}
