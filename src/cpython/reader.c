/* process_vm_readv() behind the reader's face. */
#include "cpython/reader.h"

#include <errno.h>
#include <sys/uio.h>

static int read_process(void *ctx, uint64_t address, void *to, size_t size) {
    struct iovec local = {to, size}, remote = {(void *) (uintptr_t) address, size};
    ssize_t n = process_vm_readv((pid_t) (intptr_t) ctx, &local, 1, &remote, 1, 0);

    if (n < 0)
        return -errno;
    return (size_t) n == size ? 0 : -EFAULT;
}

struct memory_reader memory_reader_process(pid_t pid) {
    return (struct memory_reader){.read = read_process, .ctx = (void *) (intptr_t) pid};
}

int memory_read(struct memory_reader *r, uint64_t address, void *to, size_t size) {
    r->reads++;
    int e = address ? r->read(r->ctx, address, to, size) : -EFAULT;
    if (e < 0)
        r->failed++;
    return e;
}
