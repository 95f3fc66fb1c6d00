/* The names that Python gave its threads. Internal to cpython/. */
#ifndef VARAN_CPYTHON_NAMES_H
#define VARAN_CPYTHON_NAMES_H

#include "cpython/inspect.h"

#define THREAD_NAME_MAX 128u

/* Calls `fn` with every thread of the interpreter that the threading module knows of: its
 * pthread_self(), and its name, which lives in the inspector's arena. `wants` may spare the reading
 * of names. */
void thread_names_each(const struct inspector *in, uint64_t interpreter,
                       bool (*wants)(void *ctx, uint64_t thread_id),
                       void (*fn)(void *ctx, uint64_t thread_id, const char *name), void *ctx);

#endif
