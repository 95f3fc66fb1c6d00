/*
 * A target's image: which files its memory is mapped from, and those files as it sees them. Of a
 * live process (/proc/PID/maps, files through /proc/PID/root, so containers work) or of a core
 * file. Internal to cpython/; one owner at a time.
 */
#ifndef VARAN_CPYTHON_IMAGE_H
#define VARAN_CPYTHON_IMAGE_H

#include "base/vector.h"
#include "cpython/core_file.h"
#include "cpython/elf_file.h"

#define IMAGE_MAPPINGS_MAX 65536u

struct image_mapping {
    uint64_t start, end, offset; /* of the file */
    bool writable;
    const char *path; /* "": none; "[heap]" */
};

struct image {
    pid_t pid;
    const struct core_file *core;      /* NULL: the process lives */
    VECTOR(struct image_mapping) maps; /* by address */
    struct arena texts;
};

/* Reads what is mapped: 0 or a negative errno (of opening /proc/PID/maps). image_done() in both
 * cases. */
int image_read(struct image *m, pid_t pid, const struct core_file *core);
void image_done(struct image *m);
/* Whether the mapping is of a file, and the first one of it. */
bool image_first_of_file(const struct image *m, size_t at);
/* Opens the file behind a mapping: 0 or -ENOENT. */
int image_open_file(const struct image *m, const struct image_mapping *map, struct elf_file *ret);
/* What to add to a virtual address of that file. */
uint64_t image_bias(const struct image_mapping *map, const struct elf_file *elf);
/* The mapping that an address lies in; NULL: none. */
const struct image_mapping *image_find(const struct image *m, uint64_t address);
/* Where a section lies, in the first file whose name holds `name` and which has it, or in the file
 * `or_path`. 0 or -ENOENT. */
int image_find_section(const struct image *m, const char *name, const char *or_path,
                       const char *section, uint64_t *ret_address);

#endif
