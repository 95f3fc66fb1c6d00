/* See target_file.h. */
#include "profile/target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATUS_BYTES_MAX 4096

struct identity {
    uid_t user;
    gid_t group;
};

/* The fourth of the numbers behind a name is that for files. */
static bool read_id(const char *status, const char *name, unsigned *ret) {
    const char *at = strstr(status, name);

    return at && sscanf(at + strlen(name), "%*u %*u %*u %u", ret) == 1;
}

static int read_identity(pid_t pid, struct identity *ret) {
    char path[64], text[STATUS_BYTES_MAX];

    snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return read_id(text, "\nUid:", &ret->user) && read_id(text, "\nGid:", &ret->group) ? 0 : -ESRCH;
}

/* Whether this thread's rights to files are the process's now, or no more than those. */
static bool become(const struct identity *id) {
    if (id->user == 0 || id->user == geteuid())
        return true;
    setfsgid(id->group);
    setfsuid(id->user);
    return (uid_t) setfsuid((uid_t) -1) == id->user;
}

static void become_oneself(void) {
    setfsuid(geteuid());
    setfsgid(getegid());
}

static bool anybody_reads(int fd) {
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IROTH);
}

static int open_root(pid_t pid) {
    char name[64];

    snprintf(name, sizeof(name), "/proc/%d/root", (int) pid);
    int fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int target_open_ended(const char *path) {
    int fd = path[0] == '/' ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

    if (fd < 0)
        return path[0] == '/' ? -errno : -EINVAL;
    if (geteuid() == 0 && !anybody_reads(fd)) {
        close(fd);
        return -EACCES;
    }
    return fd;
}

bool target_lives(pid_t pid) {
    int root = open_root(pid);

    if (root >= 0)
        close(root);
    return root >= 0;
}

int target_open(pid_t pid, const char *path) {
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    struct identity id;
    int r = path[0] == '/' ? read_identity(pid, &id) : -EINVAL;

    if (r < 0)
        return r;
    int root = open_root(pid);
    if (root < 0)
        return root;
    bool same_rights = become(&id);
    int fd = (int) syscall(SYS_openat2, root, path, &how, sizeof(how));
    r = fd < 0 ? -errno : fd;
    become_oneself();
    close(root);
    if (r >= 0 && !same_rights && !anybody_reads(r)) {
        close(r);
        return -EACCES;
    }
    return r;
}
