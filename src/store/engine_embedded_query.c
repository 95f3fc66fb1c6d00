/* Queries of the embedded engine: lent connections, limits, cancels. Thread-safe. */
#include "base/clock.h"
#include "store/engine_embedded.h"
#include "store/guard.h"

#include <time.h>

#define STREAM_BYTES_MIN                                                                           \
    ((size_t) 256 << 20) /* answers that may be so large are fetched in pieces */

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
        r = embedded_connect(g, c, e);
        if (r == 0)
            r = embedded_run(g, c, "USE varan", e);
        if (r == 0)
            r = embedded_run(g, c, "SET readonly = 2", e);
        if (r < 0) {
            embedded_disconnect(g, c);
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
    r = embedded_run(g, c, sql, e);
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

/* Whether the answer may be large, and its blocks may come one after the other. */
static bool is_streamed(const struct engine_query *q) {
    return q->n_params == 0 && strcmp(q->format, "Native") == 0 &&
           q->limits->result_bytes_max >= STREAM_BYTES_MIN;
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
    if (is_streamed(q)) {
        r = embedded_stream(g, c, sql, q->format, q->limits->result_bytes_max, ret, e);
        cancel_watch_end(&g->cancels, watched);
        buffer_done(&marked);
        buffer_done(&text);
        return r;
    }
    struct chdb_answer *a =
            q->n_params ? g->lib->query_with_params_n(*c->handle, sql, strlen(sql), q->format,
                                                      strlen(q->format), names, name_sizes, values,
                                                      value_sizes, q->n_params)
                        : embedded_ask(g, c, sql, q->format);
    cancel_watch_end(&g->cancels, watched);
    buffer_done(&marked);
    r = embedded_take(g, a, q->limits->result_bytes_max, ret, e);
    buffer_done(&text);
    return r;
}

int embedded_query(struct engine *engine, const struct engine_query *q, struct buffer *ret,
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

bool embedded_kill(void *ctx, const char *mark) {
    struct embedded *g = ctx;
    struct buffer killed; /* a row for each, with its text */
    char sql[160];

    if (!g->kills.handle && embedded_connect(g, &g->kills, NULL) < 0)
        return false;
    snprintf(sql, sizeof(sql), "KILL QUERY WHERE startsWith(query, '%s') ASYNC", mark);
    buffer_init(&killed, ENGINE_EXECUTE_BYTES_MAX);
    int r = embedded_take(g, embedded_ask(g, &g->kills, sql, "TSV"), ENGINE_EXECUTE_BYTES_MAX,
                          &killed, NULL);
    bool found = r == -ENOBUFS || (r == 0 && killed.size > 0);
    buffer_done(&killed);
    return found;
}
