/* Requests with profiles and their answers. See profiles.h. */
#include "receive/profiles.h"

#include "receive/profiles_call.h"
#include "wire/compress.h"
#include "wire/json.h"

#include <stdatomic.h>
#include <stdio.h>

#define ARENA_BYTES_MAX ((size_t) 256 << 20)
#define MESSAGE_BYTES_MAX 1000
#define RETRY_STORAGE_S 5u

struct profiles_receiver {
    struct ingest *ingest;
    _Atomic uint64_t requests, malformed;
};

/* What is left of a request once it is decoded. */
struct pending {
    struct http_request *request;
    uint64_t accepted, rejected;
    char reason[MESSAGE_BYTES_MAX];
};

static void refuse(struct http_request *q, int status, unsigned retry_s, const char *message) {
    char retry[16];
    struct http_header header = {"Retry-After", retry};
    struct buffer body;
    struct json_writer w = json_writer(&body);

    snprintf(retry, sizeof(retry), "%u", retry_s);
    buffer_init(&body, 8192);
    json_begin_object(&w);
    json_put_key(&w, "error");
    json_begin_object(&w);
    json_field_text(&w, "code", status < 429 ? "bad_request" : "overloaded");
    json_field_text(&w, "message", message);
    json_end_object(&w);
    json_end_object(&w);
    http_respond_buffer(q, status, "application/json", &body, &header, retry_s ? 1 : 0);
    buffer_done(&body);
}

static void answer(void *ctx, int result) {
    struct pending *p = ctx;
    struct buffer body;
    struct json_writer w = json_writer(&body);

    if (result == -EAGAIN) {
        refuse(p->request, 429, 1, "too much is waiting to be written");
    } else if (result < 0) {
        refuse(p->request, 503, RETRY_STORAGE_S, "storage could not take the data");
    } else {
        buffer_init(&body, 8192);
        json_begin_object(&w);
        json_field_uint(&w, "samples", p->accepted);
        json_field_uint(&w, "rejected", p->rejected);
        if (p->rejected)
            json_field_text(&w, "reason", p->reason);
        json_end_object(&w);
        http_respond_buffer(p->request, 200, "application/json", &body, NULL, 0);
        buffer_done(&body);
    }
    free(p);
}

static int status_of(int r) {
    switch (r) {
    case -EBADMSG:
    case -EINVAL: return 400;
    case -E2BIG: return 413;
    case -ENOTSUP: return 415;
    case -EAGAIN:
    case -ENOMEM:
    case -ENOBUFS: return 429;
    default: return 503;
    }
}

/* Decodes into a transaction and hands it to the store. */
static int take(struct profiles_receiver *p, struct profiles_call *c,
                int (*decode)(struct profiles_call *c)) {
    struct pending *pending = memory_alloc(sizeof(*pending));
    struct profile_sink *sink = memory_alloc(sizeof(*sink));
    struct ingest_txn *t = NULL;
    unsigned retry_s;

    int r = pending && sink ? ingest_begin(p->ingest, c->body.size, &t, &retry_s) : -ENOMEM;
    if (r == 0) {
        profile_sink_init(sink, t, c->arena);
        c->sink = sink;
        r = decode(c);
    }
    if (r == 0) {
        *pending = (struct pending){c->request, sink->accepted, sink->rejected, {0}};
        snprintf(pending->reason, sizeof(pending->reason), "%s", sink->first.text);
        ingest_commit(t, answer, pending);
        pending = NULL;
    } else if (t) {
        ingest_abort(t);
    }
    free(sink);
    free(pending);
    return r;
}

static int decompressed(struct profiles_receiver *p, struct profiles_call *c,
                        int (*decode)(struct profiles_call *c)) {
    enum compression encoding;
    struct buffer plain;

    if (compression_parse(http_request_header(c->request, "Content-Encoding"), &encoding) < 0)
        return error_set(&c->error, -ENOTSUP,
                         "Content-Encoding must be gzip, deflate, zstd or identity");
    if (encoding == COMPRESSION_NONE)
        return take(p, c, decode);
    buffer_init(&plain, PROFILES_BODY_BYTES_MAX);
    int r = decompress(encoding, c->body, &plain);
    c->body = buffer_slice(&plain);
    if (r == -ENOBUFS)
        error_set(&c->error, r = -E2BIG, "the body is larger than %zu bytes when decompressed",
                  PROFILES_BODY_BYTES_MAX);
    else if (r == -EBADMSG)
        error_set(&c->error, r, "the body cannot be decompressed");
    else if (r == 0)
        r = take(p, c, decode);
    buffer_done(&plain);
    return r;
}

static void serve(struct profiles_receiver *p, struct http_request *q,
                  int (*decode)(struct profiles_call *c)) {
    struct profiles_call c = {.request = q,
                              .body = http_request_body(q),
                              .content_type = http_request_header(q, "Content-Type"),
                              .error = ERROR_NONE};
    struct arena arena;

    atomic_fetch_add(&p->requests, 1);
    arena_init(&arena, ARENA_BYTES_MAX);
    c.arena = &arena;
    int r = decompressed(p, &c, decode);
    if (r < 0) {
        int status = status_of(r);
        atomic_fetch_add(&p->malformed, status == 400);
        if (!c.error.code)
            error_set(&c.error, r,
                      r == -E2BIG ? "the stacks of the request are too long together"
                                  : "no room for the profile now");
        refuse(q, status, status == 429 ? 1 : status == 503 ? RETRY_STORAGE_S : 0, c.error.text);
    }
    arena_done(&arena);
}

static void upload(struct http_request *q, void *ctx) {
    serve(ctx, q, profiles_upload);
}

static void pyroscope(struct http_request *q, void *ctx) {
    serve(ctx, q, profiles_pyroscope);
}

static void push(struct http_request *q, void *ctx) {
    serve(ctx, q, profiles_push);
}

static const struct http_route routes[] = {
        {HTTP_POST, "/api/v1/profiles", upload, PROFILES_BODY_BYTES_MAX, "Takes pprof profiles."},
        {HTTP_POST, "/ingest", pyroscope, PROFILES_BODY_BYTES_MAX, "Takes Pyroscope's profiles."},
        {HTTP_POST, "/pyroscope/ingest", pyroscope, PROFILES_BODY_BYTES_MAX,
         "Takes Pyroscope's profiles."},
        {HTTP_POST, "/push.v1.PusherService/Push", push, PROFILES_BODY_BYTES_MAX,
         "Takes Pyroscope's profiles over Connect."},
        {HTTP_POST, "/pyroscope/push.v1.PusherService/Push", push, PROFILES_BODY_BYTES_MAX,
         "Takes Pyroscope's profiles over Connect."},
};

int profiles_receiver_new(struct ingest *g, struct profiles_receiver **ret) {
    struct profiles_receiver *p = memory_alloc(sizeof(*p));

    if (!p)
        return -ENOMEM;
    *p = (struct profiles_receiver){.ingest = g};
    *ret = p;
    return 0;
}

void profiles_receiver_free(struct profiles_receiver *p) {
    free(p);
}

struct http_routes profiles_receiver_routes(struct profiles_receiver *p) {
    return (struct http_routes){routes, sizeof(routes) / sizeof(*routes), p};
}

void profiles_receiver_read_stats(struct profiles_receiver *p,
                                  struct profiles_receiver_stats *ret) {
    *ret = (struct profiles_receiver_stats){atomic_load(&p->requests), atomic_load(&p->malformed)};
}
