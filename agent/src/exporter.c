/* See exporter.h. Two locks: `control` guards what wakes and stops the thread, and is held for
 * moments; `work` is held while the thread changes its own structures (never during a system call
 * that may block), so that fork() finds them whole. Order: work, control. */
#include "exporter.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "batch.h"
#include "compress.h"
#include "loss.h"
#include "metrics.h"
#include "profiler.h"
#include "red.h"
#include "runtime.h"

#define THREAD_STACK_BYTES (256u << 10)
#define OBSERVE_TIMEOUT_NS (1000 * 1000000u)
#define FLUSH_PAUSE_NS (50 * 1000000u)

_Atomic bool exporter_is_awake;

static pthread_mutex_t control = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t work = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake_up, flushed;
static bool conditions_ready, running, urgent;
static uint64_t flush_wanted, flush_done, flush_until_ns;
static bool flush_good;
static struct exporter_config config = {.interval_ms = 500, .timeout_ms = 10000};
static char last_error[160];

static _Atomic(struct request *) handed; /* waits for the thread to take it */

/* The thread's own. */
static struct http_client clients[SIGNAL_N];
static struct request *pending, **pending_end = &pending;
static _Atomic size_t pending_bytes;
static uint64_t retry_at_ns;
static uint64_t retry_after_ns; /* what the server asked for last */
static unsigned backoff_ms;
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

static void set_error(const char *what, int status) {
    pthread_mutex_lock(&control);
    if (status > 0)
        snprintf(last_error, sizeof(last_error), "%s %d", what, status);
    else
        snprintf(last_error, sizeof(last_error), "%s", what);
    pthread_mutex_unlock(&control);
}

static void append(struct request *r) {
    if (!r)
        return;
    *pending_end = r;
    pending_end = &r->next;
    atomic_fetch_add_explicit(&pending_bytes, r->length, memory_order_relaxed);
}

static void drop(struct request *r, enum counter why) {
    struct request **at = &pending;

    pthread_mutex_lock(&work);
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (!r->next)
        pending_end = at;
    atomic_fetch_sub_explicit(&pending_bytes, r->length, memory_order_relaxed);
    if (why < COUNTER_N)
        count(COUNTER_OF(why, r->signal), r->records);
    request_free(r);
    pthread_mutex_unlock(&work);
}

static bool take(void *userdata, const struct record *record, const char *bytes) {
    struct batch *b = userdata;

    if (!config.enabled[record->signal]) {
        count(COUNTER_OF(SPANS_DROPPED_REFUSED, record->signal), 1);
        return true;
    }
    if (batch_add(b, record, bytes) == 0)
        return true;
    append(batch_seal(b, record->signal, config.gzip));
    return atomic_load_explicit(&pending_bytes, memory_order_relaxed) < EXPORT_PENDING_BYTES_MAX &&
           batch_add(b, record, bytes) == 0;
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
    if (!metrics_wanted ||
        atomic_load_explicit(&pending_bytes, memory_order_relaxed) > EXPORT_PENDING_BYTES_MAX / 2)
        return;
    metrics_wanted = false;
    process_metrics_update();
    metrics_collect(take_metric, NULL);
}

/* Rings → requests. Returns whether the rings are empty. */
static bool collect(void) {
    bool empty = false;

    pthread_mutex_lock(&work);
    if (atomic_load_explicit(&pending_bytes, memory_order_relaxed) < EXPORT_PENDING_BYTES_MAX) {
        empty = ring_drain(take, batch_get());
        collect_metrics();
        append(atomic_exchange(&handed, NULL));
        for (int s = 0; s < SIGNAL_N; s++)
            append(batch_seal(batch_get(), s, config.gzip));
    }
    pthread_mutex_unlock(&work);
    return empty;
}

static bool is_retryable(int status) {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static void back_off(int retry_after_s) {
    uint64_t wait_ms;

    backoff_ms = backoff_ms ? backoff_ms * 2 : EXPORT_BACKOFF_MIN_MS;
    if (backoff_ms > EXPORT_BACKOFF_MAX_MS)
        backoff_ms = EXPORT_BACKOFF_MAX_MS;
    /* Spread, so that many processes do not return at the same moment. */
    wait_ms = backoff_ms / 2 + clock_monotonic_ns() / 1000 % (backoff_ms / 2 + 1);
    retry_after_ns = retry_after_s > 0 ? (uint64_t) retry_after_s * 1000000000u : 0;
    if (retry_after_s >= 0)
        wait_ms = (uint64_t) (retry_after_s > 300 ? 300 : retry_after_s) * 1000;
    retry_at_ns = clock_monotonic_ns() + wait_ms * 1000000u;
}

/* Was it accepted, or is it given up? Then it is done with: 0. Else a negative error: try again
 * later, *ret_retry_after_s (-1: unknown) from now. `e` is what sending, or waiting for the answer,
 * returned. */
static int settle(struct request *r, int e, bool secure, const struct http_response *response,
                  int *ret_retry_after_s) {
    uint64_t rejected;

    count(EXPORTS, 1);
    if (e == 0 && response->status >= 200 && response->status < 300) {
        rejected = loss_rejected(response->body, response->body_length);
        if (rejected > r->records)
            rejected = r->records;
        count(COUNTER_OF(SPANS_EXPORTED, r->signal), r->records - rejected);
        count(COUNTER_OF(SPANS_DROPPED_REFUSED, r->signal), rejected);
        drop(r, COUNTER_N);
        return 0;
    }
    count(EXPORT_FAILURES, 1);
    if (e < 0 && secure && *tls_error())
        set_error(tls_error(), 0);
    else if (e < 0)
        set_error(strerror(-e), 0); /* one thread, and errno texts are static in glibc */
    else
        set_error("HTTP status", response->status);
    if (e == 0 && !is_retryable(response->status)) {
        if (r->signal == SIGNAL_PROFILE)
            profiler_refused();
        drop(r, SPANS_DROPPED_REFUSED);
        return 0;
    }
    if (e == 0)
        *ret_retry_after_s = response->retry_after_s;
    if (clock_monotonic_ns() - r->made_ns > EXPORT_AGE_MAX_NS)
        drop(r, SPANS_DROPPED_EXPIRED);
    return e < 0 ? e : -EAGAIN;
}

/* Sends the first pending request of each signal, then waits for all answers: a server that commits
 * what came together answers them at once. Returns 0 when all are done with. */
static int send_round(void) {
    static struct http_target
            targets[SIGNAL_N]; /* copies: the configuration may change meanwhile */
    struct request *first[SIGNAL_N] = {NULL};
    struct http_response response;
    int r = 0, retry_after_s = -1;
    uint64_t deadline;

    for (struct request *p = pending; p; p = p->next)
        if (!first[p->signal])
            first[p->signal] = p;
    pthread_mutex_lock(&work);
    for (int s = 0; s < SIGNAL_N; s++)
        if (first[s])
            targets[s] = config.targets[s];
    deadline = clock_monotonic_ns() + config.timeout_ms * 1000000ull;
    pthread_mutex_unlock(&work);
    for (int s = 0; s < SIGNAL_N; s++) {
        int e;

        if (!first[s])
            continue;
        e = http_post(&clients[s], &targets[s], first[s]->body, first[s]->length, first[s]->gzip,
                      deadline);
        if (e < 0) {
            r = settle(first[s], e, targets[s].secure, NULL, &retry_after_s);
            first[s] = NULL;
        }
    }
    for (int s = 0; s < SIGNAL_N; s++) {
        int e, after_s = -1;

        if (!first[s])
            continue;
        e = http_answer(&clients[s], deadline, &response);
        e = settle(first[s], e, targets[s].secure, &response, &after_s);
        if (e < 0)
            r = e;
        if (after_s > retry_after_s)
            retry_after_s = after_s;
    }
    if (r < 0)
        back_off(retry_after_s);
    else
        backoff_ms = 0;
    return r;
}

/* Sends until nothing is left or the server does not take it. `force`: do not wait for the time of
 * the next try. */
static int send_pending(bool force) {
    while (pending) {
        int r;
        if (!force && backoff_ms && clock_monotonic_ns() < retry_at_ns)
            return -EAGAIN;
        r = send_round();
        if (r < 0)
            return r;
    }
    return 0;
}

/* Collects and sends all there is. */
static int work_once(bool force, bool *ret_empty) {
    int r;

    do {
        *ret_empty = collect();
        r = send_pending(force);
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
        if (retry_after_ns > pause_ns)
            pause_ns = retry_after_ns;
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

    while (!exporter_awake() && !urgent && flush_wanted == flush_done && !pending) {
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
    if (pending && backoff_ms && retry_at_ns > until)
        until = retry_at_ns;
    t = to_timespec(until);
    while (!urgent && flush_wanted == flush_done &&
           pthread_cond_timedwait(&wake_up, &control, &t) == 0)
        ;
    urgent = false;
    atomic_store(&exporter_is_awake, false);
    return flush_wanted;
}

static void *run(void *unused) {
    (void) unused;
    pthread_setname_np(pthread_self(), "varan-export");
    pthread_mutex_lock(&control);
    for (;;) {
        uint64_t flush = wait_for_work(), until_ns = flush_until_ns;
        bool flushing = flush != flush_done, empty;
        int r;

        pthread_mutex_unlock(&control);
        if (flushing)
            observe_for_flush(until_ns);
        else
            check_metrics(clock_monotonic_ns());
        r = flushing ? work_for_flush(until_ns, &empty) : work_once(false, &empty);
        if (r == 0 && !backoff_ms)
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
    sigset_t all, before;
    pthread_attr_t a;
    pthread_t id;
    int r;

    if (!conditions_ready)
        make_conditions();
    for (int s = 0; s < SIGNAL_N; s++)
        http_client_init(&clients[s]);
    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, THREAD_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&id, &a, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    running = r == 0;
    return -r;
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

int exporter_hand_over(enum signal_kind signal, char *body, size_t n, uint32_t records) {
    struct request *r = calloc(1, sizeof(*r)), *none = NULL;
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
    if (!atomic_compare_exchange_strong(&handed, &none, r)) {
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
    pthread_cond_signal(&wake_up);
    while (flush_done < ticket && r == 0)
        r = pthread_cond_timedwait(&flushed, &control, &until);
    if (flush_done >= ticket)
        r = flush_good ? 0 : EIO;
    pthread_mutex_unlock(&control);
    return -r;
}

void exporter_configure(const struct exporter_config *c) {
    pthread_mutex_lock(&work);
    pthread_mutex_lock(&control);
    config = *c;
    pthread_mutex_unlock(&control);
    pthread_mutex_unlock(&work);
}

void exporter_last_error(char *ret, size_t n) {
    pthread_mutex_lock(&control);
    snprintf(ret, n, "%s", last_error);
    pthread_mutex_unlock(&control);
}

size_t exporter_pending_bytes(void) {
    return atomic_load_explicit(&pending_bytes, memory_order_relaxed);
}

void exporter_fork_prepare(void) {
    pthread_mutex_lock(&work);
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
    pthread_mutex_unlock(&work);
}

/* In the child: no thread, nothing pending, nothing of the parent's is sent again. The connections'
 * descriptors are closed here, so that the parent's server sees the end when the parent ends. */
void exporter_fork_child(void) {
    ring_fork_child();
    observe_fork_child();
    red_fork_child();
    tls_fork_child();
    metrics_due_ns = observation = 0;
    metrics_wanted = false;
    pthread_mutex_init(&control, NULL);
    pthread_mutex_init(&work, NULL);
    conditions_ready = running = urgent = false;
    flush_wanted = flush_done = 0;
    atomic_store(&exporter_is_awake, false);
    atomic_store(&handed, NULL);
    pending = NULL; /* left to the parent's pages: freeing them would only copy them */
    pending_end = &pending;
    atomic_store(&pending_bytes, 0);
    backoff_ms = 0;
    for (int s = 0; s < SIGNAL_N; s++)
        if (clients[s].fd > 2)
            http_client_forget(&clients[s]);
}
