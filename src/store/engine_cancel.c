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

/* The next one whose flag is set and that was not killed yet; its mark. The lock is held. */
static bool next_set(struct cancel_watch *w, char mark[CANCEL_MARK_BYTES]) {
    for (size_t i = 0; i < CANCEL_WATCHED_MAX; i++) {
        struct cancel_item *x = &w->items[i];
        if (!x->flag || x->killed || !atomic_load(x->flag))
            continue;
        x->killed = true;
        mark_write(x->number, mark);
        return true;
    }
    return false;
}

static void *watch_main(void *arg) {
    struct cancel_watch *w = arg;
    char mark[CANCEL_MARK_BYTES];

    pthread_mutex_lock(&w->lock);
    while (!w->stops) {
        while (next_set(w, mark)) {
            pthread_mutex_unlock(&w->lock);
            w->kill(w->ctx, mark);
            pthread_mutex_lock(&w->lock);
        }
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
