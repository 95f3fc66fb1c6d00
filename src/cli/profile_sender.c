/* See profile_sender.h. */
#include "cli/profile_sender.h"

#include "base/clock.h"
#include "net/client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_NS (3 * NS_PER_S)
#define TIMEOUT_NS (15 * NS_PER_S)

struct item {
    struct item *next;
    char *url;
    size_t size;
    uint8_t bytes[];
};

struct sender {
    const char *command;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct item *first, *last;
    size_t bytes, n;
    bool stop, in_trouble, refusal_told;
    atomic_bool cancel;
    int64_t stop_ns;
    struct sender_stats stats;
};

static void item_free(struct item *i) {
    if (i)
        free(i->url);
    free(i);
}

/* `lock` held. */
static struct item *take_first(struct sender *s) {
    struct item *i = s->first;

    if (!i)
        return NULL;
    s->first = i->next;
    if (!s->first)
        s->last = NULL;
    s->bytes -= i->size;
    s->n--;
    return i;
}

void sender_put(struct sender *s, const char *url, struct slice body) {
    struct item *i = malloc(sizeof(*i) + body.size);

    if (!i || !(i->url = strdup(url))) {
        free(i);
        return;
    }
    i->next = NULL;
    i->size = body.size;
    memcpy(i->bytes, body.data, body.size);
    pthread_mutex_lock(&s->lock);
    while (s->first && (s->bytes + i->size > SENDER_BYTES_MAX || s->n == SENDER_WAITING_MAX)) {
        item_free(take_first(s));
        s->stats.dropped++;
    }
    if (s->last)
        s->last->next = i;
    else
        s->first = i;
    s->last = i;
    s->bytes += i->size;
    s->n++;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Whether it is done with: taken, or not wanted. */
static bool send_item(struct sender *s, struct http_client *client, const struct item *i) {
    static const char *const headers[] = {"Content-Type: application/octet-stream"};
    const struct http_client_request q = {.method = "POST",
                                          .url = i->url,
                                          .headers = headers,
                                          .n_headers = 1,
                                          .body = slice_new(i->bytes, i->size),
                                          .timeout_ns = TIMEOUT_NS,
                                          .answer_bytes_max = 64 << 10,
                                          .cancel = &s->cancel};
    struct http_client_answer a = {0};
    struct error e = ERROR_NONE;
    int r = http_client_send(client, &q, &a, &e);
    bool wait = r < 0 || a.status == 429 || a.status >= 500;

    if (wait && !s->in_trouble && !atomic_load(&s->cancel))
        fprintf(stderr, "varan %s: %s; profiles wait here and are sent later\n", s->command,
                r < 0 ? e.text : "the server is busy");
    if (!wait && s->in_trouble)
        fprintf(stderr, "varan %s: the server takes profiles again\n", s->command);
    s->in_trouble = wait;
    if (!wait && a.status / 100 != 2) {
        s->stats.refused++;
        if (!s->refusal_told)
            fprintf(stderr, "varan %s: the server answered %d: %.*s%s\n", s->command, a.status,
                    (int) (a.body.size < 300 ? a.body.size : 300), (const char *) a.body.data,
                    a.status == 404 ? "\n(--server is the address of the page, by default "
                                      "http://127.0.0.1:8272, not that of OTLP)"
                                    : "");
        s->refusal_told = true;
    } else if (!wait) {
        s->stats.sent++;
    }
    buffer_done(&a.body);
    return !wait;
}

/* Until something is there or the sender ends; the item is taken off. `lock` held. */
static struct item *wait_item(struct sender *s) {
    while (!s->first && !s->stop)
        pthread_cond_wait(&s->changed, &s->lock);
    return s->stop && clock_monotonic_ns() >= s->stop_ns ? NULL : take_first(s);
}

/* Puts it back to the front and waits a while. `lock` held. */
static void put_back(struct sender *s, struct item *i) {
    int64_t until = clock_monotonic_ns() + (s->stop ? RETRY_NS / 10 : RETRY_NS);
    struct timespec at = {until / NS_PER_S, until % NS_PER_S};
    bool stopped = s->stop;

    i->next = s->first;
    s->first = i;
    if (!s->last)
        s->last = i;
    s->bytes += i->size;
    s->n++;
    while (s->stop == stopped && pthread_cond_timedwait(&s->changed, &s->lock, &at) == 0 &&
           clock_monotonic_ns() < until)
        ;
}

static void *run(void *ctx) {
    struct sender *s = ctx;
    struct http_client *client = NULL;
    struct item *i;

    if (http_client_new(&client) < 0)
        return NULL;
    pthread_mutex_lock(&s->lock);
    while ((i = wait_item(s))) {
        pthread_mutex_unlock(&s->lock);
        bool done = send_item(s, client, i);
        pthread_mutex_lock(&s->lock);
        if (done)
            item_free(i);
        else
            put_back(s, i);
    }
    pthread_mutex_unlock(&s->lock);
    http_client_free(client);
    return NULL;
}

int sender_new(const char *command, struct sender **ret) {
    struct sender *s = calloc(1, sizeof(*s));
    pthread_condattr_t a;

    if (!s)
        return -ENOMEM;
    s->command = command;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &a);
    pthread_condattr_destroy(&a);
    int r = -pthread_create(&s->thread, NULL, run, s);
    if (r < 0) {
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void sender_free(struct sender *s, int64_t timeout_ns, struct sender_stats *ret) {
    struct timespec until;

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    s->stop_ns = clock_monotonic_ns() + timeout_ns;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ns / NS_PER_S + 1;
    if (pthread_clockjoin_np(s->thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
        atomic_store(&s->cancel, true); /* the exchange in progress ends within a second */
        pthread_join(s->thread, NULL);
    }
    s->stats.dropped += s->n;
    for (struct item *i; (i = take_first(s));)
        item_free(i);
    *ret = s->stats;
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
