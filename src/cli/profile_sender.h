/*
 * Sends bodies to a server from a thread of its own, so that a slow server delays nobody. What
 * cannot be sent waits, bounded; the oldest goes first when there is no more room. Thread-safe.
 */
#ifndef VARAN_CLI_PROFILE_SENDER_H
#define VARAN_CLI_PROFILE_SENDER_H

#include "base/error.h"
#include "base/memory.h"

#define SENDER_BYTES_MAX ((size_t) 32 << 20)
#define SENDER_WAITING_MAX 4096u

struct sender;

struct sender_stats {
    uint64_t sent, refused, dropped; /* refused: the server did not want it */
};

int sender_new(const char *command, struct sender **ret);
/* POSTs the body (copied) to the URL, as soon as that works. */
void sender_put(struct sender *s, const char *url, struct slice body);
/* Sends what waits for at most `timeout_ns` and ends. */
void sender_free(struct sender *s, int64_t timeout_ns, struct sender_stats *ret);

#endif
