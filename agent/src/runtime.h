/* State of the process and of each thread: identifiers, clock, counters, what the exporter needs to
 * know. Everything here is free of Python. `struct thread_state` belongs to its thread; counters
 * are atomic. */
#ifndef VARAN_AGENT_RUNTIME_H
#define VARAN_AGENT_RUNTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct ring;
struct profiler_slot;

struct thread_state {
    uint64_t random[4]; /* xoshiro256++ */
    struct ring *ring;
    uint32_t generation; /* of the process, see process_generation */
    struct profiler_slot *slot;
    bool slot_refused;   /* there was none left */
    uint8_t in_log;      /* how many records the thread is about to send */
    uint32_t length_max; /* of their values, and one; 0: as those of spans */
};

/* Grows by one in each forked child; starts at 1, so that a thread's zeroed state is always out of
 * date. */
extern uint32_t process_generation;

extern __thread struct thread_state thread_state_self;

void thread_renew(struct thread_state *t);

/* The calling thread's state, renewed after a fork. */
static inline struct thread_state *thread_state(void) {
    struct thread_state *t = &thread_state_self;
    if (__builtin_expect(t->generation != process_generation, 0))
        thread_renew(t);
    /* The address is worked out once: by itself a compiler asks the linker's function for it again
     * at each use. */
    __asm__("" : "+r"(t));
    return t;
}

/* A random number that is not zero. */
static inline uint64_t thread_random(struct thread_state *t) {
    uint64_t *s = t->random, result, x;

    do {
        x = s[0] + s[3];
        result = ((x << 23) | (x >> 41)) + s[0];
        x = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= x;
        s[3] = (s[3] << 45) | (s[3] >> 19);
    } while (result == 0);
    return result;
}

/* Nanoseconds of `clock`; 0 when it cannot be read (that of a thread that has ended). */
static inline uint64_t clock_read_ns(clockid_t clock) {
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

static inline uint64_t clock_monotonic_ns(void) {
    return clock_read_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_wall_ns(void) {
    return clock_read_ns(CLOCK_REALTIME);
}

/* What to add to a monotonic time to get the wall clock's. Measured at most once a second: a span
 * reads one clock, and its duration never jumps. GIL held. */
int64_t clock_offset_ns(uint64_t monotonic_ns);

/* Counters, by what happened to a record. Names in stats.c. */
enum counter {
    SPANS_FINISHED,
    SPANS_EXPORTED,
    SPANS_DROPPED_BUFFER_FULL,
    SPANS_DROPPED_REFUSED,
    SPANS_DROPPED_EXPIRED,
    SPANS_DROPPED_MEMORY,
    SPANS_DROPPED_FORK,
    LOGS_FINISHED,
    LOGS_EXPORTED,
    LOGS_DROPPED_BUFFER_FULL,
    LOGS_DROPPED_REFUSED,
    LOGS_DROPPED_EXPIRED,
    LOGS_DROPPED_MEMORY,
    LOGS_DROPPED_FORK,
    METRICS_FINISHED,
    METRICS_EXPORTED,
    METRICS_DROPPED_BUFFER_FULL,
    METRICS_DROPPED_REFUSED,
    METRICS_DROPPED_EXPIRED,
    METRICS_DROPPED_MEMORY,
    METRICS_DROPPED_FORK,
    PROFILES_FINISHED,
    PROFILES_EXPORTED,
    PROFILES_DROPPED_BUFFER_FULL,
    PROFILES_DROPPED_REFUSED,
    PROFILES_DROPPED_EXPIRED,
    PROFILES_DROPPED_MEMORY,
    PROFILES_DROPPED_FORK,
    SPANS_NOT_SAMPLED,
    SPANS_NOT_KEPT, /* by choice: see keep.h */
    LOGS_RATE_LIMITED,
    ATTRIBUTES_DROPPED,
    EXPORTS,
    EXPORT_FAILURES,
    COUNTER_N
};

#define LOGS_OFFSET (LOGS_FINISHED - SPANS_FINISHED) /* from one signal's to the next one's */

extern _Atomic uint64_t counters[COUNTER_N];

static inline void count(enum counter c, uint64_t n) {
    atomic_fetch_add_explicit(&counters[c], n, memory_order_relaxed);
}

/* For counters that change only with the GIL held. */
static inline void count_locked(enum counter c) {
    uint64_t v = atomic_load_explicit(&counters[c], memory_order_relaxed);
    atomic_store_explicit(&counters[c], v + 1, memory_order_relaxed);
}

extern const char *const counter_names[COUNTER_N];

/* fork.c: registers the handlers, once. */
int fork_handlers_install(void);
/* fork.c: first use in a child: drops what was inherited. GIL held. */
void fork_child_reset(void);

#endif
