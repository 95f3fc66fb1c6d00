/* Why another process cannot be read, and what to do about it: the one thing that helps. */
#include "cpython/runtime.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAP_SYS_PTRACE_BIT 19u

static bool read_text(const char *path, char *to, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t n = read(fd, to, room - 1);
    close(fd);
    to[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* Yama's kernel.yama.ptrace_scope; 0 where there is none. */
static int ptrace_scope(void) {
    char text[16];

    return read_text("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) ? text[0] - '0' : 0;
}

static bool may_trace(void) {
    char text[4096];
    unsigned long long set = 0;
    const char *at =
            read_text("/proc/self/status", text, sizeof(text)) ? strstr(text, "CapEff:") : NULL;

    return at && sscanf(at, "CapEff: %llx", &set) == 1 && set >> CAP_SYS_PTRACE_BIT & 1;
}

static int refused(pid_t pid, struct error *e) {
    char path[64];
    struct stat st;
    int scope = ptrace_scope();

    snprintf(path, sizeof(path), "/proc/%d", (int) pid);
    bool known = stat(path, &st) == 0;
    if (geteuid() != 0 && known && st.st_uid != geteuid())
        return error_set(e, -EPERM,
                         "no permission to read process %d: it belongs to user %u, and this is "
                         "user %u; run this command as that user, or with sudo",
                         (int) pid, (unsigned) st.st_uid, (unsigned) geteuid());
    if (scope >= 3)
        return error_set(e, -EPERM,
                         "no permission to read process %d: this system forbids it to everybody "
                         "until it is restarted (kernel.yama.ptrace_scope=3); a program that "
                         "'varan record -- PROGRAM' starts cannot be read either",
                         (int) pid);
    if (geteuid() == 0 || may_trace())
        return error_set(e, -EPERM,
                         "no permission to read process %d, although this is root: in a container "
                         "add the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE; "
                         "Kubernetes: securityContext.capabilities.add: [SYS_PTRACE])",
                         (int) pid);
    if (scope > 0)
        return error_set(e, -EPERM,
                         "no permission to read process %d: this system lets only root read other "
                         "processes (kernel.yama.ptrace_scope=%d); allow it with 'sudo sysctl "
                         "kernel.yama.ptrace_scope=0', run this command with sudo, or start the "
                         "program by 'varan record -- PROGRAM'",
                         (int) pid, scope);
    return error_set(e, -EPERM,
                     "no permission to read process %d: it is the same user's, but it was started "
                     "with more rights, or a container forbids it; run this command with sudo, in "
                     "a container add the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE)",
                     (int) pid);
}

int cpython_explain_refusal(pid_t pid, int r, struct error *e) {
    if (r == -ESRCH || r == -ENOENT)
        return error_set(e, -ESRCH, "there is no process %d", (int) pid);
    if (r == -EACCES || r == -EPERM)
        return refused(pid, e);
    return error_set(e, r, "cannot read process %d: %s", (int) pid, error_name(r));
}
