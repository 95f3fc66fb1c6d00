/* One request of an ASGI application: run_asgi(tracer, application, scope, receive, send[, self])
 * calls application([self, ]scope, receive, send) inside a server span, and returns what is to be
 * awaited in its place. To be called where the request runs: the span is current from then on until
 * what is awaited ends. */
#include "args.h"
#include "context.h"
#include "module.h"
#include "server.h"
#include "steps.h"

/* The send() that the application sees. */
typedef struct {
    PyObject_HEAD vectorcallfunc call;
    PyObject *inner, *scope;
    Span *span;
} Send;

static PyObject *str_type, *str_status, *str_more, *str_headers, *str_span, *text_http,
        *text_websocket, *text_start, *text_body;

int asgi_init(void) {
    static const struct {
        PyObject **name;
        const char *text;
    } names[] = {{&str_type, "type"},
                 {&str_status, "status"},
                 {&str_more, "more_body"},
                 {&str_headers, "headers"},
                 {&str_span, "varan.span"},
                 {&text_http, "http"},
                 {&text_websocket, "websocket"},
                 {&text_start, "http.response.start"},
                 {&text_body, "http.response.body"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!(*names[i].name = PyUnicode_InternFromString(names[i].text)))
            return -ENOMEM;
    return 0;
}

static bool is_text(PyObject *o, PyObject *text) {
    return o == text || (o && PyUnicode_Check(o) && PyUnicode_Compare(o, text) == 0);
}

static void note_start(const Send *s, PyObject *message) {
    PyObject *status = PyDict_GetItemWithError(message, str_status), *headers;
    long code = status && PyLong_Check(status) ? PyLong_AsLong(status) : 0;

    http_set_status(s->span, code);
    if (code >= 500 && (headers = PyDict_GetItemWithError(s->scope, str_headers)) != NULL)
        headers_put(s->span, headers);
}

static bool is_last_part(PyObject *message) {
    PyObject *more = PyDict_GetItemWithError(message, str_more);

    return !more || PyObject_IsTrue(more) == 0;
}

/* The request is over when the last part of its body is out; work after that is not the client's
 * wait. */
static PyObject *send_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Send *s = (Send *) self;
    PyObject *message = PyVectorcall_NARGS(nf) == 1 && !names && PyDict_Check(args[0]) ? args[0]
                                                                                       : NULL,
             *type = message ? PyDict_GetItemWithError(message, str_type) : NULL, *result, *last;
    bool ends = false;

    if (is_text(type, text_start))
        note_start(s, message);
    else if (is_text(type, text_body))
        ends = is_last_part(message);
    PyErr_Clear();
    result = PyObject_Vectorcall(s->inner, args, nf, names);
    if (!result || !ends)
        return result;
    last = steps_around(result, s->span, NULL, STEPS_OF_LAST_PART);
    Py_DECREF(result);
    return last;
}

static int send_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Send *) self)->inner);
    Py_VISIT(((Send *) self)->scope);
    return 0;
}

static void send_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Send *) self)->inner);
    Py_XDECREF(((Send *) self)->scope);
    Py_XDECREF(((Send *) self)->span);
    PyObject_GC_Del(self);
}

PyTypeObject AsgiSend_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.AsgiSend",
        .tp_basicsize = sizeof(Send),
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
        .tp_vectorcall_offset = offsetof(Send, call),
        .tp_call = PyVectorcall_Call,
        .tp_traverse = send_traverse,
        .tp_dealloc = send_dealloc,
};

static PyObject *send_new(PyObject *inner, PyObject *scope, Span *span) {
    Send *s = PyObject_GC_New(Send, &AsgiSend_Type);

    if (!s)
        return NULL;
    Py_INCREF(inner);
    Py_INCREF(scope);
    Py_INCREF(span);
    s->call = send_call;
    s->inner = inner;
    s->scope = scope;
    s->span = span;
    PyObject_GC_Track(s);
    return (PyObject *) s;
}

/* A started span, or NULL without an exception: nothing to do, or in a traced application. */
static Span *start(PyObject *tracer, PyObject *scope) {
    PyObject *type = PyDict_Check(scope) ? PyDict_GetItemWithError(scope, str_type) : NULL;
    Span *s = NULL;

    if (span_enabled && (is_text(type, text_http) || is_text(type, text_websocket)) &&
        !PyDict_GetItemWithError(scope, str_span))
        s = server_start_asgi(tracer_scope(tracer), scope);
    PyErr_Clear();
    return s;
}

static PyObject *run_asgi(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    PyObject *call[5] = {NULL}, *send, *awaitable, *steps = NULL;
    size_t nf;
    Span *s;

    if (!args_count("run_asgi", n, 5, 6))
        return NULL;
    call[1] = n > 5 ? args[5] : NULL;
    for (int i = 0; i < 3; i++)
        call[2 + i] = args[2 + i];
    nf = (n > 5 ? 4 : 3) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    s = start(args[0], args[2]);
    send = s ? send_new(args[4], args[2], s) : NULL;
    if (!send) {
        PyErr_Clear();
        Py_XDECREF(s);
        return PyObject_Vectorcall(args[1], call + (n > 5 ? 1 : 2), nf, NULL);
    }
    if (PyDict_SetItem(args[2], str_span, (PyObject *) s) < 0)
        PyErr_Clear();
    context_activate(s);
    call[4] = send;
    awaitable = PyObject_Vectorcall(args[1], call + (n > 5 ? 1 : 2), nf, NULL);
    Py_DECREF(send);
    if (awaitable)
        steps = steps_around(awaitable, s, args[2], STEPS_OF_REQUEST);
    Py_XDECREF(awaitable);
    if (!steps) {
        steps_request_failed(s, args[2]);
        steps_request_ended(s);
    }
    Py_DECREF(s);
    return steps;
}

PyMethodDef asgi_functions[] = {
        {"run_asgi", (PyCFunction) (void (*)(void)) run_asgi, METH_FASTCALL,
         "run_asgi(tracer, application, scope, receive, send[, self]): what is to be awaited."},
        {NULL},
};
