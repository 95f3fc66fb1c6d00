/* Offsets of CPython's structures: the table up to 3.12, and the target's own word from 3.13 on.
 * Pure. */
#include "cpython/offsets.h"

#define OFFSET_MAX                                                                                 \
    (1u << 20) /* no structure we read is larger; the interpreter's is the largest                 \
                */

/* `tools/cpython-offsets` prints these rows with the headers of an installed Python. */
static const struct cpython_offsets known[] = {
        {.minor = 8,
         .head = 16,
         .runtime = {.interpreters_head = 32, .tstate_current = 1368, .gil = 1152, .gc = 368},
         .interpreter = {.next = 0, .id = 16, .threads_head = 8, .modules = 56},
         .thread = {.next = 8, .interp = 16, .thread_id = 176, .frame = 24, .size = 184},
         .frame = {.previous = 24,
                   .code = 32,
                   .instruction = 104,
                   .size = 112,
                   .locals = 360,
                   .values = 64,
                   .stack = 72},
         .code = {.filename = 104,
                  .name = 112,
                  .line_table = 120,
                  .first_line = 40,
                  .size = 128,
                  .locals_names = 72,
                  .cell_names = 88,
                  .free_names = 80,
                  .bytecode = 48},
         .unicode = {.state = 32, .length = 16, .ascii_size = 48, .compact_size = 72},
         .bytes = {.size = 16, .data = 32},
         .generator = {.frame = 16},
         .object = {.tuple_items = 24, .closure = 48, .cached_keys = 872},
         .task = {.callback = 24, .callbacks = 40, .waiter = 104, .coroutine = 112, .name = 120}},
        {.minor = 9,
         .head = 16,
         .runtime = {.interpreters_head = 32, .tstate_current = 568, .gil = 352},
         .interpreter = {.next = 0, .id = 24, .threads_head = 8, .modules = 856, .gc = 640},
         .thread = {.next = 8, .interp = 16, .thread_id = 176, .frame = 24, .size = 184},
         .frame = {.previous = 24,
                   .code = 32,
                   .instruction = 104,
                   .size = 112,
                   .locals = 360,
                   .values = 64,
                   .stack = 72},
         .code = {.filename = 104,
                  .name = 112,
                  .line_table = 120,
                  .first_line = 40,
                  .size = 128,
                  .locals_names = 72,
                  .cell_names = 88,
                  .free_names = 80,
                  .bytecode = 48},
         .unicode = {.state = 32, .length = 16, .ascii_size = 48, .compact_size = 72},
         .bytes = {.size = 16, .data = 32},
         .generator = {.frame = 16},
         .object = {.tuple_items = 24, .closure = 48, .cached_keys = 864},
         .task = {.callback = 24, .callbacks = 40, .waiter = 144, .coroutine = 152, .name = 160}},
        {.minor = 10,
         .head = 16,
         .runtime = {.interpreters_head = 32, .tstate_current = 568, .gil = 352},
         .interpreter = {.next = 0, .id = 24, .threads_head = 8, .modules = 856, .gc = 640},
         .thread = {.next = 8, .interp = 16, .thread_id = 176, .frame = 24, .size = 184},
         .frame = {.previous = 24,
                   .code = 32,
                   .instruction = 96,
                   .size = 104,
                   .locals = 352,
                   .values = 64,
                   .stack = 80},
         .code = {.filename = 104,
                  .name = 112,
                  .line_table = 120,
                  .first_line = 40,
                  .size = 128,
                  .locals_names = 72,
                  .cell_names = 88,
                  .free_names = 80,
                  .bytecode = 48},
         .unicode = {.state = 32, .length = 16, .ascii_size = 48, .compact_size = 72},
         .bytes = {.size = 16, .data = 32},
         .generator = {.frame = 16},
         .object = {.tuple_items = 24, .closure = 72, .cached_keys = 872},
         .task = {.callback = 24, .callbacks = 40, .waiter = 152, .coroutine = 160, .name = 168}},
        {.minor = 11,
         .head = 16,
         .runtime = {.interpreters_head = 40, .tstate_current = 576, .gil = 360},
         .interpreter = {.next = 0, .id = 48, .threads_head = 16, .modules = 888, .gc = 672},
         .thread = {.next = 8,
                    .interp = 16,
                    .thread_id = 152,
                    .native_id = 160,
                    .cframe = 56,
                    .cframe_frame = 8,
                    .size = 168},
         .frame = {.previous = 48,
                   .code = 32,
                   .instruction = 56,
                   .owner = 69,
                   .size = 72,
                   .locals = 72,
                   .stack = 64},
         .code = {.filename = 112,
                  .name = 120,
                  .qualname = 128,
                  .line_table = 136,
                  .first_line = 72,
                  .instructions = 184,
                  .size = 184,
                  .locals_names = 96,
                  .locals_kinds = 104},
         .unicode = {.state = 32, .length = 16, .ascii_size = 48, .compact_size = 72},
         .bytes = {.size = 16, .data = 32},
         .generator = {.frame = 80, .state = 75},
         .object = {.tuple_items = 24, .closure = 72, .cached_keys = 872},
         .task = {.callback = 24, .callbacks = 40, .waiter = 128, .coroutine = 136, .name = 144}},
        {.minor = 12,
         .head = 16,
         .runtime = {.interpreters_head = 40},
         .interpreter = {.next = 0,
                         .id = 8,
                         .threads_head = 72,
                         .gil = 384,
                         .gil_holder = 8,
                         .gil_locked = 16,
                         .modules = 944,
                         .gc = 136},
         .thread = {.next = 8,
                    .interp = 16,
                    .thread_id = 136,
                    .native_id = 144,
                    .cframe = 56,
                    .cframe_frame = 0,
                    .size = 152},
         .frame = {.previous = 8,
                   .code = 0,
                   .instruction = 56,
                   .owner = 70,
                   .size = 72,
                   .locals = 72,
                   .stack = 64},
         .code = {.filename = 112,
                  .name = 120,
                  .qualname = 128,
                  .line_table = 136,
                  .first_line = 68,
                  .instructions = 192,
                  .size = 192,
                  .locals_names = 96,
                  .locals_kinds = 104},
         .unicode = {.state = 32, .length = 16, .ascii_size = 40, .compact_size = 56},
         .bytes = {.size = 16, .data = 32},
         .generator = {.frame = 72, .state = 67},
         .object = {.tuple_items = 24, .closure = 72, .cached_keys = 880},
         .task = {.callback = 24, .callbacks = 40, .waiter = 128, .coroutine = 136, .name = 144}},
};

const struct cpython_offsets *cpython_offsets_known(unsigned minor) {
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].minor == minor)
            return &known[i];
    return NULL;
}

/* _Py_DebugOffsets is a row of 64-bit numbers behind the cookie, the version and a flag. Where each
 * lies, counted in numbers from the start, by minor version (Include/internal/pycore_runtime.h
 * in 3.13, pycore_debug_offsets.h in 3.14). */
struct places {
    unsigned minor;
    uint8_t interpreters_head, interp_id, interp_next, threads_head, modules, gil, gil_state,
            gil_locked, gil_holder, gc, thread_size, thread_next, thread_interp, current_frame,
            thread_id, native_id, frame_size, previous, executable, instr_ptr, locals, owner,
            code_size, filename, name, qualname, linetable, firstlineno, local_names, local_kinds,
            instructions, object_size, tuple_items, bytes_size, bytes_data, unicode_state,
            unicode_length, ascii_size;
    uint8_t stack_pointer, tlbc_index, tlbc; /* 0: not told, before 3.14 */
};

static const struct places places[] = {
        {13, 5,  7,  8,  9,  11, 14, 15, 17, 18, 10, 19, 21, 22, 23, 24, 25, 28, 29, 30, 31,
         32, 33, 34, 35, 36, 37, 38, 39, 41, 42, 43, 44, 51, 65, 66, 68, 69, 70, 0,  0,  0},
        {14, 5,  7,  8,  9,  12, 15, 16, 18, 19, 11, 22, 24, 25, 26, 27, 28, 31, 32, 33, 34,
         35, 36, 39, 40, 41, 42, 43, 44, 46, 47, 48, 50, 57, 75, 76, 78, 79, 80, 37, 38, 49},
};

/* What those numbers leave out, for builds with a GIL; relative to the end of PyObject where it
 * follows it. The generations' lists are those of struct _gc_runtime_state. */
static const struct {
    unsigned minor;
    uint32_t gc_generations, stack_top, generator_frame, generator_state, cached_keys, closure,
            callback, callbacks, waiter, coroutine, task_name;
} untold[] = {
        {13, 24, 64, 56, 51, 864, 56, 8, 24, 96, 104, 112},
        {14, 24, 0, 56, 51, 864, 56, 8, 24, 104, 112, 120},
};

static int read_place(struct slice head, uint8_t place, uint32_t *ret) {
    uint64_t v;

    if (!place) {
        *ret = 0;
        return 0;
    }
    if ((size_t) place * 8 + 8 > head.size)
        return -EBADMSG;
    memcpy(&v, head.data + (size_t) place * 8, 8);
    if (v > OFFSET_MAX)
        return -EBADMSG;
    *ret = (uint32_t) v;
    return 0;
}

static void add_untold(struct cpython_offsets *o) {
    for (size_t i = 0; i < sizeof(untold) / sizeof(untold[0]); i++) {
        if (untold[i].minor != o->minor)
            continue;
        o->interpreter.gc += untold[i].gc_generations;
        o->generator.frame = o->head + untold[i].generator_frame;
        o->generator.state = o->head + untold[i].generator_state;
        o->object.cached_keys = o->head + untold[i].cached_keys;
        o->object.closure = o->head + untold[i].closure;
        o->task.callback = o->head + untold[i].callback;
        o->task.callbacks = o->head + untold[i].callbacks;
        o->task.waiter = o->head + untold[i].waiter;
        o->task.coroutine = o->head + untold[i].coroutine;
        o->task.name = o->head + untold[i].task_name;
        if (!o->frame.stack)
            o->frame.stack = untold[i].stack_top;
    }
}

static bool inside(uint32_t offset, uint32_t field, uint32_t size) {
    return offset + field <= size;
}

/* Whether the fields lie inside their structures and those have sizes one can read. */
static bool plausible(const struct cpython_offsets *o) {
    return o->thread.size <= 4096 && o->frame.size <= 512 && o->code.size <= 1024 &&
           inside(o->thread.next, 8, o->thread.size) &&
           inside(o->thread.frame, 8, o->thread.size) &&
           inside(o->thread.thread_id, 8, o->thread.size) &&
           inside(o->thread.native_id, 8, o->thread.size) &&
           inside(o->frame.previous, 8, o->frame.size) && inside(o->frame.code, 8, o->frame.size) &&
           inside(o->frame.instruction, 8, o->frame.size) &&
           inside(o->frame.owner, 1, o->frame.size) && inside(o->code.filename, 8, o->code.size) &&
           inside(o->code.name, 8, o->code.size) && inside(o->code.qualname, 8, o->code.size) &&
           inside(o->code.line_table, 8, o->code.size) &&
           inside(o->code.first_line, 4, o->code.size) &&
           inside(o->code.locals_names, 8, o->code.size) &&
           inside(o->code.locals_kinds, 8, o->code.size) && inside(o->code.tlbc, 8, o->code.size) &&
           inside(o->frame.stack, 8, o->frame.size) &&
           inside(o->frame.tlbc_index, 4, o->frame.size) && o->frame.locals <= 512 &&
           o->head >= 16 && o->head <= 64 && o->object.tuple_items <= 128 &&
           o->unicode.length <= 64 && o->unicode.state <= 64 && o->unicode.ascii_size <= 128 &&
           o->bytes.size <= 64 && o->bytes.data <= 128;
}

int cpython_offsets_parse(struct slice head, struct cpython_offsets *ret, uint32_t *ret_hex) {
    struct cpython_offsets o = {0};
    const struct places *p = NULL;
    uint64_t version, free_threaded;
    int r = 0;

    if (head.size < 24 || memcmp(head.data, "xdebugpy", 8) != 0)
        return -ENOENT;
    memcpy(&version, head.data + 8, 8);
    memcpy(&free_threaded, head.data + 16, 8);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (version >> 24 == 3 && (version >> 16 & 0xff) == places[i].minor)
            p = &places[i];
    if (!p)
        return -ENOTSUP;
    uint32_t gil_state = 0;
    const struct {
        uint8_t place;
        uint32_t *to;
    } rows[] = {
            {p->interpreters_head, &o.runtime.interpreters_head},
            {p->interp_id, &o.interpreter.id},
            {p->interp_next, &o.interpreter.next},
            {p->threads_head, &o.interpreter.threads_head},
            {p->modules, &o.interpreter.modules},
            {p->gil, &o.interpreter.gil},
            {p->gil_state, &gil_state},
            {p->gc, &o.interpreter.gc},
            {p->gil_locked, &o.interpreter.gil_locked},
            {p->gil_holder, &o.interpreter.gil_holder},
            {p->thread_size, &o.thread.size},
            {p->thread_next, &o.thread.next},
            {p->thread_interp, &o.thread.interp},
            {p->current_frame, &o.thread.frame},
            {p->thread_id, &o.thread.thread_id},
            {p->native_id, &o.thread.native_id},
            {p->frame_size, &o.frame.size},
            {p->previous, &o.frame.previous},
            {p->executable, &o.frame.code},
            {p->instr_ptr, &o.frame.instruction},
            {p->owner, &o.frame.owner},
            {p->locals, &o.frame.locals},
            {p->stack_pointer, &o.frame.stack},
            {p->tlbc_index, &o.frame.tlbc_index},
            {p->code_size, &o.code.size},
            {p->filename, &o.code.filename},
            {p->name, &o.code.name},
            {p->qualname, &o.code.qualname},
            {p->linetable, &o.code.line_table},
            {p->firstlineno, &o.code.first_line},
            {p->instructions, &o.code.instructions},
            {p->local_names, &o.code.locals_names},
            {p->local_kinds, &o.code.locals_kinds},
            {p->tlbc, &o.code.tlbc},
            {p->object_size, &o.head},
            {p->tuple_items, &o.object.tuple_items},
            {p->bytes_size, &o.bytes.size},
            {p->bytes_data, &o.bytes.data},
            {p->unicode_state, &o.unicode.state},
            {p->unicode_length, &o.unicode.length},
            {p->ascii_size, &o.unicode.ascii_size},
    };
    for (size_t i = 0; r == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
        r = read_place(head, rows[i].place, rows[i].to);
    o.minor = p->minor;
    o.free_threaded = free_threaded != 0;
    o.unicode.compact_size = o.unicode.ascii_size + 16; /* utf8_length and utf8 follow */
    if (r == 0 && (o.interpreter.gil_holder < gil_state || o.interpreter.gil_locked < gil_state))
        r = -EBADMSG;
    o.interpreter.gil_holder -= gil_state; /* told as offsets in the interpreter's state */
    o.interpreter.gil_locked -= gil_state;
    add_untold(&o);
    if (r < 0 || !plausible(&o))
        return -EBADMSG;
    *ret = o;
    *ret_hex = (uint32_t) version;
    return 0;
}
