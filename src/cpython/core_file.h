/*
 * Core files (ELF64 little-endian, as Linux and gcore write them): memory, threads, and the files
 * that were mapped. Pages that are not in the core are read from those files, which must be the
 * ones that the program ran with. Everything in it is untrusted. Any thread may read.
 */
#ifndef VARAN_CPYTHON_CORE_FILE_H
#define VARAN_CPYTHON_CORE_FILE_H

#include "base/error.h"
#include "base/vector.h"
#include "cpython/reader.h"

#define CORE_SEGMENTS_MAX 65536u
#define CORE_THREADS_MAX 65536u

struct core_segment {
    uint64_t address, size;   /* in memory */
    uint64_t offset, in_file; /* bytes of it that the core holds */
    bool writable;
};

struct core_thread {
    pid_t id;
    uint64_t futex; /* where it slept; 0: it did not, or that is not known of this processor */
};

struct core_mapped {
    uint64_t start, end, offset;
    const char *path; /* inside the core's bytes */
    int fd;           /* -1: not opened, or not there */
};

struct core_file {
    struct slice bytes;
    bool mapped;                          /* the bytes are ours */
    VECTOR(struct core_segment) segments; /* by address */
    VECTOR(struct core_mapped) files;     /* by address */
    VECTOR(struct core_thread) threads;   /* the one that ended the process first */
    pid_t pid;
    int signal;       /* that ended it; 0: not told */
    char program[17]; /* the kernel's name of it */
};

/* 0; a negative errno with a sentence. */
int core_file_open(const char *path, struct core_file **ret, struct error *e);
void core_file_close(struct core_file *c);
/* The same over bytes in memory that outlive it (for tests): 0, -EBADMSG, -ENOMEM. */
int core_file_parse(struct slice bytes, struct core_file **ret);
/* The file that was mapped at an address; NULL: none. */
const struct core_mapped *core_file_mapped(const struct core_file *c, uint64_t address);
bool core_file_has_thread(const struct core_file *c, pid_t thread);
/* Where the thread slept in a futex; 0: it did not. */
uint64_t core_file_waits_at(const struct core_file *c, pid_t thread);
/* A reader over the core's memory; `c` must outlive it. */
struct memory_reader memory_reader_core(const struct core_file *c);

#endif
