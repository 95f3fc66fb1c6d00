/* ptrace(2): a seized thread stops with PTRACE_EVENT_STOP; a signal that comes first is passed on.
 */
#include "profile/pause.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_AWAKE 20u

/* Whether the thread runs, or waits for the disk: sleeping threads need not be held. */
static bool is_running(pid_t pid, const char *thread) {
    char path[300], text[512];

    snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int) pid, thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' && (end[2] == 'R' || end[2] == 'D');
}

static int seize(struct pause *p, pid_t thread) {
    struct pause_thread t = {.id = thread};

    vector_each(&p->threads, known) {
        if (known->id == thread)
            return 0; /* it did not stop in time the last time, and is still asked to */
    }
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0)
        return -errno;
    if (vector_push(&p->threads, t, PAUSE_THREADS_MAX) < 0) {
        ptrace(PTRACE_DETACH, thread, NULL, NULL);
        return -ENOBUFS;
    }
    /* what cannot be interrupted has ended */
    return ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0 ? -errno : 0;
}

static int seize_all(struct pause *p, pid_t pid, bool all) {
    char path[64];
    int r = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return -ESRCH;
    for (struct dirent *d; r != -EPERM && (d = readdir(tasks));) {
        uint64_t id;
        if (slice_to_u64(slice_from(d->d_name), &id) < 0 || id > INT32_MAX)
            continue;
        if (!all && !is_running(pid, d->d_name))
            continue;
        r = seize(p, (pid_t) id);
        p->failed += r < 0 && r != -ESRCH;
    }
    closedir(tasks);
    return r == -EPERM ? r : 0;
}

/* Takes notice of a thread that has stopped. An end is left for others to see. */
static void look(struct pause_thread *t) {
    siginfo_t info = {0};

    if (t->stopped || waitid(P_PID, (id_t) t->id, &info, WSTOPPED | WNOHANG | __WALL) < 0 ||
        info.si_pid != t->id)
        return;
    t->stopped = true;
    t->signal = info.si_status >> 8 == PTRACE_EVENT_STOP ? 0 : info.si_status & 0x7f;
}

/* Waits a little for threads to stop: they must be put on a processor for it, so after a few looks
 * ours is given up. */
static void wait_a_little(unsigned looks) {
    const struct timespec moment = {.tv_nsec = 50000};

    if (looks < LOOKS_AWAKE)
        sched_yield();
    else
        nanosleep(&moment, NULL);
}

int pause_begin(struct pause *p, pid_t pid, bool all) {
    int64_t end = clock_monotonic_ns() + (p->deadline_ns ? p->deadline_ns : PAUSE_DEADLINE_NS);
    unsigned looks = 0;
    size_t waiting;

    int r = seize_all(p, pid, all);
    do {
        waiting = 0;
        vector_each(&p->threads, t) {
            look(t);
            waiting += !t->stopped;
        }
        if (waiting)
            wait_a_little(looks++);
    } while (waiting && clock_monotonic_ns() < end);
    p->failed += waiting;
    return r;
}

/* A thread can be let go only when it has stopped. One that did not yet (no processor was free for
 * it, or it waits for the disk) is looked at again the next time, and goes on meanwhile. */
void pause_end(struct pause *p) {
    size_t kept = 0;

    for (size_t i = 0; i < p->threads.n; i++) {
        struct pause_thread t = p->threads.items[i];
        look(&t);
        bool gone = !t.stopped && ptrace(PTRACE_INTERRUPT, t.id, NULL, NULL) < 0;
        if (t.stopped)
            ptrace(PTRACE_DETACH, t.id, NULL, (void *) (intptr_t) t.signal);
        else if (!gone)
            p->threads.items[kept++] = t;
    }
    p->threads.n = kept;
}

void pause_done(struct pause *p) {
    int64_t end = clock_monotonic_ns() + PAUSE_DEADLINE_NS;
    unsigned looks = 0;

    for (pause_end(p); p->threads.n && clock_monotonic_ns() < end; pause_end(p))
        wait_a_little(looks++); /* what is still seized is let go by the kernel when this ends */
    vector_done(&p->threads);
}

bool pause_holds(const struct pause *p, pid_t thread) {
    vector_each(&p->threads, t) if (t->id == thread) return t->stopped;
    return false;
}
