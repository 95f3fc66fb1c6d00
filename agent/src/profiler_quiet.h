/* Whether anything has run in the process since the last look, as its CPU clock tells: while
 * nothing has, every stack is what it was, and need not be read. All times in nanoseconds. */
#ifndef VARAN_AGENT_PROFILER_QUIET_H
#define VARAN_AGENT_PROFILER_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/* The clocks of process and thread are read one after the other: so much apart, at most. A thread
 * that wakes up and goes to sleep again uses more. */
#define QUIET_USED_NS UINT64_C(5000)
/* However quiet it is, stacks are read so often. */
#define QUIET_LOOK_NS UINT64_C(1000000000)
/* Looking for what woke up, in a process that has been quiet for long. */
#define QUIET_PERIOD_NS_MAX UINT64_C(100000000)
/* Who does no more than this at once stays quiet: a server that looks after itself each second. */
#define QUIET_LITTLE_NS UINT64_C(1000000)

struct profiler_quiet {
    uint64_t others_ns; /* the other threads' clocks before the last look */
    uint64_t looked_ns; /* monotonic: that look; 0: none */
    uint64_t busy_ns;   /* … when more than a little had run last */
    uint64_t quiet_ns; /* … until when it is known that nothing has run since the look; 0: is not */
};

/* The CPU time of all threads but the calling one; *ret_own: of that one. */
uint64_t quiet_read_clocks(uint64_t *ret_own);
/* At `now_ns` the other threads' clocks stand at `others_ns`. True: nothing needs to be read. */
bool quiet_check(struct profiler_quiet *q, uint64_t now_ns, uint64_t others_ns);
/* A look begins; it was checked just before. */
void quiet_look(struct profiler_quiet *q, uint64_t now_ns, uint64_t others_ns);
/* The period after a check that found it quiet: longer, the longer it has been so. */
uint64_t quiet_period(const struct profiler_quiet *q, uint64_t now_ns, uint64_t least_ns);
/* The next check is to lead to a look. */
void quiet_end(struct profiler_quiet *q);

#endif
