/*
 * Storage: ClickHouse, inside this process (libchdb, opened with dlopen) or over HTTP. One SQL
 * dialect, one schema (migrate.c), one writer with group commit (writer.c), one way to read
 * (query.c).
 *
 * All functions are thread-safe unless said otherwise.
 */
#ifndef VARAN_STORE_STORE_H
#define VARAN_STORE_STORE_H

#include "base/error.h"
#include "base/memory.h"
#include "wire/native.h"

#include <stdatomic.h>

/* Tables that are written. Each has its columns in src/signal/columns.h. */
enum store_table {
    TABLE_SPANS,
    TABLE_LOGS,
    TABLE_RESOURCES,
    TABLE_RED,
    TABLE_EDGES,
    TABLE_TRACES,
    TABLE_ATTRIBUTES,
    TABLE_SERIES,
    TABLE_SAMPLES,
    TABLE_SAMPLE_STARTS,
    TABLE_HISTOGRAMS,
    TABLE_EXEMPLARS,
    TABLE_METRIC_METADATA,
    TABLE_STACKS,
    TABLE_PROFILE_SAMPLES,
    TABLE_PROFILE_STEPS,
    TABLE_PROFILE_SOURCES,
    TABLE_COUNT,
};

#define STORE_DAYS_MAX 36500u

/* What may be kept for a time of its own. */
enum store_signal {
    SIGNAL_TRACES,
    SIGNAL_LOGS,
    SIGNAL_METRICS, /* as they came */
    SIGNAL_PROFILES,
    SIGNAL_METRICS_5M, /* downsampled */
    SIGNAL_METRICS_1H,
    SIGNAL_COUNT,
};

struct store;

struct store_options {
    const char *data_dir;       /* created when missing */
    const char *engine_lib;     /* libchdb.so; NULL: beside the binary, then the usual folders */
    const char *clickhouse_url; /* not NULL: HTTP transport instead of the embedded engine */
    const char *clickhouse_database; /* NULL: "varan" */
    const char *clickhouse_cluster;  /* not NULL: replicated and distributed tables on this cluster
                                        (HTTP  only; see docs/internals/storage.md) */
    unsigned retention_days;         /* 0: 30; at most STORE_DAYS_MAX, as those below */
    unsigned signal_days[SIGNAL_COUNT]; /* 0: as retention_days */
    uint64_t retention_bytes;           /* 0: no limit */
    uint64_t free_bytes_min;            /* disk guard; 0: 2 GiB */
    size_t queue_bytes_max;             /* waiting for the writer; 0: 128 MiB */
    int64_t commit_ns_max;              /* group commit window; 0: 1 s */
    size_t commit_bytes_max;            /* 0: 32 MiB */
    bool durable; /* fsync before an answer; default true via store_options_default() */
};
void store_options_default(struct store_options *o);

/* Opens, migrates, starts the writer and the retention thread. `e` says what to do when the
 * engine's library is missing (with the install command) or the data folder is in use. */
int store_open(const struct store_options *o, struct store **ret, struct error *e);
/* Writes what waits, for at most 10 s, then closes. */
void store_close(struct store *s);

/* ---- Writing ---- */

/*
 * A batch holds one native block per table. Acquire gives an exclusive one (there are several, so
 * that threads decode side by side); rows of several requests gather in it until the writer takes
 * it. -EAGAIN when the queue is full; -ENOSPC when the disk is full and nothing more can be
 * dropped; -ESHUTDOWN while closing.
 */
struct store_batch;
int store_batch_acquire(struct store *s, size_t bytes_hint, struct store_batch **ret);
struct native_block *store_batch_block(struct store_batch *b, enum store_table t);

typedef void (*store_done)(void *ctx, int result);
/* A hook that runs on the writer thread just before the batch is written, once per batch: derived
 * rows that were gathered in memory are added here. Set once, before the first acquire. */
typedef int (*store_flush_hook)(void *ctx, struct store_batch *b);
void store_set_flush_hook(struct store *s, store_flush_hook hook, void *ctx);

/* A hook that runs on the writer thread after a commit, once per batch and before anybody is
 * answered: its rows are durable (result 0) or may be so in part. NULL: none; when this returns, no
 * earlier hook runs. */
typedef void (*store_written_hook)(void *ctx, struct store_batch *b, int result);
void store_set_written_hook(struct store *s, store_written_hook hook, void *ctx);

/* Gives the batch back with the rows added since acquire; `done` is called on the writer's thread
 * when they are durable (result 0) or could not be written (negative; they are gone then and the
 * sender must send again). */
void store_batch_commit(struct store_batch *b, store_done done, void *ctx);
/* The same for rows that nobody waits for: they may gather for commit_ns_max before a commit of
 * their own begins. */
void store_batch_commit_patiently(struct store_batch *b, store_done done, void *ctx);
/* Gives it back, without the rows added since acquire. */
void store_batch_abort(struct store_batch *b);
/* Something the owner of the batch hangs on it (ingest keeps its derived state per batch). */
void **store_batch_user(struct store_batch *b);

/*
 * Rows before *ret_oldest_ns are dropped by retention as soon as it looks; rows after
 * *ret_newest_ns come from a clock that is wrong. Each day between becomes a part of its own in a
 * commit, which is why ingest refuses what lies outside: one request with a thousand days would
 * hold up everybody for seconds.
 */
void store_time_bounds(const struct store *s, int64_t *ret_oldest_ns, int64_t *ret_newest_ns);

/* For how many days rows of that signal are kept. */
unsigned store_kept_days(const struct store *s, enum store_signal signal);

/* Whether nobody else writes to the tables: false with a ClickHouse server. */
bool store_writes_alone(const struct store *s);

/* ---- Reading ---- */

/*
 * Bound as {name:Type}. Text types take the bytes as they are (escaping is done here); Array(…),
 * Map(…) and Tuple(…) take a literal ("['a','b\\'c']", "[1,2]") that the caller quotes.
 */
struct store_param {
    const char *name;
    struct slice value; /* as text */
};

struct store_limits {
    int64_t timeout_ns;        /* 0: 10 s */
    size_t memory_bytes_max;   /* 0: 1 GiB */
    size_t rows_max;           /* rows of the result; 0: 100,000 */
    size_t result_bytes_max;   /* 0: 64 MiB */
    const atomic_bool *cancel; /* may be NULL; set by another thread: the query ends, -ECANCELED */
};

/* Runs one SELECT; the answer's bytes in `format` ("Native", "JSONCompact", …) are appended to
 * `ret` (initialised by the caller). Never changes data (readonly = 2 is set). Errors: -ETIMEDOUT,
 * -ENOBUFS (a limit), -EINVAL (SQL), -EIO; the engine's sentence is in `e`. */
int store_query(struct store *s, const char *sql, const struct store_param *params, size_t n_params,
                const char *format, const struct store_limits *limits, struct buffer *ret,
                struct error *e);

/* For migrations, retention and tests: runs one statement that may change data. */
int store_execute(struct store *s, const char *sql, struct error *e);

struct store_stats {
    uint64_t commits, commit_failures, rows[TABLE_COUNT], bytes_inserted, queue_bytes,
            queue_refused, disk_free_bytes, disk_used_bytes, dropped_partitions;
    double commit_seconds_sum;
    char transport[16]; /* "embedded" or "http" */
    char engine_version[32];
    char last_error[256]; /* the engine's sentence of the last failed commit, or empty */
    char notice[256];     /* what a person must know (disk guard at work, …), or empty */
};
void store_read_stats(struct store *s, struct store_stats *ret);

/* ---- Control-plane state: SQLite in the data folder. ---- */
struct sqlite3;
/* The connection of the calling thread's turn: lock, use, unlock. */
struct sqlite3 *store_state_lock(struct store *s);
void store_state_unlock(struct store *s);
/* Brings `owner`'s tables up to version n: sql[i] (one or more statements) is version i + 1,
 * applied once, in a transaction with its number. -EPROTONOSUPPORT when a newer program was here.
 */
int store_state_migrate(struct store *s, const char *owner, const char *const *sql, size_t n,
                        struct error *e);

#endif
