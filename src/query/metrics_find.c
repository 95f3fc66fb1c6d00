/*
 * The series of a selector: out of the index in memory, and out of the `series` table when the
 * range begins before what the index has.
 */
#include "base/regex.h"
#include "query/metrics_private.h"

#include <errno.h>
#include <inttypes.h>

#define CONDITIONS_MAX 200u
#define NAMES_KEPT 64u

struct collect {
    struct arena *arena;
    struct finding *ret;
    struct metrics *metrics;
    struct error *error;
    bool lazy;
    const struct promql_labels *made; /* the last one */
    size_t n_seen;                    /* series that there are, as far as is known */
    /* Names mostly repeat: their copies, by the index's own pointers. */
    struct {
        const uint8_t *from;
        struct slice copy;
    } names[NAMES_KEPT], values[NAMES_KEPT];
};

void finding_done(struct finding *f) {
    vector_done(&f->series);
}

static int no_room(struct error *e) {
    return error_set(e, -ENOBUFS, "the series take more memory than a query may have");
}

/* ---- From the index ---- */

static struct slice copy_of(struct collect *c, struct slice s, bool value) {
    size_t i = ((uintptr_t) s.data >> 4) % NAMES_KEPT;
    struct slice *kept = value ? &c->values[i].copy : &c->names[i].copy;
    const uint8_t **from = value ? &c->values[i].from : &c->names[i].from;

    if (*from != s.data || kept->size != s.size) {
        *kept = arena_dup(c->arena, s);
        *from = kept->data ? s.data : NULL;
    }
    return *kept;
}

static int push(struct collect *c, uint64_t id, uint32_t at, const struct promql_labels *labels) {
    struct found f = {.id = id, .labels = labels, .at = at};

    return vector_push(&c->ret->series, f, UINT32_MAX) < 0 ? no_room(c->error) : 0;
}

static int make_labels(void *ctx, const struct series_view *v) {
    struct collect *c = ctx;
    struct promql_labels *l = arena_new(c->arena, struct promql_labels);
    struct promql_label *items = arena_array(c->arena, struct promql_label, v->n);

    if (!l || !items)
        return no_room(c->error);
    for (uint32_t i = 0; i < v->n; i++) {
        struct label from = series_label(v, i);
        items[i].name = copy_of(c, from.name, false);
        items[i].value = copy_of(c, from.value, true);
        if (!items[i].name.data || !items[i].value.data)
            return no_room(c->error);
    }
    *l = (struct promql_labels){v->n, promql_labels_hash(items, v->n), items};
    c->made = l;
    return 0;
}

static int collect_view(void *ctx, const struct series_view *v) {
    struct collect *c = ctx;
    int r = c->lazy ? 0 : make_labels(c, v);

    return r < 0 ? r : push(c, v->ref.id, v->ref.at, c->lazy ? NULL : c->made);
}

static int test_matcher(const void *ctx, struct slice value) {
    return promql_matcher_test(ctx, value);
}

static uint32_t seconds(int64_t ms) {
    return ms < 0 ? 0 : ms / 1000 >= UINT32_MAX ? UINT32_MAX : (uint32_t) (ms / 1000);
}

static int find_in_index(struct collect *c, const struct promql_matcher *matchers, size_t n,
                         int64_t from_ms, int64_t to_ms) {
    struct series_condition conditions[CONDITIONS_MAX];

    if (n > CONDITIONS_MAX)
        return error_set(c->error, -EINVAL, "a selector of more than %u matchers", CONDITIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct promql_matcher *m = &matchers[i];
        struct series_condition *s = &conditions[i];
        *s = (struct series_condition){.name = m->name,
                                       .is_equal = m->type == PROMQL_EQUAL,
                                       .value = m->value,
                                       .test = test_matcher,
                                       .ctx = m};
        if (m->type != PROMQL_REGEX)
            continue;
        s->values = regex_literals(m->regex, &s->n_values);
        if (!s->values)
            s->prefix = regex_prefix(m->regex);
    }
    int r = series_each(c->metrics->series, conditions, n, seconds(from_ms), seconds(to_ms),
                        collect_view, c);
    if (r < 0 && !c->error->code)
        error_set(c->error, r == -E2BIG ? -ENOBUFS : r,
                  "a regular expression takes too long to match");
    return r;
}

/* Ids under which storage has other samples of the same label sets. */
static int add_other_ids(struct collect *c) {
    size_t n = c->ret->series.n;
    uint64_t ids[8];

    if (!series_has_other_ids(c->metrics->series))
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct found f = c->ret->series.items[i];
        size_t others = series_other_ids(c->metrics->series, f.id, ids, 8);
        for (size_t j = 0; j < others && j < 8; j++) {
            int r = push(c, ids[j], f.at, f.labels);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* ---- From the table ---- */

static int order_labels(const void *a, const void *b) {
    return slice_compare(((const struct promql_label *) a)->name,
                         ((const struct promql_label *) b)->name);
}

static int collect_row(struct collect *c, const struct native_reader *rows, size_t row,
                       const struct promql_matcher *matchers, size_t n_matchers) {
    size_t n = native_reader_length(rows, row, 2) + 1;
    struct promql_label *items = arena_array(c->arena, struct promql_label, n);
    struct promql_labels *l = arena_new(c->arena, struct promql_labels);

    if (!items || !l)
        return no_room(c->error);
    items[0] = (struct promql_label){SLICE("__name__"), native_reader_cell(rows, row, 1).text};
    for (size_t i = 1; i < n; i++)
        items[i] = (struct promql_label){native_reader_key(rows, row, 2, i - 1).text,
                                         native_reader_item(rows, row, 2, i - 1).text};
    qsort(items, n, sizeof(*items), order_labels);
    *l = (struct promql_labels){(uint32_t) n, 0, items};
    for (size_t i = 0; i < n_matchers; i++) {
        int r = promql_matcher_test(&matchers[i], promql_labels_get(l, matchers[i].name));
        if (r < 0)
            return error_set(c->error, -ENOBUFS, "a regular expression takes too long to match");
        if (r == 0)
            return 0;
    }
    for (size_t i = 0; i < n; i++) {
        items[i].name = copy_of(c, items[i].name, false);
        items[i].value = arena_dup(c->arena, items[i].value);
        if (!items[i].name.data || !items[i].value.data)
            return no_room(c->error);
    }
    l->hash = promql_labels_hash(items, (uint32_t) n);
    return push(c, native_reader_cell(rows, row, 0).u64, 0, l);
}

static int collect_rows(struct collect *c, struct metrics_answer *a,
                        const struct promql_matcher *matchers, size_t n, bool all) {
    size_t rows = native_reader_rows(a->rows);
    int r = 0;

    memset(c->names, 0, sizeof(c->names)); /* keyed by addresses of the answer from now on */
    memset(c->values, 0, sizeof(c->values));
    if (all && rows > c->n_seen)
        c->n_seen = rows;
    for (size_t i = 0; i < rows && r == 0; i++)
        r = collect_row(c, a->rows, i, matchers, n);
    metrics_answer_done(a);
    return r;
}

static int find_in_table(const struct metrics_turn *t, struct collect *c,
                         const struct promql_matcher *matchers, size_t n, int64_t from_ms,
                         int64_t to_ms) {
    struct store_param params[2 * CONDITIONS_MAX];
    char names[2 * CONDITIONS_MAX][8];
    struct metrics_answer a;
    struct buffer sql;
    size_t n_params = 0;
    uint32_t from = seconds(from_ms), back = from < SERIES_EMIT_S ? from : SERIES_EMIT_S;

    buffer_init(&sql, 1 << 20);
    buffer_printf(&sql,
                  "SELECT id, any(metric) AS m, any(labels) AS l FROM series WHERE last_seen >= "
                  "toDateTime(%" PRIu32 ", 'UTC') AND first_seen <= toDateTime(%" PRIu32 ", 'UTC')",
                  from - back, seconds(to_ms));
    for (size_t i = 0; i < n; i++) {
        bool is_name = slice_is(matchers[i].name, "__name__");
        if (matchers[i].type != PROMQL_EQUAL)
            continue;
        for (int j = is_name; j < 2; j++) {
            snprintf(names[n_params], sizeof(names[0]), "p%zu", n_params);
            params[n_params] =
                    (struct store_param){names[n_params], j ? matchers[i].value : matchers[i].name};
            n_params++;
        }
        if (is_name)
            buffer_printf(&sql, " AND metric = {p%zu:String}", n_params - 1);
        else
            buffer_printf(&sql, " AND labels[{p%zu:String}] = {p%zu:String}", n_params - 2,
                          n_params - 1);
    }
    buffer_append_text(&sql, " GROUP BY id");
    int r = buffer_append_u8(&sql, 0);
    if (r == 0)
        r = metrics_ask(t, (const char *) sql.data, params, n_params, METRICS_TABLE_SERIES_MAX, &a);
    buffer_done(&sql);
    return r < 0 ? r : collect_rows(c, &a, matchers, n, n_params == 0);
}

/* A series that has left the index since it was found in it: its row is in the table. */
static int labels_from_table(const struct metrics_turn *t, struct collect *c, uint64_t id) {
    struct finding one = {0}, *kept = c->ret;
    struct metrics_answer a;
    char sql[160];

    snprintf(sql, sizeof(sql),
             "SELECT id, any(metric) AS m, any(labels) AS l FROM series WHERE id = %" PRIu64
             " GROUP BY id",
             id);
    int r = metrics_ask(t, sql, NULL, 0, METRICS_TABLE_SERIES_MAX, &a);
    if (r < 0)
        return r;
    c->ret = &one;
    r = collect_rows(c, &a, NULL, 0, false);
    c->ret = kept;
    c->made = one.series.n ? one.series.items[0].labels : &promql_no_labels;
    finding_done(&one);
    return r;
}

int metrics_make_labels(const struct metrics_turn *t, struct finding *f, struct arena *arena) {
    struct collect *c = memory_alloc(sizeof(*c));
    int r = 0;

    if (!c)
        return no_room(t->error);
    *c = (struct collect){.arena = arena, .ret = f, .metrics = t->metrics, .error = t->error};
    for (size_t i = 0; i < f->series.n && r == 0; i++) {
        struct found *s = &f->series.items[i];
        r = series_view(t->metrics->series, (struct series_ref){s->id, s->at}, make_labels, c);
        if (r == -ESTALE)
            r = labels_from_table(t, c, s->id);
        s->labels = c->made;
    }
    free(c);
    return r;
}

/* ---- Together ---- */

static int order_ids(const void *a, const void *b) {
    const struct found *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* Gives equal label sets one slot. */
static int number_slots(struct collect *c, bool may_repeat) {
    struct finding *f = c->ret;
    struct labels_table table;
    size_t kept = 0;

    if (f->series.n)
        qsort(f->series.items, f->series.n, sizeof(*f->series.items), order_ids);
    for (size_t i = 0; i < f->series.n; i++) /* in the index and in the table */
        if (kept == 0 || f->series.items[kept - 1].id != f->series.items[i].id)
            f->series.items[kept++] = f->series.items[i];
    f->series.n = kept;
    labels_table_init(&table, c->arena);
    for (size_t i = 0; i < kept; i++) {
        int64_t slot =
                may_repeat ? labels_table_put(&table, f->series.items[i].labels) : (int64_t) i;
        if (slot < 0)
            return no_room(c->error);
        f->series.items[i].slot = (uint32_t) slot;
    }
    f->n_slots = may_repeat ? (uint32_t) table.n : (uint32_t) kept;
    return 0;
}

/* Whether the ids between the first and the last are mostly wanted: of one metric, or of all. */
static bool is_dense(struct collect *c, const struct promql_matcher *matchers, size_t n) {
    const struct finding *f = c->ret;

    if (f->series.n < 16)
        return false;
    if (c->n_seen && f->series.n * 2 >= c->n_seen)
        return true;
    if (f->series.items[0].id >> 48 != f->series.items[f->series.n - 1].id >> 48)
        return false;
    for (size_t i = 0; i < n; i++)
        if (matchers[i].type == PROMQL_EQUAL && slice_is(matchers[i].name, "__name__"))
            return f->series.n * 2 >=
                   series_count(c->metrics->series, matchers[i].name, matchers[i].value);
    return false;
}

int metrics_find(const struct metrics_turn *t, const struct promql_matcher *matchers, size_t n,
                 int64_t from_ms, int64_t to_ms, bool lazy, struct arena *arena,
                 struct finding *ret) {
    struct collect *c = memory_alloc(sizeof(*c));
    uint32_t gap = series_gap(t->metrics->series);
    bool ask_table = seconds(from_ms) < gap;
    struct series_stats stats;

    if (!c)
        return no_room(t->error);
    ret->lazy = lazy && !ask_table && !series_has_other_ids(t->metrics->series);
    *c = (struct collect){.arena = arena,
                          .ret = ret,
                          .metrics = t->metrics,
                          .error = t->error,
                          .lazy = ret->lazy};
    if (!ask_table) {
        series_read_stats(t->metrics->series, &stats);
        c->n_seen = stats.series;
    }
    int r = find_in_index(c, matchers, n, from_ms, to_ms);
    size_t before = ret->series.n;
    if (r == 0)
        r = add_other_ids(c);
    bool others = ret->series.n > before;
    if (r == 0 && ask_table)
        r = find_in_table(t, c, matchers, n, from_ms, to_ms);
    if (r == 0)
        r = number_slots(c, ask_table || others);
    ret->n_all = ret->n_slots;
    if (r == 0)
        ret->dense = is_dense(c, matchers, n);
    free(c);
    return r;
}
