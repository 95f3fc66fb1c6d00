/* /proc/PID/maps, or a core's segments with the file names of its note NT_FILE. */
#include "cpython/image.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define IMAGE_TEXTS_MAX ((size_t) 64 << 20)

static int add_line(struct image *m, const char *line) {
    unsigned long long start, end, offset;
    char rights[8];
    int at = 0;

    if (sscanf(line, "%llx-%llx %7s %llx %*s %*s %n", &start, &end, rights, &offset, &at) < 4)
        return 0;
    size_t n = at ? strcspn(line + at, "\n") : 0;
    struct image_mapping map = {
            .start = start, .end = end, .offset = offset, .writable = rights[1] == 'w', .path = ""};
    if (n > 0 && n < PATH_MAX)
        map.path = (const char *) arena_dup(&m->texts, slice_new(line + at, n)).data;
    return map.path ? vector_push(&m->maps, map, IMAGE_MAPPINGS_MAX) : -ENOMEM;
}

static int read_maps(struct image *m) {
    char name[64], *line = NULL;
    size_t room = 0;
    int r = 0;

    snprintf(name, sizeof(name), "/proc/%d/maps", (int) m->pid);
    FILE *maps = fopen(name, "re");
    if (!maps)
        return -errno;
    while (r == 0 && getline(&line, &room, maps) > 0)
        r = add_line(m, line);
    free(line);
    fclose(maps);
    return r == -ENOBUFS ? 0 : r;
}

static int take_core(struct image *m) {
    int r = 0;

    vector_each(&m->core->segments, s) {
        const struct core_mapped *file = core_file_mapped(m->core, s->address);
        struct image_mapping map = {.start = s->address,
                                    .end = s->address + s->size,
                                    .offset = file ? file->offset + (s->address - file->start) : 0,
                                    .writable = s->writable,
                                    .path = file ? file->path : ""};
        if (r == 0)
            r = vector_push(&m->maps, map, IMAGE_MAPPINGS_MAX);
    }
    return r == -ENOBUFS ? 0 : r;
}

int image_read(struct image *m, pid_t pid, const struct core_file *core) {
    *m = (struct image){.pid = pid, .core = core};
    arena_init(&m->texts, IMAGE_TEXTS_MAX);
    return core ? take_core(m) : read_maps(m);
}

void image_done(struct image *m) {
    vector_done(&m->maps);
    arena_done(&m->texts);
}

bool image_first_of_file(const struct image *m, size_t at) {
    const struct image_mapping *map = &m->maps.items[at];

    return map->path[0] == '/' && (at == 0 || strcmp(map[-1].path, map->path) != 0);
}

int image_open_file(const struct image *m, const struct image_mapping *map, struct elf_file *ret) {
    static const char deleted[] = " (deleted)";
    char path[PATH_MAX + 64], own[PATH_MAX];

    if (m->core)
        return elf_open(map->path, ret) < 0 ? -ENOENT : 0;
    snprintf(path, sizeof(path), "/proc/%d/root%s", (int) m->pid, map->path);
    if (elf_open(path, ret) == 0)
        return 0;
    /* deleted or replaced since: what is mapped can still be opened by its place (as root), the
     * executable always */
    snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int) m->pid,
             (unsigned long long) map->start, (unsigned long long) map->end);
    if (elf_open(path, ret) == 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int) m->pid);
    ssize_t n = readlink(path, own, sizeof(own) - 1);
    own[n > 0 ? n : 0] = 0;
    struct slice file = slice_from(map->path), exe = slice_from(own);
    if (slice_ends(file, slice_from(deleted)))
        file.size -= sizeof(deleted) - 1;
    if (slice_ends(exe, slice_from(deleted)))
        exe.size -= sizeof(deleted) - 1;
    return slice_equal(file, exe) && elf_open(path, ret) == 0 ? 0 : -ENOENT;
}

uint64_t image_bias(const struct image_mapping *map, const struct elf_file *elf) {
    return map->start - map->offset - elf->load_bias;
}

const struct image_mapping *image_find(const struct image *m, uint64_t address) {
    size_t low = 0, high = m->maps.n;

    while (low < high) {
        size_t at = low + (high - low) / 2;
        const struct image_mapping *map = &m->maps.items[at];
        if (address >= map->start && address < map->end)
            return map;
        if (address < map->start)
            high = at;
        else
            low = at + 1;
    }
    return NULL;
}

int image_find_section(const struct image *m, const char *name, const char *or_path,
                       const char *section, uint64_t *ret_address) {
    uint64_t address, size;
    struct elf_file elf;
    int r = -ENOENT;

    for (size_t i = 0; r < 0 && i < m->maps.n; i++) {
        const struct image_mapping *map = &m->maps.items[i];
        if (!image_first_of_file(m, i) ||
            (!strstr(strrchr(map->path, '/'), name) && strcmp(map->path, or_path) != 0))
            continue;
        if (image_open_file(m, map, &elf) < 0)
            continue;
        r = elf_find_section(&elf, section, &address, &size);
        if (r == 0)
            *ret_address = image_bias(map, &elf) + address;
        elf_close(&elf);
    }
    return r < 0 ? -ENOENT : 0;
}
