/* Reading another process' memory, bounded and batched. One owner at a time. */
#ifndef VARAN_CPYTHON_MEMORY_H
#define VARAN_CPYTHON_MEMORY_H

#include "base/slice.h"

#include <sys/types.h>

struct memory_reader {
    /* Reads `size` bytes at `address`: 0, or a negative errno (-EFAULT: not mapped). */
    int (*read)(void *ctx, uint64_t address, void *to, size_t size);
    void *ctx;
    uint64_t reads, failed; /* counted here */
};

/* A reader over process `pid`. */
struct memory_reader memory_reader_process(pid_t pid);

int memory_read(struct memory_reader *r, uint64_t address, void *to, size_t size);

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
