/* A span as code reads it that is not ours: processors, exporters, samplers of the application. */
#include "span_read.h"
#include "encode.h"
#include "span.h"

static PyObject *wall(const Span *s, uint64_t ns) {
    if (!ns)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(ns + (uint64_t) s->offset_ns);
}

PyObject *span_read_start_time(PyObject *self, void *unused) {
    return wall((Span *) self, ((Span *) self)->start_ns);
}

PyObject *span_read_end_time(PyObject *self, void *unused) {
    return wall((Span *) self, ((Span *) self)->end_ns);
}

PyObject *span_read_status_code(PyObject *self, void *unused) {
    return PyLong_FromLong(((Span *) self)->status);
}

PyObject *span_read_status_message(PyObject *self, void *unused) {
    PyObject *message = ((Span *) self)->status_message;
    if (!message)
        message = Py_None;
    Py_INCREF(message);
    return message;
}

/* (trace id, span id, is remote) or None */
PyObject *span_read_parent_ids(PyObject *self, void *unused) {
    Span *s = (Span *) self;

    if (!(s->flags & SPAN_HAS_PARENT))
        Py_RETURN_NONE;
    return Py_BuildValue("(NNN)", _PyLong_FromByteArray(s->id.trace_id, 16, 0, 0),
                         _PyLong_FromByteArray(s->parent_id, 8, 0, 0),
                         PyBool_FromLong(s->flags & SPAN_PARENT_REMOTE));
}

/* The API's Context that was given explicitly, while the span starts; else None. */
PyObject *span_read_parent_context(PyObject *self, void *unused) {
    PyObject *given = ((Span *) self)->explicit_parent;

    if (!given || !PyDict_Check(given))
        given = Py_None;
    Py_INCREF(given);
    return given;
}

/* What OpenTelemetry's SDK has on its spans beyond the API; read by a function of the package. */
PyObject *span_read_sdk(PyObject *self, void *name) {
    if (!span_reader)
        return PyErr_Format(PyExc_AttributeError, "a span of Varan has no %s without OpenTelemetry",
                            (const char *) name);
    return PyObject_CallFunction(span_reader, "Os", self, (const char *) name);
}

PyObject *span_read_dropped(PyObject *self, void *unused) {
    Span *s = (Span *) self;
    return Py_BuildValue("(HHH)", s->attributes_dropped, s->events_dropped, s->links_dropped);
}

PyObject *span_read_scope(PyObject *self, void *unused) {
    return PyLong_FromLong(((Span *) self)->scope);
}

/* An event as (time, name, attributes), a link as (trace id, span id, attributes, is remote, flags,
 * trace state). */
static PyObject *decode_part(const char *p, const char *end, bool link) {
    PyObject *first = NULL, *second = NULL, *dict = PyDict_New(), *state = NULL, *r = NULL;
    uint32_t flags = 0;
    uint64_t time;

    while (dict && p < end) {
        unsigned tag = (uint8_t) *p++;
        size_t n;

        if (tag == EVENT_TIME) {
            memcpy(&time, p, 8);
            p += 8;
            Py_XSETREF(first, PyLong_FromUnsignedLongLong(time));
            continue;
        }
        if (link && tag == LINK_FLAGS) {
            memcpy(&flags, p, 4);
            p += 4;
            continue;
        }
        n = pb_read_varint(&p);
        if (tag == (link ? LINK_DROPPED_ATTRIBUTES : EVENT_DROPPED_ATTRIBUTES))
            continue;
        if (link && tag == LINK_TRACE_STATE)
            Py_XSETREF(state, PyUnicode_DecodeUTF8(p, (Py_ssize_t) n, "replace"));
        else if (link && tag == LINK_TRACE_ID)
            Py_XSETREF(first, _PyLong_FromByteArray((const unsigned char *) p, n, 0, 0));
        else if (link && tag == LINK_SPAN_ID)
            Py_XSETREF(second, _PyLong_FromByteArray((const unsigned char *) p, n, 0, 0));
        else if (!link && tag == EVENT_NAME)
            Py_XSETREF(second, PyUnicode_DecodeUTF8(p, (Py_ssize_t) n, "replace"));
        else if (tag == (link ? LINK_ATTRIBUTE : EVENT_ATTRIBUTE) && pair_decode(p, dict) < 0)
            Py_CLEAR(dict);
        p += n;
    }
    if (first && second && dict && link)
        r = Py_BuildValue("(OOOOIO)", first, second, dict, flags & 0x200 ? Py_True : Py_False,
                          flags & 0xff, state ? state : Py_None);
    else if (first && second && dict)
        r = PyTuple_Pack(3, first, second, dict);
    Py_XDECREF(state);
    Py_XDECREF(first);
    Py_XDECREF(second);
    Py_XDECREF(dict);
    return r;
}

static PyObject *decode_parts(Span *s, unsigned wanted) {
    const char *p = s->data.data, *end = p + s->data.used;
    PyObject *list = PyList_New(0);

    while (list && p < end) {
        unsigned tag = (uint8_t) *p++;
        size_t n = pb_read_varint(&p);
        PyObject *part = tag == wanted ? decode_part(p, p + n, wanted == SPAN_LINK) : NULL;

        if (part && PyList_Append(list, part) < 0)
            Py_CLEAR(list);
        Py_XDECREF(part);
        p += n;
    }
    return PyErr_Occurred() ? (Py_XDECREF(list), NULL) : list;
}

PyObject *span_read_events(PyObject *self, void *unused) {
    return decode_parts((Span *) self, SPAN_EVENT);
}

PyObject *span_read_links(PyObject *self, void *unused) {
    return decode_parts((Span *) self, SPAN_LINK);
}
