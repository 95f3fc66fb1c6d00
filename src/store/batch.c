/*
 * Batches: exclusive while a thread fills one, shared over time. See store.h. A batch collects the
 * rows of several requests; the writer takes it when the commit is due.
 */
#include "base/clock.h"
#include "store/private.h"

#include <assert.h>

void batch_free(struct store_batch *b) {
    if (!b)
        return;
    for (size_t t = 0; t < TABLE_COUNT; t++)
        native_block_free(b->blocks[t]);
    vector_done(&b->waiters);
    free(b);
}

struct store_batch *batch_new(struct store *s) {
    struct store_batch *b = memory_alloc(sizeof(*b));

    if (!b)
        return NULL;
    *b = (struct store_batch){.store = s};
    for (size_t t = 0; t < TABLE_COUNT; t++)
        if (native_block_new(tables[t].columns, tables[t].n, BLOCK_BYTES_MAX, &b->blocks[t]) < 0) {
            batch_free(b);
            return NULL;
        }
    s->batches[s->n_batches++] = b;
    return b;
}

void batch_clear(struct store_batch *b) {
    for (size_t t = 0; t < TABLE_COUNT; t++)
        native_block_clear(b->blocks[t]);
    b->waiters.n = 0;
    b->bytes = 0;
    b->closing = b->awaited = false;
    b->urgent = 0;
    b->state = BATCH_OPEN;
}

/* The open batch with the most rows (so that few batches fill up, not many a little), or a new one.
 */
static struct store_batch *batch_pick(struct store *s) {
    struct store_batch *best = NULL;

    for (size_t i = 0; i < s->n_batches; i++) {
        struct store_batch *b = s->batches[i];
        if (b->state == BATCH_OPEN && !b->closing && (!best || b->bytes > best->bytes))
            best = b;
    }
    if (!best && s->n_batches < BATCHES_MAX)
        best = batch_new(s);
    return best;
}

int store_batch_acquire(struct store *s, size_t bytes_hint, struct store_batch **ret) {
    int r = 0;

    if (atomic_load(&s->disk_full))
        return -ENOSPC;
    pthread_mutex_lock(&s->lock);
    /* A single request larger than the bound gets through when nothing else waits. */
    bool full = s->queue_bytes && s->queue_bytes + bytes_hint > s->options.queue_bytes_max;
    struct store_batch *b = full || s->stopping ? NULL : batch_pick(s);
    if (b) {
        b->state = BATCH_ACQUIRED;
        b->hint = bytes_hint;
        s->n_acquired++;
        s->queue_bytes += bytes_hint;
    } else {
        r = s->stopping ? -ESHUTDOWN : -EAGAIN;
    }
    pthread_mutex_unlock(&s->lock);
    if (r < 0) {
        pthread_mutex_lock(&s->stats_lock);
        s->stats.queue_refused++;
        pthread_mutex_unlock(&s->stats_lock);
        return r;
    }
    for (size_t t = 0; t < TABLE_COUNT; t++)
        b->marks[t] = native_block_mark(b->blocks[t]);
    *ret = b;
    return 0;
}

struct native_block *store_batch_block(struct store_batch *b, enum store_table t) {
    assert(b->state != BATCH_OPEN && t < TABLE_COUNT);
    return b->blocks[t];
}

void **store_batch_user(struct store_batch *b) {
    return &b->user;
}

static size_t batch_bytes(const struct store_batch *b) {
    size_t bytes = 0;

    for (size_t t = 0; t < TABLE_COUNT; t++)
        bytes += native_block_bytes(b->blocks[t]);
    return bytes;
}

static void give_back(struct store_batch *b, bool urgent) {
    struct store *s = b->store;

    /* Nobody waits, so there is no row; what aborted requests left in dictionaries must not pile
     * up. */
    if (b->waiters.n == 0)
        for (size_t t = 0; t < TABLE_COUNT; t++)
            native_block_clear(b->blocks[t]);
    size_t bytes = batch_bytes(b);
    int64_t now = clock_monotonic_ns();

    pthread_mutex_lock(&s->lock);
    assert(b->state == BATCH_ACQUIRED);
    s->queue_bytes -= b->hint + b->bytes;
    s->queue_bytes += bytes;
    s->added_ns = now;
    b->bytes = bytes;
    b->state = BATCH_OPEN;
    b->awaited = b->waiters.n > 0;
    b->urgent += urgent;
    if (b->awaited && bytes >= s->options.commit_bytes_max)
        b->closing = true;
    s->n_acquired--;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

void store_batch_abort(struct store_batch *b) {
    for (size_t t = 0; t < TABLE_COUNT; t++)
        native_block_rollback(b->blocks[t], b->marks[t]);
    give_back(b, false);
}

static void commit(struct store_batch *b, store_done done, void *ctx, bool urgent) {
    struct waiter w = {done, ctx};

    if (b->waiters.n == 0)
        b->oldest_ns = clock_monotonic_ns();
    int r = vector_push(&b->waiters, w, WAITERS_MAX);
    if (r < 0) {
        store_batch_abort(b);
        done(ctx, r);
        return;
    }
    give_back(b, urgent);
}

void store_batch_commit(struct store_batch *b, store_done done, void *ctx) {
    commit(b, done, ctx, true);
}

void store_batch_commit_patiently(struct store_batch *b, store_done done, void *ctx) {
    commit(b, done, ctx, false);
}
