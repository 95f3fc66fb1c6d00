/* Log records of the OpenTelemetry logs API: emit_otel(tracer, fields…). GIL held; see logs.c. */
#include "args.h"
#include "context.h"
#include "encode.h"
#include "logs.h"
#include "module.h"

enum { SCOPE, TIME, OBSERVED, NUMBER, TEXT, BODY, ATTRIBUTES, EVENT, EXCEPTION, SPAN_CONTEXT, N };

#define EVENT_NAME_FIELD 0x62 /* LogRecord.event_name */

static void put_text(struct buf *b, unsigned tag, PyObject *o) {
    const char *text;
    size_t n;
    PyObject *hold;

    if (!o || o == Py_None || !PyUnicode_Check(o) || text_view(o, &text, &n, &hold) < 0)
        return;
    if (n)
        pb_put_bytes(b, tag, text, text_cut(text, n, KEY_BYTES_MAX));
    Py_XDECREF(hold);
}

/* A body may be any value: encoded beside, because that may run user code. */
static void put_value(struct buf *b, unsigned tag, PyObject *value) {
    char storage[1024];
    struct buf beside;
    uint32_t length_max = thread_state_self.length_max;

    if (value == Py_None)
        return;
    buf_init(&beside, storage, sizeof(storage), LOG_BYTES_MAX / 2);
    thread_state_self.length_max = VALUE_LENGTH_DEFAULT + 1; /* the limit is of attributes */
    if (value_encode(&beside, value, 0) == 0)
        pb_put_bytes(b, tag, beside.data, beside.used);
    thread_state_self.length_max = length_max;
    buf_done(&beside);
    PyErr_Clear();
}

static bool has_exception_type(PyObject *items) {
    for (Py_ssize_t i = 0; items && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i), *key;
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) == 0)
            continue;
        key = PyTuple_GET_ITEM(pair, 0);
        if (PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, "exception.type") == 0)
            return true;
    }
    return false;
}

static void put_attributes(struct buf *b, PyObject *attributes, PyObject *exception) {
    PyObject *items = attributes != Py_None ? PyMapping_Items(attributes) : NULL;
    unsigned n = 0, dropped = 0;

    PyErr_Clear();
    for (Py_ssize_t i = 0; items && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        /* A mapping's items() may give anything. */
        if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2 && n < logs_attributes_max &&
            value_put(b, LOG_ATTRIBUTE, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) == 0)
            n++;
        else
            dropped++;
    }
    if (PyExceptionInstance_Check(exception) && !has_exception_type(items))
        exception_put(b, LOG_ATTRIBUTE, exception, NULL, &n);
    if (dropped)
        pb_put_varint(b, LOG_DROPPED_ATTRIBUTES, dropped);
    Py_XDECREF(items);
    PyErr_Clear();
}

static PyObject *emit_otel(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    struct thread_state *t = thread_state();
    uint32_t length_max = t->length_max;
    uint64_t now = clock_wall_ns(), at;
    char storage[4096];
    struct buf b;
    long number;

    if (!args_count("emit_otel", n, N, N))
        return NULL;
    if (!span_enabled || !logs_enter(t))
        Py_RETURN_NONE;
    t->length_max = logs_length_max + 1;
    buf_init(&b, storage, sizeof(storage), LOG_BYTES_MAX);
    at = args_time(args[TIME]);
    if (at)
        pb_put_fixed64(&b, LOG_TIME, at);
    at = args_time(args[OBSERVED]);
    pb_put_fixed64(&b, LOG_OBSERVED, at ? at : now);
    number = PyLong_Check(args[NUMBER]) ? PyLong_AsLong(args[NUMBER]) : 0;
    PyErr_Clear();
    if (number > 0 && number <= 24)
        pb_put_varint(&b, LOG_SEVERITY, (uint64_t) number);
    put_text(&b, LOG_SEVERITY_TEXT, args[TEXT]);
    put_value(&b, LOG_BODY, args[BODY]);
    put_attributes(&b, args[ATTRIBUTES], args[EXCEPTION]);
    logs_put_ids(&b, args[SPAN_CONTEXT]);
    put_text(&b, EVENT_NAME_FIELD, args[EVENT]);
    logs_send(&b, Py_TYPE(args[SCOPE]) == &Tracer_Type ? tracer_scope(args[SCOPE]) : 0);
    buf_done(&b);
    PyErr_Clear();
    thread_state_self.in_log--;
    thread_state_self.length_max = length_max;
    Py_RETURN_NONE;
}

PyMethodDef logs_otel_functions[] = {
        {"emit_otel", (PyCFunction) (void (*)(void)) emit_otel, METH_FASTCALL,
         "emit_otel(tracer, time, observed, number, text, body, attributes, event, exception, "
         "context)"},
        {NULL},
};
