/* Awaitables around others: what is done for a span while they run and when they end. GIL held. */
#ifndef VARAN_AGENT_STEPS_H
#define VARAN_AGENT_STEPS_H

#include "span.h"

enum steps_of {
    STEPS_OF_OTHERS,    /* timed; who awaits them ends the span */
    STEPS_OF_REQUEST,   /* timed; at the end the span is, too, with an exception that is raised */
    STEPS_OF_LAST_PART, /* of a response: when it is out the span's work is done */
};

/* `scope`: of a request, ASGI's dict; else NULL. New reference or NULL with an exception. */
PyObject *steps_around(PyObject *awaitable, Span *span, PyObject *scope, enum steps_of what);
/* The pending exception, which stays, is the request's failure; not one that ends its task. */
void steps_request_failed(Span *span, PyObject *scope);
/* The former span is current again, and the request's sent. A pending exception stays. */
void steps_request_ended(Span *span);

#endif
