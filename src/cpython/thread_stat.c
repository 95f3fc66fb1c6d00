/* /proc/PID/task/TID/stat and schedstat. */
#include "cpython/thread_stat.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PID_MOST (1 << 22)             /* the kernel's own limit */
#define IDS_AGAIN_NS (100 * NS_PER_MS) /* ids of a namespace are not read more often */

static atomic_uint kept_files;

static unsigned files_allowed(void) {
    static atomic_uint allowed;
    unsigned n = atomic_load(&allowed);
    struct rlimit limit;

    if (n)
        return n;
    n = 128;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        n = limit.rlim_cur / 2 > THREAD_FILES_MAX ? THREAD_FILES_MAX
                                                  : (unsigned) (limit.rlim_cur / 2) + 1;
    atomic_store(&allowed, n);
    return n;
}

void thread_files_init(struct thread_files *f, pid_t pid, pid_t tid) {
    *f = (struct thread_files){.pid = pid,
                               .tid = tid,
                               .own = pid == getpid(),
                               .stat = -1,
                               .schedstat = -1,
                               .syscall = -1};
}

static void close_file(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        atomic_fetch_sub(&kept_files, 1);
    }
    *fd = -1;
}

void thread_files_done(struct thread_files *f) {
    close_file(&f->stat);
    close_file(&f->schedstat);
    close_file(&f->syscall);
}

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

/* The same through a file that stays open, while there are not too many of them. */
static ssize_t read_kept(struct thread_files *f, int *fd, const char *name, char *to, size_t room) {
    if (*fd < 0) {
        char path[80];
        snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int) f->pid, (int) f->tid, name);
        if (atomic_load(&kept_files) >= files_allowed())
            return read_small(path, to, room);
        *fd = open(path, O_RDONLY | O_CLOEXEC);
        if (*fd < 0)
            return -errno;
        atomic_fetch_add(&kept_files, 1);
    }
    ssize_t n = pread(*fd, to, room - 1, 0);
    if (n < 0) {
        n = -errno;
        close_file(fd);
        return n;
    }
    to[n] = 0;
    return n;
}

int thread_read_stat(struct thread_files *f, bool held, enum cpython_state *ret_state,
                     char ret_name[16]) {
    char text[512];

    if (read_kept(f, &f->stat, "stat", text, sizeof(text)) <= 0)
        return -ESRCH;
    char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (!begin || !end || end < begin || end[1] != ' ')
        return -ESRCH;
    size_t n = (size_t) (end - begin - 1);
    n = n > 15 ? 15 : n;
    memcpy(ret_name, begin + 1, n);
    ret_name[n] = 0;
    /* R runs; D waits for the disk, which profilers count as work; S, T, t and the rest wait */
    *ret_state = end[2] == 'R' || end[2] == 'D' || (held && end[2] == 't') ? CPYTHON_RUNNING
                                                                           : CPYTHON_SLEEPING;
    return 0;
}

/* The CPU clock of a thread of this process, by its id, as clock_getcpuclockid(3) makes it for a
 * process: a tenth of the price of reading a file. Never 0. */
static uint64_t own_clock(pid_t tid) {
    clockid_t clock = (clockid_t) (~(unsigned) tid << 3 | 6);
    struct timespec t;

    return clock_gettime(clock, &t) < 0
                   ? 0
                   : (uint64_t) (t.tv_sec * NS_PER_S + t.tv_nsec) + THREAD_CLOCK_AHEAD;
}

uint64_t thread_read_runs(struct thread_files *f) {
    if (f->own)
        return own_clock(f->tid);
    char text[128];
    ssize_t n = read_kept(f, &f->schedstat, "schedstat", text, sizeof(text));
    struct slice rest = slice_new(text, n > 0 ? (size_t) n : 0);
    uint64_t runs = 0;

    slice_cut(&rest, ' '); /* time on the processor, time waiting for it, times it got it */
    slice_cut(&rest, ' ');
    return slice_to_u64(slice_trim(rest), &runs) == 0 ? runs : 0;
}

/* "202 0x7f… 0x80 …" → 0x7f…; 0: it is not in that system call, or "running". */
static uint64_t futex_in(const char *text) {
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return 0;
    long call = strtol(text, &end, 10);
    return call == SYS_futex && strncmp(end, " 0x", 3) == 0 ? strtoull(end + 1, NULL, 16) : 0;
}

uint64_t thread_futex(struct thread_files *f) {
    char text[256];

    return read_kept(f, &f->syscall, "syscall", text, sizeof(text)) > 0 ? futex_in(text) : 0;
}

int thread_read_sleep(struct thread_files *f, enum cpython_state *ret_state, uint64_t *ret_futex) {
    char text[256];

    if (read_kept(f, &f->syscall, "syscall", text, sizeof(text)) <= 0)
        return -ENOENT;
    *ret_state = text[0] == 'r' ? CPYTHON_RUNNING : CPYTHON_SLEEPING; /* "running" */
    *ret_futex = futex_in(text);
    return 0;
}

bool thread_runs(struct thread_files *f) {
    char text[256];
    ssize_t n = read_kept(f, &f->syscall, "syscall", text, sizeof(text));

    return n > 0 && text[0] == 'r'; /* "running" */
}

bool thread_waits_at(struct thread_files *f, uint64_t from, uint64_t to) {
    uint64_t address = thread_futex(f);

    return address && address >= from && address < to;
}

/* struct pthread: glibc on x86-64, glibc on arm64, musl on x86-64 */
static const uint32_t id_places[] = {720, 208, 48};

pid_t thread_told_id(struct memory_reader *m, uint64_t pthread) {
    for (size_t i = 0; i < sizeof(id_places) / sizeof(id_places[0]); i++) {
        int32_t id[2] = {
                0}; /* glibc: the thread's, then the process' when it was older than 2.25 */
        if (memory_read(m, pthread + id_places[i], id, 4) == 0 && id[0] > 0 && id[0] <= PID_MOST)
            return id[0];
    }
    return 0;
}

/* The innermost of the ids in a status file's line NSpid, and how many there are. */
static pid_t inner_id(const char *status, unsigned *ret_n) {
    char text[4096], *at;
    pid_t id = 0;

    *ret_n = 0;
    if (read_small(status, text, sizeof(text)) <= 0 || !(at = strstr(text, "\nNSpid:")))
        return 0;
    at += 7;
    for (;;) {
        char *end;
        while (*at == '\t' || *at == ' ')
            at++;
        long value = strtol(at, &end, 10);
        if (end == at)
            return id;
        id = (pid_t) value;
        ++*ret_n;
        at = end;
    }
}

static void read_ids(struct namespaced_threads *n, pid_t pid) {
    char path[300];
    unsigned depth;

    n->items.n = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return;
    for (struct dirent *d; (d = readdir(tasks));) {
        uint64_t outer;
        if (slice_to_u64(slice_from(d->d_name), &outer) < 0 || outer > INT32_MAX)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int) pid, (int) outer);
        struct thread_ids ids = {.inner = inner_id(path, &depth), .outer = (pid_t) outer};
        if (ids.inner && vector_push(&n->items, ids, CPYTHON_THREADS_MAX) < 0)
            break;
    }
    closedir(tasks);
}

pid_t thread_outer_id(struct namespaced_threads *n, pid_t pid, pid_t told) {
    char path[64];
    unsigned depth;

    if (told <= 0)
        return 0;
    if (!n->known) {
        snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        inner_id(path, &depth);
        n->known = depth > 1 ? 2 : 1;
    }
    if (n->known == 1) {
        snprintf(path, sizeof(path), "/proc/%d/task/%d", (int) pid, (int) told);
        return access(path, F_OK) == 0 ? told : 0;
    }
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        vector_each(&n->items, ids) if (ids->inner == told) return ids->outer;
        int64_t now = clock_monotonic_ns();
        if (n->read_ns && now - n->read_ns < IDS_AGAIN_NS)
            return 0;
        n->read_ns = now;
        read_ids(n, pid);
    }
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
