/* A target behind any reader of memory: for tests over images. Internal to cpython/. */
#ifndef VARAN_CPYTHON_OPEN_H
#define VARAN_CPYTHON_OPEN_H

#include "cpython/cpython.h"
#include "cpython/runtime.h"

/* Reads what hangs at a runtime that is known already. `pid` is asked for its threads' states; a
 * number that no process has leaves them unknown. 0 or -ENOMEM. */
int cpython_open_reader(pid_t pid, struct memory_reader memory,
                        const struct cpython_runtime *runtime, struct cpython **ret);

#endif
