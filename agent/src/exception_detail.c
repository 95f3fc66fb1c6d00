/* See exception_detail.h. */
#include "exception_detail.h"

#include <frameobject.h>
#include <stdio.h>

#include "caller.h"
#include "glimpse.h"

#define KIND_BITS 12 /* of the limiter's slots, by hash of type and place */

bool exception_locals = true;

static PyObject *get_line; /* linecache.getline */

/* ---- Storms ---- */

static struct {
    uint64_t minute;
    uint8_t seen[1 << KIND_BITS];
} limiter;

static PyTracebackObject *last_of(PyObject *traceback) {
    PyTracebackObject *tb = (PyTracebackObject *) traceback;

    while (tb && tb->tb_next)
        tb = tb->tb_next;
    return tb;
}

static bool admit(PyObject *exception) {
    PyObject *traceback = PyException_GetTraceback(exception);
    PyTracebackObject *last = last_of(traceback);
    uint64_t minute = clock_monotonic_ns() / 60000000000u, h = (uintptr_t) Py_TYPE(exception);

    if (last) {
        PyCodeObject *code = PyFrame_GetCode(last->tb_frame);
        h ^= (uintptr_t) code * 31u + (uint64_t) last->tb_lasti;
        Py_DECREF(code);
    }
    Py_XDECREF(traceback);
    h *= 0x9e3779b97f4a7c15u;
    if (limiter.minute != minute) {
        memset(limiter.seen, 0, sizeof(limiter.seen));
        limiter.minute = minute;
    }
    uint8_t *seen = &limiter.seen[h >> (64 - KIND_BITS)];
    if (*seen >= DETAIL_PER_MINUTE)
        return false;
    ++*seen;
    return true;
}

/* ---- Frames ---- */

static void put(struct buf *b, const char *text) {
    buf_append(b, text, strlen(text));
}

static void put_number(struct buf *b, const char *key, long number) {
    char text[64];

    snprintf(text, sizeof(text), "\"%s\": %ld", key, number);
    put(b, text);
}

static int line_of(PyTracebackObject *tb, PyCodeObject *code) {
    int line = tb->tb_lineno;

#if PY_VERSION_HEX >= 0x030b0000
    if (line < 0)
        line = PyCode_Addr2Line(code, tb->tb_lasti);
#endif
    return line;
}

static PyObject *source_line(PyObject *file, int line) {
    PyObject *text = line > 0 ? PyObject_CallFunction(get_line, "Oi", file, line) : NULL;

    PyErr_Clear();
    if (text && (!PyUnicode_Check(text) || PyUnicode_GET_LENGTH(text) == 0))
        Py_CLEAR(text);
    return text;
}

static void put_source(struct buf *b, PyObject *file, int line) {
    int n = 0;

    if (!get_line) {
        PyObject *module = PyImport_ImportModule("linecache");
        get_line = module ? PyObject_GetAttrString(module, "getline") : NULL;
        Py_XDECREF(module);
        PyErr_Clear();
    }
    for (int i = line - DETAIL_CONTEXT_LINES; get_line && i <= line + DETAIL_CONTEXT_LINES; i++) {
        PyObject *text = source_line(file, i);
        const char *p;
        size_t size;
        PyObject *hold;
        if (!text)
            continue;
        if (n++ == 0) {
            put(b, ", ");
            put_number(b, "first", i);
            put(b, ", \"source\": [");
        } else {
            put(b, ", ");
        }
        if (text_view(text, &p, &size, &hold) == 0) {
            while (size && (p[size - 1] == '\n' || p[size - 1] == '\r'))
                size--;
            json_text(b, p, text_cut(p, size, 300));
            Py_XDECREF(hold);
        } else {
            put(b, "\"\"");
        }
        Py_DECREF(text);
    }
    if (n)
        put(b, "]");
}

/* The frame's variables as a dictionary: new reference or NULL. */
static PyObject *locals_of(PyFrameObject *frame) {
    PyObject *locals, *dict;

#if PY_VERSION_HEX >= 0x030b0000
    locals = PyFrame_GetLocals(frame);
#else
    locals = PyObject_GetAttrString((PyObject *) frame, "f_locals");
#endif
    if (locals && !PyDict_CheckExact(locals)) { /* 3.13 gives a view */
        dict = PyDict_New();
        if (dict && PyDict_Update(dict, locals) < 0)
            Py_CLEAR(dict);
        Py_SETREF(locals, dict);
    }
    PyErr_Clear();
    return locals;
}

static bool is_boring(PyObject *key, PyObject *value) {
    return !PyUnicode_Check(key) || PyModule_Check(value) || PyFunction_Check(value) ||
           PyType_Check(value) ||
           (PyUnicode_GET_LENGTH(key) > 1 && PyUnicode_READ_CHAR(key, 0) == '_' &&
            PyUnicode_READ_CHAR(key, 1) == '_');
}

static void put_variables(struct buf *b, PyFrameObject *frame) {
    PyObject *locals = locals_of(frame), *key, *value;
    Py_ssize_t at = 0;
    int n = 0;

    while (locals && PyDict_Next(locals, &at, &key, &value) && n < DETAIL_VARIABLES_MAX) {
        const char *p;
        size_t size;
        PyObject *hold;
        if (is_boring(key, value) || text_view(key, &p, &size, &hold) < 0)
            continue;
        put(b, n++ ? ", " : ", \"variables\": {");
        json_text(b, p, text_cut(p, size, 100));
        put(b, ": ");
        if (glimpse_is_secret(p, size))
            put(b, "\"***\"");
        else
            glimpse_put(b, value);
        Py_XDECREF(hold);
    }
    if (n)
        put(b, "}");
    Py_XDECREF(locals);
}

static void put_frame(struct buf *b, PyTracebackObject *tb, bool sourced) {
    PyCodeObject *code = PyFrame_GetCode(tb->tb_frame);
    int line = line_of(tb, code);
    bool own = caller_is_application(code->co_filename);

    put(b, "{\"file\": ");
    json_object_text(b, code->co_filename);
    put(b, ", \"function\": ");
#if PY_VERSION_HEX >= 0x030b0000
    json_object_text(b, code->co_qualname);
#else
    json_object_text(b, code->co_name);
#endif
    put(b, ", ");
    put_number(b, "line", line);
    put(b, own ? ", \"own\": true" : ", \"own\": false");
    if (sourced) {
        put_source(b, code->co_filename, line);
        if (exception_locals)
            put_variables(b, tb->tb_frame);
    }
    put(b, "}");
    Py_DECREF(code);
}

/* Frames of our own hooks explain nothing. Returns whether it is one of the others; `ret_own` is
 * whether it is the application's. */
static bool look_at(PyTracebackObject *tb, bool *ret_own) {
    PyCodeObject *code = PyFrame_GetCode(tb->tb_frame);
    bool shown = !exception_is_hook(code);

    *ret_own = shown && caller_is_application(code->co_filename);
    Py_DECREF(code);
    return shown;
}

/* Outermost first, as Python prints them. What is cut is cut from the outer end. */
static void put_frames(struct buf *b, PyObject *traceback) {
    PyTracebackObject *tb;
    unsigned n = 0, own = 0, i = 0, cut;
    bool is_own;

    for (tb = (PyTracebackObject *) traceback; tb; tb = tb->tb_next) {
        n += look_at(tb, &is_own);
        own += is_own;
    }
    cut = n > DETAIL_FRAMES_MAX ? n - DETAIL_FRAMES_MAX : 0;
    put(b, ", ");
    put_number(b, "left_out", (long) cut);
    put(b, ", \"frames\": [");
    for (tb = (PyTracebackObject *) traceback; tb; tb = tb->tb_next) {
        if (!look_at(tb, &is_own))
            continue;
        bool sourced = is_own && own <= DETAIL_SOURCED_MAX;
        own -= is_own;
        if (i++ < cut)
            continue;
        if (i > cut + 1)
            put(b, ", ");
        put_frame(b, tb, sourced);
    }
    put(b, "]");
}

/* ---- Chains and groups ---- */

struct node {
    PyObject *exception; /* strong */
    int parent;          /* index, or -1 */
    const char *relation;
};

static void add(struct node *nodes, int *n, PyObject *exception, int parent, const char *relation) {
    for (int i = 0; exception && i < *n; i++)
        if (nodes[i].exception == exception)
            Py_CLEAR(exception);
    if (exception && *n < DETAIL_EXCEPTIONS_MAX)
        nodes[(*n)++] = (struct node){exception, parent, relation};
    else
        Py_XDECREF(exception);
}

static void add_members(struct node *nodes, int *n, int at) {
#if PY_VERSION_HEX >= 0x030b0000
    PyObject *members;

    if (!PyObject_TypeCheck(nodes[at].exception, (PyTypeObject *) PyExc_BaseExceptionGroup))
        return;
    members = ((PyBaseExceptionGroupObject *) nodes[at].exception)->excs;
    for (Py_ssize_t i = 0; members && PyTuple_Check(members) && i < PyTuple_GET_SIZE(members);
         i++) {
        PyObject *member = PyTuple_GET_ITEM(members, i);
        Py_INCREF(member);
        add(nodes, n, member, at, "member");
    }
#else
    (void) nodes;
    (void) n;
    (void) at;
#endif
}

static int gather(PyObject *exception, struct node *nodes) {
    int n = 0;

    Py_INCREF(exception);
    add(nodes, &n, exception, -1, "");
    for (int i = 0; i < n; i++) {
        PyObject *cause = PyException_GetCause(nodes[i].exception);
        if (cause)
            add(nodes, &n, cause, i, "cause");
        else if (!((PyBaseExceptionObject *) nodes[i].exception)->suppress_context)
            add(nodes, &n, PyException_GetContext(nodes[i].exception), i, "context");
        add_members(nodes, &n, i);
    }
    return n;
}

/* What add_note() has added. */
static void put_notes(struct buf *b, PyObject *exception) {
    PyObject *dict = ((PyBaseExceptionObject *) exception)->dict; /* no code of its class runs */
    PyObject *notes = dict ? PyDict_GetItemString(dict, "__notes__") : NULL;
    int n = 0;

    Py_XINCREF(notes);
    for (Py_ssize_t i = 0;
         notes && PyList_CheckExact(notes) && i < PyList_GET_SIZE(notes) && n < DETAIL_NOTES_MAX;
         i++) {
        PyObject *note = PyList_GET_ITEM(notes, i);
        if (!PyUnicode_Check(note))
            continue;
        put(b, n++ ? ", " : ", \"notes\": [");
        json_object_text(b, note);
    }
    if (n)
        put(b, "]");
    Py_XDECREF(notes);
    PyErr_Clear();
}

static void put_node(struct buf *b, const struct node *node) {
    PyObject *name = exception_type_name(node->exception), *hold;
    PyObject *traceback = PyException_GetTraceback(node->exception);
    const char *p;
    size_t size;

    put(b, "{\"type\": ");
    json_object_text(b, name);
    put(b, ", \"message\": ");
    text_of(node->exception, &p, &size, &hold);
    json_text(b, p, text_cut(p, size, 2000));
    Py_XDECREF(hold);
    if (node->parent >= 0) {
        put(b, ", ");
        put_number(b, "of", node->parent);
        put(b, ", \"relation\": \"");
        put(b, node->relation);
        put(b, "\"");
    }
    put_notes(b, node->exception);
    put_frames(b, traceback);
    put(b, "}");
    Py_XDECREF(traceback);
    Py_XDECREF(name);
}

bool exception_detail_put(struct buf *b, unsigned tag, PyObject *exception) {
    static const char key[] = "varan.exception.detail";
    struct node nodes[DETAIL_EXCEPTIONS_MAX];
    char storage[4096];
    struct buf text;
    uint32_t whole = 0;
    int n, r;

    if (!admit(exception))
        return false;
    n = gather(exception, nodes);
    buf_init(&text, storage, sizeof(storage), DETAIL_BYTES_MAX);
    put(&text, "[");
    for (int i = 0; i < n; i++) {
        if (i)
            put(&text, ", ");
        put_node(&text, &nodes[i]);
        /* One that did not fit has filled the buffer: keep what was whole before. */
        if (text.cap - text.used < GLIMPSE_BYTES_MAX)
            break;
        whole = text.used;
    }
    for (int i = 0; i < n; i++)
        Py_DECREF(nodes[i].exception);
    text.used = whole;
    put(&text, "]");
    r = whole ? PUT_STRING(b, tag, key, text.data, text.used) : -ENOSPC;
    buf_done(&text);
    PyErr_Clear();
    return r == 0;
}
