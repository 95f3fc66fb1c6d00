/* See profiler.h. The lock guards what starts, wakes and stops the thread, and is held for moments;
 * everything else is the thread's own. */
#include "profiler.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "background.h"
#include "exporter.h"
#include "profiler_budget.h"
#include "profiler_quiet.h"
#include "profiler_source.h"
#include "profiler_threads.h"
#include "profiler_window.h"
#include "resource.h"
#include "runtime.h"

#define NS 1000000000ull
#define START_DELAY_NS (300 * 1000000ull) /* programs that end at once are not profiled */
#define WINDOW_NS (10 * NS)
#define REFUSED_PAUSE_NS (600 * NS)
#define OPEN_ATTEMPTS_MAX 5
#define THREAD_STACK_BYTES (1024u << 10)
#define RATE_MAX 1000u
/* Reading the code objects of all frames again would be a great part of a look. */
#define CODE_TRUST_NS (int64_t) NS

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake_up, sealed;
static bool conditions_ready, running, stop_it;
static struct profiler_options options;
static uint64_t seal_wanted, seal_done;
static int64_t began_ns; /* wall clock: of the program, forked children too */
static _Atomic uint64_t paused_until_ns;

static _Atomic uint64_t walks, samples, torn, dropped, windows, windows_lost, cpu_ns, since_ns,
        period_ns;

static void make_conditions(void) {
    pthread_condattr_t a;

    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&wake_up, &a);
    pthread_cond_init(&sealed, &a);
    pthread_condattr_destroy(&a);
    conditions_ready = true;
}

static struct timespec to_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t) (ns / NS), .tv_nsec = (long) (ns % NS)};
}

/* ---- One look ---- */

struct work {
    struct cpython *target;
    struct cpython_sample sample;
    struct profiler_window *window;
    struct function_texts *sources;
    uint64_t window_start_ns, window_end_ns, last_walk_ns;
    uint64_t period_ns, period_begin_ns, due_ns, earned_until_ns;
    uint64_t chance;
    struct profiler_budget budget;
    struct profiler_quiet quiet;
    int64_t window_start_wall_ns;
    unsigned failures;
};

/* At a chance moment of each period: a program that does things at a steady pace would else be seen
 * at the same one of them always. */
static uint64_t next_due(struct work *w) {
    w->chance ^= w->chance << 13; /* xorshift64 (Marsaglia 2003) */
    w->chance ^= w->chance >> 7;
    w->chance ^= w->chance << 17;
    uint64_t due = w->period_begin_ns + w->chance % w->period_ns;

    w->period_begin_ns += w->period_ns;
    return due;
}

/* What was quiet since the last look belongs to the stacks that it saw. */
static void add_quiet(struct work *w, const struct profiler_options *o) {
    if (w->quiet.quiet_ns)
        threads_stood(w->window, o->wall, w->quiet.quiet_ns);
}

/* 0; negative when the process cannot be read. */
static int walk(struct work *w, const struct profiler_options *o) {
    uint64_t now, seen = 0, not = 0;

    atomic_fetch_add_explicit(&walks, 1, memory_order_relaxed);
    threads_look(w->window);
    now = clock_monotonic_ns();
    int r = cpython_sample(w->target, &w->sample);
    if (r == 0)
        threads_add(w->window, &w->sample, o->wall, now, now - w->last_walk_ns, &seen, &not );
    atomic_fetch_add_explicit(&samples, seen, memory_order_relaxed);
    atomic_fetch_add_explicit(&torn, not, memory_order_relaxed);
    w->last_walk_ns = now;
    return r;
}

/* Looks, if there is something to see. 0; negative when the process cannot be read any more. */
static int look(struct work *w, const struct profiler_options *o) {
    uint64_t own, now = clock_monotonic_ns(), others = quiet_read_clocks(&own);
    bool quiet = quiet_check(&w->quiet, now, others);
    int r = 0;

    budget_earn(&w->budget, now - w->earned_until_ns, others);
    w->earned_until_ns = now;
    if (quiet) {
        budget_aside(&w->budget, own);
    } else {
        add_quiet(w, o);
        quiet_look(&w->quiet, now, others);
        r = walk(w, o);
        own = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
        budget_look(&w->budget, own);
    }
    w->period_ns = budget_period(&w->budget, o->rate_max);
    if (quiet)
        w->period_ns = quiet_period(&w->quiet, now, w->period_ns);
    if (w->period_begin_ns < now) /* late, or the first one */
        w->period_begin_ns = now;
    w->due_ns = next_due(w);
    atomic_store_explicit(&period_ns, w->period_ns, memory_order_relaxed);
    atomic_store_explicit(&cpu_ns, own, memory_order_relaxed);
    w->failures = r < 0 ? w->failures + 1 : 0;
    return w->failures > 10 ? r : 0;
}

/* ---- Windows ---- */

/* Windows of a process end every ten seconds sharp, so that steps of a chart have equally many. At
 * another moment in each process, so that they do not all send at once; and never about a full ten
 * seconds of the wall clock, where a little jitter would move a window into another step. */
static uint64_t phase_ns(void) {
    return NS / 2 + (uint64_t) getpid() * 7919 % 9000 * 1000000ull;
}

static void begin_window(struct work *w) {
    uint64_t wall = clock_wall_ns(), since = (wall + WINDOW_NS - phase_ns()) % WINDOW_NS;

    w->window_start_ns = clock_monotonic_ns();
    w->window_start_wall_ns = (int64_t) wall;
    w->window_end_ns = w->window_start_ns + WINDOW_NS - since;
    if (WINDOW_NS - since < WINDOW_NS / 10) /* the last one was sealed a little early */
        w->window_end_ns += WINDOW_NS;
    if (w->last_walk_ns == 0)
        w->last_walk_ns = w->window_start_ns;
    window_reset(w->window);
    quiet_end(&w->quiet); /* the new one has no stacks yet */
}

static void seal_window(struct work *w, const struct profiler_options *o) {
    char storage[2048], *body;
    uint64_t duration_ns = clock_monotonic_ns() - w->window_start_ns;
    struct buf resource;
    size_t n;

    add_quiet(w, o);
    threads_settle(w->window);
    window_settle(w->window);
    if (o->source)
        sources_choose(w->sources, w->window);
    buf_init(&resource, storage, sizeof(storage), RESOURCE_BYTES_MAX + 256);
    if (resource_append(&resource) == 0 &&
        window_encode(w->window, resource.data, resource.used, w->window_start_wall_ns,
                      (int64_t) duration_ns, &body, &n) == 0) {
        atomic_fetch_add_explicit(&windows, 1, memory_order_relaxed);
        if (exporter_hand_over(SIGNAL_PROFILE, body, n, (uint32_t) window_rows(w->window)) < 0)
            atomic_fetch_add_explicit(&windows_lost, 1, memory_order_relaxed);
    }
    buf_done(&resource);
    atomic_fetch_add_explicit(&dropped, window_dropped(w->window), memory_order_relaxed);
    profiler_slots_sweep();
    begin_window(w);
    budget_aside(&w->budget, clock_read_ns(CLOCK_THREAD_CPUTIME_ID));
}

/* ---- The thread ---- */

/* Waits until `until_ns` or until someone wants something: the ticket of a seal to serve, or what
 * is done already. */
static uint64_t wait_until(uint64_t until_ns, struct profiler_options *ret, bool *ret_stop) {
    struct timespec t = to_timespec(until_ns);
    uint64_t wanted;

    pthread_mutex_lock(&lock);
    while (!stop_it && seal_wanted == seal_done && pthread_cond_timedwait(&wake_up, &lock, &t) == 0)
        ;
    *ret = options;
    *ret_stop = stop_it;
    wanted = seal_wanted;
    pthread_mutex_unlock(&lock);
    return wanted;
}

static void answer_seal(uint64_t wanted) {
    pthread_mutex_lock(&lock);
    seal_done = wanted;
    pthread_cond_broadcast(&sealed);
    pthread_mutex_unlock(&lock);
}

static int open_work(struct work *w) {
    uint64_t own;
    int r = cpython_open(getpid(), &w->target, NULL);

    if (r < 0)
        return r;
    cpython_want(w->target, CPYTHON_THREAD_NAMES | CPYTHON_GIL_WAIT | CPYTHON_CLOCKS);
    cpython_trust(w->target, CODE_TRUST_NS);
    cpython_sample_init(&w->sample);
    r = window_new(&w->window);
    if (r == 0)
        r = function_texts_new(began_ns, NULL, NULL, &w->sources);
    if (r < 0) {
        window_free(w->window);
        cpython_close(w->target);
        return r;
    }
    threads_forget();
    begin_window(w);
    budget_init(&w->budget, quiet_read_clocks(&own));
    budget_aside(&w->budget, own);
    w->due_ns = w->earned_until_ns = w->window_start_ns;
    w->chance = w->window_start_ns | 1;
    return 0;
}

static void close_work(struct work *w) {
    cpython_sample_done(&w->sample);
    window_free(w->window);
    function_texts_free(w->sources);
    cpython_close(w->target);
}

/* Nobody wants to know what happens until then. */
static void skip_until(struct work *w, uint64_t ns) {
    threads_forget();
    quiet_end(&w->quiet);
    w->due_ns = w->last_walk_ns = ns;
}

static void profile(struct work *w) {
    struct profiler_options o;
    uint64_t served = seal_done;
    bool stop = false;

    while (!stop) {
        uint64_t paused = atomic_load_explicit(&paused_until_ns, memory_order_relaxed);
        if (paused > w->due_ns)
            skip_until(w, paused);
        uint64_t wanted = wait_until(w->due_ns, &o, &stop);
        if (stop)
            break;
        if (clock_monotonic_ns() >= w->due_ns && look(w, &o) < 0)
            break;
        if (wanted != served || clock_monotonic_ns() >= w->window_end_ns)
            seal_window(w, &o);
        if (wanted != served)
            answer_seal(served = wanted);
    }
}

static void *run(void *unused) {
    struct work w = {.period_ns = NS / 100};
    struct profiler_options o;
    bool stop = false;
    int r = -EAGAIN;

    (void) unused;
    pthread_setname_np(pthread_self(), "varan-profiler");
    for (int i = 0; i < OPEN_ATTEMPTS_MAX && r < 0 && !stop; i++) {
        uint64_t wanted = wait_until(clock_monotonic_ns() + (START_DELAY_NS << i), &o, &stop);
        if (wanted != seal_done) {
            answer_seal(wanted); /* the program ends already: there is nothing to say */
            i--;
            continue;
        }
        r = stop ? -ECANCELED : open_work(&w);
    }
    if (r == 0) {
        atomic_store(&since_ns, clock_monotonic_ns());
        profile(&w);
        close_work(&w);
    }
    pthread_mutex_lock(&lock);
    running = false;
    seal_done = seal_wanted;
    pthread_cond_broadcast(&sealed);
    atomic_store(&since_ns, 0);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* `lock` held. */
static void start(void) {
    if (!conditions_ready)
        make_conditions();
    running = background_start(run, THREAD_STACK_BYTES) == 0;
}

void profiler_configure(const struct profiler_options *o) {
    pthread_mutex_lock(&lock);
    if (began_ns == 0)
        began_ns = (int64_t) clock_wall_ns();
    options = *o;
    if (options.rate_max < 1 || options.rate_max > RATE_MAX)
        options.rate_max = 100;
    stop_it = !o->enabled;
    atomic_store(&profiler_wants_spans, o->enabled);
    if (o->enabled && !running)
        start();
    else if (running)
        pthread_cond_signal(&wake_up);
    pthread_mutex_unlock(&lock);
}

void profiler_start_child(void) {
    pthread_mutex_lock(&lock);
    if (options.enabled && !running)
        start();
    pthread_mutex_unlock(&lock);
}

void profiler_flush(uint32_t timeout_ms) {
    struct timespec until = to_timespec(clock_monotonic_ns() + timeout_ms * 1000000ull);
    uint64_t ticket;
    int r = 0;

    pthread_mutex_lock(&lock);
    if (running) {
        ticket = ++seal_wanted;
        pthread_cond_signal(&wake_up);
        while (seal_done < ticket && r == 0)
            r = pthread_cond_timedwait(&sealed, &lock, &until);
    }
    pthread_mutex_unlock(&lock);
}

void profiler_refused(void) {
    atomic_store(&paused_until_ns, clock_monotonic_ns() + REFUSED_PAUSE_NS);
}

void profiler_read_stats(struct profiler_stats *ret) {
    *ret = (struct profiler_stats){
            .walks = atomic_load(&walks),
            .samples = atomic_load(&samples),
            .torn = atomic_load(&torn),
            .dropped = atomic_load(&dropped),
            .windows = atomic_load(&windows),
            .windows_lost = atomic_load(&windows_lost),
            .cpu_ns = atomic_load(&cpu_ns),
            .since_ns = atomic_load(&since_ns),
            .period_ns = atomic_load(&period_ns),
    };
}

void profiler_fork_child(void) {
    pthread_mutex_init(&lock, NULL);
    conditions_ready = running = false;
    seal_wanted = seal_done = 0;
    atomic_store(&since_ns, 0);
    atomic_store(&walks, 0);
    atomic_store(&samples, 0);
    atomic_store(&cpu_ns, 0);
    atomic_store(&windows, 0);
    profiler_slots_fork_child();
    threads_forget();
}
