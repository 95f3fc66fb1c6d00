/* Sending log records. GIL held. */
#ifndef VARAN_AGENT_LOGS_H
#define VARAN_AGENT_LOGS_H

#include "span.h"

#define LOG_BYTES_MAX (128u << 10)

extern uint16_t logs_attributes_max; /* of a record, from the configuration */
extern uint32_t logs_length_max;     /* of an attribute's value: characters */

/* A record begins; its end is in_log--. False, and counted, for one that would be too deep in
 * others: they are built on the stack and written into the ring without a step into Python, so one
 * may begin within another. */
bool logs_enter(struct thread_state *t);
/* The ids of the current span, or of `context` (see context_find_parent()). */
void logs_put_ids(struct buf *b, PyObject *context);
/* Hands an encoded LogRecord to the export thread. */
void logs_send(const struct buf *b, uint16_t scope);

#endif
