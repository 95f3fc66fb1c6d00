/* What a `with` statement fetches from a span: its __enter__ and __exit__, bound. The interpreter
 * would make an object for each, known to its collector; these are taken from a short list of dead
 * ones instead, which is as cheap as a counter. Fetched from the type they are the plain methods.
 * GIL held. */
#include <stddef.h>

#include "module.h"

#define KEPT_MAX 16

typedef struct {
    PyObject_HEAD PyCFunction function; /* of the methods' table, METH_FASTCALL or METH_NOARGS */
    const char *name;
    PyObject *plain; /* the type's own method */
    bool takes_arguments;
} WithMethod;

typedef struct {
    PyObject_HEAD vectorcallfunc call;
    PyObject *span;
    WithMethod *method;
} Bound;

static PyObject *object_ref(PyObject *o) {
    Py_INCREF(o);
    return o;
}

static Bound *kept[KEPT_MAX];
static unsigned kept_n;

static PyObject *bound_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Bound *b = (Bound *) self;
    Py_ssize_t n = PyVectorcall_NARGS(nf);

    if (names || (n && !b->method->takes_arguments)) {
        PyErr_Format(PyExc_TypeError, "%s() takes no %sarguments", b->method->name,
                     names ? "keyword " : "");
        return NULL;
    }
    if (b->method->takes_arguments)
        return ((_PyCFunctionFast) (void (*)(void)) b->method->function)(b->span, args, n);
    return b->method->function(b->span, NULL);
}

static void bound_dealloc(PyObject *self) {
    Bound *b = (Bound *) self;

    Py_DECREF(b->span);
    Py_DECREF(b->method);
    if (kept_n < KEPT_MAX)
        kept[kept_n++] = b;
    else
        PyObject_Free(b);
}

/* Name, documentation and the like are those of an ordinary bound method. */
static PyObject *bound_attribute(PyObject *self, PyObject *name) {
    Bound *b = (Bound *) self;
    PyObject *ordinary = Py_TYPE(b->method->plain)
                                 ->tp_descr_get(b->method->plain, b->span,
                                                (PyObject *) Py_TYPE(b->span)),
             *found = NULL;

    if (ordinary)
        found = PyObject_GetAttr(ordinary, name);
    Py_XDECREF(ordinary);
    return found;
}

static PyTypeObject Bound_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.BoundWithMethod",
        .tp_basicsize = sizeof(Bound),
        .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
        .tp_vectorcall_offset = offsetof(Bound, call),
        .tp_call = PyVectorcall_Call,
        .tp_getattro = bound_attribute,
        .tp_dealloc = bound_dealloc,
};

static PyObject *get(PyObject *self, PyObject *span, PyObject *type) {
    Bound *b;

    if (!span || !span_check(span))
        return object_ref(((WithMethod *) self)->plain);
    b = kept_n ? kept[--kept_n] : PyObject_Malloc(sizeof(*b));
    if (!b)
        return PyErr_NoMemory();
    PyObject_Init((PyObject *) b, &Bound_Type);
    b->call = bound_call;
    b->span = object_ref(span);
    b->method = (WithMethod *) object_ref(self);
    return (PyObject *) b;
}

static void method_dealloc(PyObject *self) {
    Py_XDECREF(((WithMethod *) self)->plain);
    PyObject_Free(self);
}

static PyTypeObject WithMethod_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.WithMethod",
        .tp_basicsize = sizeof(WithMethod),
        .tp_flags = Py_TPFLAGS_DEFAULT,
        .tp_descr_get = get,
        .tp_dealloc = method_dealloc,
};

static int stand_in(const PyMethodDef *d) {
    PyObject *dict = Span_Type.tp_dict;
    WithMethod *m = PyObject_New(WithMethod, &WithMethod_Type);
    int r;

    if (!m)
        return -1;
    m->function = d->ml_meth;
    m->name = d->ml_name;
    m->takes_arguments = (d->ml_flags & METH_FASTCALL) != 0;
    m->plain = PyDict_GetItemString(dict, d->ml_name);
    Py_XINCREF(m->plain);
    r = m->plain ? PyDict_SetItemString(dict, d->ml_name, (PyObject *) m) : -1;
    Py_DECREF(m);
    return r;
}

int span_with_init(void) {
    if (PyType_Ready(&Bound_Type) < 0 || PyType_Ready(&WithMethod_Type) < 0)
        return -1;
    for (const PyMethodDef *d = span_methods; d->ml_name; d++)
        if ((strcmp(d->ml_name, "__enter__") == 0 || strcmp(d->ml_name, "__exit__") == 0) &&
            stand_in(d) < 0)
            return -1;
    PyType_Modified(&Span_Type);
    return 0;
}
