/* The span: one Python object that holds its identifiers, times, and its attributes, events and
 * links already encoded. All functions need the GIL, none leaves an exception set unless it says
 * so. */
#ifndef VARAN_AGENT_SPAN_H
#define VARAN_AGENT_SPAN_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "buf.h"
#include "propagation.h"
#include "runtime.h"
#include "value.h"

#define SPAN_INLINE_BYTES 512
#define SPAN_BYTES_MAX (128u << 10)

enum span_kind { KIND_INTERNAL = 1, KIND_SERVER, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER };
enum span_status { STATUS_UNSET, STATUS_OK, STATUS_ERROR };

enum span_flag {
    SPAN_STARTED = 1 << 0,
    SPAN_RECORDING = 1 << 1, /* attributes are kept; cleared by end() */
    SPAN_ENDED = 1 << 2,
    SPAN_HAS_PARENT = 1 << 3,
    SPAN_PARENT_REMOTE = 1 << 4,
    SPAN_ACTIVE = 1 << 5, /* made current by activate */
    SPAN_AUTO = 1 << 6,   /* __enter__ starts and activates (varan.span, start_as_current_span) */
    SPAN_NO_EXCEPTION = 1 << 7, /* __exit__ does not record exceptions */
    SPAN_NO_STATUS = 1 << 8,    /* __exit__ does not set the status */
    SPAN_NO_END = 1 << 9,       /* __exit__ does not end the span */
    SPAN_HTTP_CLIENT = 1 << 10, /* an outgoing call; calls below it are parts of it */
    SPAN_REMOTE = 1 << 11,      /* not ours: stands for the caller's span */
    SPAN_COUNTED = 1 << 12,     /* is to be counted at its end, recording or not; see red.h */
    SPAN_WAITS = 1 << 13,       /* a local root whose trace waits for it; see keep.h */
    SPAN_LEFT = 1 << 14,        /* deactivated where it was not the current one */
    SPAN_HEADERS = 1 << 15,     /* has its request's headers; see headers.c */
};

/* Of an outgoing call: does its request get the identifiers where it is written? */
enum late_headers { LATE_NOT, LATE_SEEN /* not, but it could have been */, LATE_WANTED, LATE_DONE };

typedef struct {
    PyObject_HEAD struct trace_context id;
    uint8_t parent_id[8];
    uint8_t kind;
    uint8_t status;
    uint16_t flags;
    uint16_t scope;
    uint16_t attributes_n, attributes_dropped, events_n, events_dropped, links_n, links_dropped;
    uint16_t keys_n;        /* of the attributes, those that `keys` knows */
    uint64_t keys;          /* a bit by each one's hash: what is not there need not be looked for */
    uint8_t measured;       /* its end is measured: see measure.h */
    uint8_t late;           /* enum late_headers */
    const void *plain_body; /* of a request: the response whose body and closing run no code of the
                               application's; not a reference */
    struct cell *active;    /* where it is counted among the requests in progress, or NULL */
    uint32_t generation;
    uint64_t start_ns; /* monotonic */
    uint64_t end_ns;   /* monotonic; 0: not ended */
    int64_t offset_ns; /* monotonic → wall clock */
    PyObject *name;
    PyObject *trace_state;     /* str or NULL */
    PyObject *status_message;  /* str or NULL */
    PyObject *previous;        /* what was current before this span; see context.h */
    const void *activated_in;  /* the context it was made current in; not a reference */
    PyObject *explicit_parent; /* between construction and start */
    PyObject *context_cache;   /* SpanContext, made when asked for */
    PyObject *last_exception;  /* identity of the last recorded one (not a reference) */
    PyObject *weak_references;
    struct buf data; /* encoded fields 9 (attributes), 11 (events), 13 (links) of the OTLP span */
    char inline_data[SPAN_INLINE_BYTES];
} Span;

extern PyTypeObject Span_Type;

/* Functions of the package that see each recorded span: started(span, parent) after it has begun,
 * ended(span) before it is sent. NULL: nobody looks. */
extern PyObject *span_started, *span_ended;
/* sampler(span) → None (as C decides), or (0 drop, 1 record only, 2 sample; trace state or None).
 * NULL: C's. */
extern PyObject *span_sampler;
/* reader(span, name): attributes of the SDK's spans that the API does not have. */
extern PyObject *span_reader;

struct span_limits {
    uint16_t attributes, events, links, event_attributes, link_attributes;
};
extern struct span_limits span_limits;
extern bool span_enabled; /* false until the agent is started: nothing is recorded */

static inline bool span_check(PyObject *o) {
    return Py_TYPE(o) == &Span_Type;
}

/* A span that is not started. Steals nothing. NULL with an exception. */
Span *span_new(PyObject *name, uint16_t scope, enum span_kind kind, unsigned flags);
/* Takes the place in the trace: below the given parent, or the current span, or as a root; decides
 * on sampling. */
void span_start(Span *s);
void span_start_below(Span *s, const struct trace_context *parent, PyObject *trace_state,
                      bool remote);
/* Sends the span. Later calls do nothing. */
void span_end(Span *s, uint64_t end_ns);

/* Tells the profiler what a trace's entry span is called now. */
void span_tell_operation(const Span *s);

static inline bool span_recording(const Span *s) {
    return (s->flags & SPAN_RECORDING) != 0;
}

/* Are its attributes kept, to be sent or to be those of a metric? */
static inline bool span_keeps(const Span *s) {
    return span_recording(s) || s->measured;
}

/* Does its outcome matter? Also spans that are not sampled are counted. */
static inline bool span_matters(const Span *s) {
    return (s->flags & (SPAN_RECORDING | SPAN_COUNTED)) != 0 || s->measured;
}
/* The first span of a trace, or of this process's part of one. */
static inline bool span_is_local_root(const Span *s) {
    return (s->flags & (SPAN_HAS_PARENT | SPAN_PARENT_REMOTE)) != SPAN_HAS_PARENT;
}

/* The attribute replaces one of the same key. */
void span_set(Span *s, PyObject *key, PyObject *value);
void span_set_status(Span *s, enum span_status status, PyObject *message);
/* Adds what may be added without looking for an earlier one of the same key. */
#define SPAN_PUT_STRING(s, key, value, n)                                                          \
    do {                                                                                           \
        if (PUT_STRING(&(s)->data, SPAN_ATTRIBUTE, key, value, n) == 0)                            \
            (s)->attributes_n++;                                                                   \
    } while (0)
#define SPAN_PUT_INT(s, key, value)                                                                \
    do {                                                                                           \
        if (PUT_INT(&(s)->data, SPAN_ATTRIBUTE, key, value) == 0)                                  \
            (s)->attributes_n++;                                                                   \
    } while (0)
/* The same with a Python value. */
void span_put(Span *s, const char *key, size_t key_n, PyObject *value);

/* span_ids.c: the trace's (the parent's, or a new one) and its own. */
void span_take_ids(Span *s, const struct trace_context *parent);

/* span_events.c */
void span_add_event(Span *s, PyObject *name, PyObject *attributes, uint64_t wall_ns);
void span_add_link(Span *s, PyObject *context, PyObject *attributes);
/* An exception event; sets no status. The same exception is recorded once per span. */
void span_record_exception(Span *s, PyObject *exception, PyObject *attributes, uint64_t wall_ns);
/* Exception event and status "error" with error.type, as for an exception that leaves the span. */
void span_fail(Span *s, PyObject *exception);
/* The same with the pending exception, which stays pending; not with those that end the thread. */
void span_fail_pending(Span *s);

/* exception.c: type, message and stack trace as attributes of the given tag. */
int exception_put(struct buf *b, unsigned tag, PyObject *exception, PyObject *ready_trace,
                  unsigned *n);
/* "module.Type", without "builtins.". New reference or NULL (no exception set). */
PyObject *exception_type_name(PyObject *exception);

/* span_methods.c */
void span_set_attributes(Span *s, PyObject *attributes);
Span *span_copy(Span *s);
extern PyMethodDef span_methods[];
extern PyGetSetDef span_getset[];

#endif
