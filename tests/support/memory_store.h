/*
 * The writing half of store.h without an engine: batches of real native blocks that stay in memory,
 * for tests that look at rows, for fuzzing, and for measuring decoding alone. Linked before
 * libstore, it takes the place of store_batch_*(), store_set_flush_hook() and store_query() (which
 * fails). There is one batch: who acquires it waits until it is committed or aborted. All else is
 * for one thread at a time.
 */
#ifndef VARAN_TESTS_SUPPORT_MEMORY_STORE_H
#define VARAN_TESTS_SUPPORT_MEMORY_STORE_H

#include "store/store.h"

struct store *memory_store_new(void);
void memory_store_free(struct store *s);
/* What acquiring answers from now on (0: a batch). */
void memory_store_refuse(struct store *s, int result);
/* Writes: runs the flush hook, then tells all who wait `result`. The rows stay readable until the
 * next acquire. Returns the hook's result. */
int memory_store_flush(struct store *s, int result);
/* Whether a commit flushes at once (the default) or waits for memory_store_flush(). */
void memory_store_hold(struct store *s, bool hold);
/* Bytes in all blocks. */
size_t memory_store_bytes(struct store *s);
size_t memory_store_rows(struct store *s, enum store_table t);
/* A reader over the rows of a table; freed with native_reader_free(). Its bytes are the store's and
 * are valid until the table is read again. */
struct native_reader *memory_store_read(struct store *s, enum store_table t);

#endif
