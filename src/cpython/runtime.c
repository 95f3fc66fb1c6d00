/*
 * Discovery: goes through the files mapped into the process (the executable, libpython*.so), looks
 * for the symbol _PyRuntime or the section .PyRuntime, and accepts a place when an interpreter
 * whose thread points back at it hangs there. Files are opened through /proc/PID/root, so
 * containers work.
 */
#include "cpython/runtime.h"
#include "cpython/elf_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAPS_MAX 65536u

struct mapped {
    char path[PATH_MAX];
    uint64_t start, offset;
};

/* Parses one line of /proc/PID/maps that maps a file; false: it maps none. */
static bool parse_map(const char *line, struct mapped *ret) {
    unsigned long long start, end, offset;
    int at = 0;

    if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &start, &end, &offset, &at) < 3 || !at ||
        line[at] != '/')
        return false;
    size_t n = strcspn(line + at, "\n");
    if (n >= sizeof(ret->path))
        return false;
    memcpy(ret->path, line + at, n);
    ret->path[n] = 0;
    ret->start = start;
    ret->offset = offset;
    return true;
}

/* Minor version out of a name such as python3.11, libpython3.8.so.1.0: 0 when there is none. */
static unsigned version_in_name(const char *path) {
    for (const char *p = path; (p = strstr(p, "python3.")); p += 8) {
        char *end;
        unsigned long minor = strtoul(p + 8, &end, 10);
        if (end != p + 8 && minor < 100)
            return (unsigned) minor;
    }
    return 0;
}

/* Whether an interpreter's state hangs at this runtime: its first thread belongs to it. */
static bool self_test(struct memory_reader *m, uint64_t runtime, const struct cpython_offsets *o) {
    uint64_t interpreter = 0, thread = 0, owner = 0;

    for (unsigned i = 0; i < 4; i++)
        if (memory_read_u64(m, runtime + o->runtime.interpreters_head, &interpreter) < 0 ||
            memory_read_u64(m, interpreter + o->interpreter.threads_head, &thread) < 0 ||
            memory_read_u64(m, thread + o->thread.interp, &owner) < 0 || owner != interpreter)
            continue; /* it may have changed between two reads: look again */
        else
            return true;
    return false;
}

static void set_version(struct cpython_runtime *r, unsigned minor, uint32_t hex) {
    if (hex)
        snprintf(r->version, sizeof(r->version), "3.%u.%u", minor, hex >> 8 & 0xff);
    else
        snprintf(r->version, sizeof(r->version), "3.%u", minor);
}

/* Tries `address` as _PyRuntime. 0; -ENOENT: it is not; -ENOTSUP: a version we do not know. */
static int try_runtime(struct memory_reader *m, uint64_t address, unsigned minor, uint32_t hex,
                       struct cpython_runtime *ret) {
    uint8_t head[CPYTHON_DEBUG_OFFSETS_MAX];

    if (memory_read(m, address, head, sizeof(head)) < 0)
        return -ENOENT;
    int r = cpython_offsets_parse(slice_new(head, sizeof(head)), &ret->offsets, &hex);
    if (r == -ENOTSUP || r == -EBADMSG)
        return -ENOTSUP;
    if (r == 0 && self_test(m, address, &ret->offsets)) {
        ret->address = address;
        set_version(ret, ret->offsets.minor, hex);
        return 0;
    }
    for (unsigned known = 8; known <= 12; known++) {
        const struct cpython_offsets *o = cpython_offsets_known(known);
        if ((minor && minor != known) || !o || !self_test(m, address, o))
            continue;
        ret->offsets = *o;
        ret->address = address;
        set_version(ret, known, hex);
        return 0;
    }
    return -ENOENT;
}

/* Opens a file as the target sees it. */
static int open_mapped(pid_t pid, const char *name, struct elf_file *ret) {
    char path[PATH_MAX + 64];

    snprintf(path, sizeof(path), "/proc/%d/root%s", (int) pid, name);
    if (elf_open(path, ret) == 0)
        return 0;
    /* deleted or replaced since: the executable itself is still to be had */
    snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
    return elf_open(path, ret) < 0 ? -ENOENT : 0;
}

static int try_file(pid_t pid, struct memory_reader *m, const struct mapped *map,
                    struct cpython_runtime *ret) {
    struct elf_file elf;
    uint64_t symbol, size, version_at;
    uint32_t hex = 0;

    if (open_mapped(pid, map->path, &elf) < 0)
        return -ENOENT;
    uint64_t base = map->start - map->offset - elf.load_bias;
    int r = elf_find_symbol(&elf, "_PyRuntime", &symbol);
    if (r < 0)
        r = elf_find_section(&elf, ".PyRuntime", &symbol, &size);
    if (r == 0) {
        unsigned minor = version_in_name(map->path);
        if (elf_find_symbol(&elf, "Py_Version", &version_at) == 0 &&
            memory_read(m, base + version_at, &hex, sizeof(hex)) == 0 && hex >> 24 == 3)
            minor = hex >> 16 & 0xff;
        r = try_runtime(m, base + symbol, minor, hex, ret);
        if (r == 0)
            memcpy(ret->path, map->path, sizeof(ret->path));
    }
    elf_close(&elf);
    return r;
}

int cpython_find_section(pid_t pid, const char *name, const char *or_path, const char *section,
                         uint64_t *ret_address) {
    char maps_path[64], *line = NULL;
    size_t room = 0;
    struct mapped map, last = {0};
    int found = -ENOENT;
    unsigned lines = 0;

    snprintf(maps_path, sizeof(maps_path), "/proc/%d/maps", (int) pid);
    FILE *maps = fopen(maps_path, "re");
    if (!maps)
        return -ENOENT;
    while (found < 0 && lines++ < MAPS_MAX && getline(&line, &room, maps) > 0) {
        struct elf_file elf;
        uint64_t address, size;
        if (!parse_map(line, &map) || strcmp(map.path, last.path) == 0)
            continue;
        last = map;
        if ((!strstr(strrchr(map.path, '/'), name) && strcmp(map.path, or_path) != 0) ||
            open_mapped(pid, map.path, &elf) < 0)
            continue;
        found = elf_find_section(&elf, section, &address, &size);
        if (found == 0)
            *ret_address = map.start - map.offset - elf.load_bias + address;
        elf_close(&elf);
    }
    free(line);
    fclose(maps);
    return found < 0 ? -ENOENT : 0;
}

static int explain(pid_t pid, int r, struct error *e) {
    if (r == -ESRCH || r == -ENOENT)
        return error_set(e, -ESRCH, "there is no process %d", (int) pid);
    if (r == -EACCES || r == -EPERM)
        return error_set(
                e, -EPERM,
                "no permission to read process %d: run as the same user; if it is the same "
                "user, allow it with 'sudo sysctl kernel.yama.ptrace_scope=0' or run this "
                "command with sudo; in a container, add the capability SYS_PTRACE "
                "(docker run --cap-add SYS_PTRACE)",
                (int) pid);
    return error_set(e, r, "cannot read process %d: %s", (int) pid, error_name(r));
}

int cpython_runtime_find(pid_t pid, struct memory_reader *memory, struct cpython_runtime *ret,
                         struct error *e) {
    char name[64], *line = NULL;
    size_t room = 0;
    struct mapped map, last = {0};
    int found = -ENOENT;
    unsigned lines = 0;

    snprintf(name, sizeof(name), "/proc/%d/maps", (int) pid);
    FILE *maps = fopen(name, "re");
    if (!maps)
        return explain(pid, -errno, e);
    uint64_t probed = 0;
    uint8_t byte;
    int access = 0;
    while (found < 0 && lines++ < MAPS_MAX && getline(&line, &room, maps) > 0) {
        if (!parse_map(line, &map) || strcmp(map.path, last.path) == 0)
            continue;
        last = map;
        if (!probed) {
            probed = map.start;
            access = memory_read(memory, probed, &byte, 1);
            if (access == -EPERM || access == -ESRCH)
                break;
        }
        const char *base = strrchr(map.path, '/');
        bool library = strstr(base, ".so") != NULL;
        if (library && !strstr(base, "python"))
            continue;
        int r = try_file(pid, memory, &map, ret);
        if (r != -ENOENT)
            found = r;
        if (r == -ENOTSUP)
            break;
    }
    bool empty = lines <= 1;
    free(line);
    fclose(maps);
    if (access == -EPERM || access == -ESRCH)
        return explain(pid, access, e);
    if (found == -ENOTSUP)
        return error_set(
                e, -ENOTSUP,
                "process %d runs a CPython whose layout is not known (known: 3.8 to 3.14): %s",
                (int) pid, last.path);
    if (found < 0 && empty)
        return explain(pid, -EPERM, e);
    if (found < 0)
        return error_set(e, -ENOENT,
                         "process %d runs no CPython 3.8 to 3.14 (or it has not started yet)",
                         (int) pid);
    return 0;
}
