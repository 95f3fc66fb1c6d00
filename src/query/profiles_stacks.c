/*
 * Loading stacks by their ids. They are asked for in portions that stay below the engine's limits:
 * the most costly first, the others in the order in which they are stored. Whatever a sender makes
 * up, an answer is made of what fits; the rest is left out.
 */
#include "query/profiles.h"

#define IDS_MAX 8000u /* in a statement: 20 digits each */

/* ---- Functions ---- */

/* A new function; -ENOBUFS beyond a limit. */
static int64_t add_function(struct query *q, struct profile_set *set, struct slice name,
                            struct slice file) {
    struct profile_function f = {query_dup(q, name), query_dup(q, file), profile_kind_of(file)};

    if (!f.name.data || !f.file.data || vector_push(&set->functions, f, PROFILE_FUNCTIONS_MAX) < 0)
        return -ENOBUFS;
    return (int64_t) set->functions.n - 1;
}

static int64_t find_function(struct query *q, struct profile_set *set, struct slice name,
                             struct slice file) {
    struct buffer key;
    bool is_new;

    buffer_init(&key, 1 << 20);
    buffer_append_slice(&key, name);
    buffer_append_u8(&key, 0xff);
    buffer_append_slice(&key, file);
    struct map_entry *e = map_put(&set->by_text, buffer_slice(&key), &is_new);
    buffer_done(&key);
    if (!e)
        return -ENOBUFS;
    if (is_new) {
        int64_t id = add_function(q, set, name, file);
        if (id < 0)
            return id;
        e->number = (uint64_t) id;
    }
    return (int64_t) e->number;
}

/* A dictionary's text has one address in an answer, so most functions are found by addresses. */
static int64_t function_id(struct query *q, struct profile_set *set, struct slice name,
                           struct slice file) {
    const void *pointers[] = {name.data, file.data};
    bool is_new;
    struct map_entry *near =
            map_put(&set->by_pointer, slice_new(pointers, sizeof(pointers)), &is_new);

    if (!near)
        return -ENOBUFS;
    if (is_new) {
        int64_t id = find_function(q, set, name, file);
        if (id < 0)
            return id;
        near->number = (uint64_t) id;
    }
    return (int64_t) near->number;
}

/* ---- An answer's stacks ---- */

/* 0, or -ENOBUFS: it and all that come later are left out. */
static int take_stack(struct query *q, struct profile_set *set, const struct rows *rows, size_t row,
                      struct profile_stack *ret) {
    size_t n = native_reader_length(rows->reader, row, 1);

    if (n > PROFILE_PLACES_MAX - set->places)
        return -ENOBUFS;
    struct profile_place *places = arena_array(q->arena, struct profile_place, n);
    if (!places)
        return -ENOBUFS;
    for (size_t i = 0; i < n; i++) {
        int64_t id = function_id(q, set, native_reader_item(rows->reader, row, 1, i).text,
                                 native_reader_item(rows->reader, row, 2, i).text);
        if (id < 0)
            return (int) id;
        places[i] = (struct profile_place){
                (uint32_t) id, (uint32_t) native_reader_item(rows->reader, row, 3, i).u64};
    }
    ret->places = places;
    ret->n = (uint32_t) n;
    set->places += n;
    return 0;
}

static int by_id(const void *a, const void *b) {
    const struct profile_want *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static uint64_t cost(const struct profile_stack *s) {
    return s->value[0] > s->value[1] ? s->value[0] : s->value[1];
}

static int by_cost(const void *a, const void *b) {
    const struct profile_want *x = a, *y = b;
    uint64_t cost_x = cost(x->stack), cost_y = cost(y->stack);

    return cost_x != cost_y ? (cost_x < cost_y ? 1 : -1) : by_id(a, b);
}

/* The most costly first: what does not fit is the rest. `wants` are sorted by id. */
static int take_rows(struct query *q, struct profile_set *set, const struct rows *rows,
                     struct profile_want *wants, size_t n) {
    struct profile_want *found = arena_array(q->arena, struct profile_want, rows->n);
    size_t n_found = 0;

    if (!found)
        return -ENOMEM;
    for (size_t i = 0; i < rows->n; i++) {
        const struct profile_want key = {.id = row_u64(rows, i, 0)};
        struct profile_want *want = bsearch(&key, wants, n, sizeof(*wants), by_id);
        if (want && !want->stack->places)
            found[n_found++] = (struct profile_want){i, want->stack}; /* id: the row */
    }
    if (n_found)
        qsort(found, n_found, sizeof(*found), by_cost);
    for (size_t i = 0; i < n_found && !set->full; i++)
        set->full = take_stack(q, set, rows, (size_t) found[i].id, found[i].stack) < 0;
    map_clear(&set->by_pointer); /* the answer's addresses go with it */
    return 0;
}

/* ---- Asking ---- */

/* Days, both of them in. */
struct days {
    int64_t first_ns, last_ns;
};

static void add_days(struct sql *s, const struct days *d) {
    sql_add(s, "(day >= toDate(");
    sql_seconds(s, d->first_ns);
    sql_add(s, ", 'UTC') AND day <= toDate(");
    sql_seconds(s, d->last_ns);
    sql_add(s, ", 'UTC'))");
}

/* Asks for the stacks that have no places yet; when the answer is too large, for the costly half
 * of them first. */
static int ask(struct query *q, struct profile_set *set, const struct days days[2],
               struct profile_want *wants, size_t n) {
    struct rows rows;
    struct sql s;
    size_t asked = 0;

    if (set->full)
        return 0;
    qsort(wants, n, sizeof(*wants), by_id);
    sql_init(&s, q->arena);
    sql_add(&s, "SELECT id, functions, files, lines FROM stacks WHERE (");
    add_days(&s, &days[0]);
    sql_add(&s, " OR ");
    add_days(&s, &days[1]);
    sql_add(&s, ") AND id IN (");
    for (size_t i = 0; i < n; i++)
        if (!wants[i].stack->places)
            sql_addf(&s, "%s%llu", asked++ ? "," : "", (unsigned long long) wants[i].id);
    sql_add(&s, ") LIMIT 1 BY id");
    int r = asked ? query_run_limit(q, &s, asked, &rows) : 0;
    sql_done(&s);
    if (r == -ENOBUFS && n > 1) {
        qsort(wants, n, sizeof(*wants), by_cost);
        r = ask(q, set, days, wants, n / 2);
        return r < 0 ? r : ask(q, set, days, wants + n / 2, n - n / 2);
    }
    if (r == -ENOBUFS) /* one that is too large alone */
        return 0;
    if (r == 0 && asked) {
        r = take_rows(q, set, &rows, wants, n);
        rows_done(&rows);
    }
    return r;
}

static struct days days_of(const struct profile_selection *p) {
    return (struct days){p->from_ns, p->to_ns};
}

/* The newest days hold nearly all of them; the others are asked for what is missing. */
static int load_portion(struct query *q, struct profile_set *set, const struct days days[2],
                        struct profile_want *wants, size_t n) {
    struct days newest[] = {days[0], days[1]};

    for (unsigned i = 0; i < 2; i++)
        if (newest[i].first_ns < newest[i].last_ns - DAY_NS)
            newest[i].first_ns = newest[i].last_ns - DAY_NS;
    int r = ask(q, set, newest, wants, n);
    return r < 0 || memcmp(newest, days, sizeof(newest)) == 0 ? r : ask(q, set, days, wants, n);
}

int profile_stacks_load(struct query *q, const struct profile_selection *p,
                        const struct profile_selection *base, struct profile_want *wants, size_t n,
                        struct profile_set *set) {
    const struct days days[] = {days_of(p), days_of(base ? base : p)};
    size_t first = n < IDS_MAX ? n : IDS_MAX;
    int r = 0;

    if (n > first)
        qsort(wants, n, sizeof(*wants), by_cost);
    qsort(wants + first, n - first, sizeof(*wants), by_id);
    for (size_t at = 0, end = first; at < n && r == 0 && !set->full; at = end) {
        end = at == 0 ? first : at + IDS_MAX < n ? at + IDS_MAX : n;
        r = load_portion(q, set, days, wants + at, end - at);
    }
    return r;
}
