/* Which operation (endpoint) each trace serves in this process. Names are kept once; traces name
 * them by number. The application's threads write with the GIL held, the profiler's thread reads
 * without a lock. Bounded: the oldest traces are forgotten first, those at their end before others.
 */
#ifndef VARAN_AGENT_PROFILER_OPERATION_H
#define VARAN_AGENT_PROFILER_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILER_OPERATIONS_MAX 1024u /* different names; traces of further ones have none */
#define PROFILER_OPERATION_BYTES 104u

/* The operation that a trace serves in this process, as its entry span is called now; `final`: the
 * span is at its end. GIL held. */
void profiler_operation_set(const uint8_t *trace_id, const char *name, size_t n, bool final);
/* The operation's number, 0: not known (yet). Profiler's thread. */
uint32_t profiler_operation_of(const uint64_t trace_id[2], bool *ret_final);
/* Its name, which stays for good; its length in *ret_size. */
const char *profiler_operation_name(uint32_t operation, size_t *ret_size);
void profiler_operations_fork_child(void);

#endif
