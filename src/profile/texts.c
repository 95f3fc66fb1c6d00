/* See texts.h. */
#include "profile/texts.h"

#include "signal/profile_attributes.h"

#include <stdlib.h>

static struct function_wish *describe(const struct profile *p) {
    struct function_wish *wishes = calloc(p->functions.n + 1, sizeof(*wishes));

    for (uint32_t i = 0; wishes && i < p->functions.n; i++) {
        const struct profile_function *f = &p->functions.items[i];
        wishes[i] = function_wish_of(i, slice_from(f->file), slice_from(f->name), f->first_line,
                                     f->last_line);
    }
    return wishes;
}

/* A node's parent stands before it. */
static void weigh(const struct profile *p, uint64_t *node_costs, struct function_wish *wishes) {
    for (size_t i = p->nodes.n; i-- > 1;) {
        const struct profile_node *n = &p->nodes.items[i];
        const struct profile_frame *f = &p->frames.items[n->frame];
        struct function_wish *wish = &wishes[f->function];
        node_costs[n->parent] += node_costs[i];
        wish->cost += node_costs[i];
        if (node_costs[i] && f->line > wish->place.seen)
            wish->place.seen = f->line;
    }
}

static void write_text(const struct function_wish *wish, size_t n_values, struct pprof_writer *w) {
    static const int64_t nothing[PPROF_VALUES_MAX];
    const struct pprof_frame frame = {.function = wish->place.name,
                                      .file = wish->place.file,
                                      .line = wish->place.first,
                                      .start_line = wish->place.first};
    const struct pprof_label label = {.key = SLICE(PROFILE_SOURCE_ATTRIBUTE), .text = wish->text};

    pprof_write_sample(w, &(struct pprof_sample){.frames = &frame,
                                                 .n_frames = 1,
                                                 .values = nothing,
                                                 .n_values = n_values,
                                                 .labels = &label,
                                                 .n_labels = 1});
}

void profile_write_texts(struct function_texts *t, const struct profile *p, uint64_t *node_costs,
                         size_t n_values, struct pprof_writer *w) {
    struct function_wish *wishes = describe(p);

    if (!wishes)
        return;
    weigh(p, node_costs, wishes);
    function_texts_choose(t, wishes, p->functions.n);
    for (size_t i = 0; i < p->functions.n; i++)
        if (wishes[i].text.size)
            write_text(&wishes[i], n_values, w);
    free(wishes);
}
