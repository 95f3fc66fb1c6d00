/* What the profiler saw in one window: stacks as a trie, their costs by thread and span; encoded as
 * an OTLP profiles request (opentelemetry-proto, profiles/v1development, 1.9). Bounded; the
 * profiler's thread owns it. No Python.
 *
 * Processor time is not guessed from samples: how much a thread spent in which trace comes from the
 * thread's own clock (window_charge()). Samples tell which stacks it is shared among: within one
 * operation on one thread, each stack gets as much of it as it was seen at work. What was measured
 * of the very span that a sample met stays with that span. */
#ifndef VARAN_AGENT_PROFILER_WINDOW_H
#define VARAN_AGENT_PROFILER_WINDOW_H

#include "cpython/cpython.h"

#define WINDOW_NODES_MAX 65536u
#define WINDOW_ROWS_MAX 20000u        /* stack, thread and span together */
#define WINDOW_TRACED_ROWS_MAX 17500u /* with a span; the rest is for what finds no such row */
#define WINDOW_BYTES_MAX ((size_t) 8 << 20)

enum profiler_cost { COST_CPU, COST_WALL, COST_GIL_WAIT, COSTS };

struct window_span {
    uint64_t trace_id[2], span_id; /* zeros: none */
};

struct profiler_window;

int window_new(struct profiler_window **ret);
void window_free(struct profiler_window *w);
/* The label of a thread of that name, good until the window is cleared. */
uint32_t window_label(struct profiler_window *w, const char *name);
/* Adds what a thread's stack has cost (ns): CPU time as far as it is known to be this span's, and
 * `seen`, its weight among the stacks that were seen at work. Beyond the limits it counts without
 * its span, then not at all (and is counted as dropped). The row it went to, -1: none. */
int64_t window_add(struct profiler_window *w, const struct cpython_thread *t, uint32_t label,
                   const struct window_span *span, const uint64_t costs[COSTS], uint64_t seen);
/* The same in two steps: the thread's stack, the same number for the same stack until the window is
 * cleared (0: it is empty; -1: beyond a limit), and what it has cost. */
int64_t window_node(struct profiler_window *w, const struct cpython_thread *t);
int64_t window_add_at(struct profiler_window *w, int64_t node, uint32_t label,
                      const struct window_span *span, const uint64_t costs[COSTS], uint64_t seen);
/* More weight for that row. */
void window_see(struct profiler_window *w, int64_t row, uint64_t seen);
/* More time that passed there, and was waited there for the GIL. */
void window_wait(struct profiler_window *w, int64_t row, uint64_t wall_ns, uint64_t gil_wait_ns);
/* A thread has used so much CPU time in that trace (zeros: outside of all). What was given to
 * window_add() must be part of it. */
void window_charge(struct profiler_window *w, const uint64_t trace_id[2], uint32_t label,
                   uint64_t cpu_ns);
/* Asks which operations the traces serve whose entry spans were not at their end. Often, since old
 * traces are forgotten. */
void window_resolve(struct profiler_window *w);
/* Shares the CPU time that was charged among the stacks: once, before window_encode(). That of
 * operations which were never seen waits for the next window. */
void window_settle(struct profiler_window *w);
uint64_t window_dropped(const struct profiler_window *w);
size_t window_rows(const struct profiler_window *w);
/* The request's body (malloc'd) of a window that began at `start_ns` (wall clock). `resource`: an
 * encoded Resource. 0, -ENODATA (nothing to say), -ENOMEM, -ENOBUFS. */
int window_encode(struct profiler_window *w, const void *resource, size_t resource_size,
                  int64_t start_ns, int64_t duration_ns, char **ret, size_t *ret_size);
/* Starts over, keeps memory. */
void window_reset(struct profiler_window *w);

#endif
