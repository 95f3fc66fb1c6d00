/* The trie of stacks. Keys of the maps are the bytes of small structures, cleared before use. */
#include "profile/profile.h"
#include "base/hot.h"

#include <errno.h>
#include <stdio.h>

#define TEXT_KEY_MAX 32768u

int profile_init(struct profile *p) {
    *p = (struct profile){0};
    map_init(&p->code_ids, PROFILE_FUNCTIONS_MAX, PROFILE_BYTES_MAX);
    map_init(&p->function_ids, PROFILE_FUNCTIONS_MAX, PROFILE_BYTES_MAX);
    map_init(&p->frame_ids, PROFILE_FRAMES_MAX, PROFILE_BYTES_MAX);
    map_init(&p->node_ids, PROFILE_NODES_MAX, PROFILE_BYTES_MAX);
    map_init(&p->thread_ids, PROFILE_THREADS_MAX, PROFILE_BYTES_MAX);
    map_init(&p->count_ids, PROFILE_NODES_MAX, PROFILE_BYTES_MAX);
    arena_init(&p->texts, PROFILE_BYTES_MAX);
    return vector_push(&p->nodes, ((struct profile_node){0}), PROFILE_NODES_MAX);
}

void profile_done(struct profile *p) {
    vector_done(&p->functions);
    vector_done(&p->frames);
    vector_done(&p->nodes);
    vector_done(&p->threads);
    vector_done(&p->counts);
    vector_done(&p->base);
    vector_done(&p->sources);
    vector_done(&p->spans);
    vector_done(&p->open_spans);
    map_done(&p->code_ids);
    map_done(&p->function_ids);
    map_done(&p->frame_ids);
    map_done(&p->node_ids);
    map_done(&p->thread_ids);
    map_done(&p->count_ids);
    arena_done(&p->texts);
}

/* The number of an item: the one that its key has, or that of `value`, pushed anew. The key is
 * entered last, so a failure leaves no number without an item. */
#define intern(v, value, cap, ids, key)                                                            \
    ({                                                                                             \
        struct map_entry *_entry = map_get((ids), (key));                                          \
        int64_t _id = _entry ? (int64_t) _entry->number : vector_push((v), (value), (cap));        \
        if (!_entry && _id == 0) {                                                                 \
            _entry = map_put((ids), (key), NULL);                                                  \
            _id = _entry ? (int64_t) (v)->n - 1 : -ENOBUFS;                                        \
            if (_entry)                                                                            \
                _entry->number = (uint64_t) _id;                                                   \
            else                                                                                   \
                (v)->n--;                                                                          \
        }                                                                                          \
        _id;                                                                                       \
    })

int64_t profile_add_function(struct profile *p, const char *name, const char *file,
                             int first_line) {
    uint8_t bytes[TEXT_KEY_MAX];
    size_t name_size = strlen(name) + 1, file_size = strlen(file) + 1;

    if (4 + name_size + file_size > sizeof(bytes))
        return -ENOBUFS;
    memcpy(bytes, &first_line, 4);
    memcpy(bytes + 4, name, name_size);
    memcpy(bytes + 4 + name_size, file, file_size);
    struct slice key = slice_new(bytes, 4 + name_size + file_size);
    struct profile_function f = {.first_line = first_line};
    if (!map_get(&p->function_ids, key)) {
        f.name = (const char *) arena_dup(&p->texts, slice_from(name)).data;
        f.file = (const char *) arena_dup(&p->texts, slice_from(file)).data;
        if (!f.name || !f.file)
            return -ENOMEM;
    }
    return intern(&p->functions, f, PROFILE_FUNCTIONS_MAX, &p->function_ids, key);
}

HOT int64_t profile_add_frame(struct profile *p, uint32_t function, int line) {
    struct profile_frame f = {function, p->functions_only ? 0 : line};

    return intern(&p->frames, f, PROFILE_FRAMES_MAX, &p->frame_ids, slice_new(&f, sizeof(f)));
}

HOT int64_t profile_add_node(struct profile *p, uint32_t parent, uint32_t frame) {
    struct profile_node n = {parent, frame};

    return intern(&p->nodes, n, PROFILE_NODES_MAX, &p->node_ids, slice_new(&n, sizeof(n)));
}

static HOT int64_t add_count(struct profile *p, uint32_t node, uint32_t thread) {
    struct profile_count c = {.node = node, .thread = thread};
    uint32_t key[2] = {node, thread};
    int64_t id =
            intern(&p->counts, c, PROFILE_NODES_MAX, &p->count_ids, slice_new(key, sizeof(key)));

    if (id >= 0)
        p->counts.items[id].samples++;
    return id;
}

int64_t profile_name_thread(struct profile *p, pid_t pid, pid_t native_id, const char *name) {
    struct profile_thread thread = {.pid = pid, .native_id = native_id};
    uint8_t bytes[TEXT_KEY_MAX];
    size_t size = strlen(name) + 1;

    if (8 + size > sizeof(bytes))
        return -ENOBUFS;
    memcpy(bytes, &pid, 4);
    memcpy(bytes + 4, &native_id, 4);
    memcpy(bytes + 8, name, size);
    struct slice key = slice_new(bytes, 8 + size);
    if (!map_get(&p->thread_ids, key)) {
        thread.name = (const char *) arena_dup(&p->texts, slice_from(name)).data;
        if (!thread.name)
            return -ENOMEM;
    }
    return intern(&p->threads, thread, PROFILE_THREADS_MAX, &p->thread_ids, key);
}

int profile_add_samples(struct profile *p, uint32_t node, uint32_t thread, uint64_t samples) {
    int64_t count = add_count(p, node, thread);

    if (count < 0)
        return (int) count;
    p->counts.items[count].samples += samples - 1;
    p->threads.items[thread].samples += samples;
    p->stats.samples += samples;
    return 0;
}

/* Stacks come in the order of the last walk: the thread's number, when it is its turn; else -1. */
static HOT int64_t expected_thread(struct profile *p, const struct profile_thread *wanted) {
    size_t at = p->expected < p->threads.n ? p->expected : 0;

    if (!p->threads.n || !wanted->thread_id)
        return -1;
    const struct profile_thread *t = &p->threads.items[at];
    if (t->thread_id != wanted->thread_id || t->native_id != wanted->native_id ||
        t->pid != wanted->pid)
        return -1;
    p->expected = at + 1;
    return (int64_t) at;
}

HOT int64_t profile_add_thread(struct profile *p, pid_t pid, const struct cpython_thread *t) {
    uint64_t bytes[3] = {(uint64_t) pid, (uint64_t) t->native_id, t->thread_id};
    struct slice key = slice_new(bytes, sizeof(bytes));
    struct profile_thread thread = {
            .pid = pid, .native_id = t->native_id, .thread_id = t->thread_id};

    int64_t known = expected_thread(p, &thread);
    if (known >= 0)
        return known;
    if (!map_get(&p->thread_ids, key)) {
        bool named = t->python_name && strcmp(t->python_name, "MainThread") != 0;
        const char *name = named                                   ? t->python_name
                           : t->native_id == pid || t->python_name ? "main"
                           : t->name[0]                            ? t->name
                                                                   : "thread";
        thread.name = (const char *) arena_dup(&p->texts, slice_from(name)).data;
        if (!thread.name)
            return -ENOMEM;
    }
    known = intern(&p->threads, thread, PROFILE_THREADS_MAX, &p->thread_ids, key);
    if (known >= 0)
        p->expected = (size_t) known + 1;
    return known;
}

/* The function of a code object: looked up by its serial number before its names are compared. */
static HOT int64_t function_of(struct profile *p, const struct cpython_code *code) {
    struct slice key = slice_new(&code->serial, sizeof(code->serial));
    struct map_entry *e = code->serial ? map_get(&p->code_ids, key) : NULL;

    if (e) {
        p->functions.items[e->number].serial = code->serial;
        return (int64_t) e->number;
    }
    int64_t id = profile_add_function(p, code->name, code->file, code->first_line);
    if (id >= 0)
        p->functions.items[id].serial = code->serial;
    if (id >= 0 && p->functions.items[id].last_line < code->last_line)
        p->functions.items[id].last_line = code->last_line;
    if (id >= 0 && code->serial && (e = map_put(&p->code_ids, key, NULL)))
        e->number = (uint64_t) id;
    return id;
}

HOT int64_t profile_thread_root(struct profile *p, uint32_t thread) {
    const struct profile_thread *t = &p->threads.items[thread];
    char text[512];

    if (!p->threads_as_roots)
        return 0;
    snprintf(text, sizeof(text), "%s (process %d, thread %llu)", t->name, (int) t->pid,
             (unsigned long long) (t->native_id ? (uint64_t) t->native_id : t->thread_id));
    int64_t id = profile_add_function(p, text, "", 0);
    if (id >= 0)
        id = profile_add_frame(p, (uint32_t) id, 0);
    return id < 0 ? id : profile_add_node(p, 0, (uint32_t) id);
}

/* Goes along the stack that ends at `last`, from `*node` on, as far as `t` is the same: the number
 * of frames, the outermost, that are; `*node`: where the last of them stands. */
static HOT size_t follow(const struct profile *p, const struct cpython_thread *t, uint32_t last,
                         int64_t *node) {
    uint32_t chain[CPYTHON_FRAMES_MAX];
    size_t n = 0, same = 0;

    for (uint32_t at = last; at && at != *node; at = p->nodes.items[at].parent) {
        if (n == CPYTHON_FRAMES_MAX)
            return 0;
        chain[n++] = at;
    }
    for (; same < n && same < t->n_frames; same++) {
        uint32_t at = chain[n - 1 - same];
        const struct cpython_frame *f = &t->frames[t->n_frames - 1 - same];
        const struct profile_frame *known = &p->frames.items[p->nodes.items[at].frame];
        if (known->line != (p->functions_only ? 0 : f->line) || !f->code->serial ||
            p->functions.items[known->function].serial != f->code->serial)
            break;
        *node = at;
    }
    return same;
}

/* The node of the stack, which is given innermost first. Most of it is mostly what it was the last
 * time. */
static HOT int64_t node_of(struct profile *p, const struct cpython_thread *t, uint32_t thread) {
    int64_t node = profile_thread_root(p, thread);
    size_t known = node < 0 ? 0 : follow(p, t, p->threads.items[thread].node, &node);

    for (size_t i = t->n_frames - known; node >= 0 && i > 0; i--) {
        const struct cpython_frame *f = &t->frames[i - 1];
        int64_t id = function_of(p, f->code);
        if (id >= 0)
            id = profile_add_frame(p, (uint32_t) id, f->line);
        if (id >= 0)
            id = profile_add_node(p, (uint32_t) node, (uint32_t) id);
        if (id < 0)
            return id;
        node = id;
    }
    return node;
}

int profile_place_stack(struct profile *p, pid_t pid, const struct cpython_thread *t,
                        uint32_t *ret_node, uint32_t *ret_thread) {
    int64_t thread = profile_add_thread(p, pid, t);

    if (thread < 0)
        return (int) thread;
    struct profile_thread *known = &p->threads.items[thread];
    if (!t->version || known->version != t->version) {
        int64_t node = node_of(p, t, (uint32_t) thread);
        if (node < 0)
            return (int) node;
        known->version = t->version;
        known->node = (uint32_t) node;
    }
    *ret_node = known->node;
    *ret_thread = (uint32_t) thread;
    return 0;
}

/* Prolongs the thread's last span, or begins one. */
static int add_span(struct profile *p, uint32_t thread, uint32_t node) {
    uint64_t tick = p->stats.ticks;

    while (p->open_spans.n <= thread) {
        int r = vector_push(&p->open_spans, 0, PROFILE_THREADS_MAX);
        if (r < 0)
            return r;
    }
    uint32_t open = p->open_spans.items[thread];
    if (open) {
        struct profile_span *s = &p->spans.items[open - 1];
        if (s->node == node && s->last_tick + 1 >= tick) {
            s->last_tick = tick;
            return 0;
        }
    }
    struct profile_span s = {node, thread, tick, tick};
    int r = vector_push(&p->spans, s, PROFILE_SPANS_MAX);
    if (r == 0)
        p->open_spans.items[thread] = (uint32_t) p->spans.n;
    return r;
}

/* Counts the stack for the thread; one that it had the last time is not looked up again. */
static HOT int64_t count_stack(struct profile *p, const struct cpython_thread *t, uint32_t thread) {
    struct profile_thread *known = &p->threads.items[thread];

    if (t->version && known->version == t->version) {
        p->counts.items[known->count].samples++;
        return known->node;
    }
    int64_t node = node_of(p, t, thread);
    int64_t count = node < 0 ? node : add_count(p, (uint32_t) node, thread);
    if (count < 0)
        return count;
    known->version = t->version;
    known->node = (uint32_t) node;
    known->count = (uint32_t) count;
    return node;
}

HOT int profile_add_stack(struct profile *p, pid_t pid, const struct cpython_thread *t) {
    if (t->torn) {
        p->stats.torn++;
        return 0;
    }
    int64_t thread = profile_add_thread(p, pid, t);
    int64_t node = thread < 0 ? thread : count_stack(p, t, (uint32_t) thread);
    if (node < 0) {
        p->stats.dropped++;
        return (int) node;
    }
    p->stats.samples++;
    p->stats.cut += t->cut;
    p->threads.items[thread].samples++;
    /* a full time axis does not undo the count */
    if (p->timeline && add_span(p, (uint32_t) thread, (uint32_t) node) == -ENOBUFS)
        p->timeline = false;
    return 0;
}

size_t profile_stack(const struct profile *p, uint32_t node, uint32_t *ret_frames, size_t room) {
    size_t n = 0;

    for (uint32_t at = node; at && n < room; at = p->nodes.items[at].parent)
        ret_frames[n++] = p->nodes.items[at].frame;
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t swapped = ret_frames[i];
        ret_frames[i] = ret_frames[n - 1 - i];
        ret_frames[n - 1 - i] = swapped;
    }
    return n;
}

int profile_totals(const struct profile *p, bool lines, struct profile_total **ret, size_t *ret_n) {
    size_t n = lines ? p->frames.n : p->functions.n;
    struct profile_total *rows = calloc(n + 1, sizeof(*rows));
    uint32_t *seen = calloc(n + 1, sizeof(*seen));

    if (!rows || !seen) {
        free(rows);
        free(seen);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++)
        rows[i].id = i;
    for (uint32_t i = 0; i < p->counts.n; i++) {
        const struct profile_count *c = &p->counts.items[i];
        for (uint32_t at = c->node; at; at = p->nodes.items[at].parent) {
            uint32_t frame = p->nodes.items[at].frame;
            uint32_t id = lines ? frame : p->frames.items[frame].function;
            if (at == c->node)
                rows[id].own += c->samples;
            if (seen[id] != i + 1) /* a recursive function counts once per stack */
                rows[id].total += c->samples;
            seen[id] = i + 1;
        }
    }
    free(seen);
    *ret = rows;
    *ret_n = n;
    return 0;
}

static int by_own(const void *a, const void *b) {
    const struct profile_total *x = a, *y = b;

    if (x->own != y->own)
        return x->own < y->own ? 1 : -1;
    if (x->total != y->total)
        return x->total < y->total ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

void profile_sort_totals(struct profile_total *rows, size_t n) {
    qsort(rows, n, sizeof(*rows), by_own);
}
