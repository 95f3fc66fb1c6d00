/* The window as an OTLP profiles request: see profiler_window.h. */
#include <stdlib.h>

#include "profiler_rows.h"
#include "signal/profile_attributes.h"
#include "wire/protobuf.h"

/* Profile, Sample, … of profiles.proto. */
enum {
    DICTIONARY_LOCATION = 2,
    DICTIONARY_FUNCTION,
    DICTIONARY_LINK,
    DICTIONARY_STRING,
    DICTIONARY_ATTRIBUTE,
    DICTIONARY_STACK
};

struct encoder {
    struct profiler_window *w;
    struct buffer samples[COSTS], dictionary;
    struct map attributes; /* key and text → index + 1 */
    uint32_t n_stacks, n_links, n_attributes;
};

/* An attribute of the first location of a function. */
static void put_text(struct encoder *x, struct function *f, uint32_t *ret_attribute) {
    struct buffer *out = &x->dictionary;
    uint32_t key = (uint32_t) window_string(x->w, PROFILE_SOURCE_ATTRIBUTE,
                                            strlen(PROFILE_SOURCE_ATTRIBUTE));

    *ret_attribute = 0;
    if (f->text.size == 0)
        return;
    size_t at = pb_begin(out, DICTIONARY_ATTRIBUTE);
    pb_put_varint(out, 1, key);
    size_t any = pb_begin(out, 2);
    pb_put_bytes(out, 1, f->text);
    pb_end(out, any);
    pb_end(out, at);
    f->text = SLICE_EMPTY;
    *ret_attribute = ++x->n_attributes;
}

static void put_functions(struct encoder *x) {
    struct buffer *out = &x->dictionary;
    size_t at = pb_begin(out, DICTIONARY_FUNCTION); /* row 0 stands for nothing */

    pb_end(out, at);
    vector_each(&x->w->functions, f) {
        at = pb_begin(out, DICTIONARY_FUNCTION);
        pb_put_varint(out, 1, f->name);
        pb_put_varint(out, 3, f->file);
        pb_put_varint(out, 4, (uint64_t) f->first_line);
        pb_end(out, at);
    }
    at = pb_begin(out, DICTIONARY_LOCATION);
    pb_end(out, at);
    vector_each(&x->w->frames, f) {
        uint32_t text;
        put_text(x, &x->w->functions.items[f->function], &text);
        at = pb_begin(out, DICTIONARY_LOCATION);
        size_t line = pb_begin(out, 3);
        pb_put_varint(out, 1, f->function + 1);
        pb_put_varint(out, 2, (uint64_t) (f->line > 0 ? f->line : 0));
        pb_end(out, line);
        if (text) {
            size_t packed = pb_begin(out, 4);
            pb_put_raw_varint(out, text);
            pb_end(out, packed);
        }
        pb_end(out, at);
    }
}

static uint32_t stack_index(struct encoder *x, uint32_t node) {
    struct node *n = &x->w->nodes.items[node];

    if (n->stack)
        return n->stack - 1;
    size_t at = pb_begin(&x->dictionary, DICTIONARY_STACK), packed = pb_begin(&x->dictionary, 1);
    for (uint32_t i = node; i; i = x->w->nodes.items[i].parent)
        pb_put_raw_varint(&x->dictionary, (uint64_t) x->w->nodes.items[i].frame + 1);
    pb_end(&x->dictionary, packed);
    pb_end(&x->dictionary, at);
    n->stack = ++x->n_stacks + 1; /* behind row 0 */
    return n->stack - 1;
}

static uint32_t link_index(struct encoder *x, const struct window_span *s) {
    size_t at = pb_begin(&x->dictionary, DICTIONARY_LINK);

    pb_put_bytes(&x->dictionary, 1, slice_new(s->trace_id, 16));
    pb_put_bytes(&x->dictionary, 2, slice_new(&s->span_id, 8));
    pb_end(&x->dictionary, at);
    return ++x->n_links;
}

static uint32_t attribute_index(struct encoder *x, uint32_t key, uint32_t text) {
    const uint32_t both[] = {key, text};
    bool is_new;
    struct map_entry *e = map_put(&x->attributes, slice_new(both, sizeof(both)), &is_new);

    if (!e)
        return 0;
    if (is_new) {
        size_t at = pb_begin(&x->dictionary, DICTIONARY_ATTRIBUTE);
        pb_put_varint(&x->dictionary, 1, key);
        size_t any = pb_begin(&x->dictionary, 2);
        pb_put_bytes(&x->dictionary, 1, x->w->strings.items[text]);
        pb_end(&x->dictionary, any);
        pb_end(&x->dictionary, at);
        e->number = ++x->n_attributes;
    }
    return (uint32_t) e->number;
}

static void put_row(struct encoder *x, const struct row *r, uint32_t thread_key,
                    uint32_t endpoint_key) {
    uint32_t stack = stack_index(x, r->node), link = 0, thread = 0, endpoint = 0;
    size_t n;
    const char *operation = profiler_operation_name(r->operation, &n);

    if (r->label)
        thread = attribute_index(x, thread_key, r->label);
    if (n)
        endpoint = attribute_index(x, endpoint_key, (uint32_t) window_string(x->w, operation, n));
    if (r->span.span_id)
        link = link_index(x, &r->span);
    for (int c = 0; c < COSTS; c++) {
        struct buffer *out = &x->samples[c];
        if (r->costs[c] == 0)
            continue;
        size_t at = pb_begin(out, 2);
        pb_put_varint(out, 1, stack);
        size_t packed = pb_begin(out, 2);
        if (thread)
            pb_put_raw_varint(out, thread);
        if (endpoint)
            pb_put_raw_varint(out, endpoint);
        pb_end(out, packed);
        if (link)
            pb_put_varint(out, 3, link);
        packed = pb_begin(out, 4);
        pb_put_raw_varint(out, r->costs[c]);
        pb_end(out, packed);
        pb_end(out, at);
    }
}

static void put_rows(struct encoder *x) {
    static const unsigned tables[] = {1, DICTIONARY_LINK, DICTIONARY_ATTRIBUTE, DICTIONARY_STACK};
    struct profiler_window *w = x->w;
    uint32_t thread_key = (uint32_t) window_string(w, "thread.name", 11),
             endpoint_key = (uint32_t) window_string(w, "varan.endpoint", 14);

    for (unsigned i = 0; i < sizeof(tables) / sizeof(*tables); i++) { /* rows 0 */
        size_t at = pb_begin(&x->dictionary, tables[i]);
        pb_end(&x->dictionary, at);
    }
    put_functions(x);
    for (size_t i = 0; i < w->rows.n; i++)
        put_row(x, &w->rows.items[i], thread_key, endpoint_key);
}

static void put_profile(struct encoder *x, struct buffer *out, int cost, const char *type,
                        int64_t start_ns, int64_t duration_ns) {
    if (x->samples[cost].size == 0)
        return;
    size_t at = pb_begin(out, 2), value_type = pb_begin(out, 1);
    pb_put_varint(out, 1, (uint64_t) window_string(x->w, type, strlen(type)));
    pb_put_varint(out, 2, (uint64_t) window_string(x->w, "nanoseconds", 11));
    pb_end(out, value_type);
    buffer_append_slice(out, buffer_slice(&x->samples[cost]));
    pb_put_fixed64(out, 3, (uint64_t) start_ns);
    pb_put_varint(out, 4, (uint64_t) duration_ns);
    pb_end(out, at);
}

static void put_request(struct encoder *x, struct slice resource, int64_t start_ns,
                        int64_t duration_ns, struct buffer *out) {
    static const char *const types[COSTS] = {"cpu", "wall", "gil_wait"};
    size_t at = pb_begin(out, 1);

    pb_put_bytes(out, 1, resource);
    size_t scope = pb_begin(out, 2);
    for (int c = 0; c < COSTS; c++)
        put_profile(x, out, c, types[c], start_ns, duration_ns);
    pb_end(out, scope);
    pb_end(out, at);
    vector_each(&x->w->strings, s) pb_put_bytes(&x->dictionary, DICTIONARY_STRING, *s);
    pb_put_bytes(out, 2, buffer_slice(&x->dictionary));
}

int window_encode(struct profiler_window *w, const void *resource, size_t resource_size,
                  int64_t start_ns, int64_t duration_ns, char **ret, size_t *ret_size) {
    struct encoder x = {.w = w};
    struct buffer out;

    if (w->rows.n == 0)
        return -ENODATA;
    buffer_init(&out, WINDOW_BYTES_MAX);
    buffer_init(&x.dictionary, WINDOW_BYTES_MAX);
    for (int c = 0; c < COSTS; c++)
        buffer_init(&x.samples[c], WINDOW_BYTES_MAX);
    map_init(&x.attributes, STRINGS_MAX, KEY_BYTES_MAX);
    put_rows(&x);
    put_request(&x, slice_new(resource, resource_size), start_ns, duration_ns, &out);
    int r = x.dictionary.failed ? x.dictionary.failed : out.failed;
    for (int c = 0; c < COSTS; c++) {
        r = r ? r : x.samples[c].failed;
        buffer_done(&x.samples[c]);
    }
    buffer_done(&x.dictionary);
    map_done(&x.attributes);
    if (r < 0) {
        buffer_done(&out);
        return r;
    }
    *ret = (char *) out.data;
    *ret_size = out.size;
    return 0;
}
