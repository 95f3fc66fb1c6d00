/* A growable byte buffer with a hard cap. It may begin in memory of its owner (an inline array) and
 * moves to the heap when that is full. Not thread-safe: one owner at a time. No Python here. */
#ifndef VARAN_AGENT_BUF_H
#define VARAN_AGENT_BUF_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buf {
    char *data;
    uint32_t used;
    uint32_t size;
    uint32_t cap;  /* never grows beyond this */
    char *initial; /* the owner's memory, not to be freed; may be NULL */
};

static inline void buf_init(struct buf *b, void *initial, uint32_t size, uint32_t cap) {
    b->data = b->initial = initial;
    b->used = 0;
    b->size = size;
    b->cap = cap;
}

static inline void buf_done(struct buf *b) {
    if (b->data != b->initial)
        free(b->data);
    b->data = b->initial;
    b->used = 0;
    b->size = 0;
}

/* Makes room for n more bytes. Returns 0, or a negative error and leaves the buffer as it was. */
int buf_grow(struct buf *b, size_t n);

/* A place for n more bytes, or NULL at the cap. The caller adds to `used` what it wrote. */
static inline char *buf_reserve(struct buf *b, size_t n) {
    if (__builtin_expect((size_t) (b->size - b->used) < n, 0) && buf_grow(b, n) < 0)
        return NULL;
    return b->data + b->used;
}

static inline int buf_append(struct buf *b, const void *data, size_t n) {
    char *p = buf_reserve(b, n);
    if (!p)
        return -ENOSPC;
    if (n)
        memcpy(p, data, n);
    b->used += (uint32_t) n;
    return 0;
}

#endif
