/* See caller.h. Whether a file belongs to the application is decided once per file name. */
#include "caller.h"

#include <frameobject.h>

#include "module.h"

#define FILES_KNOWN_MAX 4096
#define GREENLETS_MAX 4 /* that are looked through, from the current one upwards */
#define PLACES 512      /* power of two */

static PyObject *files;   /* file name → True when it is the application's */
static PyObject *folders; /* tuple of str */
static PyObject *str_greenlet;

/* Places of the application that were put lately, encoded. A place keeps its code alive, so that no
 * other is taken for it. */
static struct place {
    PyCodeObject *code;
    int instruction;
    PyObject *attributes; /* bytes */
    uint16_t attributes_n;
} places[PLACES];

int caller_init(void) {
    files = PyDict_New();
    folders = PyTuple_New(0);
    str_greenlet = PyUnicode_InternFromString("greenlet");
    return files && folders && str_greenlet ? 0 : -ENOMEM;
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

static int instruction_of(PyFrameObject *frame) {
#if PY_VERSION_HEX >= 0x030b0000
    return PyFrame_GetLasti(frame);
#else
    return frame->f_lasti;
#endif
}

static void put_frame_anew(Span *s, PyFrameObject *frame, PyCodeObject *code) {
#if PY_VERSION_HEX >= 0x030b0000
    PyObject *name = code->co_qualname;
#else
    PyObject *name = code->co_name;
#endif

    span_put(s, "code.file.path", 14, code->co_filename);
    SPAN_PUT_INT(s, "code.line.number", PyFrame_GetLineNumber(frame));
    span_put(s, "code.function.name", 18, name);
}

static void put_frame(Span *s, PyFrameObject *frame, PyCodeObject *code) {
    int instruction = instruction_of(frame);
    struct place *p =
            &places[((uintptr_t) code / sizeof(void *) + (unsigned) instruction) % PLACES];
    size_t before = s->data.used;
    unsigned n = s->attributes_n;
    PyObject *bytes, *old_bytes, *old_code;

    if (p->code == code && p->instruction == instruction) {
        if (buf_append(&s->data, PyBytes_AS_STRING(p->attributes),
                       (size_t) PyBytes_GET_SIZE(p->attributes)) == 0)
            s->attributes_n = (uint16_t) (s->attributes_n + p->attributes_n);
        return;
    }
    put_frame_anew(s, frame, code);
    n = s->attributes_n - n;
    bytes = n == 3 ? PyBytes_FromStringAndSize(s->data.data + before,
                                               (Py_ssize_t) (s->data.used - before))
                   : NULL;
    if (!bytes)
        return PyErr_Clear();
    old_bytes = p->attributes;
    old_code = (PyObject *) p->code;
    Py_INCREF(code);
    *p = (struct place){code, instruction, bytes, (uint16_t) n};
    Py_XDECREF(old_bytes);
    Py_XDECREF(old_code);
}

/* Puts the innermost frame of the application among this one and those that called it; takes the
 * reference over. */
static bool put_from(Span *s, PyFrameObject *frame) {
    for (unsigned i = 0; frame && i < CALLER_FRAMES_MAX; i++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        bool found = caller_is_application(code->co_filename);
        PyFrameObject *back;

        if (found)
            put_frame(s, frame, code);
        Py_DECREF(code);
        back = found ? NULL : PyFrame_GetBack(frame);
        Py_DECREF(frame);
        if (found)
            return true;
        frame = back;
    }
    Py_XDECREF(frame);
    return false;
}

/* Who switched to this greenlet: SQLAlchemy's asynchronous engines run their statements in one, and
 * the coroutine that waits stands in its parent. */
static void put_from_parents(Span *s) {
    PyObject *module, *greenlet, *frame;
    bool found = false;

    if (!str_greenlet || !(module = PyImport_GetModule(str_greenlet)))
        return;
    greenlet = PyObject_CallMethod(module, "getcurrent", NULL);
    Py_DECREF(module);
    for (int i = 0; i < GREENLETS_MAX && greenlet && greenlet != Py_None && !found; i++) {
        PyObject *parent = PyObject_GetAttrString(greenlet, "parent");
        Py_SETREF(greenlet, parent);
        frame = parent ? PyObject_GetAttrString(parent, "gr_frame") : NULL;
        if (frame && PyFrame_Check(frame))
            found = put_from(s, (PyFrameObject *) frame);
        else
            Py_XDECREF(frame);
    }
    Py_XDECREF(greenlet);
    PyErr_Clear();
}

void caller_put(Span *s) {
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */

    if (!frame || !span_recording(s))
        return;
    Py_INCREF(frame);
    if (!put_from(s, frame))
        put_from_parents(s);
}
