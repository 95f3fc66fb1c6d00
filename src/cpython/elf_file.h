/* Looking up one symbol or section in an ELF file. Pure but for reading the file; any thread. */
#ifndef VARAN_CPYTHON_ELF_H
#define VARAN_CPYTHON_ELF_H

#include "base/slice.h"

struct elf_file {
    struct slice bytes; /* mapped read-only */
    uint64_t load_bias; /* lowest virtual address of a loadable segment, page-aligned */
};

/* Maps the file: 0, a negative errno, -EBADMSG when it is no 64-bit little-endian ELF. */
int elf_open(const char *path, struct elf_file *ret);
void elf_close(struct elf_file *f);
/* The same over bytes in memory (for tests). */
int elf_parse(struct slice bytes, struct elf_file *ret);

/* Virtual address of a symbol in .dynsym, else .symtab: 0, -ENOENT, -EBADMSG. */
int elf_find_symbol(const struct elf_file *f, const char *name, uint64_t *ret_address);
/* Virtual address and size of a section. */
int elf_find_section(const struct elf_file *f, const char *name, uint64_t *ret_address,
                     uint64_t *ret_size);

#endif
