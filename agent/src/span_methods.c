/* The span as Python sees it: Varan's own API, and the methods of OpenTelemetry's Span. */
#include "args.h"
#include "context.h"
#include "module.h"
#include "span.h"
#include "span_read.h"

static PyObject *method_set(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    static const char *const keys[] = {"key", "value", NULL};
    PyObject *values[2];

    if (n == 2 && !names) {
        span_set((Span *) self, args[0], args[1]);
    } else {
        if (!args_parse("set_attribute", keys, args, n, names, 2, values))
            return NULL;
        span_set((Span *) self, values[0], values[1]);
    }
    Py_RETURN_NONE;
}

static void set_all(Span *s, PyObject *mapping) {
    PyObject *items = PyMapping_Items(mapping);

    if (!items) {
        PyErr_Clear();
        return;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2)
            span_set(s, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    }
    Py_DECREF(items);
}

void span_set_attributes(Span *s, PyObject *attributes) {
    Py_ssize_t at = 0;
    PyObject *key, *value;

    if (!attributes || attributes == Py_None || !span_recording(s))
        return;
    if (!PyDict_CheckExact(attributes)) {
        set_all(s, attributes);
        return;
    }
    /* Values that are not plain run code that may change the dict: then take the safe way. */
    while (PyDict_Next(attributes, &at, &key, &value))
        if (!PyUnicode_CheckExact(value) && !PyLong_CheckExact(value) &&
            !PyFloat_CheckExact(value) && !PyBool_Check(value)) {
            set_all(s, attributes);
            return;
        }
    at = 0;
    while (PyDict_Next(attributes, &at, &key, &value))
        span_set(s, key, value);
}

static PyObject *method_set_attributes(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                       PyObject *names) {
    static const char *const keys[] = {"attributes", NULL};
    PyObject *values[1];

    if (!args_parse("set_attributes", keys, args, n, names, 1, values))
        return NULL;
    span_set_attributes((Span *) self, values[0]);
    Py_RETURN_NONE;
}

static PyObject *method_add_event(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                  PyObject *names) {
    static const char *const keys[] = {"name", "attributes", "timestamp", NULL};
    PyObject *values[3] = {0};

    if (!args_parse("add_event", keys, args, n, names, 1, values))
        return NULL;
    span_add_event((Span *) self, values[0], values[1], args_time(values[2]));
    Py_RETURN_NONE;
}

static PyObject *method_add_link(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                 PyObject *names) {
    static const char *const keys[] = {"context", "attributes", NULL};
    PyObject *values[2] = {0};

    if (!args_parse("add_link", keys, args, n, names, 1, values))
        return NULL;
    span_add_link((Span *) self, values[0], values[1]);
    Py_RETURN_NONE;
}

static PyObject *method_record_exception(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                         PyObject *names) {
    static const char *const keys[] = {"exception", "attributes", "timestamp", "escaped", NULL};
    PyObject *values[4] = {0};

    if (!args_parse("record_exception", keys, args, n, names, 1, values))
        return NULL;
    span_record_exception((Span *) self, values[0], values[1], args_time(values[2]));
    Py_RETURN_NONE;
}

static PyObject *method_fail(PyObject *self, PyObject *exception) {
    span_fail((Span *) self, exception);
    Py_RETURN_NONE;
}

/* set_status(Status(code, description)), set_status(StatusCode, description), set_status("error" |
 * "ok", description) */
static PyObject *method_set_status(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                   PyObject *names) {
    static const char *const keys[] = {"status", "description", NULL};
    PyObject *values[2] = {0}, *code = NULL, *description = NULL, *number;
    enum span_status status = STATUS_UNSET;

    if (!args_parse("set_status", keys, args, n, names, 1, values))
        return NULL;
    if (PyUnicode_Check(values[0])) {
        if (PyUnicode_CompareWithASCIIString(values[0], "error") == 0)
            status = STATUS_ERROR;
        else if (PyUnicode_CompareWithASCIIString(values[0], "ok") == 0)
            status = STATUS_OK;
    } else {
        code = PyObject_GetAttrString(values[0], "status_code");
        if (code) {
            description = PyObject_GetAttrString(values[0], "description");
        } else {
            code = values[0];
            Py_INCREF(code);
        }
        PyErr_Clear();
        number = PyObject_GetAttrString(code, "value");
        if (number && PyLong_Check(number))
            status = (enum span_status)(PyLong_AsLong(number) & 3);
        Py_XDECREF(number);
        PyErr_Clear();
    }
    if (!description && values[1]) {
        description = values[1];
        Py_INCREF(description);
    }
    span_set_status((Span *) self, status, description);
    Py_XDECREF(description);
    Py_XDECREF(code);
    Py_RETURN_NONE;
}

static PyObject *method_update_name(PyObject *self, PyObject *name) {
    Span *s = (Span *) self;

    if (span_matters(s) && PyUnicode_Check(name)) {
        Py_INCREF(name);
        Py_SETREF(s->name, name);
        span_tell_operation(s);
    }
    Py_RETURN_NONE;
}

static PyObject *method_end(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    static const char *const keys[] = {"end_time", NULL};
    PyObject *values[1] = {0};
    Span *s = (Span *) self;
    uint64_t wall;

    if (!args_parse("end", keys, args, n, names, 0, values))
        return NULL;
    wall = args_time(values[0]);
    span_end(s, wall ? wall - (uint64_t) s->offset_ns : 0);
    Py_RETURN_NONE;
}

static PyObject *method_finish(PyObject *self, PyObject *unused) {
    context_deactivate((Span *) self);
    span_end((Span *) self, 0);
    Py_RETURN_NONE;
}

/* The work is over now, but end() comes later. */
static PyObject *method_mark_end(PyObject *self, PyObject *unused) {
    Span *s = (Span *) self;
    if (!s->end_ns)
        s->end_ns = clock_monotonic_ns();
    Py_RETURN_NONE;
}

static PyObject *method_activate(PyObject *self, PyObject *unused) {
    span_start((Span *) self);
    context_activate((Span *) self);
    Py_RETURN_NONE;
}

static PyObject *method_deactivate(PyObject *self, PyObject *unused) {
    context_deactivate((Span *) self);
    Py_RETURN_NONE;
}

static PyObject *method_is_recording(PyObject *self, PyObject *unused) {
    return PyBool_FromLong(span_recording((Span *) self));
}

static PyObject *method_get_span_context(PyObject *self, PyObject *unused) {
    return module_span_context((Span *) self);
}

static PyObject *method_enter(PyObject *self, PyObject *unused) {
    Span *s = (Span *) self;

    if (s->flags & SPAN_AUTO) {
        span_start(s);
        context_activate(s);
    }
    Py_INCREF(self);
    return self;
}

static PyObject *method_exit(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    Span *s = (Span *) self;

    if (!args_count("__exit__", n, 3, 3))
        return NULL;
    context_deactivate(s);
    if (args[1] != Py_None && span_matters(s) &&
        PyObject_TypeCheck(args[1], (PyTypeObject *) PyExc_Exception)) {
        if (!(s->flags & (SPAN_NO_EXCEPTION | SPAN_NO_STATUS))) {
            span_fail(s, args[1]);
        } else {
            if (!(s->flags & SPAN_NO_EXCEPTION))
                span_record_exception(s, args[1], NULL, 0);
            if (!(s->flags & SPAN_NO_STATUS))
                span_set_status(s, STATUS_ERROR, NULL);
        }
    }
    if (!(s->flags & SPAN_NO_END))
        span_end(s, 0);
    Py_RETURN_FALSE;
}

Span *span_copy(Span *s) {
    unsigned kept = SPAN_AUTO | SPAN_NO_EXCEPTION | SPAN_NO_STATUS | SPAN_NO_END;
    Span *c = span_new(s->name, s->scope, s->kind, s->flags & kept);

    if (c && buf_append(&c->data, s->data.data, s->data.used) == 0)
        c->attributes_n = s->attributes_n;
    return c;
}

/* A span of the same name and attributes that is not started: what a decorated function needs for
 * each call. */
static PyObject *method_copy(PyObject *self, PyObject *unused) {
    return (PyObject *) span_copy((Span *) self);
}

static PyObject *method_traceparent(PyObject *self, PyObject *unused) {
    char text[TRACEPARENT_LENGTH];

    traceparent_format(&((Span *) self)->id, text);
    return PyUnicode_FromStringAndSize(text, sizeof(text));
}

static PyObject *get_name(PyObject *self, void *unused) {
    Py_INCREF(((Span *) self)->name);
    return ((Span *) self)->name;
}

static PyObject *get_context(PyObject *self, void *unused) {
    return module_span_context((Span *) self);
}

static PyObject *hex_text(const uint8_t *bytes, size_t n) {
    char text[32];
    hex_format(bytes, n, text);
    return PyUnicode_FromStringAndSize(text, (Py_ssize_t) (2 * n));
}

static PyObject *get_trace_id(PyObject *self, void *unused) {
    return hex_text(((Span *) self)->id.trace_id, 16);
}

static PyObject *get_span_id(PyObject *self, void *unused) {
    return hex_text(((Span *) self)->id.span_id, 8);
}

static PyObject *get_trace_state(PyObject *self, void *unused) {
    PyObject *state = ((Span *) self)->trace_state;
    if (!state)
        state = Py_None;
    Py_INCREF(state);
    return state;
}

static PyObject *get_kind(PyObject *self, void *unused) {
    return module_kind_object(((Span *) self)->kind);
}

static PyObject *get_sampled(PyObject *self, void *unused) {
    return PyBool_FromLong(((Span *) self)->id.flags & FLAG_SAMPLED);
}

static PyObject *get_is_http_client(PyObject *self, void *unused) {
    return PyBool_FromLong((((Span *) self)->flags & SPAN_HTTP_CLIENT) != 0);
}

/* A dict of the attributes so far. */
static PyObject *get_attributes(PyObject *self, void *unused) {
    Span *s = (Span *) self;
    const char *p = s->data.data, *end = p + s->data.used;
    PyObject *dict = PyDict_New();

    while (dict && p < end) {
        unsigned tag = (uint8_t) *p++;
        size_t n = pb_read_varint(&p), k, v;
        const char *next = p + n, *key;
        PyObject *name, *value;

        if (tag == SPAN_ATTRIBUTE) {
            p++;
            k = pb_read_varint(&p);
            key = p;
            p += k + 1;
            v = pb_read_varint(&p);
            name = PyUnicode_DecodeUTF8(key, (Py_ssize_t) k, "replace");
            value = value_decode(p, p + v, 0);
            if (!name || !value || PyDict_SetItem(dict, name, value) < 0)
                Py_CLEAR(dict);
            Py_XDECREF(name);
            Py_XDECREF(value);
        }
        p = next;
    }
    return dict;
}

#define FAST(f) ((PyCFunction) (void (*)(void))(f)), METH_FASTCALL
#define KEYWORDS(f) ((PyCFunction) (void (*)(void))(f)), METH_FASTCALL | METH_KEYWORDS

PyMethodDef span_methods[] = {
        {"set", KEYWORDS(method_set), "set(key, value): sets an attribute."},
        {"set_attribute", KEYWORDS(method_set),
         "set_attribute(key, value): the same, OpenTelemetry's name."},
        {"set_attributes", KEYWORDS(method_set_attributes), "Sets all attributes of a mapping."},
        {"add_event", KEYWORDS(method_add_event),
         "add_event(name, attributes=None, timestamp=None)"},
        {"add_link", KEYWORDS(method_add_link), "add_link(context, attributes=None)"},
        {"record_exception", KEYWORDS(method_record_exception),
         "record_exception(exception, attributes=None, timestamp=None, escaped=False)"},
        {"fail", method_fail, METH_O, "Records an exception and sets the status to error."},
        {"set_status", KEYWORDS(method_set_status), "set_status(status, description=None)"},
        {"update_name", method_update_name, METH_O, "Changes the name."},
        {"end", KEYWORDS(method_end),
         "end(end_time=None): ends the span; time in nanoseconds since 1970."},
        {"finish", method_finish, METH_NOARGS, "deactivate() and end()."},
        {"mark_end", method_mark_end, METH_NOARGS,
         "Fixes the end time; end() sends the span later."},
        {"activate", method_activate, METH_NOARGS, "Makes this the current span."},
        {"deactivate", method_deactivate, METH_NOARGS, "Makes the former span current again."},
        {"is_recording", method_is_recording, METH_NOARGS, "Are attributes kept?"},
        {"get_span_context", method_get_span_context, METH_NOARGS,
         "The identifiers, as OpenTelemetry's SpanContext."},
        {"traceparent", method_traceparent, METH_NOARGS,
         "The W3C header for calls below this span."},
        {"copy", method_copy, METH_NOARGS, "A new span of the same name and attributes."},
        {"__enter__", method_enter, METH_NOARGS, NULL},
        {"__exit__", FAST(method_exit), NULL},
        {NULL},
};

PyGetSetDef span_getset[] = {
        {"name", get_name, NULL, NULL, NULL},
        {"trace_id", get_trace_id, NULL, "32 hexadecimal digits", NULL},
        {"span_id", get_span_id, NULL, "16 hexadecimal digits", NULL},
        {"trace_state", get_trace_state, NULL, "the tracestate header's text, or None", NULL},
        {"kind", get_kind, NULL, "OpenTelemetry's SpanKind when its API is there, else the number",
         NULL},
        {"sampled", get_sampled, NULL, NULL, NULL},
        {"is_http_client", get_is_http_client, NULL, "an outgoing HTTP call", NULL},
        {"start_time", span_read_start_time, NULL, "nanoseconds since 1970", NULL},
        {"end_time", span_read_end_time, NULL, "nanoseconds since 1970, or None", NULL},
        {"status_code", span_read_status_code, NULL, "0 unset, 1 ok, 2 error", NULL},
        {"status_message", span_read_status_message, NULL, NULL, NULL},
        {"parent_ids", span_read_parent_ids, NULL, "(trace id, span id, is remote), or None", NULL},
        {"dropped", span_read_dropped, NULL, "of attributes, events, links", NULL},
        {"scope", span_read_scope, NULL, "number of the instrumentation scope", NULL},
        {"event_list", span_read_events, NULL, "[(time, name, attributes), …]", NULL},
        {"link_list", span_read_links, NULL, "[(trace id, span id, attributes), …]", NULL},
        {"parent_context", span_read_parent_context, NULL, "while it starts: the Context given",
         NULL},
        {"context", get_context, NULL, "the same as get_span_context()", NULL},
        {"parent", span_read_sdk, NULL, "as on spans of OpenTelemetry's SDK", "parent"},
        {"status", span_read_sdk, NULL, "as on spans of OpenTelemetry's SDK", "status"},
        {"events", span_read_sdk, NULL, "as on spans of OpenTelemetry's SDK", "events"},
        {"links", span_read_sdk, NULL, "as on spans of OpenTelemetry's SDK", "links"},
        {"resource", span_read_sdk, NULL, "as on spans of OpenTelemetry's SDK", "resource"},
        {"instrumentation_scope", span_read_sdk, NULL, "as on spans of OpenTelemetry's SDK",
         "instrumentation_scope"},
        {"attributes", get_attributes, NULL, "a dict of the attributes so far", NULL},
        {NULL},
};
