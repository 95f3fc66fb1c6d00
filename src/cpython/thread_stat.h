/* What the kernel says of a target's threads. Internal to cpython/. */
#ifndef VARAN_CPYTHON_THREADS_H
#define VARAN_CPYTHON_THREADS_H

#include "cpython/cpython.h"

/* State and name of one thread from /proc/PID/task/TID/stat: 0, -ESRCH when it is gone. */
int thread_read_stat(pid_t pid, pid_t tid, enum cpython_state *ret_state, char ret_name[16]);
/* Whether the process still exists and is no zombie. */
bool process_alive(pid_t pid);

#endif
