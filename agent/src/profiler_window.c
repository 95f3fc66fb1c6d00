/* See profiler_window.h. */
#include "profiler_window.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/vector.h"
#include "profiler_slot.h"
#include "wire/protobuf.h"

#define STRINGS_MAX 65536u
#define FRAMES_MAX 65536u
#define KEY_BYTES_MAX ((size_t) 4 << 20)

/* Profile, Sample, … of profiles.proto. */
enum {
    DICTIONARY_LOCATION = 2,
    DICTIONARY_FUNCTION,
    DICTIONARY_LINK,
    DICTIONARY_STRING,
    DICTIONARY_ATTRIBUTE,
    DICTIONARY_STACK
};

struct node {
    uint32_t parent, frame; /* frame: index into `frames` */
    uint32_t stack;         /* index in the message's table + 1; 0: not written */
};

struct row {
    struct window_span span;
    uint32_t node, thread; /* thread: index of its name among the strings */
    uint64_t costs[COSTS];
};

struct frame {
    uint32_t function; /* index among functions */
    int line;
};

struct function {
    uint32_t name, file; /* strings */
    int first_line;
};

struct profiler_window {
    struct map nodes_by_key, rows_by_key, strings_by_text, frames_by_key, functions_by_key;
    VECTOR(struct node) nodes; /* 0: the empty stack */
    VECTOR(struct row) rows;
    VECTOR(struct slice) strings; /* 0: empty */
    VECTOR(struct frame) frames;
    VECTOR(struct function) functions;
    uint64_t dropped;
};

static void start_over(struct profiler_window *w) {
    const struct node root = {0};

    vector_push(&w->nodes, root, WINDOW_NODES_MAX);
    vector_push(&w->strings, SLICE(""), STRINGS_MAX);
}

int window_new(struct profiler_window **ret) {
    struct profiler_window *w = calloc(1, sizeof(*w));

    if (!w)
        return -ENOMEM;
    map_init(&w->nodes_by_key, WINDOW_NODES_MAX, KEY_BYTES_MAX);
    map_init(&w->rows_by_key, WINDOW_ROWS_MAX, KEY_BYTES_MAX);
    map_init(&w->strings_by_text, STRINGS_MAX, KEY_BYTES_MAX);
    map_init(&w->frames_by_key, FRAMES_MAX, KEY_BYTES_MAX);
    map_init(&w->functions_by_key, FRAMES_MAX, KEY_BYTES_MAX);
    start_over(w);
    if (w->nodes.n == 0 || w->strings.n == 0) {
        window_free(w);
        return -ENOMEM;
    }
    *ret = w;
    return 0;
}

void window_free(struct profiler_window *w) {
    if (!w)
        return;
    map_done(&w->nodes_by_key);
    map_done(&w->rows_by_key);
    map_done(&w->strings_by_text);
    map_done(&w->frames_by_key);
    map_done(&w->functions_by_key);
    vector_done(&w->nodes);
    vector_done(&w->rows);
    vector_done(&w->strings);
    vector_done(&w->frames);
    vector_done(&w->functions);
    free(w);
}

void window_clear(struct profiler_window *w) {
    map_clear(&w->nodes_by_key);
    map_clear(&w->rows_by_key);
    map_clear(&w->strings_by_text);
    map_clear(&w->frames_by_key);
    map_clear(&w->functions_by_key);
    w->nodes.n = w->rows.n = w->strings.n = w->frames.n = w->functions.n = 0;
    w->dropped = 0;
    start_over(w);
}

uint64_t window_dropped(const struct profiler_window *w) {
    return w->dropped;
}

size_t window_rows(const struct profiler_window *w) {
    return w->rows.n;
}

/* ---- Adding ---- */

/* The number under `key`, or what `push` makes of it; -1 beyond a limit. */
#define NUMBER_OF(map, key, size, vector, value, most)                                             \
    ({                                                                                             \
        bool _is_new;                                                                              \
        struct map_entry *_e = map_put(map, slice_new(key, size), &_is_new);                       \
        if (_e && _is_new) {                                                                       \
            _e->number = (vector)->n;                                                              \
            if (vector_push(vector, value, most) < 0)                                              \
                _e->number = UINT64_MAX;                                                           \
        }                                                                                          \
        _e ? (int64_t) _e->number : INT64_C(-1);                                                   \
    })

static int64_t string_number(struct profiler_window *w, const char *text, size_t n) {
    bool is_new;

    if (n == 0)
        return 0;
    struct map_entry *e = map_put(&w->strings_by_text, slice_new(text, n), &is_new);
    if (e && is_new) {
        e->number = w->strings.n;
        if (vector_push(&w->strings, e->key, STRINGS_MAX) < 0)
            e->number = 0;
    }
    return e ? (int64_t) e->number : 0;
}

static int64_t frame_number(struct profiler_window *w, const struct cpython_frame *f) {
    const uint64_t key[] = {(uint64_t) (uintptr_t) f->code, (uint64_t) f->line};
    const struct map_entry *known = map_get(&w->frames_by_key, slice_new(key, sizeof(key)));

    if (known)
        return (int64_t) known->number;
    const struct function function = {
            (uint32_t) string_number(w, f->code->name, strlen(f->code->name)),
            (uint32_t) string_number(w, f->code->file, strlen(f->code->file)), f->code->first_line};
    int64_t number =
            NUMBER_OF(&w->functions_by_key, key, sizeof(*key), &w->functions, function, FRAMES_MAX);
    if (number < 0)
        return -1;
    const struct frame frame = {(uint32_t) number, f->line};
    return NUMBER_OF(&w->frames_by_key, key, sizeof(key), &w->frames, frame, FRAMES_MAX);
}

/* The node of the thread's stack, outermost call first; -1 beyond a limit. */
static int64_t stack_node(struct profiler_window *w, const struct cpython_thread *t) {
    int64_t at = 0;

    for (size_t i = t->n_frames; i > 0 && at >= 0; i--) {
        int64_t frame = frame_number(w, &t->frames[i - 1]);
        if (frame < 0)
            return -1;
        const uint32_t key[] = {(uint32_t) at, (uint32_t) frame};
        const struct node node = {(uint32_t) at, (uint32_t) frame, 0};
        at = NUMBER_OF(&w->nodes_by_key, key, sizeof(key), &w->nodes, node, WINDOW_NODES_MAX);
    }
    return at;
}

static struct row *find_row(struct profiler_window *w, const struct row *wanted) {
    const uint64_t key[] = {wanted->span.trace_id[0], wanted->span.trace_id[1],
                            wanted->span.span_id, (uint64_t) wanted->node << 32 | wanted->thread};
    int64_t number =
            NUMBER_OF(&w->rows_by_key, key, sizeof(key), &w->rows, *wanted, WINDOW_ROWS_MAX);

    return number < 0 ? NULL : &w->rows.items[number];
}

void window_add(struct profiler_window *w, const struct cpython_thread *t,
                const struct window_span *span, const uint64_t costs[COSTS]) {
    const char *name = t->python_name                             ? t->python_name
                       : t->native_id && t->native_id == getpid() ? "MainThread"
                                                                  : t->name;
    int64_t node = stack_node(w, t);

    if (node <= 0) {
        w->dropped += node < 0;
        return;
    }
    struct row wanted = {.span = *span,
                         .node = (uint32_t) node,
                         .thread = (uint32_t) string_number(w, name, strlen(name))};
    struct row *row = find_row(w, &wanted);
    if (!row) {
        wanted.span = (struct window_span){{0, 0}, 0};
        row = find_row(w, &wanted);
    }
    if (!row) {
        w->dropped++;
        return;
    }
    for (int i = 0; i < COSTS; i++)
        row->costs[i] += costs[i];
}

/* ---- Encoding ---- */

struct encoder {
    struct profiler_window *w;
    struct buffer samples[COSTS], dictionary;
    struct map attributes; /* key and text → index + 1 */
    uint32_t n_stacks, n_links, n_attributes;
};

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
        at = pb_begin(out, DICTIONARY_LOCATION);
        size_t line = pb_begin(out, 3);
        pb_put_varint(out, 1, f->function + 1);
        pb_put_varint(out, 2, (uint64_t) (f->line > 0 ? f->line : 0));
        pb_end(out, line);
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
    char operation[PROFILER_OPERATION_BYTES];
    uint32_t stack = stack_index(x, r->node), link = 0, thread = 0, endpoint = 0;
    size_t n = r->span.span_id ? profiler_operation_get(r->span.trace_id, operation) : 0;

    if (r->thread)
        thread = attribute_index(x, thread_key, r->thread);
    if (n)
        endpoint = attribute_index(x, endpoint_key, (uint32_t) string_number(x->w, operation, n));
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
    uint32_t thread_key = (uint32_t) string_number(w, "thread.name", 11),
             endpoint_key = (uint32_t) string_number(w, "varan.endpoint", 14);

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
    pb_put_varint(out, 1, (uint64_t) string_number(x->w, type, strlen(type)));
    pb_put_varint(out, 2, (uint64_t) string_number(x->w, "nanoseconds", 11));
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
