/* ELF64 little-endian: program headers, sections, symbols. Every offset is checked against the
 * file. */
#include "cpython/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ELF_BYTES_MAX (1ull << 31)
#define ELF_SECTIONS_MAX 4096u

static const void *at(const struct elf_file *f, uint64_t offset, uint64_t size) {
    if (offset > f->bytes.size || size > f->bytes.size - offset)
        return NULL;
    return f->bytes.data + offset;
}

/* The same for a table of structures, which must be aligned. */
static const void *table_at(const struct elf_file *f, uint64_t offset, uint64_t size) {
    const void *table = at(f, offset, size);

    return ((uintptr_t) table & 7) == 0 ? table : NULL;
}

static const char *text_at(const struct elf_file *f, const Elf64_Shdr *strings, uint32_t offset) {
    if (offset >= strings->sh_size || !at(f, strings->sh_offset, strings->sh_size))
        return NULL;
    const char *text = (const char *) f->bytes.data + strings->sh_offset + offset;
    return memchr(text, 0, strings->sh_size - offset) ? text : NULL;
}

int elf_parse(struct slice bytes, struct elf_file *ret) {
    struct elf_file f = {.bytes = bytes, .load_bias = UINT64_MAX};
    const Elf64_Ehdr *h = table_at(&f, 0, sizeof(*h));

    if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
        h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_phentsize != sizeof(Elf64_Phdr))
        return -EBADMSG;
    const Elf64_Phdr *p = table_at(&f, h->e_phoff, (uint64_t) h->e_phnum * sizeof(*p));
    if (!p)
        return -EBADMSG;
    for (unsigned i = 0; i < h->e_phnum; i++)
        if (p[i].p_type == PT_LOAD && (p[i].p_vaddr & ~0xfffull) < f.load_bias)
            f.load_bias = p[i].p_vaddr & ~0xfffull;
    if (f.load_bias == UINT64_MAX)
        return -EBADMSG;
    *ret = f;
    return 0;
}

int elf_open(const char *path, struct elf_file *ret) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t) sizeof(Elf64_Ehdr) ||
        (uint64_t) st.st_size > ELF_BYTES_MAX) {
        close(fd);
        return -EBADMSG;
    }
    void *p = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return -errno;
    int r = elf_parse(slice_new(p, (size_t) st.st_size), ret);
    if (r < 0)
        munmap(p, (size_t) st.st_size);
    return r;
}

void elf_close(struct elf_file *f) {
    if (f->bytes.data)
        munmap((void *) (uintptr_t) f->bytes.data, f->bytes.size);
    f->bytes = SLICE_EMPTY;
}

static const Elf64_Shdr *sections(const struct elf_file *f, unsigned *ret_n) {
    const Elf64_Ehdr *h = table_at(f, 0, sizeof(*h));

    if (!h || h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shnum > ELF_SECTIONS_MAX)
        return NULL;
    *ret_n = h->e_shnum;
    return table_at(f, h->e_shoff, (uint64_t) h->e_shnum * sizeof(Elf64_Shdr));
}

static int find_in(const struct elf_file *f, const Elf64_Shdr *all, unsigned n,
                   const Elf64_Shdr *table, const char *name, uint64_t *ret) {
    const Elf64_Sym *symbols = table_at(f, table->sh_offset, table->sh_size);

    if (!symbols || table->sh_link >= n || table->sh_entsize != sizeof(*symbols))
        return -EBADMSG;
    for (uint64_t i = 0; i < table->sh_size / sizeof(*symbols); i++) {
        const char *text = symbols[i].st_shndx == SHN_UNDEF
                                   ? NULL
                                   : text_at(f, &all[table->sh_link], symbols[i].st_name);
        if (text && strcmp(text, name) == 0) {
            *ret = symbols[i].st_value;
            return 0;
        }
    }
    return -ENOENT;
}

int elf_find_symbol(const struct elf_file *f, const char *name, uint64_t *ret_address) {
    static const uint32_t kinds[] = {SHT_DYNSYM, SHT_SYMTAB};
    unsigned n;
    const Elf64_Shdr *all = sections(f, &n);

    if (!all)
        return -EBADMSG;
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned i = 0; i < n; i++)
            if (all[i].sh_type == kinds[kind] &&
                find_in(f, all, n, &all[i], name, ret_address) == 0)
                return 0;
    return -ENOENT;
}

int elf_find_section(const struct elf_file *f, const char *name, uint64_t *ret_address,
                     uint64_t *ret_size) {
    unsigned n;
    const Elf64_Shdr *all = sections(f, &n);
    const Elf64_Ehdr *h = table_at(f, 0, sizeof(*h));

    if (!all || !h || h->e_shstrndx >= n)
        return -EBADMSG;
    for (unsigned i = 0; i < n; i++) {
        const char *text = text_at(f, &all[h->e_shstrndx], all[i].sh_name);
        if (text && strcmp(text, name) == 0 && all[i].sh_addr) {
            *ret_address = all[i].sh_addr;
            *ret_size = all[i].sh_size;
            return 0;
        }
    }
    return -ENOENT;
}
