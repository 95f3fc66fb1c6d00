/* See glimpse.h. */
#include "glimpse.h"

#include <ctype.h>
#include <stdio.h>

#include "value.h"

static const char REDACTED[] = "***";

static void put(struct buf *b, const char *text) {
    buf_append(b, text, strlen(text));
}

/* Words that make a name secret wherever they stand in it. "key" and "auth" alone are too common
 * ("key" of a dictionary, "author"). */
static const char *const secret_words[] = {
        "password",    "passwd",      "passphrase", "secret",     "token",       "apikey",
        "api_key",     "accesskey",   "access_key", "privatekey", "private_key", "authorization",
        "cookie",      "credential",  "sessionid",  "session_id", "csrf",        "creditcard",
        "credit_card", "card_number", "cvv",        "signature",
};

bool glimpse_is_secret(const char *name, size_t size) {
    char lower[128];
    size_t n = 0;

    for (size_t i = 0; i < size && n < sizeof(lower) - 1; i++)
        lower[n++] = name[i] == '-' || name[i] == ' ' ? '_' : (char) tolower((uint8_t) name[i]);
    lower[n] = '\0';
    if (strcmp(lower, "pwd") == 0 || strcmp(lower, "auth") == 0)
        return true;
    for (size_t i = 0; i < sizeof(secret_words) / sizeof(*secret_words); i++)
        if (strstr(lower, secret_words[i]))
            return true;
    return false;
}

/* Also cloud access keys, and what follows "Bearer" or "Basic". */
bool glimpse_looks_secret(const char *text, size_t size) {
    static const char *const marks[] = {"eyJ", "-----BEGIN", "AKIA", "ghp_", "xox", "sk_live_"};

    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        size_t n = strlen(marks[i]);
        if (size >= n + 8 && memcmp(text, marks[i], n) == 0)
            return true;
    }
    return size > 14 &&
           (strncasecmp(text, "bearer ", 7) == 0 || strncasecmp(text, "basic ", 6) == 0);
}

static void put_text(struct buf *b, PyObject *text) {
    const char *p;
    size_t n, kept;
    PyObject *hold;
    char more[40];

    if (text_view(text, &p, &n, &hold) < 0) {
        put(b, "<str>");
        return;
    }
    if (glimpse_looks_secret(p, n)) {
        put(b, REDACTED);
        Py_XDECREF(hold);
        return;
    }
    kept = text_cut(p, n, GLIMPSE_TEXT_MAX);
    put(b, "'");
    buf_append(b, p, kept);
    if (kept < n) {
        snprintf(more, sizeof(more), "…' (%zd characters)", PyUnicode_GET_LENGTH(text));
        put(b, more);
    } else {
        put(b, "'");
    }
    Py_XDECREF(hold);
}

static void put_int(struct buf *b, PyObject *value) {
    char text[48];
    int overflow;
    long long small = PyLong_AsLongLongAndOverflow(value, &overflow);

    if (!overflow) {
        snprintf(text, sizeof(text), "%lld", small);
        put(b, text);
        return;
    }
    PyObject *o = PyObject_CallMethod((PyObject *) &PyLong_Type, "bit_length", "O", value);
    long bits = o ? PyLong_AsLong(o) : -1;
    Py_XDECREF(o);
    PyErr_Clear();
    if (bits < 0 || bits > GLIMPSE_INT_BITS_MAX) {
        snprintf(text, sizeof(text), "<int of %ld bits>", bits);
        put(b, text);
        return;
    }
    o = PyLong_Type.tp_repr(value);
    const char *p = o ? PyUnicode_AsUTF8(o) : NULL;
    put(b, p ? p : "<int>");
    Py_XDECREF(o);
}

static void put_type(struct buf *b, PyObject *value) {
    const char *name = Py_TYPE(value)->tp_name;

    buf_append(b, name, text_cut(name, strlen(name), GLIMPSE_TEXT_MAX));
}

static void put_value(struct buf *b, PyObject *value, int depth);

static void put_key(struct buf *b, PyObject *key, bool bare, bool *ret_secret) {
    const char *p;
    size_t n;
    PyObject *hold;

    *ret_secret = false;
    if (PyUnicode_Check(key) && text_view(key, &p, &n, &hold) == 0) {
        *ret_secret = glimpse_is_secret(p, n);
        if (bare) {
            buf_append(b, p, text_cut(p, n, GLIMPSE_TEXT_MAX));
            Py_XDECREF(hold);
            return;
        }
        Py_XDECREF(hold);
    }
    put_value(b, key, GLIMPSE_DEPTH_MAX);
}

/* Strong references are taken item by item: nothing here runs code of the application, but memory
 * pressure may collect garbage. */
static void put_items(struct buf *b, PyObject *dict, bool attributes, int depth) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int n = 0;
    bool secret;

    while (PyDict_Next(dict, &at, &key, &value)) {
        if (attributes && PyUnicode_Check(key) && PyUnicode_GET_LENGTH(key) > 1 &&
            PyUnicode_READ_CHAR(key, 0) == '_' && PyUnicode_READ_CHAR(key, 1) == '_')
            continue;
        if (n == GLIMPSE_ITEMS_MAX || b->used >= b->cap) {
            put(b, attributes ? " …" : ", …");
            break;
        }
        if (attributes)
            put(b, " ");
        else if (n)
            put(b, ", ");
        n++;
        Py_INCREF(key);
        Py_INCREF(value);
        put_key(b, key, attributes, &secret);
        put(b, attributes ? "=" : ": ");
        if (secret)
            put(b, REDACTED);
        else
            put_value(b, value, depth + 1);
        Py_DECREF(key);
        Py_DECREF(value);
    }
}

static void put_sequence(struct buf *b, PyObject *value, int depth) {
    bool tuple = PyTuple_Check(value);
    Py_ssize_t n = tuple ? PyTuple_GET_SIZE(value) : PyList_GET_SIZE(value);

    put(b, tuple ? "(" : "[");
    for (Py_ssize_t i = 0; i < n; i++) {
        if (i)
            put(b, ", ");
        if (i == GLIMPSE_ITEMS_MAX) {
            char more[40];
            snprintf(more, sizeof(more), "… %zd in all", n);
            put(b, more);
            break;
        }
        put_value(b, tuple ? PyTuple_GET_ITEM(value, i) : PyList_GET_ITEM(value, i), depth + 1);
    }
    put(b, tuple ? n == 1 ? ",)" : ")" : "]");
}

/* repr() of the standard library's own small types is harmless. */
static bool is_harmless(PyObject *value) {
    static const char *const names[] = {
            "datetime.datetime", "datetime.date",           "datetime.time", "datetime.timedelta",
            "decimal.Decimal",   "collections.OrderedDict", "range",         "slice",
            "complex",
    };
    const char *name = Py_TYPE(value)->tp_name;

    if (Py_TYPE(value)->tp_flags & Py_TPFLAGS_HEAPTYPE)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i]) == 0)
            return strcmp(name, "collections.OrderedDict") != 0;
    return false;
}

static void put_harmless(struct buf *b, PyObject *value) {
    PyObject *text = PyObject_Repr(value);
    const char *p = text ? PyUnicode_AsUTF8(text) : NULL;

    if (p)
        buf_append(b, p, text_cut(p, strlen(p), GLIMPSE_TEXT_MAX));
    else
        put_type(b, value);
    Py_XDECREF(text);
    PyErr_Clear();
}

/* <app.Order id=5 total=12.5>: the instance's own dictionary, read without its methods. */
static void put_instance(struct buf *b, PyObject *value, int depth) {
    PyObject *dict = NULL;

    put(b, "<");
    put_type(b, value);
    if (depth < GLIMPSE_DEPTH_MAX && Py_TYPE(value)->tp_getattro == PyObject_GenericGetAttr &&
        Py_TYPE(value)->tp_flags & Py_TPFLAGS_HEAPTYPE)
        dict = PyObject_GenericGetDict(value, NULL);
    if (dict && PyDict_CheckExact(dict))
        put_items(b, dict, true, depth);
    Py_XDECREF(dict);
    put(b, ">");
    PyErr_Clear();
}

static void put_described(struct buf *b, PyObject *value) {
    char text[64];

    if (PyBytes_CheckExact(value))
        snprintf(text, sizeof(text), "<%zd bytes>", PyBytes_GET_SIZE(value));
    else if (PyByteArray_CheckExact(value))
        snprintf(text, sizeof(text), "<bytearray of %zd bytes>", PyByteArray_GET_SIZE(value));
    else
        snprintf(text, sizeof(text), "<%s of %zd>",
                 Py_IS_TYPE(value, &PySet_Type) ? "set" : "frozenset", PySet_GET_SIZE(value));
    put(b, text);
}

static void put_value(struct buf *b, PyObject *value, int depth) {
    if (b->used >= b->cap)
        return;
    if (value == NULL || value == Py_None) {
        put(b, "None");
    } else if (PyBool_Check(value)) {
        put(b, value == Py_True ? "True" : "False");
    } else if (PyLong_Check(value)) {
        put_int(b, value);
    } else if (PyUnicode_Check(value)) {
        put_text(b, value);
    } else if (PyFloat_CheckExact(value) || is_harmless(value)) {
        put_harmless(b, value);
    } else if (PyBytes_CheckExact(value) || PyByteArray_CheckExact(value) ||
               PyAnySet_CheckExact(value)) {
        put_described(b, value);
    } else if (depth >= GLIMPSE_DEPTH_MAX) {
        put(b, PyDict_Check(value) ? "{…}" : PyList_Check(value) ? "[…]" : "<");
        if (!PyDict_Check(value) && !PyList_Check(value)) {
            put_type(b, value);
            put(b, ">");
        }
    } else if (PyDict_CheckExact(value)) {
        put(b, "{");
        put_items(b, value, false, depth);
        put(b, "}");
    } else if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) {
        put_sequence(b, value, depth);
    } else {
        put_instance(b, value, depth);
    }
}

void glimpse_put(struct buf *b, PyObject *value) {
    char storage[GLIMPSE_BYTES_MAX];
    struct buf one;

    buf_init(&one, storage, sizeof(storage), GLIMPSE_BYTES_MAX - 4);
    put_value(&one, value, 0);
    json_text(b, one.data, one.used);
    buf_done(&one);
    PyErr_Clear();
}

/* ---- JSON ---- */

/* Length of the valid UTF-8 character at p, or 0. Surrogates were written by text_view(): no. */
static size_t character(const char *p, size_t n) {
    uint8_t c = (uint8_t) *p;
    size_t k = c < 0x80                ? 1
               : c >= 0xc2 && c < 0xe0 ? 2
               : (c & 0xf0) == 0xe0    ? 3
               : c >= 0xf0 && c < 0xf5 ? 4
                                       : 0;

    if (k == 0 || k > n)
        return 0;
    for (size_t i = 1; i < k; i++)
        if (((uint8_t) p[i] & 0xc0) != 0x80)
            return 0;
    return k;
}

static void put_escaped(struct buf *b, char c) {
    char text[8];

    if (c == '"' || c == '\\')
        snprintf(text, sizeof(text), "\\%c", c);
    else if (c == '\n')
        snprintf(text, sizeof(text), "\\n");
    else
        snprintf(text, sizeof(text), "\\u%04x", (uint8_t) c);
    put(b, text);
}

void json_text(struct buf *b, const char *text, size_t size) {
    size_t from = 0, i = 0;

    put(b, "\"");
    while (i < size) {
        size_t k = character(text + i, size - i);
        bool plain = k > 0 && (uint8_t) text[i] >= 0x20 && text[i] != '"' && text[i] != '\\';
        if (plain) {
            i += k;
            continue;
        }
        buf_append(b, text + from, i - from);
        if (k == 0)
            put(b, "\xef\xbf\xbd");
        else
            put_escaped(b, text[i]);
        from = ++i;
    }
    buf_append(b, text + from, size - from);
    put(b, "\"");
}

void json_object_text(struct buf *b, PyObject *text) {
    const char *p;
    size_t n;
    PyObject *hold;

    if (!text || !PyUnicode_Check(text) || text_view(text, &p, &n, &hold) < 0) {
        put(b, "\"?\"");
        return;
    }
    json_text(b, p, text_cut(p, n, 1024));
    Py_XDECREF(hold);
}
