/* A small HTTP/1.1 client for the export thread: one keep-alive connection to one place, TCP or
 * Unix socket, one deadline for each request. Never touches Python. Owned and used by the export
 * thread only. */
#ifndef VARAN_AGENT_HTTP_H
#define VARAN_AGENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls.h"

#define HTTP_HOST_MAX 256
#define HTTP_PATH_MAX 512
#define HTTP_HEADERS_MAX 4096
#define HTTP_RESPONSE_MAX (64u << 10)

struct http_target {
    char host[HTTP_HOST_MAX]; /* for TCP, and the Host header */
    char port[8];
    char unix_path[108];            /* not empty: connect here instead */
    char path[HTTP_PATH_MAX];       /* of the request, "/v1/traces" */
    char headers[HTTP_HEADERS_MAX]; /* additional lines, each ending in CRLF */
    bool secure;                    /* https */
    struct tls_files files;
};

struct http_client {
    int fd;          /* -1: not connected */
    struct tls *tls; /* NULL: plain */
    char response[HTTP_RESPONSE_MAX];
};

struct http_response {
    int status;
    int retry_after_s; /* -1: the server did not say */
    const char *body;  /* in the client's buffer */
    size_t body_length;
};

void http_client_init(struct http_client *c);
void http_client_close(struct http_client *c);
/* In a forked child: gives the connection up without touching what the parent still uses. */
void http_client_forget(struct http_client *c);

/* POSTs a body as application/x-protobuf: connects if need be and sends it whole. The answer must
 * be read before the next one. Returns 0 or a negative errno. `deadline_ns` is of CLOCK_MONOTONIC.
 */
int http_post(struct http_client *c, const struct http_target *target, const void *body,
              size_t length, bool gzip, uint64_t deadline_ns);
/* Waits for the answer. Returns 0 when it is complete, whatever its status, or a negative errno;
 * -EINTR when `hurry` (NULL: none) is set before the answer begins: it can be waited for again. */
int http_answer(struct http_client *c, const _Atomic bool *hurry, uint64_t deadline_ns,
                struct http_response *ret);

#endif
