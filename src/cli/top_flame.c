/* The flame graph in the terminal: callers above, what they call below, width for samples since the
 * start. One branch is marked; its path is kept as functions, because the tree is built anew each
 * time. */
#include "cli/top.h"

#include <errno.h>

#define CELL_MIN 1u

/* Background colours of 256-colour terminals that carry black text. */
static const uint8_t colours[] = {216, 222, 180, 179, 187, 186, 150,
                                  151, 158, 152, 153, 146, 182, 217};

struct flame {
    struct top *top;
    struct profile_branch *tree;
    size_t n, lines, columns;
    uint32_t *cells; /* by line and column: branch + 1; 0: none */
    uint32_t marked; /* branch */
    struct buffer *out;
};

static const char *name_of(const struct flame *f, uint32_t branch) {
    return branch ? f->top->profile.functions.items[f->tree[branch].function].name : "all";
}

static bool is_match(const struct flame *f, uint32_t branch) {
    const struct profile_function *function =
            &f->top->profile.functions.items[f->tree[branch].function];

    return branch && f->top->filter[0] &&
           (top_matches(f->top, function->name) || top_matches(f->top, function->file));
}

/* Fills a branch's cells from column `at` on, and those of what it calls. */
static void fill(struct flame *f, uint32_t branch, size_t line, size_t at, size_t width) {
    uint64_t total = f->tree[branch].total, below = 0;

    if (line >= f->lines || !width)
        return;
    for (size_t i = 0; i < width; i++)
        f->cells[line * f->columns + at + i] = branch + 1;
    for (uint32_t child = f->tree[branch].first; child && total; child = f->tree[child].next) {
        size_t from = (size_t) (below * width / total);
        below += f->tree[child].total;
        size_t to = (size_t) (below * width / total);
        if (to - from >= CELL_MIN)
            fill(f, child, line + 1, at + from, to - from);
    }
}

/* Follows the path as far as there are such branches: the branch of its `depth` first functions. */
static uint32_t follow(struct flame *f, size_t depth, size_t *ret_depth) {
    uint32_t at = 0;

    *ret_depth = 0;
    for (size_t i = 0; i < depth; i++) {
        uint32_t child = f->tree[at].first;
        while (child && f->tree[child].function != f->top->path[i])
            child = f->tree[child].next;
        if (!child || !f->tree[child].total)
            break;
        at = child;
        ++*ret_depth;
    }
    return at;
}

static void put_cell_run(struct flame *f, uint32_t branch, size_t width) {
    uint8_t colour = colours[f->tree[branch].function % sizeof(colours)];

    if (branch == 0)
        colour = 250;
    if (f->top->filter[0])
        colour = is_match(f, branch) ? 207 : 250;
    if (branch == f->marked)
        buffer_append_text(f->out, "\033[1;97;44m");
    else
        buffer_printf(f->out, "\033[30;48;5;%um", colour);
    size_t used = top_put_text(f->out, name_of(f, branch), width > 1 ? width - 1 : 0);
    for (; used < width; used++)
        buffer_append_u8(f->out, ' ');
    buffer_append_text(f->out, "\033[0m");
}

static void put_cells(struct flame *f) {
    for (size_t line = 0; line < f->lines; line++) {
        const uint32_t *cells = f->cells + line * f->columns;
        for (size_t i = 0; i < f->columns;) {
            size_t end = i + 1;
            while (end < f->columns && cells[end] == cells[i])
                end++;
            if (cells[i])
                put_cell_run(f, cells[i] - 1, end - i);
            else
                buffer_printf(f->out, "%*s", (int) (end - i), "");
            i = end;
        }
        buffer_append_text(f->out, "\033[K\r\n");
    }
}

/* Without colours: indented, those of at least one hundredth. */
static void put_plain(struct flame *f, uint32_t branch, unsigned depth, size_t *left) {
    uint64_t all = f->tree[0].total;

    if (!*left || !all || f->tree[branch].total * 100 < all)
        return;
    --*left;
    buffer_printf(f->out, "%5.1f%% %*s", 100.0 * (double) f->tree[branch].total / (double) all,
                  2 * (int) depth, "");
    top_put_text(f->out, name_of(f, branch),
                 f->columns > 8 + 2 * depth ? f->columns - 8 - 2 * depth : 8);
    buffer_append_u8(f->out, '\n');
    for (uint32_t child = f->tree[branch].first; child; child = f->tree[child].next)
        put_plain(f, child, depth + 1, left);
}

static void put_marked(struct flame *f) {
    const struct profile_branch *b = &f->tree[f->marked];
    const struct profile_function *function = &f->top->profile.functions.items[b->function];
    double all = f->tree[0].total ? (double) f->tree[0].total : 1;
    char text[1024];

    if (f->marked)
        snprintf(text, sizeof(text), "%s (%s:%d)  total %.1f%%  own %.1f%%", function->name,
                 function->file, function->first_line, 100.0 * (double) b->total / all,
                 100.0 * (double) b->own / all);
    else
        snprintf(text, sizeof(text), "arrows move, Enter zooms in, Escape out; %llu samples",
                 (unsigned long long) f->tree[0].total);
    buffer_append_text(f->out, "\033[7m");
    size_t used = top_put_text(f->out, text, f->columns);
    for (; used < f->columns; used++)
        buffer_append_u8(f->out, ' ');
    buffer_append_text(f->out, "\033[0m\033[K\r\n");
}

static int build(struct flame *f) {
    uint64_t *weights;
    int r = top_weights(f->top, true, &weights);

    if (r < 0)
        return r;
    r = profile_tree(&f->top->profile, weights, &f->tree, &f->n);
    free(weights);
    return r;
}

int top_draw_flame(struct top *t, struct buffer *out, size_t lines, size_t columns) {
    struct flame f = {.top = t, .out = out, .lines = lines - 1, .columns = columns};
    size_t depth, left = lines;
    int r = build(&f);

    if (r < 0)
        return r;
    if (!t->terminal) {
        put_plain(&f, 0, 0, &left);
        free(f.tree);
        return 0;
    }
    f.cells = calloc(f.lines * columns + 1, sizeof(*f.cells));
    if (!f.cells) {
        free(f.tree);
        return -ENOMEM;
    }
    uint32_t zoomed = follow(&f, t->zoom, &depth);
    t->zoom = depth;
    f.marked = follow(&f, t->n_path, &depth);
    t->n_path = depth;
    for (uint32_t at = zoomed; at; at = f.tree[at].parent) /* its callers fill the width */
        for (size_t i = 0; f.tree[f.tree[at].parent].depth < f.lines && i < columns; i++)
            f.cells[f.tree[f.tree[at].parent].depth * columns + i] = f.tree[at].parent + 1;
    fill(&f, zoomed, f.tree[zoomed].depth, 0, columns);
    put_marked(&f);
    put_cells(&f);
    free(f.cells);
    free(f.tree);
    return 0;
}

/* The sibling before or after; itself when there is none. */
static uint32_t sibling(const struct flame *f, uint32_t at, bool after) {
    uint32_t before = 0;

    if (after)
        return f->tree[at].next && f->tree[f->tree[at].next].total ? f->tree[at].next : at;
    for (uint32_t child = f->tree[f->tree[at].parent].first; child && child != at;
         child = f->tree[child].next)
        before = child;
    return before ? before : at;
}

void top_flame_move(struct top *t, char step) {
    struct flame f = {.top = t};
    size_t depth;

    if (build(&f) < 0)
        return;
    uint32_t at = follow(&f, t->n_path, &depth);
    t->n_path = depth;
    if (step == 'u' && depth) {
        t->n_path--;
        t->zoom = t->zoom > t->n_path ? t->n_path : t->zoom;
    } else if (step == 'd' && f.tree[at].first && f.tree[f.tree[at].first].total &&
               depth < TOP_PATH_MAX) {
        t->path[t->n_path++] = f.tree[f.tree[at].first].function;
    } else if ((step == 'l' || step == 'r') && depth && depth > t->zoom) {
        t->path[depth - 1] = f.tree[sibling(&f, at, step == 'r')].function;
    }
    free(f.tree);
}
