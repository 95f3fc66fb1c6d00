/* See profiler_source.h. */
#include "profiler_source.h"

#include <stdlib.h>

#include "profiler_rows.h"

static void describe(const struct profiler_window *w, struct function_wish *wishes) {
    for (uint32_t i = 0; i < w->functions.n; i++) {
        const struct function *f = &w->functions.items[i];
        wishes[i] = function_wish_of(i, w->strings.items[f->file], w->strings.items[f->name],
                                     f->first_line, f->last_line);
    }
    vector_each(&w->frames, f) {
        struct function_place *p = &wishes[f->function].place;
        p->seen = f->line > p->seen ? f->line : p->seen;
    }
}

/* What was spent in each function and below it. A node's parent stands before it. */
static void weigh(const struct profiler_window *w, uint64_t *nodes, struct function_wish *wishes) {
    vector_each(&w->rows, r) for (int c = 0; c < COSTS; c++) nodes[r->node] += r->costs[c];
    for (size_t i = w->nodes.n; i-- > 1;) {
        const struct node *n = &w->nodes.items[i];
        nodes[n->parent] += nodes[i];
        wishes[w->frames.items[n->frame].function].cost += nodes[i];
    }
}

void sources_choose(struct function_texts *t, struct profiler_window *w) {
    struct function_wish *wishes = calloc(w->functions.n + 1, sizeof(*wishes));
    uint64_t *nodes = calloc(w->nodes.n + 1, sizeof(*nodes));

    if (wishes && nodes) {
        describe(w, wishes);
        weigh(w, nodes, wishes);
        function_texts_choose(t, wishes, w->functions.n);
        for (size_t i = 0; i < w->functions.n; i++)
            w->functions.items[wishes[i].number].text = wishes[i].text;
    }
    free(wishes);
    free(nodes);
}
