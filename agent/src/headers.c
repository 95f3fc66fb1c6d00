/* The headers of a request that fails, as attributes of its span: http.request.header.NAME, a list
 * of values as the conventions say. What is secret by its name or its look is left out. GIL held.
 */
#include "args.h"
#include "glimpse.h"
#include "server.h"

#define HEADERS_MAX 32
#define HEADER_NAME_MAX 64 /* bytes; longer ones are left out */
#define HEADER_VALUE_MAX 256

bool error_headers = true;

static const char prefix[] = "http.request.header.";

/* Attributes of their own, or of no use to people. */
static bool is_known(const char *name, size_t n) {
    static const char *const known[] = {"host",    "user-agent",     "traceparent", "tracestate",
                                        "baggage", "content-length", "connection"};

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strlen(known[i]) == n && memcmp(name, known[i], n) == 0)
            return true;
    return false;
}

/* CGI's HTTP_X_NAME and HTTP's X-Name → x-name. */
static void lower(char *to, const char *name, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char) (c + 32) : c == '_' ? '-' : c;
    }
}

static bool put(Span *s, const char *name, size_t name_n, const char *value, size_t value_n) {
    char key_text[sizeof(prefix) + HEADER_NAME_MAX];
    size_t n = sizeof(prefix) - 1;
    PyObject *key, *text, *list;

    if (name_n == 0 || name_n > HEADER_NAME_MAX)
        return false;
    memcpy(key_text, prefix, n);
    lower(key_text + n, name, name_n);
    if (is_known(key_text + n, name_n))
        return false;
    if (glimpse_is_secret(key_text + n, name_n) || glimpse_looks_secret(value, value_n)) {
        value = "***";
        value_n = 3;
    }
    key = PyUnicode_DecodeUTF8(key_text, (Py_ssize_t) (n + name_n), "replace");
    text = PyUnicode_DecodeUTF8(value, (Py_ssize_t) text_cut(value, value_n, HEADER_VALUE_MAX),
                                "replace");
    list = text ? PyList_New(1) : NULL;
    if (list) {
        PyList_SET_ITEM(list, 0, text);
        text = NULL;
    }
    if (key && list)
        span_set(s, key, list);
    Py_XDECREF(key);
    Py_XDECREF(text);
    Py_XDECREF(list);
    PyErr_Clear();
    return true;
}

static void put_environ(Span *s, PyObject *environ) {
    PyObject *keys = PyDict_Keys(environ);
    int found = 0;

    for (Py_ssize_t i = 0; keys && i < PyList_GET_SIZE(keys) && found < HEADERS_MAX; i++) {
        PyObject *key = PyList_GET_ITEM(keys, i), *value, *hold_key, *hold;
        const char *name, *text;
        size_t n, text_n;
        if (!PyUnicode_CheckExact(key) || text_view(key, &name, &n, &hold_key) < 0)
            continue;
        bool plain = n == 12 && memcmp(name, "CONTENT_TYPE", 12) == 0;
        value = plain || (n > 5 && memcmp(name, "HTTP_", 5) == 0)
                        ? PyDict_GetItemWithError(environ, key)
                        : NULL;
        if (value && PyUnicode_CheckExact(value) && text_view(value, &text, &text_n, &hold) == 0) {
            found += put(s, plain ? name : name + 5, plain ? n : n - 5, text, text_n);
            Py_XDECREF(hold);
        }
        Py_XDECREF(hold_key);
    }
    Py_XDECREF(keys);
    PyErr_Clear();
}

/* Bytes of a header's name or value: ASGI has bytes, others str. */
static bool view(PyObject *o, const char **ret, size_t *ret_n, PyObject **hold) {
    *hold = NULL;
    if (PyBytes_CheckExact(o)) {
        *ret = PyBytes_AS_STRING(o);
        *ret_n = (size_t) PyBytes_GET_SIZE(o);
        return true;
    }
    return PyUnicode_CheckExact(o) && text_view(o, ret, ret_n, hold) == 0;
}

static void put_pairs(Span *s, PyObject *pairs) {
    PyObject *list = PySequence_List(pairs);
    int found = 0;

    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(list) && found < HEADERS_MAX; i++) {
        PyObject *pair = PySequence_Tuple(PyList_GET_ITEM(list, i)), *hold_name, *hold;
        const char *name, *value;
        size_t n, value_n;
        if (pair && PyTuple_GET_SIZE(pair) == 2 &&
            view(PyTuple_GET_ITEM(pair, 0), &name, &n, &hold_name)) {
            if (view(PyTuple_GET_ITEM(pair, 1), &value, &value_n, &hold)) {
                found += put(s, name, n, value, value_n);
                Py_XDECREF(hold);
            }
            Py_XDECREF(hold_name);
        }
        Py_XDECREF(pair);
        PyErr_Clear();
    }
    Py_XDECREF(list);
    PyErr_Clear();
}

void headers_put(Span *s, PyObject *request) {
    if (!error_headers || !span_recording(s) || (s->flags & SPAN_HEADERS))
        return;
    s->flags |= SPAN_HEADERS;
    if (PyDict_Check(request))
        put_environ(s, request);
    else
        put_pairs(s, request);
}

static PyObject *note_headers(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    if (!args_count("note_headers", n, 2, 2))
        return NULL;
    if (span_check(args[0]))
        headers_put((Span *) args[0], args[1]);
    Py_RETURN_NONE;
}

static PyObject *set_error_headers(PyObject *module, PyObject *on) {
    error_headers = PyObject_IsTrue(on) == 1;
    Py_RETURN_NONE;
}

PyMethodDef headers_functions[] = {
        {"note_headers", (PyCFunction) (void (*)(void)) note_headers, METH_FASTCALL,
         "note_headers(span, headers): those of a request that fails; a WSGI environ, or pairs."},
        {"set_error_headers", set_error_headers, METH_O, "set_error_headers(on)"},
        {NULL},
};
