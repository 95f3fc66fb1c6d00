/* The current span on the other side of a thread's start or of an executor's queue. Only the span
 * goes over: the rest of the starter's context (a framework's request, decimal settings) stays
 * where the application left it. GIL held. */
#include "args.h"
#include "context.h"
#include "module.h"

/* attach(span): the span is current from now on, for good: for the first step of a thread or
 * process of its own. */
static PyObject *attach(PyObject *module, PyObject *span) {
    if (span_check(span))
        context_attach((Span *) span, NULL);
    Py_RETURN_NONE;
}

/* call_below(span, function, *args, **kwargs): the function's result; what was current before is
 * current again. */
static PyObject *call_below(PyObject *module, PyObject *const *args, Py_ssize_t n,
                            PyObject *names) {
    PyObject *before = NULL, *result;

    if (n < 2) {
        PyErr_SetString(PyExc_TypeError, "call_below(span, function, ...)");
        return NULL;
    }
    if (span_check(args[0]))
        context_attach((Span *) args[0], &before);
    result = PyObject_Vectorcall(args[1], args + 2, (size_t) n - 2, names);
    if (before) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        context_detach(before);
        PyErr_Restore(type, value, trace);
    }
    return result;
}

/* call_here(function, *args, **kwargs): for a thread that was put into somebody's context: the
 * profiler is told whose, and that it is over. */
static PyObject *call_here(PyObject *module, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    PyObject *result;

    if (n < 1) {
        PyErr_SetString(PyExc_TypeError, "call_here(function, ...)");
        return NULL;
    }
    context_publish(true);
    result = PyObject_Vectorcall(args[0], args + 1, (size_t) n - 1, names);
    context_publish(false);
    return result;
}

PyMethodDef carry_functions[] = {
        {"call_here", (PyCFunction) (void (*)(void)) call_here, METH_FASTCALL | METH_KEYWORDS,
         "call_here(function, *args, **kwargs): the profiler knows the thread's span meanwhile."},
        {"attach", attach, METH_O, "attach(span): makes a span current for good."},
        {"call_below", (PyCFunction) (void (*)(void)) call_below, METH_FASTCALL | METH_KEYWORDS,
         "call_below(span, function, *args, **kwargs): calls the function with the span current."},
        {NULL},
};
