/*
 * Lines of Cython functions, when their module was built with debug information (-g): libdw tells
 * the line of the C file, and the comments that Cython left in that file tell whose line that is.
 * The C file must still lie where it was compiled; with Cython's option emit_linenums it need not.
 * One owner at a time.
 */
#ifndef VARAN_PROFILE_NATIVE_SOURCE_H
#define VARAN_PROFILE_NATIVE_SOURCE_H

#include "base/map.h"
#include "base/slice.h"
#include "base/vector.h"

#include <elfutils/libdwfl.h>
#include <sys/types.h>

#define NATIVE_LINE_MAX 100000000u

/* From line `at` of the C file on: what line `line` of `file` became. */
struct native_mark {
    unsigned at, line; /* line 0: code of Cython's own */
    struct slice file; /* as Cython was given it, in the C file's text */
};

struct native_marks {
    struct native_mark *items;
    size_t n, allocated;
};

/* Appends the marks of a C file. 0; -ENOBUFS: there are too many; -ENOMEM. Pure. */
int native_marks_read(struct slice text, struct native_marks *ret);
/* The last mark at or before that line of the C file; NULL: there is none. */
const struct native_mark *native_mark_before(const struct native_marks *marks, unsigned line);

struct native_sources {
    pid_t pid;
    struct map files; /* by path: struct native_marks */
    struct arena texts;
};

void native_sources_init(struct native_sources *s, pid_t pid);
void native_sources_done(struct native_sources *s);
/* The line at that address and its file, as the target sees it (it lives as long as `s`). What was
 * inlined from Cython's or Python's own code stands at the line that calls it. False: nothing
 * tells. */
bool native_source_at(struct native_sources *s, Dwfl_Module *module, uint64_t pc,
                      const char **ret_file, int *ret_line);

#endif
