/* Notes as <sys/procfs.h> and the kernel's fs/binfmt_elf.c lay them out, 64-bit. */
#include "cpython/core_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CORE_BYTES_MAX (UINT64_C(1) << 42)
#define NOTES_BYTES_MAX ((uint64_t) 256 << 20)
#define STATUS_SIGNAL 12u /* struct elf_prstatus: pr_cursig */
#define STATUS_PID 32u
#define STATUS_REGISTERS 112u /* struct user_regs_struct, x86-64: */
#define REGISTER_RDI 14u
#define REGISTER_ORIG_RAX 15u
#define INFO_PID 24u /* struct elf_prpsinfo */
#define INFO_NAME 40u
#define NAME_BYTES 16u

static const uint8_t *at(struct slice bytes, uint64_t offset, uint64_t size) {
    return offset > bytes.size || size > bytes.size - offset ? NULL : bytes.data + offset;
}

static uint64_t u64_at(struct slice s, size_t place) {
    return field_u64(s.data, s.size, (uint32_t) place);
}

/* NT_FILE: count, page size, then (start, end, offset in pages) of each, then their names. */
static int take_files(struct core_file *c, struct slice note) {
    uint64_t n = u64_at(note, 0), page = u64_at(note, 8);

    if (n > CORE_SEGMENTS_MAX || note.size < 16 + n * 24)
        return -EBADMSG;
    struct slice names = slice_skip(note, 16 + n * 24);
    for (uint64_t i = 0; i < n; i++) {
        size_t row = 16 + (size_t) i * 24;
        const uint8_t *end = names.size ? memchr(names.data, 0, names.size) : NULL;
        if (!end)
            return -EBADMSG;
        struct core_mapped f = {.start = u64_at(note, row),
                                .end = u64_at(note, row + 8),
                                .offset = u64_at(note, row + 16) * page,
                                .path = (const char *) names.data,
                                .fd = -1};
        names = slice_skip(names, (size_t) (end + 1 - names.data));
        bool sorted = !c->files.n || c->files.items[c->files.n - 1].end <= f.start;
        if (f.start >= f.end || !sorted || f.path[0] != '/')
            continue;
        int r = vector_push(&c->files, f, CORE_SEGMENTS_MAX);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_note(struct core_file *c, uint32_t type, struct slice note) {
    if (type == NT_PRSTATUS && note.size >= STATUS_PID + 4) {
        if (!c->threads.n)
            c->signal = (int) (field_u32(note.data, note.size, STATUS_SIGNAL) & 0xffff);
        struct core_thread t = {.id = (pid_t) field_u32(note.data, note.size, STATUS_PID)};
#ifdef __x86_64__
        if (u64_at(note, STATUS_REGISTERS + 8 * REGISTER_ORIG_RAX) == SYS_futex)
            t.futex = u64_at(note, STATUS_REGISTERS + 8 * REGISTER_RDI);
#endif
        int r = t.id > 0 ? vector_push(&c->threads, t, CORE_THREADS_MAX) : 0;
        return r == -ENOBUFS ? 0 : r;
    }
    if (type == NT_PRPSINFO && note.size >= INFO_NAME + NAME_BYTES) {
        c->pid = (pid_t) field_u32(note.data, note.size, INFO_PID);
        memcpy(c->program, note.data + INFO_NAME, NAME_BYTES);
    }
    return type == NT_FILE ? take_files(c, note) : 0;
}

static int take_notes(struct core_file *c, struct slice notes) {
    while (notes.size >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr h;
        memcpy(&h, notes.data, sizeof(h));
        uint64_t name = ((uint64_t) h.n_namesz + 3) & ~UINT64_C(3),
                 data = ((uint64_t) h.n_descsz + 3) & ~UINT64_C(3);
        if (sizeof(h) + name + h.n_descsz > notes.size)
            return -EBADMSG;
        struct slice note = slice_new(notes.data + sizeof(h) + name, h.n_descsz);
        int r = h.n_namesz == 5 && memcmp(notes.data + sizeof(h), "CORE", 5) == 0
                        ? take_note(c, h.n_type, note)
                        : 0;
        if (r < 0)
            return r;
        notes = slice_skip(notes, sizeof(h) + name + data);
    }
    return 0;
}

static int take_segment(struct core_file *c, const Elf64_Phdr *p) {
    struct core_segment s = {.address = p->p_vaddr,
                             .size = p->p_memsz,
                             .offset = p->p_offset,
                             .in_file = p->p_filesz < p->p_memsz ? p->p_filesz : p->p_memsz,
                             .writable = p->p_flags & PF_W};

    if (!s.size || s.address + s.size < s.address ||
        (c->segments.n &&
         c->segments.items[c->segments.n - 1].address + c->segments.items[c->segments.n - 1].size >
                 s.address))
        return 0; /* empty, or not in order, as no writer makes them */
    if (s.offset > c->bytes.size)
        s.in_file = 0; /* the core was cut off */
    else if (s.in_file > c->bytes.size - s.offset)
        s.in_file = c->bytes.size - s.offset;
    return vector_push(&c->segments, s, CORE_SEGMENTS_MAX);
}

static int parse(struct core_file *c) {
    Elf64_Ehdr h;
    int r = 0;

    if (c->bytes.size < sizeof(h))
        return -EBADMSG;
    memcpy(&h, c->bytes.data, sizeof(h));
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
        h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_type != ET_CORE ||
        h.e_phentsize != sizeof(Elf64_Phdr))
        return -EBADMSG;
    for (unsigned i = 0; r == 0 && i < h.e_phnum; i++) {
        Elf64_Phdr p;
        const uint8_t *raw = at(c->bytes, h.e_phoff + i * sizeof(p), sizeof(p));
        if (!raw)
            return -EBADMSG;
        memcpy(&p, raw, sizeof(p));
        const uint8_t *notes = p.p_type == PT_NOTE && p.p_filesz <= NOTES_BYTES_MAX
                                       ? at(c->bytes, p.p_offset, p.p_filesz)
                                       : NULL;
        if (p.p_type == PT_LOAD)
            r = take_segment(c, &p);
        else if (notes)
            r = take_notes(c, slice_new(notes, p.p_filesz));
    }
    return r == 0 && !c->segments.n ? -EBADMSG : r;
}

int core_file_parse(struct slice bytes, struct core_file **ret) {
    struct core_file *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->bytes = bytes;
    int r = parse(c);
    if (r < 0) {
        core_file_close(c);
        return r;
    }
    if (!c->pid && c->threads.n)
        c->pid = c->threads.items[0].id;
    *ret = c;
    return 0;
}

void core_file_close(struct core_file *c) {
    if (!c)
        return;
    vector_each(&c->files, f) {
        if (f->fd >= 0)
            close(f->fd);
    }
    vector_done(&c->segments);
    vector_done(&c->files);
    vector_done(&c->threads);
    if (c->mapped)
        munmap((void *) (uintptr_t) c->bytes.data, c->bytes.size);
    free(c);
}

int core_file_open(const char *path, struct core_file **ret, struct error *e) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_set(e, -errno, "cannot read %s: %s", path, error_name(-errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t) sizeof(Elf64_Ehdr) ||
        (uint64_t) st.st_size > CORE_BYTES_MAX) {
        close(fd);
        return error_set(e, -EBADMSG, "%s is no core file", path);
    }
    void *bytes = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int saved = errno;
    close(fd);
    if (bytes == MAP_FAILED)
        return error_set(e, -saved, "cannot read %s: %s", path, error_name(-saved));
    int r = core_file_parse(slice_new(bytes, (size_t) st.st_size), ret);
    if (r < 0) {
        munmap(bytes, (size_t) st.st_size);
        return error_set(e, r,
                         r == -EBADMSG ? "%s is no core file of a 64-bit little-endian program"
                                       : "%s: out of memory",
                         path);
    }
    (*ret)->mapped = true;
    /* opened here, so that reading changes nothing; the program's files, as far as they are there
     */
    vector_each(&(*ret)->files, f) f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
    return 0;
}

const struct core_mapped *core_file_mapped(const struct core_file *c, uint64_t address) {
    size_t low = 0, high = c->files.n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct core_mapped *f = &c->files.items[middle];
        if (address >= f->start && address < f->end)
            return f;
        if (address < f->start)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool core_file_has_thread(const struct core_file *c, pid_t thread) {
    vector_each(&c->threads, t) if (t->id == thread) return true;
    return false;
}

uint64_t core_file_waits_at(const struct core_file *c, pid_t thread) {
    vector_each(&c->threads, t) if (t->id == thread) return t->futex;
    return 0;
}

/* ---- Reading ---- */

static const struct core_segment *segment_of(const struct core_file *c, uint64_t address) {
    size_t low = 0, high = c->segments.n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct core_segment *s = &c->segments.items[middle];
        if (address >= s->address && address - s->address < s->size)
            return s;
        if (address < s->address)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Bytes at `address`, at most `size`, out of one place: how many; 0: not to be had. */
static size_t read_piece(const struct core_file *c, uint64_t address, uint8_t *to, size_t size) {
    const struct core_segment *s = segment_of(c, address);
    const struct core_mapped *f = core_file_mapped(c, address);
    uint64_t into = s ? address - s->address : 0;

    if (s && into < s->in_file) {
        size_t n = size < s->in_file - into ? size : (size_t) (s->in_file - into);
        memcpy(to, c->bytes.data + s->offset + into, n);
        return n;
    }
    if (!f || f->fd < 0)
        return 0;
    size_t n = size < f->end - address ? size : (size_t) (f->end - address);
    ssize_t got = pread(f->fd, to, n, (off_t) (f->offset + (address - f->start)));
    return got > 0 ? (size_t) got : 0;
}

static int read_core(void *ctx, uint64_t address, void *to, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t n = read_piece(ctx, address + done, (uint8_t *) to + done, size - done);
        if (!n)
            return -EFAULT;
        done += n;
    }
    return 0;
}

struct memory_reader memory_reader_core(const struct core_file *c) {
    return (struct memory_reader){.read = read_core, .ctx = (void *) (uintptr_t) c};
}
