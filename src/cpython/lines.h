/* From an instruction to a source line: the line tables of CPython 3.8 … 3.14. Pure; any thread. */
#ifndef VARAN_CPYTHON_LINES_H
#define VARAN_CPYTHON_LINES_H

#include "base/slice.h"

/*
 * `table`: co_lnotab (3.8, 3.9), co_linetable (3.10+). `offset`: bytes from the first instruction.
 * The line, or 0 when the instruction has none or the table is malformed. Formats:
 * Objects/lnotab_notes.txt and Objects/locations.md (InternalDocs/code_objects.md) of CPython.
 */
int cpython_line(unsigned minor, struct slice table, int first_line, int64_t offset);
/* The last line that an instruction has, or that a statement ends with where the table tells that
 * (3.11+); 0: none. Code objects inside have tables of their own. */
int cpython_last_line(unsigned minor, struct slice table, int first_line);

#endif
