/* A process in which nothing runs is not read; what runs is noticed, however little it is at once.
 */
#include "../unit.h"

#include "profiler_quiet.h"

#include <pthread.h>
#include <time.h>

#define NS UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static void reads_only_what_may_have_changed(void **state) {
    struct profiler_quiet q = {0};
    uint64_t now = 5 * NS, others = NS;

    assert_false(quiet_check(&q, now, others)); /* the first look */
    quiet_look(&q, now, others);
    assert_int_equal(q.quiet_ns, 0);
    assert_true(quiet_check(&q, now += 10 * MS, others));
    assert_int_equal(q.quiet_ns, now);
    uint64_t until = now;
    assert_false(quiet_check(&q, now += 10 * MS, others += 30000));
    assert_int_equal(q.quiet_ns, until); /* it was quiet until then, and nobody knows how long */
    quiet_look(&q, now, others);
    assert_int_equal(q.quiet_ns, 0);
}

static void little_adds_up(void **state) {
    struct profiler_quiet q = {0};
    uint64_t now = NS, others = 0;
    unsigned checks = 0;

    quiet_look(&q, now, others);
    while (quiet_check(&q, now += MS, others += 1000))
        assert_true(++checks < 10);
    assert_int_equal(checks, QUIET_USED_NS / 1000);
}

static void looks_now_and_then(void **state) {
    struct profiler_quiet q = {0};
    uint64_t now = NS, looks = 0;

    quiet_look(&q, now, 0);
    for (int i = 0; i < 1000; i++, now += 10 * MS)
        if (!quiet_check(&q, now, 0)) {
            quiet_look(&q, now, 0);
            looks++;
        }
    assert_in_range(looks, 8, 10);
    quiet_end(&q);
    assert_false(quiet_check(&q, now, 0));
}

static void checks_less_often(void **state) {
    struct profiler_quiet q = {.busy_ns = NS};

    assert_int_equal(quiet_period(&q, NS + 20 * MS, 10 * MS), 10 * MS);
    assert_int_equal(quiet_period(&q, NS + 320 * MS, 10 * MS), 20 * MS);
    assert_int_equal(quiet_period(&q, 60 * NS, 10 * MS), QUIET_PERIOD_NS_MAX);
    assert_int_equal(quiet_period(&q, 60 * NS, 500 * MS), 500 * MS);
}

static void little_is_no_work(void **state) {
    struct profiler_quiet q = {.busy_ns = NS};
    uint64_t now = 60 * NS;

    quiet_look(&q, now, 0);
    assert_false(quiet_check(&q, now += 10 * MS, MS / 5));
    assert_int_equal(quiet_period(&q, now, 10 * MS), QUIET_PERIOD_NS_MAX);
    quiet_look(&q, now, MS / 5);
    assert_false(quiet_check(&q, now += 10 * MS, 5 * MS));
    assert_int_equal(quiet_period(&q, now, 10 * MS), 10 * MS);
}

static void *spend(void *ctx) {
    struct timespec t;

    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    while (t.tv_nsec < (long) (5 * MS) && t.tv_sec == 0);
    return NULL;
}

static void the_clocks_are_those_of_the_others(void **state) {
    uint64_t own, before, after;
    pthread_t thread;

    before = quiet_read_clocks(&own);
    uint64_t begun = own;
    while (own < begun + 5 * MS) /* what this thread uses does not count … */
        after = quiet_read_clocks(&own);
    assert_true(after < before + MS);
    assert_int_equal(pthread_create(&thread, NULL, spend, NULL), 0);
    pthread_join(thread, NULL);
    after = quiet_read_clocks(&own); /* … and that of one that has ended does */
    assert_true(after >= before + 5 * MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(reads_only_what_may_have_changed),
            cmocka_unit_test(little_adds_up),
            cmocka_unit_test(looks_now_and_then),
            cmocka_unit_test(checks_less_often),
            cmocka_unit_test(little_is_no_work),
            cmocka_unit_test(the_clocks_are_those_of_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
