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
/* Where a section lies in the process, in the first mapped file whose name holds `name` and which
 * has it, or in the file `or_path`. 0 or -ENOENT. */
int cpython_find_section(pid_t pid, const char *name, const char *or_path, const char *section,
                         uint64_t *ret_address);

#endif
