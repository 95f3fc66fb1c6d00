/* See profiler_budget.h. Everything that the thread's clock has counted is charged, what it costs
 * to wake up as well; so over a long time the share holds, whatever a single look cost. */
#include "profiler_budget.h"

#define NS UINT64_C(1000000000)
#define MAKE_UP_IN 4 /* looks, for what was spent beyond the share */

void budget_init(struct profiler_budget *b) {
    *b = (struct profiler_budget){.credit_ns = PROFILER_CREDIT_NS};
}

static uint64_t charge(struct profiler_budget *b, uint64_t cpu_ns) {
    uint64_t used = cpu_ns > b->spent_ns ? cpu_ns - b->spent_ns : 0;

    b->spent_ns += used;
    b->credit_ns -= (int64_t) used;
    return used;
}

void budget_aside(struct profiler_budget *b, uint64_t cpu_ns) {
    charge(b, cpu_ns);
}

uint64_t budget_period(struct profiler_budget *b, uint64_t passed_ns, uint64_t cpu_ns,
                       unsigned rate) {
    uint64_t cost = charge(b, cpu_ns), least = NS / rate;

    b->cost_ns = b->cost_ns ? (b->cost_ns * 3 + cost) / 4 : cost;
    b->credit_ns += (int64_t) (passed_ns / PROFILER_COST_SHARE);
    if (b->credit_ns > PROFILER_CREDIT_NS)
        b->credit_ns = PROFILER_CREDIT_NS;
    uint64_t period = b->cost_ns * PROFILER_COST_SHARE;
    if (b->credit_ns > PROFILER_CREDIT_NS / 2)
        return least;
    if (b->credit_ns < 0)
        period += (uint64_t) -b->credit_ns * PROFILER_COST_SHARE / MAKE_UP_IN;
    return period < least                    ? least
           : period > PROFILER_PERIOD_NS_MAX ? PROFILER_PERIOD_NS_MAX
                                             : period;
}
