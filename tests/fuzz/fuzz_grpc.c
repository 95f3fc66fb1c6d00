/*
 * A gRPC connection: what a peer may send, in two pieces. A session without a socket, one method
 * that echoes at once and one that answers from the driver after the input. The first bytes that a
 * peer must send are put before the input, so that the fuzzer reaches the frames; every 16th input
 * goes without.
 */
#include "net/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARKED_MAX 64

static struct http_request *parked[PARKED_MAX];
static unsigned n_parked;

static void echo(struct http_request *q, void *ctx) {
    http_respond(q, 200, NULL, http_request_body(q), NULL, 0);
}

static void park(struct http_request *q, void *ctx) {
    if (n_parked == PARKED_MAX)
        http_respond_error(q, 429, "overloaded", "enough");
    else
        parked[n_parked++] = q;
}

static const struct http_route routes[] = {
        {HTTP_POST, "/a", echo, 1 << 16, ""},
        {HTTP_POST, "/b", park, 1 << 16, ""},
};

static struct grpc_server server;
static struct grpc_worker worker;

static void set_up(void) {
    const struct http_routes table = {routes, 2, NULL};

    server.shared = net_shared_new(1 << 20);
    net_options_fill(&server.options);
    if (!server.shared || route_set_put(&server.routes, &table, 1) < 0)
        __builtin_trap();
    worker.server = &server;
    worker.epoll_fd = worker.event_fd = -1;
    worker.woken = true; /* no eventfd to write to */
    pthread_mutex_init(&worker.lock, NULL);
}

static void step(struct grpc_session *s, struct slice piece, bool *alive) {
    if (*alive && grpc_session_receive(s, piece) < 0)
        *alive = false;
    grpc_worker_drain(&worker);
    worker.woken = true;
    worker.dirty = NULL;
    s->dirty = false;
    if (grpc_session_gather(s) < 0)
        *alive = false;
    s->out_sent = s->out.size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct slice input = slice_new(data, size);
    struct grpc_session *s;
    bool alive = true;

    if (!server.shared)
        set_up();
    if (!size || grpc_session_new(&worker, -1, &s) < 0)
        return 0;
    n_parked = 0;
    if (data[0] % 16)
        step(s, slice_new(preface, sizeof(preface) - 1), &alive);
    size_t cut = 1 + (size - 1) * (data[0] >> 4) / 16;
    step(s, slice_skip(slice_take(input, cut), 1), &alive);
    step(s, slice_skip(input, cut), &alive);
    while (n_parked)
        http_respond(parked[--n_parked], 200, NULL, SLICE("later"), NULL, 0);
    step(s, SLICE_EMPTY, &alive);
    grpc_session_sweep(s, clock_monotonic_ns() + 1000 * NS_PER_S);
    grpc_session_free(s);
    grpc_worker_drain(&worker);
    if (atomic_load(&server.shared->body_bytes))
        __builtin_trap(); /* a body was not freed */
    return 0;
}
