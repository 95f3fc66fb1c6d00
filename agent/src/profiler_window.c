/* See profiler_window.h. */
#include <stdlib.h>

#include "profiler_rows.h"

static void start_over(struct profiler_window *w) {
    const struct node root = {0};

    vector_push(&w->nodes, root, WINDOW_NODES_MAX);
    vector_push(&w->strings, SLICE(""), STRINGS_MAX);
}

int window_new(struct profiler_window **ret) {
    struct profiler_window *w = calloc(1, sizeof(*w));

    if (!w)
        return -ENOMEM;
    map_init(&w->nodes_by_key, WINDOW_NODES_MAX, KEY_BYTES_MAX);
    map_init(&w->rows_by_key, WINDOW_ROWS_MAX, KEY_BYTES_MAX);
    map_init(&w->strings_by_text, STRINGS_MAX, KEY_BYTES_MAX);
    map_init(&w->frames_by_key, FRAMES_MAX, KEY_BYTES_MAX);
    map_init(&w->functions_by_key, FRAMES_MAX, KEY_BYTES_MAX);
    map_init(&w->shares_by_key, SHARES_MAX, KEY_BYTES_MAX);
    start_over(w);
    if (w->nodes.n == 0 || w->strings.n == 0) {
        window_free(w);
        return -ENOMEM;
    }
    *ret = w;
    return 0;
}

void window_free(struct profiler_window *w) {
    if (!w)
        return;
    map_done(&w->nodes_by_key);
    map_done(&w->rows_by_key);
    map_done(&w->strings_by_text);
    map_done(&w->frames_by_key);
    map_done(&w->functions_by_key);
    map_done(&w->shares_by_key);
    vector_done(&w->nodes);
    vector_done(&w->rows);
    vector_done(&w->open_rows);
    vector_done(&w->charges);
    vector_done(&w->shares);
    vector_done(&w->strings);
    vector_done(&w->frames);
    vector_done(&w->functions);
    free(w);
}

void window_reset(struct profiler_window *w) {
    map_clear(&w->nodes_by_key);
    map_clear(&w->rows_by_key);
    map_clear(&w->strings_by_text);
    map_clear(&w->frames_by_key);
    map_clear(&w->functions_by_key);
    map_clear(&w->shares_by_key);
    w->nodes.n = w->rows.n = w->strings.n = w->frames.n = w->functions.n = 0;
    w->open_rows.n = w->charges.n = w->shares.n = 0;
    w->dropped = 0;
    start_over(w);
}

uint64_t window_dropped(const struct profiler_window *w) {
    return w->dropped;
}

size_t window_rows(const struct profiler_window *w) {
    return w->rows.n;
}

/* ---- Adding ---- */

int64_t window_string(struct profiler_window *w, const char *text, size_t n) {
    bool is_new;

    if (n == 0)
        return 0;
    struct map_entry *e = map_put(&w->strings_by_text, slice_new(text, n), &is_new);
    if (e && is_new) {
        e->number = w->strings.n;
        if (vector_push(&w->strings, e->key, STRINGS_MAX) < 0)
            e->number = 0;
    }
    return e ? (int64_t) e->number : 0;
}

static int64_t frame_number(struct profiler_window *w, const struct cpython_frame *f) {
    const uint64_t key[] = {(uint64_t) (uintptr_t) f->code, (uint64_t) f->line};
    const struct map_entry *known = map_get(&w->frames_by_key, slice_new(key, sizeof(key)));

    if (known)
        return (int64_t) known->number;
    const struct function function = {
            (uint32_t) window_string(w, f->code->name, strlen(f->code->name)),
            (uint32_t) window_string(w, f->code->file, strlen(f->code->file)), f->code->first_line,
            f->code->last_line, SLICE_EMPTY};
    int64_t number =
            NUMBER_OF(&w->functions_by_key, key, sizeof(*key), &w->functions, function, FRAMES_MAX);
    if (number < 0)
        return -1;
    const struct frame frame = {(uint32_t) number, f->line};
    return NUMBER_OF(&w->frames_by_key, key, sizeof(key), &w->frames, frame, FRAMES_MAX);
}

/* Outermost call first. */
int64_t window_node(struct profiler_window *w, const struct cpython_thread *t) {
    int64_t at = 0;

    for (size_t i = t->n_frames; i > 0 && at >= 0; i--) {
        int64_t frame = frame_number(w, &t->frames[i - 1]);
        if (frame < 0)
            return -1;
        const uint32_t key[] = {(uint32_t) at, (uint32_t) frame};
        const struct node node = {(uint32_t) at, (uint32_t) frame, 0};
        at = NUMBER_OF(&w->nodes_by_key, key, sizeof(key), &w->nodes, node, WINDOW_NODES_MAX);
    }
    return at;
}

uint32_t window_label(struct profiler_window *w, const char *name) {
    return (uint32_t) window_string(w, name, strlen(name));
}

struct row *window_row(struct profiler_window *w, const struct row *wanted) {
    bool traced = wanted->span.span_id != 0;
    const uint64_t key[] = {wanted->span.trace_id[0], wanted->span.trace_id[1],
                            traced ? wanted->span.span_id : wanted->operation,
                            (uint64_t) wanted->node << 32 | wanted->label};
    size_t before = w->rows.n;

    if (traced && before >= WINDOW_TRACED_ROWS_MAX &&
        !map_get(&w->rows_by_key, slice_new(key, sizeof(key))))
        return NULL;
    int64_t number =
            NUMBER_OF(&w->rows_by_key, key, sizeof(key), &w->rows, *wanted, WINDOW_ROWS_MAX);

    if (number < 0)
        return NULL;
    if (traced && w->rows.n > before &&
        vector_push(&w->open_rows, (uint32_t) number, WINDOW_ROWS_MAX) < 0)
        w->rows.items[number].span = (struct window_span){{0, 0}, 0};
    return &w->rows.items[number];
}

int64_t window_add_at(struct profiler_window *w, int64_t node, uint32_t label,
                      const struct window_span *span, const uint64_t costs[COSTS], uint64_t seen) {
    if (node <= 0) {
        w->dropped += node < 0;
        return -1;
    }
    struct row wanted = {.span = *span, .node = (uint32_t) node, .label = label};
    struct row *row = window_row(w, &wanted);
    if (!row) {
        wanted.span = (struct window_span){{0, 0}, 0};
        row = window_row(w, &wanted);
    }
    if (!row) {
        w->dropped++;
        return -1;
    }
    for (int i = 0; i < COSTS; i++)
        row->costs[i] += costs[i];
    row->seen += seen;
    return row - w->rows.items;
}

int64_t window_add(struct profiler_window *w, const struct cpython_thread *t, uint32_t label,
                   const struct window_span *span, const uint64_t costs[COSTS], uint64_t seen) {
    return window_add_at(w, window_node(w, t), label, span, costs, seen);
}

void window_see(struct profiler_window *w, int64_t row, uint64_t seen) {
    if (row >= 0 && (size_t) row < w->rows.n)
        w->rows.items[row].seen += seen;
}

void window_wait(struct profiler_window *w, int64_t row, uint64_t wall_ns, uint64_t gil_wait_ns) {
    if (row < 0 || (size_t) row >= w->rows.n)
        return;
    w->rows.items[row].costs[COST_WALL] += wall_ns;
    w->rows.items[row].costs[COST_GIL_WAIT] += gil_wait_ns;
}

/* ---- Whose CPU time it is ---- */

void window_charge_operation(struct profiler_window *w, uint32_t operation, uint32_t label,
                             uint64_t cpu_ns) {
    const uint32_t key[] = {operation, label};
    const struct share new = {operation, label, 0};
    int64_t number = NUMBER_OF(&w->shares_by_key, key, sizeof(key), &w->shares, new, SHARES_MAX);

    if (number >= 0)
        w->shares.items[number].cpu_ns += cpu_ns;
    else
        w->dropped++;
}

void window_charge(struct profiler_window *w, const uint64_t trace_id[2], uint32_t label,
                   uint64_t cpu_ns) {
    bool final = true;
    uint32_t operation = trace_id[0] | trace_id[1] ? profiler_operation_of(trace_id, &final) : 0;

    if (cpu_ns == 0)
        return;
    if (!final) {
        const struct charge new = {{trace_id[0], trace_id[1]}, cpu_ns, label};
        vector_each(&w->charges, c) if (c->trace_id[0] == trace_id[0] &&
                                        c->trace_id[1] == trace_id[1] && c->label == label) {
            c->cpu_ns += cpu_ns;
            return;
        }
        if (vector_push(&w->charges, new, CHARGES_MAX) == 0)
            return;
    }
    window_charge_operation(w, operation, label, cpu_ns);
}

void window_resolve(struct profiler_window *w) {
    size_t kept = 0;
    bool final;

    for (size_t i = 0; i < w->open_rows.n; i++) {
        struct row *row = &w->rows.items[w->open_rows.items[i]];
        uint32_t operation = profiler_operation_of(row->span.trace_id, &final);
        if (operation)
            row->operation = operation; /* one that is forgotten stays what it was */
        if (operation && !final)
            w->open_rows.items[kept++] = w->open_rows.items[i];
    }
    w->open_rows.n = kept;
    kept = 0;
    for (size_t i = 0; i < w->charges.n; i++) {
        struct charge c = w->charges.items[i];
        uint32_t operation = profiler_operation_of(c.trace_id, &final);
        if (operation && !final)
            w->charges.items[kept++] = c;
        else
            window_charge_operation(w, operation, c.label, c.cpu_ns);
    }
    w->charges.n = kept;
}
