/* One WSGI request: run_wsgi(tracer, application, environ, start_response) calls the application
 * inside a server span. The span ends when the body has been sent, and is current while the
 * application or its body's iterator runs. */
#include "args.h"
#include "context.h"
#include "module.h"
#include "server.h"

/* The start_response that the application sees. */
typedef struct {
    PyObject_HEAD PyObject *inner;
    PyObject *request; /* the environ */
    Span *span;
    vectorcallfunc call;
} Response;

/* The body that the server sees. */
typedef struct {
    PyObject_HEAD PyObject *inner; /* what the application returned */
    PyObject *iterator;            /* of it */
    Span *span;
    bool ready; /* the iterator runs no code of the application */
    bool plain; /* nor does close() */
} Body;

static PyObject *str_close, *str_callbacks, *str_on_close, *str_file_wrapper, *str_span;

int wsgi_init(void) {
    str_close = PyUnicode_InternFromString("close");
    str_callbacks = PyUnicode_InternFromString("_callbacks");
    str_on_close = PyUnicode_InternFromString("_on_close");
    str_file_wrapper = PyUnicode_InternFromString("wsgi.file_wrapper");
    str_span = PyUnicode_InternFromString("varan.span");
    return str_close && str_callbacks && str_on_close && str_file_wrapper && str_span ? 0 : -ENOMEM;
}

static PyObject *response_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Response *r = (Response *) self;

    if (PyVectorcall_NARGS(nf) > 0 && PyUnicode_Check(args[0]) &&
        PyUnicode_GET_LENGTH(args[0]) >= 3) {
        long code = 0;
        for (int i = 0; i < 3; i++) {
            Py_UCS4 c = PyUnicode_READ_CHAR(args[0], i);
            code = c >= '0' && c <= '9' ? code * 10 + (long) (c - '0') : -10000;
        }
        http_set_status(r->span, code);
        if (code >= 500)
            headers_put(r->span, r->request);
    }
    return PyObject_Vectorcall(r->inner, args, nf, names);
}

static int response_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Response *) self)->inner);
    Py_VISIT(((Response *) self)->request);
    return 0;
}

static void response_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Response *) self)->inner);
    Py_XDECREF(((Response *) self)->request);
    Py_XDECREF(((Response *) self)->span);
    PyObject_GC_Del(self);
}

PyTypeObject Response_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.Response",
        .tp_basicsize = sizeof(Response),
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
        .tp_vectorcall_offset = offsetof(Response, call),
        .tp_call = PyVectorcall_Call,
        .tp_traverse = response_traverse,
        .tp_dealloc = response_dealloc,
};

/* The pending exception stays pending. */
static void put_headers_aside(Span *s, PyObject *request) {
    PyObject *type, *value, *trace;

    PyErr_Fetch(&type, &value, &trace);
    headers_put(s, request);
    PyErr_Restore(type, value, trace);
}

static PyObject *body_next(PyObject *self) {
    Body *b = (Body *) self;
    PyObject *chunk;

    if (!b->ready)
        context_activate(b->span);
    chunk = PyIter_Next(b->iterator);
    if (!chunk && PyErr_Occurred())
        span_fail_pending(b->span);
    context_restore(b->span); /* unless it is not current */
    if (!chunk)
        span_end(b->span, 0);
    return chunk;
}

static PyObject *body_close(PyObject *self, PyObject *unused) {
    Body *b = (Body *) self;
    PyObject *close = PyObject_GetAttr(b->inner, str_close), *result = NULL;

    if (close) {
        if (!b->plain)
            context_activate(b->span);
        result = PyObject_CallNoArgs(close);
        Py_DECREF(close);
        if (!result)
            span_fail_pending(b->span);
        context_restore(b->span); /* unless it is not current */
    } else {
        PyErr_Clear();
        result = Py_None;
        Py_INCREF(result);
    }
    span_end(b->span, 0);
    return result;
}

static int body_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Body *) self)->inner);
    Py_VISIT(((Body *) self)->iterator);
    return 0;
}

static void body_dealloc(PyObject *self) {
    Body *b = (Body *) self;

    PyObject_GC_UnTrack(self);
    span_end(b->span, 0); /* a server that never calls close() */
    Py_XDECREF(b->inner);
    Py_XDECREF(b->iterator);
    Py_XDECREF(b->span);
    PyObject_GC_Del(self);
}

static PyMethodDef body_methods[] = {
        {"close", body_close, METH_NOARGS, NULL},
        {NULL},
};

PyTypeObject Body_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.Body",
        .tp_basicsize = sizeof(Body),
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        .tp_iter = PyObject_SelfIter,
        .tp_iternext = body_next,
        .tp_methods = body_methods,
        .tp_traverse = body_traverse,
        .tp_dealloc = body_dealloc,
};

static PyObject *response_new(PyObject *inner, PyObject *request, Span *s) {
    Response *r = PyObject_GC_New(Response, &Response_Type);

    if (!r)
        return NULL;
    Py_INCREF(inner);
    Py_INCREF(request);
    Py_INCREF(s);
    r->inner = inner;
    r->request = request;
    r->span = s;
    r->call = response_call;
    PyObject_GC_Track(r);
    return (PyObject *) r;
}

/* Is it the iterator that the response noted in the span gave: Werkzeug's, whose last callback is
 * the response's close(), with nothing in it that somebody registered? A middleware's own is not.
 */
static bool is_plain(PyObject *result, const Span *s) {
    PyObject *callbacks = s->plain_body ? PyObject_GetAttr(result, str_callbacks) : NULL, *last,
             *registered = NULL;
    Py_ssize_t n = callbacks && PyList_CheckExact(callbacks) ? PyList_GET_SIZE(callbacks) : 0;

    last = n > 0 && n <= 2 ? PyList_GET_ITEM(callbacks, n - 1) : NULL;
    if (last && PyMethod_Check(last) && PyMethod_GET_SELF(last) == s->plain_body)
        registered = PyObject_GetAttr(PyMethod_GET_SELF(last), str_on_close);
    bool plain = registered && PyList_CheckExact(registered) && PyList_GET_SIZE(registered) == 0;
    Py_XDECREF(registered);
    Py_XDECREF(callbacks);
    PyErr_Clear();
    return plain;
}

/* Takes the reference to `result`. */
static PyObject *body_new(PyObject *result, Span *s) {
    PyObject *iterator = PyObject_GetIter(result);
    Body *b = iterator ? PyObject_GC_New(Body, &Body_Type) : NULL;

    if (!b) { /* not iterable: the server finds out */
        PyErr_Clear();
        Py_XDECREF(iterator);
        span_end(s, 0);
        return result;
    }
    Py_INCREF(s);
    b->inner = result;
    b->iterator = iterator;
    b->span = s;
    b->plain = is_plain(result, s);
    b->ready = b->plain || Py_TYPE(iterator) == &PyListIter_Type ||
               Py_TYPE(iterator) == &PyTupleIter_Type;
    PyObject_GC_Track(b);
    return (PyObject *) b;
}

/* Lists are sent as they are (servers look at their length), and so are files, which servers may
 * send by sendfile(). */
static bool leave_alone(PyObject *result, PyObject *request) {
    PyObject *wrapper;

    if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
        return true;
    wrapper = PyDict_GetItemWithError(request, str_file_wrapper);
    PyErr_Clear();
    return wrapper && (PyObject *) Py_TYPE(result) == wrapper;
}

PyObject *wsgi_run(uint16_t scope, PyObject *application, PyObject *receiver, PyObject *request,
                   PyObject *start) {
    PyObject *response = NULL, *result, *call[4] = {NULL, receiver, request, start};
    PyObject **args = call + (receiver ? 1 : 2);
    size_t nf = (receiver ? 3 : 2) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    Span *s = NULL;

    if (span_enabled && PyDict_Check(request) && !PyDict_GetItemWithError(request, str_span))
        s = server_start_wsgi(scope, request);
    PyErr_Clear();
    if (s)
        response = response_new(start, request, s);
    if (!response) { /* off, or inside another traced application */
        PyErr_Clear();
        Py_XDECREF(s);
        return PyObject_Vectorcall(application, args, nf, NULL);
    }
    if (PyDict_SetItem(request, str_span, (PyObject *) s) < 0)
        PyErr_Clear();
    context_activate(s);
    call[3] = response;
    result = PyObject_Vectorcall(application, args, nf, NULL);
    if (!result) {
        span_fail_pending(s);
        put_headers_aside(s, request);
    }
    context_restore(s);
    Py_DECREF(response);
    if (!result || leave_alone(result, request))
        span_end(s, 0);
    else
        result = body_new(result, s);
    Py_DECREF(s);
    return result;
}

static PyObject *run_wsgi(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    if (!args_count("run_wsgi", n, 4, 4))
        return NULL;
    return wsgi_run(tracer_scope(args[0]), args[1], NULL, args[2], args[3]);
}

PyMethodDef wsgi_functions[] = {
        {"run_wsgi", (PyCFunction) (void (*)(void)) run_wsgi, METH_FASTCALL,
         "run_wsgi(tracer, application, environ, start_response)"},
        {NULL},
};
