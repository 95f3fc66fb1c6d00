/* /proc/PID/task/TID/stat. Any thread. */
#include "cpython/thread_stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Reads a small file of /proc whole: bytes read, or a negative errno. */
static ssize_t read_small(const char *path, char *to, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, to, room - 1);
    int saved = errno;
    close(fd);
    if (n < 0)
        return -saved;
    to[n] = 0;
    return n;
}

int thread_read_stat(pid_t pid, pid_t tid, enum cpython_state *ret_state, char ret_name[16]) {
    char path[64], text[512];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int) pid, (int) tid);
    if (read_small(path, text, sizeof(text)) <= 0)
        return -ESRCH;
    char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (!begin || !end || end < begin || end[1] != ' ')
        return -ESRCH;
    size_t n = (size_t) (end - begin - 1);
    n = n > 15 ? 15 : n;
    memcpy(ret_name, begin + 1, n);
    ret_name[n] = 0;
    /* R runs; D waits for the disk, which profilers count as work; S, T, t and the rest wait */
    *ret_state = end[2] == 'R' || end[2] == 'D' ? CPYTHON_RUNNING : CPYTHON_SLEEPING;
    return 0;
}

bool process_alive(pid_t pid) {
    char path[64], text[512];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
    if (read_small(path, text, sizeof(text)) <= 0)
        return false;
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' && end[2] != 'Z' && end[2] != 'X';
}
