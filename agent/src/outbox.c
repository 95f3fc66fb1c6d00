/* See outbox.h. `work` is never held during a system call that may block. */
#include "outbox.h"

#include <pthread.h>
#include <stdio.h>

#include "loss.h"
#include "profiler.h"
#include "runtime.h"

/* What is sent at once when somebody waits, beyond one request of each signal: at a program's end
 * nothing waits for an answer to something else. */
#define HURRIED_MAX 8
#define LANE_N (SIGNAL_N + HURRIED_MAX)

static pthread_mutex_t work = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t errors = PTHREAD_MUTEX_INITIALIZER; /* within `work` */
static char last_error[160];

/* Under `work`; the thread copies them. */
static struct http_target targets[SIGNAL_N];
static uint32_t timeout_ms = 10000;

/* The thread's own; changed under `work`. */
static struct lane {
    struct http_client client;
    struct request *request; /* on its way, its answer not there yet; NULL: free */
    uint64_t deadline_ns;
    bool secure;
} lanes[LANE_N];                 /* first one for each signal, then those that only haste uses */
static _Atomic bool hurried_for; /* somebody waits for a flush */
static struct request *pending, **pending_end = &pending;
static _Atomic size_t pending_bytes;
static uint64_t retry_at_ns;
static uint64_t retry_after_ns; /* what the server asked for last */
static unsigned backoff_ms;

void outbox_lock(void) {
    pthread_mutex_lock(&work);
}

void outbox_unlock(void) {
    pthread_mutex_unlock(&work);
}

void outbox_configure(const struct exporter_config *c) {
    memcpy(targets, c->targets, sizeof(targets));
    timeout_ms = c->timeout_ms;
}

void outbox_start(void) {
    for (int i = 0; i < LANE_N; i++)
        http_client_init(&lanes[i].client);
}

void outbox_hurry(bool hurry) {
    atomic_store(&hurried_for, hurry);
}

static void set_error(const char *what, int status) {
    pthread_mutex_lock(&errors);
    if (status > 0)
        snprintf(last_error, sizeof(last_error), "%s %d", what, status);
    else
        snprintf(last_error, sizeof(last_error), "%s", what);
    pthread_mutex_unlock(&errors);
}

void outbox_add(struct request *r) {
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

static bool is_on_its_way(const struct request *r) {
    for (int i = 0; i < LANE_N; i++)
        if (lanes[i].request == r)
            return true;
    return false;
}

/* A lane for a request: its signal's, or in a hurry any. NULL: it waits. */
static struct lane *lane_for(const struct request *r, bool hurried) {
    if (!lanes[r->signal].request)
        return &lanes[r->signal];
    for (int i = SIGNAL_N; hurried && i < LANE_N; i++)
        if (!lanes[i].request)
            return &lanes[i];
    return NULL;
}

/* Puts requests on their way. What could not be sent is settled: a negative error of the last one,
 * or 0. */
static int send_pending(bool hurried, int *ret_retry_after_s) {
    static struct http_target to; /* a copy: the configuration may change meanwhile */
    int r = 0;

    for (struct request *p = pending, *next; p; p = next) {
        struct lane *l = is_on_its_way(p) ? NULL : lane_for(p, hurried);
        int e;

        next = p->next;
        if (!l)
            continue;
        pthread_mutex_lock(&work);
        to = targets[p->signal];
        l->deadline_ns = clock_monotonic_ns() + timeout_ms * 1000000ull;
        pthread_mutex_unlock(&work);
        l->secure = to.secure;
        l->request = p;
        e = http_post(&l->client, &to, p->body, p->length, p->gzip, l->deadline_ns);
        if (e == 0)
            continue;
        l->request = NULL;
        e = settle(p, e, to.secure, NULL, ret_retry_after_s);
        r = e < 0 ? e : r;
        if (hurried && l == &lanes[p->signal])
            break; /* the others would not get further */
    }
    return r;
}

/* Waits for the answers to what is on its way: 0, or a negative error of the last one. -EINTR:
 * somebody else is in a hurry; what is on its way stays there. */
static int await_answers(bool hurried, int *ret_retry_after_s) {
    struct http_response response;
    int r = 0;

    for (int i = 0; i < LANE_N; i++) {
        struct lane *l = &lanes[i];
        struct request *request = l->request;
        int e, after_s = -1;

        if (!request)
            continue;
        e = http_answer(&l->client, hurried ? NULL : &hurried_for, l->deadline_ns, &response);
        if (e == -EINTR)
            return e;
        l->request = NULL;
        e = settle(request, e, l->secure, &response, &after_s);
        if (i >= SIGNAL_N)
            http_client_close(&l->client);
        r = e < 0 ? e : r;
        if (after_s > *ret_retry_after_s)
            *ret_retry_after_s = after_s;
    }
    return r;
}

/* Sends pending requests, the first of each signal or in a hurry all of them, then waits for the
 * answers: a server that commits what came together answers them at once. Returns 0 when all are
 * done with. */
static int send_round(bool hurried) {
    int r, e, retry_after_s = -1;

    e = send_pending(hurried, &retry_after_s);
    r = await_answers(hurried, &retry_after_s);
    if (r == -EINTR)
        return r;
    r = r < 0 ? r : e;
    if (r < 0)
        back_off(retry_after_s);
    else
        backoff_ms = 0;
    return r;
}

int outbox_send(bool force) {
    while (pending) {
        int r;
        if (!force && backoff_ms && clock_monotonic_ns() < retry_at_ns)
            return -EAGAIN;
        r = send_round(force);
        if (r < 0)
            return r;
    }
    return 0;
}

bool outbox_is_empty(void) {
    return !pending;
}

size_t outbox_bytes(void) {
    return atomic_load_explicit(&pending_bytes, memory_order_relaxed);
}

uint64_t outbox_retry_at_ns(void) {
    return backoff_ms ? retry_at_ns : 0;
}

uint64_t outbox_asked_ns(void) {
    return retry_after_ns;
}

void outbox_last_error(char *ret, size_t n) {
    pthread_mutex_lock(&errors);
    snprintf(ret, n, "%s", last_error);
    pthread_mutex_unlock(&errors);
}

void outbox_fork_prepare(void) {
    pthread_mutex_lock(&work);
    pthread_mutex_lock(&errors);
}

void outbox_fork_parent(void) {
    pthread_mutex_unlock(&errors);
    pthread_mutex_unlock(&work);
}

void outbox_fork_child(void) {
    pthread_mutex_init(&work, NULL);
    pthread_mutex_init(&errors, NULL);
    pending = NULL; /* left to the parent's pages: freeing them would only copy them */
    pending_end = &pending;
    atomic_store(&pending_bytes, 0);
    backoff_ms = 0;
    /* Closed here, so that the parent's server sees the end when the parent ends. */
    for (int i = 0; i < LANE_N; i++) {
        lanes[i].request = NULL;
        if (lanes[i].client.fd > 2)
            http_client_forget(&lanes[i].client);
    }
    atomic_store(&hurried_for, false);
}
