/*
 * pstats: what cProfile writes and pstats, snakeviz and gprof2dot read, a dict in marshal format
 * (Python/marshal.c, type codes of version 0): {(file, line, name): (calls, calls, own seconds,
 * total seconds, {caller: the same four})}. Calls are not known: samples stand in their place.
 */
#include "profile/format.h"

#include <errno.h>

struct edge {
    uint64_t samples; /* with that call anywhere in the stack, once per stack */
    uint64_t own;
    uint32_t caller, callee, seen;
};

struct edges {
    VECTOR(struct edge) items;
    struct map ids;
};

static void put_u32(struct buffer *out, uint32_t v) {
    buffer_append_u32(out, v);
}

static void put_text(struct buffer *out, const char *text) {
    size_t n = strlen(text);

    buffer_append_u8(out, 'u');
    put_u32(out, (uint32_t) n);
    buffer_append(out, text, n);
}

static void put_int(struct buffer *out, uint64_t v) {
    buffer_append_u8(out, 'i');
    put_u32(out, v > INT32_MAX ? INT32_MAX : (uint32_t) v);
}

static void put_double(struct buffer *out, double v) {
    buffer_append_u8(out, 'g');
    buffer_append(out, &v, sizeof(v));
}

static void put_tuple(struct buffer *out, uint32_t n) {
    buffer_append_u8(out, '(');
    put_u32(out, n);
}

static void put_function(struct buffer *out, const struct profile *p, uint32_t id) {
    const struct profile_function *f = &p->functions.items[id];

    put_tuple(out, 3);
    put_text(out, f->file[0] ? f->file : "~");
    put_int(out, (uint64_t) f->first_line);
    put_text(out, f->name);
}

static void put_times(struct buffer *out, const struct profile *p, uint64_t samples, uint64_t own,
                      uint64_t total) {
    double period_s = (double) p->period_ns / 1e9;

    put_int(out, samples);
    put_int(out, samples);
    put_double(out, (double) own * period_s);
    put_double(out, (double) total * period_s);
}

static int64_t edge_of(struct edges *e, uint32_t caller, uint32_t callee) {
    uint32_t key[2] = {caller, callee};
    bool is_new = false;
    struct map_entry *entry = map_put(&e->ids, slice_new(key, sizeof(key)), &is_new);

    if (!entry)
        return -ENOMEM;
    if (is_new) {
        struct edge edge = {.caller = caller, .callee = callee};
        entry->number = e->items.n;
        if (vector_push(&e->items, edge, PROFILE_NODES_MAX) < 0)
            return -ENOMEM;
    }
    return (int64_t) entry->number;
}

static uint32_t function_at(const struct profile *p, uint32_t node) {
    return p->frames.items[p->nodes.items[node].frame].function;
}

static int find_edges(const struct profile *p, struct edges *e) {
    for (uint32_t i = 0; i < p->counts.n; i++) {
        const struct profile_count *c = &p->counts.items[i];
        for (uint32_t at = c->node; at; at = p->nodes.items[at].parent) {
            uint32_t parent = p->nodes.items[at].parent;
            if (!parent)
                break;
            int64_t id = edge_of(e, function_at(p, parent), function_at(p, at));
            if (id < 0)
                return (int) id;
            struct edge *edge = &e->items.items[id];
            if (edge->seen != i + 1)
                edge->samples += c->samples;
            if (at == c->node)
                edge->own += c->samples;
            edge->seen = i + 1;
        }
    }
    return 0;
}

static int by_callee(const void *a, const void *b) {
    const struct edge *x = a, *y = b;

    if (x->callee != y->callee)
        return x->callee < y->callee ? -1 : 1;
    return x->caller < y->caller ? -1 : x->caller > y->caller;
}

int format_pstats(const struct profile *p, struct buffer *out) {
    struct profile_total *totals = NULL;
    struct edges edges = {0};
    size_t n, at = 0;

    map_init(&edges.ids, PROFILE_NODES_MAX, PROFILE_BYTES_MAX);
    int r = profile_totals(p, false, &totals, &n);
    if (r == 0)
        r = find_edges(p, &edges);
    if (r == 0 && edges.items.n)
        qsort(edges.items.items, edges.items.n, sizeof(struct edge), by_callee);
    if (r == 0)
        buffer_append_u8(out, '{');
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        while (at < edges.items.n && edges.items.items[at].callee < i)
            at++;
        if (!totals[i].total)
            continue;
        put_function(out, p, i);
        put_tuple(out, 5);
        put_times(out, p, totals[i].total, totals[i].own, totals[i].total);
        buffer_append_u8(out, '{');
        for (; at < edges.items.n && edges.items.items[at].callee == i; at++) {
            const struct edge *edge = &edges.items.items[at];
            put_function(out, p, edge->caller);
            put_tuple(out, 4);
            put_times(out, p, edge->samples, edge->own, edge->samples);
        }
        buffer_append_u8(out, '0');
    }
    if (r == 0)
        buffer_append_u8(out, '0');
    free(totals);
    vector_done(&edges.items);
    map_done(&edges.ids);
    return r < 0 ? r : out->failed;
}
