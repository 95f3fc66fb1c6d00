/* Finding _PyRuntime in a process, and which CPython it is. Internal to cpython/. */
#ifndef VARAN_CPYTHON_RUNTIME_H
#define VARAN_CPYTHON_RUNTIME_H

#include "cpython/offsets.h"
#include "cpython/reader.h"

#include <limits.h>

struct cpython_runtime {
    uint64_t address; /* of _PyRuntime */
    struct cpython_offsets offsets;
    char version[16];
    char path[PATH_MAX]; /* the binary or libpython, as the target sees it */
};

int cpython_runtime_find(pid_t pid, struct memory_reader *memory, struct cpython_runtime *ret,
                         struct error *e);

#endif
