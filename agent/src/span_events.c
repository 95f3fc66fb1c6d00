/* Events, links and exceptions of a span. They are encoded beside the span first: turning values
 * into text may run user code that uses the same span. */
#include "context.h"
#include "span.h"

#define EVENT_BYTES_MAX (64u << 10)

/* At most `max` with those that are there (*n); how many did not fit is written as field
 * `dropped_tag`. */
static void put_attributes(struct buf *b, unsigned tag, PyObject *attributes, unsigned max,
                           unsigned dropped_tag, unsigned *n) {
    PyObject *items;
    unsigned dropped = 0;

    if (!attributes || attributes == Py_None)
        return;
    items = PyMapping_Items(attributes);
    if (!items) {
        PyErr_Clear();
        return;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        int r = -EINVAL;

        if (*n >= max)
            r = -ENOSPC;
        else if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2)
            r = value_put(b, tag, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
        *n += r == 0;
        dropped += r == -ENOSPC;
    }
    Py_DECREF(items);
    if (dropped) {
        pb_put_varint(b, dropped_tag, dropped);
        count(ATTRIBUTES_DROPPED, dropped);
    }
}

static uint64_t event_time(const Span *s, uint64_t wall_ns) {
    return wall_ns ? wall_ns : clock_monotonic_ns() + (uint64_t) s->offset_ns;
}

/* Moves an encoded event or link into the span. */
static bool adopt(Span *s, unsigned tag, const struct buf *b, bool good, uint16_t *n,
                  uint16_t *dropped, uint16_t max) {
    if (good && span_recording(s) && *n < max &&
        pb_put_bytes(&s->data, tag, b->data, b->used) == 0) {
        ++*n;
        return true;
    }
    ++*dropped;
    return false;
}

void span_add_event(Span *s, PyObject *name, PyObject *attributes, uint64_t wall_ns) {
    char storage[512];
    struct buf b;
    const char *text;
    size_t size;
    PyObject *hold;
    unsigned n = 0;
    bool good;

    if (!span_recording(s))
        return;
    buf_init(&b, storage, sizeof(storage), EVENT_BYTES_MAX);
    text_of(name, &text, &size, &hold);
    good = pb_put_fixed64(&b, EVENT_TIME, event_time(s, wall_ns)) == 0 &&
           pb_put_bytes(&b, EVENT_NAME, text, text_cut(text, size, KEY_BYTES_MAX)) == 0;
    Py_XDECREF(hold);
    put_attributes(&b, EVENT_ATTRIBUTE, attributes, span_limits.event_attributes,
                   EVENT_DROPPED_ATTRIBUTES, &n);
    adopt(s, SPAN_EVENT, &b, good, &s->events_n, &s->events_dropped, span_limits.events);
    buf_done(&b);
}

static bool put_link(struct buf *b, const struct context_parent *linked) {
    uint32_t flags = linked->context.flags | 0x100u | (linked->remote ? 0x200u : 0);
    const char *state;
    PyObject *hold;
    size_t n;
    char *p;

    if (pb_put_bytes(b, LINK_TRACE_ID, linked->context.trace_id, 16) < 0 ||
        pb_put_bytes(b, LINK_SPAN_ID, linked->context.span_id, 8) < 0)
        return false;
    if (linked->trace_state && text_view(linked->trace_state, &state, &n, &hold) == 0) {
        if (n <= TRACESTATE_MAX)
            pb_put_bytes(b, LINK_TRACE_STATE, state, n);
        Py_XDECREF(hold);
    }
    p = buf_reserve(b, 5);
    if (!p)
        return false;
    *p = LINK_FLAGS;
    memcpy(p + 1, &flags, 4);
    b->used += 5;
    return true;
}

void span_add_link(Span *s, PyObject *target, PyObject *attributes) {
    char storage[256];
    struct buf b;
    struct context_parent linked;
    unsigned n = 0;
    bool good;

    if (!span_recording(s))
        return;
    context_find_parent(target, &linked);
    if (linked.found) {
        buf_init(&b, storage, sizeof(storage), EVENT_BYTES_MAX);
        good = put_link(&b, &linked);
        put_attributes(&b, LINK_ATTRIBUTE, attributes, span_limits.link_attributes,
                       LINK_DROPPED_ATTRIBUTES, &n);
        adopt(s, SPAN_LINK, &b, good, &s->links_n, &s->links_dropped, span_limits.links);
        buf_done(&b);
    }
    context_parent_done(&linked);
}

/* By a look-up, not by PySequence_Contains(): a range of a billion is a "mapping" that would be
 * searched. */
static bool has_key(PyObject *mapping, PyObject *key) {
    PyObject *value;
    int found;

    if (PyDict_Check(mapping)) {
        found = PyDict_Contains(mapping, key);
    } else {
        value = PyObject_GetItem(mapping, key);
        found = value != NULL;
        Py_XDECREF(value);
    }
    if (PyErr_Occurred())
        PyErr_Clear();
    return found > 0;
}

/* Takes out of an encoded event what the caller gives itself. */
static void remove_given(struct buf *b, PyObject *attributes, unsigned *n_attributes) {
    uint32_t at = 9; /* past the time */

    while (at < b->used) {
        const char *p = b->data + at;
        unsigned tag = (uint8_t) *p++;
        size_t n = pb_read_varint(&p), key_n;
        uint32_t next = (uint32_t) (p + n - b->data);
        PyObject *key;
        bool given;

        if (tag == EVENT_ATTRIBUTE) {
            p++;
            key_n = pb_read_varint(&p);
            key = PyUnicode_DecodeUTF8(p, (Py_ssize_t) key_n, "replace");
            given = key && has_key(attributes, key);
            Py_XDECREF(key);
            if (given) {
                memmove(b->data + at, b->data + next, b->used - next);
                b->used -= next - at;
                --*n_attributes;
                continue;
            }
        }
        at = next;
    }
    PyErr_Clear();
}

void span_record_exception(Span *s, PyObject *exception, PyObject *attributes, uint64_t wall_ns) {
    char storage[4096];
    struct buf b;
    unsigned n = 0;
    bool good;

    if (!span_recording(s) || !PyExceptionInstance_Check(exception))
        return;
    if (s->last_exception == exception)
        return;
    s->last_exception = exception;
    buf_init(&b, storage, sizeof(storage), EVENT_BYTES_MAX);
    good = pb_put_fixed64(&b, EVENT_TIME, event_time(s, wall_ns)) == 0 &&
           pb_put_bytes(&b, EVENT_NAME, "exception", 9) == 0 &&
           exception_put(&b, EVENT_ATTRIBUTE, exception, NULL, &n) == 0;
    if (good && attributes && attributes != Py_None && PyMapping_Check(attributes))
        remove_given(&b, attributes, &n);
    put_attributes(&b, EVENT_ATTRIBUTE, attributes, span_limits.event_attributes,
                   EVENT_DROPPED_ATTRIBUTES, &n);
    adopt(s, SPAN_EVENT, &b, good, &s->events_n, &s->events_dropped, span_limits.events);
    buf_done(&b);
}

void span_fail(Span *s, PyObject *exception) {
    PyObject *name, *key, *text, *message = NULL, *hold;
    const char *p;
    size_t n;

    if (!PyExceptionInstance_Check(exception))
        return;
    if (!span_matters(s))
        return;
    span_record_exception(s, exception, NULL, 0);
    name = exception_type_name(exception);
    key = PyUnicode_InternFromString("error.type");
    if (name && key)
        span_set(s, key, name);
    if (!span_recording(s)) { /* nobody reads a message */
        Py_XDECREF(name);
        Py_XDECREF(key);
        span_set_status(s, STATUS_ERROR, NULL);
        return;
    }
    text_of(exception, &p, &n, &hold);
    text = PyUnicode_DecodeUTF8(p, (Py_ssize_t) text_cut(p, n, 512), "replace");
    if (text && name)
        message = n ? PyUnicode_FromFormat("%U: %U", name, text) : PyUnicode_FromObject(name);
    if (message)
        span_set_status(s, STATUS_ERROR, message);
    else
        span_set_status(s, STATUS_ERROR, NULL);
    Py_XDECREF(hold);
    Py_XDECREF(message);
    Py_XDECREF(text);
    Py_XDECREF(name);
    Py_XDECREF(key);
    PyErr_Clear();
}

void span_fail_pending(Span *s) {
    PyObject *type, *value, *trace;

    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace)
        PyException_SetTraceback(value, trace);
    if (value && PyObject_TypeCheck(value, (PyTypeObject *) PyExc_Exception))
        span_fail(s, value);
    PyErr_Restore(type, value, trace);
}
