/* See profiler_quiet.h. What was used is counted from the last look on, and not from the last
 * check: so what stays below the clocks' uncertainty adds up, and is seen. */
#include "profiler_quiet.h"

#include "runtime.h"

#define PERIOD_OF_QUIET 16u /* the part of the time it has been quiet */

uint64_t quiet_read_clocks(uint64_t *ret_own) {
    uint64_t all = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t own = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);

    *ret_own = own;
    return all > own ? all - own : 0;
}

bool quiet_check(struct profiler_quiet *q, uint64_t now_ns, uint64_t others_ns) {
    uint64_t used = others_ns > q->others_ns ? others_ns - q->others_ns : 0;

    if (q->looked_ns == 0)
        return false;
    if (used > QUIET_LITTLE_NS)
        q->busy_ns = now_ns;
    if (used > QUIET_USED_NS || now_ns - q->looked_ns >= QUIET_LOOK_NS)
        return false;
    q->quiet_ns = now_ns;
    return true;
}

void quiet_look(struct profiler_quiet *q, uint64_t now_ns, uint64_t others_ns) {
    q->looked_ns = now_ns;
    q->others_ns = others_ns;
    q->quiet_ns = 0;
}

uint64_t quiet_period(const struct profiler_quiet *q, uint64_t now_ns, uint64_t least_ns) {
    uint64_t period = (now_ns - q->busy_ns) / PERIOD_OF_QUIET;

    period = period < QUIET_PERIOD_NS_MAX ? period : QUIET_PERIOD_NS_MAX;
    return period > least_ns ? period : least_ns;
}

void quiet_end(struct profiler_quiet *q) {
    q->looked_ns = q->quiet_ns = 0;
}
