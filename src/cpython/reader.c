/* process_vm_readv() behind the reader's face. */
#include "cpython/reader.h"
#include "base/hot.h"

#include <errno.h>
#include <sys/uio.h>

static int read_process(void *ctx, uint64_t address, void *to, size_t size) {
    struct iovec local = {to, size}, remote = {(void *) (uintptr_t) address, size};
    ssize_t n = process_vm_readv((pid_t) (intptr_t) ctx, &local, 1, &remote, 1, 0);

    if (n < 0)
        return -errno;
    return (size_t) n == size ? 0 : -EFAULT;
}

#define FEW_PARTS 32u

/* With room for `n` parts in both lists, which are filled here. */
static HOT size_t read_lists(pid_t pid, const struct memory_part *parts, size_t n,
                             struct iovec *local, struct iovec *remote) {
    size_t done = 0, i = 0;

    do {
        local[i] = (struct iovec){parts[i].to, parts[i].size};
        remote[i] = (struct iovec){(void *) (uintptr_t) parts[i].address, parts[i].size};
    } while (++i < n);
    ssize_t size = process_vm_readv(pid, local, n, remote, n, 0);
    while (size > 0 && done < n && (size_t) size >= parts[done].size)
        size -= (ssize_t) parts[done++].size;
    return done;
}

static __attribute__((noinline)) size_t read_long_lists(pid_t pid, const struct memory_part *parts,
                                                        size_t n) {
    struct iovec local[MEMORY_PARTS_MAX], remote[MEMORY_PARTS_MAX];

    return read_lists(pid, parts, n, local, remote);
}

/* Few parts mostly, and then few pages of this thread's stack. */
static HOT size_t read_process_many(void *ctx, const struct memory_part *parts, size_t n) {
    pid_t pid = (pid_t) (intptr_t) ctx;
    struct iovec local[FEW_PARTS], remote[FEW_PARTS];

    if (n == 0)
        return 0;
    return n <= FEW_PARTS ? read_lists(pid, parts, n, local, remote)
                          : read_long_lists(pid, parts, n);
}

struct memory_reader memory_reader_process(pid_t pid) {
    return (struct memory_reader){
            .read = read_process, .read_many = read_process_many, .ctx = (void *) (intptr_t) pid};
}

int memory_read(struct memory_reader *r, uint64_t address, void *to, size_t size) {
    r->reads++;
    int e = address ? r->read(r->ctx, address, to, size) : -EFAULT;
    if (e < 0)
        r->failed++;
    return e;
}

HOT size_t memory_read_many(struct memory_reader *r, const struct memory_part *parts, size_t n) {
    size_t done = 0;

    while (done < n) {
        size_t most = n - done < MEMORY_PARTS_MAX ? n - done : MEMORY_PARTS_MAX, got = 0;
        if (r->read_many) {
            r->reads++;
            got = r->read_many(r->ctx, parts + done, most);
            r->failed += got < most;
        } else {
            while (got < most && memory_read(r, parts[done + got].address, parts[done + got].to,
                                             parts[done + got].size) == 0)
                got++;
        }
        done += got;
        if (got < most)
            break;
    }
    return done;
}
