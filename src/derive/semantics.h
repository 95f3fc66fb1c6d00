/*
 * What the semantic conventions' attributes say about a span, old names and new ones: the hot
 * columns and whom the span calls. Private to derive/. One owner at a time.
 */
#ifndef VARAN_DERIVE_SEMANTICS_H
#define VARAN_DERIVE_SEMANTICS_H

#include "base/memory.h"
#include "signal/signal.h"

/* Attributes that matter on the way in. Of two names for one thing the newer one has the same role.
 */
enum role {
    ROLE_NONE,
    ROLE_HTTP_METHOD,
    ROLE_HTTP_ROUTE,
    ROLE_HTTP_STATUS,
    ROLE_HTTP_HOST,
    ROLE_URL,
    ROLE_DB_SYSTEM,
    ROLE_DB_STATEMENT,
    ROLE_DB_NAME,
    ROLE_PEER_SERVICE,
    ROLE_SERVER_ADDRESS,
    ROLE_SERVER_PORT,
    ROLE_PEER_NAME,
    ROLE_PEER_PORT,
    ROLE_PEER_ADDRESS,
    ROLE_MESSAGING_SYSTEM,
    ROLE_MESSAGING_DESTINATION,
    ROLE_RPC_SYSTEM,
    ROLE_RPC_SERVICE,
    ROLES,
};

enum role role_of_key(struct slice key);

/* The texts of one span's attributes with a role. */
struct facts {
    uint32_t seen; /* bit per role */
    struct slice texts[ROLES];
};

static inline struct slice fact(const struct facts *f, enum role r) {
    return f->seen >> r & 1 ? f->texts[r] : SLICE_EMPTY;
}

enum call { CALL_NONE, CALL_SERVICE, CALL_DATABASE, CALL_MESSAGING };

#define PEER_BYTES_MAX 256

/* What a span of this kind calls (or, for a consumer, what it is called through), its system, and
 * the peer's name, written to `peer`; *ret_peer may point there. */
enum call semantics_call(const struct facts *f, enum span_kind kind, char peer[PEER_BYTES_MAX],
                         struct slice *ret_peer, struct slice *ret_system);

#endif
