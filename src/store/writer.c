/*
 * The writer: one thread that takes the batches somebody waits for and inserts them, table by
 * table, the blocks of one table in one INSERT. Group commit: while one commit runs, the next one's
 * rows gather.
 */
#include "base/clock.h"
#include "store/private.h"

#include <assert.h>
#include <time.h>

/*
 * Commits pace themselves: the next one begins GATHER_FACTOR times the last one's cost after that
 * one's start, GATHER_NS_MAX at most, so that a busy server writes few large parts (merging many
 * small ones costs more than everything else), or as soon as no request has come for QUIET_NS (all
 * clients wait for answers: more waiting gathers nothing). When as many wait as the last commit
 * answered, QUIET_ALL_NS after that commit and the last request are enough: they are all here
 * again. An idle server commits at once. Rows
 * that nobody waits for (scraped ones) gather for the whole window, or go with the others.
 */
#define GATHER_NS_MAX (600 * NS_PER_MS)
#define GATHER_FACTOR 4
#define QUIET_NS (60 * NS_PER_MS)
#define QUIET_ALL_NS (10 * NS_PER_MS)
#define SMALL_BYTES (64u << 10)
#define SMALL_SHARE 16
#define SMALL_DEBT_NS (1 * NS_PER_S)
#define IDLE_NS (5 * NS_PER_S) /* after this long without a commit memory is given back */

struct commit {
    struct store_batch *batches[BATCHES_MAX];
    size_t n, bytes;
    unsigned urgent; /* how many wait for it */
};

struct pace {
    int64_t last_start_ns, last_cost_ns;
    int64_t debt_ns;   /* of small commits, when the last one began */
    unsigned answered; /* who waited for the last one */
};

/* The commit began at `start_ns` and ended now. */
static void pace_note(struct pace *p, int64_t start_ns, const struct commit *c) {
    p->debt_ns -= (start_ns - p->last_start_ns) / SMALL_SHARE;
    if (p->debt_ns < 0)
        p->debt_ns = 0;
    p->last_start_ns = start_ns;
    p->last_cost_ns = clock_monotonic_ns() - start_ns;
    p->answered = c->urgent;
    if (c->bytes < SMALL_BYTES)
        p->debt_ns += p->last_cost_ns;
    if (p->debt_ns > 2 * SMALL_DEBT_NS)
        p->debt_ns = 2 * SMALL_DEBT_NS;
}

static void wait_until(struct store *s, int64_t until_ns) {
    struct timespec t = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};

    pthread_cond_timedwait(&s->work, &s->lock, &t);
}

/* When the next commit is due: 0 now, INT64_MAX when nobody waits. The lock is held. */
static int64_t commit_due(const struct store *s, const struct pace *pace) {
    int64_t now = clock_monotonic_ns(), oldest = INT64_MAX;
    size_t bytes = 0;
    unsigned urgent = 0;
    bool full = false;

    for (size_t i = 0; i < s->n_batches; i++) {
        const struct store_batch *b = s->batches[i];
        if (b->state != BATCH_OPEN || !b->awaited)
            continue;
        bytes += b->bytes;
        full |= b->closing;
        urgent += b->urgent;
        if (b->oldest_ns < oldest)
            oldest = b->oldest_ns;
    }
    if (oldest == INT64_MAX)
        return INT64_MAX;
    if (full || s->stopping || bytes >= s->options.commit_bytes_max)
        return 0;
    int64_t due = oldest + s->options.commit_ns_max;
    if (urgent && s->n_acquired == 0) { /* somebody waits, and nobody is about to add rows */
        int64_t gap = pace->last_cost_ns * GATHER_FACTOR;
        int64_t paced = pace->last_start_ns + (gap > GATHER_NS_MAX ? GATHER_NS_MAX : gap);
        int64_t end = pace->last_start_ns + pace->last_cost_ns;
        int64_t quiet = s->added_ns + QUIET_NS;
        if (pace->answered && urgent >= pace->answered)
            quiet = (s->added_ns > end ? s->added_ns : end) + QUIET_ALL_NS;
        int64_t early = paced < quiet ? paced : quiet;
        if (bytes < SMALL_BYTES && pace->debt_ns > SMALL_DEBT_NS)
            early = pace->last_start_ns + GATHER_NS_MAX;
        if (early < due)
            due = early;
    }
    return due <= now ? 0 : due;
}

/* Takes the open batches that somebody waits for; those being filled are next. The lock is held. */
static void commit_take(struct store *s, struct commit *c) {
    c->n = c->bytes = c->urgent = 0;
    for (size_t i = 0; i < s->n_batches; i++) {
        struct store_batch *b = s->batches[i];
        if (b->state == BATCH_ACQUIRED && b->awaited)
            b->closing = true;
        if (b->state != BATCH_OPEN || !b->awaited)
            continue;
        b->state = BATCH_TAKEN;
        c->bytes += b->bytes;
        c->urgent += b->urgent;
        c->batches[c->n++] = b;
    }
}

static int insert_table(struct store *s, const struct commit *c, const bool *lost,
                        enum store_table t, struct error *e) {
    const struct native_block *blocks[BATCHES_MAX];
    size_t n = 0, rows = 0, bytes = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct native_block *b = c->batches[i]->blocks[t];
        if (lost[i] || native_block_rows(b) == 0)
            continue;
        rows += native_block_rows(b);
        bytes += native_block_bytes(b);
        blocks[n++] = b;
    }
    if (n == 0)
        return 0;
    int r = s->engine->ops->insert(s->engine, s->insert_sql[t], blocks, n, e);
    if (r == 0) {
        pthread_mutex_lock(&s->stats_lock);
        s->stats.rows[t] += rows;
        s->stats.bytes_inserted += bytes;
        pthread_mutex_unlock(&s->stats_lock);
    }
    return r;
}

/* Inserts everything and answers all who wait. */
static void commit_run(struct store *s, struct commit *c) {
    bool lost[BATCHES_MAX] = {false}; /* batches whose derived rows could not be made */
    int results[BATCHES_MAX], r = 0;
    struct error e = ERROR_NONE;
    int64_t start = clock_monotonic_ns();

    for (size_t i = 0; i < c->n; i++) {
        results[i] = s->hook ? s->hook(s->hook_ctx, c->batches[i]) : 0;
        lost[i] = results[i] < 0;
    }
    for (enum store_table t = 0; t < TABLE_COUNT && r == 0; t++)
        r = insert_table(s, c, lost, t, &e);
    pthread_mutex_lock(&s->written_lock);
    for (size_t i = 0; i < c->n && s->written; i++)
        s->written(s->written_ctx, c->batches[i], lost[i] ? results[i] : r);
    pthread_mutex_unlock(&s->written_lock);
    pthread_mutex_lock(&s->stats_lock);
    s->stats.commits++;
    s->stats.commit_failures += r < 0;
    s->stats.commit_seconds_sum += (double) (clock_monotonic_ns() - start) / NS_PER_S;
    if (r < 0)
        snprintf(s->stats.last_error, sizeof(s->stats.last_error), "%.250s", e.text);
    pthread_mutex_unlock(&s->stats_lock);
    /* Before the answers: who is answered may send again at once. */
    pthread_mutex_lock(&s->lock);
    s->queue_bytes -= c->bytes;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < c->n; i++) {
        struct store_batch *b = c->batches[i];
        for (size_t j = 0; j < b->waiters.n; j++)
            b->waiters.items[j].done(b->waiters.items[j].ctx, lost[i] ? results[i] : r);
    }
}

/* Gives the memory of empty batches back, the engine's too. The lock is held on entry and return.
 */
static void shrink(struct store *s) {
    for (size_t i = 0; i < s->n_batches; i++) {
        struct store_batch *b = s->batches[i];
        if (b->state == BATCH_OPEN && !b->awaited)
            for (size_t t = 0; t < TABLE_COUNT; t++)
                if (native_block_rows(b->blocks[t]) == 0)
                    native_block_shrink(b->blocks[t]);
    }
    pthread_mutex_unlock(&s->lock);
    s->engine->ops->execute(s->engine, "SYSTEM JEMALLOC PURGE", NULL, NULL);
    pthread_mutex_lock(&s->lock);
}

static void *writer_main(void *arg) {
    struct store *s = arg;
    struct pace pace = {0};
    struct commit c;
    bool shrunk = true;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        int64_t due = commit_due(s, &pace);
        if (due == INT64_MAX && s->stopping &&
            (s->n_acquired == 0 || clock_monotonic_ns() >= s->stop_deadline_ns))
            break;
        if (due == INT64_MAX && !s->stopping) {
            if (shrunk) {
                pthread_cond_wait(&s->work, &s->lock);
            } else {
                int64_t until = pace.last_start_ns + IDLE_NS;
                wait_until(s, until);
                if (clock_monotonic_ns() >= until && commit_due(s, &pace) == INT64_MAX) {
                    shrink(s);
                    shrunk = true;
                }
            }
            continue;
        }
        if (due != 0) {
            wait_until(s, due == INT64_MAX ? s->stop_deadline_ns : due);
            continue;
        }
        commit_take(s, &c);
        pthread_mutex_unlock(&s->lock);
        int64_t start = clock_monotonic_ns();
        commit_run(s, &c);
        pace_note(&pace, start, &c);
        shrunk = false;
        pthread_mutex_lock(&s->lock);
        for (size_t i = 0; i < c.n; i++)
            batch_clear(c.batches[i]);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int writer_start(struct store *s, struct error *e) {
    int r = pthread_create(&s->writer, NULL, writer_main, s);

    if (r)
        return error_set(e, -r, "The writer's thread could not be started: %s", error_name(-r));
    s->writer_runs = true;
    return 0;
}

void writer_stop(struct store *s) {
    if (!s->writer_runs)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    s->stop_deadline_ns = clock_monotonic_ns() + 10 * NS_PER_S;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->writer, NULL);
    s->writer_runs = false;
}
