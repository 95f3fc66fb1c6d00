/*
 * Where a frame's stack ends is told differently: 3.8, 3.9 by a pointer behind its last value; 3.10
 * by their number; 3.11 … 3.13 by their number, local variables included; 3.14 by a pointer again.
 * Whether a generator is suspended in `yield from` is told by its state from 3.13 on, by the
 * instruction it will go on with before (_PyGen_yf() in Objects/genobject.c).
 */
#include "cpython/frame_values.h"

#define VALUES_MAX 65536u
#define OPCODE_YIELD_FROM 72u /* 3.8 … 3.10 */
#define OPCODE_RESUME 151u    /* 3.11, 3.12 */
#define RESUME_AFTER_YIELD_FROM 2u

enum { SUSPENDED_3_11 = -1, SUSPENDED_YIELD_FROM_3_13 = -1 };

uint64_t frame_object(const struct cpython_offsets *o, uint64_t value) {
    if (o->minor < 14)
        return value;
    return (value & 3) == 3 ? 0 : value & ~UINT64_C(3);
}

uint64_t generator_frame(const struct inspector *in, uint64_t generator) {
    uint32_t at = in->offsets->generator.frame;

    return in->offsets->minor >= 11 ? generator + at : object_field(in, generator, at);
}

static uint64_t top_of_stack(const struct inspector *in, uint64_t frame) {
    const struct cpython_offsets *o = in->offsets;
    uint64_t stack = object_field(in, frame, o->frame.stack), values, n = stack & UINT32_MAX;

    if (o->minor <= 9 || o->minor >= 14) /* a pointer; NULL while the frame runs */
        return stack > 8 ? frame_object(o, object_field(in, stack - 8, 0)) : 0;
    if (n == 0 || n > VALUES_MAX)
        return 0;
    values = o->minor == 10 ? object_field(in, frame, o->frame.values) : frame + o->frame.locals;
    return values ? object_field(in, values + 8 * (n - 1), 0) : 0;
}

/* The instruction after the one that the frame was suspended at: its code and its argument. */
static bool next_instruction(const struct inspector *in, uint64_t frame, uint8_t ret[2]) {
    const struct cpython_offsets *o = in->offsets;
    uint64_t at = object_field(in, frame, o->frame.instruction);

    if (o->minor < 11) {
        uint64_t code = object_field(in, object_field(in, frame, o->frame.code), o->code.bytecode),
                 last = at & UINT32_MAX;
        if (last > INT32_MAX)
            return false; /* not begun */
        at = code + o->bytes.data + (o->minor == 10 ? last * 2 : last);
    }
    return memory_read(in->memory, at + 2, ret, 2) == 0;
}

uint64_t frame_awaited(const struct inspector *in, uint64_t generator, uint64_t frame,
                       bool coroutine) {
    const struct cpython_offsets *o = in->offsets;
    uint8_t next[2];
    int8_t state = 0;

    if (o->minor >= 11 && (memory_read(in->memory, generator + o->generator.state, &state, 1) < 0 ||
                           state != (o->minor >= 13 ? SUSPENDED_YIELD_FROM_3_13 : SUSPENDED_3_11)))
        return 0;
    if (o->minor <= 10 && (!next_instruction(in, frame, next) || next[0] != OPCODE_YIELD_FROM))
        return 0;
    if ((o->minor == 11 || o->minor == 12) && !coroutine &&
        (!next_instruction(in, frame, next) || next[0] != OPCODE_RESUME ||
         (next[1] & 3) < RESUME_AFTER_YIELD_FROM))
        return 0;
    return top_of_stack(in, frame);
}
