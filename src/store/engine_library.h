/*
 * libchdb: finding it, opening it, and its calls. The library brings no header; what is used of its
 * C interface (chdb.h of chDB 26.7, Apache-2.0) is declared here. Loaded once per process, never
 * unloaded.
 */
#ifndef VARAN_STORE_ENGINE_LIBRARY_H
#define VARAN_STORE_ENGINE_LIBRARY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct chdb_handle; /* what a connection holds */
typedef struct chdb_handle *chdb_connection;
struct chdb_answer;
struct chdb_insert;

/* What a statement does, as the engine's parser sees it. */
struct chdb_analysis {
    uint32_t struct_size; /* set by the caller */
    uint32_t statements, flags;
    uint32_t class; /* 0: reads only */
};

struct engine_library {
    chdb_connection *(*connect)(int argc, char **argv);
    void (*close_conn)(chdb_connection *c);
    struct chdb_answer *(*query_n)(chdb_connection c, const char *sql, size_t sql_size,
                                   const char *format, size_t format_size);
    struct chdb_answer *(*query_with_params_n)(chdb_connection c, const char *sql, size_t sql_size,
                                               const char *format, size_t format_size,
                                               const char *const *names, const size_t *name_sizes,
                                               const char *const *values, const size_t *value_sizes,
                                               size_t n);
    /* The answer of stream_query_n() stands for the query; each fetch gives the next blocks, of
     * length 0 at the end. */
    struct chdb_answer *(*stream_query_n)(chdb_connection c, const char *sql, size_t sql_size,
                                          const char *format, size_t format_size);
    struct chdb_answer *(*stream_fetch_result)(chdb_connection c, struct chdb_answer *query);
    void (*stream_cancel_query)(chdb_connection c, struct chdb_answer *query);
    void (*destroy_query_result)(struct chdb_answer *a);
    char *(*result_buffer)(struct chdb_answer *a);
    size_t (*result_length)(struct chdb_answer *a);
    const char *(*result_error)(struct chdb_answer *a);
    struct chdb_insert *(*stream_insert_n)(chdb_connection c, const char *sql, size_t sql_size,
                                           const char *format, size_t format_size);
    int (*stream_append)(struct chdb_insert *s, const void *data, size_t size); /* 0: taken */
    struct chdb_answer *(*stream_done)(struct chdb_insert *s);
    void (*stream_cancel_insert)(struct chdb_insert *s);
    const char *(*stream_insert_error)(struct chdb_insert *s);
    void (*destroy_insert_stream)(struct chdb_insert *s);
    int (*classify_query_n)(chdb_connection c, const char *sql, size_t sql_size,
                            const char *database, size_t database_size, struct chdb_analysis *ret);
    void (*set_signal_handlers_enabled)(int enabled);
};

/*
 * The calls, from `path`, or when that is NULL from $VARAN_ENGINE_LIB, or libchdb.so beside the
 * executable, in ../lib, ~/.local/lib/varan, /usr/local/lib, /usr/lib. -ENOENT with the command
 * that installs it; -ELIBBAD when it is not the library.
 */
int engine_library_open(const char *path, const struct engine_library **ret, struct error *e);

#endif
