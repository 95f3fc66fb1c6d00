/* A tree of calls cut to size, as JSON. */
#include "query/profiles.h"

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return (x < y) - (x > y);
}

/* The least weight that leaves at most `most` nodes. A parent weighs as much as its children at
 * least, so what is left is a tree. */
static int least_weight(struct query *q, const struct flame *f, size_t most, uint64_t *ret) {
    *ret = 0;
    if (f->nodes.n <= most)
        return 0;
    uint64_t *weights = arena_alloc(q->arena, f->nodes.n * sizeof(*weights));
    if (!weights)
        return -ENOMEM;
    for (size_t i = 0; i < f->nodes.n; i++)
        weights[i] = flame_weight(&f->nodes.items[i]);
    qsort(weights, f->nodes.n, sizeof(*weights), descending);
    *ret = weights[most] + 1;
    return 0;
}

struct writing {
    const struct flame *f;
    uint64_t least;
    uint32_t *order; /* nodes kept, each before its children, siblings of a function together */
    size_t n;
    uint32_t *number; /* node → its position in `order` */
};

struct sibling {
    uint64_t group; /* weight of all siblings of the same function */
    uint64_t weight;
    uint32_t function, node;
};

static int by_function(const void *a, const void *b) {
    const struct sibling *x = a, *y = b;

    return (x->function > y->function) - (x->function < y->function);
}

static int by_weight(const void *a, const void *b) {
    const struct sibling *x = a, *y = b;

    if (x->group != y->group)
        return x->group < y->group ? 1 : -1;
    if (x->function != y->function)
        return by_function(a, b);
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return (x->node > y->node) - (x->node < y->node);
}

/* The heaviest function first, and of one function the heaviest line. */
static void order_siblings(struct sibling *s, size_t n) {
    qsort(s, n, sizeof(*s), by_function);
    for (size_t i = 0, end; i < n; i = end) {
        uint64_t sum = 0;
        for (end = i; end < n && s[end].function == s[i].function; end++)
            sum += s[end].weight;
        for (size_t k = i; k < end; k++)
            s[k].group = sum;
    }
    qsort(s, n, sizeof(*s), by_weight);
}

/* Depth first, without recursion: a stack may be 2,048 deep. */
static int order_nodes(struct query *q, struct writing *w) {
    size_t n = w->f->nodes.n, open = 0;
    struct sibling *stack = arena_alloc(q->arena, (n + 1) * sizeof(*stack));

    w->order = arena_alloc(q->arena, n * sizeof(*w->order));
    w->number = arena_alloc(q->arena, n * sizeof(*w->number));
    if (!stack || !w->order || !w->number)
        return -ENOMEM;
    stack[open++] = (struct sibling){0};
    while (open) {
        uint32_t at = stack[--open].node;
        size_t first = open;
        w->number[at] = (uint32_t) w->n;
        w->order[w->n++] = at;
        for (uint32_t c = w->f->nodes.items[at].first; c; c = w->f->nodes.items[c].next)
            if (flame_weight(&w->f->nodes.items[c]) >= w->least)
                stack[open++] = (struct sibling){.weight = flame_weight(&w->f->nodes.items[c]),
                                                 .function = w->f->nodes.items[c].function,
                                                 .node = c};
        order_siblings(stack + first, open - first);
        for (size_t i = first, j = open; i + 1 < j; i++) { /* the first is taken last */
            struct sibling x = stack[i];
            stack[i] = stack[--j];
            stack[j] = x;
        }
    }
    return 0;
}

static void write_functions(struct query *q, const struct profile_set *set, const struct writing *w,
                            uint32_t *ids) {
    struct json_writer *json = q->json;
    uint32_t n = 0;

    memset(ids, 0xff, set->functions.n * sizeof(*ids));
    json_put_key(json, "functions");
    json_begin_array(json);
    for (size_t i = 1; i < w->n; i++) {
        uint32_t f = w->f->nodes.items[w->order[i]].function - 1;
        if (ids[f] != UINT32_MAX)
            continue;
        ids[f] = n++;
        json_begin_array(json);
        json_put_string(json, set->functions.items[f].name);
        json_put_string(json, set->functions.items[f].file);
        json_put_text(json, profile_kind_name(set->functions.items[f].kind));
        json_end_array(json);
    }
    json_end_array(json);
}

enum field {
    FIELD_PARENT,
    FIELD_FUNCTION,
    FIELD_LINE,
    FIELD_OWN,
    FIELD_TOTAL,
    FIELD_BASE_OWN,
    FIELD_BASE_TOTAL
};

static void write_field(struct query *q, const struct writing *w, const uint32_t *ids,
                        const char *name, enum field field) {
    json_put_key(q->json, name);
    json_begin_array(q->json);
    for (size_t i = 1; i < w->n; i++) {
        const struct flame_node *n = &w->f->nodes.items[w->order[i]];
        uint64_t v = 0;
        switch (field) {
        case FIELD_PARENT: v = w->number[n->parent]; break;
        case FIELD_FUNCTION: v = ids[n->function - 1]; break;
        case FIELD_LINE: v = n->line; break;
        case FIELD_OWN: v = n->own[0]; break;
        case FIELD_TOTAL: v = n->total[0]; break;
        case FIELD_BASE_OWN: v = n->own[1]; break;
        case FIELD_BASE_TOTAL: v = n->total[1]; break;
        }
        json_put_uint(q->json, v);
    }
    json_end_array(q->json);
}

int json_flame(struct query *q, const struct profile_set *set, const struct flame *f,
               const struct profile_tree *tree, bool compared) {
    struct writing w = {.f = f};
    uint32_t *ids = arena_alloc(q->arena, (set->functions.n + 1) * sizeof(*ids));
    int r = ids ? least_weight(q, f, tree->nodes_max, &w.least) : -ENOMEM;

    if (r == 0)
        r = order_nodes(q, &w);
    if (r < 0)
        return r;
    json_field_uint(q->json, "nodes", f->nodes.n - 1);
    json_field_uint(q->json, "nodes_left_out", f->nodes.n - w.n);
    write_functions(q, set, &w, ids);
    write_field(q, &w, ids, "parent", FIELD_PARENT);
    write_field(q, &w, ids, "function", FIELD_FUNCTION);
    if (tree->lines)
        write_field(q, &w, ids, "line", FIELD_LINE);
    write_field(q, &w, ids, "own", FIELD_OWN);
    write_field(q, &w, ids, "sum", FIELD_TOTAL);
    if (compared) {
        write_field(q, &w, ids, "base_own", FIELD_BASE_OWN);
        write_field(q, &w, ids, "base_sum", FIELD_BASE_TOTAL);
    }
    return 0;
}
