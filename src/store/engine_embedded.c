/*
 * The engine inside this process. Connections run one statement at a time each, side by side: a few
 * for queries (lent to the calling threads), one for statements, one for inserts. All memory of
 * answers is the engine's until it is copied out. Thread-safe.
 */
#include "store/engine_embedded.h"

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

int embedded_connect(struct embedded *g, struct connection *c, struct error *e) {
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

void embedded_disconnect(struct embedded *g, struct connection *c) {
    if (c->handle)
        g->lib->close_conn(c->handle);
    c->handle = NULL;
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
    embedded_disconnect(g, &g->kills);
    for (size_t i = 0; i < QUERY_CONNECTIONS_MAX; i++)
        embedded_disconnect(g, &g->queries[i]);
    embedded_disconnect(g, &g->inserts);
    buffer_done(&g->gathered);
    pthread_mutex_destroy(&g->insert_lock);
    embedded_disconnect(g, &g->statements); /* the last one stops the engine */
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
    int r = embedded_connect(g, &g->statements, e);

    if (r == 0)
        r = embedded_run(g, &g->statements, "CREATE DATABASE IF NOT EXISTS varan ENGINE = Atomic",
                         e);
    if (r == 0)
        r = embedded_run(g, &g->statements, "USE varan", e);
    if (r == 0)
        r = embedded_connect(g, &g->inserts, e);
    if (r == 0)
        r = embedded_run(g, &g->inserts, "USE varan", e);
    if (r < 0)
        return r;
    struct buffer version;
    buffer_init(&version, sizeof(g->engine.version) - 1);
    r = embedded_take(g, embedded_ask(g, &g->statements, "SELECT version()", "TSV"),
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
    cancel_watch_init(&g->cancels, embedded_kill, g);
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
