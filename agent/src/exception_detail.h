/* An exception in full: its chain and groups, the frames of each with marks for the application's
 * own, source lines around, and local variables. One JSON text, the attribute
 * "varan.exception.detail" (docs/internals/agent.md names its shape). */
#ifndef VARAN_AGENT_EXCEPTION_DETAIL_H
#define VARAN_AGENT_EXCEPTION_DETAIL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "buf.h"

#define DETAIL_BYTES_MAX (40u << 10)
#define DETAIL_EXCEPTIONS_MAX 16 /* of a chain with its groups */
#define DETAIL_FRAMES_MAX 60     /* of one exception; the innermost are kept */
#define DETAIL_SOURCED_MAX 12    /* innermost frames of the application with source and variables */
#define DETAIL_VARIABLES_MAX 25  /* of one frame */
#define DETAIL_CONTEXT_LINES 3   /* before and after */
#define DETAIL_PER_MINUTE 10     /* of one type and place, in spans and logs together */
#define DETAIL_NOTES_MAX 10

/* Whether local variables are sent. From the configuration. */
extern bool exception_locals;

/* Frames of our own hooks explain nothing (exception.c). */
bool exception_is_hook(PyCodeObject *code);
/* Appends the attribute, unless there were too many of this kind lately or it does not fit. Never
 * runs code of the application. GIL held. Returns whether it was added. */
bool exception_detail_put(struct buf *b, unsigned tag, PyObject *exception);

#endif
