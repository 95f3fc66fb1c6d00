/* Which span a thread is in, for the profiler: a slot per thread, written by the thread whenever
 * its current span changes, read by the profiler without a lock; and the names of the operations
 * that traces serve in this process. */
#ifndef VARAN_AGENT_PROFILER_SLOT_H
#define VARAN_AGENT_PROFILER_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sys/types.h>

#define PROFILER_SLOTS 1024 /* threads; further ones have no span in their samples */
#define PROFILER_OPERATIONS 1024u
#define PROFILER_OPERATION_BYTES 104

struct profiler_slot {
    _Atomic uint32_t sequence;     /* odd while it is written */
    _Atomic uint32_t native_id;    /* the owner's; 0: free */
    uint64_t trace_id[2], span_id; /* zeros: none */
};

/* Whether slots are kept: false costs one load at each change of span. */
extern _Atomic bool profiler_wants_spans;

/* The calling thread's slot, found again after a fork; NULL when there is none left. GIL held. */
struct profiler_slot *profiler_slot_take(void);

static inline void profiler_slot_write(struct profiler_slot *s, const uint8_t *trace_id,
                                       const uint8_t *span_id) {
    uint32_t before = atomic_load_explicit(&s->sequence, memory_order_relaxed);

    atomic_store_explicit(&s->sequence, before + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    if (trace_id) {
        memcpy(s->trace_id, trace_id, 16);
        memcpy(&s->span_id, span_id, 8);
    } else {
        s->trace_id[0] = s->trace_id[1] = s->span_id = 0;
    }
    atomic_store_explicit(&s->sequence, before + 2, memory_order_release);
}

/* The thread's present span: true when it has one. Profiler's thread. */
bool profiler_slot_read(uint32_t native_id, uint64_t ret_trace_id[2], uint64_t *ret_span_id);
/* Frees the slots of threads that have ended. */
void profiler_slots_sweep(void);
void profiler_slots_fork_child(void);

/* The operation that a trace serves in this process, as its entry span is called now. GIL held. */
void profiler_operation_set(const uint8_t *trace_id, const char *name, size_t n);
/* Copies the name, NUL-terminated: its length, 0 when it is not known. Profiler's thread. */
size_t profiler_operation_get(const uint64_t trace_id[2], char ret[PROFILER_OPERATION_BYTES]);

#endif
