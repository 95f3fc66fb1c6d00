/* The slow half of buf.h. Memory belongs to the buffer's owner; any thread, one at a time. */
#include "buf.h"

int buf_grow(struct buf *b, size_t n) {
    uint64_t need = (uint64_t) b->used + n, size = b->size ? b->size : 256;
    char *data;

    if (need > b->cap)
        return -ENOSPC;
    while (size < need)
        size *= 2;
    if (size > b->cap)
        size = b->cap;
    if (b->data != b->initial) {
        data = realloc(b->data, size);
        if (!data)
            return -ENOMEM;
    } else {
        data = malloc(size);
        if (!data)
            return -ENOMEM;
        if (b->used)
            memcpy(data, b->data, b->used);
    }
    b->data = data;
    b->size = (uint32_t) size;
    return 0;
}
