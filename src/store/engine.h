/*
 * The engine behind the store: one interface, two transports (engine_embedded.c: libchdb in this
 * process; engine_http.c: a ClickHouse server). Private to store/. Thread-safe.
 */
#ifndef VARAN_STORE_ENGINE_H
#define VARAN_STORE_ENGINE_H

#include "store/store.h"

#define ENGINE_PARAMS_MAX 512u

/* One SELECT. Text parameters are bound; see param.c for how their values are written. */
struct engine_query {
    const char *sql;
    const struct store_param *params;
    size_t n_params;
    const char *format;
    const struct store_limits *limits; /* all fields set */
};

struct engine;

struct engine_ops {
    void (*close)(struct engine *g);
    /* Appends the answer to `ret`. Never changes data. */
    int (*query)(struct engine *g, const struct engine_query *q, struct buffer *ret,
                 struct error *e);
    /* One statement that may change data; its answer (TSV) is appended to `ret` unless that is
     * NULL. */
    int (*execute)(struct engine *g, const char *sql, struct buffer *ret, struct error *e);
    /* INSERT `sql` ("INSERT INTO t (a, b)") with the blocks one after the other; one at a time. */
    int (*insert)(struct engine *g, const char *sql, const struct native_block *const *blocks,
                  size_t n, struct error *e);
};

struct engine {
    const struct engine_ops *ops;
    char version[32];
};

#define ENGINE_EXECUTE_BYTES_MAX ((size_t) 16 << 20)

/* Opens libchdb on `path` (created). `lib` may be NULL. */
int engine_embedded_open(const char *lib, const char *path, struct engine **ret, struct error *e);
/* A ClickHouse server: "http://user:password@host:8123". */
int engine_http_open(const char *url, const char *database, struct engine **ret, struct error *e);

/* What the engine's "Code: N. DB::Exception: …" means to us: fills `e`, returns a negative errno.
 */
int engine_error(const char *text, struct error *e);
/* Runs a statement and reads its answer's first number. */
int engine_number(struct engine *g, const char *sql, uint64_t *ret, struct error *e);

/* The value of parameter `p` as the engine wants it for `sql` (text types escaped), appended to
 * `ret`. */
int param_write(const char *sql, const struct store_param *p, struct buffer *ret);

#endif
