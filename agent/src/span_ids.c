/* The identifiers of spans: random ones, or those that the application's own generator makes
 * (TracerProvider(id_generator=…) of OpenTelemetry's SDK). GIL held. */
#include "module.h"
#include "runtime.h"

/* make_ids(root) → (trace id of 16 bytes or b"", span id of 8 bytes); NULL: random ones. */
static PyObject *make_ids;

static bool is_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* The application's, over the random ones; what makes no sense leaves those. */
static void ask(Span *s, bool root) {
    PyObject *type, *value, *trace, *result;
    const char *trace_id, *span_id;
    Py_ssize_t trace_n, span_n;

    PyErr_Fetch(&type, &value, &trace);
    result = PyObject_CallFunctionObjArgs(make_ids, root ? Py_True : Py_False, NULL);
    if (result && PyTuple_Check(result) &&
        PyArg_ParseTuple(result, "y#y#", &trace_id, &trace_n, &span_id, &span_n)) {
        if (span_n == 8 && !is_zero((const uint8_t *) span_id, 8))
            memcpy(s->id.span_id, span_id, 8);
        if (root && trace_n == 16 && !is_zero((const uint8_t *) trace_id, 16))
            memcpy(s->id.trace_id, trace_id, 16);
    }
    Py_XDECREF(result);
    PyErr_Clear();
    PyErr_Restore(type, value, trace);
}

void span_take_ids(Span *s, const struct trace_context *parent) {
    struct thread_state *t = thread_state();
    uint64_t id;

    if (parent) {
        memcpy(s->id.trace_id, parent->trace_id, 16);
    } else {
        id = thread_random(t);
        memcpy(s->id.trace_id, &id, 8);
        id = thread_random(t);
        memcpy(s->id.trace_id + 8, &id, 8);
    }
    id = thread_random(t);
    memcpy(s->id.span_id, &id, 8);
    if (__builtin_expect(make_ids != NULL, 0) && span_enabled)
        ask(s, !parent);
}

PyObject *span_set_id_source(PyObject *module, PyObject *function) {
    if (function == Py_None)
        function = NULL;
    Py_XINCREF(function);
    Py_XSETREF(make_ids, function);
    Py_RETURN_NONE;
}
