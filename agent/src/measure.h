/* Metrics of requests, calls and statements, by OpenTelemetry's semantic conventions:
 * http.server.request.duration and http.server.active_requests, http.client.request.duration,
 * db.client.operation.duration. They are measured at the spans of our own hooks, whether these are
 * sampled or not: such a span keeps its attributes until its end. GIL held. */
#ifndef VARAN_AGENT_MEASURE_H
#define VARAN_AGENT_MEASURE_H

#include "span.h"

enum measured { MEASURED_NOT, MEASURED_HTTP_SERVER, MEASURED_HTTP_CLIENT, MEASURED_DATABASE };

/* After a span's start, before its attributes. */
void measure_span(Span *s, enum measured what);
/* A request's attributes are there: it is active until measure_end(). */
void measure_active(Span *s);
/* Once, at the end of a span that is measured. */
void measure_end(Span *s);
/* An active one goes away without an end. */
void measure_forget(Span *s);

#endif
