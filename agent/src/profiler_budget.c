/* See profiler_budget.h. Everything that the thread's clock has counted is charged, what it costs
 * to wake up as well; so over a long time the share holds, whatever a single look cost. */
#include "profiler_budget.h"

#define NS UINT64_C(1000000000)
#define MAKE_UP_IN 4  /* looks, for what was spent beyond the share */
#define EARNS_IN 0.25 /* seconds, in which the mean of what may be spent follows */

void budget_init(struct profiler_budget *b, uint64_t others_ns) {
    *b = (struct profiler_budget){.credit_ns = PROFILER_BEGIN_NS,
                                  .others_ns = others_ns,
                                  .earns = 1.0 / PROFILER_OF_PROCESSOR};
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

void budget_earn(struct profiler_budget *b, uint64_t passed_ns, uint64_t others_ns) {
    uint64_t used = others_ns > b->others_ns ? others_ns - b->others_ns : 0,
             most = passed_ns / PROFILER_OF_PROCESSOR,
             may = used / PROFILER_OF_PROCESS + passed_ns / PROFILER_FLOOR;
    double weight = (double) passed_ns / (EARNS_IN * (double) NS);

    if (passed_ns == 0)
        return;
    b->others_ns += used;
    may = may < most ? may : most;
    weight = weight < 1 ? weight : 1;
    b->earns += ((double) may / (double) passed_ns - b->earns) * weight;
    if (b->credit_ns < PROFILER_SAVED_NS) {
        b->credit_ns += (int64_t) may;
        b->credit_ns = b->credit_ns < PROFILER_SAVED_NS ? b->credit_ns : PROFILER_SAVED_NS;
    }
}

void budget_look(struct profiler_budget *b, uint64_t cpu_ns) {
    uint64_t cost = charge(b, cpu_ns);

    b->cost_ns = b->cost_ns ? (b->cost_ns * 3 + cost) / 4 : cost;
}

uint64_t budget_period(const struct profiler_budget *b, unsigned rate) {
    uint64_t least = NS / rate;

    if (b->credit_ns > PROFILER_SAVED_NS / 2)
        return least;
    double owes = b->credit_ns < 0 ? (double) -b->credit_ns / MAKE_UP_IN : 0,
           earns = b->earns > 1e-6 ? b->earns : 1e-6, period = ((double) b->cost_ns + owes) / earns;
    return period < (double) least                    ? least
           : period > (double) PROFILER_PERIOD_NS_MAX ? PROFILER_PERIOD_NS_MAX
                                                      : (uint64_t) period;
}
