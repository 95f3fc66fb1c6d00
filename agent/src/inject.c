/* Headers of outgoing calls: the span's identifiers in the formats in use, and the baggage. GIL
 * held.
 */
#include "context.h"
#include "module.h"
#include "server.h"

static void put(PyObject *headers, const char *key, const char *value, size_t n) {
    PyObject *k = PyUnicode_InternFromString(key);
    PyObject *v = PyUnicode_FromStringAndSize(value, (Py_ssize_t) n);

    if (k && v)
        PyObject_SetItem(headers, k, v);
    Py_XDECREF(k);
    Py_XDECREF(v);
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
    PyObject *baggage = context_baggage(), *key = PyUnicode_InternFromString("baggage");

    if (baggage && key && PySequence_Contains(headers, key) == 0)
        PyObject_SetItem(headers, key, baggage);
    Py_XDECREF(key);
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
        put(headers, "traceparent", text, TRACEPARENT_LENGTH);
        if (s->trace_state) {
            PyObject *key = PyUnicode_InternFromString("tracestate");
            if (key)
                PyObject_SetItem(headers, key, s->trace_state);
            Py_XDECREF(key);
            PyErr_Clear();
        }
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
