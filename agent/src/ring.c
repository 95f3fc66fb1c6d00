/* See ring.h. Producers hold the GIL, the consumer never does; the list of rings has a lock of its
 * own, taken when a thread makes its first record and once per drain. */
#include "ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "exporter.h"

struct block {
    struct block *_Atomic next;
    _Atomic uint32_t used;
    uint32_t read;
    uint32_t size;
    _Alignas(8) char data[];
};

struct ring {
    struct ring *next;
    struct block *head; /* consumer's */
    struct block *tail; /* producer's */
    uint32_t reserved;
    _Atomic bool closed;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring *rings;
static _Atomic size_t bytes_held;
static size_t bytes_max = RING_BYTES_DEFAULT;
static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

/* A thread ends: its ring is drained and freed by the export thread. */
static void on_thread_exit(void *p) {
    struct ring *r = p;
    if (thread_state_self.ring == r) {
        thread_state_self.ring = NULL;
        atomic_store_explicit(&r->closed, true, memory_order_release);
    }
}

static void make_key(void) {
    pthread_key_create(&thread_key, on_thread_exit);
}

/* Every ring has one block outside the cap, so that idle threads do not use it up. */
static struct block *block_new(size_t size) {
    struct block *b = malloc(sizeof(struct block) + size);

    if (!b)
        return NULL;
    atomic_init(&b->next, NULL);
    atomic_init(&b->used, 0);
    b->read = 0;
    b->size = (uint32_t) size;
    return b;
}

static struct ring *ring_new(struct thread_state *t, size_t need) {
    struct ring *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->head = r->tail = block_new(need > RING_FIRST_BLOCK_BYTES ? need : RING_FIRST_BLOCK_BYTES);
    if (!r->head) {
        free(r);
        return NULL;
    }
    pthread_once(&thread_key_once, make_key);
    pthread_setspecific(thread_key, r);
    t->ring = r;
    pthread_mutex_lock(&list_lock);
    r->next = rings;
    rings = r;
    pthread_mutex_unlock(&list_lock);
    return r;
}

/* The slow way: no ring yet, or its last block is full. */
static struct ring *ring_extend(struct thread_state *t, size_t need) {
    struct ring *r = t->ring;
    struct block *b;

    if (!r)
        return ring_new(t, need);
    /* The full block counts from now on, until it is read. */
    if (atomic_load_explicit(&bytes_held, memory_order_relaxed) + r->tail->size > bytes_max)
        return NULL;
    b = block_new(need > RING_BLOCK_BYTES ? need : RING_BLOCK_BYTES);
    if (!b)
        return NULL;
    atomic_fetch_add_explicit(&bytes_held, r->tail->size, memory_order_relaxed);
    atomic_store_explicit(&r->tail->next, b, memory_order_release);
    r->tail = b;
    if (atomic_load_explicit(&bytes_held, memory_order_relaxed) > bytes_max / 8)
        exporter_wake(true);
    return r;
}

char *ring_reserve(enum signal_kind signal, uint16_t scope, size_t length) {
    struct thread_state *t = thread_state();
    struct ring *r = t->ring;
    size_t need = sizeof(struct record) + ((length + 7) & ~(size_t) 7);
    struct record *record;
    uint32_t used = 0;

    if (r)
        used = atomic_load_explicit(&r->tail->used, memory_order_relaxed);
    if (!r || r->tail->size - used < need) {
        r = ring_extend(t, need);
        if (!r) {
            count(COUNTER_OF(SPANS_DROPPED_BUFFER_FULL, signal), 1);
            return NULL;
        }
        used = 0;
    }
    record = (struct record *) (r->tail->data + used);
    record->length = (uint32_t) length;
    record->scope = scope;
    record->signal = (uint16_t) signal;
    r->reserved = (uint32_t) need;
    return (char *) (record + 1);
}

void ring_commit(void) {
    struct ring *r = thread_state_self.ring;
    uint32_t used = atomic_load_explicit(&r->tail->used, memory_order_relaxed);

    atomic_store_explicit(&r->tail->used, used + r->reserved, memory_order_release);
    if (__builtin_expect(!exporter_awake(), 0))
        exporter_wake(false);
}

/* Drains one ring. Returns false when the taker is full. */
static bool drain_one(struct ring *r, bool (*take)(void *, const struct record *, const char *),
                      void *userdata) {
    for (;;) {
        struct block *b = r->head, *next = atomic_load_explicit(&b->next, memory_order_acquire);
        /* `next` is set after the last commit to this block: read it first. */
        uint32_t used = atomic_load_explicit(&b->used, memory_order_acquire);

        while (b->read < used) {
            const struct record *record = (const struct record *) (b->data + b->read);
            if (!take(userdata, record, (const char *) (record + 1)))
                return false;
            b->read += (uint32_t) (sizeof(*record) + ((record->length + 7) & ~7u));
        }
        if (!next)
            return true;
        r->head = next;
        atomic_fetch_sub_explicit(&bytes_held, b->size, memory_order_relaxed);
        free(b);
    }
}

/* Takes an ended thread's ring out of the list. Producers only ever push at the front. */
static void ring_unlink(struct ring *r) {
    struct ring **p = &rings;

    pthread_mutex_lock(&list_lock);
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    pthread_mutex_unlock(&list_lock);
    free(r->head);
    free(r);
}

bool ring_drain(bool (*take)(void *, const struct record *, const char *), void *userdata) {
    struct ring *r;

    pthread_mutex_lock(&list_lock);
    r = rings;
    pthread_mutex_unlock(&list_lock);
    while (r) {
        struct ring *next = r->next;
        bool closed = atomic_load_explicit(&r->closed, memory_order_acquire);

        if (!drain_one(r, take, userdata))
            return false;
        if (closed)
            ring_unlink(r);
        r = next;
    }
    return true;
}

void ring_set_bytes_max(size_t n) {
    bytes_max = n < 4 * RING_BLOCK_BYTES ? 4 * RING_BLOCK_BYTES : n;
}

size_t ring_bytes(void) {
    return atomic_load_explicit(&bytes_held, memory_order_relaxed);
}

void ring_fork_prepare(void) {
    pthread_mutex_lock(&list_lock);
}

void ring_fork_parent(void) {
    pthread_mutex_unlock(&list_lock);
}

void ring_fork_child(void) {
    pthread_mutex_init(&list_lock, NULL);
}

void ring_drop_all(void) {
    struct ring *r = rings;

    rings = NULL;
    while (r) {
        struct ring *next = r->next;
        for (struct block *b = r->head, *after; b; b = after) {
            after = atomic_load_explicit(&b->next, memory_order_relaxed);
            free(b);
        }
        free(r);
        r = next;
    }
    atomic_store(&bytes_held, 0);
}
