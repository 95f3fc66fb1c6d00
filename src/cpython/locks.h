/* Locks in a target. Internal to cpython/. */
#ifndef VARAN_CPYTHON_LOCKS_H
#define VARAN_CPYTHON_LOCKS_H

#include "cpython/frame_values.h"
#include "cpython/state.h"

#define LOCKS_BYTES_MAX ((size_t) 64 << 20)

/* What a frame may have in hand that leads to a lock. */
enum lock_object {
    OBJECT_OTHER,
    OBJECT_LOCK,
    OBJECT_RLOCK,
    OBJECT_BUILTIN,    /* a method of a C type, bound */
    OBJECT_METHOD,     /* of a Python class, bound */
    OBJECT_DESCRIPTOR, /* a method of a C type; the object follows it on the stack */
    OBJECT_FUNCTION,   /* of Python; the object follows it on the stack, too (3.14) */
    OBJECT_CONDITION,
};

/* A `with` over a lock that a frame is in. */
struct held {
    size_t lock, thread, frame;
};

struct locks {
    struct inspector in;
    const struct cpython_sample *sample;
    struct cpython_wait *waits; /* by thread */
    VECTOR(struct cpython_lock) items;
    VECTOR(struct held) held;
    struct map kinds, by_address; /* of types; of locks */
};

#endif
