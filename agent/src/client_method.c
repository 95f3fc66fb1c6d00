/* ClientMethod(tracer, function, late): the method by which a library sends one request, inside a
 * client span. It is called as function(self, request, …); the request has a `method`, a `url` and
 * `headers`, and what is returned a `status_code`: requests and httpx are alike in that.
 *
 * `late`: below the function may be http.client, so that the identifiers can be put where the
 * request is written; see inject_late(). Whether it is, is learnt for each class of `self` from its
 * first answer; a request of that class which is sent otherwise later takes it back. GIL held. */
#include "context.h"
#include "module.h"
#include "patches.h"
#include "server.h"

#define CLASSES_KNOWN_MAX 100

static PyObject *str_method, *str_url, *str_headers, *str_status, *str_request;

int client_method_init(void) {
    str_method = PyUnicode_InternFromString("method");
    str_url = PyUnicode_InternFromString("url");
    str_headers = PyUnicode_InternFromString("headers");
    str_status = PyUnicode_InternFromString("status_code");
    str_request = PyUnicode_InternFromString("request");
    return str_method && str_url && str_headers && str_status && str_request ? 0 : -ENOMEM;
}

/* Borrowed; NULL when it is not among the arguments. */
static PyObject *request_of(PyObject *const *args, Py_ssize_t n, PyObject *names) {
    if (n > 1)
        return args[1];
    for (Py_ssize_t i = 0; n == 1 && names && i < PyTuple_GET_SIZE(names); i++)
        if (PyUnicode_Compare(PyTuple_GET_ITEM(names, i), str_request) == 0)
            return args[n + i];
    return NULL;
}

static bool can_be_late(const Patch *p, PyObject *sender) {
    return p->known && inject_can_be_late() &&
           PyDict_GetItemWithError(p->known, (PyObject *) Py_TYPE(sender)) == Py_True;
}

/* A current span, or NULL without an exception. */
static Span *begin(const Patch *p, PyObject *sender, PyObject *request) {
    PyObject *method = PyObject_GetAttr(request, str_method), *headers,
             *url = method ? PyObject_GetAttr(request, str_url) : NULL;
    Span *s = url ? client_start(tracer_scope(p->tracer), method, url) : NULL;

    if (s && can_be_late(p, sender)) {
        s->late = LATE_WANTED;
    } else if (s && (headers = PyObject_GetAttr(request, str_headers)) != NULL) {
        http_inject(s, headers);
        Py_DECREF(headers);
    }
    if (s)
        context_activate(s);
    Py_XDECREF(url);
    Py_XDECREF(method);
    PyErr_Clear();
    return s;
}

/* Of a class that once sent otherwise nothing else is believed. */
static void learn(PyObject *known, PyObject *class, bool late) {
    if (PyDict_GET_SIZE(known) >= CLASSES_KNOWN_MAX)
        PyDict_Clear(known);
    if (!late || !PyDict_GetItemWithError(known, class))
        PyDict_SetItem(known, class, late ? Py_True : Py_False);
}

static void note_answer(const Patch *p, Span *s, PyObject *sender, PyObject *response) {
    PyObject *status = PyObject_GetAttr(response, str_status);

    if (status && PyLong_Check(status))
        http_set_status(s, PyLong_AsLong(status));
    Py_XDECREF(status);
    if (p->known && (s->late == LATE_SEEN || s->late == LATE_WANTED))
        learn(p->known, (PyObject *) Py_TYPE(sender), s->late == LATE_SEEN);
    PyErr_Clear();
}

static void end(Span *s) {
    PyObject *type, *value, *trace;

    PyErr_Fetch(&type, &value, &trace);
    context_deactivate(s);
    span_end(s, 0);
    Py_DECREF(s);
    PyErr_Restore(type, value, trace);
}

static PyObject *call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;
    PyObject *request = request_of(args, PyVectorcall_NARGS(nf), names), *result;
    Span *s = request ? begin(p, args[0], request) : NULL;

    result = PyObject_Vectorcall(p->function, args, nf, names);
    if (!s)
        return result;
    if (result)
        note_answer(p, s, args[0], result);
    else
        span_fail_pending(s);
    end(s);
    return result;
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};
    Patch *p;
    int late;

    if (!PyArg_ParseTuple(args, "O!Op", &Tracer_Type, &parts.tracer, &parts.function, &late))
        return NULL;
    if (late && !(parts.known = PyDict_New()))
        return NULL;
    p = patch_new(type, call, &parts);
    Py_XDECREF(parts.known);
    return (PyObject *) p;
}

PyTypeObject ClientMethod_Type =
        PATCH_TYPE("varan._core.ClientMethod", "ClientMethod(tracer, function, late)", new);
