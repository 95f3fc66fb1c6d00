/* How long does a request keep its event loop from everything else? Steps(coroutine, span) is
 * awaited in place of the coroutine; each of its steps, from one suspension to the next, is timed.
 * Steps of more than BLOCKED_NS are counted together, and told by the span as
 * varan.loop.blocked_ms. Works with any event loop. */
#include "args.h"
#include "context.h"
#include "module.h"
#include "span.h"

#define BLOCKED_NS (50 * 1000000u)

typedef struct {
    PyObject_HEAD PyObject *coroutine;
    Span *span;
    uint64_t blocked_ns;
} Steps;

static PyObject *str_send, *str_throw, *str_close, *str_blocked;

int steps_init(void) {
    str_send = PyUnicode_InternFromString("send");
    str_throw = PyUnicode_InternFromString("throw");
    str_close = PyUnicode_InternFromString("close");
    str_blocked = PyUnicode_InternFromString("varan.loop.blocked_ms");
    return str_send && str_throw && str_close && str_blocked ? 0 : -ENOMEM;
}

/* After a step; the pending exception, if any, stays. */
static void note_step(Steps *s, uint64_t started_ns) {
    uint64_t ns = clock_monotonic_ns() - started_ns;
    PyObject *type, *value, *trace, *ms;

    context_publish(false); /* the loop turns to other tasks */
    if (ns < BLOCKED_NS)
        return;
    s->blocked_ns += ns;
    metrics_loop_blocked(ns);
    PyErr_Fetch(&type, &value, &trace);
    ms = PyFloat_FromDouble((double) (s->blocked_ns / 1000) / 1000);
    if (ms)
        span_set(s->span, str_blocked, ms);
    Py_XDECREF(ms);
    PyErr_Restore(type, value, trace);
}

static PyObject *steps_send(PyObject *self, PyObject *value) {
    Steps *s = (Steps *) self;
    uint64_t started_ns = clock_monotonic_ns();
    PyObject *args[2] = {s->coroutine, value}, *result;

    context_publish(true);
    result = PyObject_VectorcallMethod(str_send, args, 2, NULL);

    note_step(s, started_ns);
    return result;
}

static PyObject *steps_next(PyObject *self) {
    return steps_send(self, Py_None);
}

static PyObject *steps_throw(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    Steps *s = (Steps *) self;
    PyObject *call[4] = {s->coroutine}, *result;
    uint64_t started_ns;

    if (!args_count("throw", n, 1, 3))
        return NULL;
    for (Py_ssize_t i = 0; i < n; i++)
        call[1 + i] = args[i];
    started_ns = clock_monotonic_ns();
    context_publish(true);
    result = PyObject_VectorcallMethod(str_throw, call, (size_t) n + 1, NULL);
    note_step(s, started_ns);
    return result;
}

static PyObject *steps_close(PyObject *self, PyObject *unused) {
    return PyObject_CallMethodObjArgs(((Steps *) self)->coroutine, str_close, NULL);
}

static PyObject *steps_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    PyObject *coroutine, *span;
    Steps *s;

    if (!PyArg_ParseTuple(args, "OO!", &coroutine, &Span_Type, &span))
        return NULL;
    s = (Steps *) type->tp_alloc(type, 0);
    if (!s)
        return NULL;
    Py_INCREF(coroutine);
    Py_INCREF(span);
    s->coroutine = coroutine;
    s->span = (Span *) span;
    return (PyObject *) s;
}

static int steps_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Steps *) self)->coroutine);
    return 0;
}

static void steps_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Steps *) self)->coroutine);
    Py_XDECREF(((Steps *) self)->span);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef steps_methods[] = {
        {"send", steps_send, METH_O, NULL},
        {"throw", (PyCFunction) (void (*)(void)) steps_throw, METH_FASTCALL, NULL},
        {"close", steps_close, METH_NOARGS, NULL},
        {NULL},
};

static PyAsyncMethods steps_async = {.am_await = PyObject_SelfIter};

PyTypeObject Steps_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.Steps",
        .tp_doc = "Awaits a coroutine and times its steps.",
        .tp_basicsize = sizeof(Steps),
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        .tp_new = steps_new,
        .tp_as_async = &steps_async,
        .tp_iter = PyObject_SelfIter,
        .tp_iternext = steps_next,
        .tp_methods = steps_methods,
        .tp_traverse = steps_traverse,
        .tp_dealloc = steps_dealloc,
};
