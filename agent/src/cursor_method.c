/* CursorMethod(function, known, make): cursor(self[, factory]) of sqlite3's connections, which
 * gives cursors of our subclass of the factory: known[factory], filled by make(factory); of the
 * class that sqlite3 would take under None. `function` is the connection's own method. GIL held. */
#include "module.h"
#include "patches.h"

static PyObject *str_off, *str_factory;

int cursor_method_init(void) {
    str_off = PyUnicode_InternFromString("varan_off");
    str_factory = PyUnicode_InternFromString("factory");
    return str_off && str_factory ? 0 : -ENOMEM;
}

/* What was given: borrowed, None: nothing, NULL: something that is the method's to complain of. */
static PyObject *factory_of(PyObject *const *args, Py_ssize_t n, PyObject *names) {
    PyObject *given = NULL;

    if (n == 1 && !names)
        return Py_None;
    if (n == 2 && !names)
        given = args[1];
    else if (n == 1 && PyTuple_GET_SIZE(names) == 1 &&
             PyUnicode_Compare(PyTuple_GET_ITEM(names, 0), str_factory) == 0)
        given = args[1];
    return given && PyType_Check(given) ? given : NULL;
}

/* New reference or NULL without an exception. */
static PyObject *traced_class(const Patch *p, PyObject *connection, PyObject *factory) {
    PyObject *off = PyObject_GetAttr(connection, str_off), *class = NULL;

    if (off == Py_False && (class = PyDict_GetItemWithError(p->known, factory)) != NULL)
        Py_INCREF(class);
    else if (off == Py_False && !PyErr_Occurred())
        class = PyObject_CallOneArg(p->other, factory);
    Py_XDECREF(off);
    PyErr_Clear();
    return class;
}

static PyObject *call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;
    PyObject *factory = factory_of(args, PyVectorcall_NARGS(nf), names), *class, *both[2], *cursor;

    class = factory ? traced_class(p, args[0], factory) : NULL;
    if (!class)
        return PyObject_Vectorcall(p->function, args, nf, names);
    both[0] = args[0];
    both[1] = class;
    cursor = PyObject_Vectorcall(p->function, both, 2, NULL);
    Py_DECREF(class);
    return cursor;
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};

    if (!PyArg_ParseTuple(args, "OO!O", &parts.function, &PyDict_Type, &parts.known, &parts.other))
        return NULL;
    return (PyObject *) patch_new(type, call, &parts);
}

PyTypeObject CursorMethod_Type =
        PATCH_TYPE("varan._core.CursorMethod", "CursorMethod(function, known, make)", new);
