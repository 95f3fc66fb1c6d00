/* One page with the profile inside: flame.html, whose @PROFILE@ gives way to JSON. */
#include "profile/format.h"
#include "wire/json.h"

#include <errno.h>

extern const unsigned char flame_html[];
extern const size_t flame_html_size;

static void put_count(struct json_writer *w, const struct profile_count *c) {
    json_begin_array(w);
    json_put_uint(w, c->node);
    json_put_uint(w, c->thread);
    json_put_uint(w, c->samples);
    json_end_array(w);
}

static void put_numbers(struct json_writer *w, const struct profile *p) {
    json_put_key(w, "frames");
    json_begin_array(w);
    vector_each(&p->frames, f) {
        json_begin_array(w);
        json_put_uint(w, f->function);
        json_put_int(w, f->line);
        json_end_array(w);
    }
    json_end_array(w);
    json_put_key(w, "parents");
    json_begin_array(w);
    vector_each(&p->nodes, n) json_put_uint(w, n->parent);
    json_end_array(w);
    json_put_key(w, "nodes");
    json_begin_array(w);
    vector_each(&p->nodes, n) json_put_uint(w, n->frame);
    json_end_array(w);
    json_put_key(w, "counts");
    json_begin_array(w);
    vector_each(&p->counts, c) put_count(w, c);
    json_end_array(w);
    if (!p->base.n)
        return;
    json_put_key(w, "base");
    json_begin_array(w);
    vector_each(&p->base, c) put_count(w, c);
    json_end_array(w);
}

static void put_sources(struct json_writer *w, const struct profile *p) {
    json_put_key(w, "sources");
    json_begin_array(w);
    vector_each(&p->sources, s) {
        json_begin_array(w);
        json_put_uint(w, s->function);
        json_put_int(w, s->first_line);
        json_put_text(w, s->text);
        json_end_array(w);
    }
    json_end_array(w);
}

static void put_texts(struct json_writer *w, const struct profile *p) {
    char text[256];

    json_put_key(w, "functions");
    json_begin_array(w);
    vector_each(&p->functions, f) {
        json_begin_array(w);
        json_put_text(w, f->name);
        json_put_text(w, f->file);
        json_put_int(w, f->first_line);
        json_end_array(w);
    }
    json_end_array(w);
    json_put_key(w, "threads");
    json_begin_array(w);
    vector_each(&p->threads, t) {
        if (t->pid)
            snprintf(text, sizeof(text), "%d/%llu %s: %llu samples", (int) t->pid,
                     (unsigned long long) (t->native_id ? (uint64_t) t->native_id : t->thread_id),
                     t->name, (unsigned long long) t->samples);
        else
            snprintf(text, sizeof(text), "%.200s", t->name);
        json_put_text(w, text);
    }
    json_end_array(w);
}

static void put_facts(struct json_writer *w, const struct profile *p) {
    char text[512];

    snprintf(text, sizeof(text),
             "%llu samples in %.1f s at %.0f Hz; %llu torn, %llu late, %llu missed, %llu dropped",
             (unsigned long long) p->stats.samples, (double) p->duration_ns / 1e9,
             p->period_ns ? 1e9 / (double) p->period_ns : 0, (unsigned long long) p->stats.torn,
             (unsigned long long) p->stats.late, (unsigned long long) p->stats.missed,
             (unsigned long long) p->stats.dropped);
    json_field_text(w, "title", p->title);
    json_field_text(w, "facts", text);
    json_field_int(w, "period_ns", p->period_ns);
    json_field_int(w, "duration_ns", p->duration_ns);
}

int format_html(const struct profile *p, struct buffer *out) {
    static const char place[] = "@PROFILE@";
    struct slice page = slice_new(flame_html, flame_html_size);
    ptrdiff_t at = slice_find(page, slice_from(place));
    struct buffer json;

    if (at < 0)
        return -EINVAL;
    buffer_init(&json, FORMAT_BYTES_MAX);
    struct json_writer w = json_writer(&json);
    json_begin_object(&w);
    put_facts(&w, p);
    put_texts(&w, p);
    put_numbers(&w, p);
    put_sources(&w, p);
    json_end_object(&w);
    buffer_append_slice(out, slice_take(page, (size_t) at));
    struct slice rest = buffer_slice(&json);
    while (rest.size && !out->failed) { /* a name may hold </script> */
        ptrdiff_t less = slice_find_byte(rest, '<');
        buffer_append_slice(out, less < 0 ? rest : slice_take(rest, (size_t) less));
        if (less < 0)
            break;
        buffer_append_text(out, "\\u003c");
        rest = slice_skip(rest, (size_t) less + 1);
    }
    buffer_append_slice(out, slice_skip(page, (size_t) at + strlen(place)));
    int r = json.failed ? json.failed : out->failed;
    buffer_done(&json);
    return r;
}
