/* Writing OTLP protobuf: varints, tags, key-values. Into a capped buffer (see buf.h) or at a
 * pointer whose space the caller has reserved. Field numbers are those of
 * opentelemetry/proto/{common,trace,logs,resource}/v1. No Python. */
#ifndef VARAN_AGENT_ENCODE_H
#define VARAN_AGENT_ENCODE_H

#include "buf.h"

enum {
    /* (field << 3) | wire type */
    SPAN_TRACE_ID = 0x0a,
    SPAN_SPAN_ID = 0x12,
    SPAN_TRACE_STATE = 0x1a,
    SPAN_PARENT_ID = 0x22,
    SPAN_NAME = 0x2a,
    SPAN_KIND = 0x30,
    SPAN_START = 0x39,
    SPAN_END = 0x41,
    SPAN_ATTRIBUTE = 0x4a,
    SPAN_DROPPED_ATTRIBUTES = 0x50,
    SPAN_EVENT = 0x5a,
    SPAN_DROPPED_EVENTS = 0x60,
    SPAN_LINK = 0x6a,
    SPAN_DROPPED_LINKS = 0x70,
    SPAN_STATUS = 0x7a,
    EVENT_TIME = 0x09,
    EVENT_NAME = 0x12,
    EVENT_ATTRIBUTE = 0x1a,
    EVENT_DROPPED_ATTRIBUTES = 0x20,
    LINK_TRACE_ID = 0x0a,
    LINK_SPAN_ID = 0x12,
    LINK_TRACE_STATE = 0x1a,
    LINK_ATTRIBUTE = 0x22,
    LINK_DROPPED_ATTRIBUTES = 0x28,
    LINK_FLAGS = 0x35,
    LOG_TIME = 0x09,
    LOG_SEVERITY = 0x10,
    LOG_SEVERITY_TEXT = 0x1a,
    LOG_BODY = 0x2a,
    LOG_ATTRIBUTE = 0x32,
    LOG_DROPPED_ATTRIBUTES = 0x38,
    LOG_FLAGS = 0x45,
    LOG_TRACE_ID = 0x4a,
    LOG_SPAN_ID = 0x52,
    LOG_OBSERVED = 0x59,
    RESOURCE_ATTRIBUTE = 0x0a,
    SCOPE_NAME = 0x0a,
    SCOPE_VERSION = 0x12,
    SCOPE_ATTRIBUTE = 0x1a,
    KV_KEY = 0x0a,
    KV_VALUE = 0x12,
    ANY_STRING = 0x0a,
    ANY_BOOL = 0x10,
    ANY_INT = 0x18,
    ANY_DOUBLE = 0x21,
    ANY_ARRAY = 0x2a,
    ANY_KVLIST = 0x32,
    ANY_BYTES = 0x3a,
};

static inline unsigned pb_varint_size(uint64_t v) {
    return v < 0x80 ? 1 : (unsigned) (70 - __builtin_clzll(v)) / 7;
}

static inline char *pb_varint(char *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (char) (v | 0x80);
        v >>= 7;
    }
    *p++ = (char) v;
    return p;
}

static inline char *pb_fixed64(char *p, uint64_t v) {
    memcpy(p, &v, 8); /* little-endian hosts only, see module.c */
    return p + 8;
}

static inline char *pb_bytes(char *p, unsigned tag, const void *data, size_t n) {
    *p++ = (char) tag;
    p = pb_varint(p, n);
    if (n)
        memcpy(p, data, n);
    return p + n;
}

/* Size of a length-delimited field with a one-byte tag. */
static inline size_t pb_bytes_size(size_t n) {
    return 1 + pb_varint_size(n) + n;
}

/* Opens a message field; pb_close() writes its length. Returns the mark for pb_close(), or
 * UINT32_MAX at the cap. */
static inline uint32_t pb_open(struct buf *b, unsigned tag) {
    char *p = buf_reserve(b, 6);
    if (!p)
        return UINT32_MAX;
    *p = (char) tag;
    b->used += 6; /* tag and room for the longest length */
    return b->used;
}

static inline void pb_close(struct buf *b, uint32_t mark) {
    uint32_t length = b->used - mark;
    unsigned n = pb_varint_size(length);

    pb_varint(b->data + mark - 5, length);
    if (n < 5)
        memmove(b->data + mark - 5 + n, b->data + mark, length);
    b->used -= 5 - n;
}

static inline int pb_put_bytes(struct buf *b, unsigned tag, const void *data, size_t n) {
    char *p = buf_reserve(b, pb_bytes_size(n));
    if (!p)
        return -ENOSPC;
    b->used = (uint32_t) (pb_bytes(p, tag, data, n) - b->data);
    return 0;
}

static inline int pb_put_varint(struct buf *b, unsigned tag, uint64_t v) {
    char *p = buf_reserve(b, 11);
    if (!p)
        return -ENOSPC;
    *p++ = (char) tag;
    b->used = (uint32_t) (pb_varint(p, v) - b->data);
    return 0;
}

static inline int pb_put_fixed64(struct buf *b, unsigned tag, uint64_t v) {
    char *p = buf_reserve(b, 9);
    if (!p)
        return -ENOSPC;
    *p++ = (char) tag;
    b->used = (uint32_t) (pb_fixed64(p, v) - b->data);
    return 0;
}

/* Opens a KeyValue whose AnyValue takes `any` bytes; returns the place of these bytes and counts
 * them as used. */
static inline char *pb_key_value(struct buf *b, unsigned tag, const char *key, size_t key_len,
                                 size_t any) {
    size_t kv = pb_bytes_size(key_len) + pb_bytes_size(any), all = pb_bytes_size(kv);
    char *p = buf_reserve(b, all);

    if (!p)
        return NULL;
    b->used += (uint32_t) all;
    if (__builtin_expect(kv < 0x80, 1)) { /* then all lengths are one byte */
        p[0] = (char) tag;
        p[1] = (char) kv;
        p[2] = KV_KEY;
        p[3] = (char) key_len;
        memcpy(p + 4, key, key_len);
        p += 4 + key_len;
        p[0] = KV_VALUE;
        p[1] = (char) any;
        return p + 2;
    }
    *p++ = (char) tag;
    p = pb_varint(p, kv);
    p = pb_bytes(p, KV_KEY, key, key_len);
    *p++ = KV_VALUE;
    return pb_varint(p, any);
}

static inline int pb_put_string(struct buf *b, unsigned tag, const char *key, size_t key_len,
                                const char *value, size_t value_len) {
    char *p = pb_key_value(b, tag, key, key_len, pb_bytes_size(value_len));
    if (!p)
        return -ENOSPC;
    pb_bytes(p, ANY_STRING, value, value_len);
    return 0;
}

static inline int pb_put_int(struct buf *b, unsigned tag, const char *key, size_t key_len,
                             int64_t value) {
    char *p = pb_key_value(b, tag, key, key_len, 1 + pb_varint_size((uint64_t) value));
    if (!p)
        return -ENOSPC;
    *p++ = ANY_INT;
    pb_varint(p, (uint64_t) value);
    return 0;
}

static inline int pb_put_bool(struct buf *b, unsigned tag, const char *key, size_t key_len,
                              bool value) {
    char *p = pb_key_value(b, tag, key, key_len, 2);
    if (!p)
        return -ENOSPC;
    *p++ = ANY_BOOL;
    *p = value;
    return 0;
}

static inline int pb_put_double(struct buf *b, unsigned tag, const char *key, size_t key_len,
                                double value) {
    char *p = pb_key_value(b, tag, key, key_len, 9);
    if (!p)
        return -ENOSPC;
    *p++ = ANY_DOUBLE;
    memcpy(p, &value, 8);
    return 0;
}

/* Shorthand for keys that are literals. */
#define PUT_STRING(b, tag, key, value, n) pb_put_string(b, tag, key, sizeof(key) - 1, value, n)
#define PUT_INT(b, tag, key, value) pb_put_int(b, tag, key, sizeof(key) - 1, value)

/* Reads a varint in memory written by us. Moves *p. */
static inline uint64_t pb_read_varint(const char **p) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t c = (uint8_t) * (*p)++;
        v |= (uint64_t) (c & 0x7f) << shift;
        if (c < 0x80)
            break;
    }
    return v;
}

#endif
