/*
 * pprof (github.com/google/pprof, proto/profile.proto), gzipped. Values: samples, and the wall time
 * they stand for. A location is a frame, a function a function; threads are labels.
 */
#include "profile/format.h"
#include "wire/compress.h"
#include "wire/protobuf.h"

#include <errno.h>

enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING_TABLE,
    PROFILE_TIME_NANOS = 9,
    PROFILE_DURATION_NANOS,
    PROFILE_PERIOD_TYPE,
    PROFILE_PERIOD
};
enum { VALUE_TYPE = 1, VALUE_UNIT };
enum { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_STR, LABEL_NUM };
enum { LOCATION_ID = 1, LOCATION_LINE = 4 };
enum { LINE_FUNCTION_ID = 1, LINE_LINE };
enum {
    FUNCTION_ID = 1,
    FUNCTION_NAME,
    FUNCTION_SYSTEM_NAME,
    FUNCTION_FILENAME,
    FUNCTION_START_LINE
};

#define STRINGS_MAX (2 * PROFILE_FUNCTIONS_MAX + PROFILE_THREADS_MAX)

struct writer {
    const struct profile *p;
    struct buffer message;
    struct map strings;
    VECTOR(const char *) table;
    int failed;
};

/* The text's number in the string table. */
static uint64_t string_id(struct writer *w, const char *text) {
    bool is_new = false;
    struct map_entry *e = map_put(&w->strings, slice_new(text, strlen(text) + 1), &is_new);

    if (e && is_new) {
        e->number = w->table.n;
        if (vector_push(&w->table, text, STRINGS_MAX) < 0)
            w->failed = -ENOMEM;
    }
    if (!e)
        w->failed = -ENOMEM;
    return e ? e->number : 0;
}

static void put_value_type(struct writer *w, uint32_t field, const char *type, const char *unit) {
    size_t begin = pb_begin(&w->message, field);

    pb_put_varint(&w->message, VALUE_TYPE, string_id(w, type));
    pb_put_varint(&w->message, VALUE_UNIT, string_id(w, unit));
    pb_end(&w->message, begin);
}

static void put_label(struct writer *w, const char *key, const char *text, uint64_t number) {
    size_t begin = pb_begin(&w->message, SAMPLE_LABEL);

    pb_put_varint(&w->message, LABEL_KEY, string_id(w, key));
    if (text)
        pb_put_varint(&w->message, LABEL_STR, string_id(w, text));
    else
        pb_put_varint(&w->message, LABEL_NUM, number);
    pb_end(&w->message, begin);
}

static void put_sample(struct writer *w, const struct profile_count *c) {
    const struct profile *p = w->p;
    const struct profile_thread *t = &p->threads.items[c->thread];
    struct buffer *out = &w->message;
    size_t begin = pb_begin(out, PROFILE_SAMPLE), packed = pb_begin(out, SAMPLE_LOCATION_ID);

    for (uint32_t at = c->node; at; at = p->nodes.items[at].parent) /* innermost first */
        pb_put_raw_varint(out, (uint64_t) p->nodes.items[at].frame + 1);
    pb_end(out, packed);
    packed = pb_begin(out, SAMPLE_VALUE);
    pb_put_raw_varint(out, c->samples);
    pb_put_raw_varint(out, c->samples * (uint64_t) p->period_ns);
    pb_end(out, packed);
    put_label(w, "process_id", NULL, (uint64_t) t->pid);
    put_label(w, "thread_id", NULL, t->native_id ? (uint64_t) t->native_id : t->thread_id);
    put_label(w, "thread_name", t->name, 0);
    pb_end(out, begin);
}

static void put_tables(struct writer *w) {
    const struct profile *p = w->p;
    struct buffer *out = &w->message;

    for (size_t i = 0; i < p->frames.n; i++) {
        size_t location = pb_begin(out, PROFILE_LOCATION);
        pb_put_varint(out, LOCATION_ID, i + 1);
        size_t line = pb_begin(out, LOCATION_LINE);
        pb_put_varint(out, LINE_FUNCTION_ID, (uint64_t) p->frames.items[i].function + 1);
        pb_put_varint(out, LINE_LINE, (uint64_t) p->frames.items[i].line);
        pb_end(out, line);
        pb_end(out, location);
    }
    for (size_t i = 0; i < p->functions.n; i++) {
        const struct profile_function *f = &p->functions.items[i];
        size_t begin = pb_begin(out, PROFILE_FUNCTION);
        pb_put_varint(out, FUNCTION_ID, i + 1);
        pb_put_varint(out, FUNCTION_NAME, string_id(w, f->name));
        pb_put_varint(out, FUNCTION_SYSTEM_NAME, string_id(w, f->name));
        pb_put_varint(out, FUNCTION_FILENAME, string_id(w, f->file));
        pb_put_varint(out, FUNCTION_START_LINE, (uint64_t) f->first_line);
        pb_end(out, begin);
    }
}

int format_pprof(const struct profile *p, struct buffer *out) {
    struct writer w = {.p = p};

    buffer_init(&w.message, FORMAT_BYTES_MAX);
    map_init(&w.strings, STRINGS_MAX, PROFILE_BYTES_MAX);
    string_id(&w, ""); /* number 0 */
    put_value_type(&w, PROFILE_SAMPLE_TYPE, "samples", "count");
    put_value_type(&w, PROFILE_SAMPLE_TYPE, "wall", "nanoseconds");
    vector_each(&p->counts, c) if (c->node) put_sample(&w, c);
    put_tables(&w);
    pb_put_varint(&w.message, PROFILE_TIME_NANOS, (uint64_t) p->start_ns);
    pb_put_varint(&w.message, PROFILE_DURATION_NANOS, (uint64_t) p->duration_ns);
    put_value_type(&w, PROFILE_PERIOD_TYPE, "wall", "nanoseconds");
    pb_put_varint(&w.message, PROFILE_PERIOD, (uint64_t) p->period_ns);
    vector_each(&w.table, text) pb_put_bytes(&w.message, PROFILE_STRING_TABLE, slice_from(*text));
    int r = w.failed ? w.failed : w.message.failed;
    if (r == 0)
        r = compress(COMPRESSION_GZIP, buffer_slice(&w.message), 6, out);
    buffer_done(&w.message);
    vector_done(&w.table);
    map_done(&w.strings);
    return r;
}
