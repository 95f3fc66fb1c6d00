/* The profiler's share of a processor, and of what the process uses, holds over time, whatever a
 * look costs and however the load comes; a process that begins is looked at as often as was asked
 * for. */
#include "../unit.h"

#include "profiler_budget.h"

#define NS UINT64_C(1000000000)
#define RATE 100u

/* A profiler, and a process that uses that share of a processor in turns of so many seconds. */
struct run {
    struct profiler_budget budget;
    uint64_t now, cpu, others, period, window_at, looks;
    uint64_t cost_ns, window_ns; /* of a look, of a window */
    double busy;
    uint64_t turn_ns; /* 0: always busy */
};

static struct run begin(uint64_t cost_ns, uint64_t window_ns, double busy) {
    struct run r = {.period = NS / RATE,
                    .window_at = 10 * NS,
                    .cpu = 3000000,
                    .cost_ns = cost_ns,
                    .window_ns = window_ns,
                    .busy = busy};

    budget_init(&r.budget, 0);
    budget_aside(&r.budget, r.cpu); /* to find the interpreter */
    return r;
}

static void go_on(struct run *r, uint64_t duration_ns) {
    uint64_t until = r->now + duration_ns;

    while (r->now < until) {
        bool busy = r->turn_ns == 0 || r->now / r->turn_ns % 2 == 0;
        r->now += r->period;
        r->others += busy ? (uint64_t) (r->busy * (double) r->period) : 0;
        r->cpu += busy ? r->cost_ns : r->cost_ns / 20; /* nothing is to be read */
        budget_earn(&r->budget, r->period, r->others);
        if (busy)
            budget_look(&r->budget, r->cpu);
        else
            budget_aside(&r->budget, r->cpu);
        r->period = budget_period(&r->budget, RATE);
        assert_in_range(r->period, NS / RATE, PROFILER_PERIOD_NS_MAX);
        r->looks += busy;
        if (r->now >= r->window_at) {
            r->cpu += r->window_ns;
            budget_aside(&r->budget, r->cpu);
            r->window_at += 10 * NS;
        }
    }
}

static void holds_its_share(void **state) {
    static const uint64_t costs[] = {5000, 50000, 90000, 300000, 2000000, 5000000};

    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++)
        for (uint64_t window_ns = 0; window_ns <= 10000000; window_ns += 5000000) {
            struct run r = begin(costs[i], window_ns, 1);
            go_on(&r, 20 * NS);
            assert_true((double) r.cpu / (double) r.now < 0.0075);
            go_on(&r, 580 * NS);
            assert_true((double) r.cpu / (double) r.now < 0.0062);
        }
    struct run r = begin(10000, 0, 1); /* a cheap one is as frequent as was asked for */
    go_on(&r, 100 * NS);
    assert_in_range(r.looks, 9990, 10010);
}

static void follows_what_the_process_uses(void **state) {
    for (double busy = 0.02; busy < 0.3; busy *= 2) {
        struct run r = begin(100000, 0, busy);
        go_on(&r, 600 * NS);
        double share = (double) (r.cpu - (uint64_t) PROFILER_BEGIN_NS) / (double) r.now;
        assert_true(share < busy / PROFILER_OF_PROCESS + 1.0 / PROFILER_FLOOR + 0.0001);
        assert_true(r.looks > 600 * 8); /* however little it does */
    }
}

static void saves_little(void **state) {
    struct run r = begin(200000, 0, 1);

    go_on(&r, 60 * NS); /* what it may spend at the beginning is spent */
    r.turn_ns = 2 * NS;
    uint64_t cpu = r.cpu, looks = r.looks;
    go_on(&r, 60 * NS);
    double share = (double) (r.cpu - cpu) / 30e9; /* of the turns in which it was busy */
    assert_true(share < 0.0065);
    assert_true(r.looks - looks > 30 * 20);
}

static void begins_closely(void **state) {
    struct profiler_budget b;

    budget_init(&b, 0);
    /* 300 us a look would be a look every 60 ms; the first ones come at the full rate */
    for (uint64_t cpu = 300000; cpu <= 6000000; cpu += 300000) {
        budget_earn(&b, NS / RATE, cpu * 100);
        budget_look(&b, cpu);
        assert_int_equal(budget_period(&b, RATE), NS / RATE);
    }
}

static void makes_up(void **state) {
    struct profiler_budget b;
    uint64_t cpu = 500000000, period, now = 0;

    budget_init(&b, 0);
    budget_look(&b, cpu);
    period = budget_period(&b, RATE);
    assert_int_equal(period, PROFILER_PERIOD_NS_MAX); /* one look of half a second */
    while (b.credit_ns < 0) {
        now += period;
        cpu += 20000;
        budget_earn(&b, period, now);
        budget_look(&b, cpu);
        period = budget_period(&b, RATE);
    }
    assert_true((double) (cpu - PROFILER_BEGIN_NS) / (double) now < 0.00505);
    budget_look(&b, 0); /* clocks that went backwards cost nothing, and earn nothing */
    budget_earn(&b, 0, 0);
    assert_int_equal(b.spent_ns, cpu);
    assert_int_equal(b.others_ns, now);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(holds_its_share), cmocka_unit_test(follows_what_the_process_uses),
            cmocka_unit_test(saves_little),    cmocka_unit_test(begins_closely),
            cmocka_unit_test(makes_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
