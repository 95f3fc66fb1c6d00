/* Sharing the CPU time that was measured among the stacks that were seen: see profiler_window.h.
 * This is the ratio estimator over strata, of a survey: the sizes of the strata (CPU time of an
 * operation on a thread) are known, samples only tell how each is made up. A stack's aim is its
 * share of what was seen; spans keep what was measured of themselves, and what is missing to the
 * aim is the operation's, without a span. */
#include <stdlib.h>

#include "profiler_rows.h"

/* Rows of one stack in one stratum, together. */
struct group {
    uint32_t operation, label, node;
    uint64_t seen, known_ns; /* known: of the spans */
};

struct groups {
    struct group *items;
    size_t n;
};

static int compare(const void *a, const void *b) {
    const struct group *x = a, *y = b;

    if (x->operation != y->operation)
        return x->operation < y->operation ? -1 : 1;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* Sorted by stratum. */
static struct groups make_groups(const struct profiler_window *w) {
    struct groups g = {malloc((w->rows.n + 1) * sizeof(*g.items)), 0};
    size_t kept = 0;

    if (!g.items)
        return g;
    vector_each(&w->rows, r) if (r->seen || r->costs[COST_CPU]) g.items[g.n++] =
            (struct group){r->operation, r->label, r->node, r->seen, r->costs[COST_CPU]};
    qsort(g.items, g.n, sizeof(*g.items), compare);
    for (size_t i = 0; i < g.n; i++) {
        if (kept && compare(&g.items[kept - 1], &g.items[i]) == 0) {
            g.items[kept - 1].seen += g.items[i].seen;
            g.items[kept - 1].known_ns += g.items[i].known_ns;
        } else {
            g.items[kept++] = g.items[i];
        }
    }
    g.n = kept;
    return g;
}

/* The groups of an operation, on the threads of one label or (any) on all. */
static struct groups find(struct groups g, uint32_t operation, uint32_t label, bool any) {
    size_t low = 0, high = g.n;

    while (low < high) { /* the first that is not before */
        size_t middle = (low + high) / 2;
        const struct group *m = &g.items[middle];
        if (m->operation < operation || (m->operation == operation && !any && m->label < label))
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < g.n && g.items[high].operation == operation &&
                     (any || g.items[high].label == label);)
        high++;
    return (struct groups){g.items + low, high - low};
}

static void give(struct profiler_window *w, const struct share *s, uint32_t node, double ns) {
    const struct row wanted = {.node = node, .label = s->label, .operation = s->operation};
    struct row *row = ns >= 1 ? window_row(w, &wanted) : NULL;

    if (row)
        row->costs[COST_CPU] += (uint64_t) ns;
    else
        w->dropped += ns >= 1;
}

/* `own`: the groups are of the share itself, and their spans have a part of it already. False: none
 * of them was seen. */
static bool share_out(struct profiler_window *w, const struct share *s, struct groups g, bool own) {
    double seen = 0, known = 0, missing = 0;

    for (size_t i = 0; i < g.n; i++) {
        seen += (double) g.items[i].seen;
        known += own ? (double) g.items[i].known_ns : 0;
    }
    if (seen <= 0)
        return false;
    double all = (double) s->cpu_ns, rest = all > known ? all - known : 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < g.n; i++) {
            double aim = all * (double) g.items[i].seen / seen,
                   lacks = aim - (own ? (double) g.items[i].known_ns : 0);
            if (lacks <= 0)
                continue;
            if (pass == 0)
                missing += lacks;
            else
                give(w, s, g.items[i].node, rest * lacks / missing);
        }
    return true;
}

void window_settle(struct profiler_window *w) {
    window_resolve(w);
    vector_each(&w->charges, c) {
        bool final; /* these go on: their operation is called so now */
        window_charge_operation(w, profiler_operation_of(c->trace_id, &final), c->label, c->cpu_ns);
    }
    w->charges.n = 0;
    for (uint32_t i = 1; i < PROFILER_OPERATIONS_MAX; i++)
        if (w->waiting[i]) {
            window_charge_operation(w, i, 0, w->waiting[i]);
            w->waiting[i] = 0;
        }
    struct groups all = make_groups(w);
    vector_each(&w->shares, s) {
        if (!share_out(w, s, find(all, s->operation, s->label, false), true) &&
            !share_out(w, s, find(all, s->operation, 0, true), false))
            w->waiting[s->operation] += s->cpu_ns;
    }
    free(all.items);
}
