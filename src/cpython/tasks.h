/* asyncio's tasks in a target. Internal to cpython/. */
#ifndef VARAN_CPYTHON_TASKS_H
#define VARAN_CPYTHON_TASKS_H

#include "cpython/frame_values.h"
#include "cpython/state.h"

#define TASK_FRAMES_MAX 512u   /* of one coroutine and those that it awaits */
#define TASK_CALLBACKS_MAX 64u /* of one future, that are looked at */
#define TASK_VISITS_MAX 512u   /* futures between a task and those that wait for it */

/* Frames of a coroutine and of what it awaits, outermost first. */
struct await_chain {
    struct raw_frame frames[TASK_FRAMES_MAX];
    size_t n;
    uint64_t awaited; /* what the last one awaits: a future; 0: nothing, or not known */
};

/* Tasks by address. */
struct task_set {
    uint64_t items[CPYTHON_AWAITERS_MAX];
    size_t n;
};

/* ---- awaits.c: one task ---- */

enum future_kind { FUTURE_NONE, FUTURE_PLAIN, FUTURE_TASK };

/* Whether an object is an asyncio future or task of the C implementation. */
enum future_kind future_kind(const struct inspector *in, uint64_t object);
void await_chain_read(const struct inspector *in, uint64_t coroutine, struct await_chain *ret);
/* Tasks that go on when this one is done: those that await it, directly or through gather(),
 * wait(), shield(), a task group. */
void task_awaiters(const struct inspector *in, uint64_t task, struct task_set *ret);

/* ---- tasks.c: all of them ---- */

/* The frames of the task that a thread runs, and below them those of its awaiters, in place of the
 * event loop's: *ret_n of them in `to`, innermost first; 0: the thread runs no task. */
int task_stack(struct cpython *c, uint64_t interpreter, const struct known_thread *k,
               int64_t now_ns, struct arena *to, const struct cpython_frame **ret, size_t *ret_n);

/* A chain's frames in `to`, innermost first. */
int chain_frames(struct cpython *c, const struct await_chain *chain, struct arena *to,
                 const struct cpython_frame **ret, size_t *ret_n);

#endif
