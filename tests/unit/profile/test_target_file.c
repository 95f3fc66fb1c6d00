/* Files of another process: its own view, its own rights, and no way to wait for ever. */
#include "../unit.h"

#include "profile/target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char folder[] = "/tmp/varan-target-XXXXXX";
static char secret[PATH_MAX], shown[PATH_MAX], fifo[PATH_MAX];

static void make_file(char path[PATH_MAX], const char *name, mode_t mode) {
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static int set_up(void **state) {
    if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
        return -1;
    make_file(secret, "secret", 0600);
    make_file(shown, "shown", 0644);
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    return mkfifo(fifo, 0644);
}

static int tear_down(void **state) {
    unlink(secret);
    unlink(shown);
    unlink(fifo);
    return rmdir(folder);
}

/* A process that does nothing, as `user` when not 0. */
static pid_t start(uid_t user) {
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (user && (setgid(user) < 0 || setuid(user) < 0))
            _exit(1);
        if (write(ready[1], "x", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    close(ready[1]); /* so that a child that ends is seen, too */
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void reads_what_the_process_may(void **state) {
    pid_t pid = start(0);
    int fd = target_open(pid, secret);

    assert_true(fd >= 0 || fd == -ENOSYS || fd == -EPERM); /* an old kernel, or forbidden here */
    if (fd >= 0) {
        close(fd);
        fd = target_open(pid, fifo); /* does not wait for a writer */
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(target_open(pid, "/proc/self/root/etc/passwd"), -ELOOP);
        assert_int_equal(target_open(pid, "/no/such/file"), -ENOENT);
        assert_true(target_open(pid, "relative.py") == -EINVAL);
    }
    end(pid);
    assert_true(target_open(pid, secret) < 0);
}

static void reads_nothing_that_it_may_not(void **state) {
    if (geteuid() != 0)
        return; /* nobody else's process can be read */
    pid_t pid = start(NOBODY);
    int fd = target_open(pid, shown);

    if (fd != -ENOSYS && fd != -EPERM) {
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(target_open(pid, secret), -EACCES);
        fd = open(secret, O_RDONLY); /* our own rights are what they were */
        assert_true(fd >= 0);
        close(fd);
    }
    end(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(reads_what_the_process_may),
            cmocka_unit_test(reads_nothing_that_it_may_not),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
