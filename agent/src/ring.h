/* Finished, encoded records on their way from application threads to the export thread.
 *
 * Each thread has a queue of blocks of its own: the thread appends to the last block, the export
 * thread reads from the first; neither waits for the other. All full blocks together stay below one
 * byte cap; when it is reached the newest record is dropped and counted. A ring is made at a
 * thread's first record and freed by the export thread after the thread has ended and the ring is
 * empty. */
#ifndef VARAN_AGENT_RING_H
#define VARAN_AGENT_RING_H

#include <stddef.h>

#include "runtime.h"

enum signal_kind { SIGNAL_SPAN, SIGNAL_LOG, SIGNAL_METRIC, SIGNAL_PROFILE, SIGNAL_N };

/* The counter of a signal, given that of spans. */
#define COUNTER_OF(spans_counter, signal)                                                          \
    ((enum counter)((spans_counter) + (int) (signal) *LOGS_OFFSET))

#define RING_FIRST_BLOCK_BYTES (4u << 10)
#define RING_BLOCK_BYTES (16u << 10)
#define RING_BYTES_DEFAULT (4u << 20)

/* A record in a block: this, then `length` bytes, padded to 8. */
struct record {
    uint32_t length;
    uint16_t scope; /* index into the scope table, resource.h */
    uint16_t signal;
};

/* Place for a record of `length` bytes, or NULL (dropped and counted). Valid until ring_commit().
 * GIL held. */
char *ring_reserve(enum signal_kind signal, uint16_t scope, size_t length);
/* Hands the reserved record over and wakes the export thread when it sleeps. */
void ring_commit(void);

/* Gives each record of all rings to `take` until it returns false (that record stays). Returns
 * whether all rings are empty now. Export thread only. */
bool ring_drain(bool (*take)(void *userdata, const struct record *record, const char *bytes),
                void *userdata);

void ring_set_bytes_max(size_t n);
size_t ring_bytes(void);

/* Around fork(): the list is consistent between lock and unlock; the child drops all. */
void ring_fork_prepare(void);
void ring_fork_parent(void);
void ring_fork_child(void);
void ring_drop_all(void);

#endif
