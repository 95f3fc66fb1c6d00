/*
 * Secrets out of attributes, log bodies and messages: by key ("db.password", "X-Api-Key",
 * "userToken": as whole words), and by pattern in texts (bearer and basic credentials, JWT, AWS and
 * other vendors' keys, private key blocks, card numbers that pass Luhn's check, passwords in URLs,
 * key=value of secret keys).
 *
 * One pass over a text, driven by a table of first bytes; texts without a trigger cost about a
 * cycle a byte. `struct scrub` is read-only once made: any thread. A memo belongs to one thread.
 */
#ifndef VARAN_DERIVE_SCRUB_H
#define VARAN_DERIVE_SCRUB_H

#include "base/memory.h"
#include "signal/signal.h"

#define SCRUB_MARK "[scrubbed]"
#define SCRUB_EXTRA_KEYS_MAX 256

enum scrub_verdict {
    SCRUB_KEEP,
    SCRUB_TEXTS, /* texts, arrays and maps under this key are secrets; numbers and bools are not */
    SCRUB_LINE, /* the same, and in running text the rest of the line is one ("Cookie: a=b; c=d") */
    SCRUB_ALL,  /* numbers too */
};

struct scrub;

/* `extra`: key names beside the built-in ones, matched as whole words too. 0, -ENOMEM, -E2BIG. */
int scrub_new(const struct slice *extra, size_t n, struct scrub **ret);
void scrub_free(struct scrub *s);

/* What a key says about its values. About a microsecond: remember the answer. */
enum scrub_verdict scrub_key(const struct scrub *s, struct slice key);

#define SCRUB_MEMO_SLOTS 256
/* Verdicts on keys met in running text. Zeroed memory is an empty one. */
struct scrub_memo {
    uint64_t hashes[SCRUB_MEMO_SLOTS];
    uint8_t verdicts[SCRUB_MEMO_SLOTS];
};

/* `text` itself when nothing was found, else a copy in the arena with SCRUB_MARK in the places of
 * secrets, *count grown by their number. 0, -ENOMEM. */
int scrub_text(const struct scrub *s, struct scrub_memo *memo, struct slice text, struct arena *a,
               struct slice *ret, uint64_t *count);

/* A value below a key of that verdict, nested ones too. Copies on change only. */
int scrub_value(const struct scrub *s, struct scrub_memo *memo, enum scrub_verdict verdict,
                const struct value *v, struct arena *a, struct value *ret, uint64_t *count);

#endif
