/* Events, links and exceptions of a span. They are encoded beside the span first: turning values
 * into text may run user code that uses the same span. */
#include "context.h"
#include "span.h"

#define EVENT_BYTES_MAX (64u << 10)

static void put_attributes(struct buf *b, unsigned tag, PyObject *attributes, unsigned *n) {
    PyObject *items;

    if (!attributes || attributes == Py_None)
        return;
    items = PyMapping_Items(attributes);
    if (!items) {
        PyErr_Clear();
        return;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items) && *n < span_limits.event_attributes; i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2 &&
            value_put(b, tag, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) == 0)
            ++*n;
    }
    Py_DECREF(items);
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
    put_attributes(&b, EVENT_ATTRIBUTE, attributes, &n);
    adopt(s, SPAN_EVENT, &b, good, &s->events_n, &s->events_dropped, span_limits.events);
    buf_done(&b);
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
        good = pb_put_bytes(&b, LINK_TRACE_ID, linked.context.trace_id, 16) == 0 &&
               pb_put_bytes(&b, LINK_SPAN_ID, linked.context.span_id, 8) == 0;
        put_attributes(&b, LINK_ATTRIBUTE, attributes, &n);
        adopt(s, SPAN_LINK, &b, good, &s->links_n, &s->links_dropped, span_limits.links);
        buf_done(&b);
    }
    context_parent_done(&linked);
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
    put_attributes(&b, EVENT_ATTRIBUTE, attributes, &n);
    adopt(s, SPAN_EVENT, &b, good, &s->events_n, &s->events_dropped, span_limits.events);
    buf_done(&b);
}

void span_fail(Span *s, PyObject *exception) {
    PyObject *name, *key, *text, *message = NULL, *hold;
    const char *p;
    size_t n;

    if (!PyExceptionInstance_Check(exception))
        return;
    if (!span_recording(s)) {
        span_set_status(s, STATUS_ERROR, NULL);
        return;
    }
    span_record_exception(s, exception, NULL, 0);
    name = exception_type_name(exception);
    key = PyUnicode_InternFromString("error.type");
    if (name && key)
        span_set(s, key, name);
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
