/* Spans of HTTP requests, incoming and outgoing, by the stable HTTP semantic conventions. GIL held.
 */
#ifndef VARAN_AGENT_SERVER_H
#define VARAN_AGENT_SERVER_H

#include "span.h"

/* A started server span for a WSGI environ or an ASGI scope; NULL without an exception when that
 * cannot be. */
Span *server_start_wsgi(uint16_t scope, PyObject *request);
Span *server_start_asgi(uint16_t scope, PyObject *asgi_scope);

/* Status code of the response; sets the span's status as the conventions say. */
void http_set_status(Span *s, long code);

/* The route and the name that follows from it; the first one counts, and a name given by the
 * application stays. */
void server_set_route(Span *s, PyObject *route);

/* The headers of a request that fails: a WSGI environ, or pairs of bytes or str. Once per span;
 * secrets are left out. */
void headers_put(Span *s, PyObject *request);
extern bool error_headers; /* off: they are not taken */

/* The span's identifiers and baggage into a mapping of headers (str → str). */
void http_inject(Span *s, PyObject *headers);

/* The same, late: into the lines that http.client's connection is about to send, when the current
 * span is an outgoing call that wants it. As a header of requests it would be copied and checked on
 * its way through three libraries, which costs more than all the rest of the span. */
void inject_late(PyObject *connection);
extern bool inject_late_is_possible; /* http.client's connections call it */
/* And it knows all formats that are to be sent. */
bool inject_can_be_late(void);

/* A started span of an outgoing call, or NULL without an exception. */
Span *client_start(uint16_t scope, PyObject *method, PyObject *url);

/* Asks the application's own propagators. True: *ret, and *ret_state is a new str. */
bool http_ask_others(PyObject *request, struct trace_context *ret, PyObject **ret_state);

#endif
