/* See memory_store.h. */
#include "memory_store.h"

#include "base/vector.h"
#include "signal/columns.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>

#define BLOCK_BYTES_MAX ((size_t) 256 << 20)
#define WAITERS_MAX 100000

struct waiter {
    store_done done;
    void *ctx;
};

struct store_batch {
    struct store *store;
    struct native_block *blocks[TABLE_COUNT];
    size_t marks[TABLE_COUNT];
    void *user;
};

struct store {
    pthread_mutex_t writing; /* from when the batch is given until it is committed or aborted */
    struct store_batch batch;
    struct buffer read[TABLE_COUNT];
    store_flush_hook hook;
    void *hook_ctx;
    VECTOR(struct waiter) waiters;
    int refuse;
    bool hold, written;
    struct sqlite3 *state;
    uint64_t commits;
};

static const struct {
    const struct native_column_def *columns;
    size_t n;
} defs[TABLE_COUNT] = {
        [TABLE_SPANS] = {spans_columns, SPANS_COLUMNS},
        [TABLE_LOGS] = {logs_columns, LOGS_COLUMNS},
        [TABLE_RESOURCES] = {resources_columns, RESOURCES_COLUMNS},
        [TABLE_RED] = {red_columns, RED_COLUMNS},
        [TABLE_EDGES] = {edges_columns, EDGES_COLUMNS},
        [TABLE_TRACES] = {traces_columns, TRACES_COLUMNS},
        [TABLE_ATTRIBUTES] = {attributes_columns, ATTRIBUTES_COLUMNS},
        [TABLE_SERIES] = {series_columns, SERIES_COLUMNS},
        [TABLE_SAMPLES] = {samples_columns, SAMPLES_COLUMNS},
        [TABLE_SAMPLE_STARTS] = {sample_starts_columns, SAMPLE_STARTS_COLUMNS},
        [TABLE_HISTOGRAMS] = {histograms_columns, HISTOGRAMS_COLUMNS},
        [TABLE_EXEMPLARS] = {exemplars_columns, EXEMPLARS_COLUMNS},
        [TABLE_METRIC_METADATA] = {metric_metadata_columns, METRIC_METADATA_COLUMNS},
        [TABLE_STACKS] = {stacks_columns, STACKS_COLUMNS},
        [TABLE_PROFILE_SAMPLES] = {profile_samples_columns, PROFILE_SAMPLES_COLUMNS},
        [TABLE_PROFILE_STEPS] = {profile_steps_columns, PROFILE_STEPS_COLUMNS},
        [TABLE_PROFILE_SOURCES] = {profile_sources_columns, PROFILE_SOURCES_COLUMNS},
};

struct store *memory_store_new(void) {
    struct store *s = calloc(1, sizeof(*s));

    if (!s)
        abort();
    if (sqlite3_open(":memory:", &s->state) != SQLITE_OK)
        abort();
    pthread_mutex_init(&s->writing, NULL);
    s->batch.store = s;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        if (native_block_new(defs[t].columns, defs[t].n, BLOCK_BYTES_MAX, &s->batch.blocks[t]) < 0)
            abort();
        buffer_init(&s->read[t], SIZE_MAX / 2);
    }
    return s;
}

void memory_store_free(struct store *s) {
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        native_block_free(s->batch.blocks[t]);
        buffer_done(&s->read[t]);
    }
    vector_done(&s->waiters);
    pthread_mutex_destroy(&s->writing);
    sqlite3_close(s->state);
    free(s);
}

void memory_store_refuse(struct store *s, int result) {
    s->refuse = result;
}

void memory_store_hold(struct store *s, bool hold) {
    s->hold = hold;
}

size_t memory_store_bytes(struct store *s) {
    size_t bytes = 0;

    for (unsigned t = 0; t < TABLE_COUNT; t++)
        bytes += native_block_bytes(s->batch.blocks[t]);
    return bytes;
}

size_t memory_store_rows(struct store *s, enum store_table t) {
    return native_block_rows(s->batch.blocks[t]);
}

struct native_reader *memory_store_read(struct store *s, enum store_table t) {
    struct native_reader *r;

    buffer_clear(&s->read[t]);
    if (native_block_write(s->batch.blocks[t], &s->read[t]) < 0 ||
        native_reader_new(buffer_slice(&s->read[t]), &r) < 0)
        abort();
    return r;
}

int memory_store_flush(struct store *s, int result) {
    int r = s->hook && !s->written ? s->hook(s->hook_ctx, &s->batch) : 0;
    size_t n = s->waiters.n;

    s->written = true;
    s->commits++;
    s->waiters.n = 0;
    for (size_t i = 0; i < n; i++)
        s->waiters.items[i].done(s->waiters.items[i].ctx, r < 0 ? r : result);
    return r;
}

/* ---- store.h ---- */

void store_set_flush_hook(struct store *s, store_flush_hook hook, void *ctx) {
    s->hook = hook;
    s->hook_ctx = ctx;
}

int store_query(struct store *s, const char *sql, const struct store_param *params, size_t n_params,
                const char *format, const struct store_limits *limits, struct buffer *ret,
                struct error *e) {
    return error_set(e, -ENOTSUP, "the store in memory does not read");
}

struct sqlite3 *store_state_lock(struct store *s) {
    return s->state;
}

void store_state_unlock(struct store *s) {
}

int store_state_migrate(struct store *s, const char *owner, const char *const *sql, size_t n,
                        struct error *e) {
    for (size_t i = 0; i < n; i++)
        if (sqlite3_exec(s->state, sql[i], NULL, NULL, NULL) != SQLITE_OK)
            return error_set(e, -EIO, "%s", sqlite3_errmsg(s->state));
    return 0;
}

void store_read_stats(struct store *s, struct store_stats *ret) {
    *ret = (struct store_stats){.commits = s->commits};
}

int store_batch_acquire(struct store *s, size_t bytes_hint, struct store_batch **ret) {
    if (s->refuse < 0)
        return s->refuse;
    pthread_mutex_lock(&s->writing);
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        if (s->written)
            native_block_clear(s->batch.blocks[t]);
        s->batch.marks[t] = native_block_mark(s->batch.blocks[t]);
    }
    s->written = false;
    *ret = &s->batch;
    return 0;
}

struct native_block *store_batch_block(struct store_batch *b, enum store_table t) {
    return b->blocks[t];
}

void store_batch_commit(struct store_batch *b, store_done done, void *ctx) {
    struct waiter w = {done, ctx};

    if (vector_push(&b->store->waiters, w, WAITERS_MAX) < 0)
        abort();
    if (!b->store->hold)
        memory_store_flush(b->store, 0);
    pthread_mutex_unlock(&b->store->writing);
}

void store_batch_commit_patiently(struct store_batch *b, store_done done, void *ctx) {
    store_batch_commit(b, done, ctx);
}

void store_batch_abort(struct store_batch *b) {
    for (unsigned t = 0; t < TABLE_COUNT; t++)
        native_block_rollback(b->blocks[t], b->marks[t]);
    pthread_mutex_unlock(&b->store->writing);
}

void **store_batch_user(struct store_batch *b) {
    return &b->user;
}
