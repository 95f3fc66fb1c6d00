/* How often the profiler may look, by what its looks cost and by what the process itself uses. All
 * times in nanoseconds. */
#ifndef VARAN_AGENT_PROFILER_BUDGET_H
#define VARAN_AGENT_PROFILER_BUDGET_H

#include <stdint.h>

/* What may be spent: this part of a processor (0.5 %), … */
#define PROFILER_OF_PROCESSOR 200u
/* … and no more than this part of what the process itself uses (1.5 %), and a little (0.1 % of a
 * processor), so that one that does little is still seen a few times a second. */
#define PROFILER_OF_PROCESS 66u
#define PROFILER_FLOOR 1000u
/* What may be spent beyond it, once: a process that begins is worth a closer look. */
#define PROFILER_BEGIN_NS (20 * INT64_C(1000000))
/* What may be saved for later: the share holds over each second or so, however the load comes. */
#define PROFILER_SAVED_NS INT64_C(1000000)
#define PROFILER_PERIOD_NS_MAX UINT64_C(1000000000)

struct profiler_budget {
    uint64_t spent_ns;  /* of the thread's clock, as far as it was charged */
    uint64_t others_ns; /* of the other threads' clocks, as far as it counted */
    uint64_t cost_ns;   /* the running mean of a look, waking up included; 0: none yet */
    double earns;       /* the running mean of what may be spent of a nanosecond */
    int64_t credit_ns;  /* negative: more was spent than the share, and is to be made up for */
};

/* The other threads' clocks stand at `others_ns`. */
void budget_init(struct profiler_budget *b, uint64_t others_ns);
/* The thread's clock stands at `cpu_ns`: what was used since the last call was for no look (to find
 * the interpreter, to send a window). It is paid from the share like the rest, but one look is not
 * thought to cost so much. */
void budget_aside(struct profiler_budget *b, uint64_t cpu_ns);
/* So much time has passed, and the other threads' clocks stand there. */
void budget_earn(struct profiler_budget *b, uint64_t passed_ns, uint64_t others_ns);
/* A look ended. */
void budget_look(struct profiler_budget *b, uint64_t cpu_ns);
/* How long it may be until the next look, at most `rate` of them a second. */
uint64_t budget_period(const struct profiler_budget *b, unsigned rate);

#endif
