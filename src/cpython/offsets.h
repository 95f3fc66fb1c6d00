/*
 * Where the fields of CPython's structures lie, 64-bit little-endian. From 3.13 on the target says
 * it itself (_Py_DebugOffsets at the start of _PyRuntime); before that the layout of a minor
 * version is fixed, and the table in offsets.c holds what offsetof() gives for release builds of
 * it.
 */
#ifndef VARAN_CPYTHON_OFFSETS_H
#define VARAN_CPYTHON_OFFSETS_H

#include "base/error.h"
#include "base/slice.h"

struct cpython_offsets {
    unsigned minor;     /* 8 … 14 */
    bool free_threaded; /* stack references are tagged, bytecode is per thread */
    struct {
        uint32_t interpreters_head,
                tstate_current; /* tstate_current: the GIL's holder, up to 3.11 */
    } runtime;
    struct {
        uint32_t next, id, threads_head;
        uint32_t gil; /* 3.12+: pointer to (or, when gil_inline, place of) the GIL's state */
        uint32_t gil_holder, gil_locked;
        bool gil_inline;
    } interpreter;
    struct {
        uint32_t next, interp, thread_id, native_id, frame, cframe, cframe_frame;
        uint32_t size;
    } thread;
    struct {
        uint32_t previous, code, instruction, owner, size;
    } frame;
    struct {
        uint32_t filename, name, qualname, line_table, first_line, instructions, size;
    } code;
    struct {
        uint32_t state, length, ascii_size, compact_size;
    } unicode;
    struct {
        uint32_t size, data;
    } bytes;
};

/* The table's row of 3.`minor` (8 … 12); NULL: none. */
const struct cpython_offsets *cpython_offsets_known(unsigned minor);

/* Reads _Py_DebugOffsets from the first bytes of _PyRuntime (3.13, 3.14). 0; -ENOENT: there is no
 * cookie; -ENOTSUP: a newer minor version; -EBADMSG: values out of bounds. `ret_hex` gets the
 * version as PY_VERSION_HEX. */
int cpython_offsets_parse(struct slice head, struct cpython_offsets *ret, uint32_t *ret_hex);

#define CPYTHON_DEBUG_OFFSETS_MAX 1024u /* bytes to read for cpython_offsets_parse() */

#endif
