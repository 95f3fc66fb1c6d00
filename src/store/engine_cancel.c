/* See engine_cancel.h. The thread starts with the first query that has a flag, and sleeps while
 * there is none. */
#include "store/engine_cancel.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_NS (20 * NS_PER_MS)

static void mark_write(uint64_t number, char mark[CANCEL_MARK_BYTES]) {
    snprintf(mark, CANCEL_MARK_BYTES, "/*varan:%" PRIu64 "*/", number);
}

/* Of those whose flag is set and that were not killed yet the next one after `number`; NULL: none.
 * The lock is held. */
static struct cancel_item *next_set(struct cancel_watch *w, uint64_t number) {
    struct cancel_item *next = NULL;

    for (size_t i = 0; i < CANCEL_WATCHED_MAX; i++) {
        struct cancel_item *x = &w->items[i];
        if (x->flag && !x->killed && x->number > number && atomic_load(x->flag) &&
            (!next || x->number < next->number))
            next = x;
    }
    return next;
}

/* Each of those is tried once; the lock is held on entry and return. The engine may not know yet of
 * a query that is about to begin: the next look tries it again. */
static void kill_set(struct cancel_watch *w) {
    char mark[CANCEL_MARK_BYTES];
    uint64_t number = 0;

    for (struct cancel_item *x; !w->stops && (x = next_set(w, number));) {
        number = x->number;
        mark_write(number, mark);
        pthread_mutex_unlock(&w->lock);
        bool found = w->kill(w->ctx, mark);
        pthread_mutex_lock(&w->lock);
        if (x->flag && x->number == number) /* its place may be another's by now */
            x->killed = found;
    }
}

static void *watch_main(void *arg) {
    struct cancel_watch *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stops) {
        kill_set(w);
        if (w->stops)
            break;
        if (w->n == 0) {
            pthread_cond_wait(&w->wake, &w->lock);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_NS;
        if (until.tv_nsec >= NS_PER_S) {
            until.tv_sec++;
            until.tv_nsec -= NS_PER_S;
        }
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

void cancel_watch_init(struct cancel_watch *w, cancel_kill kill, void *ctx) {
    pthread_condattr_t attr;

    *w = (struct cancel_watch){.kill = kill, .ctx = ctx};
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
}

void cancel_watch_done(struct cancel_watch *w) {
    if (w->runs) {
        pthread_mutex_lock(&w->lock);
        w->stops = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
        w->runs = false;
    }
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
}

uint64_t cancel_watch_begin(struct cancel_watch *w, const atomic_bool *flag,
                            char mark[CANCEL_MARK_BYTES]) {
    uint64_t number = 0;

    *mark = 0;
    if (!flag)
        return 0;
    pthread_mutex_lock(&w->lock);
    if (!w->runs)
        w->runs = pthread_create(&w->thread, NULL, watch_main, w) == 0;
    for (size_t i = 0; i < CANCEL_WATCHED_MAX && w->runs && !number; i++)
        if (!w->items[i].flag) {
            number = ++w->number;
            w->items[i] = (struct cancel_item){flag, number, false};
            w->n++;
        }
    if (number) {
        mark_write(number, mark);
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return number;
}

void cancel_watch_end(struct cancel_watch *w, uint64_t number) {
    if (!number)
        return;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < CANCEL_WATCHED_MAX; i++)
        if (w->items[i].flag && w->items[i].number == number) {
            w->items[i].flag = NULL;
            w->n--;
        }
    pthread_mutex_unlock(&w->lock);
}
