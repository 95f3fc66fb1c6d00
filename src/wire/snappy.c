/* Snappy's block format. See snappy.h. */
#include "wire/snappy.h"

#include <errno.h>

#define EXPANSION_MAX 64u /* a copy of 64 bytes takes 3; literals do not expand */
#define SLACK 16u         /* bytes beyond the end that a wide copy may write */

struct decoder {
    const uint8_t *at, *end;
    uint8_t *begin, *to, *limit; /* written so far, and where it must end */
};

static int read_size(struct slice *in, uint32_t *ret) {
    uint64_t v = 0;

    for (unsigned shift = 0, i = 0; i < 5 && i < in->size; i++, shift += 7) {
        v |= (uint64_t) (in->data[i] & 0x7f) << shift;
        if (in->data[i] & 0x80)
            continue;
        if (v > UINT32_MAX)
            return -EBADMSG;
        *in = slice_skip(*in, i + 1);
        *ret = (uint32_t) v;
        return 0;
    }
    return -EBADMSG;
}

static int literal(struct decoder *d, uint8_t tag) {
    size_t size = tag >> 2, left = (size_t) (d->end - d->at);

    if (size >= 60) {
        unsigned bytes = (unsigned) size - 59;
        if (left < bytes)
            return -EBADMSG;
        size = 0;
        for (unsigned i = 0; i < bytes; i++)
            size |= (size_t) d->at[i] << (8 * i);
        d->at += bytes;
        left -= bytes;
    }
    size++;
    if (size > left || size > (size_t) (d->limit - d->to))
        return -EBADMSG;
    if (size <= 16 && left >= 16) {
        memcpy(d->to, d->at, 16); /* SLACK allows it */
    } else {
        memcpy(d->to, d->at, size);
    }
    d->at += size;
    d->to += size;
    return 0;
}

static int copy(struct decoder *d, size_t offset, size_t size) {
    if (offset == 0 || offset > (size_t) (d->to - d->begin) || size > (size_t) (d->limit - d->to))
        return -EBADMSG;
    const uint8_t *from = d->to - offset;
    uint8_t *to = d->to;
    d->to += size;
    if (offset >= 16 && size <= 16) {
        memcpy(to, from, 16); /* SLACK allows it */
        return 0;
    }
    if (offset >= size) {
        memcpy(to, from, size);
        return 0;
    }
    for (size_t i = 0; i < size; i++) /* overlapping: a pattern that repeats */
        to[i] = from[i];
    return 0;
}

static int decode(struct decoder *d) {
    int r = 0;

    while (r == 0 && d->at < d->end) {
        uint8_t tag = *d->at++;
        size_t left = (size_t) (d->end - d->at);
        uint32_t offset = 0;
        switch (tag & 3) {
        case 0: r = literal(d, tag); break;
        case 1:
            if (left < 1)
                return -EBADMSG;
            r = copy(d, (size_t) (tag >> 5) << 8 | d->at[0], 4 + (tag >> 2 & 7));
            d->at += 1;
            break;
        case 2:
            if (left < 2)
                return -EBADMSG;
            r = copy(d, (size_t) d->at[0] | (size_t) d->at[1] << 8, 1 + (tag >> 2));
            d->at += 2;
            break;
        default:
            if (left < 4)
                return -EBADMSG;
            memcpy(&offset, d->at, 4);
            r = copy(d, offset, 1 + (tag >> 2));
            d->at += 4;
        }
    }
    return r < 0 || d->to != d->limit ? -EBADMSG : 0;
}

int snappy_decompress(struct slice in, struct buffer *out) {
    uint32_t size;

    if (out->failed)
        return out->failed;
    if (read_size(&in, &size) < 0)
        return -EBADMSG;
    if (out->size > out->cap || size > out->cap - out->size)
        return -ENOBUFS;
    if (size / EXPANSION_MAX > in.size)
        return -EBADMSG;
    size_t room = out->cap; /* the slack must fit the buffer's cap, too */
    out->cap += SLACK;
    uint8_t *to = buffer_reserve(out, (size_t) size + SLACK);
    out->cap = room;
    if (!to) {
        int r = out->failed;
        out->failed = 0;
        return r;
    }
    struct decoder d = {in.data, in.data + in.size, to, to, to + size};
    int r = decode(&d);
    if (r == 0)
        out->size += size;
    return r;
}
