/* Reading CPython's strings and byte strings from a target. Internal to cpython/. */
#ifndef VARAN_CPYTHON_OBJECT_H
#define VARAN_CPYTHON_OBJECT_H

#include "base/memory.h"
#include "cpython/offsets.h"
#include "cpython/reader.h"

#define CPYTHON_TEXT_MAX 4096u /* code points of a string that is read */
#define CPYTHON_LINE_TABLE_MAX (1u << 20)

/* A str object as UTF-8 in the arena (NUL-terminated): its text, NULL when unreadable. Longer texts
 * are cut at CPYTHON_TEXT_MAX. */
const char *cpython_read_text(struct memory_reader *m, const struct cpython_offsets *o,
                              uint64_t object, struct arena *to);
/* A bytes object; data NULL when unreadable or larger than CPYTHON_LINE_TABLE_MAX. */
struct slice cpython_read_bytes(struct memory_reader *m, const struct cpython_offsets *o,
                                uint64_t object, struct arena *to);

#endif
