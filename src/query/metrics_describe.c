/* What describes metrics: metadata, exemplars, cardinality. */
#include "query/metrics_private.h"

#include <errno.h>
#include <inttypes.h>

#define METADATA_ROWS_MAX 200000u
#define EXEMPLARS_MAX 100000u

static int no_room(struct error *e) {
    return error_set(e, -ENOBUFS, "the answer takes more memory than a query may have");
}

static struct metrics_turn turn_of(struct metrics *m, const struct metrics_range *range,
                                   struct error *e) {
    return (struct metrics_turn){m,
                                 range && range->deadline_ns
                                         ? range->deadline_ns
                                         : clock_monotonic_ns() + METRICS_TIMEOUT_NS,
                                 range ? range->cancel : NULL, e};
}

/* ---- Metadata ---- */

/* Of a metric's entries that with a type alone comes last: it says nothing when another one has
 * that type. */
static bool says_nothing(const struct metric_metadata *items, size_t n, struct slice name,
                         const struct native_reader *rows, size_t i) {
    if (native_reader_cell(rows, i, 2).text.size || native_reader_cell(rows, i, 3).text.size)
        return false;
    for (; n > 0 && slice_equal(items[n - 1].metric, name); n--)
        if ((uint64_t) items[n - 1].type == native_reader_cell(rows, i, 1).u64)
            return true;
    return false;
}

int metrics_metadata(struct metrics *m, struct slice metric, size_t limit, struct arena *arena,
                     struct metric_metadata **ret, size_t *ret_n, struct error *e) {
    struct metrics_turn t = turn_of(m, NULL, e);
    struct store_param param = {"metric", metric};
    struct metrics_answer a;
    size_t n = 0, metrics = 0;
    int r = metrics_ask(&t,
                        metric.data ? "SELECT metric, type, unit, help FROM metric_metadata WHERE "
                                      "metric = {metric:String} GROUP BY metric, type, unit, help "
                                      "ORDER BY metric, unit = '' AND help = '', "
                                      "max(last_seen) DESC"
                                    : "SELECT metric, type, unit, help FROM metric_metadata "
                                      "GROUP BY metric, type, unit, help "
                                      "ORDER BY metric, unit = '' AND help = '', "
                                      "max(last_seen) DESC",
                        &param, metric.data != NULL, METADATA_ROWS_MAX, &a);

    if (r < 0)
        return r;
    struct metric_metadata *items =
            arena_array(arena, struct metric_metadata, native_reader_rows(a.rows));
    if (!items)
        r = no_room(e);
    for (size_t i = 0; r == 0 && i < native_reader_rows(a.rows); i++) {
        struct slice name = native_reader_cell(a.rows, i, 0).text;
        if (n == 0 || !slice_equal(items[n - 1].metric, name))
            if (++metrics > limit && limit)
                break;
        if (says_nothing(items, n, name, a.rows, i))
            continue;
        items[n] = (struct metric_metadata){
                .metric = arena_dup(arena, name),
                .type = (enum metric_type) native_reader_cell(a.rows, i, 1).u64,
                .unit = arena_dup(arena, native_reader_cell(a.rows, i, 2).text),
                .help = arena_dup(arena, native_reader_cell(a.rows, i, 3).text)};
        if (!items[n].metric.data || !items[n].unit.data || !items[n].help.data)
            r = no_room(e);
        n++;
    }
    metrics_answer_done(&a);
    if (r == 0) {
        *ret = items;
        *ret_n = n;
    }
    return r;
}

/* ---- Exemplars ---- */

static int order_found(const void *a, const void *b) {
    const struct found *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int take_exemplar(const struct native_reader *rows, size_t i, const struct found *s,
                         struct arena *arena, struct exemplar *ret) {
    size_t n = native_reader_length(rows, i, 3);
    struct label *own = arena_array(arena, struct label, n);

    if (!own)
        return -ENOBUFS;
    for (size_t j = 0; j < n; j++) {
        own[j].name = arena_dup(arena, native_reader_key(rows, i, 3, j).text);
        own[j].value = arena_dup(arena, native_reader_item(rows, i, 3, j).text);
        if (!own[j].name.data || !own[j].value.data)
            return -ENOBUFS;
    }
    struct label *labels = arena_array(arena, struct label, s->labels->n);
    if (!labels)
        return -ENOBUFS;
    for (uint32_t j = 0; j < s->labels->n; j++)
        labels[j] = (struct label){s->labels->items[j].name, s->labels->items[j].value};
    *ret = (struct exemplar){.labels = labels,
                             .n_labels = s->labels->n,
                             .own = own,
                             .n_own = n,
                             .value = native_reader_cell(rows, i, 2).f64,
                             .time_ms = (int64_t) native_reader_cell(rows, i, 1).u64};
    return 0;
}

struct exemplars {
    VECTOR(struct exemplar) list;
};

static int read_exemplars(const struct metrics_turn *t, const struct finding *f, size_t from,
                          size_t to, const struct metrics_range *range, struct arena *arena,
                          struct exemplars *ret) {
    struct metrics_answer a;
    struct buffer sql;

    buffer_init(&sql, 1 << 20);
    buffer_printf(&sql,
                  "SELECT id, ts, value, labels FROM exemplars FINAL WHERE ts >= "
                  "fromUnixTimestamp64Milli(%" PRId64
                  ") AND ts <= fromUnixTimestamp64Milli(%" PRId64 ")",
                  range->from_ms < 0 ? 0 : range->from_ms, range->to_ms);
    metrics_add_ids(&sql, f, from, to);
    buffer_append_text(&sql, " ORDER BY id, ts SETTINGS max_query_size = 1048576");
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = metrics_ask(t, (const char *) sql.data, NULL, 0, EXEMPLARS_MAX, &a);
    else
        error_set(t->error, r, "the selector finds too many series for one statement");
    buffer_done(&sql);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < native_reader_rows(a.rows); i++) {
        struct found key = {.id = native_reader_cell(a.rows, i, 0).u64};
        const struct found *s =
                bsearch(&key, f->series.items, f->series.n, sizeof(key), order_found);
        struct exemplar x;
        if (!s)
            continue;
        r = take_exemplar(a.rows, i, s, arena, &x);
        if (r == 0)
            r = vector_push(&ret->list, x, EXEMPLARS_MAX);
        if (r < 0)
            no_room(t->error);
    }
    metrics_answer_done(&a);
    return r;
}

static int compare_labels(const struct exemplar *x, const struct exemplar *y) {
    for (size_t i = 0; i < x->n_labels && i < y->n_labels; i++) {
        int c = slice_compare(x->labels[i].name, y->labels[i].name);
        if (c == 0)
            c = slice_compare(x->labels[i].value, y->labels[i].value);
        if (c)
            return c;
    }
    return x->n_labels < y->n_labels ? -1 : x->n_labels > y->n_labels;
}

static int order_exemplars(const void *a, const void *b) {
    const struct exemplar *x = a, *y = b;
    int c = compare_labels(x, y);

    return c ? c : x->time_ms < y->time_ms ? -1 : x->time_ms > y->time_ms;
}

int metrics_exemplars(struct metrics *m, const struct metrics_selector *selectors,
                      size_t n_selectors, const struct metrics_range *range, struct arena *arena,
                      struct exemplar **ret, size_t *ret_n, struct error *e) {
    struct metrics_turn t = turn_of(m, range, e);
    struct exemplars all = {0};
    struct exemplar *items = NULL;
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < n_selectors && r == 0; i++) {
        struct finding f = {0};
        r = metrics_find(&t, selectors[i].matchers, selectors[i].n, range->from_ms, range->to_ms,
                         false, arena, &f);
        for (size_t at = 0; r == 0 && at < f.series.n; at += METRICS_IDS_MAX)
            r = read_exemplars(&t, &f, at,
                               at + METRICS_IDS_MAX < f.series.n ? at + METRICS_IDS_MAX
                                                                 : f.series.n,
                               range, arena, &all);
        finding_done(&f);
    }
    if (r == 0 && all.list.n) {
        qsort(all.list.items, all.list.n, sizeof(*all.list.items), order_exemplars);
        items = arena_alloc(arena, all.list.n * sizeof(*items));
        if (!items)
            r = no_room(e);
    }
    for (size_t i = 0; r == 0 && i < all.list.n; i++) /* two selectors may have found the same */
        if (n == 0 || order_exemplars(&items[n - 1], &all.list.items[i]) != 0)
            items[n++] = all.list.items[i];
    vector_done(&all.list);
    if (r < 0)
        return r;
    *ret = items;
    *ret_n = range->limit && n > range->limit ? range->limit : n;
    return 0;
}

/* ---- Cardinality ---- */

struct counting {
    VECTOR(struct metrics_count) by_metric, by_pair;
    struct map values, bytes; /* by label name */
    struct arena *arena;
    uint64_t pairs;
    int failed;
};

static int push_count(struct counting *c, bool metric, struct slice text, size_t n) {
    struct metrics_count x = {arena_dup(c->arena, text), n};

    if (!x.name.data)
        return -ENOBUFS;
    return metric ? vector_push(&c->by_metric, x, UINT32_MAX)
                  : vector_push(&c->by_pair, x, UINT32_MAX);
}

#define PAIR_TEXT_MAX 1024u

static int count_pair(void *ctx, struct slice name, struct slice value, size_t n) {
    struct counting *c = ctx;
    struct map_entry *v = map_put(&c->values, name, NULL);
    char text[PAIR_TEXT_MAX];
    int r = 0;

    c->pairs++;
    if (v)
        v->number++;
    struct map_entry *b = map_put(&c->bytes, name, NULL);
    if (b)
        b->number += value.size;
    if (!v || !b)
        return -ENOBUFS;
    if (slice_is(name, "__name__"))
        r = push_count(c, true, value, n);
    if (r == 0 && n > 1) {
        int size = snprintf(text, sizeof(text), "%.*s=%.*s", SLICE_ARG(slice_take(name, 300)),
                            SLICE_ARG(slice_take(value, 600)));
        r = push_count(c, false, slice_new(text, (size_t) size), n);
    }
    return r;
}

static int order_counts(const void *a, const void *b) {
    const struct metrics_count *x = a, *y = b;

    return x->n != y->n ? (x->n < y->n ? 1 : -1) : slice_compare(x->name, y->name);
}

static int take_counts(struct metrics_count *items, size_t n, size_t limit, struct arena *arena,
                       struct metrics_count **ret, size_t *ret_n) {
    if (n)
        qsort(items, n, sizeof(*items), order_counts);
    *ret_n = limit && n > limit ? limit : n;
    *ret = arena_alloc(arena, *ret_n * sizeof(**ret));
    if (!*ret)
        return -ENOBUFS;
    if (*ret_n)
        memcpy(*ret, items, *ret_n * sizeof(**ret));
    return 0;
}

static int take_map(const struct map *m, size_t limit, struct arena *arena,
                    struct metrics_count **ret, size_t *ret_n) {
    VECTOR(struct metrics_count) list = {0};
    int r = 0;

    map_each(m, x) {
        struct metrics_count c = {arena_dup(arena, x->key), x->number};
        if (r == 0)
            r = c.name.data ? vector_push(&list, c, UINT32_MAX) : -ENOBUFS;
    }
    if (r == 0)
        r = take_counts(list.items, list.n, limit, arena, ret, ret_n);
    vector_done(&list);
    return r;
}

static int count_all(struct metrics *m, size_t limit, struct arena *arena,
                     struct metrics_cardinality *ret) {
    struct arena scratch;
    struct counting c = {.arena = &scratch};

    arena_init(&scratch, 1u << 30);
    map_init(&c.values, SERIES_LABEL_NAMES_MAX, 64 << 20);
    map_init(&c.bytes, SERIES_LABEL_NAMES_MAX, 64 << 20);
    int r = series_each_pair(m->series, count_pair, &c);
    ret->label_pairs = c.pairs;
    if (r == 0)
        r = take_counts(c.by_metric.items, c.by_metric.n, limit, arena, &ret->by_metric,
                        &ret->n_by_metric);
    if (r == 0)
        r = take_counts(c.by_pair.items, c.by_pair.n, limit, arena, &ret->by_label_pair,
                        &ret->n_by_label_pair);
    if (r == 0)
        r = take_map(&c.values, limit, arena, &ret->by_label_values, &ret->n_by_label_values);
    if (r == 0)
        r = take_map(&c.bytes, limit, arena, &ret->bytes_by_label, &ret->n_bytes_by_label);
    for (size_t i = 0; r == 0 && i < ret->n_by_metric; i++)
        ret->by_metric[i].name = arena_dup(arena, ret->by_metric[i].name);
    for (size_t i = 0; r == 0 && i < ret->n_by_label_pair; i++)
        ret->by_label_pair[i].name = arena_dup(arena, ret->by_label_pair[i].name);
    vector_done(&c.by_metric);
    vector_done(&c.by_pair);
    map_done(&c.values);
    map_done(&c.bytes);
    arena_done(&scratch);
    return r;
}

static int read_times(struct metrics *m, struct metrics_cardinality *ret, struct error *e) {
    struct metrics_turn t = turn_of(m, NULL, e);
    struct metrics_answer a;
    int64_t now_ms = clock_now_ns() / NS_PER_MS;
    char sql[500];

    /* The smallest and largest time are kept with each part: nothing is read for them. */
    snprintf(sql, sizeof(sql),
             "SELECT min(ts), max(ts), countIf(ts > fromUnixTimestamp64Milli(%" PRId64 ")) "
             "FROM samples WHERE ts >= fromUnixTimestamp64Milli(%" PRId64 ")",
             now_ms - 60000, now_ms - 120000);
    int r = metrics_ask(&t, sql, NULL, 0, 1, &a);
    if (r < 0)
        return r;
    if (native_reader_rows(a.rows)) {
        ret->newest_ms = (int64_t) native_reader_cell(a.rows, 0, 1).u64;
        ret->samples_per_second = native_reader_cell(a.rows, 0, 2).u64 / 60;
    }
    metrics_answer_done(&a);
    r = metrics_ask(&t, "SELECT min(ts), max(ts) FROM samples", NULL, 0, 1, &a);
    if (r < 0)
        return r;
    if (native_reader_rows(a.rows)) {
        ret->oldest_ms = (int64_t) native_reader_cell(a.rows, 0, 0).u64;
        ret->newest_ms = (int64_t) native_reader_cell(a.rows, 0, 1).u64;
    }
    metrics_answer_done(&a);
    return 0;
}

int metrics_read_cardinality(struct metrics *m, size_t limit, struct arena *arena,
                             struct metrics_cardinality *ret, struct error *e) {
    struct series_stats stats;

    *ret = (struct metrics_cardinality){0};
    series_read_stats(m->series, &stats);
    ret->series = stats.series;
    ret->series_limit = stats.series_max;
    ret->series_refused = stats.refused;
    ret->series_added_1h = stats.added_1h;
    ret->series_gone_1h = stats.gone_1h;
    ret->index_bytes = stats.bytes;
    int r = count_all(m, limit, arena, ret);
    if (r < 0)
        return no_room(e);
    return read_times(m, ret, e);
}
