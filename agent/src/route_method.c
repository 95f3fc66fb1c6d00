/* Methods of web frameworks by which a request's route becomes known, as objects of C: a frame of
 * Python for each request cost more than what it does.
 *
 * FlaskDispatch(function, current, response): Flask's full_dispatch_request(self[, context]).
 * `current`: the context variable of the request's context, or what returns the request. An
 * exception that a handler of the application turned into a 5xx answer is recorded: the hook puts
 * it into the environ under "varan.handled". `response`: Flask's class of responses; one of it
 * whose body is a list is told to wsgi.c.
 *
 * DjangoResolve(function, routes, make): resolve_request(self, request). `routes`: Django's text of
 * a route → ours; make(text) fills it.
 *
 * RouteHandle(function, effective): handle(self, scope, receive, send) of Starlette's routes.
 * `effective`, of FastAPI's, or None: effective(scope) → an object whose `path_format` is the route
 * when `original_route` is this one.
 *
 * What fails here is of no consequence to the request. GIL held. */
#include "context.h"
#include "module.h"
#include "patches.h"
#include "server.h"

static PyObject *str_response, *str_span, *str_handled, *str_prefix, *str_request, *str_environ,
        *str_scope, *str_url_rule, *str_rule, *str_status, *str_route, *str_path, *str_format,
        *str_original;

int route_method_init(void) {
    static const struct {
        PyObject **name;
        const char *text;
    } names[] = {{&str_response, "response"},
                 {&str_span, "varan.span"},
                 {&str_handled, "varan.handled"},
                 {&str_prefix, "varan.route"},
                 {&str_request, "request"},
                 {&str_environ, "environ"},
                 {&str_scope, "scope"},
                 {&str_url_rule, "url_rule"},
                 {&str_rule, "rule"},
                 {&str_status, "status_code"},
                 {&str_route, "route"},
                 {&str_path, "path"},
                 {&str_format, "path_format"},
                 {&str_original, "original_route"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!(*names[i].name = PyUnicode_InternFromString(names[i].text)))
            return -ENOMEM;
    return 0;
}

/* Borrowed; NULL when the mapping has none, or is none. */
static Span *span_in(PyObject *mapping) {
    PyObject *span =
            mapping && PyDict_Check(mapping) ? PyDict_GetItemWithError(mapping, str_span) : NULL;

    return span && span_check(span) ? (Span *) span : NULL;
}

/* The attribute of an object that may be NULL. New reference or NULL; an exception may be set. */
static PyObject *attribute(PyObject *object, PyObject *name) {
    return object && object != Py_None ? PyObject_GetAttr(object, name) : NULL;
}

/* ---- Flask ---- */

/* New reference or NULL. */
static PyObject *flask_request(const Patch *p, PyObject *const *args, Py_ssize_t n) {
    PyObject *found = n > 1 ? PyObject_GetAttr(args[1], str_request) : NULL, *context = NULL;

    PyErr_Clear();
    if (found)
        return found;
    if (!PyContextVar_CheckExact(p->other))
        return PyObject_CallNoArgs(p->other);
    if (PyContextVar_Get(p->other, NULL, &context) == 0)
        found = attribute(context, str_request);
    Py_XDECREF(context);
    return found;
}

/* The request's environ if it has a span, which gets its route. */
static PyObject *flask_begin(const Patch *p, PyObject *const *args, Py_ssize_t n) {
    PyObject *request = flask_request(p, args, n), *environ = attribute(request, str_environ),
             *rule = NULL, *text = NULL;
    Span *s = span_in(environ);

    if (s) {
        rule = attribute(request, str_url_rule);
        text = attribute(rule, str_rule);
        if (text)
            server_set_route(s, text);
    }
    Py_XDECREF(text);
    Py_XDECREF(rule);
    Py_XDECREF(request);
    if (!s)
        Py_CLEAR(environ);
    PyErr_Clear();
    return environ;
}

/* Sending a list and closing it runs none of the application's code. */
static void flask_note_body(const Patch *p, PyObject *environ, PyObject *response) {
    PyObject *body;
    Span *s;

    if (!response || (PyObject *) Py_TYPE(response) != p->known || !(s = span_in(environ)))
        return;
    body = PyObject_GetAttr(response, str_response);
    if (body && (PyList_CheckExact(body) || PyTuple_CheckExact(body)))
        s->plain_body = response;
    Py_XDECREF(body);
    PyErr_Clear();
}

/* Its frames hold the environ: it is not left there. */
static void flask_end(PyObject *environ, PyObject *response) {
    PyObject *error = PyDict_GetItemWithError(environ, str_handled), *status = NULL, *type, *value,
             *trace;
    Span *s = span_in(environ);

    if (!error)
        return;
    PyErr_Fetch(&type, &value, &trace);
    Py_INCREF(error);
    status = attribute(response, str_status);
    if (s && status && PyLong_Check(status) && PyLong_AsLong(status) >= 500)
        span_fail(s, error);
    PyErr_Clear();
    if (PyDict_DelItem(environ, str_handled) < 0)
        PyErr_Clear();
    Py_XDECREF(status);
    Py_DECREF(error);
    PyErr_Restore(type, value, trace);
}

static PyObject *flask_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;
    PyObject *environ = flask_begin(p, args, PyVectorcall_NARGS(nf)), *result;

    result = PyObject_Vectorcall(p->function, args, nf, names);
    if (environ) {
        flask_end(environ, result);
        flask_note_body(p, environ, result);
    }
    Py_XDECREF(environ);
    return result;
}

/* ---- Django ---- */

/* New reference or NULL. */
static PyObject *django_mapping(PyObject *request) {
    PyObject *found = attribute(request, str_environ);

    if (!found || found == Py_None) {
        PyErr_Clear();
        Py_XDECREF(found);
        found = attribute(request, str_scope);
    }
    return found;
}

static void django_note(const Patch *p, PyObject *request, PyObject *match) {
    PyObject *mapping = django_mapping(request), *route = NULL, *ours = NULL;
    Span *s = span_in(mapping);

    if (s && (route = attribute(match, str_route)) && route != Py_None) {
        ours = PyDict_GetItemWithError(p->known, route);
        Py_XINCREF(ours);
        if (!ours)
            ours = PyObject_CallOneArg(p->other, route);
        if (ours)
            server_set_route(s, ours);
    }
    Py_XDECREF(ours);
    Py_XDECREF(route);
    Py_XDECREF(mapping);
    PyErr_Clear();
}

static PyObject *django_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;
    PyObject *match = PyObject_Vectorcall(p->function, args, nf, names);

    if (match && PyVectorcall_NARGS(nf) > 1)
        django_note(p, args[1], match);
    return match;
}

/* ---- Starlette, FastAPI ---- */

/* The route's own part of the path. New reference or NULL. */
static PyObject *route_path(const Patch *p, PyObject *route, PyObject *scope) {
    PyObject *context = p->other == Py_None ? NULL : PyObject_CallOneArg(p->other, scope);
    PyObject *original = attribute(context, str_original), *found;

    PyErr_Clear();
    found = attribute(original == route ? context : route,
                      original == route ? str_format : str_path);
    Py_XDECREF(original);
    Py_XDECREF(context);
    return found;
}

static void route_note(const Patch *p, PyObject *route, PyObject *scope) {
    Span *s = span_in(scope);
    PyObject *path = s ? route_path(p, route, scope) : NULL, *prefix, *whole = NULL;

    if (path && PyUnicode_Check(path)) {
        prefix = PyDict_GetItemWithError(scope, str_prefix);
        if (prefix && PyUnicode_Check(prefix))
            whole = PyUnicode_Concat(prefix, path);
        server_set_route(s, whole ? whole : path);
    }
    Py_XDECREF(whole);
    Py_XDECREF(path);
    PyErr_Clear();
}

static PyObject *route_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;

    if (PyVectorcall_NARGS(nf) > 1)
        route_note(p, args[0], args[1]);
    return PyObject_Vectorcall(p->function, args, nf, names);
}

/* ---- the types ---- */

static PyObject *flask_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};

    if (!PyArg_ParseTuple(args, "OOO", &parts.function, &parts.other, &parts.known))
        return NULL;
    return (PyObject *) patch_new(type, flask_call, &parts);
}

static PyObject *django_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};

    if (!PyArg_ParseTuple(args, "OO!O", &parts.function, &PyDict_Type, &parts.known, &parts.other))
        return NULL;
    return (PyObject *) patch_new(type, django_call, &parts);
}

static PyObject *route_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};

    if (!PyArg_ParseTuple(args, "OO", &parts.function, &parts.other))
        return NULL;
    return (PyObject *) patch_new(type, route_call, &parts);
}

PyTypeObject FlaskDispatch_Type = PATCH_TYPE(
        "varan._core.FlaskDispatch", "FlaskDispatch(function, current, response)", flask_new);
PyTypeObject DjangoResolve_Type = PATCH_TYPE("varan._core.DjangoResolve",
                                             "DjangoResolve(function, routes, make)", django_new);
PyTypeObject RouteHandle_Type =
        PATCH_TYPE("varan._core.RouteHandle", "RouteHandle(function, effective)", route_new);
