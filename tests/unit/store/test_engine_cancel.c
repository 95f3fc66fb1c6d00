/* Queries that are canceled are killed, however late the engine hears of them, and once. */
#include "../unit.h"

#include "base/clock.h"
#include "store/engine_cancel.h"

#include <stdio.h>
#include <string.h>

#define DEADLINE_NS (60 * NS_PER_S)
#define CALLS_MAX 100u

/* What the watcher asked for; the lock is the test's own. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t called;
    char marks[CALLS_MAX][CANCEL_MARK_BYTES];
    unsigned n, known_after; /* so many calls find nothing */
} asked = {.lock = PTHREAD_MUTEX_INITIALIZER, .called = PTHREAD_COND_INITIALIZER};

static bool note(void *ctx, const char *mark) {
    pthread_mutex_lock(&asked.lock);
    if (asked.n < CALLS_MAX)
        snprintf(asked.marks[asked.n++], CANCEL_MARK_BYTES, "%s", mark);
    bool found = asked.n > asked.known_after;
    pthread_cond_signal(&asked.called);
    pthread_mutex_unlock(&asked.lock);
    return found;
}

static void wait_for_calls(unsigned n) {
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_NS / NS_PER_S;
    pthread_mutex_lock(&asked.lock);
    while (asked.n < n)
        assert_int_equal(pthread_cond_timedwait(&asked.called, &asked.lock, &until), 0);
    pthread_mutex_unlock(&asked.lock);
}

static void tries_until_the_engine_knows_it(void **state) {
    atomic_bool canceled = true, other = false;
    char mark[CANCEL_MARK_BYTES], mark_other[CANCEL_MARK_BYTES], again[CANCEL_MARK_BYTES];
    struct cancel_watch w;

    asked.known_after = 3;
    cancel_watch_init(&w, note, NULL);
    uint64_t number_other = cancel_watch_begin(&w, &other, mark_other);
    uint64_t number = cancel_watch_begin(&w, &canceled, mark);
    assert_true(number && number_other && strcmp(mark, mark_other) != 0);
    wait_for_calls(4);
    cancel_watch_end(&w, number);
    /* The next one that is killed is another one: the first was done with its fourth call. */
    atomic_store(&other, true);
    wait_for_calls(5);
    cancel_watch_end(&w, number_other);
    atomic_store(&canceled, false);
    number = cancel_watch_begin(&w, &canceled, again); /* its place, but another query */
    assert_string_not_equal(again, mark);
    cancel_watch_end(&w, number);
    assert_int_equal(cancel_watch_begin(&w, NULL, again), 0);
    assert_string_equal(again, "");
    cancel_watch_done(&w);
    assert_int_equal(asked.n, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_string_equal(asked.marks[i], i < 4 ? mark : mark_other);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tries_until_the_engine_knows_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
