/* Trace events ("Trace Event Format", JSON object form): a begin and an end for every call that
 * neighbouring samples of a thread have in common. Needs the profile's spans. */
#include "profile/format.h"
#include "wire/json.h"

#include <errno.h>

#define STACK_ROOM (2 * CPYTHON_FRAMES_MAX)

struct track {
    uint32_t *now, *before; /* nodes from the outermost call on */
    size_t n_before;
    uint64_t end; /* tick after the last span */
};

static void put_event(struct json_writer *w, const struct profile *p, uint32_t thread,
                      uint32_t node, const char *phase, uint64_t tick) {
    const struct profile_thread *t = &p->threads.items[thread];
    const struct profile_frame *f = &p->frames.items[p->nodes.items[node].frame];
    const struct profile_function *function = &p->functions.items[f->function];

    json_begin_object(w);
    json_field_text(w, "name", function->name);
    json_field_text(w, "ph", phase);
    json_field_double(w, "ts", (double) tick * (double) p->period_ns / 1e3);
    json_field_int(w, "pid", t->pid);
    json_field_uint(w, "tid", t->native_id ? (uint64_t) t->native_id : t->thread_id);
    if (phase[0] == 'B') {
        json_put_key(w, "args");
        json_begin_object(w);
        json_field_text(w, "file", function->file);
        json_field_int(w, "line", f->line);
        json_end_object(w);
    }
    json_end_object(w);
}

static size_t path_to(const struct profile *p, uint32_t node, uint32_t *ret) {
    size_t n = 0;

    for (uint32_t at = node; at && n < STACK_ROOM; at = p->nodes.items[at].parent)
        ret[n++] = at;
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t swapped = ret[i];
        ret[i] = ret[n - 1 - i];
        ret[n - 1 - i] = swapped;
    }
    return n;
}

/* Whether two stacks' calls at the same depth are the same call: equal functions from the outermost
 * on (a caller that has reached another line is still the same call). */
static bool same_call(const struct profile *p, uint32_t a, uint32_t b) {
    return p->frames.items[p->nodes.items[a].frame].function ==
           p->frames.items[p->nodes.items[b].frame].function;
}

static void put_thread(struct json_writer *w, const struct profile *p, uint32_t thread,
                       struct track *t) {
    t->n_before = 0;
    vector_each(&p->spans, s) {
        if (s->thread != thread || w->out->failed)
            continue;
        size_t n = path_to(p, s->node, t->now), common = 0;
        if (t->n_before && t->end == s->first_tick)
            while (common < n && common < t->n_before &&
                   same_call(p, t->now[common], t->before[common]))
                common++;
        for (size_t i = t->n_before; i > common; i--)
            put_event(w, p, thread, t->before[i - 1], "E", t->end);
        for (size_t i = common; i < n; i++)
            put_event(w, p, thread, t->now[i], "B", s->first_tick);
        uint32_t *swapped = t->before;
        t->before = t->now;
        t->now = swapped;
        t->n_before = n;
        t->end = s->last_tick + 1;
    }
    for (size_t i = t->n_before; i > 0; i--)
        put_event(w, p, thread, t->before[i - 1], "E", t->end);
}

int format_chrome(const struct profile *p, struct buffer *out) {
    struct track t = {.now = calloc(STACK_ROOM, 4), .before = calloc(STACK_ROOM, 4)};
    struct json_writer w = json_writer(out);

    if (t.now && t.before) {
        json_begin_object(&w);
        json_field_text(&w, "displayTimeUnit", "ms");
        json_put_key(&w, "traceEvents");
        json_begin_array(&w);
        for (uint32_t i = 0; i < p->threads.n; i++)
            put_thread(&w, p, i, &t);
        json_end_array(&w);
        json_end_object(&w);
    }
    int r = t.now && t.before ? out->failed : -ENOMEM;
    free(t.now);
    free(t.before);
    return r;
}
