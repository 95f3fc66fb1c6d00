/* The continuous profiler: a plain thread that never takes the GIL reads this process from the
 * outside, as the command-line profiler reads others, and sends what it saw every ten seconds. It
 * takes at most about half a per cent of a processor by sampling more seldom when a walk is costly.
 *
 * Per thread: CPU time as the kernel counts it, wall time, and time spent waiting for the GIL; each
 * with the span that is current there. */
#ifndef VARAN_AGENT_PROFILER_H
#define VARAN_AGENT_PROFILER_H

#include "profiler_slot.h"

struct profiler_options {
    bool enabled;
    bool wall;         /* wall time too, and not only CPU time and GIL wait */
    bool source;       /* the text of the hottest functions of the application too */
    unsigned rate_max; /* walks a second, at most */
};

struct profiler_stats {
    uint64_t walks, samples, torn, dropped, windows, windows_lost;
    uint64_t cpu_ns;   /* spent by the profiler's thread */
    uint64_t since_ns; /* monotonic, its start; 0: it does not run */
    uint64_t period_ns;
};

/* Starts the thread, or changes what it does. GIL held. */
void profiler_configure(const struct profiler_options *o);
/* Starts the thread in a forked child, where the parent had one. */
void profiler_start_child(void);
/* Hands over what was seen so far to the export thread; waits at most timeout_ms. Call without the
 * GIL. */
void profiler_flush(uint32_t timeout_ms);
/* The server does not take profiles: pause. Any thread. */
void profiler_refused(void);
void profiler_read_stats(struct profiler_stats *ret);
/* In a child, before anything else runs there. */
void profiler_fork_child(void);

#endif
