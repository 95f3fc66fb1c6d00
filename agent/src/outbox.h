/* The requests that wait for a server: at most so many bytes, each for so long, one on its way per
 * signal (more when somebody waits), tried again when the server is away or busy. Filled and sent
 * by the export thread alone; what is said of any thread is said so. */
#ifndef VARAN_AGENT_OUTBOX_H
#define VARAN_AGENT_OUTBOX_H

#include "batch.h"
#include "exporter.h"

#define EXPORT_PENDING_BYTES_MAX (4u << 20)      /* requests waiting for the server */
#define EXPORT_AGE_MAX_NS (300u * 1000000000ull) /* a request is given up after this time */
#define EXPORT_BACKOFF_MIN_MS 500
#define EXPORT_BACKOFF_MAX_MS 30000

/* Held while the thread changes its structures, so that fork() finds them whole. */
void outbox_lock(void);
void outbox_unlock(void);

/* Before the thread's first request. */
void outbox_start(void);
/* Where to send; with the lock held. */
void outbox_configure(const struct exporter_config *config);
/* Takes over a request, or NULL; with the lock held. */
void outbox_add(struct request *r);
/* Sends until nothing is left or the server does not take it: 0 or a negative errno. `force`:
 * somebody waits for it; do not wait for the time of the next try, nor for the answer to one
 * request before sending the next. Else it ends with -EINTR when outbox_hurry() is called
 * meanwhile: what is on its way stays there. Without the lock. */
int outbox_send(bool force);
/* A flush is wanted: the thread shall not wait for answers first. It takes it back when it turns to
 * the flush. Any thread. */
void outbox_hurry(bool hurry);
bool outbox_is_empty(void);
/* Any thread. */
size_t outbox_bytes(void);
/* When to try again (monotonic); 0: the last try went well. */
uint64_t outbox_retry_at_ns(void);
/* How long the server asked to be left alone, last time; 0: it did not. */
uint64_t outbox_asked_ns(void);
/* A description of the last failure; empty when there was none. Copies at most n bytes with the
 * NUL. Any thread. */
void outbox_last_error(char *ret, size_t n);

void outbox_fork_prepare(void);
void outbox_fork_parent(void);
void outbox_fork_child(void);

#endif
