/* The processes below one, from one pass over /proc: parents are in the fourth field of stat. */
#include "profile/sampler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PROCESSES_READ_MAX 65536u

struct pair {
    pid_t pid, parent;
};

static pid_t parent_of(pid_t pid) {
    char path[64], text[512];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    const char *end = strrchr(text, ')'); /* the name before it may hold anything */
    int parent = 0;
    return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

int process_descendants(pid_t pid, int (*fn)(void *ctx, pid_t child), void *ctx) {
    VECTOR(struct pair) all = {0}, below = {0};
    DIR *proc = opendir("/proc");
    int r = 0;

    if (!proc)
        return -errno;
    for (struct dirent *d; r == 0 && (d = readdir(proc));) {
        uint64_t number;
        if (slice_to_u64(slice_from(d->d_name), &number) < 0 || number > INT32_MAX)
            continue;
        struct pair p = {.pid = (pid_t) number, .parent = parent_of((pid_t) number)};
        r = vector_push(&all, p, PROCESSES_READ_MAX);
    }
    closedir(proc);
    struct pair self = {.pid = pid};
    if (r == 0)
        r = vector_push(&below, self, PROCESSES_READ_MAX);
    for (size_t at = 0; r == 0 && at < below.n; at++)
        vector_each(&all, p) {
            if (r < 0 || p->parent != below.items[at].pid || p->pid == pid)
                continue;
            r = vector_push(&below, *p, PROCESSES_READ_MAX);
            p->parent = 0; /* listed once, even if a reused id made a circle */
        }
    for (size_t i = 1; r == 0 && i < below.n; i++)
        r = fn(ctx, below.items[i].pid);
    vector_done(&below);
    vector_done(&all);
    return r;
}
