/*
 * What the store's tests share: a private data folder, the engine's library, rows with recognisable
 * values, and waiting for a commit. The engine can be started once per process and path, so each
 * test program opens one folder (closing and opening it again is fine).
 */
#ifndef VARAN_TESTS_STORE_FIXTURE_H
#define VARAN_TESTS_STORE_FIXTURE_H

#include "store/store.h"
#include "unit.h"

/* A new private folder, removed at exit. */
const char *fixture_dir(void);
/* Whether the tests run against ClickHouse's HTTP interface (tests/chhttp) instead of the embedded
 * engine. */
bool fixture_over_http(void);
/* Default options on that folder, without fsync (tests of durability set it). */
struct store_options fixture_options(void);
/* Opens or fails the test with the engine's sentence. */
struct store *fixture_open(const struct store_options *o);

/* A whole span row; `n` makes its ids. */
void fixture_span(struct native_block *b, uint64_t n, int64_t ts_ns, const char *service,
                  const char *name);
void fixture_log(struct native_block *b, uint64_t n, int64_t ts_ns, const char *body);

struct fixture_wait; /* one commit's answer */
struct fixture_wait *fixture_wait_new(void);
void fixture_done(void *ctx, int result); /* a store_done */
/* Waits at most 90 s for the answer, frees, returns it. */
int fixture_wait(struct fixture_wait *w);

/* The first number of the answer; fails the test on an error. */
uint64_t fixture_number(struct store *s, const char *sql);
/* The answer as tab-separated text, NUL-terminated, in a static buffer. */
const char *fixture_text(struct store *s, const char *sql);

#endif
