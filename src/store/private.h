/* What the files of store/ share: the store itself. Each field says who guards it. */
#ifndef VARAN_STORE_PRIVATE_H
#define VARAN_STORE_PRIVATE_H

#include "base/vector.h"
#include "store/engine.h"
#include "store/tables.h"

#include <pthread.h>
#include <stdatomic.h>

#define BATCHES_MAX 64u
#define WAITERS_MAX 65536u                   /* requests in one batch */
#define BLOCK_BYTES_MAX ((size_t) 256 << 20) /* of one table in one batch */

struct waiter {
    store_done done;
    void *ctx;
};

enum batch_state {
    BATCH_OPEN,     /* may be acquired, or taken by the writer when somebody waits */
    BATCH_ACQUIRED, /* a thread fills it */
    BATCH_TAKEN,    /* the writer writes it */
};

struct store_batch {
    struct store *store;
    struct native_block *blocks[TABLE_COUNT];
    size_t marks[TABLE_COUNT]; /* rows before the present owner's */
    void *user;
    /* Guarded by store.lock; `waiters` and `oldest_ns` are the owner's while ACQUIRED or TAKEN. */
    enum batch_state state;
    bool closing;    /* goes to the writer next; not lent any more */
    bool awaited;    /* it has waiters, as of when it was given back */
    unsigned urgent; /* how many of them wait for the answer */
    size_t bytes, hint;
    int64_t oldest_ns; /* when its first waiter came */
    VECTOR(struct waiter) waiters;
};

struct store {
    struct store_options options;
    char *data_dir, *database, *cluster; /* cluster: NULL without one */
    int lock_fd;
    struct engine *engine;
    char *insert_sql[TABLE_COUNT];
    store_flush_hook hook;
    void *hook_ctx;
    pthread_mutex_t written_lock;
    store_written_hook written; /* with written_lock */
    void *written_ctx;

    /* Batches and the writer: batch.c, writer.c. */
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the writer: something to commit, or stopping */
    int64_t added_ns;    /* when rows were last added (monotonic) */
    struct store_batch *batches[BATCHES_MAX];
    size_t n_batches, n_acquired;
    size_t queue_bytes; /* rows that are not durable yet, and the hints of those who fill */
    bool stopping;
    int64_t stop_deadline_ns;
    pthread_t writer;
    bool writer_runs;

    /* Retention and the disk guard: retention.c. */
    pthread_t keeper;
    bool keeper_runs, keeper_ends;
    pthread_cond_t keeper_wake; /* with `lock` */
    atomic_bool disk_full;      /* nothing more can be dropped: writes are refused */

    /* Control-plane state: state.c. */
    pthread_mutex_t state_lock;
    struct sqlite3 *state;

    pthread_mutex_t stats_lock;
    struct store_stats stats; /* queue_* are filled when read */
};

/* batch.c; the lock must be held. */
struct store_batch *batch_new(struct store *s);
void batch_free(struct store_batch *b);
/* Empty and open again. */
void batch_clear(struct store_batch *b);

/* writer.c */
int writer_start(struct store *s, struct error *e);
/* Writes what waits until the deadline, then ends the thread. */
void writer_stop(struct store *s);

/* retention.c */
int keeper_start(struct store *s, struct error *e);
void keeper_stop(struct store *s);
/* One round: applies the age limit to the tables, drops what is over the byte limit or the disk's
 * floor. */
int keeper_round(struct store *s, struct error *e);

/* table_settings.c */
/* Brings the tables' settings (durability, how parts are made and merged) in line with the options.
 */
int table_settings_apply(struct store *s, struct error *e);
/* "spans", or on a cluster "spans_local ON CLUSTER 'c'": where the rows are. */
void table_name_write(const struct store *s, const char *table, struct buffer *sql);
/* The table's name without the suffix it has on a cluster. */
struct slice table_name_plain(const struct store *s, struct slice name);

/* state.c */
int state_open(struct store *s, const char *path, struct error *e);
void state_close(struct store *s);

#endif
