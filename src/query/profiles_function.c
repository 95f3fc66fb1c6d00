/* One function from both sides: who called it, what it called, on which of its lines. */
#include "query/profiles.h"

#define LINES_MAX 10000u

struct line_value {
    uint32_t function, line;
    uint64_t own[2], total[2];
};

struct sandwich {
    struct flame callers, callees;
    struct map lines_by_place;
    VECTOR(struct line_value) lines;
    uint64_t own[2], total[2];
    bool found;
    bool *wanted; /* per function */
};

static int mark_wanted(struct query *q, const struct profile_set *set, struct slice function,
                       struct slice file, bool **ret) {
    bool *wanted = arena_array(q->arena, bool, set->functions.n + 1);

    if (!wanted)
        return -ENOMEM;
    for (size_t i = 0; i < set->functions.n; i++) {
        const struct profile_function *f = &set->functions.items[i];
        wanted[i] = slice_equal(f->name, function) && (!file.data || slice_equal(f->file, file));
    }
    *ret = wanted;
    return 0;
}

/* NULL beyond the limit and without memory. */
static struct line_value *line_of(struct sandwich *w, const struct profile_place *p) {
    const uint32_t key[] = {p->function, p->line};
    const struct line_value row = {.function = p->function, .line = p->line};
    struct map_entry *e = map_get(&w->lines_by_place, slice_new(key, sizeof(key)));

    if (e)
        return &w->lines.items[e->number];
    if (vector_push(&w->lines, row, LINES_MAX) < 0)
        return NULL;
    e = map_put(&w->lines_by_place, slice_new(key, sizeof(key)), NULL);
    if (!e) {
        w->lines.n--;
        return NULL;
    }
    e->number = w->lines.n - 1;
    return &w->lines.items[e->number];
}

static void add_values(uint64_t to[2], const uint64_t value[2]) {
    to[0] += value[0];
    to[1] += value[1];
}

/* The function's outermost place in a stack parts it: what lies below are its callers, and its line
 * has the total. Own value is at the stack's end. */
static int add_stack(struct sandwich *w, const struct profile_stack *s,
                     const struct profile_tree *tree) {
    struct line_value *line;
    size_t at = s->n;

    while (at > 0 && !w->wanted[s->places[at - 1].function])
        at--;
    if (at-- == 0)
        return 0;
    w->found = true;
    add_values(w->total, s->value);
    if ((line = line_of(w, &s->places[at])))
        add_values(line->total, s->value);
    if (w->wanted[s->places[0].function]) {
        add_values(w->own, s->value);
        if ((line = line_of(w, &s->places[0])))
            add_values(line->own, s->value);
    }
    int r = flame_add(&w->callees, s->places, at, s->value, tree->lines);
    return r < 0 ? r
                 : flame_add_upwards(&w->callers, s->places + at + 1, s->n - at - 1, s->value,
                                     tree->lines);
}

static int by_line(const void *a, const void *b) {
    const struct line_value *x = a, *y = b;

    if (x->function != y->function)
        return x->function < y->function ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static void write_lines(struct query *q, const struct profile_set *set, struct sandwich *w,
                        bool compared) {
    if (w->lines.n)
        qsort(w->lines.items, w->lines.n, sizeof(*w->lines.items), by_line);
    json_put_key(q->json, "by_line");
    json_begin_array(q->json);
    vector_each(&w->lines, l) {
        json_begin_object(q->json);
        json_field_string(q->json, "file", set->functions.items[l->function].file);
        json_field_uint(q->json, "line", l->line);
        json_field_uint(q->json, "own", l->own[0]);
        json_field_uint(q->json, "sum", l->total[0]);
        if (compared) {
            json_field_uint(q->json, "base_own", l->own[1]);
            json_field_uint(q->json, "base_sum", l->total[1]);
        }
        json_end_object(q->json);
    }
    json_end_array(q->json);
}

static int write_trees(struct query *q, const struct profile_set *set, struct sandwich *w,
                       const struct profile_tree *tree, bool compared) {
    flame_sum(&w->callers);
    flame_sum(&w->callees);
    json_put_key(q->json, "callers");
    json_begin_object(q->json);
    int r = json_flame(q, set, &w->callers, tree, compared);
    json_end_object(q->json);
    if (r < 0)
        return r;
    json_put_key(q->json, "callees");
    json_begin_object(q->json);
    r = json_flame(q, set, &w->callees, tree, compared);
    json_end_object(q->json);
    return r;
}

static int write(struct query *q, const struct profile_selection *p, const struct profile_set *set,
                 struct sandwich *w, const struct profile_tree *tree, bool compared) {
    const struct profile_function *f = NULL;

    for (size_t i = 0; i < set->functions.n && !f; i++)
        if (w->wanted[i])
            f = &set->functions.items[i];
    if (!w->found || !f)
        return error_set(q->error, -ENOENT, "no stack of this selection has that function");
    json_begin_object(q->json);
    json_profile_head(q, p, set, compared);
    json_field_string(q->json, "function", f->name);
    json_field_string(q->json, "file", f->file);
    json_field_text(q->json, "kind", profile_kind_name(f->kind));
    json_field_uint(q->json, "own", w->own[0]);
    json_field_uint(q->json, "sum", w->total[0]);
    if (compared) {
        json_field_uint(q->json, "base_own", w->own[1]);
        json_field_uint(q->json, "base_sum", w->total[1]);
    }
    write_lines(q, set, w, compared);
    int r = write_trees(q, set, w, tree, compared);
    json_end_object(q->json);
    return r;
}

int query_profile_function(struct query *q, const struct profile_selection *p,
                           const struct profile_selection *base, struct slice function,
                           struct slice file, const struct profile_tree *tree) {
    struct sandwich w = {0};
    struct profile_set set;
    int r = profile_set_load(q, p, base, &set);

    if (r < 0)
        return r;
    map_init(&w.lines_by_place, LINES_MAX, LINES_MAX * 16);
    r = mark_wanted(q, &set, function, file, &w.wanted);
    if (r == 0)
        r = flame_init(&w.callers);
    if (r == 0)
        r = flame_init(&w.callees);
    for (size_t i = 0; i < set.n && r == 0; i++)
        r = add_stack(&w, &set.stacks[i], tree);
    if (r == 0)
        r = write(q, p, &set, &w, tree, base != NULL);
    flame_done(&w.callers);
    flame_done(&w.callees);
    map_done(&w.lines_by_place);
    vector_done(&w.lines);
    profile_set_done(&set);
    return r;
}
