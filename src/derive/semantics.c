/* The semantic conventions (OpenTelemetry 1.2x and older names). Pure functions: any thread. */
#include "derive/semantics.h"

static const struct {
    const char *key;
    enum role role;
} roles[] = {
        {"http.request.method", ROLE_HTTP_METHOD},
        {"http.method", ROLE_HTTP_METHOD},
        {"http.route", ROLE_HTTP_ROUTE},
        {"http.response.status_code", ROLE_HTTP_STATUS},
        {"http.status_code", ROLE_HTTP_STATUS},
        {"http.host", ROLE_HTTP_HOST},
        {"url.full", ROLE_URL},
        {"http.url", ROLE_URL},
        {"db.system.name", ROLE_DB_SYSTEM},
        {"db.system", ROLE_DB_SYSTEM},
        {"db.query.text", ROLE_DB_STATEMENT},
        {"db.statement", ROLE_DB_STATEMENT},
        {"db.namespace", ROLE_DB_NAME},
        {"db.name", ROLE_DB_NAME},
        {"peer.service", ROLE_PEER_SERVICE},
        {"service.peer.name", ROLE_PEER_SERVICE},
        {"server.address", ROLE_SERVER_ADDRESS},
        {"server.port", ROLE_SERVER_PORT},
        {"net.peer.name", ROLE_PEER_NAME},
        {"net.peer.port", ROLE_PEER_PORT},
        {"network.peer.address", ROLE_PEER_ADDRESS},
        {"net.sock.peer.addr", ROLE_PEER_ADDRESS},
        {"net.peer.ip", ROLE_PEER_ADDRESS},
        {"messaging.system", ROLE_MESSAGING_SYSTEM},
        {"messaging.destination.name", ROLE_MESSAGING_DESTINATION},
        {"messaging.destination", ROLE_MESSAGING_DESTINATION},
        {"rpc.system", ROLE_RPC_SYSTEM},
        {"rpc.service", ROLE_RPC_SERVICE},
};

enum role role_of_key(struct slice key) {
    for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
        if (slice_equal(key, slice_from(roles[i].key)))
            return roles[i].role;
    return ROLE_NONE;
}

/* The host, and port if any, of an absolute URL. */
static struct slice url_authority(struct slice url) {
    ptrdiff_t at = slice_find(url, SLICE("://"));

    if (at < 0)
        return SLICE_EMPTY;
    struct slice rest = slice_skip(url, (size_t) at + 3);
    size_t n = 0, user = 0;
    for (; n < rest.size && !memchr("/?#", rest.data[n], 3); n++)
        if (rest.data[n] == '@')
            user = n + 1;
    return slice_skip(slice_take(rest, n), user);
}

static struct slice join(char *peer, struct slice a, char between, struct slice b) {
    if (b.size == 0)
        return a;
    a = slice_take(a, PEER_BYTES_MAX / 2);
    b = slice_take(b, PEER_BYTES_MAX / 2 - 1);
    memmove(peer + a.size + 1, b.data, b.size); /* `b` may lie in `peer` */
    memcpy(peer, a.data, a.size);
    peer[a.size] = between;
    return slice_new(peer, a.size + 1 + b.size);
}

/* Where a client connects to. */
static struct slice address(const struct facts *f, char *peer) {
    struct slice host = fact(f, ROLE_SERVER_ADDRESS), port = fact(f, ROLE_SERVER_PORT);

    if (host.size == 0) {
        host = fact(f, ROLE_PEER_NAME);
        port = fact(f, ROLE_PEER_PORT);
    }
    if (host.size == 0 && fact(f, ROLE_URL).size)
        return url_authority(fact(f, ROLE_URL));
    if (host.size == 0)
        host = fact(f, ROLE_HTTP_HOST);
    if (host.size == 0)
        host = fact(f, ROLE_PEER_ADDRESS);
    if (slice_is(port, "80") || slice_is(port, "443"))
        port = SLICE_EMPTY;
    return host.size ? join(peer, host, ':', port) : host;
}

static struct slice base_name(struct slice path) {
    for (size_t i = path.size; i-- > 0;)
        if (path.data[i] == '/' || path.data[i] == '\\')
            return slice_skip(path, i + 1);
    return path;
}

enum call semantics_call(const struct facts *f, enum span_kind kind, char peer[PEER_BYTES_MAX],
                         struct slice *ret_peer, struct slice *ret_system) {
    struct slice name = fact(f, ROLE_PEER_SERVICE), db = fact(f, ROLE_DB_SYSTEM);
    struct slice messaging = fact(f, ROLE_MESSAGING_SYSTEM);
    char host[PEER_BYTES_MAX];

    *ret_peer = *ret_system = SLICE_EMPTY;
    if (kind == SPAN_SERVER || (kind == SPAN_INTERNAL && db.size == 0) || kind == SPAN_UNSPECIFIED)
        return CALL_NONE;
    if (db.size && kind != SPAN_CONSUMER) {
        struct slice which = base_name(fact(f, ROLE_DB_NAME));
        *ret_system = db;
        *ret_peer = name.size ? name : join(peer, db, ':', which.size ? which : address(f, host));
        return CALL_DATABASE;
    }
    if (messaging.size && (kind != SPAN_CLIENT || fact(f, ROLE_MESSAGING_DESTINATION).size)) {
        *ret_system = messaging;
        *ret_peer =
                name.size ? name : join(peer, messaging, ':', fact(f, ROLE_MESSAGING_DESTINATION));
        return CALL_MESSAGING;
    }
    *ret_system = fact(f, ROLE_RPC_SYSTEM);
    *ret_peer = name.size ? name : address(f, peer);
    if (ret_peer->size == 0)
        *ret_peer = fact(f, ROLE_RPC_SERVICE);
    return kind == SPAN_CONSUMER ? CALL_NONE : CALL_SERVICE;
}
