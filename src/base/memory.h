/*
 * Memory: arenas for what one request or one query owns and frees at once, and buffers that grow up
 * to a cap given at creation. Neither is thread-safe: one owner at a time.
 */
#ifndef VARAN_BASE_MEMORY_H
#define VARAN_BASE_MEMORY_H

#include "base/slice.h"

#include <stdlib.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void freep(void *p) {
    free(*(void **) p);
}

/* ---- Arena: bump allocation in chunks; all of it is freed at once. ---- */

struct arena {
    struct arena_chunk *chunk; /* newest first */
    uint8_t *at, *end;         /* free part of the newest chunk */
    size_t used, cap;          /* bytes taken from the system, and their limit */
};

/* An empty arena that never takes more than `cap` bytes from the system. Allocates nothing. */
void arena_init(struct arena *a, size_t cap);
/* `size` bytes aligned to 8, not cleared; NULL when the cap or the memory is exhausted. size 0
 * gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size);
/* The same, cleared, for n items of `size` bytes; NULL on overflow too. */
void *arena_zalloc(struct arena *a, size_t n, size_t size);
/* A copy of the bytes, with a NUL after them that is not counted; data NULL on failure. */
struct slice arena_dup(struct arena *a, struct slice s);
/* A formatted, NUL-terminated string; NULL on failure. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Frees all but one chunk, and starts over. */
void arena_clear(struct arena *a);
/* Frees everything; the arena may be used again as if just initialised. */
void arena_done(struct arena *a);

#define arena_new(a, type) ((type *) arena_zalloc((a), 1, sizeof(type)))
#define arena_array(a, type, n) ((type *) arena_zalloc((a), (n), sizeof(type)))

/* ---- Buffer: a growing run of bytes with a hard cap. ---- */

/*
 * Appending past the cap or without memory sets `failed` (0, -ENOBUFS or -ENOMEM), appends nothing,
 * and makes every later append fail too, so an encoder checks once at its end.
 */
struct buffer {
    uint8_t *data;
    size_t size, allocated, cap;
    int failed;
};

void buffer_init(struct buffer *b, size_t cap);
/* Frees the bytes; cap is kept. */
void buffer_done(struct buffer *b);
/* Size 0 and failed 0 again; keeps the memory. */
void buffer_clear(struct buffer *b);
/* Makes room for `more` bytes and returns where they begin, without adding to size; NULL on
 * failure. */
uint8_t *buffer_reserve(struct buffer *b, size_t more);
int buffer_append(struct buffer *b, const void *data, size_t size);
int buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline int buffer_append_slice(struct buffer *b, struct slice s) {
    return buffer_append(b, s.data, s.size);
}
static inline int buffer_append_text(struct buffer *b, const char *text) {
    return buffer_append(b, text, strlen(text));
}
static inline int buffer_append_u8(struct buffer *b, uint8_t byte) {
    if (__builtin_expect(b->size < b->allocated && !b->failed, 1)) {
        b->data[b->size++] = byte;
        return 0;
    }
    return buffer_append(b, &byte, 1);
}
static inline int buffer_append_u32(struct buffer *b, uint32_t v) {
    return buffer_append(b, &v, 4);
}
static inline int buffer_append_u64(struct buffer *b, uint64_t v) {
    return buffer_append(b, &v, 8);
}
static inline struct slice buffer_slice(const struct buffer *b) {
    return slice_new(b->data, b->size);
}
/* Truncates to `size`, which must not be larger than the present one. */
void buffer_truncate(struct buffer *b, size_t size);

/* For tests: the n-th allocation from now (1 = the next) made by arenas, buffers, vectors and maps
 * fails once; 0 switches it off. Process-wide. */
void memory_fail_at(unsigned n);
/* malloc and realloc that honour memory_fail_at(). */
void *memory_alloc(size_t size);
void *memory_realloc(void *p, size_t size);

#endif
