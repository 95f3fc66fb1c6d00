/* The export thread: takes finished records from the rings, puts them into OTLP requests and sends
 * them. It is a plain thread that never takes the GIL and has all signals blocked; it starts at the
 * first finished record of a process and sleeps without waking while nothing is to be sent. */
#ifndef VARAN_AGENT_EXPORTER_H
#define VARAN_AGENT_EXPORTER_H

#include "http.h"
#include "ring.h"

struct exporter_config {
    struct http_target targets[SIGNAL_N];
    bool enabled[SIGNAL_N];
    bool gzip;
    uint32_t interval_ms; /* how long a record waits for others */
    uint32_t timeout_ms;  /* of one request */
};

/* May be called again; takes effect with the next request. */
void exporter_configure(const struct exporter_config *config);

/* Sends everything that is finished now. Blocks at most timeout_ms: call without the GIL. Returns
 * 0, -ETIMEDOUT, or -EIO when the server could not be reached or refused. */
int exporter_flush(uint32_t timeout_ms);

/* Will the thread look at the rings without being woken? */
extern _Atomic bool exporter_is_awake;
static inline bool exporter_awake(void) {
    return atomic_load_explicit(&exporter_is_awake, memory_order_relaxed);
}
/* Starts or wakes the thread; urgent: do not wait for more records. */
void exporter_wake(bool urgent);
/* Has the thread run, without anything to send yet. */
void exporter_ensure(void);

/* Takes over a whole request's body (malloc'd) of `records` records. -ENOSPC when the one before
 * still waits: then it is freed and counted. Any thread, without the GIL. */
int exporter_hand_over(enum signal_kind signal, char *body, size_t n, uint32_t records);

void exporter_fork_prepare(void);
void exporter_fork_parent(void);
void exporter_fork_child(void);

#endif
