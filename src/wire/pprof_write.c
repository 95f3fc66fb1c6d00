/* Writing pprof: strings, functions and locations are numbered as they are met. See pprof.h. */
#include "wire/compress.h"
#include "wire/pprof.h"
#include "wire/protobuf.h"

#define GZIP_LEVEL 6

static uint64_t string_id(struct pprof_writer *w, struct slice text) {
    bool is_new;
    uint8_t none = 0;

    if (text.size == 0)
        text = slice_new(&none, 0);
    struct map_entry *e = map_put(&w->strings, text, &is_new);
    if (!e) {
        w->failed = -ENOBUFS;
        return 0;
    }
    if (is_new) {
        e->number = w->table.n;
        int r = vector_push(&w->table, e->key, PPROF_STRINGS_MAX);
        if (r < 0)
            w->failed = r;
    }
    return e->number;
}

static void put_value_type(struct pprof_writer *w, uint32_t field,
                           const struct pprof_value_type *t) {
    uint64_t type = string_id(w, t->type), unit = string_id(w, t->unit);
    size_t begin = pb_begin(&w->message, field);

    pb_put_varint(&w->message, 1, type);
    pb_put_varint(&w->message, 2, unit);
    pb_end(&w->message, begin);
}

void pprof_writer_init(struct pprof_writer *w, const struct pprof_value_type *types, size_t n,
                       size_t bytes_max) {
    *w = (struct pprof_writer){0};
    buffer_init(&w->message, bytes_max);
    map_init(&w->strings, PPROF_STRINGS_MAX, bytes_max);
    map_init(&w->functions, PPROF_FUNCTIONS_MAX, bytes_max);
    map_init(&w->locations, PPROF_LOCATIONS_MAX, bytes_max);
    string_id(w, SLICE_EMPTY); /* number 0 */
    for (size_t i = 0; i < n; i++)
        put_value_type(w, 1, &types[i]);
}

void pprof_writer_done(struct pprof_writer *w) {
    buffer_done(&w->message);
    map_done(&w->strings);
    map_done(&w->functions);
    map_done(&w->locations);
    vector_done(&w->table);
}

/* The number of what `key` stands for; *ret_new: it must be written. */
static uint64_t number_of(struct pprof_writer *w, struct map *m, const uint64_t *key, size_t n,
                          bool *ret_new) {
    struct map_entry *e = map_put(m, slice_new(key, n * sizeof(*key)), ret_new);

    if (!e) {
        w->failed = -ENOBUFS;
        *ret_new = false;
        return 0;
    }
    if (*ret_new)
        e->number = m->n;
    return e->number;
}

static uint64_t function_id(struct pprof_writer *w, const struct pprof_frame *f) {
    uint64_t key[] = {string_id(w, f->function), string_id(w, f->file), (uint64_t) f->start_line};
    bool is_new;
    uint64_t id = number_of(w, &w->functions, key, 3, &is_new);

    if (is_new) {
        size_t begin = pb_begin(&w->message, 5);
        pb_put_varint(&w->message, 1, id);
        pb_put_varint(&w->message, 2, key[0]);
        pb_put_varint(&w->message, 3, key[0]);
        pb_put_varint(&w->message, 4, key[1]);
        pb_put_varint(&w->message, 5, key[2]);
        pb_end(&w->message, begin);
    }
    return id;
}

static uint64_t location_id(struct pprof_writer *w, const struct pprof_frame *f) {
    uint64_t key[] = {function_id(w, f), (uint64_t) f->line};
    bool is_new;
    uint64_t id = number_of(w, &w->locations, key, 2, &is_new);

    if (is_new) {
        size_t begin = pb_begin(&w->message, 4);
        pb_put_varint(&w->message, 1, id);
        size_t line = pb_begin(&w->message, 4);
        pb_put_varint(&w->message, 1, key[0]);
        pb_put_varint(&w->message, 2, key[1]);
        pb_end(&w->message, line);
        pb_end(&w->message, begin);
    }
    return id;
}

static void put_label(struct pprof_writer *w, const struct pprof_label *l) {
    uint64_t key = string_id(w, l->key), text = string_id(w, l->text), unit = string_id(w, l->unit);
    size_t begin = pb_begin(&w->message, 3);

    pb_put_varint(&w->message, 1, key);
    if (text) {
        pb_put_varint(&w->message, 2, text);
    } else {
        pb_put_varint(&w->message, 3, (uint64_t) l->number);
        if (unit)
            pb_put_varint(&w->message, 4, unit);
    }
    pb_end(&w->message, begin);
}

void pprof_write_sample(struct pprof_writer *w, const struct pprof_sample *s) {
    uint64_t ids[PPROF_FRAMES_MAX];
    size_t n = s->n_frames < PPROF_FRAMES_MAX ? s->n_frames : PPROF_FRAMES_MAX;

    if (w->failed)
        return;
    for (size_t i = 0; i < n; i++)
        ids[i] = location_id(w, &s->frames[i]);
    size_t begin = pb_begin(&w->message, 2), packed = pb_begin(&w->message, 1);
    for (size_t i = 0; i < n; i++)
        pb_put_raw_varint(&w->message, ids[i]);
    pb_end(&w->message, packed);
    packed = pb_begin(&w->message, 2);
    for (size_t i = 0; i < s->n_values; i++)
        pb_put_raw_varint(&w->message, (uint64_t) s->values[i]);
    pb_end(&w->message, packed);
    for (size_t i = 0; i < s->n_labels; i++)
        put_label(w, &s->labels[i]);
    pb_end(&w->message, begin);
}

int pprof_write_end(struct pprof_writer *w, int64_t time_ns, int64_t duration_ns,
                    const struct pprof_value_type *period_type, int64_t period,
                    struct buffer *out) {
    pb_put_varint(&w->message, 9, (uint64_t) time_ns);
    pb_put_varint(&w->message, 10, (uint64_t) duration_ns);
    put_value_type(w, 11, period_type);
    pb_put_varint(&w->message, 12, (uint64_t) period);
    vector_each(&w->table, text) pb_put_bytes(&w->message, 6, *text);
    if (w->failed || w->message.failed)
        return w->failed ? w->failed : w->message.failed;
    return compress(COMPRESSION_GZIP, buffer_slice(&w->message), GZIP_LEVEL, out);
}
