/*
 * The thread that fetches: it starts scrapes when they are due, gives what came to the workers, and
 * takes the targets back. Between a target's scrapes nothing of it is in use but its place in the
 * heap.
 */
#include "base/clock.h"
#include "base/log.h"
#include "receive/scrape_private.h"

#include <signal.h>
#include <stdio.h>

#define TOLERANCE_NS (2 * NS_PER_MS) /* what a due time is rounded to, as Prometheus does */
#define WAIT_MS_MAX 1000
#define CONNECTIONS_KEPT 2000L
#define QUEUE_MAX 1000000u

typedef VECTOR(struct scrape_target *) target_list;

struct loop {
    struct scrape *s;
    target_list heap;     /* idle targets, the one that is due first on top; counted */
    target_list fetching; /* each knows its place; counted */
};

/* ---- Heap ---- */

static void heap_put(struct loop *l, struct scrape_target *t) {
    if (vector_push(&l->heap, t, QUEUE_MAX) < 0) {
        scrape_target_unref(t);
        return;
    }
    size_t i = l->heap.n - 1;
    for (; i > 0 && l->heap.items[(i - 1) / 2]->due_ns > t->due_ns; i = (i - 1) / 2)
        l->heap.items[i] = l->heap.items[(i - 1) / 2];
    l->heap.items[i] = t;
}

static struct scrape_target *heap_take(struct loop *l) {
    struct scrape_target *top = l->heap.items[0], *last = l->heap.items[--l->heap.n];
    size_t i = 0, n = l->heap.n;

    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && l->heap.items[child + 1]->due_ns < l->heap.items[child]->due_ns)
            child++;
        if (l->heap.items[child]->due_ns >= last->due_ns)
            break;
        l->heap.items[i] = l->heap.items[child];
    }
    if (n)
        l->heap.items[i] = last;
    return top;
}

/* ---- To the workers ---- */

static void give_work(struct scrape *s, struct scrape_target *t) {
    t->state = SCRAPE_WORKING;
    pthread_mutex_lock(&s->work_lock);
    int r = vector_push(&s->work, t, QUEUE_MAX);
    pthread_cond_signal(&s->work_ready);
    pthread_mutex_unlock(&s->work_lock);
    if (r < 0)
        scrape_target_unref(t);
}

static void *worker(void *arg) {
    struct scrape *s = arg;

    pthread_mutex_lock(&s->work_lock);
    for (;;) {
        while (s->work_at == s->work.n && !atomic_load(&s->stop))
            pthread_cond_wait(&s->work_ready, &s->work_lock);
        if (s->work_at == s->work.n)
            break;
        struct scrape_target *t = s->work.items[s->work_at++];
        if (s->work_at == s->work.n)
            s->work_at = s->work.n = 0;
        pthread_mutex_unlock(&s->work_lock);
        bool ended = atomic_load(&t->removed);
        if (ended)
            scrape_work_end(t);
        else
            scrape_work(t);
        pthread_mutex_lock(&s->work_lock);
        if (ended || vector_push(&s->worked, t, QUEUE_MAX) < 0) {
            pthread_mutex_unlock(&s->work_lock);
            scrape_target_unref(t);
            pthread_mutex_lock(&s->work_lock);
        } else {
            curl_multi_wakeup(s->multi);
        }
    }
    pthread_mutex_unlock(&s->work_lock);
    return NULL;
}

/* ---- One fetch ---- */

static void begin_scrape(struct scrape_target *t, int64_t now_ns) {
    int64_t late = now_ns - t->due_ns;
    int64_t tolerance = t->interval_ns / 100 < TOLERANCE_NS ? t->interval_ns / 100 : TOLERANCE_NS;

    atomic_fetch_sub(&t->scrape->body_bytes, t->body_room);
    t->body_room = 0;
    buffer_done(&t->body);
    buffer_clear(&t->body);
    t->body_too_large = false;
    t->error[0] = t->content_type[0] = t->encoding[0] = 0;
    t->start_ns = now_ns;
    t->started_mono_ns = clock_monotonic_ns();
    /* Steps that are all the same compress better. */
    t->time_ms = (late >= 0 && late <= tolerance ? t->due_ns : now_ns) / NS_PER_MS;
    t->duration_ns = 0;
}

/* The scrape is over, whatever came of it. */
static void end_scrape(struct loop *l, struct scrape_target *t) {
    t->duration_ns = clock_monotonic_ns() - t->started_mono_ns;
    give_work(l->s, t);
}

static void scrape_self(struct loop *l, struct scrape_target *t) {
    struct scrape *s = l->s;

    s->options.self_metrics(s->options.self_ctx, &t->body);
    snprintf(t->content_type, sizeof(t->content_type), "text/plain");
    if (t->body.failed)
        snprintf(t->error, sizeof(t->error), "out of memory");
    end_scrape(l, t);
}

static void forget_fetching(struct loop *l, struct scrape_target *t) {
    struct scrape_target *last = l->fetching.items[--l->fetching.n];

    l->fetching.items[t->fetch_index] = last;
    last->fetch_index = t->fetch_index;
    curl_multi_remove_handle(l->s->multi, t->curl);
}

static void start_scrape(struct loop *l, struct scrape_target *t, int64_t now_ns) {
    struct error e = ERROR_NONE;

    begin_scrape(t, now_ns);
    /* Missed steps are left out, not made up for. */
    t->due_ns += t->interval_ns * ((now_ns - t->due_ns) / t->interval_ns + 1);
    if (t->job->self) {
        scrape_self(l, t);
        return;
    }
    if (atomic_load(&t->over_limit))
        error_set(&e, -ENOBUFS, "target_limit exceeded: more than %llu targets in the job",
                  (unsigned long long) t->job->target_limit);
    int r = e.code ? e.code : scrape_http_prepare(t, &e);
    t->fetch_index = l->fetching.n;
    if (r == 0 && vector_push(&l->fetching, t, QUEUE_MAX) < 0)
        r = error_set(&e, -ENOMEM, "out of memory");
    if (r == 0 && curl_multi_add_handle(l->s->multi, t->curl) != CURLM_OK)
        forget_fetching(l, t), r = error_set(&e, -ENOMEM, "out of memory");
    if (r < 0) {
        snprintf(t->error, sizeof(t->error), "%.*s", (int) sizeof(t->error) - 1, e.text);
        end_scrape(l, t);
        return;
    }
    t->state = SCRAPE_FETCHING;
}

static void copy_header(CURL *curl, const char *name, char *to, size_t room) {
    struct curl_header *h;

    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
        snprintf(to, room, "%s", h->value);
}

static const char *reason_of(long status) {
    static const struct {
        long status;
        const char *reason;
    } reasons[] = {
            {400, "Bad Request"},     {401, "Unauthorized"},       {403, "Forbidden"},
            {404, "Not Found"},       {405, "Method Not Allowed"}, {406, "Not Acceptable"},
            {408, "Request Timeout"}, {429, "Too Many Requests"},  {500, "Internal Server Error"},
            {501, "Not Implemented"}, {502, "Bad Gateway"},        {503, "Service Unavailable"},
            {504, "Gateway Timeout"}};

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

static void fetched(struct loop *l, CURL *curl, CURLcode code) {
    struct scrape_target *t;
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_PRIVATE, &t);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    copy_header(curl, "Content-Type", t->content_type, sizeof(t->content_type));
    copy_header(curl, "Content-Encoding", t->encoding, sizeof(t->encoding));
    forget_fetching(l, t);
    if (t->body_too_large)
        snprintf(t->error, sizeof(t->error), "body size limit exceeded");
    else if (t->error[0])
        ; /* a callback said why */
    else if (code == CURLE_OPERATION_TIMEDOUT)
        snprintf(t->error, sizeof(t->error), "Get \"%.300s\": context deadline exceeded", t->url);
    else if (code != CURLE_OK)
        snprintf(t->error, sizeof(t->error), "Get \"%.300s\": %s", t->url,
                 curl_easy_strerror(code));
    else if (status != 200)
        snprintf(t->error, sizeof(t->error), "server returned HTTP status %ld %s", status,
                 reason_of(status));
    end_scrape(l, t);
}

/* ---- Coming and going ---- */

static void schedule(struct loop *l, struct scrape_target *t, int64_t now_ns) {
    /* Spread over the interval, the same after every start. */
    int64_t base = now_ns - now_ns % t->interval_ns;

    t->offset_ns = (int64_t) (t->hash % (uint64_t) t->interval_ns);
    t->due_ns = base + t->offset_ns;
    if (t->due_ns < now_ns)
        t->due_ns += t->interval_ns;
    t->scheduled = true;
    heap_put(l, scrape_target_ref(t));
}

static void take_changes(struct loop *l, int64_t now_ns) {
    struct scrape *s = l->s;

    pthread_mutex_lock(&s->lock);
    if (s->changed) {
        s->changed = false;
        vector_each(&s->pools, p) vector_each(&(*p)->targets, t) if (!(*t)->scheduled)
                schedule(l, *t, now_ns);
    }
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&s->work_lock);
    target_list worked = {s->worked.items, s->worked.n, s->worked.allocated};
    s->worked.items = NULL;
    s->worked.n = s->worked.allocated = 0;
    pthread_mutex_unlock(&s->work_lock);
    vector_each(&worked, t) {
        (*t)->state = SCRAPE_IDLE;
        atomic_fetch_sub(&s->body_bytes, (*t)->body_room);
        (*t)->body_room = 0;
        buffer_done(&(*t)->body);
        if (atomic_load(&(*t)->removed))
            give_work(s, *t);
        else
            heap_put(l, *t);
    }
    vector_done(&worked);
}

/* Starts what is due; returns how long to wait. */
static int64_t start_due(struct loop *l) {
    for (;;) {
        int64_t now = clock_now_ns();
        if (!l->heap.n)
            return WAIT_MS_MAX;
        struct scrape_target *top = l->heap.items[0];
        int64_t wait = (top->due_ns - now + NS_PER_MS - 1) / NS_PER_MS;
        if (wait > 2 * top->interval_ns / NS_PER_MS) { /* the clock was put back */
            top = heap_take(l);
            schedule(l, top, now);
            scrape_target_unref(top);
            continue;
        }
        if (wait > 0)
            return wait < WAIT_MS_MAX ? wait : WAIT_MS_MAX;
        top = heap_take(l);
        if (atomic_load(&top->removed))
            give_work(l->s, top);
        else
            start_scrape(l, top, now);
    }
}

/* Removed targets wait in the heap for their time, which may be long: end them now. */
static void end_removed(struct loop *l) {
    size_t n = l->heap.n, kept = 0;
    target_list heap = l->heap;

    for (size_t i = 0; i < n; i++)
        kept += !atomic_load(&heap.items[i]->removed);
    if (kept == n)
        return;
    l->heap = (target_list){0};
    for (size_t i = 0; i < n; i++)
        if (atomic_load(&heap.items[i]->removed))
            give_work(l->s, heap.items[i]);
        else
            heap_put(l, heap.items[i]);
    vector_done(&heap);
}

static void *run(void *arg) {
    struct loop l = {.s = arg};
    struct scrape *s = l.s;
    int running, left;

    while (!atomic_load(&s->stop)) {
        take_changes(&l, clock_now_ns());
        end_removed(&l);
        int64_t wait = start_due(&l);
        curl_multi_perform(s->multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));)
            if (m->msg == CURLMSG_DONE) {
                fetched(&l, m->easy_handle, m->data.result);
                wait = 0;
            }
        curl_multi_poll(s->multi, NULL, 0, (int) wait, NULL);
    }
    while (l.fetching.n) {
        struct scrape_target *t = l.fetching.items[l.fetching.n - 1];
        forget_fetching(&l, t);
        scrape_target_unref(t);
    }
    vector_done(&l.fetching);
    vector_each(&l.heap, t) scrape_target_unref(*t);
    vector_done(&l.heap);
    return NULL;
}

/* ---- Life ---- */

void scrape_loop_wake(struct scrape *s) {
    curl_multi_wakeup(s->multi);
}

int scrape_loop_start(struct scrape *s) {
    curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    if (pthread_create(&s->loop, NULL, run, s) != 0)
        return -EAGAIN;
    s->loop_runs = true;
    for (; s->n_workers < SCRAPE_WORKERS; s->n_workers++)
        if (pthread_create(&s->workers[s->n_workers], NULL, worker, s) != 0)
            break;
    return s->n_workers ? 0 : -EAGAIN;
}

void scrape_loop_stop(struct scrape *s) {
    atomic_store(&s->stop, true);
    scrape_loop_wake(s);
    if (s->loop_runs)
        pthread_join(s->loop, NULL);
    s->loop_runs = false;
    pthread_mutex_lock(&s->work_lock);
    pthread_cond_broadcast(&s->work_ready);
    pthread_mutex_unlock(&s->work_lock);
    for (; s->n_workers; s->n_workers--)
        pthread_join(s->workers[s->n_workers - 1], NULL);
    vector_each(&s->worked, t) scrape_target_unref(*t);
    vector_done(&s->worked);
    vector_done(&s->work);
}
