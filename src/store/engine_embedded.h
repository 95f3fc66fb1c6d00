/*
 * Inside the embedded engine: its connections, and what its files share. Private to
 * engine_embedded*.c.
 */
#ifndef VARAN_STORE_ENGINE_EMBEDDED_H
#define VARAN_STORE_ENGINE_EMBEDDED_H

#include "store/engine.h"
#include "store/engine_cancel.h"
#include "store/engine_library.h"

#include <pthread.h>

#define QUERY_CONNECTIONS_MAX 8u

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

/* ---- engine_embedded.c ---- */

/* A new connection, in no database; the first one starts the engine. */
int embedded_connect(struct embedded *g, struct connection *c, struct error *e);
void embedded_disconnect(struct embedded *g, struct connection *c);

/* ---- engine_embedded_ask.c ---- */

/* Runs `sql`; the answer is the caller's, see embedded_take(). */
struct chdb_answer *embedded_ask(struct embedded *g, struct connection *c, const char *sql,
                                 const char *format);
/* Takes the answer over: its bytes go to `ret` (may be NULL), its error into `e`. */
int embedded_take(struct embedded *g, struct chdb_answer *a, size_t bytes_max, struct buffer *ret,
                  struct error *e);
/* The same in pieces: the engine never holds the whole answer, which it would move each time it
 * outgrew its room. For formats whose pieces are the whole when joined. */
int embedded_stream(struct embedded *g, struct connection *c, const char *sql, const char *format,
                    size_t bytes_max, struct buffer *ret, struct error *e);
int embedded_run(struct embedded *g, struct connection *c, const char *sql, struct error *e);

/* ---- engine_embedded_query.c ---- */

int embedded_query(struct engine *engine, const struct engine_query *q, struct buffer *ret,
                   struct error *e);
/* Ends queries that bear that mark; for the watch of cancels. */
bool embedded_kill(void *ctx, const char *mark);

/* ---- engine_embedded_insert.c ---- */

#define APPEND_BYTES ((size_t) 256 << 10) /* small pieces of a block are gathered into one call */

int embedded_execute(struct engine *engine, const char *sql, struct buffer *ret, struct error *e);
int embedded_insert(struct engine *engine, const char *sql,
                    const struct native_block *const *blocks, size_t n, struct error *e);

#endif
