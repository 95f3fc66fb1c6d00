/* Arenas and capped buffers. One owner at a time; memory_fail_at() is for single-threaded tests. */
#include "base/memory.h"
#include "base/hot.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define ARENA_CHUNK_MIN 4096u
#define ARENA_CHUNK_MAX (1u << 20)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the bytes behind this head */
};

static _Atomic unsigned fail_countdown;

void memory_fail_at(unsigned n) {
    atomic_store(&fail_countdown, n);
}

static bool must_fail(void) {
    if (__builtin_expect(atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0, 1))
        return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

void *memory_alloc(size_t size) {
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *memory_realloc(void *p, size_t size) {
    return must_fail() ? NULL : realloc(p, size ? size : 1);
}

void arena_init(struct arena *a, size_t cap) {
    *a = (struct arena){.cap = cap};
}

static int arena_grow(struct arena *a, size_t size) {
    size_t want = a->chunk ? a->chunk->size * 2 : ARENA_CHUNK_MIN - sizeof(struct arena_chunk);

    if (want > ARENA_CHUNK_MAX)
        want = ARENA_CHUNK_MAX;
    if (want < size)
        want = size;
    if (want > a->cap - a->used)
        want = a->cap - a->used; /* the last piece before the cap */
    if (want < size)
        return -ENOBUFS;
    struct arena_chunk *chunk = memory_alloc(sizeof(*chunk) + want);
    if (!chunk)
        return -ENOMEM;
    chunk->size = want;
    chunk->next = a->chunk;
    a->chunk = chunk;
    a->used += want;
    a->at = (uint8_t *) (chunk + 1);
    a->end = a->at + want;
    return 0;
}

HOT void *arena_alloc(struct arena *a, size_t size) {
    if (size > SIZE_MAX - 8)
        return NULL;
    size = (size + 7) & ~(size_t) 7;
    if (!a->chunk || (size_t) (a->end - a->at) < size)
        if (arena_grow(a, size) < 0)
            return NULL;
    void *p = a->at;
    a->at += size;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n, size_t size) {
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    void *p = arena_alloc(a, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

HOT struct slice arena_dup(struct arena *a, struct slice s) {
    uint8_t *p = s.size < SIZE_MAX ? arena_alloc(a, s.size + 1) : NULL;

    if (!p)
        return SLICE_EMPTY;
    if (s.size)
        memcpy(p, s.data, s.size);
    p[s.size] = 0;
    return slice_new(p, s.size);
}

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t) n + 1);
    if (!p)
        return NULL;
    va_start(args, format);
    vsnprintf(p, (size_t) n + 1, format, args);
    va_end(args);
    return p;
}

HOT void arena_clear(struct arena *a) {
    struct arena_chunk *keep = a->chunk;

    if (!keep)
        return;
    for (struct arena_chunk *c = keep->next, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    keep->next = NULL;
    a->used = keep->size;
    a->at = (uint8_t *) (keep + 1);
    a->end = a->at + keep->size;
}

void arena_done(struct arena *a) {
    for (struct arena_chunk *c = a->chunk, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    arena_init(a, a->cap);
}

void buffer_init(struct buffer *b, size_t cap) {
    *b = (struct buffer){.cap = cap};
}

void buffer_done(struct buffer *b) {
    free(b->data);
    buffer_init(b, b->cap);
}

void buffer_clear(struct buffer *b) {
    b->size = 0;
    b->failed = 0;
}

uint8_t *buffer_reserve(struct buffer *b, size_t more) {
    if (b->failed)
        return NULL;
    if (b->allocated - b->size >= more && b->data)
        return b->data + b->size;
    if (more > b->cap - b->size) {
        b->failed = -ENOBUFS;
        return NULL;
    }
    size_t want = b->allocated < 64 ? 64 : b->allocated * 2;
    if (want < b->size + more)
        want = b->size + more;
    if (want > b->cap)
        want = b->cap;
    uint8_t *p = memory_realloc(b->data, want);
    if (!p) {
        b->failed = -ENOMEM;
        return NULL;
    }
    b->data = p;
    b->allocated = want;
    return b->data + b->size;
}

int buffer_append(struct buffer *b, const void *data, size_t size) {
    uint8_t *p = buffer_reserve(b, size);

    if (!p)
        return b->failed;
    if (size)
        memcpy(p, data, size);
    b->size += size;
    return 0;
}

int buffer_printf(struct buffer *b, const char *format, ...) {
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return -EINVAL;
    uint8_t *p = buffer_reserve(b, (size_t) n + 1);
    if (!p)
        return b->failed;
    va_start(args, format);
    vsnprintf((char *) p, (size_t) n + 1, format, args);
    va_end(args);
    b->size += (size_t) n;
    return 0;
}

void buffer_truncate(struct buffer *b, size_t size) {
    assert(size <= b->size);
    b->size = size;
}
