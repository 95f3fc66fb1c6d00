/* See exporter.h. `control` guards what wakes and stops the thread, and is held for moments; the
 * outbox's lock is held while the thread changes its own structures, so that fork() finds them
 * whole. Order: the outbox, control. */
#include "exporter.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "background.h"
#include "batch.h"
#include "compress.h"
#include "loss.h"
#include "metrics.h"
#include "outbox.h"
#include "red.h"
#include "runtime.h"

#define THREAD_STACK_BYTES (256u << 10)
#define OBSERVE_TIMEOUT_NS (1000 * 1000000u)
#define FLUSH_PAUSE_NS (50 * 1000000u)
/* Windows of the profiler that may wait for the thread, which may wait for a slow server itself;
 * one is made every ten seconds, and one at each flush. */
#define HANDED_MAX 4

_Atomic bool exporter_is_awake;

static pthread_mutex_t control = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake_up, flushed;
static bool conditions_ready, running, urgent;
static uint64_t flush_wanted, flush_done, flush_until_ns;
static bool flush_good;
static struct exporter_config config = {.interval_ms = 500, .timeout_ms = 10000};

static _Atomic(struct request *) handed[HANDED_MAX]; /* wait for the thread to take them */

/* The thread's own. */
static uint64_t metrics_due_ns; /* when to collect next; 0: not set yet */
static uint64_t observation;    /* ticket of the callbacks' run that is waited for; 0: none */
static bool red_wanted;
static bool metrics_wanted; /* collect now */

static void make_conditions(void) {
    pthread_condattr_t a;

    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&wake_up, &a);
    pthread_cond_init(&flushed, &a);
    pthread_condattr_destroy(&a);
    conditions_ready = true;
}

static struct timespec to_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t) (ns / 1000000000u),
                             .tv_nsec = (long) (ns % 1000000000u)};
}

static bool take(void *userdata, const struct record *record, const char *bytes) {
    struct batch *b = userdata;

    if (!config.enabled[record->signal]) {
        count(COUNTER_OF(SPANS_DROPPED_REFUSED, record->signal), 1);
        return true;
    }
    if (batch_add(b, record, bytes) == 0)
        return true;
    outbox_add(batch_seal(b, record->signal, config.gzip));
    return outbox_bytes() < EXPORT_PENDING_BYTES_MAX && batch_add(b, record, bytes) == 0;
}

static void take_metric(void *unused, uint16_t scope, uint32_t points, const char *bytes,
                        size_t n) {
    struct record record = {.length = (uint32_t) n, .scope = scope, .signal = SIGNAL_METRIC};

    (void) points;
    count(METRICS_FINISHED, 1);
    if (!take(batch_get(), &record, bytes))
        count(METRICS_DROPPED_BUFFER_FULL, 1);
}

/* The values of all instruments, when it is time. While requests wait for the server, nothing is
 * lost by letting the values grow on. */
static void collect_metrics(void) {
    if (red_wanted) {
        red_wanted = false;
        red_collect(take_metric, NULL);
    }
    if (!metrics_wanted || outbox_bytes() > EXPORT_PENDING_BYTES_MAX / 2)
        return;
    metrics_wanted = false;
    process_metrics_update();
    metrics_collect(take_metric, NULL);
}

/* Rings → requests. Returns whether the rings are empty. */
static bool collect(void) {
    bool empty = false;

    outbox_lock();
    if (outbox_bytes() < EXPORT_PENDING_BYTES_MAX) {
        empty = ring_drain(take, batch_get());
        collect_metrics();
        for (int i = 0; i < HANDED_MAX; i++)
            outbox_add(atomic_exchange(&handed[i], NULL));
        for (int s = 0; s < SIGNAL_N; s++)
            outbox_add(batch_seal(batch_get(), s, config.gzip));
    }
    outbox_unlock();
    return empty;
}

/* Collects and sends all there is. */
static int work_once(bool force, bool *ret_empty) {
    int r;

    do {
        *ret_empty = collect();
        r = outbox_send(force);
    } while (!*ret_empty && r == 0);
    return r;
}

/* Somebody waits for a flush: what failed for a passing reason is tried again while there is time.
 * Where nobody listens, waiting is of no use. */
static int work_for_flush(uint64_t until_ns, bool *ret_empty) {
    for (;;) {
        int r = work_once(true, ret_empty);
        uint64_t pause_ns = FLUSH_PAUSE_NS;

        if (r == 0 || r == -ECONNREFUSED || r == -ENOENT || r == -EHOSTUNREACH || r == -ENETUNREACH)
            return r;
        if (outbox_asked_ns() > pause_ns)
            pause_ns = outbox_asked_ns();
        if (clock_monotonic_ns() + pause_ns >= until_ns)
            return r;
        nanosleep(&(struct timespec){.tv_sec = (time_t) (pause_ns / 1000000000u),
                                     .tv_nsec = (long) (pause_ns % 1000000000u)},
                  NULL);
    }
}

static uint64_t next_metrics_ns(uint64_t now) {
    if (!metrics_config.enabled)
        return UINT64_MAX;
    if (!metrics_due_ns)
        metrics_due_ns = now + metrics_config.interval_ms * 1000000ull;
    return metrics_due_ns;
}

/* Is it time to collect? The callbacks run first; who does not answer in time is not waited for. */
static void check_metrics(uint64_t now) {
    red_wanted |= now >= red_due_ns();
    if (now < next_metrics_ns(now) && !(observation && observe_done(observation)))
        return;
    if (!observation && (observation = observe_request())) {
        metrics_due_ns = now + OBSERVE_TIMEOUT_NS;
        return;
    }
    observation = 0;
    metrics_due_ns = now + metrics_config.interval_ms * 1000000ull;
    metrics_wanted = true;
}

/* Before a flush. */
static void observe_for_flush(uint64_t until_ns) {
    uint64_t ticket, now = clock_monotonic_ns();

    red_wanted = true;
    if (!metrics_config.enabled)
        return;
    ticket = observe_request();
    if (ticket && now < until_ns)
        observe_wait(ticket, now + (until_ns - now) / 4);
    metrics_wanted = true;
}

/* Waits for records, for company, for the next try. Returns with `control` held and says what flush
 * to serve. */
static uint64_t wait_for_work(void) {
    uint64_t until;
    struct timespec t;

    while (!exporter_awake() && !urgent && flush_wanted == flush_done && outbox_is_empty()) {
        until = next_metrics_ns(clock_monotonic_ns());
        if (red_due_ns() < until)
            until = red_due_ns();
        t = to_timespec(until);
        if (until == UINT64_MAX)
            pthread_cond_wait(&wake_up, &control);
        else if (pthread_cond_timedwait(&wake_up, &control, &t) == ETIMEDOUT)
            return flush_wanted;
    }
    until = clock_monotonic_ns() + config.interval_ms * 1000000ull;
    if (outbox_retry_at_ns() > until)
        until = outbox_retry_at_ns();
    t = to_timespec(until);
    while (!urgent && flush_wanted == flush_done &&
           pthread_cond_timedwait(&wake_up, &control, &t) == 0)
        ;
    urgent = false;
    atomic_store(&exporter_is_awake, false);
    return flush_wanted;
}

/* Where processors are scarce, waking up is no reason to interrupt a thread that serves a request.
 */
static void give_way(void) {
    struct sched_param p;
    int policy;

    if (pthread_getschedparam(pthread_self(), &policy, &p) == 0 && policy == SCHED_OTHER)
        pthread_setschedparam(pthread_self(), SCHED_BATCH, &p);
}

static void *run(void *unused) {
    (void) unused;
    pthread_setname_np(pthread_self(), "varan-export");
    give_way();
    pthread_mutex_lock(&control);
    for (;;) {
        uint64_t flush = wait_for_work(), until_ns = flush_until_ns;
        bool flushing = flush != flush_done, empty;
        int r;

        if (flushing)
            outbox_hurry(false);
        pthread_mutex_unlock(&control);
        if (flushing)
            observe_for_flush(until_ns);
        else
            check_metrics(clock_monotonic_ns());
        r = flushing ? work_for_flush(until_ns, &empty) : work_once(false, &empty);
        if (r == 0 && !outbox_retry_at_ns())
            loss_report();
        pthread_mutex_lock(&control);
        if (!empty)
            atomic_store(&exporter_is_awake, true);
        if (flushing) {
            flush_done = flush;
            flush_good = r == 0;
            pthread_cond_broadcast(&flushed);
        }
    }
    return NULL;
}

/* `control` held. */
static int start(void) {
    int r;

    if (!conditions_ready)
        make_conditions();
    outbox_start();
    r = background_start(run, THREAD_STACK_BYTES);
    running = r == 0;
    return r;
}

void exporter_wake(bool now) {
    pthread_mutex_lock(&control);
    atomic_store(&exporter_is_awake, true);
    if (!running) {
        start();
    } else if (now && !urgent) {
        urgent = true;
        pthread_cond_signal(&wake_up);
    } else if (!now) {
        pthread_cond_signal(&wake_up);
    }
    pthread_mutex_unlock(&control);
}

void exporter_ensure(void) {
    pthread_mutex_lock(&control);
    if (!running)
        start();
    else
        pthread_cond_signal(&wake_up); /* settings have changed */
    pthread_mutex_unlock(&control);
}

static bool put_handed(struct request *r) {
    for (int i = 0; i < HANDED_MAX; i++) {
        struct request *none = NULL;
        if (atomic_compare_exchange_strong(&handed[i], &none, r))
            return true;
    }
    return false;
}

int exporter_hand_over(enum signal_kind signal, char *body, size_t n, uint32_t records) {
    struct request *r = calloc(1, sizeof(*r));
    bool gzip, enabled;

    count(COUNTER_OF(SPANS_FINISHED, signal), records);
    pthread_mutex_lock(&control);
    gzip = config.gzip;
    enabled = config.enabled[signal];
    pthread_mutex_unlock(&control);
    if (!r || !enabled) {
        count(COUNTER_OF(r ? SPANS_DROPPED_REFUSED : SPANS_DROPPED_MEMORY, signal), records);
        free(body);
        free(r);
        return r ? 0 : -ENOMEM;
    }
    *r = (struct request){.signal = signal,
                          .records = records,
                          .made_ns = clock_monotonic_ns(),
                          .body = body,
                          .length = n};
    r->gzip = gzip && compress_gzip(&r->body, &r->length) == 0;
    if (!put_handed(r)) {
        count(COUNTER_OF(SPANS_DROPPED_BUFFER_FULL, signal), records);
        request_free(r);
        return -ENOSPC;
    }
    exporter_wake(true);
    return 0;
}

int exporter_flush(uint32_t timeout_ms) {
    uint64_t until_ns = clock_monotonic_ns() + timeout_ms * 1000000ull, ticket;
    struct timespec until = to_timespec(until_ns);
    int r = 0;

    pthread_mutex_lock(&control);
    if (!running) {
        pthread_mutex_unlock(&control); /* no thread: nothing was ever finished in this process */
        return 0;
    }
    ticket = ++flush_wanted;
    flush_until_ns = until_ns;
    outbox_hurry(true);
    pthread_cond_signal(&wake_up);
    while (flush_done < ticket && r == 0)
        r = pthread_cond_timedwait(&flushed, &control, &until);
    if (flush_done >= ticket)
        r = flush_good ? 0 : EIO;
    pthread_mutex_unlock(&control);
    return -r;
}

void exporter_configure(const struct exporter_config *c) {
    outbox_lock();
    pthread_mutex_lock(&control);
    config = *c;
    outbox_configure(c);
    pthread_mutex_unlock(&control);
    outbox_unlock();
}

void exporter_fork_prepare(void) {
    outbox_fork_prepare();
    pthread_mutex_lock(&control);
    ring_fork_prepare();
    observe_fork_prepare();
    red_fork_prepare();
    tls_fork_prepare();
}

void exporter_fork_parent(void) {
    tls_fork_parent();
    red_fork_parent();
    observe_fork_parent();
    ring_fork_parent();
    pthread_mutex_unlock(&control);
    outbox_fork_parent();
}

/* In the child: no thread, nothing pending, nothing of the parent's is sent again. */
void exporter_fork_child(void) {
    ring_fork_child();
    observe_fork_child();
    red_fork_child();
    tls_fork_child();
    metrics_due_ns = observation = 0;
    metrics_wanted = false;
    pthread_mutex_init(&control, NULL);
    outbox_fork_child();
    conditions_ready = running = urgent = false;
    flush_wanted = flush_done = 0;
    atomic_store(&exporter_is_awake, false);
    for (int i = 0; i < HANDED_MAX; i++)
        atomic_store(&handed[i], NULL);
}
