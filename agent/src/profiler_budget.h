/* How often the profiler may look, by what its looks cost. All times in nanoseconds. */
#ifndef VARAN_AGENT_PROFILER_BUDGET_H
#define VARAN_AGENT_PROFILER_BUDGET_H

#include <stdint.h>

/* What one look costs, times this, is the least period: 0.75 % of a processor. */
#define PROFILER_COST_SHARE 133u
/* What may be spent beyond the share, once: a process that begins is worth a closer look. */
#define PROFILER_CREDIT_NS (20 * INT64_C(1000000))
#define PROFILER_PERIOD_NS_MAX UINT64_C(1000000000)

struct profiler_budget {
    uint64_t spent_ns; /* of the thread's clock, as far as it was charged */
    uint64_t cost_ns;  /* the running mean of a look, waking up included; 0: none yet */
    int64_t credit_ns; /* negative: more was spent than the share, and is to be made up for */
};

void budget_init(struct profiler_budget *b);
/* The thread's clock stands at `cpu_ns`: what was used since the last call was for no look (to find
 * the interpreter, to send a window). It is paid from the share like the rest, but one look is not
 * thought to cost so much. */
void budget_aside(struct profiler_budget *b, uint64_t cpu_ns);
/* A look ended, `passed_ns` after the last one: the period that follows, at most `rate` a second.
 */
uint64_t budget_period(struct profiler_budget *b, uint64_t passed_ns, uint64_t cpu_ns,
                       unsigned rate);

#endif
