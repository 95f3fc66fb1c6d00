/* Making spans: varan.span(), and OpenTelemetry's Tracer. */
#include "args.h"
#include "context.h"
#include "encode.h"
#include "module.h"
#include "resource.h"

typedef struct {
    PyObject_HEAD uint16_t scope;
    bool hook; /* of the package: heeds the suppression of instrumentations */
} Tracer;

/* span(name, /, **attributes) */
static PyObject *make_span(PyObject *module, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    Span *s;

    if (!args_count("span", n, 1, 1))
        return NULL;
    s = span_new(args[0], 0, KIND_INTERNAL, SPAN_AUTO);
    if (s && names)
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++)
            span_set(s, PyTuple_GET_ITEM(names, i), args[1 + i]);
    return (PyObject *) s;
}

static PyObject *current_span(PyObject *module, PyObject *unused) {
    PyObject *o = context_current();

    if (!o)
        Py_RETURN_NONE;
    return o;
}

/* A span of another process, to be the parent of ours: remote_span(traceparent, tracestate=None) →
 * Span or None. */
static PyObject *remote_span(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    struct trace_context c;
    const char *text;
    size_t size;
    PyObject *hold, *name;
    Span *s;
    int r;

    if (!args_count("remote_span", n, 1, 2))
        return NULL;
    if (!PyUnicode_Check(args[0]) || text_view(args[0], &text, &size, &hold) < 0)
        Py_RETURN_NONE;
    r = traceparent_parse(text, size, &c);
    Py_XDECREF(hold);
    if (r < 0)
        Py_RETURN_NONE;
    name = PyUnicode_FromString("remote");
    s = name ? span_new(name, 0, KIND_INTERNAL, SPAN_REMOTE) : NULL;
    Py_XDECREF(name);
    if (!s)
        return NULL;
    s->flags &= (uint16_t) ~SPAN_RECORDING;
    s->id = c;
    if (n > 1 && PyUnicode_Check(args[1]) && PyUnicode_GET_LENGTH(args[1]) > 0 &&
        PyUnicode_GET_LENGTH(args[1]) <= TRACESTATE_MAX) {
        Py_INCREF(args[1]);
        s->trace_state = args[1];
    }
    return (PyObject *) s;
}

static void add_links(Span *s, PyObject *links) {
    PyObject *list = links && links != Py_None ? PySequence_Fast(links, "links") : NULL;

    for (Py_ssize_t i = 0; list && i < PySequence_Fast_GET_SIZE(list); i++) {
        PyObject *link = PySequence_Fast_GET_ITEM(list, i);
        PyObject *target = PyObject_GetAttrString(link, "context"), *attributes;

        PyErr_Clear();
        attributes = PyObject_GetAttrString(link, "attributes");
        PyErr_Clear();
        if (target)
            span_add_link(s, target, attributes);
        Py_XDECREF(target);
        Py_XDECREF(attributes);
    }
    Py_XDECREF(list);
    PyErr_Clear();
}

static bool is_false(PyObject *o) {
    bool r = o && PyObject_IsTrue(o) == 0;
    PyErr_Clear();
    return r;
}

enum {
    NAME,
    CONTEXT,
    KIND,
    ATTRIBUTES,
    LINKS,
    START_TIME,
    RECORD_EXCEPTION,
    SET_STATUS,
    END_ON_EXIT,
    ARGS_N
};

static Span *make_otel_span(Tracer *t, const char *function, PyObject *const *args, Py_ssize_t n,
                            PyObject *names, unsigned flags, uint64_t *ret_start) {
    static const char *const keys[] = {"name",
                                       "context",
                                       "kind",
                                       "attributes",
                                       "links",
                                       "start_time",
                                       "record_exception",
                                       "set_status_on_exception",
                                       "end_on_exit",
                                       NULL};
    PyObject *values[ARGS_N];
    Span *s;

    if (!args_parse(function, keys, args, n, names, 1, values))
        return NULL;
    if (is_false(values[RECORD_EXCEPTION]))
        flags |= SPAN_NO_EXCEPTION;
    if (is_false(values[SET_STATUS]))
        flags |= SPAN_NO_STATUS;
    if (is_false(values[END_ON_EXIT]))
        flags |= SPAN_NO_END;
    s = span_new(values[NAME], t->scope,
                 values[KIND] ? module_kind_number(values[KIND]) : KIND_INTERNAL, flags);
    if (!s)
        return NULL;
    if (t->hook && context_suppressed() & SUPPRESSED_ALL)
        s->flags &= (uint16_t) ~SPAN_RECORDING;
    if (values[CONTEXT] && values[CONTEXT] != Py_None) {
        Py_INCREF(values[CONTEXT]);
        s->explicit_parent = values[CONTEXT];
    }
    span_set_attributes(s, values[ATTRIBUTES]);
    add_links(s, values[LINKS]);
    *ret_start = args_time(values[START_TIME]);
    return s;
}

static PyObject *tracer_start_span(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                   PyObject *names) {
    uint64_t start;
    Span *s = make_otel_span((Tracer *) self, "start_span", args, n, names, 0, &start);

    if (!s)
        return NULL;
    span_start(s);
    if (start)
        s->start_ns = start - (uint64_t) s->offset_ns;
    return (PyObject *) s;
}

static PyObject *tracer_start_as_current_span(PyObject *self, PyObject *const *args, Py_ssize_t n,
                                              PyObject *names) {
    uint64_t start;
    Span *s = make_otel_span((Tracer *) self, "start_as_current_span", args, n, names, SPAN_AUTO,
                             &start);

    if (s && start) {
        span_start(s);
        s->start_ns = start - (uint64_t) s->offset_ns;
    }
    return (PyObject *) s;
}

static int put_text(struct buf *b, unsigned tag, PyObject *o) {
    const char *text;
    size_t n;
    PyObject *hold;
    int r;

    if (!o || !PyUnicode_Check(o) || text_view(o, &text, &n, &hold) < 0)
        return 0;
    r = n ? pb_put_bytes(b, tag, text, text_cut(text, n, KEY_BYTES_MAX)) : 0;
    Py_XDECREF(hold);
    return r;
}

static PyObject *hook_prefix;

/* Tracer(name, version=None, schema_url=None, attributes=None) */
static PyObject *tracer_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    PyObject *name, *version = NULL, *schema = NULL, *attributes = NULL, *key, *value, *hold = NULL;
    static char *keys[] = {"name", "version", "schema_url", "attributes", NULL};
    char storage[512];
    const char *url = "";
    size_t url_n = 0;
    struct buf b;
    Py_ssize_t at = 0;
    Tracer *t;

    if (!PyArg_ParseTupleAndKeywords(args, names, "O|OOO", keys, &name, &version, &schema,
                                     &attributes))
        return NULL;
    if (!hook_prefix)
        hook_prefix = PyUnicode_InternFromString("varan.");
    t = hook_prefix ? (Tracer *) type->tp_alloc(type, 0) : NULL;
    if (!t)
        return NULL;
    buf_init(&b, storage, sizeof(storage), 8192);
    put_text(&b, SCOPE_NAME, name);
    put_text(&b, SCOPE_VERSION, version);
    if (attributes && PyDict_Check(attributes)) {
        PyObject *copy = PyDict_Copy(attributes);
        while (copy && PyDict_Next(copy, &at, &key, &value))
            value_put(&b, SCOPE_ATTRIBUTE, key, value);
        Py_XDECREF(copy);
    }
    if (schema && PyUnicode_Check(schema) && text_view(schema, &url, &url_n, &hold) < 0)
        url_n = 0;
    t->hook = PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 6 &&
              PyUnicode_Tailmatch(name, hook_prefix, 0, 6, -1) == 1;
    t->scope = scope_register(b.data, b.used, url, url_n);
    Py_XDECREF(hold);
    buf_done(&b);
    PyErr_Clear();
    return (PyObject *) t;
}

uint16_t tracer_scope(PyObject *tracer) {
    return ((Tracer *) tracer)->scope;
}

static PyMethodDef tracer_methods[] = {
        {"start_span", (PyCFunction) (void (*)(void)) tracer_start_span,
         METH_FASTCALL | METH_KEYWORDS,
         "start_span(name, context=None, kind=INTERNAL, attributes=None, links=None, "
         "start_time=None, "
         "record_exception=True, set_status_on_exception=True)"},
        {"start_as_current_span", (PyCFunction) (void (*)(void)) tracer_start_as_current_span,
         METH_FASTCALL | METH_KEYWORDS,
         "The same, as a context manager or decorator that makes the span current."},
        {NULL},
};

PyTypeObject Tracer_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.Tracer",
        .tp_doc = "Makes spans of one instrumentation scope.",
        .tp_basicsize = sizeof(Tracer),
        .tp_flags = Py_TPFLAGS_DEFAULT,
        .tp_new = tracer_new,
        .tp_methods = tracer_methods,
};

/* scope_name(number): of Span.scope */
static PyObject *scope_name(PyObject *module, PyObject *number) {
    const struct scope *s =
            PyLong_Check(number) ? scope_get((unsigned) PyLong_AsLong(number)) : NULL;
    const char *p = s ? s->bytes : NULL;
    size_t n = 0;

    if (p && s->length && (uint8_t) *p++ == SCOPE_NAME)
        n = pb_read_varint(&p);
    PyErr_Clear();
    return PyUnicode_DecodeUTF8(p, (Py_ssize_t) n, "replace");
}

static void keep_function(PyObject **place, PyObject *function) {
    if (function == Py_None)
        function = NULL;
    Py_XINCREF(function);
    Py_XSETREF(*place, function);
}

/* set_span_reader(function(span, name)) */
static PyObject *set_span_reader(PyObject *module, PyObject *function) {
    keep_function(&span_reader, function);
    Py_RETURN_NONE;
}

/* watch_spans(sampler, started, ended): each a function of a span, or None */
static PyObject *watch_spans(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    if (!args_count("watch_spans", n, 3, 3))
        return NULL;
    keep_function(&span_sampler, args[0]);
    keep_function(&span_started, args[1]);
    keep_function(&span_ended, args[2]);
    Py_RETURN_NONE;
}

PyMethodDef tracer_functions[] = {
        {"scope_name", scope_name, METH_O, "scope_name(number): of Span.scope"},
        {"set_span_reader", set_span_reader, METH_O, "set_span_reader(function(span, name))"},
        {"set_id_source", span_set_id_source, METH_O,
         "set_id_source(function(root) → (trace id or b'', span id) in bytes, or None)"},
        {"watch_spans", (PyCFunction) (void (*)(void)) watch_spans, METH_FASTCALL,
         "watch_spans(sampler, started, ended): functions of a span, or None"},
        {"span", (PyCFunction) (void (*)(void)) make_span, METH_FASTCALL | METH_KEYWORDS,
         "span(name, /, **attributes): a context manager and decorator for a unit of work."},
        {"current_span", current_span, METH_NOARGS, "The current span, or None."},
        {"remote_span", (PyCFunction) (void (*)(void)) remote_span, METH_FASTCALL,
         "remote_span(traceparent, tracestate=None): another process's span, to be a parent; or "
         "None."},
        {NULL},
};
