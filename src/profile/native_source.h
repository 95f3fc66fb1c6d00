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
/* Functions at one place, the one that is there for real included. */
#define NATIVE_INLINED_MAX 4u

/* A function's place in its source, as the target sees the file. */
struct native_spot {
    const char *symbol; /* NULL: the function that the place belongs to */
    const char *file;   /* lives as long as the sources; so does `symbol`, as long as the module */
    int line, first_line; /* 0: not known */
};

/* Where in Cython's source that address is: functions that were inlined there, innermost first, and
 * at last the function itself. What was inlined from Cython's or Python's own code stands at the
 * line that calls it. Returns their number; 0: nothing tells. */
size_t native_source_at(struct native_sources *s, Dwfl_Module *module, uint64_t pc,
                        struct native_spot ret[NATIVE_INLINED_MAX]);

#endif
