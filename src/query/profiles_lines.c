/*
 * A tree of calls by lines that became too large: lines that hardly count are joined.
 *
 * Stacks that differ by nothing but a line make a node each, level upon level, until all of them
 * are too small to be kept, and a picture shows "smaller calls" where one function stands. Here a
 * line keeps a node of its own while it is worth seeing; the others of the same function become one
 * node, with all that is below them. Nothing is left out by it.
 */
#include "query/profiles.h"

#define KEY_BYTES ((size_t) 512 << 20)

struct joining {
    const struct flame *from;
    struct flame *to;
    uint64_t least;
    uint32_t *order;  /* nodes of `from`, level by level */
    uint32_t *place;  /* node of `from` → node of `to` */
    struct map costs; /* place of the parent, function, line → weight of all that come together */
};

uint64_t flame_weight(const struct flame_node *n) {
    return n->total[0] > n->total[1] ? n->total[0] : n->total[1];
}

static int order_by_level(struct joining *j) {
    size_t n = 1;

    j->order[0] = 0;
    for (size_t i = 0; i < n; i++)
        for (uint32_t c = j->from->nodes.items[j->order[i]].first; c;
             c = j->from->nodes.items[c].next)
            j->order[n++] = c;
    return n == j->from->nodes.n ? 0 : -EINVAL;
}

/* The end of the level that begins at `begin`: the parents of its nodes stand before it. */
static size_t level_end(const struct joining *j, const uint8_t *odd, size_t begin) {
    size_t end = begin;

    while (end < j->from->nodes.n && odd[j->order[end]] == odd[j->order[begin]])
        end++;
    return end;
}

static struct map_entry *cost_of(struct joining *j, const struct flame_node *n) {
    const uint32_t key[] = {j->place[n->parent], n->function, n->line};

    return map_put(&j->costs, slice_new(key, sizeof(key)), NULL);
}

static int join_level(struct joining *j, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
        const struct flame_node *n = &j->from->nodes.items[j->order[i]];
        struct map_entry *cost = cost_of(j, n);
        if (!cost)
            return -ENOMEM;
        cost->number += flame_weight(n);
    }
    for (size_t i = begin; i < end; i++) {
        const struct flame_node *n = &j->from->nodes.items[j->order[i]];
        bool keeps = cost_of(j, n)->number >= j->least, is_new;
        int64_t at = flame_child(j->to, j->place[n->parent], n->function - 1,
                                 keeps ? n->line : FLAME_LINES_JOINED, &is_new);
        if (at < 0)
            return (int) at;
        struct flame_node *node = &j->to->nodes.items[at];
        if (is_new)
            node->line = n->line;
        else if (node->line != n->line) /* one line alone keeps its number */
            node->line = 0;
        node->own[0] += n->own[0];
        node->own[1] += n->own[1];
        j->place[j->order[i]] = (uint32_t) at;
    }
    return 0;
}

int flame_join_lines(struct query *q, const struct flame *f, uint64_t least, struct flame *ret) {
    size_t n = f->nodes.n;
    struct joining j = {.from = f, .to = ret, .least = least};
    uint8_t *odd = arena_alloc(q->arena, n);

    j.order = arena_alloc(q->arena, n * sizeof(*j.order));
    j.place = arena_zalloc(q->arena, n, sizeof(*j.place));
    if (!odd || !j.order || !j.place)
        return -ENOMEM;
    int r = order_by_level(&j);
    if (r < 0)
        return r;
    odd[0] = 0;
    for (size_t i = 1; i < n; i++)
        odd[j.order[i]] = !odd[f->nodes.items[j.order[i]].parent];
    r = flame_init(ret);
    if (r < 0)
        return r;
    ret->nodes.items[0].own[0] = f->nodes.items[0].own[0];
    ret->nodes.items[0].own[1] = f->nodes.items[0].own[1];
    map_init(&j.costs, PROFILE_NODES_LIMIT, KEY_BYTES);
    for (size_t i = 1, end; i < n && r == 0; i = end) {
        end = level_end(&j, odd, i);
        r = join_level(&j, i, end);
    }
    map_done(&j.costs);
    if (r < 0)
        flame_done(ret);
    else
        flame_sum(ret);
    return r;
}
