/*
 * Suspended greenlets (the package greenlet; gevent and eventlet build on it). They are found among
 * the objects that the garbage collector keeps in lists. A suspended one keeps its innermost frame
 * object, in itself up to greenlet 1, in the structure that it points to from 2 on; where in there
 * differs from release to release, so it is the first pointer to an object of the type `frame`.
 * The part of the C stack that others use meanwhile is kept as a copy, through which frame records
 * on it are read (3.12+ has such).
 */
#include "cpython/tasks.h"

#define OBJECTS_MAX 4000000u /* of the collector's, that are looked at */
#define GENERATIONS 3u
#define GENERATION_BYTES 24u
#define GC_HEAD 16u /* before an object: next, previous */
#define BASES_MAX 16u
#define WORDS_MAX 48u /* of a greenlet's state */
#define STACK_BYTES_MAX (UINT64_C(64) << 20)
#define GREENLETS_BYTES_MAX ((size_t) 64 << 20)

typedef VECTOR(uint64_t) addresses_vector;

struct search {
    struct cpython *c;
    struct inspector in;
    struct map types; /* 1: a greenlet's, 2: none */
    addresses_vector found;
    uint64_t looked_at;
};

static bool is_greenlet_type(struct search *s, uint64_t type) {
    struct map_entry *e = map_get(&s->types, slice_new(&type, 8));
    char name[INSPECT_NAME_MAX];
    bool yes = false;

    if (e)
        return e->number == 1;
    uint64_t base = type;
    for (unsigned i = 0; base && i < BASES_MAX && !yes; i++) {
        yes = type_name(&s->in, base, name) && strcmp(name, "greenlet.greenlet") == 0;
        base = object_field(&s->in, base, s->in.offsets->head + 240); /* tp_base */
    }
    e = map_put(&s->types, slice_new(&type, 8), NULL);
    if (e)
        e->number = yes ? 1 : 2;
    return yes;
}

/* Goes through one list: the objects lie behind its links. */
static int search_list(struct search *s, uint64_t list) {
    uint32_t head = s->in.offsets->head;
    uint8_t raw[GC_HEAD + 64];
    uint64_t at = object_field(&s->in, list, 0);

    while (at && at != list && s->looked_at++ < OBJECTS_MAX) {
        if (head > 64 || memory_read(s->in.memory, at, raw, GC_HEAD + head) < 0)
            return 0;
        if (is_greenlet_type(s, field_u64(raw, sizeof(raw), GC_HEAD + head - 8))) {
            int r = vector_push(&s->found, at + GC_HEAD, CPYTHON_GREENLETS_MAX);
            if (r < 0)
                return r == -ENOBUFS ? 0 : r;
        }
        at = field_u64(raw, sizeof(raw), 0) & ~UINT64_C(3); /* flags from 3.14 on */
    }
    return 0;
}

static int search_interpreter(struct search *s, uint64_t interpreter) {
    const struct cpython_offsets *o = s->in.offsets;
    uint64_t lists =
            o->minor == 8 ? s->c->runtime.address + o->runtime.gc : interpreter + o->interpreter.gc;
    int r = 0;

    if (!module_dict(&s->in, interpreter, "greenlet"))
        return 0;
    for (unsigned i = 0; r == 0 && i < GENERATIONS; i++)
        r = search_list(s, lists + (uint64_t) i * GENERATION_BYTES);
    return r;
}

/* ---- One greenlet ---- */

/* The part of the C stack that is kept elsewhere. */
struct saved_stack {
    uint64_t from, to, copy;
};

static struct saved_stack find_saved(const uint64_t *words, size_t n) {
    for (size_t i = 0; i + 4 <= n; i++) { /* its start, its end, the copy, bytes in the copy */
        const uint64_t *w = words + i;
        if (w[0] > 4096 && w[1] > w[0] && w[1] - w[0] <= STACK_BYTES_MAX && w[2] > 4096 && w[3] &&
            w[3] <= w[1] - w[0])
            return (struct saved_stack){w[0], w[0] + w[3], w[2]};
    }
    return (struct saved_stack){0};
}

static bool is_frame(const struct inspector *in, uint64_t object) {
    char name[INSPECT_NAME_MAX];

    return object > 4096 && !(object & 7) && type_name(in, object_type(in, object), name) &&
           strcmp(name, "frame") == 0;
}

/* The innermost frame of a suspended greenlet; 0: it runs, has ended or has not begun. *ret_words:
 * how far into its state that was told: the state's size is not known, and what follows it may be
 * another one's. */
static uint64_t find_frame(const struct inspector *in, uint64_t greenlet,
                           struct saved_stack *ret_saved, size_t *ret_words) {
    uint64_t words[WORDS_MAX], state = object_field(in, greenlet, in->offsets->head + 16);
    size_t n = WORDS_MAX;

    for (unsigned attempt = 0; attempt < 2; attempt++) {
        uint64_t at = attempt ? greenlet + in->offsets->head : state;
        while (n && (at & 7 || memory_read(in->memory, at, words, n * 8) < 0))
            n /= 2;
        for (size_t i = 0; i < n; i++) {
            if (!is_frame(in, words[i]))
                continue;
            *ret_saved = find_saved(words, n);
            *ret_words = i;
            return in->offsets->minor >= 11 ? object_field(in, words[i], in->offsets->head + 8)
                                            : words[i];
        }
        n = 20; /* greenlet 1 keeps it in itself */
    }
    return 0;
}

static int read_frame(const struct inspector *in, struct saved_stack saved, uint64_t frame,
                      uint8_t *raw) {
    uint64_t at =
            frame >= saved.from && frame < saved.to ? saved.copy + (frame - saved.from) : frame;

    return memory_read(in->memory, at, raw, in->offsets->frame.size);
}

/* Its frames, outermost first, as awaits are. */
static void read_frames(const struct inspector *in, uint64_t frame, struct saved_stack saved,
                        struct await_chain *chain) {
    uint8_t raw[FRAME_BYTES_MAX];

    chain->n = 0;
    for (unsigned i = 0; frame && chain->n < TASK_FRAMES_MAX && i < 2 * TASK_FRAMES_MAX; i++) {
        if (read_frame(in, saved, frame, raw) < 0)
            break;
        if (stack_is_python(in->offsets, raw))
            chain->frames[chain->n++] = stack_frame(in->offsets, frame, raw);
        frame = field_u64(raw, sizeof(raw), in->offsets->frame.previous);
    }
    for (size_t i = 0; i < chain->n / 2; i++) {
        struct raw_frame swapped = chain->frames[i];
        chain->frames[i] = chain->frames[chain->n - 1 - i];
        chain->frames[chain->n - 1 - i] = swapped;
    }
}

/* ---- All of them ---- */

void cpython_greenlets_init(struct cpython_greenlets *g) {
    *g = (struct cpython_greenlets){0};
    arena_init(&g->arena, GREENLETS_BYTES_MAX);
}

void cpython_greenlets_done(struct cpython_greenlets *g) {
    arena_done(&g->arena);
    g->items = NULL;
    g->n = 0;
}

/* Whether the frame is in a thread's stack: then its greenlet runs. */
static bool runs(const struct cpython *c, uint64_t frame) {
    vector_each(&c->known, k) {
        vector_each(&(*k)->stack.now.lined, f) if (f->address == frame) return true;
    }
    return false;
}

/* Whose a frame is: the greenlet in whose state it was found earliest. */
static int tell_owners(struct search *s, struct map *owners) {
    struct saved_stack saved;
    size_t words, other;

    for (size_t i = 0; i < s->found.n; i++) {
        uint64_t frame = find_frame(&s->in, s->found.items[i], &saved, &words);
        if (!frame || runs(s->c, frame))
            continue;
        bool is_new;
        struct map_entry *e = map_put(owners, slice_new(&frame, 8), &is_new);
        if (!e)
            return -ENOMEM;
        if (is_new || (find_frame(&s->in, s->found.items[e->number], &saved, &other) == frame &&
                       words < other))
            e->number = i;
    }
    return 0;
}

static int keep_one(struct search *s, uint64_t address, struct cpython_greenlets *g) {
    struct cpython_greenlet one = {.address = address, .type = "greenlet"};
    struct saved_stack saved = {0};
    struct await_chain chain;
    char type[INSPECT_NAME_MAX];
    size_t words;

    read_frames(&s->in, find_frame(&s->in, address, &saved, &words), saved, &chain);
    if (object_type_name(&s->in, address, type))
        one.type = (const char *) arena_dup(&g->arena, slice_from(type)).data;
    int r = chain_frames(s->c, &chain, &g->arena, &one.frames, &one.n_frames);
    if (r == 0 && one.n_frames && one.type)
        g->items[g->n++] = one;
    arena_clear(&s->c->scratch);
    return r;
}

static int keep(struct search *s, struct cpython_greenlets *g) {
    struct map owners;

    map_init(&owners, CPYTHON_GREENLETS_MAX, (size_t) CPYTHON_GREENLETS_MAX * 8);
    int r = tell_owners(s, &owners);
    g->items = r == 0 ? arena_array(&g->arena, struct cpython_greenlet, owners.n) : NULL;
    if (r == 0 && !g->items)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < s->found.n; i++) { /* in the collector's order */
        struct saved_stack saved;
        size_t words;
        uint64_t frame = find_frame(&s->in, s->found.items[i], &saved, &words);
        const struct map_entry *e = frame ? map_get(&owners, slice_new(&frame, 8)) : NULL;
        if (e && e->number == i)
            r = keep_one(s, s->found.items[i], g);
    }
    map_done(&owners);
    return r;
}

int cpython_read_greenlets(struct cpython *c, struct cpython_greenlets *g) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    struct search s = {.c = c, .in = {&c->memory, o, &c->scratch}};
    int r = 0;

    arena_clear(&g->arena);
    g->n = 0;
    if (o->free_threaded) /* its collector keeps no lists */
        return 0;
    map_init(&s.types, CPYTHON_GREENLETS_MAX, (size_t) CPYTHON_GREENLETS_MAX * 8);
    uint64_t interpreter = object_field(&s.in, c->runtime.address, o->runtime.interpreters_head);
    for (unsigned n = 0; r == 0 && interpreter && n < CPYTHON_INTERPRETERS_MAX; n++) {
        r = search_interpreter(&s, interpreter);
        arena_clear(&c->scratch);
        interpreter = object_field(&s.in, interpreter, o->interpreter.next);
    }
    if (r == 0)
        r = keep(&s, g);
    vector_done(&s.found);
    map_done(&s.types);
    return r;
}
