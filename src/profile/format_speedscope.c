/* speedscope's JSON (speedscope.app/file-format-schema.json): one sampled profile per thread. */
#include "profile/format.h"
#include "wire/json.h"

#include <errno.h>

static void put_frames(struct json_writer *w, const struct profile *p) {
    json_put_key(w, "shared");
    json_begin_object(w);
    json_put_key(w, "frames");
    json_begin_array(w);
    vector_each(&p->frames, f) {
        const struct profile_function *function = &p->functions.items[f->function];
        json_begin_object(w);
        json_field_text(w, "name", function->name);
        json_field_text(w, "file", function->file);
        if (f->line)
            json_field_int(w, "line", f->line);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void put_thread(struct json_writer *w, const struct profile *p, uint32_t id,
                       uint32_t *frames) {
    const struct profile_thread *t = &p->threads.items[id];
    double period_s = (double) p->period_ns / 1e9;
    char name[128];

    snprintf(name, sizeof(name), "process %d, thread %llu (%.40s)", (int) t->pid,
             (unsigned long long) (t->native_id ? (uint64_t) t->native_id : t->thread_id), t->name);
    json_begin_object(w);
    json_field_text(w, "type", "sampled");
    json_field_text(w, "name", name);
    json_field_text(w, "unit", "seconds");
    json_field_double(w, "startValue", 0);
    json_field_double(w, "endValue", (double) t->samples * period_s);
    json_put_key(w, "samples");
    json_begin_array(w);
    vector_each(&p->counts, c) {
        if (c->thread != id)
            continue;
        size_t n = profile_stack(p, c->node, frames, 2 * CPYTHON_FRAMES_MAX);
        json_begin_array(w);
        for (size_t i = 0; i < n; i++)
            json_put_uint(w, frames[i]);
        json_end_array(w);
    }
    json_end_array(w);
    json_put_key(w, "weights");
    json_begin_array(w);
    vector_each(&p->counts, c) if (c->thread == id)
            json_put_double(w, (double) c->samples * period_s);
    json_end_array(w);
    json_end_object(w);
}

int format_speedscope(const struct profile *p, struct buffer *out) {
    uint32_t *frames = calloc(2 * CPYTHON_FRAMES_MAX, sizeof(*frames));
    struct json_writer w = json_writer(out);

    if (!frames)
        return -ENOMEM;
    json_begin_object(&w);
    json_field_text(&w, "$schema", "https://www.speedscope.app/file-format-schema.json");
    json_field_text(&w, "exporter", "varan");
    json_field_text(&w, "name", p->title);
    json_field_int(&w, "activeProfileIndex", 0);
    put_frames(&w, p);
    json_put_key(&w, "profiles");
    json_begin_array(&w);
    for (uint32_t i = 0; i < p->threads.n && !out->failed; i++)
        put_thread(&w, p, i, frames);
    json_end_array(&w);
    json_end_object(&w);
    free(frames);
    return out->failed;
}
