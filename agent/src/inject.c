/* Headers of outgoing calls: the span's identifiers in the formats in use, and the baggage. GIL
 * held.
 */
#include "context.h"
#include "module.h"
#include "server.h"

#include <strings.h>

/* The headers of every call. */
static PyObject *str_traceparent, *str_tracestate, *str_baggage;

int inject_init(void) {
    str_traceparent = PyUnicode_InternFromString("traceparent");
    str_tracestate = PyUnicode_InternFromString("tracestate");
    str_baggage = PyUnicode_InternFromString("baggage");
    return str_traceparent && str_tracestate && str_baggage ? 0 : -ENOMEM;
}

static void put_named(PyObject *headers, PyObject *key, const char *value, size_t n) {
    PyObject *v = PyUnicode_FromStringAndSize(value, (Py_ssize_t) n);

    if (v)
        PyObject_SetItem(headers, key, v);
    Py_XDECREF(v);
    PyErr_Clear();
}

static void put(PyObject *headers, const char *key, const char *value, size_t n) {
    PyObject *k = PyUnicode_InternFromString(key);

    if (k)
        put_named(headers, k, value, n);
    Py_XDECREF(k);
    PyErr_Clear();
}

static void put_b3(Span *s, PyObject *headers) {
    char text[B3_LENGTH];

    b3_format(&s->id, text);
    if (propagation_formats & FORMAT_B3)
        put(headers, "b3", text, sizeof(text));
    if (!(propagation_formats & FORMAT_B3_MULTI))
        return;
    put(headers, "x-b3-traceid", text, 32);
    put(headers, "x-b3-spanid", text + 33, 16);
    put(headers, "x-b3-sampled", text + 50, 1);
}

static void put_baggage(PyObject *headers) {
    PyObject *baggage = context_baggage();

    if (baggage && PySequence_Contains(headers, str_baggage) == 0)
        PyObject_SetItem(headers, str_baggage, baggage);
    Py_XDECREF(baggage);
    PyErr_Clear();
}

/* Propagators of the application's, or NULL: extract(request) → (traceparent, tracestate) or None,
 * inject(span, headers). */
static PyObject *other_extract, *other_inject;

bool http_ask_others(PyObject *request, struct trace_context *ret, PyObject **ret_state) {
    PyObject *found = other_extract ? PyObject_CallOneArg(other_extract, request) : NULL;
    PyObject *parent = NULL, *state = NULL;
    const char *text = NULL;
    Py_ssize_t n = 0;
    bool good = false;

    if (found && PyTuple_Check(found) && PyArg_ParseTuple(found, "UU", &parent, &state))
        text = PyUnicode_AsUTF8AndSize(parent, &n);
    if (text && traceparent_parse(text, (size_t) n, ret) == 0) {
        Py_INCREF(state);
        *ret_state = state;
        good = true;
    }
    Py_XDECREF(found);
    PyErr_Clear();
    return good;
}

/* set_other_propagators(extract, inject) */
static PyObject *set_others(PyObject *module, PyObject *args) {
    PyObject *extract, *inject;

    if (!PyArg_ParseTuple(args, "OO", &extract, &inject))
        return NULL;
    Py_INCREF(extract);
    Py_INCREF(inject);
    Py_XSETREF(other_extract, extract);
    Py_XSETREF(other_inject, inject);
    Py_RETURN_NONE;
}

PyMethodDef inject_functions[] = {
        {"set_other_propagators", set_others, METH_VARARGS,
         "set_other_propagators(extract, inject)"},
        {NULL},
};

void http_inject(Span *s, PyObject *headers) {
    char text[TRACEPARENT_LENGTH];

    if (propagation_formats & FORMAT_W3C) {
        traceparent_format(&s->id, text);
        put_named(headers, str_traceparent, text, TRACEPARENT_LENGTH);
        if (s->trace_state && PyObject_SetItem(headers, str_tracestate, s->trace_state) < 0)
            PyErr_Clear();
    }
    if (propagation_formats & (FORMAT_B3 | FORMAT_B3_MULTI))
        put_b3(s, headers);
    if (propagation_formats & FORMAT_JAEGER) {
        jaeger_format(&s->id, text);
        put(headers, "uber-trace-id", text, JAEGER_LENGTH);
    }
    if (propagation_formats & FORMAT_BAGGAGE)
        put_baggage(headers);
    if (other_inject) {
        PyObject *done = PyObject_CallFunctionObjArgs(other_inject, (PyObject *) s, headers, NULL);
        Py_XDECREF(done);
        PyErr_Clear();
    }
}

bool inject_late_is_possible;

bool inject_can_be_late(void) {
    return inject_late_is_possible && !other_inject &&
           !(propagation_formats & ~(unsigned) (FORMAT_W3C | FORMAT_BAGGAGE));
}

/* The place of a header among the lines, or -1. `name` with its colon. */
static Py_ssize_t find_line(PyObject *lines, const char *name) {
    size_t n = strlen(name);

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(lines); i++) {
        PyObject *line = PyList_GET_ITEM(lines, i);
        if (PyBytes_CheckExact(line) && (size_t) PyBytes_GET_SIZE(line) >= n &&
            strncasecmp(PyBytes_AS_STRING(line), name, n) == 0)
            return i;
    }
    return -1;
}

/* "name: value" in the place of what is there by that name; no value that would end the line. */
static void put_line(PyObject *lines, const char *name, const char *value, size_t n) {
    Py_ssize_t at = find_line(lines, name);
    PyObject *line;
    char *p;

    for (size_t i = 0; i < n; i++)
        if ((unsigned char) value[i] < 0x20 || (unsigned char) value[i] >= 0x7f)
            return;
    line = PyBytes_FromStringAndSize(NULL, (Py_ssize_t) (strlen(name) + 1 + n));
    if (!line)
        return;
    p = PyBytes_AS_STRING(line);
    memcpy(p, name, strlen(name));
    p += strlen(name);
    *p++ = ' ';
    memcpy(p, value, n);
    if (at >= 0) {
        PyList_SetItem(lines, at, line);
        return;
    }
    PyList_Append(lines, line);
    Py_DECREF(line);
}

static void put_text_line(PyObject *lines, const char *name, PyObject *text) {
    const char *p;
    Py_ssize_t n;

    if (!text || !PyUnicode_Check(text))
        return;
    p = PyUnicode_AsUTF8AndSize(text, &n);
    if (p)
        put_line(lines, name, p, (size_t) n);
}

void inject_late(PyObject *connection) {
    static PyObject *str_buffer;
    Span *s = context_current_span();
    PyObject *lines, *baggage;
    char text[TRACEPARENT_LENGTH];

    if (s && s->late == LATE_NOT && s->flags & SPAN_HTTP_CLIENT)
        s->late = LATE_SEEN;
    if (!s || s->late < LATE_WANTED)
        return;
    if (!str_buffer && !(str_buffer = PyUnicode_InternFromString("_buffer")))
        return PyErr_Clear();
    lines = PyObject_GetAttr(connection, str_buffer);
    if (lines && PyList_CheckExact(lines) && PyList_GET_SIZE(lines) > 0) {
        if (propagation_formats & FORMAT_W3C) {
            traceparent_format(&s->id, text);
            put_line(lines, "traceparent:", text, sizeof(text));
            put_text_line(lines, "tracestate:", s->trace_state);
        }
        baggage = propagation_formats & FORMAT_BAGGAGE ? context_baggage() : NULL;
        if (baggage && find_line(lines, "baggage:") < 0)
            put_text_line(lines, "baggage:", baggage);
        Py_XDECREF(baggage);
        s->late = LATE_DONE;
    }
    Py_XDECREF(lines);
    PyErr_Clear();
}
