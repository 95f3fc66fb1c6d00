/*
 * Native stacks of a process that is held (pause.h), through libdw, and how they are put together
 * with Python's. Registers and the top of the stack are copied while the threads are held; they are
 * unwound after they go on. x86-64 and arm64. One owner at a time, and the thread that holds the
 * target.
 */
#ifndef VARAN_PROFILE_NATIVE_H
#define VARAN_PROFILE_NATIVE_H

#include "cpython/cpython.h"

#define NATIVE_FRAMES_MAX 512u
#define NATIVE_STACK_BYTES (128u << 10) /* of the stack's top that are copied */
#define NATIVE_CAPTURES_MAX 256u        /* threads of one sample */

struct native_stacks;

/* `interpreter`: the file that CPython lives in, as the target sees it (cpython_path()). 0;
 * -ENOTSUP: this processor is not known; -ENOENT: nothing is mapped (any more); -ENOMEM. */
int native_stacks_open(pid_t pid, const char *interpreter, struct native_stacks **ret);
void native_stacks_close(struct native_stacks *n);
/* Copies what is needed of a thread that is held: 0 or a negative errno. */
int native_stacks_capture(struct native_stacks *n, pid_t thread);
/* Forgets what was captured. */
void native_stacks_clear(struct native_stacks *n);
/* The thread with native frames among its own: `*t`, whose frames then live in `to` and (their code
 * objects) in `n`. Without a capture of it, or when nothing can be unwound, it stays as it is. 0 or
 * -ENOMEM. */
int native_stacks_merge(struct native_stacks *n, struct arena *to, struct cpython_thread *t);

/* ---- native_names.c: pure ---- */

/* What a Cython function was called in its source: "__pyx_pf_4demo_5Thing_2run" → "demo.Thing.run"
 * (as Cython 0.29 and 3 make them). False: it is none. */
bool native_cython_name(const char *symbol, char *ret, size_t room);
/* Whether a symbol is the interpreter's main loop, of which each call runs one Python frame or
 * several. */
bool native_is_eval(const char *symbol);

#endif
