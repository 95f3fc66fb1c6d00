/* See span.h. Memory of dead spans is kept for new ones: a span is too big for Python's
 * small-object allocator. */
#include "span.h"

#include <stddef.h>

#include "context.h"
#include "keep.h"
#include "measure.h"
#include "module.h"
#include "profiler_operation.h"
#include "profiler_slot.h"
#include "red.h"
#include "ring.h"
#include "sampler.h"

#define FREE_LIST_MAX 128
#define NAME_BYTES_MAX 1024

struct span_limits span_limits = {.attributes = 128,
                                  .events = 128,
                                  .links = 128,
                                  .event_attributes = 128,
                                  .link_attributes = 128};
bool span_enabled;
PyObject *span_started, *span_ended, *span_sampler, *span_reader;

static Span *free_list[FREE_LIST_MAX];
static unsigned free_list_n;

/* A name that is no str: its text. New reference or NULL with an exception. */
static PyObject *text_for_name(PyObject *name) {
    const char *text;
    PyObject *hold, *r;
    size_t n;

    text_of(name, &text, &n, &hold);
    r = PyUnicode_DecodeUTF8(text, (Py_ssize_t) text_cut(text, n, NAME_BYTES_MAX), "replace");
    Py_XDECREF(hold);
    return r;
}

Span *span_new(PyObject *name, uint16_t scope, enum span_kind kind, unsigned flags) {
    Span *s;

    if (__builtin_expect(PyUnicode_Check(name), 1))
        Py_INCREF(name);
    else if (!(name = text_for_name(name)))
        return NULL;
    s = free_list_n ? free_list[--free_list_n] : PyObject_Malloc(sizeof(Span));
    if (!s) {
        Py_DECREF(name);
        return (Span *) PyErr_NoMemory();
    }
    memset((char *) s + sizeof(PyObject), 0, offsetof(Span, data) - sizeof(PyObject));
    PyObject_Init((PyObject *) s, &Span_Type);
    buf_init(&s->data, s->inline_data, sizeof(s->inline_data), SPAN_BYTES_MAX);
    s->name = name;
    s->scope = scope;
    s->kind = (uint8_t) kind;
    s->flags = (uint16_t) (flags | (span_enabled ? SPAN_RECORDING : 0));
    return s;
}

static void span_dealloc(PyObject *self) {
    Span *s = (Span *) self;

    if (s->active && s->generation == process_generation)
        measure_forget(s);
    if (s->weak_references)
        PyObject_ClearWeakRefs(self);
    Py_XDECREF(s->name);
    Py_XDECREF(s->trace_state);
    Py_XDECREF(s->status_message);
    Py_XDECREF(s->previous);
    Py_XDECREF(s->explicit_parent);
    Py_XDECREF(s->context_cache);
    buf_done(&s->data);
    if (free_list_n < FREE_LIST_MAX)
        free_list[free_list_n++] = s;
    else
        PyObject_Free(s);
}

/* Calls a function of the package; what it raises, it has told itself. */
static PyObject *call_watcher(PyObject *function, Span *s) {
    PyObject *type, *value, *trace, *result;

    PyErr_Fetch(&type, &value, &trace);
    result = PyObject_CallFunctionObjArgs(function, (PyObject *) s, NULL);
    PyErr_Clear();
    PyErr_Restore(type, value, trace);
    return result;
}

enum decision { DROP, RECORD_ONLY, RECORD_AND_SAMPLE };

/* The application's own sampler. Its failure means: as C would. */
static enum decision ask_sampler(Span *s, enum decision decided) {
    PyObject *result, *state;
    long n;

    s->id.flags = decided == RECORD_AND_SAMPLE ? FLAG_SAMPLED : 0;
    s->flags |= SPAN_STARTED;
    result = call_watcher(span_sampler, s);
    if (result && PyTuple_Check(result) && PyTuple_GET_SIZE(result) == 2) {
        n = PyLong_AsLong(PyTuple_GET_ITEM(result, 0));
        state = PyTuple_GET_ITEM(result, 1);
        if (n >= DROP && n <= RECORD_AND_SAMPLE)
            decided = (enum decision) n;
        if (PyUnicode_Check(state) && PyUnicode_GET_LENGTH(state) <= TRACESTATE_MAX) {
            Py_INCREF(state);
            Py_XSETREF(s->trace_state, state);
        }
        PyErr_Clear();
    }
    Py_XDECREF(result);
    s->id.flags = 0;
    Py_CLEAR(s->context_cache); /* the sampler may have looked at it */
    return decided;
}

static void begin(Span *s) {
    s->generation = process_generation;
    s->start_ns = clock_monotonic_ns();
    s->offset_ns = clock_offset_ns(s->start_ns);
    s->flags |= SPAN_STARTED;
}

void span_start_below(Span *s, const struct trace_context *parent, PyObject *trace_state,
                      bool remote) {
    enum decision decision;
    uint64_t low;

    span_take_ids(s, parent);
    if (parent) {
        memcpy(s->parent_id, parent->span_id, 8);
        s->flags |= (uint16_t) (SPAN_HAS_PARENT | (remote ? SPAN_PARENT_REMOTE : 0));
        if (trace_state) {
            Py_INCREF(trace_state);
            s->trace_state = trace_state;
        }
    }
    memcpy(&low, s->id.trace_id + 8, 8);
    decision =
            span_enabled && sampler_decide(parent != NULL, parent && parent->flags & FLAG_SAMPLED,
                                           __builtin_bswap64(low))
                    ? RECORD_AND_SAMPLE
                    : DROP;
    if (__builtin_expect(span_sampler != NULL, 0) && span_enabled)
        decision = ask_sampler(s, decision);
    if (decision == RECORD_AND_SAMPLE)
        s->id.flags = FLAG_SAMPLED;
    else if (decision == DROP && span_recording(s)) {
        s->flags &= (uint16_t) ~SPAN_RECORDING;
        count_locked(SPANS_NOT_SAMPLED);
    }
    begin(s);
    if (red_enabled && span_enabled)
        s->flags |= SPAN_COUNTED;
    if (keep_enabled && decision == RECORD_AND_SAMPLE && span_is_local_root(s)) {
        s->flags |= SPAN_WAITS;
        keep_begin(s);
    }
    if (__builtin_expect(span_started != NULL, 0) && span_recording(s))
        Py_XDECREF(call_watcher(span_started, s));
}

void span_start(Span *s) {
    struct context_parent parent;

    if (s->flags & SPAN_STARTED)
        return;
    context_find_parent(s->explicit_parent, &parent);
    span_start_below(s, parent.found ? &parent.context : NULL, parent.trace_state, parent.remote);
    context_parent_done(&parent);
    Py_CLEAR(s->explicit_parent);
}

/* Looks for the attribute among the encoded ones; returns its offset and its length with the tag.
 */
static bool find_attribute(const Span *s, const char *key, size_t key_n, uint32_t *ret_at,
                           uint32_t *ret_n) {
    const char *base = s->data.data, *p = base, *end = base + s->data.used;

    while (p < end) {
        const char *field = p;
        unsigned tag = (uint8_t) *p++;
        size_t n = pb_read_varint(&p);

        if (tag == SPAN_ATTRIBUTE) {
            const char *q = p + 1; /* past the key's tag */
            size_t k = pb_read_varint(&q);
            if (k == key_n && memcmp(q, key, k) == 0) {
                *ret_at = (uint32_t) (field - base);
                *ret_n = (uint32_t) (p + n - field);
                return true;
            }
        }
        p += n;
    }
    return false;
}

static void remove_bytes(struct buf *b, uint32_t at, uint32_t n) {
    memmove(b->data + at, b->data + at + n, b->used - at - n);
    b->used -= n;
}

/* The bit of a key in Span.keys; 0 for one whose hash nobody has asked for yet. */
static uint64_t key_bit(PyObject *key) {
    Py_hash_t hash = ((PyASCIIObject *) key)->hash;

    return hash == -1 ? 0 : 1ull << (hash & 63);
}

void span_set(Span *s, PyObject *key, PyObject *value) {
    const char *text;
    size_t n;
    PyObject *hold;
    uint32_t at, length, before;
    uint64_t bit;
    bool known;

    if (!span_keeps(s) || value == Py_None || !PyUnicode_Check(key) ||
        text_view(key, &text, &n, &hold) < 0)
        return;
    if (n == 0 || n > KEY_BYTES_MAX)
        goto dropped;
    /* The new one goes behind, then the old one goes away: user code may run in between. */
    before = s->data.used;
    if (value_put_named(&s->data, SPAN_ATTRIBUTE, text, n, value) < 0)
        goto dropped;
    /* After the value's own code, which may have set others. */
    bit = key_bit(key);
    known = bit && s->keys_n == s->attributes_n;
    s->attributes_n++;
    if (known && !(s->keys & bit) && s->attributes_n <= span_limits.attributes) {
        s->keys_n++;
        s->keys |= bit;
    } else if (s->attributes_n > 1 && find_attribute(s, text, n, &at, &length) &&
               at + length < s->data.used && (at < before || s->data.used - before > length)) {
        remove_bytes(&s->data, at, length);
        s->attributes_n--;
    } else if (s->attributes_n > span_limits.attributes) {
        s->data.used = before;
        s->attributes_n--;
        goto dropped;
    }
    Py_XDECREF(hold);
    return;
dropped:
    s->attributes_dropped++;
    count_locked(ATTRIBUTES_DROPPED);
    Py_XDECREF(hold);
}

void span_put(Span *s, const char *key, size_t key_n, PyObject *value) {
    if (span_keeps(s) && value_put_named(&s->data, SPAN_ATTRIBUTE, key, key_n, value) == 0)
        s->attributes_n++;
}

void span_set_status(Span *s, enum span_status status, PyObject *message) {
    /* OTel: "ok" is final, and nothing goes back to "unset". */
    if (!span_matters(s) || s->status == STATUS_OK || status == STATUS_UNSET)
        return;
    s->status = (uint8_t) status;
    if (status != STATUS_ERROR || !message || !PyUnicode_Check(message))
        message = NULL;
    Py_XINCREF(message); /* may be the one that is there */
    Py_XSETREF(s->status_message, message);
}

static char *put_counter(char *p, unsigned tag, unsigned n) {
    if (!n)
        return p;
    *p++ = (char) tag;
    return pb_varint(p, n);
}

struct texts {
    const char *name, *state, *message;
    size_t name_n, state_n, message_n;
};

static size_t encoded_size_max(const Span *s, const struct texts *t) {
    /* ids, times, kind, counters, status and flags take less than 120 bytes together */
    return 120 + s->data.used + pb_bytes_size(t->name_n) + pb_bytes_size(t->state_n) +
           pb_bytes_size(t->message_n);
}

static char *put_span(char *p, const Span *s, const struct texts *t) {
    uint32_t flags = s->id.flags | 0x100u | (s->flags & SPAN_PARENT_REMOTE ? 0x200u : 0);

    p = pb_bytes(p, SPAN_TRACE_ID, s->id.trace_id, 16);
    p = pb_bytes(p, SPAN_SPAN_ID, s->id.span_id, 8);
    if (t->state_n)
        p = pb_bytes(p, SPAN_TRACE_STATE, t->state, t->state_n);
    if (s->flags & SPAN_HAS_PARENT)
        p = pb_bytes(p, SPAN_PARENT_ID, s->parent_id, 8);
    p = pb_bytes(p, SPAN_NAME, t->name, t->name_n);
    *p++ = SPAN_KIND;
    *p++ = (char) s->kind;
    *p++ = SPAN_START;
    p = pb_fixed64(p, s->start_ns + (uint64_t) s->offset_ns);
    *p++ = SPAN_END;
    p = pb_fixed64(p, s->end_ns + (uint64_t) s->offset_ns);
    memcpy(p, s->data.data, s->data.used);
    p += s->data.used;
    p = put_counter(p, SPAN_DROPPED_ATTRIBUTES, s->attributes_dropped);
    p = put_counter(p, SPAN_DROPPED_EVENTS, s->events_dropped);
    p = put_counter(p, SPAN_DROPPED_LINKS, s->links_dropped);
    if (s->status) {
        *p++ = SPAN_STATUS;
        p = pb_varint(p, 2 + (t->message_n ? pb_bytes_size(t->message_n) : 0));
        if (t->message_n)
            p = pb_bytes(p, 0x12, t->message, t->message_n);
        *p++ = 0x18;
        *p++ = (char) s->status;
    }
    *p++ = (char) 0x85; /* flags, field 16, fixed32 */
    *p++ = 0x01;
    memcpy(p, &flags, 4);
    return p + 4;
}

static void view(PyObject *o, const char **text, size_t *n, PyObject **hold, size_t max) {
    *text = "";
    *n = 0;
    *hold = NULL;
    if (o && text_view(o, text, n, hold) == 0)
        *n = text_cut(*text, *n, max);
}

/* Into the ring, or to the others of its trace that wait. */
static void deliver(Span *s, const char *span, size_t n) {
    char stack[2048], *record, *p;

    if (keep_enabled && !(s->flags & SPAN_WAITS)) {
        record = pb_bytes_size(n) <= sizeof(stack) ? stack : malloc(pb_bytes_size(n));
        if (!record)
            return;
        pb_bytes(record, 0x12, span, n);
        if (!keep_offer(s, record, pb_bytes_size(n)))
            n = 0;
        if (record != stack)
            free(record);
        if (!n)
            return;
    }
    p = ring_reserve(SIGNAL_SPAN, s->scope, pb_bytes_size(n));
    if (p) {
        pb_bytes(p, 0x12, span, n);
        ring_commit();
    }
}

/* The record in the ring is field 2 of ScopeSpans, with its tag. Its length comes first and is
 * known only after writing, so the span is put together beside the ring. */
static void hand_over(Span *s) {
    struct texts t;
    PyObject *hold_name, *hold_state, *hold_message;
    char stack[2048], *whole = stack, *end;
    size_t max, n;

    view(s->name, &t.name, &t.name_n, &hold_name, NAME_BYTES_MAX);
    view(s->trace_state, &t.state, &t.state_n, &hold_state, TRACESTATE_MAX);
    view(s->status_message, &t.message, &t.message_n, &hold_message, 1024);
    max = encoded_size_max(s, &t);
    if (max > sizeof(stack))
        whole = malloc(max);
    if (whole) {
        end = put_span(whole, s, &t);
        n = (size_t) (end - whole);
        deliver(s, whole, n);
        if (whole != stack)
            free(whole);
    } else {
        count(SPANS_DROPPED_MEMORY, 1);
    }
    Py_XDECREF(hold_name);
    Py_XDECREF(hold_state);
    Py_XDECREF(hold_message);
}

static void count_span(const Span *s) {
    bool entry = s->kind == KIND_SERVER || s->kind == KIND_CONSUMER || span_is_local_root(s);
    const char *text;
    size_t n;
    PyObject *hold;

    if (text_view(s->name, &text, &n, &hold) < 0)
        return;
    red_count(text, text_cut(text, n, 255), s->kind, s->status, entry,
              s->start_ns + (uint64_t) s->offset_ns, s->end_ns - s->start_ns);
    Py_XDECREF(hold);
}

/* Is the span to be sent? */
static bool is_kept(Span *s) {
    const char *why;

    if (!(s->flags & SPAN_WAITS))
        return true;
    why = keep_decide(s);
    if (!why) {
        count_locked(SPANS_NOT_KEPT);
        return false;
    }
    if (*why)
        SPAN_PUT_STRING(s, "varan.kept", why, strlen(why));
    else
        s->flags &= (uint16_t) ~SPAN_WAITS;
    return true;
}

static void tell_operation(const Span *s, bool final) {
    const char *name;
    Py_ssize_t n;

    if (!atomic_load_explicit(&profiler_wants_spans, memory_order_relaxed) ||
        !(s->flags & SPAN_STARTED) || s->flags & SPAN_REMOTE ||
        ((s->flags & (SPAN_HAS_PARENT | SPAN_PARENT_REMOTE)) == SPAN_HAS_PARENT &&
         s->kind != KIND_SERVER && s->kind != KIND_CONSUMER))
        return;
    name = PyUnicode_Check(s->name) ? PyUnicode_AsUTF8AndSize(s->name, &n) : NULL;
    if (name)
        profiler_operation_set(s->id.trace_id, name, (size_t) n, final);
    else
        PyErr_Clear();
}

void span_tell_operation(const Span *s) {
    if (!(s->flags & SPAN_ENDED)) /* one that is entered once more, to close a response, has told */
        tell_operation(s, false);
}

static void finish(Span *s, uint64_t end_ns) {
    if (!s->end_ns)
        s->end_ns = end_ns ? end_ns : clock_monotonic_ns();
    if (s->end_ns < s->start_ns)
        s->end_ns = s->start_ns;
    thread_state(); /* in a forked child: before anything is counted */
    tell_operation(s, true);
    if ((s->flags & SPAN_COUNTED) && s->generation == process_generation)
        count_span(s);
    s->flags &= (uint16_t) ~SPAN_COUNTED;
    if (s->measured && s->generation == process_generation)
        measure_end(s);
    s->measured = MEASURED_NOT;
    if (!span_recording(s)) {
        buf_done(&s->data);
        s->data.used = 0;
        return;
    }
    count_locked(SPANS_FINISHED);
    if (__builtin_expect(span_ended != NULL, 0) && s->generation == process_generation)
        Py_XDECREF(call_watcher(span_ended, s));
    if (s->generation != process_generation)
        count(SPANS_DROPPED_FORK, 1); /* the parent process sends it */
    else if (!(s->id.flags & FLAG_SAMPLED))
        count_locked(SPANS_NOT_SAMPLED); /* recorded for processors of the application alone */
    else if (is_kept(s))
        hand_over(s);
    s->flags &= (uint16_t) ~SPAN_RECORDING;
    buf_done(&s->data);
    s->data.used = 0;
}

void span_end(Span *s, uint64_t end_ns) {
    PyObject *type, *value, *trace;

    if ((s->flags & (SPAN_ENDED | SPAN_STARTED)) != SPAN_STARTED)
        return;
    s->flags |= SPAN_ENDED;
    if (!span_matters(s))
        return;
    if (!PyErr_Occurred()) {
        finish(s, end_ns);
        return;
    }
    PyErr_Fetch(&type, &value, &trace); /* of the request that fails: it is on its way */
    finish(s, end_ns);
    PyErr_Restore(type, value, trace);
}

static PyObject *span_repr(PyObject *self) {
    Span *s = (Span *) self;
    char ids[49];

    hex_format(s->id.trace_id, 16, ids);
    ids[32] = '/';
    hex_format(s->id.span_id, 8, ids + 33);
    return PyUnicode_FromFormat("<varan.Span %R %.49s>", s->name, ids);
}

/* Used as a decorator. */
static PyObject *span_call(PyObject *self, PyObject *args, PyObject *names) {
    if (PyTuple_GET_SIZE(args) != 1 || names) {
        PyErr_SetString(PyExc_TypeError, "a span decorates one function");
        return NULL;
    }
    return module_decorate(self, PyTuple_GET_ITEM(args, 0));
}

PyTypeObject Span_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.Span",
        .tp_doc = "A unit of work in a trace.",
        .tp_basicsize = sizeof(Span),
        .tp_dealloc = span_dealloc,
        .tp_repr = span_repr,
        .tp_call = span_call,
        .tp_flags = Py_TPFLAGS_DEFAULT,
        .tp_weaklistoffset = offsetof(Span, weak_references),
        .tp_methods = span_methods,
        .tp_getset = span_getset,
};
