/* Reading another process' memory, bounded and batched. One owner at a time. */
#ifndef VARAN_CPYTHON_MEMORY_H
#define VARAN_CPYTHON_MEMORY_H

#include "base/slice.h"

#include <sys/types.h>

/* One of several reads that are made at once. */
struct memory_part {
    uint64_t address;
    void *to;
    size_t size;
};

#define MEMORY_PARTS_MAX 1024u /* of one call: UIO_MAXIOV */

struct memory_reader {
    /* Reads `size` bytes at `address`: 0, or a negative errno (-EFAULT: not mapped). */
    int (*read)(void *ctx, uint64_t address, void *to, size_t size);
    /* Reads the parts in order, up to the first that fails: how many were read. NULL: one by one.
     */
    size_t (*read_many)(void *ctx, const struct memory_part *parts, size_t n);
    void *ctx;
    uint64_t reads, failed; /* calls, counted here */
};

/* A reader over process `pid`. */
struct memory_reader memory_reader_process(pid_t pid);

int memory_read(struct memory_reader *r, uint64_t address, void *to, size_t size);
/* Reads the parts in order with as few calls as can be; stops at the first that fails. The number
 * of parts that were read. */
size_t memory_read_many(struct memory_reader *r, const struct memory_part *parts, size_t n);

static inline int memory_read_u64(struct memory_reader *r, uint64_t address, uint64_t *ret) {
    return memory_read(r, address, ret, 8);
}

/* Fields of a structure that was read into `bytes`; 0 when the offset lies outside. */
static inline uint64_t field_u64(const uint8_t *bytes, size_t size, uint32_t offset) {
    uint64_t v = 0;
    if ((size_t) offset + 8 <= size)
        memcpy(&v, bytes + offset, 8);
    return v;
}

static inline uint32_t field_u32(const uint8_t *bytes, size_t size, uint32_t offset) {
    uint32_t v = 0;
    if ((size_t) offset + 4 <= size)
        memcpy(&v, bytes + offset, 4);
    return v;
}

#endif
