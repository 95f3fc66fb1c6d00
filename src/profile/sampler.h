/*
 * Sampling processes at a steady rate: which processes (children too, when asked), when, and which
 * stacks count. The caller drives it: wait, tick, wait, … One thread.
 */
#ifndef VARAN_PROFILE_SAMPLER_H
#define VARAN_PROFILE_SAMPLER_H

#include "profile/profile.h"

#define SAMPLER_RATE_MAX 10000u
#define SAMPLER_PROCESSES_MAX 1024u

struct sampler_options {
    unsigned rate;     /* walks a second, 1 … SAMPLER_RATE_MAX */
    bool gil_only;     /* only threads that hold the GIL */
    bool include_idle; /* threads that wait, too */
    bool no_states;    /* then nobody asks whether they wait: their state may be unknown */
    bool subprocesses; /* children, and theirs, as they come */
    bool awaiters;     /* below a running asyncio task those that await it, not the event loop */
    bool blocking;     /* hold the threads that run while they are read */
    bool native;       /* the same, and put native frames between Python's */
    bool gil_wait;     /* say of threads that wait for the GIL */
};

struct sampler;

/* Called for every stack that counts; those that were torn too, so that they can be counted. */
typedef void sampler_fn(void *ctx, pid_t pid, const struct cpython_thread *t);

int sampler_new(const struct sampler_options *options, struct sampler **ret);
void sampler_free(struct sampler *s);
/* Begins to sample a process: 0 or what cpython_open() says. */
int sampler_add(struct sampler *s, pid_t pid, struct error *e);
/* The same for a command that may only become a Python: it is looked at until it is one. */
int sampler_watch(struct sampler *s, pid_t pid);
/* How many processes are being sampled. */
size_t sampler_processes(const struct sampler *s);
/* Threads that could not be held, so far. */
uint64_t sampler_not_held(const struct sampler *s);
/* Waits until the next walk is due (signals end the wait early: -EINTR), at most `most_ns` from
 * `now`, which is clock_monotonic_ns() (-EAGAIN: it is not due yet). 0: due now. Keeps `stats`
 * (late, missed). */
int sampler_wait(struct sampler *s, int64_t now, int64_t most_ns, struct profile_stats *stats);
/* One walk over all processes: 0, or -ESRCH when none of them is left. Counts it in `stats`. */
int sampler_tick(struct sampler *s, struct profile_stats *stats, sampler_fn *fn, void *ctx);
/* Version and path of the first process, for titles; "" when there is none. */
void sampler_describe(const struct sampler *s, char *ret, size_t room);

/* Calls `fn` for each living descendant of `pid`: 0 or a negative errno. */
int process_descendants(pid_t pid, int (*fn)(void *ctx, pid_t child), void *ctx);

#endif
