/* Sending log records. GIL held. */
#ifndef VARAN_AGENT_LOGS_H
#define VARAN_AGENT_LOGS_H

#include "span.h"

#define LOG_BYTES_MAX (128u << 10)
#define LOG_ATTRIBUTES_MAX 128

/* The ids of the current span, or of `context` (see context_find_parent()). */
void logs_put_ids(struct buf *b, PyObject *context);
/* Hands an encoded LogRecord to the export thread. */
void logs_send(const struct buf *b, uint16_t scope);

#endif
