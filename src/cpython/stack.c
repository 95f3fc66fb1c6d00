/*
 * The thread's frame pointer, the pages that the last walk needed, and then the pointer and the
 * page of the innermost frame once more are read by one call: mostly that is all. Whether the stack
 * changed meanwhile is told by the frame pointer and the top frame's caller and code.
 */
#include "cpython/stack.h"
#include "base/hot.h"

#include "cpython/lines.h"

#include <errno.h>

#define COPIES_MAX 65536u /* of a function's bytecode */

enum { OWNER_THREAD = 0, OWNER_GENERATOR = 1, OWNER_FRAME_OBJECT = 2 };

struct top {
    uint64_t frame, previous, code;
};

void stack_done(struct stack *s) {
    vector_done(&s->raw);
    vector_done(&s->now.frames);
    vector_done(&s->now.lined);
    vector_done(&s->before.frames);
    vector_done(&s->before.lined);
}

static HOT uint64_t code_of(const struct cpython_offsets *o, const uint8_t *raw) {
    uint64_t code = field_u64(raw, o->frame.size, o->frame.code);

    return o->minor >= 14 ? code & ~UINT64_C(3) : code; /* a stack reference: low bits are tags */
}

/* Whether the interpreter frame runs Python code, and not C code between two interpreters. */
HOT bool stack_is_python(const struct cpython_offsets *o, const uint8_t *raw) {
    if (o->minor < 11)
        return true;
    uint8_t owner = raw[o->frame.owner];
    return owner == OWNER_THREAD || owner == OWNER_GENERATOR || owner == OWNER_FRAME_OBJECT;
}

HOT struct raw_frame stack_frame(const struct cpython_offsets *o, uint64_t address,
                                 const uint8_t *raw) {
    struct raw_frame f = {
            .code = code_of(o, raw),
            .instruction = o->minor >= 11 ? field_u64(raw, o->frame.size, o->frame.instruction)
                                          : field_u32(raw, o->frame.size, o->frame.instruction),
            .address = address,
            .entry = o->minor < 11 || (o->minor == 11 && raw[o->frame.owner - 1])};

    if (o->frame.tlbc_index && o->free_threaded)
        f.copy = field_u32(raw, o->frame.size, o->frame.tlbc_index);
    return f;
}

/* Where the pointer to the thread's innermost frame is found, into `frame` (and `cframe`). */
static HOT size_t plan_pointers(const struct cpython_offsets *o, uint64_t thread,
                                const struct stack *s, uint64_t *frame, uint64_t *cframe,
                                struct memory_part parts[2]) {
    if (!o->thread.cframe) {
        parts[0] = (struct memory_part){thread + o->thread.frame, frame, 8};
        return 1;
    }
    parts[0] = (struct memory_part){thread + o->thread.cframe, cframe, 8};
    parts[1] = (struct memory_part){s->cframe + o->thread.cframe_frame, frame, 8};
    return s->cframe ? 2 : 0;
}

/* The pointers once more, to be read at last, with what lies around the last innermost frame,
 * within its page. */
static HOT size_t plan_again(struct stack_reader *r, unsigned which, uint64_t thread,
                             const struct stack *s, struct memory_part parts[3]) {
    struct stack_again *a = &r->again[which];
    size_t n = s->top ? plan_pointers(r->offsets, thread, s, &a->frame, &a->cframe, parts) : 0;

    if (n) {
        a->page = s->top & ~(uint64_t) (PAGE_BYTES - 1);
        parts[n++] = (struct memory_part){a->page, r->again_data[which], PAGE_BYTES};
    }
    return n;
}

static HOT void again_was_read(struct stack_again *a, const struct pages *p, const struct stack *s,
                               bool read) {
    a->of = read ? s : NULL;
    a->later = p->later;
}

HOT void stack_ahead_clear(struct stack_reader *r) {
    r->again[0].of = r->again[1].of = NULL;
    pages_clear(&r->shared);
}

static HOT size_t plan_ahead(struct stack_reader *r, struct stack *s, bool whole,
                             struct memory_part parts[STACK_PARTS_MAX]) {
    const struct cpython_offsets *o = r->offsets;
    size_t n = 0;

    s->ahead.read = s->ahead.sure = false;
    if (s->hints.n == 0 || (o->thread.cframe && !s->cframe))
        return 0;
    s->ahead.cframe = s->cframe;
    if (o->thread.cframe)
        parts[n++] = (struct memory_part){s->cframe + o->thread.cframe_frame, &s->ahead.frame, 8};
    s->ahead.pages = pages_plan(&r->shared, &s->hints, whole, parts + n);
    return n + s->ahead.pages;
}

/* Only one thread's stack changes fast: of the others' pages is read what is wanted. */
size_t stack_ahead_plan(struct stack_reader *r, struct stack *s,
                        struct memory_part parts[STACK_PARTS_MAX]) {
    return plan_ahead(r, s, r->offsets->free_threaded, parts);
}

HOT void stack_ahead_done(struct stack_reader *r, const uint8_t *thread, struct stack *s,
                          const struct memory_part *parts, size_t n, size_t done) {
    const struct cpython_offsets *o = r->offsets;

    if (done < n)
        pages_unread(&r->shared, parts + (done < n - s->ahead.pages ? n - s->ahead.pages : done),
                     done < n - s->ahead.pages ? s->ahead.pages : n - done);
    if (!o->thread.cframe)
        s->ahead.frame = field_u64(thread, o->thread.size, o->thread.frame);
    else if (done == 0 || field_u64(thread, o->thread.size, o->thread.cframe) != s->ahead.cframe) {
        s->cframe = field_u64(thread, o->thread.size, o->thread.cframe);
        pages_plan_again(&s->hints); /* by begin(), which knows now where to look */
        return;
    }
    s->ahead.read = true;
}

HOT size_t stack_ahead_plan_twice(struct stack_reader *r, uint64_t address, struct stack *s,
                                  struct memory_part parts[STACK_PARTS_MAX]) {
    size_t n = plan_ahead(r, s, true, parts);

    return n ? n + plan_again(r, 0, address, s, parts + n) : 0;
}

HOT void stack_ahead_done_twice(struct stack_reader *r, const uint8_t *thread, struct stack *s,
                                const struct memory_part *parts, size_t n, size_t done) {
    size_t end = s->ahead.pages + (r->offsets->thread.cframe != 0);

    stack_ahead_done(r, thread, s, parts, end, done < end ? done : end);
    again_was_read(&r->again[0], &r->shared, s, s->ahead.read && n > end && done == n);
}

/* Reads the thread's innermost frame pointer, together with the pages of the last walk. */
static int begin(struct stack_reader *r, uint64_t thread, struct stack *s, uint64_t *ret) {
    const struct cpython_offsets *o = r->offsets;
    uint64_t cframe = 0, frame = 0;
    struct memory_part parts[2], again[3] = {0};
    bool all;

    r->again[1].of = NULL;
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        size_t n = plan_pointers(o, thread, s, &frame, &cframe, parts),
               n_again = n ? plan_again(r, 1, thread, s, again) : 0;
        if (!n || !pages_begin(&r->pages, parts, n, &s->hints, again, n_again, &all))
            break;
        if (cframe == (n == 2 ? s->cframe : 0)) {
            again_was_read(&r->again[1], &r->pages, s, all && n_again);
            *ret = frame;
            return 0;
        }
        s->cframe = cframe; /* C code was called, or has returned: the same once more, from there */
        pages_plan_again(&s->hints);
    }
    if (!o->thread.cframe)
        return -EIO;
    pages_clear(&r->pages);
    if (memory_read_u64(r->memory, thread + o->thread.cframe, &cframe) < 0 ||
        memory_read_u64(r->memory, cframe + o->thread.cframe_frame, &frame) < 0)
        return -EIO;
    s->cframe = cframe;
    *ret = frame;
    return 0;
}

static HOT int walk_frames(struct stack_reader *r, struct pages *p, struct stack *s,
                           struct top *top) {
    const struct cpython_offsets *o = r->offsets;
    uint8_t raw[FRAME_BYTES_MAX];
    uint64_t frame = top->frame;

    s->raw.n = 0;
    s->cut = false;
    for (unsigned depth = 0; frame; depth++) {
        if (depth >= 2 * CPYTHON_FRAMES_MAX) {
            s->cut = true;
            break;
        }
        if (pages_read(p, frame, raw, o->frame.size, &s->hints) < 0)
            return -EIO;
        uint64_t previous = field_u64(raw, o->frame.size, o->frame.previous);
        struct raw_frame f = stack_frame(o, frame, raw);
        if (depth == 0) {
            top->previous = previous;
            top->code = f.code;
        }
        if (o->minor >= 12 && s->raw.n && (!previous || !stack_is_python(o, raw)))
            s->raw.items[s->raw.n - 1].entry = true; /* C code called it */
        int e = stack_is_python(o, raw) && f.code ? vector_push(&s->raw, f, CPYTHON_FRAMES_MAX) : 0;
        if (e == -ENOBUFS) {
            s->cut = true;
            break;
        }
        if (e < 0)
            return e;
        if (previous == frame)
            return -EIO;
        frame = previous;
    }
    return 0;
}

/* Whether what the pages hold was so until after they were read, as far as that is known. */
static HOT bool was_unchanged(const struct stack_reader *r, const struct pages *p,
                              const struct stack *s, const struct top *top) {
    const struct cpython_offsets *o = r->offsets;
    unsigned which = r->again[1].of == s;
    const struct stack_again *a = &r->again[which];
    uint64_t at = top->frame - a->page; /* huge when it lies before */

    if (a->of != s || a->later != p->later || a->frame != top->frame ||
        (o->thread.cframe && a->cframe != s->cframe) || at >= PAGE_BYTES ||
        at + o->frame.size > PAGE_BYTES)
        return false;
    const uint8_t *raw = r->again_data[which] + at;
    return field_u64(raw, o->frame.size, o->frame.previous) == top->previous &&
           code_of(o, raw) == top->code;
}

/* Whether the stack still looks as it did when the walk began. */
static HOT bool unchanged(struct stack_reader *r, uint64_t thread, const struct stack *s,
                          const struct top *top) {
    const struct cpython_offsets *o = r->offsets;
    uint8_t raw[FRAME_BYTES_MAX];
    uint64_t frame = 0, cframe = 0;
    struct memory_part parts[3];
    size_t n = plan_pointers(o, thread, s, &frame, &cframe, parts);

    if (top->frame)
        parts[n++] = (struct memory_part){top->frame, raw, o->frame.size};
    if (memory_read_many(r->memory, parts, n) < n || frame != top->frame ||
        (o->thread.cframe && cframe != s->cframe))
        return false;
    return !top->frame || (field_u64(raw, o->frame.size, o->frame.previous) == top->previous &&
                           code_of(o, raw) == top->code);
}

/* Where in its code a frame stands, in bytes from the first instruction. */
static HOT int64_t offset_of(const struct cpython_offsets *o, const struct cpython_code *code,
                             uint64_t instruction) {
    if (o->minor >= 11)
        return (int64_t) (instruction - code->instructions);
    int64_t last = (int32_t) instruction;
    return o->minor == 10 ? last * 2 : last; /* counted in instructions since 3.10 */
}

/* Free-threaded 3.14 runs a copy of the bytecode per thread: where the instruction would lie in the
 * first copy. struct _PyCodeArray: their number, then pointers to them. */
static HOT uint64_t in_first_copy(struct stack_reader *r, const struct cpython_code *code,
                                  const struct raw_frame *f) {
    uint64_t copies = 0, copy = 0, n = 0;

    if (!f->copy ||
        memory_read_u64(r->memory, code->address + r->offsets->code.tlbc, &copies) < 0 ||
        memory_read_u64(r->memory, copies, &n) < 0 || f->copy >= n || f->copy >= COPIES_MAX ||
        memory_read_u64(r->memory, copies + 8 + 8 * (uint64_t) f->copy, &copy) < 0)
        return f->instruction;
    return code->instructions + (f->instruction - copy);
}

HOT int stack_line(struct stack_reader *r, const struct cpython_code *code,
                   const struct raw_frame *f) {
    return cpython_line(r->offsets->minor, code->line_table, code->first_line,
                        offset_of(r->offsets, code, in_first_copy(r, code, f)));
}

/* Versions are never used twice in this process, whatever target they are of. */
static _Atomic uint64_t versions;

static HOT bool same_stack(const struct resolved *a, const struct resolved *b) {
    if (a->frames.n != b->frames.n)
        return false;
    for (size_t i = 0; i < a->frames.n; i++)
        if (a->frames.items[i].code != b->frames.items[i].code ||
            a->frames.items[i].line != b->frames.items[i].line)
            return false;
    return true;
}

/* Where the last walk found that code object, as many frames from the bottom; SIZE_MAX: it did not.
 */
static HOT size_t known_at(const struct resolved *old, size_t below, uint64_t code) {
    if (below > old->frames.n || old->lined.items[old->frames.n - below].code != code)
        return SIZE_MAX;
    return old->frames.n - below;
}

/* Whether all code objects that the last walk found are still believed. */
static HOT bool all_trusted(const struct stack_reader *r, const struct stack *s, int64_t now_ns) {
    return now_ns - s->verified_ns < r->codes.trust_ns && r->codes.replaced == s->replaced;
}

/* Whether frame by frame the same code objects are executed. */
static HOT bool same_codes(const struct stack *s) {
    const struct raw_frame *was = s->now.lined.items;

    if (s->raw.n != s->now.lined.n)
        return false;
    for (size_t i = 0; i < s->raw.n; i++)
        if (s->raw.items[i].code != was[i].code)
            return false;
    return true;
}

/* Only where they stand may differ: what has not moved is not touched. */
static HOT void move_on(struct stack_reader *r, struct stack *s) {
    bool moved = false;

    for (size_t i = 0; i < s->raw.n; i++) {
        const struct raw_frame *is = &s->raw.items[i];
        struct raw_frame *was = &s->now.lined.items[i];
        struct cpython_frame *frame = &s->now.frames.items[i];
        if (is->instruction == was->instruction && is->address == was->address &&
            is->copy == was->copy && is->entry == was->entry)
            continue;
        int line = frame->line;
        if (is->instruction != was->instruction || is->copy != was->copy)
            line = stack_line(r, frame->code, is);
        moved |= line != frame->line;
        *was = *is;
        *frame = (struct cpython_frame){frame->code, line, is->address, is->entry};
    }
    if (moved)
        s->version = ++versions;
}

/* Reads anew the code objects of the raw frames that the last walk did not find at the same depth
 * from the bottom, or that are not believed any more. */
static HOT void refresh_codes(struct stack_reader *r, const struct stack *s, bool trusted,
                              int64_t now_ns) {
    uint64_t codes[CODES_AT_ONCE];
    size_t n = 0;

    for (size_t i = 0; i < s->raw.n; i++) {
        size_t at = known_at(&s->now, s->raw.n - i, s->raw.items[i].code);
        if (at == SIZE_MAX ||
            !(trusted || codes_fresh(&r->codes, s->now.frames.items[at].code, now_ns)))
            codes[n++] = s->raw.items[i].code;
        if (n == CODES_AT_ONCE || (n && i + 1 == s->raw.n)) {
            codes_refresh(&r->codes, codes, n, now_ns);
            n = 0;
        }
    }
}

/* Code objects and lines of the raw frames. Lines that were found by the last walk at the same
 * depth from the bottom are taken from it: most of a stack stands still. */
static HOT int resolve(struct stack_reader *r, struct stack *s, int64_t now_ns) {
    bool trusted = all_trusted(r, s, now_ns);
    int e = 0;

    if (trusted && same_codes(s)) {
        move_on(r, s);
        return 0;
    }
    refresh_codes(r, s, trusted, now_ns);
    trusted &= r->codes.replaced == s->replaced;
    struct resolved old = s->now;
    s->now = s->before;
    s->before = old;
    s->now.frames.n = s->now.lined.n = 0;
    if (!trusted)
        s->verified_ns = now_ns;
    for (size_t i = 0; e == 0 && i < s->raw.n; i++) {
        const struct raw_frame *f = &s->raw.items[i];
        size_t at = known_at(&old, s->raw.n - i, f->code);
        bool known = at != SIZE_MAX &&
                     (trusted || codes_fresh(&r->codes, old.frames.items[at].code, now_ns));
        const struct cpython_code *code =
                known ? old.frames.items[at].code : codes_find(&r->codes, f->code);
        if (!code)
            continue; /* None, or gone meanwhile */
        if (!(known && trusted) && codes_verified_ns(code) < s->verified_ns)
            s->verified_ns = codes_verified_ns(code);
        bool same = at != SIZE_MAX && old.lined.items[at].instruction == f->instruction &&
                    old.frames.items[at].code == code;
        struct cpython_frame frame = {code,
                                      same ? old.frames.items[at].line : stack_line(r, code, f),
                                      f->address, f->entry};
        e = vector_push(&s->now.frames, frame, CPYTHON_FRAMES_MAX);
        if (e == 0)
            e = vector_push(&s->now.lined, *f, CPYTHON_FRAMES_MAX);
    }
    s->replaced = r->codes.replaced;
    if (!same_stack(&s->now, &old))
        s->version = ++versions;
    return e;
}

/* Walks the frames once. *ret_same: nothing changed under the walk. */
static HOT int walk_once(struct stack_reader *r, uint64_t thread, struct stack *s, bool *ret_same) {
    struct pages *p = s->ahead.read ? &r->shared : &r->pages;
    struct top top = {.frame = s->ahead.frame};
    uint64_t later = p->later;
    bool sure = s->ahead.read && s->ahead.sure;
    int e = s->ahead.read ? 0 : begin(r, thread, s, &top.frame);

    if (e < 0)
        return e;
    s->ahead.read = false;
    e = walk_frames(r, p, s, &top);
    s->top = top.frame;
    *ret_same = e == 0 && ((sure && later == p->later) || was_unchanged(r, p, s, &top) ||
                           unchanged(r, thread, s, &top));
    return e == -ENOMEM ? e : 0;
}

HOT int stack_walk(struct stack_reader *r, uint64_t thread, int64_t now_ns, struct stack *s) {
    bool same = false;

    for (unsigned attempt = 0; attempt < 2 && !same; attempt++) {
        int e = walk_once(r, thread, s, &same);
        if (e < 0)
            return e;
    }
    int e = resolve(r, s, now_ns);
    return e < 0 ? e : same ? 0 : -EAGAIN;
}
