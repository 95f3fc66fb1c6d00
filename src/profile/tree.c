/* The tree of calls by function: stacks that differ in lines only are one branch. */
#include "profile/profile.h"

/* Branches in the order they were first seen, which is after their parents. */
struct builder {
    VECTOR(struct profile_branch) branches;
    struct map ids; /* (parent, function) → place */
};

static int64_t branch_of(struct builder *b, uint32_t parent, uint32_t function) {
    uint32_t key[2] = {parent, function};
    bool is_new = false;
    struct map_entry *e = map_put(&b->ids, slice_new(key, sizeof(key)), &is_new);

    if (!e)
        return -ENOMEM;
    if (is_new) {
        struct profile_branch branch = {.function = function,
                                        .parent = parent,
                                        .depth = b->branches.items[parent].depth + 1};
        e->number = b->branches.n;
        if (vector_push(&b->branches, branch, PROFILE_NODES_MAX) < 0)
            return -ENOMEM;
    }
    return (int64_t) e->number;
}

static int build(struct builder *b, const struct profile *p, const uint64_t *weights,
                 uint32_t *places) {
    for (uint32_t i = 1; i < p->nodes.n; i++) {
        const struct profile_node *n = &p->nodes.items[i];
        int64_t at = branch_of(b, places[n->parent], p->frames.items[n->frame].function);
        if (at < 0)
            return (int) at;
        places[i] = (uint32_t) at;
    }
    for (size_t i = 0; i < p->counts.n; i++) {
        const struct profile_count *c = &p->counts.items[i];
        b->branches.items[places[c->node]].own += weights ? weights[i] : c->samples;
    }
    vector_each(&p->base, c) b->branches.items[places[c->node]].base += c->samples;
    for (size_t i = b->branches.n; i-- > 0;) { /* children come after their parents */
        struct profile_branch *branch = &b->branches.items[i];
        branch->total += branch->own;
        if (i == 0)
            break;
        b->branches.items[branch->parent].total += branch->total;
        b->branches.items[branch->parent].base += branch->base;
    }
    return 0;
}

static int by_total(const void *a, const void *b, void *ctx) {
    const struct profile_branch *sorting = ctx, *x = &sorting[*(const uint32_t *) a],
                                *y = &sorting[*(const uint32_t *) b];

    if (x->total != y->total)
        return x->total < y->total ? -1 : 1; /* the smallest first: each is put before the last */
    return x < y ? 1 : -1;
}

static int link_children(struct builder *b) {
    size_t n = b->branches.n;
    uint32_t *order = calloc(n, sizeof(*order));

    if (!order)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(*order), by_total, b->branches.items);
    for (size_t i = 0; i < n; i++) {
        struct profile_branch *branch = &b->branches.items[order[i]];
        if (order[i] == 0)
            continue;
        branch->next = b->branches.items[branch->parent].first;
        b->branches.items[branch->parent].first = order[i];
    }
    free(order);
    return 0;
}

int profile_tree(const struct profile *p, const uint64_t *weights, struct profile_branch **ret,
                 size_t *ret_n) {
    struct profile_branch root = {0};
    struct builder b = {0};
    uint32_t *places = calloc(p->nodes.n + 1, sizeof(*places));
    int r = places ? 0 : -ENOMEM;

    map_init(&b.ids, PROFILE_NODES_MAX, PROFILE_BYTES_MAX);
    if (r == 0)
        r = vector_push(&b.branches, root, 1);
    if (r == 0)
        r = build(&b, p, weights, places);
    if (r == 0)
        r = link_children(&b);
    free(places);
    map_done(&b.ids);
    if (r < 0) {
        vector_done(&b.branches);
        return -ENOMEM;
    }
    *ret = b.branches.items;
    *ret_n = b.branches.n;
    return 0;
}
