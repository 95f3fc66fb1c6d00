/*
 * The gRPC parts that are not HTTP/2: message prefix, time-outs, status codes, error details.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. Pure functions: any thread.
 */
#ifndef VARAN_NET_GRPC_MESSAGE_H
#define VARAN_NET_GRPC_MESSAGE_H

#include "base/memory.h"

enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
};

#define GRPC_PREFIX_BYTES 5

/* The five bytes before a message: a flag and a big-endian length. Fed in pieces. */
struct grpc_prefix {
    uint8_t bytes[GRPC_PREFIX_BYTES];
    unsigned have;
};

/* Takes what it needs from `*data` (shortened); true when the prefix is complete. */
bool grpc_prefix_feed(struct grpc_prefix *p, struct slice *data);
uint8_t grpc_prefix_flags(const struct grpc_prefix *p);
uint32_t grpc_prefix_length(const struct grpc_prefix *p);
void grpc_prefix_write(uint8_t flags, uint32_t length, uint8_t ret[GRPC_PREFIX_BYTES]);

/* "100m", "5S": at most 8 digits and one of H M S m u n. 0 or -EINVAL. */
int grpc_timeout_parse(struct slice text, int64_t *ret_ns);
/* What an HTTP status means to a gRPC client; the retryable ones (429, 502, 503) become
 * UNAVAILABLE. */
enum grpc_status grpc_status_from_http(int status);
/* Percent-encodes a grpc-message; cut so that the text fits `room` with its NUL. */
void grpc_message_encode(const char *message, char *to, size_t room);
/* The value of grpc-status-details-bin: base64 (unpadded) of a google.rpc.Status with a
 * google.rpc.RetryInfo of `retry_s` seconds. `to` gets a NUL; -ENOBUFS when `room` is too small. */
int grpc_retry_details(enum grpc_status status, const char *message, unsigned retry_s, char *to,
                       size_t room);

#endif
