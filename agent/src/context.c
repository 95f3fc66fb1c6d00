/* See context.h. No tokens are kept: what was current before is remembered in the span, and put
 * back only where the span is still the current one. Tokens would raise in generators, and make
 * reference cycles. */
#include "context.h"

#include "profiler_slot.h"

static PyObject *own_variable, *baggage_variable;
static PyObject *otel_variable, *otel_context_type, *otel_span_key; /* NULL: the API is not there */
static PyObject *str_get_span_context, *str_trace_id, *str_span_id, *str_trace_flags,
        *str_is_remote, *str_trace_state;

int context_init(void) {
    own_variable = PyContextVar_New("varan_span", NULL);
    baggage_variable = PyContextVar_New("varan_baggage", NULL);
    str_get_span_context = PyUnicode_InternFromString("get_span_context");
    str_trace_id = PyUnicode_InternFromString("trace_id");
    str_span_id = PyUnicode_InternFromString("span_id");
    str_trace_flags = PyUnicode_InternFromString("trace_flags");
    str_is_remote = PyUnicode_InternFromString("is_remote");
    str_trace_state = PyUnicode_InternFromString("trace_state");
    return own_variable && baggage_variable && str_trace_state ? 0 : -ENOMEM;
}

/* New reference to the variable's value or NULL; never an exception. */
static PyObject *get(PyObject *variable) {
    PyObject *value = NULL;

    if (PyContextVar_Get(variable, NULL, &value) < 0)
        PyErr_Clear();
    return value;
}

/* Borrowed. */
static PyObject *span_of_context(PyObject *context) {
    PyObject *span = context && PyDict_Check(context)
                             ? PyDict_GetItemWithError(context, otel_span_key)
                             : NULL;

    if (!span)
        PyErr_Clear();
    return span;
}

/* Tells the profiler which span this thread is in. Another's span is none here. */
static void publish(PyObject *span) {
    struct profiler_slot *slot = profiler_slot_take();

    if (slot && span && span_check(span) && !(((Span *) span)->flags & SPAN_ENDED))
        profiler_slot_write(slot, ((Span *) span)->id.trace_id, ((Span *) span)->id.span_id);
    else if (slot)
        profiler_slot_write(slot, NULL, NULL);
}

static void set(PyObject *variable, PyObject *value) {
    PyObject *token = PyContextVar_Set(variable, value);

    if (!token)
        PyErr_Clear();
    Py_XDECREF(token);
    if (!atomic_load_explicit(&profiler_wants_spans, memory_order_relaxed))
        return;
    if (variable == own_variable) {
        publish(value);
    } else if (variable == otel_variable) {
        PyObject *type, *pending, *trace;
        PyErr_Fetch(&type, &pending, &trace); /* a request may be failing */
        publish(span_of_context(value));
        PyErr_Restore(type, pending, trace);
    }
}

void context_publish(bool here) {
    PyObject *span = NULL, *type, *value, *trace;

    if (!atomic_load_explicit(&profiler_wants_spans, memory_order_relaxed))
        return;
    PyErr_Fetch(&type, &value, &trace);
    if (here)
        span = context_current();
    publish(span);
    Py_XDECREF(span);
    PyErr_Restore(type, value, trace);
}

/* Takes and returns a reference. A span that was left in another context than it was entered in (a
 * generator closed elsewhere) is still the current one here: what was current before it counts.
 * One that ended where it began and is current here belongs to whom started this task or thread,
 * and stays the parent of what happens in it. */
static PyObject *skip_left(PyObject *value) {
    while (value && span_check(value) &&
           (((Span *) value)->flags & (SPAN_ENDED | SPAN_LEFT)) == (SPAN_ENDED | SPAN_LEFT)) {
        PyObject *before = ((Span *) value)->previous;
        if (before && otel_span_key && PyDict_Check(before))
            before = span_of_context(before);
        Py_XINCREF(before);
        Py_DECREF(value);
        value = before;
    }
    if (value == Py_None)
        Py_CLEAR(value);
    return value;
}

static PyObject *suppression_keys[3]; /* NULL: not bound */

void context_bind_suppression(PyObject *all, PyObject *all_plain, PyObject *http) {
    PyObject *const keys[3] = {all, all_plain, http};

    for (int i = 0; i < 3; i++) {
        Py_INCREF(keys[i]);
        Py_XSETREF(suppression_keys[i], keys[i]);
    }
}

static unsigned suppressed_in(PyObject *context) {
    static const unsigned what[3] = {SUPPRESSED_ALL, SUPPRESSED_ALL, SUPPRESSED_HTTP};
    unsigned r = 0;

    for (int i = 0; i < 3 && suppression_keys[i]; i++) {
        PyObject *value = PyDict_GetItemWithError(context, suppression_keys[i]);
        if (value && PyObject_IsTrue(value) == 1)
            r |= what[i];
    }
    PyErr_Clear();
    return r;
}

static PyObject *find_current(unsigned *ret_suppressed) {
    if (otel_variable) {
        PyObject *context = get(otel_variable), *span = span_of_context(context);
        /* Mostly the span is all there is. */
        if (ret_suppressed && context && PyDict_Check(context) &&
            PyDict_GET_SIZE(context) > (span != NULL))
            *ret_suppressed = suppressed_in(context);
        Py_XINCREF(span);
        Py_XDECREF(context);
        if (span)
            return skip_left(span);
    }
    return skip_left(get(own_variable));
}

unsigned context_suppressed(void) {
    unsigned r = 0;
    PyObject *context = suppression_keys[0] && otel_variable ? get(otel_variable) : NULL;

    if (context && PyDict_Check(context) && PyDict_GET_SIZE(context) > 0)
        r = suppressed_in(context);
    Py_XDECREF(context);
    return r;
}

PyObject *context_current(void) {
    return find_current(NULL);
}

Span *context_current_span(void) {
    PyObject *o = context_current();

    if (!o)
        return NULL;
    Py_DECREF(o); /* the context still holds it */
    if (!span_check(o) || (((Span *) o)->flags & SPAN_ENDED))
        return NULL;
    return (Span *) o;
}

static bool get_number(PyObject *o, PyObject *name, uint8_t *ret, size_t n) {
    PyObject *value = PyObject_GetAttr(o, name);
    bool good = false;

    if (value && PyLong_Check(value)) {
#if PY_VERSION_HEX >= 0x030d0000
        good = _PyLong_AsByteArray((PyLongObject *) value, ret, n, 0, 0, 1) == 0;
#else
        good = _PyLong_AsByteArray((PyLongObject *) value, ret, n, 0, 0) == 0;
#endif
    }
    Py_XDECREF(value);
    PyErr_Clear();
    return good;
}

/* A foreign span's context: an OTel SpanContext. */
static void read_foreign(PyObject *span, struct context_parent *ret) {
    static const uint8_t zeros[16];
    PyObject *c = PyObject_CallMethodObjArgs(span, str_get_span_context, NULL), *remote, *state,
             *text;

    if (!c) { /* the SpanContext itself? */
        PyErr_Clear();
        c = span;
        Py_INCREF(c);
    }
    if (!get_number(c, str_trace_id, ret->context.trace_id, 16) ||
        !get_number(c, str_span_id, ret->context.span_id, 8) ||
        !get_number(c, str_trace_flags, &ret->context.flags, 1) ||
        memcmp(ret->context.trace_id, zeros, 16) == 0 ||
        memcmp(ret->context.span_id, zeros, 8) == 0)
        goto finish;
    ret->found = true;
    remote = PyObject_GetAttr(c, str_is_remote);
    ret->remote = remote == Py_True;
    Py_XDECREF(remote);
    state = PyObject_GetAttr(c, str_trace_state);
    if (state && PyObject_Size(state) > 0) {
        text = PyObject_CallMethod(state, "to_header", NULL);
        if (text && PyUnicode_Check(text))
            ret->trace_state = text;
        else
            Py_XDECREF(text);
    }
    Py_XDECREF(state);
finish:
    Py_XDECREF(c);
    PyErr_Clear();
}

static void read_span(PyObject *span, struct context_parent *ret) {
    if (span_check(span)) {
        Span *s = (Span *) span;
        if (!(s->flags & (SPAN_STARTED | SPAN_REMOTE)))
            return;
        ret->found = true;
        ret->remote = (s->flags & SPAN_REMOTE) != 0;
        ret->context = s->id;
        ret->trace_state = s->trace_state;
        Py_XINCREF(s->trace_state);
    } else {
        read_foreign(span, ret);
    }
}

void context_find_parent(PyObject *explicit, struct context_parent *ret) {
    PyObject *span;

    ret->found = ret->remote = false;
    ret->suppressed = 0;
    ret->trace_state = NULL;
    if (explicit && explicit != Py_None) {
        if (PyDict_Check(explicit)) {
            span = otel_span_key ? span_of_context(explicit) : NULL;
            if (span)
                read_span(span, ret);
        } else {
            read_span(explicit, ret);
        }
        return;
    }
    span = find_current(&ret->suppressed);
    if (span) {
        read_span(span, ret);
        Py_DECREF(span);
    }
}

void context_parent_done(struct context_parent *p) {
    Py_CLEAR(p->trace_state);
}

/* Baggage as the API has it: a mapping under its key of the context, made and read by two functions
 * of the package. NULL: the API is not there. */
static PyObject *baggage_key, *baggage_parse, *baggage_format;

int context_bind_baggage(PyObject *key, PyObject *parse, PyObject *format) {
    Py_INCREF(key);
    Py_INCREF(parse);
    Py_INCREF(format);
    Py_XSETREF(baggage_parse, parse);
    Py_XSETREF(baggage_format, format);
    Py_XSETREF(baggage_key, key);
    return 0;
}

/* What came with the request becomes the API's baggage. */
static void hand_baggage(PyObject *context) {
    PyObject *text = get(baggage_variable);
    PyObject *mapping = text && text != Py_None
                                ? PyObject_CallFunctionObjArgs(baggage_parse, text, NULL)
                                : NULL;

    if (mapping)
        PyDict_SetItem(context, baggage_key, mapping);
    Py_XDECREF(mapping);
    Py_XDECREF(text);
    PyErr_Clear();
}

/* Of the API's type, with the same in it. */
static PyObject *copy_of(PyObject *context) {
    PyTypeObject *type = (PyTypeObject *) otel_context_type;
    PyObject *nothing, *next;

    if (!context)
        return PyObject_CallNoArgs(otel_context_type);
    if (type->tp_new != PyDict_Type.tp_new || type->tp_init != PyDict_Type.tp_init)
        return PyObject_CallOneArg(otel_context_type, context);
    /* What calling the type comes to, without its looking for what it might have been given. */
    nothing = PyTuple_New(0);
    next = nothing ? type->tp_new(type, nothing, NULL) : NULL;
    Py_XDECREF(nothing);
    if (next && PyDict_Merge(next, context, 1) < 0)
        Py_CLEAR(next);
    return next;
}

/* The API's context with the span in place. */
static PyObject *context_with(PyObject *context, Span *s) {
    PyObject *next = copy_of(context);

    /* Context forbids item assignment to Python code; the dict below does not. */
    if (next && PyDict_SetItem(next, otel_span_key, (PyObject *) s) < 0)
        Py_CLEAR(next);
    if (next && baggage_key && s->kind == KIND_SERVER)
        hand_baggage(next);
    if (!next)
        PyErr_Clear();
    return next;
}

/* The context that the thread is in, for comparing. */
static const void *here(void) {
    return PyThreadState_Get()->context;
}

void context_activate(Span *s) {
    PyObject *before, *next;

    if (s->flags & SPAN_ACTIVE)
        return;
    s->flags |= SPAN_ACTIVE;
    span_tell_operation(s);
    before = get(otel_variable ? otel_variable : own_variable);
    Py_XSETREF(s->previous, before);
    if (!otel_variable) {
        set(own_variable, (PyObject *) s);
    } else {
        next = context_with(before, s);
        if (next)
            set(otel_variable, next);
        Py_XDECREF(next);
    }
    s->activated_in = here();
}

/* Puts back what was current before the span. */
static void put_back(Span *s) {
    PyObject *now, *empty;

    if (!otel_variable) {
        set(own_variable, s->previous ? s->previous : Py_None);
    } else if (s->previous && PyDict_Check(s->previous)) {
        set(otel_variable, s->previous);
    } else {
        /* Nothing, or activated before the API came: then our own variable has it. */
        empty = PyObject_CallNoArgs(otel_context_type);
        if (empty)
            set(otel_variable, empty);
        PyErr_Clear();
        Py_XDECREF(empty);
        now = get(own_variable);
        Py_XDECREF(now);
        if (now == (PyObject *) s)
            set(own_variable, s->previous ? s->previous : Py_None);
    }
    Py_CLEAR(s->previous);
}

void context_deactivate(Span *s) {
    PyObject *now;

    if (!(s->flags & SPAN_ACTIVE))
        return;
    now = context_current();
    Py_XDECREF(now);
    s->flags &= (uint16_t) ~SPAN_ACTIVE;
    if (now == (PyObject *) s && here() == s->activated_in)
        put_back(s);
    else /* a copy of the context may have the span, too */
        s->flags |= SPAN_LEFT;
}

void context_restore(Span *s) {
    if (!(s->flags & SPAN_ACTIVE))
        return;
    s->flags &= (uint16_t) ~SPAN_ACTIVE;
    put_back(s);
}

void context_attach(Span *s, PyObject **ret_before) {
    PyObject *variable = otel_variable ? otel_variable : own_variable, *next, *before, *token;

    if (otel_variable) {
        before = get(otel_variable);
        next = context_with(before, s);
        Py_XDECREF(before);
    } else {
        Py_INCREF(s);
        next = (PyObject *) s;
    }
    token = next ? PyContextVar_Set(variable, next) : NULL;
    Py_XDECREF(next);
    if (!token)
        PyErr_Clear();
    if (ret_before)
        *ret_before = token;
    else
        Py_XDECREF(token);
}

void context_detach(PyObject *before) {
    PyObject *variable = PyObject_GetAttrString(before, "var");

    /* The variable of that time: the API may have been imported in between. */
    if (!variable || PyContextVar_Reset(variable, before) < 0)
        PyErr_Clear();
    Py_XDECREF(variable);
    Py_DECREF(before);
}

int context_bind(PyObject *variable, PyObject *context_type, PyObject *span_key) {
    if (!PyContextVar_CheckExact(variable) || !PyType_Check(context_type) ||
        !PyType_IsSubtype((PyTypeObject *) context_type, &PyDict_Type)) {
        PyErr_SetString(PyExc_TypeError, "not the context of the OpenTelemetry API");
        return -1;
    }
    Py_INCREF(variable);
    Py_INCREF(context_type);
    Py_INCREF(span_key);
    Py_XSETREF(otel_context_type, context_type);
    Py_XSETREF(otel_span_key, span_key);
    Py_XSETREF(otel_variable, variable);
    return 0;
}

/* The API's baggage as a header's text; *ret_there: whether the context has any. */
static PyObject *api_baggage(bool *ret_there) {
    PyObject *context = get(otel_variable), *mapping = NULL, *text = NULL;

    if (context && PyDict_Check(context))
        mapping = PyDict_GetItemWithError(context, baggage_key);
    *ret_there = mapping != NULL;
    if (mapping && PyObject_Size(mapping) > 0)
        text = PyObject_CallFunctionObjArgs(baggage_format, mapping, NULL);
    if (text && (!PyUnicode_Check(text) || PyUnicode_GET_LENGTH(text) > BAGGAGE_MAX))
        Py_CLEAR(text);
    Py_XDECREF(context);
    PyErr_Clear();
    return text;
}

PyObject *context_baggage(void) {
    PyObject *value;
    bool there = false;

    value = baggage_key && otel_variable ? api_baggage(&there) : NULL;
    if (there)
        return value;
    value = get(baggage_variable);

    if (value == Py_None)
        Py_CLEAR(value);
    return value;
}

void context_set_baggage(PyObject *text) {
    set(baggage_variable, text ? text : Py_None);
}
