/* StatementMethod(base, name): put into a subclass of a driver's cursor (sqlite3's), it is the
 * method `name` of `base` inside a span for the statement, which is the first argument. A frame of
 * Python for each statement, and super() within it, cost more than the span.
 *
 * The cursor's `connection` knows whether spans are made (`varan_off`) and of which database
 * (`varan_statements`). GIL held. */
#include <stddef.h>

#include "context.h"
#include "module.h"
#include "patches.h"

typedef struct {
    PyObject_HEAD PyObject *base, *name;
    vectorcallfunc call;
} StatementMethod;

static PyObject *str_connection, *str_off, *str_statements;

int statement_method_init(void) {
    str_connection = PyUnicode_InternFromString("connection");
    str_off = PyUnicode_InternFromString("varan_off");
    str_statements = PyUnicode_InternFromString("varan_statements");
    return str_connection && str_off && str_statements ? 0 : -ENOMEM;
}

/* A started span or NULL; never an exception. */
static Span *start(PyObject *cursor, PyObject *text) {
    PyObject *connection = PyObject_GetAttr(cursor, str_connection), *off = NULL,
             *statements = NULL, *span = NULL;

    if (connection && (off = PyObject_GetAttr(connection, str_off)) == Py_False)
        statements = PyObject_GetAttr(connection, str_statements);
    if (statements && Py_TYPE(statements) == &Statements_Type)
        span = statements_start(statements, text);
    if (span && !span_check(span))
        Py_CLEAR(span);
    Py_XDECREF(statements);
    Py_XDECREF(off);
    Py_XDECREF(connection);
    PyErr_Clear();
    return (Span *) span;
}

static PyObject *call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    StatementMethod *m = (StatementMethod *) self;
    PyObject *method = PyObject_GetAttr(m->base, m->name), *result;
    Py_ssize_t given;
    Span *s;

    if (!method)
        return NULL;
    /* By position, or the first that is given by name. */
    given = PyVectorcall_NARGS(nf) + (names ? PyTuple_GET_SIZE(names) : 0);
    s = PyVectorcall_NARGS(nf) > 0 && given > 1 ? start(args[0], args[1]) : NULL;
    result = patch_call_inside(method, s, args, nf, names);
    Py_DECREF(method);
    return result;
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *names) {
    PyObject *base, *name;
    StatementMethod *m;

    if (!PyArg_ParseTuple(args, "O!U", &PyType_Type, &base, &name))
        return NULL;
    m = (StatementMethod *) type->tp_alloc(type, 0);
    if (!m)
        return NULL;
    Py_INCREF(base);
    Py_INCREF(name);
    PyUnicode_InternInPlace(&name);
    m->base = base;
    m->name = name;
    m->call = call;
    return (PyObject *) m;
}

/* Its name, signature and documentation are the method's. */
static PyObject *get_attribute(PyObject *self, PyObject *name) {
    StatementMethod *m = (StatementMethod *) self;
    PyObject *method = PyObject_GetAttr(m->base, m->name), *found = NULL;

    if (method)
        found = PyObject_GetAttr(method, name);
    Py_XDECREF(method);
    return found;
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((StatementMethod *) self)->base);
    return 0;
}

static void dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((StatementMethod *) self)->base);
    Py_XDECREF(((StatementMethod *) self)->name);
    Py_TYPE(self)->tp_free(self);
}

PyTypeObject StatementMethod_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.StatementMethod",
        .tp_doc = "StatementMethod(base, name)",
        .tp_basicsize = sizeof(StatementMethod),
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                    Py_TPFLAGS_METHOD_DESCRIPTOR,
        .tp_vectorcall_offset = offsetof(StatementMethod, call),
        .tp_call = PyVectorcall_Call,
        .tp_getattro = get_attribute,
        .tp_descr_get = patch_bind,
        .tp_new = new,
        .tp_traverse = traverse,
        .tp_dealloc = dealloc,
};
