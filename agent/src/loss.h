/* What was lost on the way: read from the server's answers, and told to the server when it takes
 * records again. */
#ifndef VARAN_AGENT_LOSS_H
#define VARAN_AGENT_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rejected records in an Export…ServiceResponse (partial_success, field 1 of field 1); 0 for
 * anything malformed. */
uint64_t loss_rejected(const char *body, size_t n);

/* Puts one log record about records lost since the last report into the rings, when there are any.
 * Export thread only. */
void loss_report(void);

#endif
