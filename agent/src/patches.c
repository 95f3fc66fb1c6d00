/* What the hooks put in a method's place, where a frame of Python for each call would cost more
 * than what it decides.
 *
 * Quiet(function, traced, attribute, below, carries=False): the function itself where a hook has
 * nothing to do, else `traced`, which is called with the same arguments. `attribute` (a str or
 * None): there is something to do when the first argument has it. `below`: there is
 * something to do unless the current span is an outgoing HTTP call, in whose work this call is a
 * detail. `carries`: its first argument is http.client's connection whose headers are complete now:
 * see inject_late().
 *
 * WsgiMethod(tracer, function): function(self, environ, start_response) inside a server span.
 *
 * Both look like the function they stand for, and bind as functions do. GIL held. */
#include "patches.h"

#include "args.h"
#include "context.h"
#include "server.h"

/* The object's __dict__ is not asked for: an object that had to make one is slower from then on
 * wherever the interpreter had specialised an access to its attributes. */
PyObject *patch_attribute(PyObject *object, PyObject *name) {
    PyObject *found = NULL;

#if PY_VERSION_HEX >= 0x030d0000
    if (PyObject_GetOptionalAttr(object, name, &found) < 0)
#else
    if (_PyObject_LookupAttr(object, name, &found) < 0)
#endif
        PyErr_Clear();
    return found;
}

static bool has_attribute(PyObject *object, PyObject *name) {
    PyObject *found = patch_attribute(object, name);

    Py_XDECREF(found);
    return found != NULL;
}

static bool nothing_to_do(Patch *p, PyObject *const *args, Py_ssize_t n) {
    Span *s;

    if (p->attribute && n > 0 && has_attribute(args[0], p->attribute))
        return false;
    if (!p->below)
        return true;
    s = context_current_span();
    return s && s->flags & SPAN_HTTP_CLIENT;
}

static PyObject *quiet_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;
    bool plain = nothing_to_do(p, args, PyVectorcall_NARGS(nf));

    if (plain && p->carries && PyVectorcall_NARGS(nf) > 0)
        inject_late(args[0]);
    return PyObject_Vectorcall(plain ? p->function : p->other, args, nf, names);
}

static PyObject *wsgi_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;

    if (PyVectorcall_NARGS(nf) != 3 || names) /* by keywords, or wrong: the function says so */
        return PyObject_Vectorcall(p->function, args, nf, names);
    return wsgi_run(tracer_scope(p->tracer), p->function, args[0], args[1], args[2]);
}

static PyObject *keep(PyObject *object) {
    Py_XINCREF(object);
    return object;
}

Patch *patch_new(PyTypeObject *type, vectorcallfunc call, const struct patch_parts *parts) {
    Patch *p = (Patch *) type->tp_alloc(type, 0);

    if (!p)
        return NULL;
    p->function = keep(parts->function);
    p->other = keep(parts->other);
    p->attribute = keep(parts->attribute);
    p->tracer = keep(parts->tracer);
    p->known = keep(parts->known);
    p->call = call;
    p->dict = PyDict_New();
    if (!p->dict || PyDict_SetItemString(p->dict, "__wrapped__", p->function) < 0) {
        Py_DECREF(p);
        return NULL;
    }
    return p;
}

static PyObject *quiet_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    PyObject *function, *traced, *attribute;
    int below, carries = 0;
    Patch *p;

    if (!PyArg_ParseTuple(args, "OOOp|p", &function, &traced, &attribute, &below, &carries))
        return NULL;
    if (attribute != Py_None && !PyUnicode_CheckExact(attribute)) {
        PyErr_SetString(PyExc_TypeError, "Quiet(): the attribute is a str or None");
        return NULL;
    }
    if (attribute == Py_None)
        attribute = NULL;
    p = patch_new(type, quiet_call, &(struct patch_parts){function, traced, attribute});
    if (!p)
        return NULL;
    if (p->attribute)
        PyUnicode_InternInPlace(&p->attribute);
    p->below = below;
    p->carries = carries;
    if (carries)
        inject_late_is_possible = true;
    return (PyObject *) p;
}

static PyObject *wsgi_method_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};

    if (!PyArg_ParseTuple(args, "O!O", &Tracer_Type, &parts.tracer, &parts.function))
        return NULL;
    return (PyObject *) patch_new(type, wsgi_call, &parts);
}

PyObject *patch_call_inside(PyObject *callable, Span *span, PyObject *const *args, size_t nf,
                            PyObject *names) {
    PyObject *result = PyObject_Vectorcall(callable, args, nf, names);

    if (!span)
        return result;
    if (!result)
        span_fail_pending(span);
    span_end(span, 0);
    Py_DECREF(span);
    return result;
}

PyObject *patch_bind(PyObject *self, PyObject *object, PyObject *type) {
    if (!object || object == Py_None) {
        Py_INCREF(self);
        return self;
    }
    return PyMethod_New(self, object);
}

/* Its name, signature and documentation are the function's. */
PyObject *patch_getattr(PyObject *self, PyObject *name) {
    static const char *const of_function[] = {"__doc__", "__module__", NULL};
    PyObject *found;

    for (const char *const *s = of_function; *s; s++)
        if (PyUnicode_CompareWithASCIIString(name, *s) == 0)
            return PyObject_GetAttr(((Patch *) self)->function, name);
    found = PyObject_GenericGetAttr(self, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return found;
    PyErr_Clear();
    return PyObject_GetAttr(((Patch *) self)->function, name);
}

int patch_traverse(PyObject *self, visitproc visit, void *arg) {
    Patch *p = (Patch *) self;

    Py_VISIT(p->function);
    Py_VISIT(p->other);
    Py_VISIT(p->tracer);
    Py_VISIT(p->known);
    Py_VISIT(p->dict);
    return 0;
}

int patch_clear(PyObject *self) {
    Patch *p = (Patch *) self;

    Py_CLEAR(p->other);
    Py_CLEAR(p->known);
    Py_CLEAR(p->dict);
    return 0;
}

void patch_dealloc(PyObject *self) {
    Patch *p = (Patch *) self;

    PyObject_GC_UnTrack(self);
    Py_XDECREF(p->function);
    Py_XDECREF(p->other);
    Py_XDECREF(p->attribute);
    Py_XDECREF(p->tracer);
    Py_XDECREF(p->known);
    Py_XDECREF(p->dict);
    Py_TYPE(self)->tp_free(self);
}

PyTypeObject Quiet_Type = PATCH_TYPE(
        "varan._core.Quiet", "Quiet(function, traced, attribute, below, carries=False)", quiet_new);
PyTypeObject WsgiMethod_Type =
        PATCH_TYPE("varan._core.WsgiMethod", "WsgiMethod(tracer, function)", wsgi_method_new);
