/* Finding series by conditions on their labels: see series.h. */
#include "derive/series_private.h"

#include <errno.h>

#define CONDITIONS_MAX 256u

/* A condition, looked up. */
struct wanted {
    const struct series_condition *c;
    uint32_t name;          /* UINT32_MAX: no series has it */
    uint32_t pair;          /* of an equality, or UINT32_MAX */
    bool empty;             /* a series without the label passes */
    VECTOR(uint32_t) pairs; /* that pass, when they were listed */
    size_t n;               /* series that pass, at most; SIZE_MAX: not known */
};

struct label series_label(const struct series_view *v, uint32_t i) {
    const struct pair *p = &v->index->pairs[v->pairs[i]];

    return (struct label){v->index->names.items[p->name].name, pair_value(p)};
}

struct slice series_label_value(const struct series_view *v, struct slice name) {
    uint32_t number = name_find(v->index, name);

    for (uint32_t i = 0; i < v->n && number != UINT32_MAX; i++)
        if (v->index->pairs[v->pairs[i]].name == number)
            return pair_value(&v->index->pairs[v->pairs[i]]);
    return SLICE_EMPTY;
}

static struct series_view view_of(const struct series_index *x, uint32_t at) {
    struct series *s = series_at(x, at);

    return (struct series_view){.ref = {s->id, at},
                                .n = s->n,
                                .first_s = atomic_load(&s->first_s),
                                .last_s = atomic_load(&s->last_s),
                                .index = x,
                                .pairs = s->pairs};
}

int series_view(struct series_index *x, struct series_ref s, series_fn fn, void *ctx) {
    int r = -ESTALE;

    pthread_rwlock_rdlock(&x->lock);
    if (s.at < x->high && series_at(x, s.at)->id == s.id) {
        struct series_view v = view_of(x, s.at);
        r = fn(ctx, &v);
    }
    pthread_rwlock_unlock(&x->lock);
    return r;
}

size_t series_count(struct series_index *x, struct slice name, struct slice value) {
    size_t n = 0;

    pthread_rwlock_rdlock(&x->lock);
    uint32_t number = name_find(x, name);
    uint32_t pair = number == UINT32_MAX ? UINT32_MAX : pair_find(x, number, value);
    if (pair != UINT32_MAX)
        n = x->pairs[pair].n;
    pthread_rwlock_unlock(&x->lock);
    return n;
}

/* ---- Conditions ---- */

static int pass(const struct series_condition *c, struct slice value) {
    if (c->is_equal)
        return slice_equal(c->value, value);
    if (!slice_starts(value, c->prefix))
        return 0;
    return c->test(c->ctx, value);
}

static int look_up(const struct series_index *x, struct wanted *w) {
    const struct series_condition *c = w->c;
    int r = pass(c, SLICE_EMPTY);

    if (r < 0)
        return r;
    w->empty = r;
    w->n = SIZE_MAX;
    w->pair = UINT32_MAX;
    w->name = name_find(x, c->name);
    if (w->empty)
        return 0;
    w->n = 0;
    if (w->name == UINT32_MAX)
        return 0;
    if (c->is_equal) {
        w->pair = pair_find(x, w->name, c->value);
        w->n = w->pair == UINT32_MAX ? 0 : x->pairs[w->pair].n;
    } else {
        w->n = SIZE_MAX - 1; /* after the equalities */
    }
    return 0;
}

/* Lists the pairs that pass. */
static int list_pairs(const struct series_index *x, struct wanted *w) {
    const struct label_name *name = &x->names.items[w->name];

    w->n = 0;
    for (size_t i = 0; w->c->values && i < w->c->n_values; i++) {
        uint32_t p = pair_find(x, w->name, w->c->values[i]);
        int r = p == UINT32_MAX ? 0 : vector_push(&w->pairs, p, UINT32_MAX);
        if (r < 0)
            return r;
        w->n += p == UINT32_MAX ? 0 : x->pairs[p].n;
    }
    if (w->c->values)
        return 0;
    for (size_t i = 0; i < name->pairs.n; i++) {
        const struct pair *p = &x->pairs[name->pairs.items[i]];
        int r = pass(w->c, pair_value(p));
        if (r > 0)
            r = vector_push(&w->pairs, name->pairs.items[i], UINT32_MAX);
        if (r < 0)
            return r;
        w->n += p->n;
    }
    return 0;
}

/* Whether the series passes. */
static int test_series(const struct series_index *x, const struct series *s,
                       const struct wanted *w) {
    if (w->name == UINT32_MAX)
        return w->empty;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct pair *p = &x->pairs[s->pairs[i]];
        if (p->name == w->name)
            return w->pair != UINT32_MAX ? s->pairs[i] == w->pair : pass(w->c, pair_value(p));
    }
    return w->empty;
}

struct search {
    const struct series_index *x;
    struct wanted *wanted;
    size_t n;
    const struct wanted *base;
    uint32_t from_s, to_s;
    series_fn fn;
    void *ctx;
};

static int visit(struct search *q, uint32_t at) {
    const struct series *s = series_at(q->x, at);

    if (!s->id || !atomic_load(&s->written_s) || atomic_load(&s->first_s) > q->to_s ||
        atomic_load(&s->last_s) < q->from_s)
        return 0;
    for (size_t i = 0; i < q->n; i++) {
        if (&q->wanted[i] == q->base)
            continue;
        int r = test_series(q->x, s, &q->wanted[i]);
        if (r <= 0)
            return r;
    }
    struct series_view v = view_of(q->x, at);
    return q->fn(q->ctx, &v);
}

static int visit_pair(struct search *q, uint32_t pair) {
    const struct pair *p = &q->x->pairs[pair];
    int r = 0;

    for (uint32_t i = 0; i < p->n && r == 0; i++)
        r = visit(q, pair_refs(p)[i]);
    return r;
}

static int run(struct search *q) {
    int r = 0;

    if (!q->base) {
        for (uint32_t at = 0; at < q->x->high && r == 0; at++)
            r = visit(q, at);
        return r;
    }
    if (q->base->c->is_equal)
        return q->base->pair == UINT32_MAX ? 0 : visit_pair(q, q->base->pair);
    for (size_t i = 0; i < q->base->pairs.n && r == 0; i++)
        r = visit_pair(q, q->base->pairs.items[i]);
    return r;
}

static int search(struct search *q, const struct series_condition *conditions) {
    struct wanted *best = NULL;
    int r = 0;

    for (size_t i = 0; i < q->n && r == 0; i++) {
        q->wanted[i] = (struct wanted){.c = &conditions[i]};
        r = look_up(q->x, &q->wanted[i]);
        if (r < 0)
            return r;
        if (q->wanted[i].n == 0)
            return 0;
        if (q->wanted[i].n != SIZE_MAX && (!best || q->wanted[i].n < best->n))
            best = &q->wanted[i];
    }
    if (best && !best->c->is_equal)
        r = list_pairs(q->x, best);
    q->base = best;
    return r < 0 ? r : run(q);
}

int series_each(struct series_index *x, const struct series_condition *conditions, size_t n,
                uint32_t from_s, uint32_t to_s, series_fn fn, void *ctx) {
    struct search q = {.x = x, .n = n, .from_s = from_s, .to_s = to_s, .fn = fn, .ctx = ctx};

    if (n > CONDITIONS_MAX)
        return -E2BIG;
    q.wanted = memory_alloc((n + 1) * sizeof(*q.wanted));
    if (!q.wanted)
        return -ENOMEM;
    memset(q.wanted, 0, (n + 1) * sizeof(*q.wanted));
    pthread_rwlock_rdlock(&x->lock);
    int r = search(&q, conditions);
    pthread_rwlock_unlock(&x->lock);
    for (size_t i = 0; i < n; i++)
        vector_done(&q.wanted[i].pairs);
    free(q.wanted);
    return r;
}

int series_each_pair(struct series_index *x, series_pair_fn fn, void *ctx) {
    int r = 0;

    pthread_rwlock_rdlock(&x->lock);
    for (uint32_t i = 0; i < x->n_pairs && r == 0; i++) {
        const struct pair *p = &x->pairs[i];
        if (p->value && p->n)
            r = fn(ctx, x->names.items[p->name].name, pair_value(p), p->n);
    }
    pthread_rwlock_unlock(&x->lock);
    return r;
}
