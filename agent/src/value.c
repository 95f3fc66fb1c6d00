/* See value.h. */
#include "value.h"

#include "runtime.h"

#include <stdio.h>

#define CAP_NESTED (64u << 10)

uint32_t value_length_max = VALUE_LENGTH_DEFAULT, value_length_sure = VALUE_LENGTH_DEFAULT;

int text_view_any(PyObject *str, const char **ret, size_t *ret_n, PyObject **hold) {
    Py_ssize_t n;
    const char *text;

    *hold = NULL;
    if (__builtin_expect(!PyUnicode_Check(str), 0))
        return -EINVAL;
    if (PyUnicode_READY(str) < 0) {
        PyErr_Clear();
        return -ENOMEM;
    }
    if (PyUnicode_IS_COMPACT_ASCII(str)) {
        *ret = (const char *) PyUnicode_1BYTE_DATA(str);
        *ret_n = (size_t) PyUnicode_GET_LENGTH(str);
        return 0;
    }
    text = PyUnicode_AsUTF8AndSize(str, &n);
    if (!text) {
        PyErr_Clear();
        *hold = PyUnicode_AsEncodedString(str, "utf-8", "backslashreplace");
        if (!*hold) {
            PyErr_Clear();
            return -ENOMEM;
        }
        text = PyBytes_AS_STRING(*hold);
        n = PyBytes_GET_SIZE(*hold);
    }
    *ret = text;
    *ret_n = (size_t) n;
    return 0;
}

void text_of(PyObject *object, const char **ret, size_t *ret_n, PyObject **hold) {
    PyObject *text;

    *hold = NULL;
    if (PyUnicode_Check(object)) {
        if (text_view(object, ret, ret_n, hold) == 0)
            return;
    } else {
        text = PyObject_Str(object);
        if (text && text_view(text, ret, ret_n, hold) == 0) {
            if (*hold) {
                Py_DECREF(text);
            } else {
                *hold = text;
            }
            return;
        }
        Py_XDECREF(text);
        PyErr_Clear();
    }
    *hold = PyBytes_FromFormat("<%.200s>", Py_TYPE(object)->tp_name);
    *ret = "<?>";
    *ret_n = 3;
    if (!*hold) {
        PyErr_Clear();
        return;
    }
    *ret = PyBytes_AS_STRING(*hold);
    *ret_n = (size_t) PyBytes_GET_SIZE(*hold);
}

/* What the calling thread makes, a span or a log record, has its own limit. */
static size_t length_max(void) {
    uint32_t of_record = thread_state_self.length_max;

    return of_record ? of_record - 1 : value_length_max;
}

size_t value_cut_long(const char *text, size_t n) {
    size_t left = length_max();

    if (n <= left)
        return n;
    n = text_cut(text, n, VALUE_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        if (((unsigned char) text[i] & 0xc0) != 0x80 && left-- == 0)
            return i;
    return n;
}

static int encode_text(struct buf *b, PyObject *object) {
    const char *text;
    size_t n;
    PyObject *hold;
    int r;

    text_of(object, &text, &n, &hold);
    r = pb_put_bytes(b, ANY_STRING, text, value_cut(text, n));
    Py_XDECREF(hold);
    return r;
}

static int encode_int(struct buf *b, PyObject *value) {
    int overflow;
    long long v = PyLong_AsLongLongAndOverflow(value, &overflow);
    char text[64];
    int n;

    if (!overflow && !(v == -1 && PyErr_Occurred()))
        return pb_put_varint(b, ANY_INT, (uint64_t) v);
    PyErr_Clear();
    /* Converting thousands of digits takes time, and newer Pythons refuse: keep the sign and the
     * size. */
    if (_PyLong_NumBits(value) <= 512)
        return encode_text(b, value);
    n = snprintf(text, sizeof(text), "<%sint of %zu bits>", overflow < 0 ? "negative " : "",
                 (size_t) _PyLong_NumBits(value));
    return pb_put_bytes(b, ANY_STRING, text, (size_t) n);
}

static int encode_sequence(struct buf *b, PyObject *list, int depth) {
    uint32_t array = pb_open(b, ANY_ARRAY);
    int r = 0;

    if (array == UINT32_MAX)
        return -ENOSPC;
    /* The list may change while an item is turned to text: ask for its size each time. */
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list) && i < VALUE_ITEMS_MAX && r == 0;
         i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(list, i);
        uint32_t mark = pb_open(b, 0x0a);

        if (mark == UINT32_MAX)
            return -ENOSPC;
        Py_INCREF(item);
        if (item != Py_None)
            r = value_encode(b, item, depth + 1);
        Py_DECREF(item);
        pb_close(b, mark);
    }
    pb_close(b, array);
    return r;
}

static int encode_dict(struct buf *b, PyObject *dict, int depth) {
    uint32_t map = pb_open(b, ANY_KVLIST);
    PyObject *items = PyDict_Items(dict);
    int r = 0;

    if (map == UINT32_MAX || !items) {
        Py_XDECREF(items);
        PyErr_Clear();
        return -ENOSPC;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items) && i < VALUE_ITEMS_MAX && r == 0; i++) {
        PyObject *pair = PyList_GET_ITEM(items, i), *hold;
        uint32_t entry = pb_open(b, 0x0a), value;
        const char *key;
        size_t n;

        if (entry == UINT32_MAX) {
            r = -ENOSPC;
            break;
        }
        text_of(PyTuple_GET_ITEM(pair, 0), &key, &n, &hold);
        r = pb_put_bytes(b, KV_KEY, key, text_cut(key, n, KEY_BYTES_MAX));
        Py_XDECREF(hold);
        value = r == 0 ? pb_open(b, KV_VALUE) : UINT32_MAX;
        if (value == UINT32_MAX) {
            r = -ENOSPC;
            break;
        }
        if (PyTuple_GET_ITEM(pair, 1) != Py_None)
            r = value_encode(b, PyTuple_GET_ITEM(pair, 1), depth + 1);
        pb_close(b, value);
        pb_close(b, entry);
    }
    Py_DECREF(items);
    pb_close(b, map);
    return r;
}

int value_encode(struct buf *b, PyObject *value, int depth) {
    if (PyUnicode_Check(value))
        return encode_text(b, value);
    if (PyBool_Check(value))
        return pb_put_varint(b, ANY_BOOL, value == Py_True);
    if (PyLong_Check(value))
        return encode_int(b, value);
    if (PyFloat_Check(value)) {
        double d = PyFloat_AS_DOUBLE(value);
        uint64_t bits;
        memcpy(&bits, &d, 8);
        return pb_put_fixed64(b, ANY_DOUBLE, bits);
    }
    if (PyBytes_Check(value)) {
        size_t n = (size_t) PyBytes_GET_SIZE(value), most = length_max();
        return pb_put_bytes(b, ANY_BYTES, PyBytes_AS_STRING(value), n < most ? n : most);
    }
    if (depth < VALUE_DEPTH_MAX) {
        if (PyList_Check(value) || PyTuple_Check(value))
            return encode_sequence(b, value, depth);
        if (PyDict_Check(value))
            return encode_dict(b, value, depth);
    } else if (PyList_Check(value) || PyTuple_Check(value) || PyDict_Check(value)) {
        return pb_put_bytes(b, ANY_STRING, "...", 3);
    }
    return encode_text(b, value);
}

/* Not plain: encoded beside first, because user code may run and use the very buffer. */
static int put_slowly(struct buf *b, unsigned tag, const char *key, size_t key_n, PyObject *value) {
    char storage[512], *p;
    struct buf beside;
    int r;

    buf_init(&beside, storage, sizeof(storage), CAP_NESTED);
    r = value_encode(&beside, value, 0);
    if (r == 0) {
        p = pb_key_value(b, tag, key, key_n, beside.used);
        if (p)
            memcpy(p, beside.data, beside.used);
        else
            r = -ENOSPC;
    }
    buf_done(&beside);
    return r;
}

int value_put_named(struct buf *b, unsigned tag, const char *key, size_t key_n, PyObject *value) {
    if (PyUnicode_CheckExact(value)) {
        const char *text;
        size_t n;
        PyObject *hold;
        int r = text_view(value, &text, &n, &hold);

        if (r == 0)
            r = pb_put_string(b, tag, key, key_n, text, value_cut(text, n));
        Py_XDECREF(hold);
        return r;
    }
    if (PyBool_Check(value))
        return pb_put_bool(b, tag, key, key_n, value == Py_True);
    if (PyLong_CheckExact(value)) {
        int overflow;
        long long v = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (!overflow)
            return pb_put_int(b, tag, key, key_n, v);
    } else if (PyFloat_CheckExact(value)) {
        return pb_put_double(b, tag, key, key_n, PyFloat_AS_DOUBLE(value));
    } else if (value == Py_None) {
        return -EINVAL;
    }
    return put_slowly(b, tag, key, key_n, value);
}

int value_put(struct buf *b, unsigned tag, PyObject *key, PyObject *value) {
    const char *text;
    size_t n;
    PyObject *hold;
    int r = -EINVAL;

    if (!PyUnicode_Check(key) || text_view(key, &text, &n, &hold) < 0)
        return -EINVAL;
    if (n && n <= KEY_BYTES_MAX)
        r = value_put_named(b, tag, text, n, value);
    Py_XDECREF(hold);
    return r;
}

/* The fields of a repeated message field 1, each decoded by `one`. */
static PyObject *decode_list(const char *p, const char *end, int depth) {
    PyObject *list = PyList_New(0), *tuple;

    while (list && p < end) {
        size_t n;
        PyObject *item;
        p++;
        n = pb_read_varint(&p);
        item = value_decode(p, p + n, depth + 1);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
        p += n;
    }
    tuple = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return tuple;
}

static PyObject *decode_map(const char *p, const char *end, int depth) {
    PyObject *dict = PyDict_New();

    while (dict && p < end) {
        const char *key, *entry_end;
        size_t n, key_n;
        PyObject *k, *v;

        p++;
        n = pb_read_varint(&p);
        entry_end = p + n;
        p++;
        key_n = pb_read_varint(&p);
        key = p;
        p += key_n + 1;
        n = pb_read_varint(&p);
        k = PyUnicode_DecodeUTF8(key, (Py_ssize_t) key_n, "replace");
        v = value_decode(p, p + n, depth + 1);
        if (!k || !v || PyDict_SetItem(dict, k, v) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(k);
        Py_XDECREF(v);
        p = entry_end;
    }
    return dict;
}

PyObject *value_decode(const char *p, const char *end, int depth) {
    unsigned tag;
    size_t n;
    double d;

    if (p >= end || depth > VALUE_DEPTH_MAX + 1)
        Py_RETURN_NONE;
    tag = (uint8_t) *p++;
    if (tag == ANY_DOUBLE) {
        memcpy(&d, p, 8);
        return PyFloat_FromDouble(d);
    }
    n = pb_read_varint(&p);
    switch (tag) {
    case ANY_STRING: return PyUnicode_DecodeUTF8(p, (Py_ssize_t) n, "replace");
    case ANY_BOOL: return PyBool_FromLong(n != 0);
    case ANY_INT: return PyLong_FromLongLong((long long) n);
    case ANY_BYTES: return PyBytes_FromStringAndSize(p, (Py_ssize_t) n);
    case ANY_ARRAY: return decode_list(p, p + n, depth);
    case ANY_KVLIST: return decode_map(p, p + n, depth);
    default: Py_RETURN_NONE;
    }
}

int pair_decode(const char *p, PyObject *dict) {
    PyObject *key, *value;
    size_t k, v;
    int r = -1;

    p++;
    k = pb_read_varint(&p);
    key = PyUnicode_DecodeUTF8(p, (Py_ssize_t) k, "replace");
    p += k + 1;
    v = pb_read_varint(&p);
    value = value_decode(p, p + v, 0);
    if (key && value)
        r = PyDict_SetItem(dict, key, value);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return r;
}
