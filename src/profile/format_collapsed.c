/* Collapsed stacks, as Brendan Gregg's flamegraph.pl reads them: "a (file:1);b (file:2) 17".
 * Threads are summed up; lines are sorted by first sight. */
#include "profile/format.h"

#include <errno.h>

/* A frame's text: no semicolon (it separates frames) and no line break. */
static void put_frame_text(struct buffer *out, const char *text) {
    for (; *text; text++)
        buffer_append_u8(out, *text == ';'                   ? ':'
                              : (unsigned char) *text < 0x20 ? ' '
                                                             : (uint8_t) *text);
}

int format_collapsed(const struct profile *p, struct buffer *out) {
    uint64_t *sums = calloc(p->nodes.n + 1, sizeof(*sums));
    uint32_t *frames = calloc(2 * CPYTHON_FRAMES_MAX, sizeof(*frames));

    if (!sums || !frames) {
        free(sums);
        free(frames);
        return -ENOMEM;
    }
    vector_each(&p->counts, c) sums[c->node] += c->samples;
    for (uint32_t node = 1; node < p->nodes.n; node++) {
        size_t n = sums[node] ? profile_stack(p, node, frames, 2 * CPYTHON_FRAMES_MAX) : 0;
        for (size_t i = 0; i < n; i++) {
            const struct profile_frame *f = &p->frames.items[frames[i]];
            const struct profile_function *function = &p->functions.items[f->function];
            buffer_append_text(out, i ? ";" : "");
            put_frame_text(out, function->name);
            if (!function->file[0]) /* a thread */
                continue;
            buffer_append_text(out, " (");
            put_frame_text(out, function->file);
            if (f->line)
                buffer_printf(out, ":%d", f->line);
            buffer_append_u8(out, ')');
        }
        if (n)
            buffer_printf(out, " %llu\n", (unsigned long long) sums[node]);
    }
    free(sums);
    free(frames);
    return out->failed;
}
