/* A selection's stacks in others' formats: collapsed text, pprof, speedscope. */
#include "query/profiles.h"
#include "wire/pprof.h"

#define EXPORT_BYTES_MAX ((size_t) 256 << 20)

static struct slice base_name(struct slice file) {
    size_t from = file.size;

    while (from > 0 && file.data[from - 1] != '/')
        from--;
    return slice_skip(file, from);
}

/* "main (app.py);work (app.py) 1200", outermost first. */
static int write_collapsed(const struct profile_set *set, struct buffer *out) {
    for (size_t i = 0; i < set->n; i++) {
        const struct profile_stack *s = &set->stacks[i];
        for (uint32_t at = s->n; at > 0; at--) {
            const struct profile_function *f = &set->functions.items[s->places[at - 1].function];
            size_t begin = out->size;
            if (f->file.size)
                buffer_printf(out, "%.*s (%.*s:%u)", SLICE_ARG(f->name),
                              SLICE_ARG(base_name(f->file)), s->places[at - 1].line);
            else
                buffer_append_slice(out, f->name);
            for (size_t c = begin; c < out->size; c++) /* the format's own separators */
                if (out->data[c] == ';' || out->data[c] == '\n')
                    out->data[c] = ',';
            if (at > 1)
                buffer_append_u8(out, ';');
        }
        buffer_printf(out, " %llu\n", (unsigned long long) s->value[0]);
    }
    return out->failed;
}

static int write_pprof(const struct query *q, const struct profile_selection *p,
                       const struct profile_set *set, struct buffer *out) {
    const struct pprof_value_type type = {p->type, set->unit};
    static const struct pprof_frame none;
    struct pprof_frame frames[PPROF_FRAMES_MAX];
    struct pprof_writer w;

    pprof_writer_init(&w, &type, 1, EXPORT_BYTES_MAX);
    for (size_t i = 0; i < set->n; i++) {
        const struct profile_stack *s = &set->stacks[i];
        const int64_t value = (int64_t) s->value[0];
        size_t n = s->n < PPROF_FRAMES_MAX ? s->n : PPROF_FRAMES_MAX;
        for (size_t at = 0; at < n; at++) {
            const struct profile_function *f = &set->functions.items[s->places[at].function];
            frames[at] = none;
            frames[at].function = f->name;
            frames[at].file = f->file;
            frames[at].line = s->places[at].line;
        }
        pprof_write_sample(
                &w, &(struct pprof_sample){
                            .frames = frames, .n_frames = n, .values = &value, .n_values = 1});
    }
    int r = pprof_write_end(&w, q->from_ns, q->to_ns - q->from_ns, &type, 1, out);
    pprof_writer_done(&w);
    return r;
}

static const char *speedscope_unit(struct slice unit) {
    return slice_is(unit, "nanoseconds") ? "nanoseconds"
           : slice_is(unit, "bytes")     ? "bytes"
                                         : "none";
}

static void write_speedscope_frames(struct json_writer *w, const struct profile_set *set) {
    json_put_key(w, "shared");
    json_begin_object(w);
    json_put_key(w, "frames");
    json_begin_array(w);
    for (size_t i = 0; i < set->functions.n; i++) {
        json_begin_object(w);
        json_field_string(w, "name", set->functions.items[i].name);
        json_field_string(w, "file", set->functions.items[i].file);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static int write_speedscope(const struct profile_selection *p, const struct profile_set *set,
                            struct buffer *out) {
    struct json_writer w = json_writer(out);
    uint64_t total = 0;

    json_begin_object(&w);
    json_field_text(&w, "$schema", "https://www.speedscope.app/file-format-schema.json");
    write_speedscope_frames(&w, set);
    json_put_key(&w, "profiles");
    json_begin_array(&w);
    json_begin_object(&w);
    json_field_text(&w, "type", "sampled");
    json_field_string(&w, "name", p->type);
    json_field_text(&w, "unit", speedscope_unit(set->unit));
    json_put_key(&w, "samples");
    json_begin_array(&w);
    for (size_t i = 0; i < set->n; i++) {
        json_begin_array(&w);
        for (uint32_t at = set->stacks[i].n; at > 0; at--)
            json_put_uint(&w, set->stacks[i].places[at - 1].function);
        json_end_array(&w);
        total += set->stacks[i].value[0];
    }
    json_end_array(&w);
    json_put_key(&w, "weights");
    json_begin_array(&w);
    for (size_t i = 0; i < set->n; i++)
        json_put_uint(&w, set->stacks[i].value[0]);
    json_end_array(&w);
    json_field_uint(&w, "startValue", 0);
    json_field_uint(&w, "endValue", total);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
    return out->failed;
}

int query_profile_export(struct query *q, const struct profile_selection *p,
                         enum profile_format format, struct buffer *out) {
    struct profile_set set;
    int r = profile_set_load(q, p, NULL, &set);

    if (r < 0)
        return r;
    switch (format) {
    case PROFILE_COLLAPSED: r = write_collapsed(&set, out); break;
    case PROFILE_PPROF: r = write_pprof(q, p, &set, out); break;
    case PROFILE_SPEEDSCOPE: r = write_speedscope(p, &set, out); break;
    }
    profile_set_done(&set);
    return r;
}
