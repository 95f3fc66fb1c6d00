/* Thread state, clock and counters (see runtime.h). */
#include "runtime.h"

#include <sys/random.h>
#include <unistd.h>

#define OFFSET_TRIES 3
#define OFFSET_GOOD_NS 10000u /* two looks at a clock take less, even by system calls */

uint32_t process_generation = 1;
__thread struct thread_state thread_state_self;
_Atomic uint64_t counters[COUNTER_N];

const char *const counter_names[COUNTER_N] = {
        [SPANS_FINISHED] = "spans_finished",
        [SPANS_EXPORTED] = "spans_exported",
        [SPANS_DROPPED_BUFFER_FULL] = "spans_dropped_buffer_full",
        [SPANS_DROPPED_REFUSED] = "spans_dropped_refused",
        [SPANS_DROPPED_EXPIRED] = "spans_dropped_expired",
        [SPANS_DROPPED_MEMORY] = "spans_dropped_memory",
        [SPANS_DROPPED_FORK] = "spans_dropped_fork",
        [LOGS_FINISHED] = "logs_finished",
        [LOGS_EXPORTED] = "logs_exported",
        [LOGS_DROPPED_BUFFER_FULL] = "logs_dropped_buffer_full",
        [LOGS_DROPPED_REFUSED] = "logs_dropped_refused",
        [LOGS_DROPPED_EXPIRED] = "logs_dropped_expired",
        [LOGS_DROPPED_MEMORY] = "logs_dropped_memory",
        [LOGS_DROPPED_FORK] = "logs_dropped_fork",
        [METRICS_FINISHED] = "metrics_finished",
        [METRICS_EXPORTED] = "metrics_exported",
        [METRICS_DROPPED_BUFFER_FULL] = "metrics_dropped_buffer_full",
        [METRICS_DROPPED_REFUSED] = "metrics_dropped_refused",
        [METRICS_DROPPED_EXPIRED] = "metrics_dropped_expired",
        [METRICS_DROPPED_MEMORY] = "metrics_dropped_memory",
        [METRICS_DROPPED_FORK] = "metrics_dropped_fork",
        [PROFILES_FINISHED] = "profile_rows_finished",
        [PROFILES_EXPORTED] = "profile_rows_exported",
        [PROFILES_DROPPED_BUFFER_FULL] = "profile_rows_dropped_buffer_full",
        [PROFILES_DROPPED_REFUSED] = "profile_rows_dropped_refused",
        [PROFILES_DROPPED_EXPIRED] = "profile_rows_dropped_expired",
        [PROFILES_DROPPED_MEMORY] = "profile_rows_dropped_memory",
        [PROFILES_DROPPED_FORK] = "profile_rows_dropped_fork",
        [SPANS_NOT_SAMPLED] = "spans_not_sampled",
        [SPANS_NOT_KEPT] = "spans_not_kept",
        [LOGS_RATE_LIMITED] = "logs_rate_limited",
        [ATTRIBUTES_DROPPED] = "attributes_dropped",
        [EXPORTS] = "exports",
        [EXPORT_FAILURES] = "export_failures",
};

/* Expands one word to a full generator state when the system has no randomness yet (splitmix64,
 * public domain). */
static void seed_from_clock(uint64_t state[4]) {
    uint64_t x = clock_wall_ns() ^ ((uint64_t) getpid() << 40) ^ (uint64_t) (uintptr_t) state;

    for (int i = 0; i < 4; i++) {
        uint64_t z = x += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        state[i] = z ^ (z >> 31);
    }
}

void thread_renew(struct thread_state *t) {
    fork_child_reset();
    if (getrandom(t->random, sizeof(t->random), GRND_NONBLOCK) != (ssize_t) sizeof(t->random))
        seed_from_clock(t->random);
    t->random[0] |= 1; /* the state must not be all zero */
    t->slot = NULL;
    t->slot_refused = false;
    t->ring = NULL; /* an inherited ring is gone with the parent */
    t->in_log = 0;
    t->length_max = 0;
    t->generation = process_generation;
}

/* One clock is read between two looks at the other: a thread that is put aside just there would be
 * off by as long as it stands still, so what took long is done again. */
static int64_t measure_offset_ns(void) {
    uint64_t best_ns = UINT64_MAX;
    int64_t offset_ns = 0;

    for (int i = 0; i < OFFSET_TRIES && best_ns > OFFSET_GOOD_NS; i++) {
        uint64_t before = clock_monotonic_ns(), wall = clock_wall_ns(),
                 took_ns = clock_monotonic_ns() - before;

        if (took_ns < best_ns) {
            best_ns = took_ns;
            offset_ns = (int64_t) (wall - before - took_ns / 2);
        }
    }
    return offset_ns;
}

int64_t clock_offset_ns(uint64_t monotonic_ns) {
    static uint64_t measured_at_ns;
    static int64_t offset_ns;

    if (monotonic_ns - measured_at_ns > 1000000000u || measured_at_ns == 0) {
        offset_ns = measure_offset_ns();
        measured_at_ns = monotonic_ns;
    }
    return offset_ns;
}
