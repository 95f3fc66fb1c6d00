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
    uint32_t head;      /* bytes of PyObject: what follows begins here */
    struct {
        uint32_t interpreters_head;
        uint32_t tstate_current; /* the GIL's holder, up to 3.11 */
        uint32_t gil;            /* the GIL's state, up to 3.11 */
        uint32_t gc;             /* heads of the generations' lists, 3.8 */
    } runtime;
    struct {
        uint32_t next, id, threads_head, modules;
        uint32_t gil; /* 3.12+: pointer to the GIL's state; there: */
        uint32_t gil_holder, gil_locked;
        uint32_t gc; /* heads of the generations' lists, from 3.9 on */
    } interpreter;
    struct {
        uint32_t next, interp, thread_id, native_id, frame, cframe, cframe_frame;
        uint32_t size;
    } thread;
    struct {
        uint32_t previous, code, instruction, owner, size;
        uint32_t locals;     /* array of objects */
        uint32_t stack;      /* how far the values on the stack reach: see frame_values.c */
        uint32_t values;     /* 3.8 … 3.10: pointer to the first value on the stack */
        uint32_t tlbc_index; /* free-threaded 3.14: which copy of the bytecode */
    } frame;
    struct {
        uint32_t filename, name, qualname, line_table, first_line, instructions, size;
        uint32_t locals_names; /* tuple: co_localsplusnames, co_varnames up to 3.10 */
        uint32_t locals_kinds; /* bytes, 3.11+ */
        uint32_t cell_names, free_names, bytecode; /* 3.8 … 3.10 */
        uint32_t tlbc;                             /* free-threaded 3.14: array of copies */
    } code;
    struct {
        uint32_t frame; /* the frame itself from 3.11 on, a pointer to it before */
        uint32_t state; /* 3.11+: one signed byte */
    } generator;
    struct {
        uint32_t state, length, ascii_size, compact_size;
    } unicode;
    struct {
        uint32_t size, data;
    } bytes;
    struct {
        uint32_t tuple_items, closure; /* of tuples; of functions */
        uint32_t cached_keys;          /* of heap types: the names of their instances' values */
    } object;
    struct { /* asyncio's Future and Task in C (Modules/_asynciomodule.c) */
        uint32_t callback, callbacks, waiter, coroutine, name;
    } task;
};

/* The table's row of 3.`minor` (8 … 12); NULL: none. */
const struct cpython_offsets *cpython_offsets_known(unsigned minor);

/* Reads _Py_DebugOffsets from the first bytes of _PyRuntime (3.13, 3.14). 0; -ENOENT: there is no
 * cookie; -ENOTSUP: a newer minor version; -EBADMSG: values out of bounds. `ret_hex` gets the
 * version as PY_VERSION_HEX. */
int cpython_offsets_parse(struct slice head, struct cpython_offsets *ret, uint32_t *ret_hex);

#define CPYTHON_DEBUG_OFFSETS_MAX 1024u /* bytes to read for cpython_offsets_parse() */

#endif
