/*
 * The walk: interpreters → threads → frames → code objects. A stack is read while its thread runs;
 * after the walk the thread's frame pointer and the top frame are read again, and a stack that
 * changed is walked once more, then marked as torn. Code objects are kept by address and verified
 * by two of their pointers against reuse of the memory.
 */
#include "base/vector.h"
#include "cpython/cpython.h"
#include "cpython/lines.h"
#include "cpython/object.h"
#include "cpython/runtime.h"
#include "cpython/thread_stat.h"

#include <signal.h>

#define CODES_MAX 200000u /* kept; beyond it the cache starts over */
#define CODES_BYTES_MAX (256u << 20)
#define SAMPLE_BYTES_MAX (256u << 20)
#define FRAME_BYTES_MAX 512u
#define CODE_BYTES_MAX 1024u
#define THREAD_BYTES_MAX 4096u

enum { OWNER_THREAD = 0, OWNER_GENERATOR = 1, OWNER_FRAME_OBJECT = 2 };

struct cpython {
    pid_t pid;
    struct memory_reader memory;
    struct cpython_runtime runtime;
    struct map codes; /* address → struct cpython_code */
    struct arena texts;
    struct cpython_stats stats;
};

int cpython_open(pid_t pid, struct cpython **ret, struct error *e) {
    struct cpython *c = calloc(1, sizeof(*c));

    if (!c)
        return error_set(e, -ENOMEM, "out of memory");
    c->pid = pid;
    c->memory = memory_reader_process(pid);
    int r = cpython_runtime_find(pid, &c->memory, &c->runtime, e);
    if (r < 0) {
        free(c);
        return r;
    }
    map_init(&c->codes, CODES_MAX, CODES_BYTES_MAX);
    arena_init(&c->texts, CODES_BYTES_MAX);
    *ret = c;
    return 0;
}

void cpython_close(struct cpython *c) {
    if (!c)
        return;
    map_done(&c->codes);
    arena_done(&c->texts);
    free(c);
}

const char *cpython_version(const struct cpython *c) {
    return c->runtime.version;
}

const char *cpython_path(const struct cpython *c) {
    return c->runtime.path;
}

void cpython_read_stats(const struct cpython *c, struct cpython_stats *ret) {
    *ret = c->stats;
    ret->reads = c->memory.reads;
    ret->failed_reads = c->memory.failed;
}

void cpython_sample_init(struct cpython_sample *s) {
    *s = (struct cpython_sample){0};
    arena_init(&s->arena, SAMPLE_BYTES_MAX);
}

void cpython_sample_done(struct cpython_sample *s) {
    arena_done(&s->arena);
    s->threads = NULL;
    s->n_threads = 0;
}

/* Reads a code object whole. NULL when it is none (any more). */
static struct cpython_code *load_code(struct cpython *c, uint64_t address, const uint8_t *raw) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    struct cpython_code *code = arena_new(&c->texts, struct cpython_code);
    uint64_t name =
            field_u64(raw, o->code.size, o->code.qualname ? o->code.qualname : o->code.name);

    if (!code)
        return NULL;
    code->address = address;
    code->check[0] = field_u64(raw, o->code.size, o->code.name);
    code->check[1] = field_u64(raw, o->code.size, o->code.line_table);
    code->first_line = (int) field_u32(raw, o->code.size, o->code.first_line);
    code->file = cpython_read_text(&c->memory, o, field_u64(raw, o->code.size, o->code.filename),
                                   &c->texts);
    code->name = cpython_read_text(&c->memory, o, name, &c->texts);
    code->line_table = cpython_read_bytes(&c->memory, o, code->check[1], &c->texts);
    if (o->code.instructions)
        code->instructions = address + o->code.instructions;
    return code->file && code->name && code->line_table.data ? code : NULL;
}

/* The code object at that address, from the cache when it is still the same one. */
static const struct cpython_code *find_code(struct cpython *c, uint64_t address) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint8_t raw[CODE_BYTES_MAX];
    struct map_entry *e = map_get(&c->codes, slice_new(&address, 8));

    if (o->code.size > sizeof(raw) || memory_read(&c->memory, address, raw, o->code.size) < 0)
        return NULL;
    if (e) {
        const struct cpython_code *code = e->pointer;
        if (code->check[0] == field_u64(raw, o->code.size, o->code.name) &&
            code->check[1] == field_u64(raw, o->code.size, o->code.line_table) &&
            code->first_line == (int) field_u32(raw, o->code.size, o->code.first_line))
            return code;
    }
    struct cpython_code *code = load_code(c, address, raw);
    if (!code)
        return NULL;
    e = map_put(&c->codes, slice_new(&address, 8), NULL);
    if (e)
        e->pointer = code;
    return code;
}

struct stack {
    uint64_t top, top_previous, top_instruction;
    VECTOR(struct cpython_frame) frames;
    bool cut;
};

/* Where in its code a frame stands, in bytes from the first instruction. */
static int64_t frame_offset(const struct cpython_offsets *o, const struct cpython_code *code,
                            const uint8_t *raw) {
    if (o->minor >= 11)
        return (int64_t) (field_u64(raw, o->frame.size, o->frame.instruction) - code->instructions);
    int64_t last = (int32_t) field_u32(raw, o->frame.size, o->frame.instruction);
    return o->minor == 10 ? last * 2 : last; /* counted in instructions since 3.10 */
}

/* Whether the interpreter frame runs Python code, and not C code between two interpreters. */
static bool is_python(const struct cpython_offsets *o, const uint8_t *raw) {
    if (o->minor < 11)
        return true;
    uint8_t owner = raw[o->frame.owner];
    return owner == OWNER_THREAD || owner == OWNER_GENERATOR || owner == OWNER_FRAME_OBJECT;
}

static int add_frame(struct cpython *c, const uint8_t *raw, struct stack *s) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint64_t address = field_u64(raw, o->frame.size, o->frame.code);

    if (o->minor >= 14)
        address &= ~UINT64_C(3); /* a stack reference: its low bits are tags */
    const struct cpython_code *code = address ? find_code(c, address) : NULL;
    if (!code)
        return 0; /* None, or gone meanwhile; the check after the walk tells the second */
    int line = o->free_threaded && o->minor >= 14
                       ? code->first_line /* its bytecode is a copy of the thread's own */
                       : cpython_line(o->minor, code->line_table, code->first_line,
                                      frame_offset(o, code, raw));
    struct cpython_frame frame = {code, line};
    return vector_push(&s->frames, frame, CPYTHON_FRAMES_MAX);
}

static int walk_frames(struct cpython *c, uint64_t frame, struct stack *s) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint8_t raw[FRAME_BYTES_MAX];

    s->frames.n = 0;
    s->top = frame;
    s->cut = false;
    for (unsigned depth = 0; frame; depth++) {
        if (depth >= 2 * CPYTHON_FRAMES_MAX) {
            s->cut = true;
            break;
        }
        if (memory_read(&c->memory, frame, raw, o->frame.size) < 0)
            return -EIO;
        uint64_t previous = field_u64(raw, o->frame.size, o->frame.previous);
        if (depth == 0) {
            s->top_previous = previous;
            s->top_instruction = field_u64(raw, o->frame.size, o->frame.instruction);
        }
        int r = is_python(o, raw) ? add_frame(c, raw, s) : 0;
        if (r == -ENOBUFS) {
            s->cut = true;
            break;
        }
        if (r < 0)
            return r;
        if (previous == frame)
            return -EIO;
        frame = previous;
    }
    return 0;
}

/* The innermost frame of a thread state: 0 when there is none. */
static int current_frame(struct cpython *c, uint64_t thread, uint64_t *ret) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint64_t at = thread + o->thread.frame;

    if (o->thread.cframe) {
        if (memory_read_u64(&c->memory, thread + o->thread.cframe, &at) < 0 || !at)
            return -EIO;
        at += o->thread.cframe_frame;
    }
    return memory_read_u64(&c->memory, at, ret);
}

/* Whether the stack still looks as it did when the walk began. */
static bool unchanged(struct cpython *c, uint64_t thread, const struct stack *s) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint8_t raw[FRAME_BYTES_MAX];
    uint64_t frame;

    if (current_frame(c, thread, &frame) < 0 || frame != s->top)
        return false;
    if (!frame)
        return true;
    return memory_read(&c->memory, frame, raw, o->frame.size) == 0 &&
           field_u64(raw, o->frame.size, o->frame.previous) == s->top_previous;
}

static int walk_thread(struct cpython *c, struct cpython_sample *sample, uint64_t address,
                       struct stack *s, struct cpython_thread *t) {
    bool consistent = false;

    c->stats.stacks++;
    for (unsigned attempt = 0; attempt < 2 && !consistent; attempt++) {
        uint64_t frame;
        if (current_frame(c, address, &frame) < 0)
            return 0; /* the thread has ended */
        int r = walk_frames(c, frame, s);
        if (r == -ENOMEM)
            return r;
        consistent = r == 0 && unchanged(c, address, s);
    }
    if (!consistent) {
        t->torn = true;
        c->stats.torn++;
    }
    t->cut = s->cut;
    t->frames = arena_array(&sample->arena, struct cpython_frame, s->frames.n);
    if (!t->frames)
        return -ENOMEM;
    if (s->frames.n)
        memcpy((void *) (uintptr_t) t->frames, s->frames.items, s->frames.n * sizeof(*t->frames));
    t->n_frames = s->frames.n;
    return 0;
}

/* The thread state that holds the GIL of that interpreter; 0: none or not known. */
static uint64_t gil_holder(struct cpython *c, uint64_t interpreter) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint64_t holder = 0, gil = interpreter;
    uint32_t locked = 0;

    if (o->minor <= 11) {
        memory_read_u64(&c->memory, c->runtime.address + o->runtime.tstate_current, &holder);
        return holder;
    }
    if (!o->interpreter.gil_inline &&
        memory_read_u64(&c->memory, interpreter + o->interpreter.gil, &gil) < 0)
        return 0;
    if (memory_read(&c->memory, gil + o->interpreter.gil_locked, &locked, 4) < 0 || locked != 1 ||
        memory_read_u64(&c->memory, gil + o->interpreter.gil_holder, &holder) < 0)
        return 0;
    return holder;
}

struct walk {
    struct cpython *c;
    struct cpython_sample *sample;
    VECTOR(struct cpython_thread) threads;
    struct stack stack;
};

static int walk_threads(struct walk *w, uint64_t interpreter, int64_t id) {
    struct cpython *c = w->c;
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint8_t raw[THREAD_BYTES_MAX];
    uint64_t holder = gil_holder(c, interpreter), thread;

    if (memory_read_u64(&c->memory, interpreter + o->interpreter.threads_head, &thread) < 0)
        return -EIO;
    for (unsigned n = 0; thread && n < CPYTHON_THREADS_MAX; n++) {
        struct cpython_thread t = {.interpreter = id, .state = CPYTHON_UNKNOWN};
        if (memory_read(&c->memory, thread, raw, o->thread.size) < 0)
            break; /* the list changed under us: what was found stands */
        t.thread_id = field_u64(raw, o->thread.size, o->thread.thread_id);
        t.holds_gil = thread == holder;
        if (o->thread.native_id)
            t.native_id = (pid_t) field_u64(raw, o->thread.size, o->thread.native_id);
        if (t.native_id <= 0 || thread_read_stat(c->pid, t.native_id, &t.state, t.name) < 0)
            t.state = CPYTHON_UNKNOWN;
        int r = walk_thread(c, w->sample, thread, &w->stack, &t);
        if (r == 0)
            r = vector_push(&w->threads, t, CPYTHON_THREADS_MAX);
        if (r < 0)
            return r;
        thread = field_u64(raw, o->thread.size, o->thread.next);
    }
    return 0;
}

static int walk_interpreters(struct walk *w) {
    struct cpython *c = w->c;
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint64_t interpreter, next;

    if (memory_read_u64(&c->memory, c->runtime.address + o->runtime.interpreters_head,
                        &interpreter) < 0)
        return process_alive(c->pid) ? -EIO : -ESRCH;
    for (unsigned n = 0; interpreter && n < CPYTHON_INTERPRETERS_MAX; n++) {
        uint64_t id = 0;
        if (memory_read_u64(&c->memory, interpreter + o->interpreter.id, &id) < 0 ||
            memory_read_u64(&c->memory, interpreter + o->interpreter.next, &next) < 0)
            return -EIO;
        int r = walk_threads(w, interpreter, (int64_t) id);
        if (r < 0)
            return r;
        interpreter = next;
    }
    return 0;
}

int cpython_sample(struct cpython *c, struct cpython_sample *s) {
    struct walk w = {.c = c, .sample = s};

    arena_clear(&s->arena);
    s->threads = NULL;
    s->n_threads = 0;
    c->stats.walks++;
    int r = walk_interpreters(&w);
    if (r == 0) {
        s->threads = arena_array(&s->arena, struct cpython_thread, w.threads.n);
        if (!s->threads)
            r = -ENOMEM;
        else if (w.threads.n)
            memcpy(s->threads, w.threads.items, w.threads.n * sizeof(*s->threads));
        s->n_threads = s->threads ? w.threads.n : 0;
    }
    vector_done(&w.threads);
    vector_done(&w.stack.frames);
    return r;
}
