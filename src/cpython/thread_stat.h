/* What the kernel says of a target's threads. Internal to cpython/; one owner at a time. */
#ifndef VARAN_CPYTHON_THREADS_H
#define VARAN_CPYTHON_THREADS_H

#include "cpython/core_file.h"
#include "cpython/cpython.h"
#include "cpython/reader.h"

/* Files of /proc/PID/task/TID that are kept open: reading one anew costs a third of opening it. */
struct thread_files {
    pid_t pid, tid;
    bool own;                     /* a thread of this process */
    int stat, schedstat, syscall; /* -1: not open */
};

#define THREAD_FILES_MAX                                                                           \
    16384u /* of this process, all targets together; at most half of what                          \
              RLIMIT_NOFILE allows */

void thread_files_init(struct thread_files *f, pid_t pid, pid_t tid);
void thread_files_done(struct thread_files *f);
/* State and name of the thread: 0, -ESRCH when it is gone. One that a tracer holds sleeps, unless
 * `held`. */
int thread_read_stat(struct thread_files *f, bool held, enum cpython_state *ret_state,
                     char ret_name[16]);
/* Whether it runs or could: a quarter of the price of thread_read_stat(), for one that probably
 * does. False also when the kernel does not tell. */
bool thread_runs(struct thread_files *f);
/* How often the thread was put on a processor, or for how long it was there: 0 when the kernel does
 * not tell. While it stays the same, a thread that slept has not run. */
uint64_t thread_read_runs(struct thread_files *f);
/* Of a thread of this process that is its CPU clock, in nanoseconds and so much more, as 0 means
 * something else. */
#define THREAD_CLOCK_AHEAD 1u
/* Whether the thread sleeps in a system call whose first argument lies in [from, to): a futex
 * there. False when the kernel does not tell. */
bool thread_waits_at(struct thread_files *f, uint64_t from, uint64_t to);
/* Where the thread sleeps in a futex; 0: it does not, or the kernel does not tell. */
uint64_t thread_futex(struct thread_files *f);
/* Whether it runs or could, and else where it sleeps in a futex (0: elsewhere). One that waits for
 * the disk counts as asleep. 0, or -ENOENT: the kernel does not tell. */
int thread_read_sleep(struct thread_files *f, enum cpython_state *ret_state, uint64_t *ret_futex);
/* The id of a thread as it knows it itself, by its C library's structure (pthread_self() is its
 * address), for versions of CPython that do not keep it: 0 when it is not found. Not verified. */
pid_t thread_told_id(struct memory_reader *m, uint64_t pthread);

/* Threads of a process in a namespace of process ids: inner id, ours. */
struct thread_ids {
    pid_t inner, outer;
};

struct namespaced_threads {
    VECTOR(struct thread_ids) items;
    int known; /* 0: not looked yet; 1: the process is in our namespace; 2: in another */
    int64_t read_ns;
};

/* Our id of a thread that the target knows as `told`: 0 when there is none. */
pid_t thread_outer_id(struct namespaced_threads *n, pid_t pid, pid_t told);
/* Whether the process still exists and is no zombie. */
bool process_alive(pid_t pid);

#endif
