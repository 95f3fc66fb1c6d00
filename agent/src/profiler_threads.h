/* What each look adds to the window, thread by thread: what it cost since the last look, and which
 * span that belongs to. The profiler's thread alone. */
#ifndef VARAN_AGENT_PROFILER_THREADS_H
#define VARAN_AGENT_PROFILER_THREADS_H

#include "profiler_window.h"

/* Before the stacks are read: takes what the threads have told since the last look, and notes which
 * spans they are in. */
void threads_look(struct profiler_window *w);
/* After it, adds what was seen at `now_ns` (monotonic). `passed_ns`: since the last look; `wall`:
 * whether wall time counts. The stacks that were seen, and those that did not count because the
 * thread turned to another span under the look. */
void threads_add(struct profiler_window *w, const struct cpython_sample *s, bool wall,
                 uint64_t now_ns, uint64_t passed_ns, uint64_t *ret_seen, uint64_t *ret_torn);
/* Until then every thread stood where the last look at this window saw it. */
void threads_stood(struct profiler_window *w, bool wall, uint64_t until_ns);
/* Before the window is settled: CPU time that was used and not charged yet. */
void threads_settle(struct profiler_window *w);
/* Begins anew: what was used until now is not charged. */
void threads_forget(void);

#endif
