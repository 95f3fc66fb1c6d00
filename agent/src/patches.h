/* Callables of C that stand in the place of a class's methods. They look like the function they
 * stand for, and bind as functions do. GIL held. */
#ifndef VARAN_AGENT_PATCHES_H
#define VARAN_AGENT_PATCHES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>

#include "module.h"

typedef struct {
    PyObject_HEAD PyObject *function; /* what it stands for */
    PyObject *other;                  /* what else the type calls */
    PyObject *attribute;              /* of Quiet */
    PyObject *tracer;
    PyObject *known; /* a dict that the type, or who made it, fills; of FlaskDispatch a class */
    PyObject *dict;
    bool below, carries; /* of Quiet */
    vectorcallfunc call;
} Patch;

/* What a new patch holds, borrowed; all but the function may be NULL. */
struct patch_parts {
    PyObject *function, *other, *attribute, *tracer, *known;
};

/* NULL with an exception. */
Patch *patch_new(PyTypeObject *type, vectorcallfunc call, const struct patch_parts *parts);

/* The object's attribute. New reference, or NULL without an exception. */
PyObject *patch_attribute(PyObject *object, PyObject *name);

/* Calls, and ends the started span (or NULL), whose reference it takes, with what was raised. */
PyObject *patch_call_inside(PyObject *callable, Span *span, PyObject *const *args, size_t nf,
                            PyObject *names);

/* Binds as a function does: the descriptor's __get__(). */
PyObject *patch_bind(PyObject *self, PyObject *object, PyObject *type);
PyObject *patch_getattr(PyObject *self, PyObject *name);
int patch_traverse(PyObject *self, visitproc visit, void *arg);
int patch_clear(PyObject *self);
void patch_dealloc(PyObject *self);

#define PATCH_TYPE(type_name, type_doc, new)                                                       \
    {                                                                                              \
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = type_name, .tp_doc = type_doc,                    \
                                    .tp_basicsize = sizeof(Patch),                                 \
                                    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |          \
                                                Py_TPFLAGS_HAVE_VECTORCALL |                       \
                                                Py_TPFLAGS_METHOD_DESCRIPTOR,                      \
                                    .tp_vectorcall_offset = offsetof(Patch, call),                 \
                                    .tp_call = PyVectorcall_Call,                                  \
                                    .tp_dictoffset = offsetof(Patch, dict),                        \
                                    .tp_getattro = patch_getattr,                                  \
                                    .tp_setattro = PyObject_GenericSetAttr,                        \
                                    .tp_descr_get = patch_bind, .tp_new = new,                     \
                                    .tp_traverse = patch_traverse, .tp_clear = patch_clear,        \
                                    .tp_dealloc = patch_dealloc,                                   \
    }

#endif
