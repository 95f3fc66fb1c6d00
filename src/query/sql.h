/*
 * A SELECT under construction: text from our own source code, and values that reach the engine only
 * as bound parameters ({p0:String}). Everything lives in the caller's arena. One owner at a time.
 */
#ifndef VARAN_QUERY_SQL_H
#define VARAN_QUERY_SQL_H

#include "base/memory.h"
#include "store/store.h"

#define SQL_BYTES_MAX (256u << 10)
#define SQL_PARAMS_MAX 64u /* what the store takes */

struct sql {
    struct arena *arena;
    struct buffer text;
    struct store_param params[SQL_PARAMS_MAX];
    const char *types[SQL_PARAMS_MAX];
    size_t n_params;
    int failed; /* first error; later calls do nothing */
};

void sql_init(struct sql *s, struct arena *arena);
void sql_done(struct sql *s);
/* Back to an empty statement; memory kept. */
void sql_clear(struct sql *s);
/* Text of our own; never anything a user gave. */
void sql_add(struct sql *s, const char *text);
void sql_addf(struct sql *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A value, as a parameter of the type. Bytes of a string may be anything. */
void sql_string(struct sql *s, struct slice value);
void sql_i64(struct sql *s, int64_t value);
void sql_u64(struct sql *s, uint64_t value);
void sql_double(struct sql *s, double value);
/* Instants, in nanoseconds since 1970, as DateTime64(9) and as DateTime (rounded down to a second).
 */
void sql_time(struct sql *s, int64_t ns);
void sql_seconds(struct sql *s, int64_t ns);
/* The NUL-terminated statement, or NULL with the error in `failed`. */
const char *sql_text(struct sql *s);

#endif
