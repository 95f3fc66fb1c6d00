/* Which traces are worth sending, decided when a process's part of one is over: its spans wait
 * until their local root ends. Kept are those with an error, those slower than what is usual for
 * their operation, those of operations that are rarely seen, and a share of the rest. GIL held. */
#ifndef VARAN_AGENT_KEEP_H
#define VARAN_AGENT_KEEP_H

#include "span.h"

#define KEEP_OPEN_MAX 10000             /* local roots at a time; further ones are sent */
#define KEEP_BYTES_MAX (4u << 20)       /* of all waiting spans */
#define KEEP_TRACE_BYTES_MAX (1u << 20) /* of one trace's */
#define KEEP_OPERATIONS_MAX 1000        /* told apart */

extern bool keep_enabled;

/* `share` of what is neither slow, rare, nor failed: 0 … 1. */
void keep_set(bool enabled, double share);
/* A local root begins. */
void keep_begin(const Span *s);
/* May a span of this trace go out at once? Else it has been kept waiting or dropped. `record` is
 * the encoded span. */
bool keep_offer(const Span *s, const char *record, size_t n);
/* A local root ends: NULL when its trace is to be dropped, else why it is kept. Its spans that
 * waited have been sent or forgotten. "": this one is to wait, too, for another local root. */
const char *keep_decide(const Span *s);
void keep_fork_reset(void);

#endif
