/* See caller.h. Whether a file belongs to the application is decided once per file name. */
#include "caller.h"

#include <frameobject.h>

#include "module.h"

#define FILES_KNOWN_MAX 4096

static PyObject *files;   /* file name → True when it is the application's */
static PyObject *folders; /* tuple of str */

int caller_init(void) {
    files = PyDict_New();
    folders = PyTuple_New(0);
    return files && folders ? 0 : -ENOMEM;
}

int caller_set_library_folders(PyObject *list) {
    PyObject *tuple = PySequence_Tuple(list);

    if (!tuple)
        return -EINVAL;
    Py_SETREF(folders, tuple);
    PyDict_Clear(files);
    return 0;
}

static bool decide(PyObject *file) {
    const char *text, *folder;
    size_t n, k;
    PyObject *hold, *hold_folder;
    bool ours = true;

    if (text_view(file, &text, &n, &hold) < 0)
        return false;
    if (n == 0 || text[0] == '<' || memmem(text, n, "/site-packages/", 15) ||
        memmem(text, n, "/dist-packages/", 15))
        ours = false;
    for (Py_ssize_t i = 0; ours && i < PyTuple_GET_SIZE(folders); i++) {
        PyObject *o = PyTuple_GET_ITEM(folders, i);
        if (!PyUnicode_Check(o) || text_view(o, &folder, &k, &hold_folder) < 0)
            continue;
        if (k && k <= n && memcmp(text, folder, k) == 0)
            ours = false;
        Py_XDECREF(hold_folder);
    }
    Py_XDECREF(hold);
    return ours;
}

bool caller_is_application(PyObject *file) {
    PyObject *known = PyDict_GetItemWithError(files, file);
    bool ours;

    if (known)
        return known == Py_True;
    ours = decide(file);
    if (PyDict_GET_SIZE(files) >= FILES_KNOWN_MAX)
        PyDict_Clear(files);
    PyDict_SetItem(files, file, ours ? Py_True : Py_False);
    PyErr_Clear();
    return ours;
}

static void put_frame(Span *s, PyFrameObject *frame, PyCodeObject *code) {
#if PY_VERSION_HEX >= 0x030b0000
    PyObject *name = code->co_qualname;
#else
    PyObject *name = code->co_name;
#endif

    span_put(s, "code.file.path", 14, code->co_filename);
    SPAN_PUT_INT(s, "code.line.number", PyFrame_GetLineNumber(frame));
    span_put(s, "code.function.name", 18, name);
}

void caller_put(Span *s) {
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */

    if (!frame || !span_recording(s))
        return;
    Py_INCREF(frame);
    for (unsigned i = 0; frame && i < CALLER_FRAMES_MAX; i++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        PyFrameObject *back;

        if (caller_is_application(code->co_filename)) {
            put_frame(s, frame, code);
            Py_DECREF(code);
            break;
        }
        Py_DECREF(code);
        back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
}
