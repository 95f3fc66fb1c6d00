/* gRPC's framing and status vocabulary. No memory of its own. */
#include "net/grpc_message.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>

bool grpc_prefix_feed(struct grpc_prefix *p, struct slice *data) {
    while (p->have < GRPC_PREFIX_BYTES && data->size) {
        p->bytes[p->have++] = data->data[0];
        *data = slice_skip(*data, 1);
    }
    return p->have == GRPC_PREFIX_BYTES;
}

uint8_t grpc_prefix_flags(const struct grpc_prefix *p) {
    return p->bytes[0];
}

uint32_t grpc_prefix_length(const struct grpc_prefix *p) {
    return (uint32_t) p->bytes[1] << 24 | (uint32_t) p->bytes[2] << 16 |
           (uint32_t) p->bytes[3] << 8 | p->bytes[4];
}

void grpc_prefix_write(uint8_t flags, uint32_t length, uint8_t ret[GRPC_PREFIX_BYTES]) {
    ret[0] = flags;
    ret[1] = (uint8_t) (length >> 24);
    ret[2] = (uint8_t) (length >> 16);
    ret[3] = (uint8_t) (length >> 8);
    ret[4] = (uint8_t) length;
}

int grpc_timeout_parse(struct slice text, int64_t *ret_ns) {
    uint64_t n;
    int64_t unit;

    if (text.size < 2 || text.size > 9)
        return -EINVAL;
    switch (text.data[text.size - 1]) {
    case 'H': unit = 3600 * NS_PER_S; break;
    case 'M': unit = 60 * NS_PER_S; break;
    case 'S': unit = NS_PER_S; break;
    case 'm': unit = NS_PER_MS; break;
    case 'u': unit = NS_PER_US; break;
    case 'n': unit = 1; break;
    default: return -EINVAL;
    }
    if (slice_to_u64(slice_take(text, text.size - 1), &n) < 0)
        return -EINVAL;
    if (__builtin_mul_overflow((int64_t) n, unit, ret_ns))
        *ret_ns = INT64_MAX;
    return 0;
}

enum grpc_status grpc_status_from_http(int status) {
    switch (status) {
    case 400:
    case 411:
    case 415: return GRPC_INVALID_ARGUMENT;
    case 401: return GRPC_UNAUTHENTICATED;
    case 403: return GRPC_PERMISSION_DENIED;
    case 404:
    case 405:
    case 501: return GRPC_UNIMPLEMENTED;
    case 408:
    case 504: return GRPC_DEADLINE_EXCEEDED;
    case 409: return GRPC_ABORTED;
    case 413:
    case 431: return GRPC_RESOURCE_EXHAUSTED;
    case 429:
    case 502:
    case 503: return GRPC_UNAVAILABLE;
    case 500: return GRPC_INTERNAL;
    default:
        return status >= 200 && status < 300 ? GRPC_OK
               : status < 500                ? GRPC_INVALID_ARGUMENT
                                             : GRPC_UNKNOWN;
    }
}

void grpc_message_encode(const char *message, char *to, size_t room) {
    size_t n = 0;

    for (const unsigned char *p = (const unsigned char *) message; *p && n + 4 <= room; p++)
        if (*p >= 0x20 && *p <= 0x7e && *p != '%')
            to[n++] = (char) *p;
        else
            n += (size_t) snprintf(to + n, room - n, "%%%02X", *p);
    to[n] = 0;
}

static void put_varint(struct buffer *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        buffer_append_u8(b, (uint8_t) (v | 0x80));
    buffer_append_u8(b, (uint8_t) v);
}

static void put_bytes(struct buffer *b, unsigned field, struct slice s) {
    put_varint(b, field << 3 | 2);
    put_varint(b, s.size);
    buffer_append_slice(b, s);
}

static int to_base64(struct slice s, char *to, size_t room) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;

    if (room < s.size * 4 / 3 + 3)
        return -ENOBUFS;
    for (size_t i = 0; i < s.size; i += 3) {
        size_t left = s.size - i < 3 ? s.size - i : 3;
        uint32_t v = (uint32_t) s.data[i] << 16 | (uint32_t) (left > 1 ? s.data[i + 1] : 0) << 8 |
                     (left > 2 ? s.data[i + 2] : 0);
        for (size_t k = 0; k < left + 1; k++)
            to[n++] = digits[v >> (18 - 6 * k) & 63];
    }
    to[n] = 0;
    return 0;
}

int grpc_retry_details(enum grpc_status status, const char *message, unsigned retry_s, char *to,
                       size_t room) {
    struct buffer duration, info, any, all;

    buffer_init(&duration, 64);
    buffer_init(&info, 64);
    buffer_init(&any, 256);
    buffer_init(&all, 4096);
    put_varint(&duration, 1 << 3 | 0); /* Duration.seconds */
    put_varint(&duration, retry_s);
    put_bytes(&info, 1, buffer_slice(&duration)); /* RetryInfo.retry_delay */
    put_bytes(&any, 1, SLICE("type.googleapis.com/google.rpc.RetryInfo"));
    put_bytes(&any, 2, buffer_slice(&info));
    put_varint(&all, 1 << 3 | 0); /* Status.code */
    put_varint(&all, status);
    put_bytes(&all, 2, slice_from(message));
    put_bytes(&all, 3, buffer_slice(&any));
    int r = duration.failed ? duration.failed
            : info.failed   ? info.failed
            : any.failed    ? any.failed
            : all.failed    ? all.failed
                            : to_base64(buffer_slice(&all), to, room);
    buffer_done(&duration);
    buffer_done(&info);
    buffer_done(&any);
    buffer_done(&all);
    return r;
}
