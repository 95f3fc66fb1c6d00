/*
 * A flame graph as one SVG file: functions over their callers, a title on each for hovering, and a
 * script of its own for searching and zooming where the viewer runs scripts.
 */
#include "profile/format.h"

#include <errno.h>

#define WIDTH 1200.0
#define ROW 18.0
#define TOP 60.0
#define WIDTH_MIN 0.15 /* a narrower frame is left out, with what stands on it */
#define LETTER 7.0
#define ROWS_MAX 400u

extern const unsigned char flame_svg_js[];
extern const size_t flame_svg_js_size;

static void put_escaped(struct buffer *out, const char *text, size_t most) {
    for (size_t i = 0; text[i] && i < most; i++) {
        unsigned char c = (unsigned char) text[i];
        if (c == '<' || c == '>' || c == '&' || c == '"')
            buffer_printf(out, "&#%u;", c);
        else
            buffer_append_u8(out, c < 0x20 ? ' ' : c);
    }
}

/* Characters that fit, cut between them. */
static size_t fitting(const char *text, double width) {
    double room = (width - 6) / LETTER;
    size_t i = 0;

    while (text[i] && room >= 1) {
        do
            i++;
        while (((uint8_t) text[i] & 0xc0) == 0x80);
        room--;
    }
    return i;
}

static unsigned hue_of(const char *file) {
    uint32_t h = 0;

    for (; *file; file++)
        h = h * 31 + (uint8_t) *file;
    return h % 360;
}

struct drawing {
    const struct profile *p;
    const struct profile_branch *tree;
    struct buffer *out;
    double height;
};

static void put_frame(struct drawing *d, uint32_t at, double x, double width) {
    const struct profile_branch *b = &d->tree[at];
    const struct profile_function *f = at ? &d->p->functions.items[b->function] : NULL;
    const char *name = f ? f->name : "all";
    double y = d->height - ROW * (b->depth + 1) - 24;
    double all = d->tree[0].total ? (double) d->tree[0].total : 1;

    buffer_printf(d->out, "<g data-x=\"%.3f\" data-w=\"%.3f\"><title>", x, width);
    put_escaped(d->out, name, SIZE_MAX);
    if (f && f->file[0]) {
        buffer_append_text(d->out, " (");
        put_escaped(d->out, f->file, SIZE_MAX);
        if (f->first_line)
            buffer_printf(d->out, ":%d", f->first_line);
        buffer_append_u8(d->out, ')');
    }
    buffer_printf(d->out, "\n%llu samples, %.2f %%</title>", (unsigned long long) b->total,
                  100.0 * (double) b->total / all);
    buffer_printf(d->out,
                  "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" rx=\"1\" "
                  "fill=\"hsl(%u 60%% 76%%)\"/><text x=\"%.2f\" y=\"%.1f\">",
                  x, y, width > 0.5 ? width - 0.4 : width, ROW - 1, f ? hue_of(f->file) : 210,
                  x + 3, y + 13);
    put_escaped(d->out, name, fitting(name, width));
    buffer_append_text(d->out, "</text></g>\n");
}

/* Every frame that is wide enough, each before those on it. */
static int put_frames(struct drawing *d) {
    struct place {
        uint32_t at;
        double x, width;
    } root = {0, 0, WIDTH};
    VECTOR(struct place) todo = {0};
    int r = vector_push(&todo, root, PROFILE_NODES_MAX);

    while (r == 0 && todo.n) {
        struct place place = todo.items[--todo.n];
        const struct profile_branch *b = &d->tree[place.at];
        double x = place.x;
        put_frame(d, place.at, place.x, place.width);
        for (uint32_t c = b->depth + 1 < ROWS_MAX ? b->first : 0; c && r == 0;
             c = d->tree[c].next) {
            struct place child = {c, x,
                                  place.width * (double) d->tree[c].total / (double) b->total};
            if (child.width < WIDTH_MIN)
                break; /* the others are no wider */
            x += child.width;
            r = vector_push(&todo, child, PROFILE_NODES_MAX);
        }
    }
    vector_done(&todo);
    return r;
}

static unsigned rows_shown(const struct profile_branch *tree, size_t n) {
    double least = (double) tree[0].total * WIDTH_MIN / WIDTH;
    unsigned most = 0;

    for (size_t i = 0; i < n; i++)
        if ((double) tree[i].total >= least && tree[i].depth > most)
            most = tree[i].depth;
    return most < ROWS_MAX ? most + 1 : ROWS_MAX;
}

int format_svg(const struct profile *p, struct buffer *out) {
    struct profile_branch *tree;
    size_t n;
    int r = profile_tree(p, NULL, &tree, &n);

    if (r < 0)
        return r;
    struct drawing d = {p, tree, out, TOP + ROW * rows_shown(tree, n) + 24};
    buffer_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                  "width=\"%.0f\" height=\"%.0f\" font-family=\"monospace\" font-size=\"12\">\n"
                  "<style>text{pointer-events:none}g:hover rect{stroke:#000}"
                  ".found rect{fill:#e85d9c}.button{cursor:pointer}</style>\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
                  "<text x=\"6\" y=\"20\" font-size=\"15\">",
                  WIDTH, d.height, WIDTH, d.height);
    put_escaped(out, p->title, sizeof(p->title));
    buffer_printf(
            out,
            "</text>\n<text x=\"6\" y=\"40\" fill=\"#555\">%llu samples in %.1f s</text>\n"
            "<text id=\"search\" class=\"button\" x=\"900\" y=\"40\" fill=\"#06c\" "
            "style=\"pointer-events:all\">Search</text>\n<text id=\"reset\" "
            "class=\"button\" x=\"970\" y=\"40\" fill=\"#06c\" "
            "style=\"pointer-events:all\">Reset</text>\n"
            "<text id=\"says\" x=\"1030\" y=\"40\" fill=\"#555\"></text>\n<g id=\"frames\">\n",
            (unsigned long long) p->stats.samples, (double) p->duration_ns / 1e9);
    if (tree[0].total)
        r = put_frames(&d);
    buffer_append_text(out, "</g>\n<script><![CDATA[\n");
    buffer_append(out, flame_svg_js, flame_svg_js_size);
    buffer_append_text(out, "]]></script>\n</svg>\n");
    free(tree);
    return r < 0 ? r : out->failed;
}
