/*
 * Protocol Buffers' wire format: a walker that copies nothing, and a writer.
 *
 * The walker hands out one field after the other; slices point into the message. Unknown fields are
 * for the caller to skip (by doing nothing). Groups (wire types 3 and 4), field number 0, lengths
 * beyond the message and varints of more than ten bytes are errors. Depth is the caller's: a nested
 * message is walked with a reader of its own. Source: protobuf.dev, "Encoding".
 */
#ifndef VARAN_WIRE_PROTOBUF_H
#define VARAN_WIRE_PROTOBUF_H

#include "base/memory.h"

#include <errno.h>

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_reader {
    const uint8_t *at, *end;
};

struct pb_field {
    uint32_t number;
    enum pb_wire wire;
    uint64_t u64;       /* varint, fixed64, fixed32 */
    struct slice bytes; /* PB_BYTES */
};

static inline struct pb_reader pb_reader(struct slice message) {
    return (struct pb_reader){message.data, message.data + message.size};
}

/* The general case: up to ten bytes. */
int pb_varint_long(struct pb_reader *r, uint64_t *ret);

static inline int pb_varint(struct pb_reader *r, uint64_t *ret) {
    if (__builtin_expect(r->at < r->end && *r->at < 0x80, 1)) {
        *ret = *r->at++;
        return 0;
    }
    return pb_varint_long(r, ret);
}

/* The next field: 1, 0 at the end of the message, -EBADMSG when malformed. */
static inline int pb_next(struct pb_reader *r, struct pb_field *f) {
    uint64_t tag;

    if (r->at == r->end)
        return 0;
    if (pb_varint(r, &tag) < 0 || tag > UINT32_MAX || tag < 8)
        return -EBADMSG;
    f->number = (uint32_t) tag >> 3;
    f->wire = (enum pb_wire)(tag & 7);
    size_t left;
    switch (tag & 7) {
    case PB_VARINT: return pb_varint(r, &f->u64) < 0 ? -EBADMSG : 1;
    case PB_BYTES:
        if (pb_varint(r, &f->u64) < 0)
            return -EBADMSG;
        left = (size_t) (r->end - r->at);
        if (f->u64 > left)
            return -EBADMSG;
        f->bytes = slice_new(r->at, (size_t) f->u64);
        r->at += f->u64;
        return 1;
    case PB_FIXED64:
        if (r->end - r->at < 8)
            return -EBADMSG;
        memcpy(&f->u64, r->at, 8);
        r->at += 8;
        return 1;
    case PB_FIXED32: {
        uint32_t v;
        if (r->end - r->at < 4)
            return -EBADMSG;
        memcpy(&v, r->at, 4);
        f->u64 = v;
        r->at += 4;
        return 1;
    }
    default: return -EBADMSG;
    }
}

static inline double pb_double_of(uint64_t bits) {
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

static inline double pb_double(const struct pb_field *f) {
    return pb_double_of(f->u64);
}

/* sint32 and sint64: the sign is the lowest bit. */
static inline int64_t pb_from_zigzag(uint64_t v) {
    return (int64_t) (v >> 1) ^ -(int64_t) (v & 1);
}

static inline uint64_t pb_to_zigzag(int64_t v) {
    return ((uint64_t) v << 1) ^ (uint64_t) (v >> 63);
}

/* The next number of a packed run (PB_FIXED64: 8 bytes, PB_VARINT): 1, 0 at the end, -EBADMSG. */
int pb_packed(struct pb_reader *r, enum pb_wire wire, uint64_t *ret);

/* ---- Writing: appends to a buffer, whose `failed` is checked at the end. ---- */

void pb_put_tag(struct buffer *b, uint32_t number, enum pb_wire wire);
void pb_put_raw_varint(struct buffer *b, uint64_t v);
void pb_put_varint(struct buffer *b, uint32_t number, uint64_t v);
void pb_put_fixed64(struct buffer *b, uint32_t number, uint64_t v);
void pb_put_fixed32(struct buffer *b, uint32_t number, uint32_t v);
void pb_put_double(struct buffer *b, uint32_t number, double v);
void pb_put_bytes(struct buffer *b, uint32_t number, struct slice bytes);
/* A nested message: begin, its fields, end (begin's answer). */
size_t pb_begin(struct buffer *b, uint32_t number);
void pb_end(struct buffer *b, size_t begin);

#endif
