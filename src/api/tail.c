/*
 * Live tail: new log lines as server-sent events. One thread asks the store for what is new, for
 * each reader with its filter, when ingest says that lines came (or once a second). Lines are
 * numbered when they are decoded and become visible when their batch is written, so not in that
 * order: a reader looks back over the last seconds' numbers and remembers what it was sent. Memory
 * of a reader is its own.
 */
#include "api/call.h"

#include "base/map.h"
#include "derive/ingest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define POLL_NS NS_PER_S
#define PAUSE_NS (NS_PER_S / 5) /* between two looks, at least */
#define COMMENT_NS (15 * NS_PER_S)
#define ROTATE_NS (5 * NS_PER_S) /* numbers older than one to two of these are final */
#define LINES_MAX 500u           /* per reader and look */
#define REMEMBERED_MAX 20000u
#define RANGE_BEFORE_NS (15 * 60 * NS_PER_S) /* lines' own times: late ones, and clocks ahead */
#define RANGE_AFTER_NS (5 * 60 * NS_PER_S)
#define POLL_TIMEOUT_NS (2 * NS_PER_S)

struct tail {
    struct tails *owner;
    struct http_request *request;
    struct http_stream *stream;
    struct arena arena; /* of the filter */
    struct filter *filter;
    bool begun, gone;
    uint64_t floor, newest, newest_before; /* numbers: final below floor; see rotate() */
    struct map sent[2];                    /* numbers sent since the last rotation, and before */
    int64_t rotated_ns, wrote_ns;
    uint64_t dropped;
    struct buffer event;
    struct tail *next;
};

struct tails {
    struct api *api;
    pthread_t thread;
    pthread_mutex_t signal_lock; /* of `signal`; taken before ingest's locks, never under `lock` */
    struct ingest_tail *signal;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct tail *added; /* handed over to the thread */
    unsigned n;
    bool stop;
    _Atomic bool arrived;
};

/* ---- One reader ---- */

static void tail_free(struct tail *t) {
    if (t->stream)
        http_stream_end(t->stream);
    for (int i = 0; i < 2; i++)
        map_done(&t->sent[i]);
    buffer_done(&t->event);
    arena_done(&t->arena);
    free(t);
}

static void write_chunk(struct tail *t, struct slice chunk, uint64_t lines) {
    int r = http_stream_write(t->stream, chunk);

    if (r == -EAGAIN)
        t->dropped += lines;
    else if (r < 0)
        t->gone = true;
    else
        t->wrote_ns = clock_monotonic_ns();
}

static struct slice number_key(const uint64_t *seq) {
    return slice_new(seq, sizeof(*seq));
}

static void send_line(void *ctx, uint64_t seq, struct slice json) {
    struct tail *t = ctx;
    struct slice key = number_key(&seq);

    if (t->gone || map_get(&t->sent[0], key) || map_get(&t->sent[1], key))
        return;
    if (!map_put(&t->sent[0], key, NULL)) { /* too many at once: what is not known is not sent */
        t->dropped++;
        return;
    }
    buffer_clear(&t->event);
    buffer_append_text(&t->event, "event: log\ndata: ");
    buffer_append_slice(&t->event, json);
    buffer_append_text(&t->event, "\n\n");
    if (t->event.failed)
        t->dropped++;
    else
        write_chunk(t, buffer_slice(&t->event), 1);
}

static void tell_dropped(struct tail *t) {
    char text[80];
    uint64_t dropped = t->dropped;

    if (dropped == 0 || t->gone)
        return;
    int n = snprintf(text, sizeof(text), "event: dropped\ndata: {\"count\": %llu}\n\n",
                     (unsigned long long) dropped);
    write_chunk(t, slice_new(text, (size_t) n), 0);
    if (!t->gone && t->wrote_ns > clock_monotonic_ns() - PAUSE_NS)
        t->dropped -= dropped;
}

/* After one rotation a number may still be late; after two it is final. */
static void rotate(struct tail *t, int64_t now) {
    if (now - t->rotated_ns < ROTATE_NS)
        return;
    struct map older = t->sent[1];
    t->floor = t->newest_before;
    t->newest_before = t->newest;
    t->sent[1] = t->sent[0];
    map_clear(&older);
    t->sent[0] = older;
    t->rotated_ns = now;
}

static void prepare(struct tails *s, struct tail *t, struct arena *arena, struct json_writer *w,
                    struct error *e, struct query *ret) {
    int64_t now = clock_now_ns();

    *ret = (struct query){.store = s->api->options.store,
                          .arena = arena,
                          .json = w,
                          .from_ns = now - RANGE_BEFORE_NS,
                          .to_ns = now + RANGE_AFTER_NS,
                          .signal = FILTER_LOGS,
                          .filter = t->filter,
                          .deadline_ns = clock_monotonic_ns() + POLL_TIMEOUT_NS,
                          .error = e};
}

/* Sends what is new. A question that fails is asked again at the next look. */
static void look(struct tails *s, struct tail *t) {
    int64_t now = clock_monotonic_ns();
    struct error e = ERROR_NONE;
    struct arena arena;
    struct query q;
    uint64_t count;

    arena_init(&arena, QUERY_ARENA_BYTES);
    prepare(s, t, &arena, NULL, &e, &q);
    if (!t->begun) { /* only what comes from now on */
        q.filter = NULL;
        if (query_logs_count_newer(&q, 0, &count, &t->newest) == 0) {
            t->floor = t->newest_before = t->newest;
            t->begun = true;
        }
    } else {
        query_logs_newer(&q, t->floor, LINES_MAX, send_line, t, &t->newest);
        rotate(t, now);
    }
    arena_done(&arena);
    tell_dropped(t);
    if (clock_monotonic_ns() - t->wrote_ns >= COMMENT_NS)
        write_chunk(t, SLICE(": still here\n\n"), 0);
    if (http_request_gone(t->request))
        t->gone = true;
}

/* ---- All readers ---- */

static struct timespec soon(int64_t ns) {
    int64_t then = clock_monotonic_ns() + ns;

    return (struct timespec){then / NS_PER_S, then % NS_PER_S};
}

static void wait_for_more(struct tails *s, bool has_readers) {
    pthread_mutex_lock(&s->lock);
    while (!s->stop && !s->added && !has_readers)
        pthread_cond_wait(&s->changed, &s->lock);
    struct timespec until = soon(POLL_NS);
    while (!s->stop && !s->added && !atomic_load(&s->arrived))
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until))
            break;
    atomic_store(&s->arrived, false);
    pthread_mutex_unlock(&s->lock);
}

static void pause_between_looks(struct tails *s) {
    struct timespec until = soon(PAUSE_NS);

    pthread_mutex_lock(&s->lock);
    while (!s->stop && !s->added)
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until))
            break;
    pthread_mutex_unlock(&s->lock);
}

/* Takes over new readers; false when it is time to stop. */
static bool take_added(struct tails *s, struct tail **readers) {
    pthread_mutex_lock(&s->lock);
    while (s->added) {
        struct tail *t = s->added;
        s->added = t->next;
        t->next = *readers;
        *readers = t;
    }
    bool goes_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return goes_on;
}

/* On the writer's thread: only wakes. */
static void line_arrived(void *ctx, const struct log_record *l) {
    struct tails *s = ctx;

    if (!atomic_exchange(&s->arrived, true)) {
        pthread_mutex_lock(&s->lock);
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
}

/* Ingest copies each line for us as long as we listen: only while there are readers. */
static void switch_signal(struct tails *s) {
    pthread_mutex_lock(&s->signal_lock);
    pthread_mutex_lock(&s->lock);
    bool wanted = s->n > 0 && !s->stop;
    pthread_mutex_unlock(&s->lock);
    if (wanted && !s->signal && s->api->options.ingest)
        s->signal = ingest_tail_start(s->api->options.ingest, line_arrived, s);
    if (!wanted && s->signal) {
        ingest_tail_stop(s->signal);
        s->signal = NULL;
    }
    pthread_mutex_unlock(&s->signal_lock);
}

static void release(struct tails *s) {
    pthread_mutex_lock(&s->lock);
    s->n--;
    pthread_mutex_unlock(&s->lock);
    switch_signal(s);
}

static void *run(void *arg) {
    struct tails *s = arg;
    struct tail *readers = NULL;

    while (take_added(s, &readers)) {
        for (struct tail **at = &readers, *t; (t = *at);) {
            look(s, t);
            if (!t->gone) {
                at = &t->next;
                continue;
            }
            *at = t->next;
            tail_free(t);
            release(s);
        }
        if (readers)
            pause_between_looks(s);
        wait_for_more(s, readers != NULL);
    }
    while (readers) {
        struct tail *t = readers;
        readers = t->next;
        tail_free(t);
    }
    return NULL;
}

int tails_new(struct api *a, struct tails **ret) {
    struct tails *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    if (!s)
        return -ENOMEM;
    s->api = a;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->signal_lock, NULL);
    /* Not the time of day: that may be put back, and nobody would be told anything for so long. */
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    int r = pthread_create(&s->thread, NULL, run, s);
    if (r) {
        free(s);
        return -r;
    }
    *ret = s;
    return 0;
}

void tails_free(struct tails *s) {
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    switch_signal(s);
    pthread_mutex_destroy(&s->signal_lock);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static bool only_filter(void *ctx, struct slice name, struct slice value) {
    return *(bool *) ctx = slice_is(name, "filter");
}

/* The error's answer was sent unless 0. */
static int read_filter(struct tail *t, struct http_request *q) {
    struct filter_error e = {0};
    struct buffer body;
    bool known = true;

    http_request_params(q, only_filter, &known);
    if (!known) {
        http_respond_error(q, 400, "bad_request", "the tail has no parameter but filter");
        return -EINVAL;
    }
    int r = filter_parse(&t->arena, FILTER_LOGS, http_request_param(q, "filter"), &t->filter, &e);
    if (r == -EINVAL) {
        buffer_init(&body, 64 << 10);
        struct json_writer w = json_writer(&body);
        json_begin_object(&w);
        json_put_key(&w, "error");
        json_filter_error(&w, &e);
        json_end_object(&w);
        http_respond_buffer(q, 400, "application/json", &body, NULL, 0);
        buffer_done(&body);
    } else if (r < 0) {
        http_respond_error(q, 503, "overloaded", "out of memory");
    }
    return r;
}

static void hand_over(struct tails *s, struct tail *t) {
    pthread_mutex_lock(&s->lock);
    t->next = s->added;
    s->added = t;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Room for one more reader. */
static bool reserve(struct tails *s) {
    pthread_mutex_lock(&s->lock);
    bool has_room = s->n < API_TAILS_MAX && !s->stop;
    if (has_room)
        s->n++;
    pthread_mutex_unlock(&s->lock);
    if (has_room)
        switch_signal(s);
    return has_room;
}

void tails_add(struct tails *s, struct http_request *q) {
    struct tail *t = calloc(1, sizeof(*t));

    if (!t || !reserve(s)) {
        free(t);
        http_respond_error(q, 503, "overloaded", "too many readers of the live tail");
        return;
    }
    t->owner = s;
    t->request = q;
    arena_init(&t->arena, 4 << 20);
    buffer_init(&t->event, QUERY_ANSWER_BYTES);
    for (int i = 0; i < 2; i++)
        map_init(&t->sent[i], REMEMBERED_MAX, REMEMBERED_MAX * 32);
    t->rotated_ns = clock_monotonic_ns();
    bool answered = read_filter(t, q) < 0;
    if (!answered) {
        t->stream = http_stream_start(q, 200, "text/event-stream");
        if (t->stream) {
            hand_over(s, t);
            return;
        }
        http_respond_error(q, 503, "overloaded", "out of memory");
    }
    tail_free(t);
    release(s);
}
