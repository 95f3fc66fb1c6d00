/* What is on a frame's stack and in its local variables. Internal to cpython/. */
#ifndef VARAN_CPYTHON_FRAME_VALUES_H
#define VARAN_CPYTHON_FRAME_VALUES_H

#include "cpython/inspect.h"

/* An object out of what a frame holds: from 3.14 on its low bits are tags. 0 for a tagged int. */
uint64_t frame_object(const struct cpython_offsets *o, uint64_t value);
/* The object that the frame of a suspended coroutine or generator awaits (`yield from`): 0 when it
 * is not suspended there. `generator`: the object, `frame`: its frame; `coroutine`: every place
 * where it can be suspended is an await. */
uint64_t frame_awaited(const struct inspector *in, uint64_t generator, uint64_t frame,
                       bool coroutine);
/* The frame of a coroutine or generator object; 0: it has ended. */
uint64_t generator_frame(const struct inspector *in, uint64_t generator);

#endif
