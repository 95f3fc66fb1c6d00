/* Which span a thread is in, for the profiler: a slot per thread, written by the thread whenever
 * its current span changes, read by the profiler without a lock; and how much processor time the
 * thread spent in which trace, as its own clock tells when it leaves the trace. */
#ifndef VARAN_AGENT_PROFILER_SLOT_H
#define VARAN_AGENT_PROFILER_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILER_SLOTS 1024u /* threads; further ones have no span in their samples */
#define PROFILER_VISITS 128u /* a power of two: visits of one thread between two looks */

/* A thread's stay in a trace, from its turning to it until it turned to something else. */
struct profiler_visit {
    uint64_t trace_id[2];
    uint64_t cpu_ns;
    uint32_t native_id;
};

struct profiler_slot {
    _Atomic uint32_t sequence;     /* odd while it is written */
    uint32_t native_id;            /* the owner's, or who it was last */
    uint64_t trace_id[2], span_id; /* zeros: none */
    uint64_t cpu_begin_ns;         /* the thread's clock when it turned to the trace */
    /* When the thread's clock was read last, and what it said: the owner's own. */
    uint64_t read_at_ns, read_cpu_ns;
    /* Visits that ended: written by the owner, read by the profiler, oldest first. */
    _Atomic uint32_t written, read;
    _Atomic uint64_t lost_ns; /* of visits for which there was no room */
    struct profiler_visit visits[PROFILER_VISITS];
};

/* What a slot said at one moment. */
struct profiler_view {
    uint32_t sequence;
    uint64_t trace_id[2], span_id, cpu_begin_ns;
};

/* Whether slots are kept: false costs one load at each change of span. */
extern _Atomic bool profiler_wants_spans;

/* The calling thread's slot, found again after a fork; NULL when there is none left. GIL held. */
struct profiler_slot *profiler_slot_take(void);
/* The owner's present span; NULL: none. */
void profiler_slot_write(struct profiler_slot *s, const uint8_t *trace_id, const uint8_t *span_id);

/* For the profiler's thread: how many slots there are, from 0 on, and one of them. */
unsigned profiler_slots_used(void);
struct profiler_slot *profiler_slot_at(unsigned place);
/* The thread that has the slot now; 0: none. */
uint32_t profiler_slot_owner(unsigned place);
/* False: the owner was writing all the time. */
bool profiler_slot_view(const struct profiler_slot *s, struct profiler_view *ret);
/* Takes the next visit that ended; false: there is none. */
bool profiler_slot_next_visit(struct profiler_slot *s, struct profiler_visit *ret);
/* Frees the slots of threads that have ended. */
void profiler_slots_sweep(void);
void profiler_slots_fork_child(void);

#endif
