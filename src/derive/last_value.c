/* The newest samples of some series out of storage: see ingest_last_values(). Any thread. */
#include "base/clock.h"
#include "derive/private.h"
#include "signal/histogram.h"
#include "store/store.h"
#include "wire/native.h"

#include <errno.h>
#include <inttypes.h>

#define ANSWER_BYTES_MAX ((size_t) 64 << 20)

struct lookup {
    uint64_t id;
    size_t at; /* in the caller's array */
};

static int order_ids(const void *a, const void *b) {
    const struct lookup *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static struct lookup *find(struct lookup *ids, size_t n, uint64_t id) {
    struct lookup key = {id, 0};

    return bsearch(&key, ids, n, sizeof(key), order_ids);
}

static int ask(struct ingest *g, const char *select, const char *table, const struct lookup *ids,
               size_t n, int64_t since_ms, struct buffer *answer, struct native_reader **ret,
               struct error *e) {
    struct store_limits limits = {.rows_max = LAST_VALUES_MAX,
                                  .result_bytes_max = ANSWER_BYTES_MAX};
    struct buffer sql;

    buffer_init(&sql, 1 << 20);
    buffer_printf(&sql, "SELECT id, %s FROM %s WHERE ts >= fromUnixTimestamp64Milli(%" PRId64 ")",
                  select, table, since_ms);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&sql, "%s%" PRIu64, i ? ", " : " AND id IN (", ids[i].id);
    buffer_append_text(&sql, ") GROUP BY id");
    int r = buffer_append_u8(&sql, 0);
    buffer_clear(answer);
    if (r == 0)
        r = store_query(g->store, (const char *) sql.data, NULL, 0, "Native", &limits, answer, e);
    if (r == 0)
        r = native_reader_new(buffer_slice(answer), ret);
    buffer_done(&sql);
    return r;
}

static int take_samples(struct ingest *g, struct lookup *ids, size_t n, int64_t since_ms,
                        struct ingest_last *ret, struct error *e) {
    struct native_reader *rows = NULL;
    struct buffer answer;

    buffer_init(&answer, ANSWER_BYTES_MAX);
    int r = ask(g, "max(ts), argMax(value, ts)", "samples", ids, n, since_ms, &answer, &rows, e);
    for (size_t i = 0; r == 0 && i < native_reader_rows(rows); i++) {
        struct lookup *l = find(ids, n, native_reader_cell(rows, i, 0).u64);
        if (!l)
            continue;
        ret[l->at].time_ms = (int64_t) native_reader_cell(rows, i, 1).u64;
        ret[l->at].value = native_reader_cell(rows, i, 2).f64;
    }
    native_reader_free(rows);
    rows = NULL;
    if (r == 0)
        r = ask(g, "argMax(start, ts)", "sample_starts", ids, n, 0, &answer, &rows, e);
    for (size_t i = 0; r == 0 && i < native_reader_rows(rows); i++) {
        struct lookup *l = find(ids, n, native_reader_cell(rows, i, 0).u64);
        if (l)
            ret[l->at].start_ms = (int64_t) native_reader_cell(rows, i, 1).u64;
    }
    native_reader_free(rows);
    buffer_done(&answer);
    return r;
}

static int take_histogram(const struct native_reader *rows, size_t i, struct arena *a,
                          struct ingest_last *ret) {
    struct histogram *h = arena_new(a, struct histogram);

    if (!h)
        return -ENOMEM;
    h->schema = (int32_t) (int64_t) native_reader_cell(rows, i, 3).u64;
    h->hint = (enum histogram_reset_hint) native_reader_cell(rows, i, 4).u64;
    h->count = native_reader_cell(rows, i, 5).f64;
    h->sum = native_reader_cell(rows, i, 6).f64;
    h->zero_count = native_reader_cell(rows, i, 7).f64;
    h->zero_threshold = native_reader_cell(rows, i, 8).f64;
    int r = histogram_decode(native_reader_cell(rows, i, 9).text, a, h);
    if (r == 0)
        *ret = (struct ingest_last){.time_ms = (int64_t) native_reader_cell(rows, i, 1).u64,
                                    .start_ms = (int64_t) native_reader_cell(rows, i, 2).u64,
                                    .histogram = h};
    return r;
}

static int take_histograms(struct ingest *g, struct lookup *ids, size_t n, int64_t since_ms,
                           struct arena *a, struct ingest_last *ret, struct error *e) {
    struct native_reader *rows = NULL;
    struct buffer answer;

    buffer_init(&answer, ANSWER_BYTES_MAX);
    int r = ask(g,
                "max(ts) AS t, argMax(start, ts), argMax(schema, ts), argMax(hint, ts), "
                "argMax(count, ts), argMax(sum, ts), argMax(zero_count, ts), "
                "argMax(zero_threshold, ts), argMax(buckets, ts)",
                "histograms", ids, n, since_ms, &answer, &rows, e);
    for (size_t i = 0; r == 0 && i < native_reader_rows(rows); i++) {
        struct lookup *l = find(ids, n, native_reader_cell(rows, i, 0).u64);
        if (l && (int64_t) native_reader_cell(rows, i, 1).u64 > ret[l->at].time_ms)
            r = take_histogram(rows, i, a, &ret[l->at]);
    }
    native_reader_free(rows);
    buffer_done(&answer);
    return r;
}

int ingest_last_values(struct ingest *g, const struct ingest_labels *series, size_t n,
                       int64_t since_ms, struct arena *a, struct ingest_last *ret,
                       struct error *e) {
    memset(ret, 0, n * sizeof(*ret));
    if (n == 0)
        return 0;
    if (n > LAST_VALUES_MAX)
        return error_set(e, -E2BIG, "last values of more than %u series at once", LAST_VALUES_MAX);
    struct lookup *ids = memory_alloc(n * sizeof(*ids));
    if (!ids)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        ids[i] = (struct lookup){series_id_of(g->series, series[i].labels, series[i].n), i};
    qsort(ids, n, sizeof(*ids), order_ids);
    int r = take_samples(g, ids, n, since_ms, ret, e);
    if (r == 0)
        r = take_histograms(g, ids, n, since_ms, a, ret, e);
    free(ids);
    return r;
}
