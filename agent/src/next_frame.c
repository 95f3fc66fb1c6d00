/* One call after the next frame has been evaluated: what a module that is executed by C code
 * (uWSGI's wsgi-file) has made can be changed before C takes it from there, and nothing else is
 * watched. By PEP 523, whose function is set for that one frame only. All of it runs with the GIL.
 */
#include "module.h"

static _PyFrameEvalFunction usual;
static PyThreadState *waiting; /* its next frame is the one */
static PyObject *callback;

#if PY_VERSION_HEX >= 0x030b0000
typedef struct _PyInterpreterFrame frame;
#else
typedef PyFrameObject frame;
#endif

static void call_back(void) {
    PyObject *type, *value, *trace, *function = callback, *r;

    callback = NULL;
    if (!function)
        return;
    PyErr_Fetch(&type, &value, &trace); /* the frame's own exception goes on */
    r = PyObject_CallNoArgs(function);
    if (!r)
        PyErr_Clear();
    Py_XDECREF(r);
    Py_DECREF(function);
    PyErr_Restore(type, value, trace);
}

static PyObject *evaluate(PyThreadState *thread, frame *f, int throwing) {
    _PyFrameEvalFunction next = usual;
    PyObject *r;

    if (thread != waiting)
        return next(thread, f, throwing);
    waiting = NULL;
    _PyInterpreterState_SetEvalFrameFunc(PyInterpreterState_Get(), next);
    r = next(thread, f, throwing);
    call_back();
    return r;
}

static PyObject *after_next_frame(PyObject *module, PyObject *function) {
    PyInterpreterState *interpreter = PyInterpreterState_Get();

    if (waiting)
        Py_RETURN_FALSE;
    usual = _PyInterpreterState_GetEvalFrameFunc(interpreter);
    Py_INCREF(function);
    Py_XSETREF(callback, function);
    waiting = PyThreadState_Get();
    _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
    Py_RETURN_TRUE;
}

PyMethodDef next_frame_functions[] = {
        {"after_next_frame", after_next_frame, METH_O,
         "after_next_frame(function): calls it when the next frame of this thread has ended"},
        {NULL},
};
