/* Finding _PyRuntime in a process, and which CPython it is. Internal to cpython/. */
#ifndef VARAN_CPYTHON_RUNTIME_H
#define VARAN_CPYTHON_RUNTIME_H

#include "cpython/image.h"
#include "cpython/offsets.h"

#include <limits.h>

struct cpython_runtime {
    char path[PATH_MAX]; /* the binary or libpython, as the target sees it */
    uint64_t address;    /* of _PyRuntime */
    struct cpython_offsets offsets;
    char version[16];
};

/* How far to look: in the usual files only (quick, for a program that may become a Python any
 * moment), or also in every library and, by structure, in the data of stripped binaries. */
enum runtime_search { RUNTIME_QUICK, RUNTIME_THOROUGH };

/* 0; -ESRCH, -EPERM (with what to do), -ENOENT: there is none (yet), -ENOTSUP. */
int cpython_runtime_find(const struct image *image, struct memory_reader *memory,
                         enum runtime_search search, struct cpython_runtime *ret, struct error *e);
/* The same for reading an image that cannot be read: a sentence for `r`. */
int cpython_explain_refusal(pid_t pid, int r, struct error *e);

#endif
