/* Whose CPU time it is: real threads that spend it, in traces and outside of them, and a profiler
 * that looks late, or not at all meanwhile. What their clocks say is charged, to the trace it was
 * spent in; what a span is tied to is what its thread was in. */
#include "../unit.h"

#include "profiler_fixture.h"
#include "profiler_operation.h"
#include "profiler_rows.h"
#include "profiler_slot.h"
#include "profiler_threads.h"
#include "runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static struct profiler_window *w;

static int setup(void **state) {
    threads_forget();
    return window_new(&w);
}

static int teardown(void **state) {
    window_free(w);
    return 0;
}

/* ---- Threads ---- */

/* A thread that does what it is told, one thing after the other. */
struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*task)(struct worker *w);
    uint8_t trace[16], span[8];
    uint64_t spend_ns;
    uint64_t spent_ns; /* its clock, after the last task */
    pid_t id;
    bool end;
};

static uint64_t own_cpu(void) {
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

static void spend(struct worker *k) {
    for (uint64_t end = own_cpu() + k->spend_ns; own_cpu() < end;)
        ;
}

static void enter(struct worker *k) {
    struct profiler_slot *s = profiler_slot_take();

    assert_non_null(s);
    profiler_slot_write(s, k->trace, k->span);
}

static void leave(struct worker *k) {
    profiler_slot_write(profiler_slot_take(), NULL, NULL);
}

/* A request: into the trace, work, out of it. */
static void serve(struct worker *k) {
    enter(k);
    spend(k);
    leave(k);
}

static void *run(void *ctx) {
    struct worker *k = ctx;

    pthread_mutex_lock(&k->lock);
    k->id = (pid_t) syscall(SYS_gettid);
    for (;;) {
        pthread_cond_broadcast(&k->changed);
        while (!k->task && !k->end)
            pthread_cond_wait(&k->changed, &k->lock);
        if (!k->task)
            break;
        k->task(k);
        k->task = NULL;
        k->spent_ns = own_cpu();
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

static void do_task(struct worker *k, void (*task)(struct worker *k), uint64_t spend_ns) {
    pthread_mutex_lock(&k->lock);
    k->task = task;
    k->spend_ns = spend_ns;
    pthread_cond_broadcast(&k->changed);
    while (k->task)
        pthread_cond_wait(&k->changed, &k->lock);
    pthread_mutex_unlock(&k->lock);
}

static struct worker *start(uint8_t trace) {
    struct worker *k = calloc(1, sizeof(*k));

    assert_non_null(k);
    memset(k->trace, trace, 16);
    memset(k->span, trace, 8);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->changed, NULL);
    pthread_mutex_lock(&k->lock);
    assert_int_equal(pthread_create(&k->thread, NULL, run, k), 0);
    while (!k->id)
        pthread_cond_wait(&k->changed, &k->lock);
    pthread_mutex_unlock(&k->lock);
    return k;
}

static void end(struct worker *k) {
    pthread_mutex_lock(&k->lock);
    k->end = true;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    free(k);
}

/* What its clock says, read from here. What a task was to spend is not what it spent: a machine
 * whose processors others use, too, may count their time. */
static uint64_t spent(const struct worker *k) {
    struct timespec t;
    clockid_t clock;

    assert_int_equal(pthread_getcpuclockid(k->thread, &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

/* ---- Looks ---- */

static uint64_t seen, torn, last_ns;
static uint64_t passed_most = UINT64_MAX; /* what looks are told of the time between them */

/* A look that met these threads at work. */
static void look(struct worker *const *workers, size_t n) {
    struct cpython_thread threads[8];
    const struct cpython_sample sample = {.threads = threads, .n_threads = n};
    uint64_t now;

    for (size_t i = 0; i < n; i++)
        threads[i] = thread_at(workers[i]->id, at_work, 2);
    threads_look(w);
    now = clock_monotonic_ns();
    uint64_t passed = last_ns ? now - last_ns : 0;
    threads_add(w, &sample, true, now, passed < passed_most ? passed : passed_most, &seen, &torn);
    last_ns = now;
}

static uint64_t cpu_of(uint64_t trace, bool any) {
    uint64_t sum = 0;

    vector_each(&w->rows, r) if (any || r->span.trace_id[0] == trace) sum += r->costs[COST_CPU];
    return sum;
}

/* Within a millisecond, and what the last system calls took. */
static void assert_about(uint64_t got, uint64_t want) {
    assert_in_range(got, want - want / 50 - MS, want + want / 50 + MS);
}

static void late_looks_lose_nothing(void **state) {
    struct worker *k = start(1);

    last_ns = 0;
    look(&k, 1);
    uint64_t before = spent(k), inside, outside;
    profiler_operation_set(k->trace, "GET /a", 6, true);
    for (int i = 0; i < 300; i++) /* more than there is room for, and nobody looks */
        do_task(k, serve, MS / 5);
    outside = spent(k);
    do_task(k, spend, 20 * MS); /* outside of all */
    look(&k, 1);
    outside = spent(k) - outside;
    do_task(k, enter, 0);
    do_task(k, spend, MS);
    look(&k, 1); /* the only one that meets a request */
    do_task(k, leave, 0);
    look(&k, 1);
    threads_settle(w);
    window_settle(w);
    inside = spent(k) - before - outside;
    assert_about(cpu_of(0, true), inside + outside);
    uint64_t served = 0;
    vector_each(&w->rows, r) served += r->operation ? r->costs[COST_CPU] : 0;
    /* Clocks are read every tenth of a millisecond, half of what these requests take: between two
     * readings passing time counts as used. */
    assert_in_range(served, inside / 3, inside * 5 / 4);
    assert_int_equal(torn, 0);
    end(k);
}

/* Nothing ran for long: wall time belongs to what was seen before, not to what comes then. */
static void what_stood_still_stays_where_it_was(void **state) {
    struct worker *k = start(8);
    struct cpython_thread t = thread_at(k->id, waiting, 2);
    const struct cpython_sample sample = {.threads = &t, .n_threads = 1};
    uint64_t now = clock_monotonic_ns();

    t.state = CPYTHON_SLEEPING;
    t.waits_gil = true;
    threads_look(w);
    threads_add(w, &sample, true, now, MS, &seen, &torn);
    threads_stood(w, true, now + 500 * MS);
    threads_stood(w, true, now + 700 * MS);
    threads_stood(w, true, now + 600 * MS); /* is over */
    t = thread_at(k->id, at_work, 2);
    t.state = CPYTHON_SLEEPING;
    threads_look(w);
    threads_add(w, &sample, true, now + 710 * MS, 710 * MS, &seen, &torn);
    assert_int_equal(w->rows.n, 2);
    const struct row *stood = &w->rows.items[0], *then = &w->rows.items[1];
    assert_int_equal(stood->costs[COST_WALL], 701 * MS);
    assert_int_equal(stood->costs[COST_GIL_WAIT], 701 * MS);
    assert_int_equal(then->costs[COST_WALL], 10 * MS);
    assert_int_equal(then->costs[COST_GIL_WAIT], 0);
    threads_settle(w);
    window_reset(w);
    threads_stood(w, true, now + 900 * MS); /* of no look at this window */
    assert_int_equal(w->rows.n, 0);
    end(k);
}

/* Clocks as they were read under the look, not all at once: weights stay what they can be. */
static void clocks_that_were_read_before_weigh(void **state) {
    struct worker *k = start(9);
    struct cpython_thread t = thread_at(k->id, at_work, 2);
    const struct cpython_sample sample = {.threads = &t, .n_threads = 1};
    uint64_t now = clock_monotonic_ns();

    do_task(k, spend, 2 * MS);
    for (int i = 0; i < 3; i++) {
        t.cpu_ns = k->spent_ns + (uint64_t) i * 100 * MS; /* the last ones are ahead of the clock */
        t.on_cpu = i > 0;
        threads_look(w);
        threads_add(w, &sample, true, now += MS, MS, &seen, &torn);
    }
    assert_int_equal(w->rows.n, 1);
    assert_int_equal(w->rows.items[0].seen, (50 + 50 * 2 + 50 * 2 + 50 * 2) * MS);
    threads_settle(w);
    assert_int_equal(w->rows.items[0].seen, 350 * MS);
    threads_stood(w, true, now + 500 * MS); /* of no row of this window */
    t.cpu_ns += 100 * MS;
    threads_look(w);
    threads_add(w, &sample, true, now + 501 * MS, 501 * MS, &seen, &torn);
    assert_int_equal(w->rows.items[0].seen, 450 * MS);
    threads_stood(w, true, now + 900 * MS);
    t.cpu_ns += 100 * MS;
    t.frames = waiting;
    threads_look(w);
    threads_add(w, &sample, true, now + 901 * MS, 400 * MS, &seen, &torn);
    assert_int_equal(w->rows.n, 2); /* what it did since then is not what it did before */
    assert_int_equal(w->rows.items[0].seen, 450 * MS);
    assert_int_equal(w->rows.items[1].seen, 200 * MS);
    end(k);
}

static void a_request_is_charged_while_it_lasts(void **state) {
    struct worker *k = start(2);
    const uint64_t trace = 0x0202020202020202;

    last_ns = 0;
    profiler_operation_set(k->trace, "GET /b", 6, false);
    look(&k, 1);
    uint64_t before = spent(k), met;
    do_task(k, enter, 0);
    do_task(k, spend, 10 * MS);
    look(&k, 1);
    assert_about(cpu_of(trace, false), spent(k) - before);
    do_task(k, spend, 10 * MS);
    look(&k, 1);
    met = spent(k) - before;
    do_task(k, spend, 10 * MS);
    do_task(k, leave, 0);
    profiler_operation_set(k->trace, "GET /b", 6, true);
    look(&k, 1);
    threads_settle(w);
    window_settle(w);
    uint64_t served = 0;
    vector_each(&w->rows, r) if (r->operation) {
        size_t n;
        assert_memory_equal(profiler_operation_name(r->operation, &n), "GET /b", 6);
        served += r->costs[COST_CPU];
    }
    assert_about(served, spent(k) - before);
    assert_about(cpu_of(trace, false), met); /* as far as a look met it */
    end(k);
}

static struct profiler_slot *slot_of(const struct worker *k) {
    for (unsigned at = 0; at < profiler_slots_used(); at++)
        if (profiler_slot_owner(at) == (uint32_t) k->id)
            return profiler_slot_at(at);
    return NULL;
}

/* The profiler was put to sleep under a look: whom it meets in a request then was in none before.
 */
static void a_slot_taken_under_a_look_does_not_count(void **state) {
    struct worker *k = start(10);
    struct cpython_thread t = thread_at(k->id, at_work, 2);
    const struct cpython_sample sample = {.threads = &t, .n_threads = 1};

    profiler_operation_set(k->trace, "GET /e", 6, true);
    threads_look(w);
    do_task(k, enter, 0);
    do_task(k, spend, 5 * MS);
    threads_add(w, &sample, true, clock_monotonic_ns(), MS, &seen, &torn);
    assert_int_equal(seen, 0);
    assert_int_equal(torn, 1);
    assert_int_equal(w->rows.n, 0);
    do_task(k, spend, 5 * MS);
    do_task(k, leave, 0);
    look(&k, 1);
    assert_int_equal(seen, 1);
    end(k);
}

/* The owner was put to sleep while it wrote: that look does not count, the next ones know where it
 * is. */
static void a_slot_that_is_being_written_is_read_later(void **state) {
    struct worker *k = start(11);

    last_ns = 0;
    do_task(k, enter, 0);
    look(&k, 1);
    uint64_t before = spent(k);
    assert_int_equal(seen, 1);
    atomic_fetch_add(&slot_of(k)->sequence, 1);
    do_task(k, spend, 2 * MS);
    look(&k, 1);
    assert_int_equal(seen, 0);
    assert_int_equal(torn, 1);
    atomic_fetch_add(&slot_of(k)->sequence, 1);
    do_task(k, spend, 2 * MS);
    look(&k, 1);
    assert_int_equal(seen, 1);
    vector_each(&w->rows, r) assert_true(r->span.trace_id[0] == 0x0b0b0b0b0b0b0b0b);
    threads_settle(w);
    window_settle(w);
    assert_about(cpu_of(0x0b0b0b0b0b0b0b0b, false), spent(k) - before);
    end(k);
}

static void threads_that_begin_between_looks_are_whole(void **state) {
    struct worker *first = start(3), *both[2] = {first, NULL};

    last_ns = 0;
    do_task(first, spend, 30 * MS); /* before the first look: not charged */
    look(&first, 1);
    both[1] = start(4);
    profiler_operation_set(both[1]->trace, "GET /d", 6, true);
    do_task(both[1], spend, 10 * MS);
    do_task(both[1], serve, 5 * MS);
    look(both, 2);
    do_task(both[1], serve, 5 * MS);
    do_task(both[1], enter, 0);
    look(both, 2);
    do_task(both[1], leave, 0);
    look(both, 2);
    threads_settle(w);
    window_settle(w);
    assert_about(cpu_of(0, true), spent(both[1]));
    end(first);
    end(both[1]);
}

static void a_thread_that_was_there_before_begins_when_it_is_met(void **state) {
    struct worker *first = start(5), *old = start(6), *both[2] = {first, old};

    last_ns = 0;
    do_task(old, enter, 0);
    do_task(old, spend, 50 * MS);
    look(&first, 1);
    passed_most = MS; /* too little for `old` to have begun in between */
    look(both, 2);
    passed_most = UINT64_MAX;
    uint64_t before = spent(old);
    do_task(old, leave, 0);
    do_task(old, spend, 10 * MS);
    look(both, 2);
    do_task(old, spend, 10 * MS);
    look(both, 2);
    threads_settle(w);
    window_settle(w);
    uint64_t outside = 0;
    vector_each(&w->rows, r) outside += r->span.span_id ? 0 : r->costs[COST_CPU];
    assert_about(outside, spent(old) - before);
    end(first);
    end(old);
}

static void many_threads(void **state) {
    enum { N = 4096 + 100 };
    struct cpython_thread *threads = calloc(N, sizeof(*threads));
    const struct cpython_sample sample = {.threads = threads, .n_threads = N};

    assert_non_null(threads);
    for (int i = 0; i < N; i++) { /* none of them is there */
        threads[i] = thread_at(100000000 + i, waiting, 2);
        threads[i].state = CPYTHON_SLEEPING;
    }
    for (int round = 0; round < 3; round++) {
        threads_look(w);
        threads_add(w, &sample, true, 1000 * MS * (uint64_t) (round + 1), 1000 * MS, &seen, &torn);
        assert_int_equal(seen, 4096);
        assert_int_equal(torn, 100);
    }
    threads[0].torn = true;
    threads[1].n_frames = 0;
    threads[2].native_id = 0;
    const struct cpython_sample three = {.threads = threads, .n_threads = 3};
    threads_look(w);
    threads_add(w, &three, true, 5000 * MS, 1000 * MS, &seen, &torn);
    assert_int_equal(seen, 0);
    assert_int_equal(torn, 2);
    free(threads);
}

static void slots_are_given_back(void **state) {
    uint32_t used = 0;

    for (int i = 0; i < 40; i++) {
        struct worker *k = start(7);
        do_task(k, serve, 0);
        end(k);
        used = i == 20 ? profiler_slots_used() : used;
    }
    assert_int_equal(profiler_slots_used(), used);
    for (unsigned i = 0; i < profiler_slots_used(); i++)
        assert_int_equal(profiler_slot_owner(i), 0);
}

/* In a forked child nothing of the parent is left, and its thread has a slot of its own. */
static void a_child_begins_anew(void **state) {
    struct profiler_view view;
    uint8_t id[16] = {9};
    bool final;
    int status;

    profiler_operation_set(id, "GET /p", 6, false);
    profiler_slot_write(profiler_slot_take(), id, id);
    pid_t pid = fork();
    if (pid == 0) {
        process_generation++;
        profiler_slots_fork_child();
        threads_forget();
        bool good = profiler_slots_used() == 0 &&
                    profiler_operation_of((const uint64_t *) (const void *) id, &final) == 0;
        thread_state();
        struct profiler_slot *s = profiler_slot_take();
        good = good && s && profiler_slot_view(s, &view) && view.span_id == 0 &&
               profiler_slot_owner(0) == (uint32_t) getpid();
        profiler_slots_sweep();
        _exit(good && profiler_slot_owner(0) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(profiler_slot_view(profiler_slot_take(), &view));
    assert_int_not_equal(view.span_id, 0);
    profiler_slot_write(profiler_slot_take(), NULL, NULL);
}

/* Names of every length, alike but for one byte, and more than there is room for. */
static void operations_are_told_apart(void **state) {
    static char longest[PROFILER_OPERATION_BYTES + 20];
    uint64_t id[2] = {1, 0};
    bool final;
    size_t n;

    memset(longest, 'a', sizeof(longest));
    for (size_t size = 1; size <= PROFILER_OPERATION_BYTES; size++)
        for (size_t at = 0; at<size; at += size> 16 ? size / 3 : 1) {
            longest[at] = 'b';
            id[1]++;
            profiler_operation_set((const uint8_t *) id, longest, size, at % 2);
            const char *name = profiler_operation_name(profiler_operation_of(id, &final), &n);
            assert_int_equal(n, size);
            assert_memory_equal(name, longest, size);
            assert_int_equal(final, at % 2);
            longest[at] = 'a';
        }
    profiler_operation_set((const uint8_t *) id, longest, sizeof(longest), true); /* cut */
    profiler_operation_name(profiler_operation_of(id, &final), &n);
    assert_int_equal(n, PROFILER_OPERATION_BYTES);
    for (int i = 0; i < 2000; i++) {
        char text[16];
        int size = snprintf(text, sizeof(text), "GET /%d", i);
        id[1] = 100000 + (uint64_t) i;
        profiler_operation_set((const uint8_t *) id, text, (size_t) size, false);
        profiler_operation_name(profiler_operation_of(id, &final), &n);
        assert_true(n == (size_t) size || n == 0);
    }
    assert_int_equal(n, 0); /* no more names */
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(late_looks_lose_nothing, setup, teardown),
            cmocka_unit_test_setup_teardown(what_stood_still_stays_where_it_was, setup, teardown),
            cmocka_unit_test_setup_teardown(clocks_that_were_read_before_weigh, setup, teardown),
            cmocka_unit_test_setup_teardown(a_request_is_charged_while_it_lasts, setup, teardown),
            cmocka_unit_test_setup_teardown(a_slot_taken_under_a_look_does_not_count, setup,
                                            teardown),
            cmocka_unit_test_setup_teardown(a_slot_that_is_being_written_is_read_later, setup,
                                            teardown),
            cmocka_unit_test_setup_teardown(threads_that_begin_between_looks_are_whole, setup,
                                            teardown),
            cmocka_unit_test_setup_teardown(a_thread_that_was_there_before_begins_when_it_is_met,
                                            setup, teardown),
            cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
            cmocka_unit_test_setup_teardown(slots_are_given_back, setup, teardown),
            cmocka_unit_test_setup_teardown(a_child_begins_anew, setup, teardown),
            cmocka_unit_test(operations_are_told_apart), /* the last one: names stay */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
