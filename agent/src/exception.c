/* Exceptions as attributes: exception.type, exception.message, exception.stacktrace, and the detail
 * of exception_detail.c. The trace is
 * written here in the interpreter's usual form; the traceback module takes ten times as long. */
#include "exception_detail.h"
#include "span.h"

#include <frameobject.h>
#include <stdio.h>

#define TRACE_BYTES_MAX (64u << 10)
#define FRAMES_MAX 100 /* of one exception: the outermost and the innermost halves */
#define CHAIN_MAX 8

static PyObject *get_line; /* linecache.getline */

static int put_text(struct buf *b, const char *text) {
    return buf_append(b, text, strlen(text));
}

static int put_object(struct buf *b, PyObject *o) {
    const char *text;
    size_t n;
    PyObject *hold;
    int r;

    if (!o)
        return put_text(b, "?");
    text_of(o, &text, &n, &hold);
    r = buf_append(b, text, text_cut(text, n, 8192));
    Py_XDECREF(hold);
    return r;
}

PyObject *exception_type_name(PyObject *exception) {
    PyObject *type = (PyObject *) Py_TYPE(exception);
    PyObject *module = PyObject_GetAttrString(type, "__module__");
    PyObject *name = PyObject_GetAttrString(type, "__qualname__"), *whole = NULL;

    if (name && PyUnicode_Check(name)) {
        if (!module || !PyUnicode_Check(module) ||
            PyUnicode_CompareWithASCIIString(module, "builtins") == 0 ||
            PyUnicode_CompareWithASCIIString(module, "__main__") == 0) {
            whole = name;
            Py_INCREF(whole);
        } else {
            whole = PyUnicode_FromFormat("%U.%U", module, name);
        }
    }
    Py_XDECREF(module);
    Py_XDECREF(name);
    PyErr_Clear();
    return whole;
}

static void put_source(struct buf *b, PyObject *file, int line) {
    PyObject *text;
    const char *p;
    size_t n;
    PyObject *hold;

    if (!get_line) {
        PyObject *module = PyImport_ImportModule("linecache");
        get_line = module ? PyObject_GetAttrString(module, "getline") : NULL;
        Py_XDECREF(module);
    }
    text = get_line ? PyObject_CallFunction(get_line, "Oi", file, line) : NULL;
    if (text && PyUnicode_Check(text) && text_view(text, &p, &n, &hold) == 0) {
        while (n && (*p == ' ' || *p == '\t' || *p == '\f')) {
            p++;
            n--;
        }
        while (n && (p[n - 1] == '\n' || p[n - 1] == ' ' || p[n - 1] == '\r'))
            n--;
        if (n) {
            put_text(b, "    ");
            buf_append(b, p, text_cut(p, n, 400));
            put_text(b, "\n");
        }
        Py_XDECREF(hold);
    }
    Py_XDECREF(text);
    PyErr_Clear();
}

/* Frames of our own hooks explain nothing. */
bool exception_is_hook(PyCodeObject *code) {
    const char *text;
    size_t n;
    PyObject *hold;
    bool ours;

    if (text_view(code->co_filename, &text, &n, &hold) < 0)
        return false;
    ours = memmem(text, n, "/varan/hooks/", 13) != NULL;
    Py_XDECREF(hold);
    return ours;
}

static void put_frame(struct buf *b, PyTracebackObject *tb) {
    PyCodeObject *code = PyFrame_GetCode(tb->tb_frame);
    int line = tb->tb_lineno;
    char text[32];

    if (exception_is_hook(code)) {
        Py_DECREF(code);
        return;
    }
#if PY_VERSION_HEX >= 0x030b0000
    if (line < 0)
        line = PyCode_Addr2Line(code, tb->tb_lasti);
#endif
    put_text(b, "  File \"");
    put_object(b, code->co_filename);
    snprintf(text, sizeof(text), "\", line %d, in ", line);
    put_text(b, text);
#if PY_VERSION_HEX >= 0x030b0000
    put_object(b, code->co_qualname);
#else
    put_object(b, code->co_name);
#endif
    put_text(b, "\n");
    put_source(b, code->co_filename, line);
    Py_DECREF(code);
}

static void put_frames(struct buf *b, PyObject *traceback) {
    PyTracebackObject *tb;
    unsigned n = 0, i = 0;

    for (tb = (PyTracebackObject *) traceback; tb; tb = tb->tb_next)
        n++;
    for (tb = (PyTracebackObject *) traceback; tb; tb = tb->tb_next, i++) {
        if (n > FRAMES_MAX && i >= FRAMES_MAX / 2 && i < n - FRAMES_MAX / 2) {
            if (i == FRAMES_MAX / 2) {
                char text[64];
                snprintf(text, sizeof(text), "  [%u frames left out]\n", n - FRAMES_MAX);
                put_text(b, text);
            }
            continue;
        }
        put_frame(b, tb);
    }
}

/* Type, message and notes: the last lines. */
static void put_message(struct buf *b, PyObject *exception) {
    PyObject *name = exception_type_name(exception), *notes, *hold;
    const char *text;
    size_t n;

    put_object(b, name);
    Py_XDECREF(name);
    text_of(exception, &text, &n, &hold);
    if (n) {
        put_text(b, ": ");
        buf_append(b, text, text_cut(text, n, 8192));
    }
    Py_XDECREF(hold);
    put_text(b, "\n");
    notes = PyObject_GetAttrString(exception, "__notes__");
    if (notes && PyList_Check(notes))
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(notes) && i < 20; i++) {
            put_object(b, PyList_GET_ITEM(notes, i));
            put_text(b, "\n");
        }
    Py_XDECREF(notes);
    PyErr_Clear();
}

/* The exception that comes before this one in the output, and the sentence between them. New
 * reference or NULL. */
static PyObject *earlier(PyObject *exception, const char **ret_between) {
    PyObject *e = PyException_GetCause(exception);

    if (e) {
        *ret_between = "\nThe above exception was the direct cause of the following exception:\n\n";
        return e;
    }
    if (((PyBaseExceptionObject *) exception)->suppress_context)
        return NULL;
    *ret_between = "\nDuring handling of the above exception, another exception occurred:\n\n";
    return PyException_GetContext(exception);
}

static void put_chain(struct buf *b, PyObject *exception) {
    PyObject *chain[CHAIN_MAX];
    const char *between[CHAIN_MAX];
    int n = 0;

    Py_INCREF(exception);
    for (PyObject *e = exception; e && n < CHAIN_MAX;) {
        bool seen = false;
        for (int i = 0; i < n; i++)
            seen = seen || chain[i] == e;
        if (seen) {
            Py_DECREF(e);
            break;
        }
        chain[n++] = e;
        between[n - 1] = "";
        e = n < CHAIN_MAX ? earlier(chain[n - 1], &between[n - 1]) : NULL;
    }
    while (n--) {
        PyObject *tb = PyException_GetTraceback(chain[n]);
        if (tb) {
            put_text(b, "Traceback (most recent call last):\n");
            put_frames(b, tb);
            Py_DECREF(tb);
        }
        put_message(b, chain[n]);
        if (n)
            put_text(b, between[n - 1]);
        Py_DECREF(chain[n]);
    }
}

/* Groups have a form of their own: leave them to the standard library. */
static bool put_group(struct buf *b, PyObject *exception) {
#if PY_VERSION_HEX >= 0x030b0000
    PyObject *module, *lines, *empty, *text = NULL;

    if (!PyObject_IsInstance(exception, PyExc_BaseExceptionGroup))
        return false;
    module = PyImport_ImportModule("traceback");
    lines = module ? PyObject_CallMethod(module, "format_exception", "O", exception) : NULL;
    empty = PyUnicode_FromString("");
    if (lines && empty)
        text = PyUnicode_Join(empty, lines);
    if (text) {
        const char *p;
        size_t n;
        PyObject *hold;
        if (text_view(text, &p, &n, &hold) == 0) {
            buf_append(b, p, text_cut(p, n, TRACE_BYTES_MAX));
            Py_XDECREF(hold);
        }
    }
    Py_XDECREF(text);
    Py_XDECREF(empty);
    Py_XDECREF(lines);
    Py_XDECREF(module);
    PyErr_Clear();
    return b->used != 0;
#else
    (void) b;
    (void) exception;
    return false;
#endif
}

static int put_trace(struct buf *b, unsigned tag, PyObject *exception, PyObject *ready) {
    char storage[4096];
    const char *text;
    size_t n;
    struct buf trace;
    int r;

    buf_init(&trace, storage, sizeof(storage), TRACE_BYTES_MAX);
    if (ready && PyUnicode_Check(ready) && PyUnicode_GET_LENGTH(ready) > 0)
        put_object(&trace, ready);
    else if (!put_group(&trace, exception))
        put_chain(&trace, exception);
    text = trace.data;
    n = trace.used;
    if (n > value_length_max) { /* the end tells the most */
        text += n - value_length_max;
        n = value_length_max;
        while (n && *text != '\n') {
            text++;
            n--;
        }
    }
    r = PUT_STRING(b, tag, "exception.stacktrace", text, n);
    buf_done(&trace);
    return r;
}

int exception_put(struct buf *b, unsigned tag, PyObject *exception, PyObject *ready_trace,
                  unsigned *n) {
    PyObject *name = exception_type_name(exception), *hold;
    const char *text;
    size_t size;
    int r = -ENOMEM;

    if (name && text_view(name, &text, &size, &hold) == 0) {
        r = PUT_STRING(b, tag, "exception.type", text, size);
        Py_XDECREF(hold);
    }
    Py_XDECREF(name);
    if (r < 0)
        return r;
    text_of(exception, &text, &size, &hold);
    r = PUT_STRING(b, tag, "exception.message", text, value_cut(text, size));
    Py_XDECREF(hold);
    if (r < 0)
        return r;
    *n += 2;
    if (put_trace(b, tag, exception, ready_trace) == 0)
        ++*n;
    if (exception_detail_put(b, tag, exception))
        ++*n;
    return 0;
}
