/* See args.h. */
#include "args.h"

bool args_count(const char *function, Py_ssize_t n, Py_ssize_t min, Py_ssize_t max) {
    if (n >= min && n <= max)
        return true;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, not %zd", function, min, max,
                 n);
    return false;
}

bool args_parse(const char *function, const char *const *keys, PyObject *const *args, Py_ssize_t n,
                PyObject *names, unsigned required, PyObject **values) {
    unsigned known = 0;

    while (keys[known])
        values[known++] = NULL;
    if ((size_t) n > known) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %u arguments, not %zd", function, known,
                     n);
        return false;
    }
    for (Py_ssize_t i = 0; i < n; i++)
        values[i] = args[i];
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++)
        for (unsigned k = 0; k < known; k++)
            if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), keys[k]) == 0) {
                values[k] = args[n + i];
                break;
            }
    for (unsigned k = 0; k < required; k++)
        if (!values[k]) {
            PyErr_Format(PyExc_TypeError, "%s() needs the argument '%s'", function, keys[k]);
            return false;
        }
    return true;
}

uint64_t args_time(PyObject *o) {
    unsigned long long v;

    if (!o || !PyLong_Check(o))
        return 0;
    v = PyLong_AsUnsignedLongLong(o);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return v;
}
