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
}
