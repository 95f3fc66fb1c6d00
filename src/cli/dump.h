/* The parts of `varan dump`: what was found, and the two ways to print it. Single-threaded. */
#ifndef VARAN_CLI_DUMP_H
#define VARAN_CLI_DUMP_H

#include "cpython/cpython.h"
#include "profile/native.h"

/* Stacks with native frames among Python's. */
struct dump_native {
    struct native_stacks *stacks;
    struct cpython_thread *threads; /* as the sample's, which owns them; NULL: not asked for */
    size_t not_held;                /* threads that are shown without native frames */
};

/* Takes the sample while all threads are held for a moment. 0; -EPERM; -ESRCH; -ENOTSUP: the
 * processor is not known; -ENOMEM. dump_native_done() in every case. */
int dump_native_take(struct cpython *c, struct cpython_sample *s, struct dump_native *ret);
void dump_native_done(struct dump_native *n);

struct dump_report {
    pid_t pid;
    struct cpython *target;
    const struct cpython_sample *sample;
    const struct cpython_thread *shown; /* the sample's threads, with native frames when asked */
    const struct cpython_locks *locks;
    const struct cpython_greenlets *greenlets;
    const struct cpython_tasks *tasks; /* NULL: not asked for */
    bool locals;
};

/* A circle of waiting threads that begins with its lowest number: 0: the thread begins none. */
size_t dump_deadlock(const struct dump_report *report, size_t thread, size_t *ret_circle,
                     size_t room);
#define DUMP_CIRCLE_MAX 64u /* threads of one deadlock that are named */
void dump_put_text(struct buffer *out, const struct dump_report *report);
void dump_put_json(struct buffer *out, const struct dump_report *report);
/* The tasks as a tree: below each one those that it waits for. */
void dump_put_task_tree(struct buffer *out, const struct dump_report *report);
const char *dump_state_text(enum cpython_state state);
/* File and function names are the target's: control characters must not reach the terminal. */
void dump_put_clean(struct buffer *out, const char *text);
void dump_put_frame(struct buffer *out, const struct cpython_frame *f);

#endif
