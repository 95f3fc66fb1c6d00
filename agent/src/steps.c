/* How long does a request keep its event loop from everything else? Steps(coroutine, span) is
 * awaited in place of the coroutine; each of its steps, from one suspension to the next, is timed.
 * Steps of more than BLOCKED_NS are counted together, and told by the span as
 * varan.loop.blocked_ms. Works with any event loop.
 *
 * Made by steps_around() it does what has to be done for the span at the end, too, so that no frame
 * of Python stands around the coroutine for that. */
#include "steps.h"

#include "args.h"
#include "context.h"
#include "module.h"
#include "server.h"

#define BLOCKED_NS (50 * 1000000u)

#if PY_VERSION_HEX < 0x030a0000
typedef enum { PYGEN_RETURN = 0, PYGEN_ERROR = -1, PYGEN_NEXT = 1 } PySendResult;
#endif

typedef struct {
    PyObject_HEAD PyObject *coroutine; /* or what else an awaitable has for an iterator */
    Span *span;
    PyObject *scope; /* ASGI's; or NULL */
    enum steps_of what;
    bool done;
    uint64_t blocked_ns;
} Steps;

static PyObject *str_send, *str_throw, *str_close, *str_blocked, *str_headers;

int steps_init(void) {
    str_send = PyUnicode_InternFromString("send");
    str_throw = PyUnicode_InternFromString("throw");
    str_close = PyUnicode_InternFromString("close");
    str_blocked = PyUnicode_InternFromString("varan.loop.blocked_ms");
    str_headers = PyUnicode_InternFromString("headers");
    return str_send && str_throw && str_close && str_blocked && str_headers ? 0 : -ENOMEM;
}

/* ---- The end ---- */

void steps_request_failed(Span *s, PyObject *scope) {
    PyObject *type, *value, *trace, *headers;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return;
    span_fail_pending(s);
    PyErr_Fetch(&type, &value, &trace);
    headers = PyDict_GetItemWithError(scope, str_headers);
    if (headers)
        headers_put(s, headers);
    PyErr_Clear();
    PyErr_Restore(type, value, trace);
}

void steps_request_ended(Span *s) {
    PyObject *type, *value, *trace;

    PyErr_Fetch(&type, &value, &trace);
    context_deactivate(s);
    span_end(s, 0);
    PyErr_Restore(type, value, trace);
}

/* The coroutine is at its end: it returned, or raised what is pending. */
static void finish(Steps *s, bool failed) {
    if (s->done)
        return;
    s->done = true;
    if (s->what == STEPS_OF_LAST_PART) {
        if (!failed && !s->span->end_ns)
            s->span->end_ns = clock_monotonic_ns();
    } else if (s->what == STEPS_OF_REQUEST) {
        if (failed)
            steps_request_failed(s->span, s->scope);
        steps_request_ended(s->span);
    }
}

/* ---- A step ---- */

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

/* What StopIteration brought is what was returned. Takes the result of send() or throw(). */
static PySendResult result_of(PyObject *result, PyObject **ret) {
    PyObject *type, *value, *trace;

    *ret = result;
    if (result)
        return PYGEN_NEXT;
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_StopIteration))
        return PYGEN_ERROR;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    *ret = value ? ((PyStopIterationObject *) value)->value : Py_None;
    Py_XINCREF(*ret);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    if (!*ret)
        Py_INCREF(*ret = Py_None);
    return PYGEN_RETURN;
}

static PySendResult advance(PyObject *iterator, PyObject *value, PyObject **ret) {
#if PY_VERSION_HEX >= 0x030a0000
    return PyIter_Send(iterator, value, ret);
#else
    PyObject *args[2] = {iterator, value};

    if (value == Py_None && PyIter_Check(iterator))
        return result_of(Py_TYPE(iterator)->tp_iternext(iterator), ret);
    return result_of(PyObject_VectorcallMethod(str_send, args, 2, NULL), ret);
#endif
}

/* Values go in and out as with PyIter_Send(). */
static PySendResult steps_send(PyObject *self, PyObject *value, PyObject **ret) {
    Steps *s = (Steps *) self;
    bool timed = s->what != STEPS_OF_LAST_PART;
    uint64_t started_ns = timed ? clock_monotonic_ns() : 0;
    PySendResult r;

    if (timed)
        context_publish(true);
    r = advance(s->coroutine, value, ret);
    if (timed)
        note_step(s, started_ns);
    if (r != PYGEN_NEXT)
        finish(s, r == PYGEN_ERROR);
    return r;
}

/* As send() and throw() tell it: a returned value is raised. */
static PyObject *told(PySendResult r, PyObject *value) {
    PyObject *stop;

    if (r != PYGEN_RETURN)
        return r == PYGEN_NEXT ? value : NULL;
    stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value == Py_None ? NULL : value, NULL);
    if (stop)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(value);
    return NULL;
}

static PyObject *steps_method_send(PyObject *self, PyObject *value) {
    PyObject *result = NULL;
    PySendResult r = steps_send(self, value, &result);

    return told(r, result);
}

static PyObject *steps_next(PyObject *self) {
    PyObject *result = NULL;
    PySendResult r = steps_send(self, Py_None, &result);

    if (r == PYGEN_RETURN && result == Py_None) { /* no exception says so, too */
        Py_DECREF(result);
        return NULL;
    }
    return told(r, result);
}

/* Into an iterator that knows no throw(): it is the exception's end, too. */
static PyObject *raise_here(PyObject *const *args, Py_ssize_t n) {
    PyObject *type = args[0], *value = n > 1 ? args[1] : NULL;

    if (PyExceptionInstance_Check(type))
        PyErr_SetObject((PyObject *) Py_TYPE(type), type);
    else if (PyExceptionClass_Check(type))
        PyErr_SetObject(type, value);
    else
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
    return NULL;
}

static PyObject *steps_throw(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    Steps *s = (Steps *) self;
    PyObject *call[4] = {s->coroutine}, *result;
    bool timed = s->what != STEPS_OF_LAST_PART;
    PySendResult r;
    uint64_t started_ns;

    if (!args_count("throw", n, 1, 3))
        return NULL;
    for (Py_ssize_t i = 0; i < n; i++)
        call[1 + i] = args[i];
    started_ns = clock_monotonic_ns();
    if (timed)
        context_publish(true);
    if (PyObject_HasAttr(s->coroutine, str_throw))
        result = PyObject_VectorcallMethod(str_throw, call, (size_t) n + 1, NULL);
    else
        result = raise_here(args, n);
    if (timed)
        note_step(s, started_ns);
    r = result_of(result, &result);
    if (r != PYGEN_NEXT)
        finish(s, r == PYGEN_ERROR);
    return told(r, result);
}

static PyObject *steps_close(PyObject *self, PyObject *unused) {
    Steps *s = (Steps *) self;
    PyObject *result;

    if (PyObject_HasAttr(s->coroutine, str_close)) {
        result = PyObject_CallMethodObjArgs(s->coroutine, str_close, NULL);
    } else {
        Py_INCREF(Py_None);
        result = Py_None;
    }
    finish(s, !result);
    return result;
}

/* ---- The object ---- */

/* What `await` goes through. New reference or NULL with an exception. */
static PyObject *iterator_of(PyObject *awaitable) {
    PyAsyncMethods *methods = Py_TYPE(awaitable)->tp_as_async;
    PyObject *iterator = NULL;

    if (PyCoro_CheckExact(awaitable) || PyGen_CheckExact(awaitable)) {
        Py_INCREF(awaitable);
        return awaitable;
    }
    if (methods && methods->am_await)
        iterator = methods->am_await(awaitable);
    else
        PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression",
                     Py_TYPE(awaitable)->tp_name);
    return iterator;
}

static Steps *make(PyTypeObject *type, PyObject *coroutine, Span *span, PyObject *scope,
                   enum steps_of what) {
    Steps *s = (Steps *) type->tp_alloc(type, 0);

    if (!s)
        return NULL;
    Py_INCREF(coroutine);
    Py_INCREF(span);
    Py_XINCREF(scope);
    s->coroutine = coroutine;
    s->span = span;
    s->scope = scope;
    s->what = what;
    return s;
}

PyObject *steps_around(PyObject *awaitable, Span *span, PyObject *scope, enum steps_of what) {
    PyObject *iterator = iterator_of(awaitable), *steps;

    if (!iterator)
        return NULL;
    steps = (PyObject *) make(&Steps_Type, iterator, span, scope, what);
    Py_DECREF(iterator);
    return steps;
}

static PyObject *steps_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    PyObject *coroutine, *span;

    if (!PyArg_ParseTuple(args, "OO!", &coroutine, &Span_Type, &span))
        return NULL;
    return (PyObject *) make(type, coroutine, (Span *) span, NULL, STEPS_OF_OTHERS);
}

static int steps_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Steps *) self)->coroutine);
    Py_VISIT(((Steps *) self)->scope);
    return 0;
}

static int steps_clear(PyObject *self) {
    Py_CLEAR(((Steps *) self)->scope);
    return 0;
}

static void steps_dealloc(PyObject *self) {
    Steps *s = (Steps *) self;

    PyObject_GC_UnTrack(self);
    Py_XDECREF(s->coroutine);
    if (s->what == STEPS_OF_REQUEST && !s->done) /* nobody awaited it to its end */
        steps_request_ended(s->span);
    Py_XDECREF(s->scope);
    Py_XDECREF(s->span);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef steps_methods[] = {
        {"send", steps_method_send, METH_O, NULL},
        {"throw", (PyCFunction) (void (*)(void)) steps_throw, METH_FASTCALL, NULL},
        {"close", steps_close, METH_NOARGS, NULL},
        {NULL},
};

static PyAsyncMethods steps_async = {
        .am_await = PyObject_SelfIter,
#if PY_VERSION_HEX >= 0x030a0000
        .am_send = steps_send,
#endif
};

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
        .tp_clear = steps_clear,
        .tp_dealloc = steps_dealloc,
};
