/* The wire format's rarer paths, and the writer. Any thread; memory is the caller's. */
#include "wire/protobuf.h"

#include <assert.h>

#define VARINT_BYTES_MAX 10

int pb_varint_long(struct pb_reader *r, uint64_t *ret) {
    uint64_t v = 0;
    const uint8_t *p = r->at;

    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        if (p == r->end)
            return -EBADMSG;
        uint8_t byte = *p++;
        v |= (uint64_t) (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if (i == VARINT_BYTES_MAX - 1 && byte > 1)
                return -EBADMSG; /* more than 64 bits */
            r->at = p;
            *ret = v;
            return 0;
        }
    }
    return -EBADMSG;
}

int pb_packed(struct pb_reader *r, enum pb_wire wire, uint64_t *ret) {
    if (r->at == r->end)
        return 0;
    if (wire == PB_VARINT)
        return pb_varint(r, ret) < 0 ? -EBADMSG : 1;
    if (wire != PB_FIXED64 || r->end - r->at < 8)
        return -EBADMSG;
    memcpy(ret, r->at, 8);
    r->at += 8;
    return 1;
}

void pb_put_raw_varint(struct buffer *b, uint64_t v) {
    uint8_t text[VARINT_BYTES_MAX];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        text[n++] = (uint8_t) (v | 0x80);
    text[n++] = (uint8_t) v;
    buffer_append(b, text, n);
}

void pb_put_tag(struct buffer *b, uint32_t number, enum pb_wire wire) {
    pb_put_raw_varint(b, (uint64_t) number << 3 | wire);
}

void pb_put_varint(struct buffer *b, uint32_t number, uint64_t v) {
    pb_put_tag(b, number, PB_VARINT);
    pb_put_raw_varint(b, v);
}

void pb_put_fixed64(struct buffer *b, uint32_t number, uint64_t v) {
    pb_put_tag(b, number, PB_FIXED64);
    buffer_append_u64(b, v);
}

void pb_put_fixed32(struct buffer *b, uint32_t number, uint32_t v) {
    pb_put_tag(b, number, PB_FIXED32);
    buffer_append_u32(b, v);
}

void pb_put_double(struct buffer *b, uint32_t number, double v) {
    uint64_t bits;

    memcpy(&bits, &v, 8);
    pb_put_fixed64(b, number, bits);
}

void pb_put_bytes(struct buffer *b, uint32_t number, struct slice bytes) {
    pb_put_tag(b, number, PB_BYTES);
    pb_put_raw_varint(b, bytes.size);
    buffer_append_slice(b, bytes);
}

/* The length is not known yet: one byte is kept for it, which most messages need; the bytes of a
 * longer one move up. */
size_t pb_begin(struct buffer *b, uint32_t number) {
    pb_put_tag(b, number, PB_BYTES);
    buffer_append_u8(b, 0);
    return b->size;
}

void pb_end(struct buffer *b, size_t begin) {
    if (b->failed)
        return;
    assert(begin >= 1 && begin <= b->size);
    size_t size = b->size - begin, more = 0;
    for (size_t v = size >> 7; v; v >>= 7)
        more++;
    if (more) {
        if (!buffer_reserve(b, more))
            return;
        memmove(b->data + begin + more, b->data + begin, size);
        b->size += more;
    }
    uint8_t *p = b->data + begin - 1;
    for (; size >= 0x80; size >>= 7)
        *p++ = (uint8_t) (size | 0x80);
    *p = (uint8_t) size;
}
