/*
 * Ending queries of the embedded engine that run: a thread that looks at the cancel flags of those
 * at work and has the engine kill the ones that are set. Private to store/. Thread-safe.
 */
#ifndef VARAN_STORE_ENGINE_CANCEL_H
#define VARAN_STORE_ENGINE_CANCEL_H

#include "base/error.h"
#include "base/slice.h"

#include <pthread.h>
#include <stdatomic.h>

#define CANCEL_WATCHED_MAX 64u

/* Kills the query whose text begins with `mark`; whether there is one. On the watcher's thread. */
typedef bool (*cancel_kill)(void *ctx, const char *mark);

struct cancel_watch {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool runs, stops;
    cancel_kill kill;
    void *ctx;
    uint64_t number;
    struct cancel_item {
        const atomic_bool *flag; /* NULL: free */
        uint64_t number;
        bool killed;
    } items[CANCEL_WATCHED_MAX];
    size_t n;
};

#define CANCEL_MARK_BYTES 40u

void cancel_watch_init(struct cancel_watch *w, cancel_kill kill, void *ctx);
void cancel_watch_done(struct cancel_watch *w);
/* Watches `flag` until cancel_watch_end(). Writes the mark that the query must begin with. The
 * number to end it with; 0 when it is not watched. */
uint64_t cancel_watch_begin(struct cancel_watch *w, const atomic_bool *flag,
                            char mark[CANCEL_MARK_BYTES]);
void cancel_watch_end(struct cancel_watch *w, uint64_t number);

#endif
