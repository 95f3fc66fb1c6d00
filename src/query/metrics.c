/* Metrics out of storage: life, asking, series and labels. See metrics.h. */
#include "query/metrics.h"
#include "derive/ingest.h"
#include "query/metrics_private.h"

#include <errno.h>
#include <inttypes.h>

static int look_for_histograms(struct metrics *m, struct error *e) {
    struct native_reader *rows = NULL;
    struct buffer answer;

    buffer_init(&answer, 65536);
    int r = store_query(m->store, "SELECT count() FROM histograms", NULL, 0, "Native", NULL,
                        &answer, e);
    if (r == 0)
        r = native_reader_new(buffer_slice(&answer), &rows);
    if (r == 0 && native_reader_rows(rows))
        atomic_store(&m->histograms_stored, native_reader_cell(rows, 0, 0).u64 > 0);
    native_reader_free(rows);
    buffer_done(&answer);
    return r;
}

int metrics_new(const struct metrics_options *o, struct metrics **ret, struct error *e) {
    struct metrics *m = memory_alloc(sizeof(*m));

    if (!m)
        return error_set(e, -ENOMEM, "out of memory");
    *m = (struct metrics){.store = o->store,
                          .series = ingest_series(o->ingest),
                          .late = ingest_late_hours(o->ingest),
                          .make_5m = o->make_5m,
                          .make_1h = o->make_1h,
                          .raw_samples_max = METRICS_RAW_SAMPLES_MAX};
    atomic_init(&m->histograms_stored, false);
    /* Until the keeper has looked, which is at once: samples as they came. */
    for (enum tier t = TIER_RAW + 1; t < TIERS; t++)
        atomic_init(&m->oldest_ms[t], INT64_MAX);
    int r = o->retention ? metrics_rules_read(m, o->retention, e) : 0;
    if (r == 0 && o->cache_bytes && store_writes_alone(o->store) &&
        (r = metrics_cache_new(o->cache_bytes, &m->cache)) < 0)
        error_set(e, r, "out of memory");
    if (r == 0 && m->cache)
        store_set_written_hook(o->store, metrics_written, m);
    if (r == 0)
        r = look_for_histograms(m, e);
    if (r == 0 && m->cache)
        metrics_filler_start(m);
    if (r == 0 && (r = metrics_keeper_start(m)) < 0)
        error_set(e, r, "cannot start a thread: %s", error_name(r));
    if (r < 0) {
        metrics_free(m);
        return r;
    }
    *ret = m;
    return 0;
}

void metrics_free(struct metrics *m) {
    if (!m)
        return;
    metrics_keeper_stop(m);
    metrics_filler_stop(m);
    if (m->cache)
        store_set_written_hook(m->store, NULL, NULL);
    metrics_cache_free(m->cache);
    free(m);
}

void metrics_read_cache(struct metrics *m, struct metrics_cache_figures *ret) {
    struct metrics_cache_stats s = {0};

    if (m->cache)
        metrics_cache_read_stats(m->cache, &s);
    *ret = (struct metrics_cache_figures){s.bytes, s.series, s.hits, s.misses};
}

/* ---- Asking ---- */

static int goes_on(const struct metrics_turn *t) {
    if (t->cancel && atomic_load(t->cancel))
        return error_set(t->error, -ECANCELED, "the query was canceled");
    if (clock_monotonic_ns() >= t->deadline_ns)
        return error_set(t->error, -ETIMEDOUT, "the query took too long");
    return 0;
}

/* Counts `bytes` for the answer; all queries together have a limit. */
static int count_bytes(struct metrics_answer *a, size_t bytes, struct error *e) {
    size_t all = atomic_fetch_add(&a->metrics->bytes, bytes) + bytes;

    a->counted += bytes;
    if (all > METRICS_BYTES_MAX)
        return error_set(e, -ENOBUFS,
                         "the queries at work hold %zu MB of samples, the limit of all together",
                         METRICS_BYTES_MAX >> 20);
    return 0;
}

int metrics_ask(const struct metrics_turn *t, const char *sql, const struct store_param *params,
                size_t n_params, size_t rows_max, struct metrics_answer *ret) {
    int r = goes_on(t);

    if (r < 0)
        return r;
    /* Whole seconds, so that the engine's settings seldom change. */
    int64_t left = t->deadline_ns - clock_monotonic_ns();
    struct store_limits limits = {.timeout_ns = (left / NS_PER_S + 1) * NS_PER_S,
                                  .memory_bytes_max = METRICS_ENGINE_BYTES_MAX,
                                  .rows_max = rows_max,
                                  .result_bytes_max = METRICS_ANSWER_BYTES_MAX,
                                  .cancel = t->cancel};
    *ret = (struct metrics_answer){.metrics = t->metrics};
    buffer_init(&ret->bytes, METRICS_ANSWER_BYTES_MAX);
    r = store_query(t->metrics->store, sql, params, n_params, "Native", &limits, &ret->bytes,
                    t->error);
    if (r == 0)
        r = count_bytes(ret, ret->bytes.allocated, t->error);
    if (r == 0) {
        r = native_reader_new(buffer_slice(&ret->bytes), &ret->rows);
        if (r < 0)
            error_set(t->error, r, "the engine's answer cannot be read: %s", error_name(r));
    }
    if (r < 0)
        metrics_answer_done(ret);
    return r;
}

void metrics_answer_done(struct metrics_answer *a) {
    if (a->metrics)
        atomic_fetch_sub(&a->metrics->bytes, a->counted);
    if (a->metrics && a->counted > METRICS_TRIM_BYTES)
        metrics_keeper_trim(a->metrics);
    native_reader_free(a->rows);
    buffer_done(&a->bytes);
    *a = (struct metrics_answer){0};
}

void metrics_add_ids(struct buffer *sql, const struct finding *f, size_t from, size_t to) {
    if (f->dense) {
        buffer_printf(sql, " AND id BETWEEN %" PRIu64 " AND %" PRIu64, f->series.items[from].id,
                      f->series.items[to - 1].id);
        return;
    }
    for (size_t i = from; i < to; i++)
        buffer_printf(sql, "%s%" PRIu64, i > from ? "," : " AND id IN (", f->series.items[i].id);
    buffer_append_text(sql, ")");
}

/* ---- Series and labels ---- */

static struct metrics_turn turn_of(struct metrics *m, const struct metrics_range *range,
                                   struct error *e) {
    return (struct metrics_turn){
            m, range->deadline_ns ? range->deadline_ns : clock_monotonic_ns() + METRICS_TIMEOUT_NS,
            range->cancel, e};
}

static int order_labels(const void *a, const void *b) {
    return labels_compare(*(const struct promql_labels *const *) a,
                          *(const struct promql_labels *const *) b);
}

/* All selectors' series, united, each once. */
static int find_all(struct metrics *m, const struct metrics_selector *selectors, size_t n,
                    const struct metrics_range *range, struct arena *arena,
                    struct labels_table *table, struct error *e) {
    struct metrics_selector all = {0};
    struct metrics_turn t = turn_of(m, range, e);
    int r = 0;

    labels_table_init(table, arena);
    if (n == 0) {
        selectors = &all;
        n = 1;
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        struct finding f = {0};
        r = metrics_find(&t, selectors[i].matchers, selectors[i].n, range->from_ms, range->to_ms,
                         false, arena, &f);
        for (size_t j = 0; j < f.series.n && r == 0; j++)
            if (labels_table_put(table, f.series.items[j].labels) < 0)
                r = error_set(e, -ENOBUFS, "the series take more memory than a query may have");
        finding_done(&f);
    }
    return r;
}

int metrics_series(struct metrics *m, const struct metrics_selector *selectors, size_t n_selectors,
                   const struct metrics_range *range, struct arena *arena,
                   const struct promql_labels ***ret, size_t *ret_n, bool *ret_cut,
                   struct error *e) {
    struct labels_table table;
    int r = find_all(m, selectors, n_selectors, range, arena, &table, e);

    if (r < 0)
        return r;
    if (table.n)
        qsort(table.sets, table.n, sizeof(*table.sets), order_labels);
    *ret_cut = range->limit && table.n > range->limit;
    *ret = table.sets;
    *ret_n = *ret_cut ? range->limit : table.n;
    return 0;
}

static int order_slices(const void *a, const void *b) {
    return slice_compare(*(const struct slice *) a, *(const struct slice *) b);
}

/* Takes the texts of a set out, in order. */
static int take_sorted(const struct map *set, const struct metrics_range *range,
                       struct arena *arena, struct slice **ret, size_t *ret_n, bool *ret_cut,
                       struct error *e) {
    struct slice *items = arena_array(arena, struct slice, set->n);
    size_t n = 0;

    if (!items)
        return error_set(e, -ENOBUFS, "the answer takes more memory than a query may have");
    map_each(set, x) {
        items[n] = arena_dup(arena, x->key);
        if (!items[n++].data)
            return error_set(e, -ENOBUFS, "the answer takes more memory than a query may have");
    }
    if (n)
        qsort(items, n, sizeof(*items), order_slices);
    *ret_cut = range->limit && n > range->limit;
    *ret = items;
    *ret_n = *ret_cut ? range->limit : n;
    return 0;
}

int metrics_labels(struct metrics *m, struct slice name, const struct metrics_selector *selectors,
                   size_t n_selectors, const struct metrics_range *range, struct arena *arena,
                   struct slice **ret, size_t *ret_n, bool *ret_cut, struct error *e) {
    struct labels_table table;
    struct map set;
    int r = find_all(m, selectors, n_selectors, range, arena, &table, e);

    if (r < 0)
        return r;
    map_init(&set, SERIES_MAX_DEFAULT, METRICS_ANSWER_BYTES_MAX);
    for (size_t i = 0; i < table.n && r == 0; i++)
        for (uint32_t j = 0; j < table.sets[i]->n && r == 0; j++) {
            const struct promql_label *l = &table.sets[i]->items[j];
            if (name.data && !slice_equal(l->name, name))
                continue;
            if (!map_put(&set, name.data ? l->value : l->name, NULL))
                r = error_set(e, -ENOBUFS, "the answer takes more memory than a query may have");
        }
    if (r == 0)
        r = take_sorted(&set, range, arena, ret, ret_n, ret_cut, e);
    map_done(&set);
    return r;
}
