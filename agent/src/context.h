/* The current span. It lives in a context variable: ours, or, once the OpenTelemetry API is in the
 * process, the API's own, so that spans made on either side see each other. GIL held. */
#ifndef VARAN_AGENT_CONTEXT_H
#define VARAN_AGENT_CONTEXT_H

#include "span.h"

/* What the API's suppress_instrumentation() forbids where it is in force. */
enum suppressed { SUPPRESSED_ALL = 1 << 0, SUPPRESSED_HTTP = 1 << 1 };

struct context_parent {
    bool found, remote;
    unsigned suppressed; /* what native hooks must not make spans of */
    struct trace_context context;
    PyObject *trace_state; /* str or NULL; owned */
};

int context_init(void);

/* Looks for a parent: `explicit` is NULL (the current span counts), a Span, an OTel Context (dict)
 * or any object with get_span_context(). Always fills *ret. */
void context_find_parent(PyObject *explicit, struct context_parent *ret);
void context_parent_done(struct context_parent *p);

/* The current span object, ours or a foreign one; new reference, NULL when there is none (no
 * exception set). */
PyObject *context_current(void);
/* The same if it is a span of ours that is not at its end; borrowed from the context, else NULL. */
Span *context_current_span(void);

/* Tells the profiler what is current in this context; !here: nothing, the thread turns to other
 * work. */
void context_publish(bool here);
/* Makes a span current; the one before is kept in it. */
void context_activate(Span *s);
/* Makes the former current span current again, unless another one has become current meanwhile (a
 * generator closed in another context, spans left in another order). */
void context_deactivate(Span *s);
/* The same by force: for one who called foreign code and knows that nothing of it may stay current.
 */
void context_restore(Span *s);

/* Makes a span current that stays the business of another thread or task: it is neither changed nor
 * ended here. What was current before comes back by context_detach(), which takes *ret_before;
 * NULL: never. */
void context_attach(Span *s, PyObject **ret_before);
void context_detach(PyObject *before);

/* Uses the API's context variable from now on: its ContextVar, Context type and key of the span.
 * Raises. */
int context_bind(PyObject *variable, PyObject *context_type, PyObject *span_key);

/* What is in force here. */
unsigned context_suppressed(void);
/* The keys under which the API's context says so: everything, the same by its older name, HTTP
 * alone. */
void context_bind_suppression(PyObject *all, PyObject *all_plain, PyObject *http);

/* The API's baggage: its key, text → mapping, mapping → text. */
int context_bind_baggage(PyObject *key, PyObject *parse, PyObject *format);
/* Baggage that came with a request, as the header's text. New reference or NULL. */
PyObject *context_baggage(void);
/* Sets the baggage of this context. NULL: none. */
void context_set_baggage(PyObject *text);

#endif
