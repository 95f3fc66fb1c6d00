/*
 * HTTP client (libcurl). Blocking calls for commands and worker threads; each call has a deadline
 * and a cap on the answer. A `struct http_client` keeps connections open and belongs to one thread.
 */
#ifndef VARAN_NET_CLIENT_H
#define VARAN_NET_CLIENT_H

#include "base/error.h"
#include "base/memory.h"

#include <stdatomic.h>

struct http_client;

struct http_client_request {
    const char *method;         /* "GET", "POST", … */
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value", n_headers of them */
    size_t n_headers;
    struct slice body; /* sent when data is not NULL */
    /* For bodies made on the way; called until 0 (end) or a negative errno. May be NULL. */
    ssize_t (*read_body)(void *ctx, uint8_t *to, size_t room);
    /* Called for each piece of the answer instead of collecting it; non-zero stops. May be NULL. */
    int (*on_body)(void *ctx, struct slice piece);
    void *ctx;
    int64_t timeout_ns;        /* whole exchange; 0: 30 s */
    size_t answer_bytes_max;   /* 0: 64 MiB */
    const char *ca_file;       /* NULL: the system's */
    bool insecure;             /* no verification of certificates */
    const atomic_bool *cancel; /* ends the exchange with -ECANCELED within a second; may be NULL */
};

struct http_client_answer {
    int status;
    struct buffer body;
    char content_type[128];
};

int http_client_new(struct http_client **ret);
void http_client_free(struct http_client *c);
/* 0 when an answer came (any status), else a negative errno with a sentence naming the URL in `e`.
 * `ret->body` must be freed with buffer_done(). */
int http_client_send(struct http_client *c, const struct http_client_request *q,
                     struct http_client_answer *ret, struct error *e);

#endif
