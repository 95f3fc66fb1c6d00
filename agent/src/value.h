/* Python values as OTLP attributes. Nothing here raises or leaves an exception set: what cannot be
 * encoded becomes text, what does not fit is cut or dropped. GIL held. */
#ifndef VARAN_AGENT_VALUE_H
#define VARAN_AGENT_VALUE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "encode.h"
#include "text.h"

#define VALUE_DEPTH_MAX 5
#define VALUE_ITEMS_MAX 256
#define KEY_BYTES_MAX 256

/* Characters of a text value, bytes of a byte string; longer ones are cut. From the configuration.
 */
extern uint32_t value_length_max;
#define VALUE_LENGTH_DEFAULT (16u << 10)
#define VALUE_BYTES_MAX (32u << 10) /* whatever the configuration says */

/* UTF-8 of a str (or a subclass). Lone surrogates are written as \udXXX. Returns 0 or a negative
 * error (-EINVAL: no str); *hold must be dropped by Py_XDECREF after use. */
int text_view_any(PyObject *str, const char **ret, size_t *ret_n, PyObject **hold);

static inline int text_view(PyObject *str, const char **ret, size_t *ret_n, PyObject **hold) {
    /* Compact ones were never without their characters. */
    if (__builtin_expect(!PyUnicode_Check(str) || !PyUnicode_IS_COMPACT_ASCII(str), 0))
        return text_view_any(str, ret, ret_n, hold);
    *hold = NULL;
    *ret = (const char *) (((PyASCIIObject *) str) + 1);
    *ret_n = (size_t) ((PyASCIIObject *) str)->length;
    return 0;
}

/* The same for any object: str(object), or a placeholder when that raises. Always succeeds. Runs
 * user code. */
void text_of(PyObject *object, const char **ret, size_t *ret_n, PyObject **hold);

/* What no limit that is in force cuts. */
extern uint32_t value_length_sure;

/* Cuts to what an attribute's value may have. */
size_t value_cut_long(const char *text, size_t n);

static inline size_t value_cut(const char *text, size_t n) {
    return n <= value_length_sure ? n : value_cut_long(text, n);
}

/* Appends a KeyValue field. Returns 0, -EINVAL (no valid key, or None), or -ENOSPC at the buffer's
 * cap. For values that are not plain, user code may run before the buffer is touched. */
int value_put(struct buf *b, unsigned tag, PyObject *key, PyObject *value);
int value_put_named(struct buf *b, unsigned tag, const char *key, size_t key_n, PyObject *value);

/* Appends the contents of an AnyValue. Runs user code: `b` must not be reachable from it. */
int value_encode(struct buf *b, PyObject *value, int depth);

/* Reads one encoded AnyValue back. New reference, or NULL with an exception. */
PyObject *value_decode(const char *p, const char *end, int depth);
/* An encoded KeyValue into a dict. Returns 0, or -1 with an exception. */
int pair_decode(const char *p, PyObject *dict);

#endif
