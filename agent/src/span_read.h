/* Getters of a span for processors and exporters. GIL held. */
#ifndef VARAN_AGENT_SPAN_READ_H
#define VARAN_AGENT_SPAN_READ_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

PyObject *span_read_start_time(PyObject *self, void *unused);
PyObject *span_read_end_time(PyObject *self, void *unused);
PyObject *span_read_status_code(PyObject *self, void *unused);
PyObject *span_read_status_message(PyObject *self, void *unused);
PyObject *span_read_parent_ids(PyObject *self, void *unused);
PyObject *span_read_parent_context(PyObject *self, void *unused);
PyObject *span_read_sdk(PyObject *self, void *name);
PyObject *span_read_dropped(PyObject *self, void *unused);
PyObject *span_read_scope(PyObject *self, void *unused);
PyObject *span_read_events(PyObject *self, void *unused);
PyObject *span_read_links(PyObject *self, void *unused);

#endif
