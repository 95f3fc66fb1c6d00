/*
 * Holding threads of another process for a moment, by PTRACE_SEIZE and PTRACE_INTERRUPT: no signal
 * is sent, nothing is left behind, and should this process die, the kernel lets them go on. All
 * calls come from one thread. Threads that do not stop in time go on, and are let go as soon as
 * they have stopped.
 */
#ifndef VARAN_PROFILE_PAUSE_H
#define VARAN_PROFILE_PAUSE_H

#include "base/vector.h"

#include <sys/types.h>

#define PAUSE_THREADS_MAX 4096u
#define PAUSE_DEADLINE_NS INT64_C(10000000) /* for all of them to stop, unless told otherwise */

struct pause_thread {
    pid_t id;
    int signal; /* that it was about to take: it gets it when it goes on */
    bool stopped;
};

struct pause {
    VECTOR(struct pause_thread) threads;
    uint64_t failed;     /* threads that could not be stopped, so far */
    int64_t deadline_ns; /* 0: PAUSE_DEADLINE_NS */
};

/* Holds the threads of `pid` that run (sleeping ones too when `all`). 0; -EPERM when the kernel
 * refuses; -ESRCH. pause_end() in every case. */
int pause_begin(struct pause *p, pid_t pid, bool all);
void pause_end(struct pause *p);
void pause_done(struct pause *p);
/* Whether that thread is held. */
bool pause_holds(const struct pause *p, pid_t thread);

#endif
