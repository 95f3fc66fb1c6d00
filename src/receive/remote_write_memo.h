/*
 * Series by the bytes of their labels as sent: who sends the same series again is known without a
 * look at a label. Found by a keyed 128-bit hash, taken as equality as in ingest's index; the key
 * is new at each start. Bounded: a shard that is full begins anew. Thread-safe. Private to
 * receive/remote_write*.c.
 */
#ifndef VARAN_RECEIVE_REMOTE_WRITE_MEMO_H
#define VARAN_RECEIVE_REMOTE_WRITE_MEMO_H

#include "derive/ingest.h"

struct remote_memo;
struct remote_memo_key {
    uint64_t low, high;
};

/* -ENOMEM, or what getrandom() says. */
int remote_memo_new(struct remote_memo **ret);
void remote_memo_free(struct remote_memo *m);

struct remote_memo_key remote_memo_key(const struct remote_memo *m, struct slice labels);
/* It will be asked for soon. */
void remote_memo_prefetch(struct remote_memo *m, struct remote_memo_key key);
bool remote_memo_get(struct remote_memo *m, struct remote_memo_key key, struct ingest_series *ret);
/* Without memory it stays unknown. */
void remote_memo_put(struct remote_memo *m, struct remote_memo_key key,
                     const struct ingest_series *series);

#endif
