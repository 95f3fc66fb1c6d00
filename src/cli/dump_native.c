/* `varan dump --native`: all threads are held for the moment in which they are read. The sample
 * stays as it was read, since locks point into its frames; what is shown is a copy. */
#include "cli/dump.h"
#include "profile/pause.h"

#define HOLD_NS (200 * INT64_C(1000000)) /* for all threads to stop: those that sleep must wake */

/* Reads the stacks, and what unwinding needs, while the threads are held. */
static int take_held(struct cpython *c, struct cpython_sample *s, struct dump_native *n) {
    struct pause pause = {.deadline_ns = HOLD_NS};
    int r = pause_begin(&pause, cpython_pid(c), true);

    if (r == 0)
        r = cpython_sample(c, s);
    for (size_t i = 0; r == 0 && i < s->n_threads; i++) {
        pid_t thread = s->threads[i].native_id;
        bool held = pause_holds(&pause, thread) && native_stacks_capture(n->stacks, thread) == 0;
        n->not_held += !held;
    }
    pause_end(&pause);
    pause_done(&pause);
    return r;
}

/* A thread that is held does not tell what it did: that is taken from `before`. */
static void take_states(struct cpython_sample *s, const struct cpython_sample *before) {
    for (size_t i = 0; i < s->n_threads; i++)
        for (size_t k = 0; k < before->n_threads; k++) {
            const struct cpython_thread *t = &before->threads[k];
            if (t->thread_id != s->threads[i].thread_id)
                continue;
            s->threads[i].state = s->threads[i].holds_gil ? CPYTHON_RUNNING : t->state;
            s->threads[i].waits_gil = t->waits_gil && !s->threads[i].holds_gil;
        }
}

static int take_both(struct cpython *c, struct cpython_sample *s, struct dump_native *n) {
    struct cpython_sample before;

    cpython_sample_init(&before);
    int r = cpython_sample(c, &before);
    cpython_want(c, CPYTHON_THREAD_NAMES | CPYTHON_HELD);
    if (r == 0)
        r = take_held(c, s, n);
    if (r == 0)
        take_states(s, &before);
    cpython_sample_done(&before);
    return r;
}

int dump_native_take(struct cpython *c, struct cpython_sample *s, struct dump_native *ret) {
    int r = native_stacks_open(cpython_pid(c), cpython_path(c), &ret->stacks);

    if (r < 0)
        return r;
    r = take_both(c, s, ret);
    if (r < 0)
        return r;
    ret->threads = arena_array(&s->arena, struct cpython_thread, s->n_threads);
    if (!ret->threads)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < s->n_threads; i++) {
        ret->threads[i] = s->threads[i];
        r = native_stacks_merge(ret->stacks, &s->arena, &ret->threads[i]);
    }
    return r;
}

void dump_native_done(struct dump_native *n) {
    native_stacks_close(n->stacks);
}
