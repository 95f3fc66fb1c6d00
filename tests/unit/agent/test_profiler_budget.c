/* The profiler's share of a processor holds over time, whatever a look costs, and a process that
 * begins is looked at as often as was asked for. */
#include "../unit.h"

#include "profiler_budget.h"

#define NS UINT64_C(1000000000)
#define RATE 100u

/* Looks for that long, each at `cost_ns`, windows every ten seconds at `window_ns`: the share of a
 * processor that was used, and how many looks there were. */
static double run(uint64_t duration_ns, uint64_t cost_ns, uint64_t window_ns, uint64_t *ret_looks) {
    struct profiler_budget b;
    uint64_t now = 0, cpu = 3000000, period = NS / RATE, window_at = 10 * NS;

    budget_init(&b);
    budget_aside(&b, cpu); /* to find the interpreter */
    *ret_looks = 0;
    while (now < duration_ns) {
        now += period;
        cpu += cost_ns;
        period = budget_period(&b, period, cpu, RATE);
        assert_in_range(period, NS / RATE, PROFILER_PERIOD_NS_MAX);
        ++*ret_looks;
        if (now >= window_at) {
            cpu += window_ns;
            budget_aside(&b, cpu);
            window_at += 10 * NS;
        }
    }
    return (double) cpu / (double) now;
}

static void holds_its_share(void **state) {
    static const uint64_t costs[] = {5000, 50000, 90000, 300000, 2000000, 5000000};
    uint64_t looks;

    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++)
        for (uint64_t window_ns = 0; window_ns <= 10000000; window_ns += 5000000) {
            assert_true(run(20 * NS, costs[i], window_ns, &looks) < 0.0095);
            assert_true(run(600 * NS, costs[i], window_ns, &looks) < 0.008);
        }
    run(100 * NS, 10000, 0, &looks); /* a cheap one is as frequent as was asked for */
    assert_in_range(looks, 9990, 10010);
}

static void begins_closely(void **state) {
    struct profiler_budget b;

    budget_init(&b);
    /* 300 us a look would be a look every 40 ms; the first ones come at the full rate */
    for (uint64_t cpu = 300000; cpu <= 3000000; cpu += 300000)
        assert_int_equal(budget_period(&b, NS / RATE, cpu, RATE), NS / RATE);
}

static void makes_up(void **state) {
    struct profiler_budget b;

    budget_init(&b);
    uint64_t cpu = 500000000, period = budget_period(&b, NS / RATE, cpu, RATE);
    assert_int_equal(period, PROFILER_PERIOD_NS_MAX); /* one look of half a second */
    uint64_t now = period;
    while (b.credit_ns < 0) {
        now += period;
        cpu += 20000;
        period = budget_period(&b, period, cpu, RATE);
    }
    assert_true((double) (cpu - PROFILER_CREDIT_NS) / (double) now < 0.0076);
    budget_period(&b, 1, 0, RATE); /* a clock that went backwards costs nothing */
    assert_int_equal(b.spent_ns, cpu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(holds_its_share),
            cmocka_unit_test(begins_closely),
            cmocka_unit_test(makes_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
