/*
 * Binary operators on two vectors: series meet that share their matching labels. Groups of one
 * series on each side, the usual case, are combined column by column; others step by step.
 */
#include "query/promql/engine.h"

#include <errno.h>

const struct promql_labels *match_labels(struct eval *e, const struct matching *m,
                                         const struct promql_labels *l) {
    struct slice names[PROMQL_LABELS_MAX];
    size_t n = m->n_labels;

    if (m->on)
        return labels_select(&e->arena, l, m->labels, n, true);
    if (n >= PROMQL_LABELS_MAX)
        n = PROMQL_LABELS_MAX - 1;
    if (n)
        memcpy(names, m->labels, n * sizeof(*names));
    names[n] = PROMQL_METRIC_NAME;
    return labels_select(&e->arena, l, names, n + 1, false);
}

/* The series of one side by group: those of group i are order[from[i] … from[i + 1]). */
struct side {
    struct vector *v;
    uint32_t *id, *order;
    size_t *from;
};

static int number_side(struct eval *e, const struct node *n, struct labels_table *groups,
                       struct side *s) {
    s->id = arena_array(&e->arena, uint32_t, s->v->n);
    s->order = arena_array(&e->arena, uint32_t, s->v->n);
    if (!s->id || !s->order)
        return eval_memory(e);
    for (size_t i = 0; i < s->v->n; i++) {
        const struct promql_labels *l = match_labels(e, &n->binary.matching, s->v->items[i].labels);
        int64_t id = l ? labels_table_put(groups, l) : -ENOMEM;

        if (id < 0)
            return eval_memory(e);
        s->id[i] = (uint32_t) id;
    }
    return eval_tick(e, s->v->n * 16);
}

static int order_side(struct eval *e, size_t n_groups, struct side *s) {
    s->from = arena_array(&e->arena, size_t, n_groups + 2);
    if (!s->from)
        return eval_memory(e);
    for (size_t i = 0; i < s->v->n; i++)
        s->from[s->id[i] + 2]++;
    for (size_t i = 2; i < n_groups + 2; i++)
        s->from[i] += s->from[i - 1];
    for (size_t i = 0; i < s->v->n; i++)
        s->order[s->from[s->id[i] + 1]++] = (uint32_t) i;
    return 0;
}

/* ---- Set operators. ---- */

/* Where some series of the group has a sample. */
static void presence(const struct side *s, size_t group, size_t n, uint8_t *ret) {
    memset(ret, 0, n);
    for (size_t m = s->from[group]; m < s->from[group + 1]; m++) {
        const struct series *x = &s->v->items[s->order[m]];

        for (size_t k = 0; k < n; k++)
            ret[k] |= series_has(x, k);
    }
}

/* Removes the samples of the group's series at steps where `there` is not `wanted`. */
static void filter(struct side *s, size_t group, size_t n, const uint8_t *there, bool wanted) {
    for (size_t m = s->from[group]; m < s->from[group + 1]; m++) {
        struct series *x = &s->v->items[s->order[m]];

        for (size_t k = 0; k < n; k++)
            if (there[k] != wanted)
                series_clear(x, k);
    }
}

int match_sets(struct eval *e, const struct node *n, const struct grid *g, struct vector *left,
               struct vector *right, struct value *ret) {
    struct side l = {.v = left}, r = {.v = right};
    struct labels_table groups;
    uint8_t *there = arena_alloc(&e->arena, g->n);
    enum binary_op op = n->binary.op;
    int result = there ? 0 : eval_memory(e);

    labels_table_init(&groups, &e->arena);
    if (result == 0)
        result = number_side(e, n, &groups, &l);
    if (result == 0)
        result = number_side(e, n, &groups, &r);
    if (result == 0)
        result = order_side(e, groups.n, &l);
    if (result == 0)
        result = order_side(e, groups.n, &r);
    for (size_t i = 0; result == 0 && i < groups.n; i++) {
        presence(op == OP_OR ? &l : &r, i, g->n, there);
        filter(op == OP_OR ? &r : &l, i, g->n, there, op == OP_AND);
        result = eval_tick(e, g->n * (1 + l.from[i + 1] - l.from[i]));
    }
    if (result < 0)
        return result;
    vector_prune(left, g);
    ret->vector = *left;
    if (op != OP_OR)
        return 0;
    vector_prune(right, g);
    struct series *all = arena_array(&e->arena, struct series, left->n + right->n);
    if (!all)
        return eval_memory(e);
    if (left->n)
        memcpy(all, left->items, left->n * sizeof(*all));
    if (right->n)
        memcpy(all + left->n, right->items, right->n * sizeof(*all));
    ret->vector = (struct vector){all, left->n + right->n, left->n + right->n};
    /* Series of equal labels may come from both sides at different steps. */
    return vector_merge(e, &ret->vector, g);
}

/* ---- Arithmetic and comparison. ---- */

struct matcher {
    struct eval *e;
    const struct node *n;
    const struct grid *g;
    const struct matching *m;
    bool swapped; /* the "one" side is the left one */
    struct side many, one;
    struct labels_table results;
    struct vector *out;
    const struct promql_labels *cached_many, *cached_one;
    int64_t cached_id;
};

static const struct promql_labels *result_labels(struct matcher *m,
                                                 const struct promql_labels *many,
                                                 const struct promql_labels *one) {
    struct arena *a = &m->e->arena;
    const struct promql_labels *l = many;
    enum binary_op op = m->n->binary.op;

    if (!op_is_comparison(op) && !op_is_trim(op))
        l = labels_drop_name(a, l);
    if (l && m->m->card == CARD_ONE_TO_ONE && (m->m->on || m->m->n_labels))
        l = labels_select(a, l, m->m->labels, m->m->n_labels, m->m->on);
    for (size_t i = 0; l && one && i < m->m->n_include; i++)
        l = labels_set(a, l, m->m->include[i], promql_labels_get(one, m->m->include[i]));
    return l;
}

static int duplicate(struct matcher *m, uint32_t a, uint32_t b) {
    const struct vector *v = m->one.v;
    const struct promql_labels *l = match_labels(m->e, m->m, v->items[a].labels);
    struct buffer out;

    buffer_init(&out, 900); /* what does not fit is left out: a message, not data */
    buffer_append_text(&out, "found duplicate series for the match group ");
    promql_labels_print(l ? l : &promql_no_labels, &out);
    buffer_printf(&out, " on the %s hand-side of the operation: [", m->swapped ? "left" : "right");
    promql_labels_print(v->items[a].labels, &out);
    buffer_append_text(&out, ", ");
    promql_labels_print(v->items[b].labels, &out);
    buffer_append_text(&out,
                       "];many-to-many matching not allowed: matching labels must be unique on "
                       "one side");
    int r = eval_fail(m->e, PROMQL_EXECUTION, "%.*s", (int) out.size,
                      out.data ? (const char *) out.data : "");
    buffer_done(&out);
    return r;
}

/* Where the result of this pair of series goes: an index of out. */
static int64_t result_index(struct matcher *m, const struct promql_labels *many,
                            const struct promql_labels *one, bool drop_name) {
    if (m->cached_id >= 0 && m->cached_many == many && m->cached_one == one)
        return m->cached_id;
    const struct promql_labels *l = result_labels(m, many, one);
    int64_t id = l ? labels_table_put(&m->results, l) : -ENOMEM;

    if (id < 0)
        return eval_memory(m->e);
    if ((size_t) id == m->out->n && !vector_add(m->e, m->out, m->g, l, drop_name))
        return -ENOMEM;
    m->cached_many = many;
    m->cached_one = one;
    m->cached_id = id;
    return id;
}

static int emit(struct matcher *m, const struct promql_labels *many_labels,
                const struct promql_labels *one_labels, bool drop_name, struct point many,
                struct point one, size_t step) {
    struct point out;
    int r = m->swapped ? combine_points(m->e, m->n, one, many, &out)
                       : combine_points(m->e, m->n, many, one, &out);

    if (r <= 0)
        return r;
    int64_t id = result_index(m, many_labels, one_labels, drop_name || m->n->binary.return_bool);
    if (id < 0)
        return (int) id;
    struct series *s = &m->out->items[id];
    if (series_has(s, step))
        return eval_fail(
                m->e, PROMQL_EXECUTION, "%s",
                m->m->card == CARD_ONE_TO_ONE
                        ? "multiple matches for labels: many-to-one matching must be "
                          "explicit (group_left/group_right)"
                        : "multiple matches for labels: grouping labels must ensure unique "
                          "matches");
    return series_set(m->e, s, m->g, step, out);
}

/* The series of the group on the one side with a sample at the step, -1: none. */
static int find_one(struct matcher *m, size_t group, size_t step, int64_t *ret) {
    *ret = -1;
    for (size_t i = m->one.from[group]; i < m->one.from[group + 1]; i++) {
        uint32_t s = m->one.order[i];

        if (!series_has(&m->one.v->items[s], step))
            continue;
        if (*ret >= 0)
            return duplicate(m, (uint32_t) *ret, s);
        *ret = s;
    }
    return 0;
}

static int group_step(struct matcher *m, size_t group, const struct promql_labels *labels,
                      size_t step) {
    /* As in Prometheus, fill_left means the side of the many, also with group_right. */
    bool fill_many = m->m->fill_left, fill_one = m->m->fill_right;
    double many_value = m->m->fill_left_value, one_value = m->m->fill_right_value;
    size_t seen = 0;
    int64_t one;
    int r = find_one(m, group, step, &one);

    if (r < 0)
        return r;
    const struct series *o = one >= 0 ? &m->one.v->items[one] : NULL;
    for (size_t i = m->many.from[group]; i < m->many.from[group + 1]; i++) {
        const struct series *s = &m->many.v->items[m->many.order[i]];

        if (!series_has(s, step))
            continue;
        if (!o && !fill_one)
            continue;
        if (seen++ && m->m->card == CARD_ONE_TO_ONE)
            return eval_fail(m->e, PROMQL_EXECUTION,
                             "multiple matches for labels: many-to-one matching must be explicit "
                             "(group_left/group_right)");
        r = emit(m, s->labels, o ? o->labels : NULL, s->drop_name, series_point(s, step),
                 o ? series_point(o, step) : (struct point){one_value, NULL}, step);
        if (r < 0)
            return r;
    }
    if (seen || !o || !fill_many)
        return 0;
    return emit(m, labels, o->labels, false, (struct point){many_value, NULL},
                series_point(o, step), step);
}

/* One series on each side, floats only, nothing to fill: whole columns. 1: done. */
static int whole_columns(struct matcher *m, size_t group) {
    const struct series *a, *b, *l, *r;
    bool keeps = op_is_comparison(m->n->binary.op) && !m->n->binary.return_bool;
    enum binary_op op = m->n->binary.op;

    if (m->many.from[group + 1] - m->many.from[group] != 1 ||
        m->one.from[group + 1] - m->one.from[group] != 1 || m->m->fill_left || m->m->fill_right ||
        op_is_trim(op))
        return 0;
    a = &m->many.v->items[m->many.order[m->many.from[group]]];
    b = &m->one.v->items[m->one.order[m->one.from[group]]];
    if (a->h || b->h)
        return 0;
    l = m->swapped ? b : a;
    r = m->swapped ? a : b;
    m->cached_id = -1;
    size_t before = m->out->n;
    int64_t id = result_index(m, a->labels, b->labels, a->drop_name || m->n->binary.return_bool);
    if (id < 0)
        return (int) id;
    if ((size_t) id != before)
        return 0; /* others write there too: step by step */
    double *out = m->out->items[id].v;
    combine_columns(op, l->v, r->v, out, m->g->n);
    for (size_t k = 0; k < m->g->n; k++) {
        if (is_absent(l->v[k]) || is_absent(r->v[k]))
            out[k] = absent_value();
        else if (keeps)
            out[k] = out[k] != 0 ? l->v[k] : absent_value();
    }
    return 1;
}

int match_vectors(struct eval *e, const struct node *n, const struct grid *g, struct vector *left,
                  struct vector *right, struct value *ret) {
    const struct matching *matching = &n->binary.matching;
    bool swapped = matching->card == CARD_ONE_TO_MANY;
    struct matcher m = {.e = e,
                        .n = n,
                        .g = g,
                        .m = matching,
                        .swapped = swapped,
                        .many = {.v = swapped ? right : left},
                        .one = {.v = swapped ? left : right},
                        .out = &ret->vector,
                        .cached_id = -1};
    struct labels_table groups;
    int r;

    labels_table_init(&groups, &e->arena);
    labels_table_init(&m.results, &e->arena);
    r = number_side(e, n, &groups, &m.many);
    if (r == 0)
        r = number_side(e, n, &groups, &m.one);
    if (r == 0)
        r = order_side(e, groups.n, &m.many);
    if (r == 0)
        r = order_side(e, groups.n, &m.one);
    for (size_t i = 0; r == 0 && i < groups.n; i++) {
        size_t n_many = m.many.from[i + 1] - m.many.from[i],
               n_one = m.one.from[i + 1] - m.one.from[i];

        r = eval_tick(e, g->n + 16);
        if (r < 0 || (n_many == 0 && n_one < 2 && !matching->fill_left && !matching->fill_right))
            continue;
        r = whole_columns(&m, i);
        for (size_t k = 0; r == 0 && k < g->n; k++) {
            r = group_step(&m, i, groups.sets[i], k);
            if (r == 0)
                r = eval_tick(e, n_many + n_one);
        }
        if (r > 0)
            r = 0;
    }
    vector_prune(&ret->vector, g);
    return r;
}
