/*
 * Own and total values by function or by line. A function that stands in a stack several times
 * (recursion) counts once for that stack.
 */
#include "query/profiles.h"

struct line_total {
    uint32_t function, line;
    uint64_t own[2], total[2];
    uint32_t seen; /* number of the stack that counted it last */
};

struct totals {
    VECTOR(struct line_total) rows;
    struct map ids;
};

static int64_t total_id(struct totals *t, uint32_t function, uint32_t line) {
    const uint32_t key[] = {function, line};
    bool is_new;
    struct map_entry *e = map_put(&t->ids, slice_new(key, sizeof(key)), &is_new);

    if (e && is_new) {
        struct line_total row = {.function = function, .line = line};
        e->number = t->rows.n;
        if (vector_push(&t->rows, row, PROFILE_NODES_LIMIT) < 0)
            return -ENOMEM;
    }
    return e ? (int64_t) e->number : -ENOMEM;
}

static int add_stack(struct totals *t, const struct profile_stack *s, uint32_t number, bool lines) {
    for (uint32_t i = 0; i < s->n; i++) {
        int64_t id = total_id(t, s->places[i].function, lines ? s->places[i].line : 0);
        if (id < 0)
            return (int) id;
        struct line_total *row = &t->rows.items[id];
        for (unsigned side = 0; side < 2; side++) {
            if (i == 0)
                row->own[side] += s->value[side];
            if (row->seen != number)
                row->total[side] += s->value[side];
        }
        row->seen = number;
    }
    return 0;
}

static int totals_build(const struct profile_set *set, bool lines, struct totals *t) {
    int r = 0;

    *t = (struct totals){0};
    map_init(&t->ids, PROFILE_NODES_LIMIT, (size_t) 128 << 20);
    for (size_t i = 0; i < set->n && r == 0; i++)
        r = add_stack(t, &set->stacks[i], (uint32_t) i + 1, lines);
    return r;
}

static void totals_done(struct totals *t) {
    vector_done(&t->rows);
    map_done(&t->ids);
}

static uint64_t larger(const uint64_t v[2]) {
    return v[0] > v[1] ? v[0] : v[1];
}

static int by_own(const void *a, const void *b) {
    const struct line_total *x = a, *y = b;
    uint64_t own_x = larger(x->own), own_y = larger(y->own);

    if (own_x != own_y)
        return own_x < own_y ? 1 : -1;
    return (larger(x->total) < larger(y->total)) - (larger(x->total) > larger(y->total));
}

static int by_total(const void *a, const void *b) {
    const struct line_total *x = a, *y = b;
    uint64_t total_x = larger(x->total), total_y = larger(y->total);

    return total_x != total_y ? (total_x < total_y ? 1 : -1) : by_own(a, b);
}

static int by_line(const void *a, const void *b) {
    const struct line_total *x = a, *y = b;

    return (x->line > y->line) - (x->line < y->line);
}

static void write_row(struct query *q, const struct profile_set *set, const struct line_total *t,
                      bool lines, bool compared) {
    const struct profile_function *f = &set->functions.items[t->function];

    json_begin_object(q->json);
    json_field_string(q->json, "function", f->name);
    json_field_string(q->json, "file", f->file);
    json_field_text(q->json, "kind", profile_kind_name(f->kind));
    if (lines)
        json_field_uint(q->json, "line", t->line);
    json_field_uint(q->json, "own", t->own[0]);
    json_field_uint(q->json, "sum", t->total[0]);
    if (compared) {
        json_field_uint(q->json, "base_own", t->own[1]);
        json_field_uint(q->json, "base_sum", t->total[1]);
    }
    json_end_object(q->json);
}

static bool has_part(struct slice text, struct slice part) {
    for (size_t i = 0; i + part.size <= text.size; i++)
        if (slice_equal_nocase(slice_new(text.data + i, part.size), part))
            return true;
    return false;
}

static void keep_matches(const struct profile_set *set, struct slice search, struct totals *t) {
    size_t kept = 0;

    for (size_t i = 0; i < t->rows.n && search.size; i++) {
        const struct profile_function *f = &set->functions.items[t->rows.items[i].function];
        if (has_part(f->name, search) || has_part(f->file, search))
            t->rows.items[kept++] = t->rows.items[i];
    }
    if (search.size)
        t->rows.n = kept;
}

int query_profile_table(struct query *q, const struct profile_selection *p,
                        const struct profile_selection *base, const struct profile_table *table) {
    struct profile_set set;
    struct totals t;
    int r = profile_set_load(q, p, base, &set);

    if (r < 0)
        return r;
    r = totals_build(&set, table->lines, &t);
    if (r == 0) {
        keep_matches(&set, table->search, &t);
        if (t.rows.n)
            qsort(t.rows.items, t.rows.n, sizeof(*t.rows.items),
                  table->by_total ? by_total : by_own);
        json_begin_object(q->json);
        json_profile_head(q, p, &set, base != NULL);
        json_field_uint(q->json, "rows_left_out", t.rows.n > q->limit ? t.rows.n - q->limit : 0);
        json_put_key(q->json, "rows");
        json_begin_array(q->json);
        for (size_t i = 0; i < t.rows.n && i < q->limit; i++)
            write_row(q, &set, &t.rows.items[i], table->lines, base != NULL);
        json_end_array(q->json);
        json_end_object(q->json);
    }
    totals_done(&t);
    profile_set_done(&set);
    return r;
}

int query_profile_source(struct query *q, const struct profile_selection *p, struct slice file,
                         struct slice function) {
    struct profile_set set;
    struct totals t;
    int r = profile_set_load(q, p, NULL, &set);

    if (r < 0)
        return r;
    r = totals_build(&set, true, &t);
    if (r == 0) {
        if (t.rows.n)
            qsort(t.rows.items, t.rows.n, sizeof(*t.rows.items), by_line);
        json_begin_object(q->json);
        json_profile_head(q, p, &set, false);
        json_field_string(q->json, "file", file);
        json_put_key(q->json, "lines");
        json_begin_array(q->json);
        vector_each(&t.rows, row) {
            const struct profile_function *f = &set.functions.items[row->function];
            if (slice_equal(f->file, file) && (!function.data || slice_equal(f->name, function)))
                write_row(q, &set, row, true, false);
        }
        json_end_array(q->json);
        r = write_profile_sources(q, p, file, function);
        json_end_object(q->json);
    }
    totals_done(&t);
    profile_set_done(&set);
    return r;
}
