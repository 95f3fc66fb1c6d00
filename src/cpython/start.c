/* Opening a process that has only just begun: its interpreter may not be there yet. */
#include "base/clock.h"
#include "cpython/cpython.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define YOUNG_NS (10 * NS_PER_S)   /* an older one without an interpreter will get none */
#define PATIENCE_NS (3 * NS_PER_S) /* so long one that sleeps is waited for */
#define AGAIN_AFTER_NS (10 * NS_PER_MS)
#define START_FIELD 22 /* of /proc/PID/stat: in clock ticks since the machine started */

/* What the kernel tells of a process. */
struct state {
    int64_t age_ns; /* since it began; INT64_MAX: not known */
    bool held_up;   /* it would go on, and waits for a processor, the disk, or to be continued */
};

static struct state state_of(pid_t pid) {
    struct state state = {.age_ns = INT64_MAX};
    char path[64], text[1024];
    struct timespec now;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    char *at = strrchr(text, ')'); /* behind the second field, which may hold anything */
    state.held_up = at && at[1] == ' ' && at[2] && strchr("RDT", at[2]);
    for (int field = 2; at && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    long ticks = sysconf(_SC_CLK_TCK);
    if (!at || ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
        return state;
    int64_t begin_ns = (int64_t) (strtod(at, NULL) * (double) NS_PER_S / (double) ticks);
    state.age_ns = now.tv_sec * NS_PER_S + now.tv_nsec - begin_ns;
    return state;
}

/* Whether an interpreter may still come: on a busy machine, or one that stood still, the time that
 * passed says little of how far the process is. */
static bool may_begin(pid_t pid, int64_t patient_until_ns) {
    struct state state = state_of(pid);

    return state.age_ns < YOUNG_NS && (state.held_up || clock_monotonic_ns() < patient_until_ns);
}

int cpython_open_starting(pid_t pid, struct cpython **ret, struct error *e) {
    const struct timespec pause = {0, AGAIN_AFTER_NS};
    int64_t patient_until_ns = clock_monotonic_ns() + PATIENCE_NS;
    int r = cpython_open(pid, ret, e);

    while (r == -ENOENT && may_begin(pid, patient_until_ns) &&
           nanosleep(&pause, NULL) == 0) /* a signal: the caller wants to end */
        r = cpython_try(pid, ret);
    /* Everywhere, and to say why not. */
    return r == 0 ? 0 : cpython_open(pid, ret, e);
}
