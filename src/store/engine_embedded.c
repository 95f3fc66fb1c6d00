/*
 * The engine inside this process. Connections run one statement at a time each, side by side: a few
 * for queries (lent to the calling threads), one for statements, one for inserts. All memory of
 * answers is the engine's until it is copied out. Thread-safe.
 */
#include "base/clock.h"
#include "store/engine.h"
#include "store/engine_cancel.h"
#include "store/engine_library.h"
#include "store/guard.h"

#include <pthread.h>
#include <time.h>

#define QUERY_CONNECTIONS_MAX 8u
#define APPEND_BYTES ((size_t) 256 << 10) /* small pieces of a block are gathered into one call */

struct connection {
    chdb_connection *handle;
    struct store_limits limits; /* as set on it; all zero: none yet */
    bool busy;
};

struct embedded {
    struct engine engine;
    const struct engine_library *lib;
    char *path_arg, *users_arg;
    pthread_mutex_t lock; /* queries[], busy flags */
    pthread_cond_t freed;
    struct connection queries[QUERY_CONNECTIONS_MAX];
    pthread_mutex_t statement_lock;
    struct connection statements;
    pthread_mutex_t insert_lock;
    struct connection inserts;
    struct buffer gathered;
    struct cancel_watch cancels;
    struct connection kills; /* of the watcher's thread */
};

/*
 * Server-wide settings, taken by the connection that starts the engine. Its defaults are for a
 * machine of its own: gigabytes of caches and hundreds of threads. Measured idle: see
 * docs/internals/storage.md.
 */
static const char PATH_ARG[] = "--path=", USERS_ARG[] = "--users_config=";
static const char *const boot_args[] = {
        "varan",
        "--mark_cache_size=33554432",
        "--primary_index_cache_size=33554432",
        "--index_mark_cache_size=8388608",
        "--uncompressed_cache_size=0",
        "--index_uncompressed_cache_size=0",
        "--query_condition_cache_size=4194304",
        "--text_index_tokens_cache_size=4194304",
        "--text_index_header_cache_size=4194304",
        "--text_index_postings_cache_size=8388608",
        "--vector_similarity_index_cache_size=0",
        "--compiled_expression_cache_size=16777216",
        "--parquet_metadata_cache_size=0",
        "--iceberg_metadata_files_cache_size=0",
        "--background_pool_size=2",
        "--background_move_pool_size=1",
        "--background_fetches_pool_size=1",
        "--background_common_pool_size=1",
        "--background_schedule_pool_size=2",
        "--background_schedule_pool_initial_size=1",
        "--max_thread_pool_free_size=4",
        "--max_active_parts_loading_thread_pool_size=4",
        "--max_outdated_parts_loading_thread_pool_size=1",
        "--max_parts_cleaning_thread_pool_size=2",
        PATH_ARG,
        USERS_ARG,
        /* Grants are only looked at when a configuration file is named; one that exists would cost
         * 5 MB more of memory. */
        "--config-file=/nonexistent/varan-has-none",
        /* Settings of each connection. */
        "--max_insert_threads=1",
        "--async_insert=0",
        "--compile_expressions=0",
        "--compile_aggregate_expressions=0",
        "--compile_sort_description=0",
        "--max_partitions_per_insert_block=0",
        "--optimize_on_insert=1",
        "--log_queries=0",
        "--send_logs_level=none",
};

static struct chdb_answer *ask(struct embedded *g, struct connection *c, const char *sql,
                               const char *format) {
    return g->lib->query_n(*c->handle, sql, strlen(sql), format, strlen(format));
}

/* Takes the answer over: its bytes go to `ret` (may be NULL), its error into `e`. */
static int answer_take(struct embedded *g, struct chdb_answer *a, size_t bytes_max,
                       struct buffer *ret, struct error *e) {
    int r = 0;

    if (!a)
        return error_set(e, -ENOMEM, "The engine gave no answer.");
    const char *text = g->lib->result_error(a);
    if (text) {
        r = engine_error(text, e);
    } else if (ret) {
        size_t size = g->lib->result_length(a);
        if (size > bytes_max)
            r = error_set(e, -ENOBUFS, "The answer has %zu bytes, more than the limit of %zu.",
                          size, bytes_max);
        else
            r = buffer_append(ret, g->lib->result_buffer(a), size);
        if (r < 0 && r != -ENOBUFS)
            error_set(e, r, "No memory for an answer of %zu bytes.", size);
    }
    g->lib->destroy_query_result(a);
    return r;
}

static int run(struct embedded *g, struct connection *c, const char *sql, struct error *e) {
    return answer_take(g, ask(g, c, sql, "TSV"), 0, NULL, e);
}

static int connection_open(struct embedded *g, struct connection *c, struct error *e) {
    char *argv[sizeof(boot_args) / sizeof(*boot_args)];
    int n = 0;

    for (; (size_t) n < sizeof(argv) / sizeof(*argv); n++)
        argv[n] = boot_args[n] == PATH_ARG    ? g->path_arg
                  : boot_args[n] == USERS_ARG ? g->users_arg
                                              : (char *) (uintptr_t) boot_args[n];
    c->handle = g->lib->connect(n, argv);
    if (!c->handle || !*c->handle)
        return error_set(e, -EIO, "The storage engine could not open %s.",
                         g->path_arg + strlen(PATH_ARG));
    return 0;
}

static void connection_close(struct embedded *g, struct connection *c) {
    if (c->handle)
        g->lib->close_conn(c->handle);
    c->handle = NULL;
}

/* ---- Queries ---- */

/* Lends a connection; waits for one until the deadline. */
static int connection_lend(struct embedded *g, int64_t timeout_ns, struct connection **ret,
                           struct error *e) {
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ns / NS_PER_S;
    until.tv_nsec += timeout_ns % NS_PER_S;
    if (until.tv_nsec >= NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= NS_PER_S;
    }
    pthread_mutex_lock(&g->lock);
    for (;;) {
        struct connection *c = NULL;
        for (size_t i = 0; i < QUERY_CONNECTIONS_MAX && (!c || !c->handle); i++)
            if (!g->queries[i].busy && (!c || g->queries[i].handle))
                c = &g->queries[i]; /* an open one rather than a new one */
        if (c) {
            c->busy = true;
            *ret = c;
            break;
        }
        if (pthread_cond_timedwait(&g->freed, &g->lock, &until) == ETIMEDOUT) {
            r = error_set(e, -ETIMEDOUT, "All %u query connections are busy.",
                          QUERY_CONNECTIONS_MAX);
            break;
        }
    }
    pthread_mutex_unlock(&g->lock);
    return r;
}

static void connection_return(struct embedded *g, struct connection *c) {
    pthread_mutex_lock(&g->lock);
    c->busy = false;
    pthread_cond_signal(&g->freed);
    pthread_mutex_unlock(&g->lock);
}

/* Makes the connection ready: open, in our database, read-only, with these limits. */
static int connection_prepare(struct embedded *g, struct connection *c,
                              const struct store_limits *limits, struct error *e) {
    struct store_limits own = *limits, *l = &own;
    char sql[512];
    int r;

    own.cancel = NULL; /* not a setting */
    if (!c->handle) {
        memset(&c->limits, 0, sizeof(c->limits));
        r = connection_open(g, c, e);
        if (r == 0)
            r = run(g, c, "USE varan", e);
        if (r == 0)
            r = run(g, c, "SET readonly = 2", e);
        if (r < 0) {
            connection_close(g, c);
            return r;
        }
    }
    if (memcmp(&c->limits, l, sizeof(*l)) == 0)
        return 0;
    snprintf(sql, sizeof(sql),
             "SET max_execution_time = %.3f, timeout_overflow_mode = 'throw', max_memory_usage = "
             "%zu, "
             "max_result_rows = %zu, max_result_bytes = %zu, result_overflow_mode = 'throw', "
             "readonly = 2",
             (double) l->timeout_ns / NS_PER_S, l->memory_bytes_max, l->rows_max,
             l->result_bytes_max);
    r = run(g, c, sql, e);
    if (r == 0)
        c->limits = *l;
    return r;
}

/* readonly = 2 stops changes of data, but not SELECT … INTO OUTFILE or USE. Text that does not
 * parse is left to the engine, which says where it is wrong. */
static int check_reads_only(struct embedded *g, struct connection *c, const char *sql,
                            struct error *e) {
    struct chdb_analysis a = {.struct_size = sizeof(a)};
    int r = guard_check(slice_from(sql), e);

    if (r < 0)
        return r;
    if (g->lib->classify_query_n(*c->handle, sql, strlen(sql), NULL, 0, &a) != 0)
        return error_set(e, -EIO, "The engine could not look at the query.");
    if (a.statements > 1 || (a.statements == 1 && a.class != 0))
        return error_set(e, -EINVAL, "A query is one statement that only reads.");
    return 0;
}

/* Appends `mark` and the statement, NUL-terminated. */
static const char *marked_sql(struct buffer *to, const char *mark, const char *sql) {
    buffer_append_text(to, mark);
    buffer_append_text(to, sql);
    return buffer_append_u8(to, 0) == 0 ? (const char *) to->data : NULL;
}

static void kill_marked(void *ctx, const char *mark) {
    struct embedded *g = ctx;
    char sql[160];

    if (!g->kills.handle && connection_open(g, &g->kills, NULL) < 0)
        return;
    snprintf(sql, sizeof(sql), "KILL QUERY WHERE startsWith(query, '%s') ASYNC", mark);
    run(g, &g->kills, sql, NULL);
}

static int query_on(struct embedded *g, struct connection *c, const struct engine_query *q,
                    struct buffer *ret, struct error *e) {
    const char *names[ENGINE_PARAMS_MAX], *values[ENGINE_PARAMS_MAX];
    size_t name_sizes[ENGINE_PARAMS_MAX], value_sizes[ENGINE_PARAMS_MAX], at[ENGINE_PARAMS_MAX];
    struct buffer text;
    int r = 0;

    if (q->n_params > ENGINE_PARAMS_MAX)
        return error_set(e, -EINVAL, "A query has at most %u parameters.", ENGINE_PARAMS_MAX);
    r = check_reads_only(g, c, q->sql, e);
    if (r < 0)
        return r;
    buffer_init(&text, ENGINE_EXECUTE_BYTES_MAX);
    for (size_t i = 0; i < q->n_params && r == 0; i++) {
        at[i] = text.size;
        r = param_write(q->sql, &q->params[i], &text);
        names[i] = q->params[i].name;
        name_sizes[i] = strlen(names[i]);
        value_sizes[i] = text.size - at[i];
    }
    if (r < 0) {
        buffer_done(&text);
        return error_set(e, r, "The query's parameters are too long.");
    }
    if (q->limits->cancel && atomic_load(q->limits->cancel)) {
        buffer_done(&text);
        return error_set(e, -ECANCELED, "The query was canceled.");
    }
    char mark[CANCEL_MARK_BYTES];
    struct buffer marked;
    buffer_init(&marked, ENGINE_EXECUTE_BYTES_MAX);
    uint64_t watched = cancel_watch_begin(&g->cancels, q->limits->cancel, mark);
    const char *sql = watched ? marked_sql(&marked, mark, q->sql) : q->sql;
    if (!sql)
        sql = q->sql; /* without memory it is not watched */
    for (size_t i = 0; i < q->n_params; i++)
        values[i] = text.data ? (const char *) text.data + at[i] : "";
    struct chdb_answer *a =
            q->n_params ? g->lib->query_with_params_n(*c->handle, sql, strlen(sql), q->format,
                                                      strlen(q->format), names, name_sizes, values,
                                                      value_sizes, q->n_params)
                        : ask(g, c, sql, q->format);
    cancel_watch_end(&g->cancels, watched);
    buffer_done(&marked);
    r = answer_take(g, a, q->limits->result_bytes_max, ret, e);
    buffer_done(&text);
    return r;
}

static int embedded_query(struct engine *engine, const struct engine_query *q, struct buffer *ret,
                          struct error *e) {
    struct embedded *g = (struct embedded *) engine;
    struct connection *c = NULL;
    int r = connection_lend(g, q->limits->timeout_ns, &c, e);

    if (r < 0)
        return r;
    r = connection_prepare(g, c, q->limits, e);
    if (r == 0)
        r = query_on(g, c, q, ret, e);
    connection_return(g, c);
    return r;
}

/* ---- Statements and inserts ---- */

static int embedded_execute(struct engine *engine, const char *sql, struct buffer *ret,
                            struct error *e) {
    struct embedded *g = (struct embedded *) engine;

    pthread_mutex_lock(&g->statement_lock);
    int r = answer_take(g, ask(g, &g->statements, sql, "TSV"), ENGINE_EXECUTE_BYTES_MAX, ret, e);
    pthread_mutex_unlock(&g->statement_lock);
    return r;
}

struct append {
    struct embedded *g;
    struct chdb_insert *stream;
    struct buffer *gathered;
};

static int append_flush(struct append *a) {
    int r = 0;

    if (a->gathered->size)
        r = a->g->lib->stream_append(a->stream, a->gathered->data, a->gathered->size) ? -EIO : 0;
    buffer_clear(a->gathered);
    return r;
}

static int append_piece(void *ctx, const void *data, size_t size) {
    struct append *a = ctx;

    if (a->gathered->size + size <= APPEND_BYTES)
        return buffer_append(a->gathered, data, size);
    int r = append_flush(a);
    if (r < 0)
        return r;
    if (size < APPEND_BYTES / 4)
        return buffer_append(a->gathered, data, size);
    return a->g->lib->stream_append(a->stream, data, size) ? -EIO : 0;
}

static int insert_on(struct embedded *g, const char *sql, const struct native_block *const *blocks,
                     size_t n, struct error *e) {
    struct chdb_insert *s =
            g->lib->stream_insert_n(*g->inserts.handle, sql, strlen(sql), "Native", 6);
    struct append a = {.g = g, .stream = s, .gathered = &g->gathered};
    const char *text = g->lib->stream_insert_error(s);
    int r = text ? engine_error(text, e) : 0;

    buffer_clear(a.gathered);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = native_block_send(blocks[i], append_piece, &a);
        if (r == 0)
            r = append_flush(&a);
        if (r < 0) {
            text = g->lib->stream_insert_error(s);
            r = text ? engine_error(text, e)
                     : error_set(e, r, "The rows could not be handed over.");
            g->lib->stream_cancel_insert(s);
        }
    }
    if (r == 0)
        r = answer_take(g, g->lib->stream_done(s), 0, NULL, e);
    g->lib->destroy_insert_stream(s);
    return r;
}

static int embedded_insert(struct engine *engine, const char *sql,
                           const struct native_block *const *blocks, size_t n, struct error *e) {
    struct embedded *g = (struct embedded *) engine;

    pthread_mutex_lock(&g->insert_lock);
    int r = insert_on(g, sql, blocks, n, e);
    pthread_mutex_unlock(&g->insert_lock);
    return r;
}

/* ---- Opening ---- */

/*
 * The engine in a process is its owner's tool: any SELECT may read any file (file(), the default
 * database) and call any address (url()). Grants stop that, and a file is the only way to them.
 */
static const char users_xml[] =
        "<clickhouse><users><default><password></password><networks><ip>::/0</ip></networks>"
        "<profile>default</profile><quota>default</quota><grants>"
        "<query>GRANT SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW ON "
        "varan.*</query>"
        "<query>GRANT SELECT ON system.*</query>"
        "<query>GRANT SYSTEM ON *.*</query>"
        "</grants></default></users><profiles><default/></profiles><quotas><default/></quotas>"
        "</clickhouse>\n";

static int users_write(const char *path, struct error *e) {
    FILE *f = fopen(path, "we");
    if (!f)
        return error_set(e, -errno, "%s cannot be written: %s", path, error_name(-errno));
    fputs(users_xml, f);
    bool failed = ferror(f);
    if (fclose(f) != 0 || failed)
        return error_set(e, -EIO, "%s cannot be written.", path);
    return 0;
}

static void embedded_close(struct engine *engine) {
    struct embedded *g = (struct embedded *) engine;

    cancel_watch_done(&g->cancels);
    connection_close(g, &g->kills);
    for (size_t i = 0; i < QUERY_CONNECTIONS_MAX; i++)
        connection_close(g, &g->queries[i]);
    connection_close(g, &g->inserts);
    buffer_done(&g->gathered);
    pthread_mutex_destroy(&g->insert_lock);
    connection_close(g, &g->statements); /* the last one stops the engine */
    pthread_mutex_destroy(&g->lock);
    pthread_mutex_destroy(&g->statement_lock);
    pthread_cond_destroy(&g->freed);
    free(g->path_arg);
    free(g->users_arg);
    free(g);
}

static const struct engine_ops embedded_ops = {
        .close = embedded_close,
        .query = embedded_query,
        .execute = embedded_execute,
        .insert = embedded_insert,
};

static int embedded_start(struct embedded *g, struct error *e) {
    int r = connection_open(g, &g->statements, e);

    if (r == 0)
        r = run(g, &g->statements, "CREATE DATABASE IF NOT EXISTS varan ENGINE = Atomic", e);
    if (r == 0)
        r = run(g, &g->statements, "USE varan", e);
    if (r == 0)
        r = connection_open(g, &g->inserts, e);
    if (r == 0)
        r = run(g, &g->inserts, "USE varan", e);
    if (r < 0)
        return r;
    struct buffer version;
    buffer_init(&version, sizeof(g->engine.version) - 1);
    r = answer_take(g, ask(g, &g->statements, "SELECT version()", "TSV"),
                    sizeof(g->engine.version) - 1, &version, e);
    if (r == 0) {
        struct slice text = slice_trim(buffer_slice(&version));
        snprintf(g->engine.version, sizeof(g->engine.version), "%.*s", SLICE_ARG(text));
    }
    buffer_done(&version);
    return r;
}

int engine_embedded_open(const char *lib, const char *path, struct engine **ret, struct error *e) {
    const struct engine_library *library;
    int r = engine_library_open(lib, &library, e);

    if (r < 0)
        return r;
    struct embedded *g = calloc(1, sizeof(*g));
    if (!g)
        return error_set(e, -ENOMEM, "No memory for the engine.");
    g->engine.ops = &embedded_ops;
    g->lib = library;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->freed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&g->lock, NULL);
    pthread_mutex_init(&g->statement_lock, NULL);
    pthread_mutex_init(&g->insert_lock, NULL);
    buffer_init(&g->gathered, APPEND_BYTES);
    cancel_watch_init(&g->cancels, kill_marked, g);
    if (asprintf(&g->path_arg, "%s%s", PATH_ARG, path) < 0 ||
        asprintf(&g->users_arg, "%s%s.xml", USERS_ARG, path) < 0)
        r = error_set(e, -ENOMEM, "No memory for the engine.");
    if (r == 0)
        r = users_write(g->users_arg + strlen(USERS_ARG), e);
    if (r == 0)
        r = embedded_start(g, e);
    if (r < 0) {
        embedded_close(&g->engine);
        return r;
    }
    *ret = &g->engine;
    return 0;
}
