/* The merged tree of calls: building it. */
#include "query/profiles.h"

#define CHILD_KEY_BYTES ((size_t) 512 << 20)

int64_t flame_child(struct flame *f, uint32_t parent, uint32_t function, uint32_t line,
                    bool *ret_new) {
    const uint32_t key[] = {parent, function, line};
    bool is_new;
    struct map_entry *e = map_put(&f->children, slice_new(key, sizeof(key)), &is_new);

    if (!e)
        return -ENOMEM;
    if (is_new) {
        struct flame_node node = {.parent = parent, .function = function + 1, .line = line};
        e->number = f->nodes.n;
        node.next = f->nodes.items[parent].first;
        f->nodes.items[parent].first = (uint32_t) f->nodes.n;
        int r = vector_push(&f->nodes, node, PROFILE_NODES_LIMIT);
        if (r < 0)
            return r;
    }
    if (ret_new)
        *ret_new = is_new;
    return (int64_t) e->number;
}

static int step_down(struct flame *f, int64_t *at, const struct profile_place *p, bool lines) {
    int64_t r = flame_child(f, (uint32_t) *at, p->function, lines ? p->line : 0, NULL);

    if (r < 0)
        return (int) r;
    *at = r;
    return 0;
}

static void add_own(struct flame *f, int64_t at, const uint64_t value[2]) {
    f->nodes.items[at].own[0] += value[0];
    f->nodes.items[at].own[1] += value[1];
}

int flame_add(struct flame *f, const struct profile_place *places, size_t n,
              const uint64_t value[2], bool lines) {
    int64_t at = 0;
    int r = 0;

    for (size_t i = n; i > 0 && r == 0; i--)
        r = step_down(f, &at, &places[i - 1], lines);
    if (r == 0)
        add_own(f, at, value);
    return r;
}

int flame_add_upwards(struct flame *f, const struct profile_place *places, size_t n,
                      const uint64_t value[2], bool lines) {
    int64_t at = 0;
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = step_down(f, &at, &places[i], lines);
    if (r == 0)
        add_own(f, at, value);
    return r;
}

int flame_init(struct flame *f) {
    const struct flame_node root = {0};

    *f = (struct flame){0};
    map_init(&f->children, PROFILE_NODES_LIMIT, CHILD_KEY_BYTES);
    return vector_push(&f->nodes, root, 1);
}

void flame_sum(struct flame *f) {
    for (size_t i = f->nodes.n; i > 0; i--) { /* children stand behind their parents */
        struct flame_node *n = &f->nodes.items[i - 1];
        for (unsigned side = 0; side < 2; side++) {
            n->total[side] += n->own[side];
            if (i > 1)
                f->nodes.items[n->parent].total[side] += n->total[side];
        }
    }
}

void flame_done(struct flame *f) {
    vector_done(&f->nodes);
    map_done(&f->children);
}

/* Writes the tree; by lines, and too large, with the lines joined that hardly count. */
static int write_tree(struct query *q, const struct profile_set *set, const struct flame *f,
                      const struct profile_tree *tree, bool compared) {
    struct flame joined;
    uint64_t least = flame_weight(&f->nodes.items[0]) / FLAME_LINE_PARTS;

    if (!tree->lines || f->nodes.n - 1 <= tree->nodes_max)
        return json_flame(q, set, f, tree, compared);
    int r = flame_join_lines(q, f, least, &joined);
    if (r < 0)
        return r;
    r = json_flame(q, set, &joined, tree, compared);
    flame_done(&joined);
    return r;
}

int query_profile_flame(struct query *q, const struct profile_selection *p,
                        const struct profile_selection *base, const struct profile_tree *tree) {
    struct profile_set set;
    struct flame f;
    int r = profile_set_load(q, p, base, &set);

    if (r < 0)
        return r;
    r = flame_init(&f);
    for (size_t i = 0; i < set.n && r == 0; i++)
        r = flame_add(&f, set.stacks[i].places, set.stacks[i].n, set.stacks[i].value, tree->lines);
    if (r == 0) {
        flame_sum(&f);
        json_begin_object(q->json);
        json_profile_head(q, p, &set, base != NULL);
        json_field_uint(q->json, "stacks", set.n);
        r = write_tree(q, &set, &f, tree, base != NULL);
        json_end_object(q->json);
    }
    flame_done(&f);
    profile_set_done(&set);
    return r;
}
