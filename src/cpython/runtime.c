/*
 * Discovery: goes through the files mapped into the target (the executable, libpython*.so, then
 * every library), looks for the symbol _PyRuntime or the section .PyRuntime, and accepts a place
 * when an interpreter whose thread points back at it hangs there. When no file tells, as those that
 * were stripped of everything, the writable data of the files is searched for such a place.
 */
#include "cpython/runtime.h"
#include "cpython/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCAN_BYTES_MAX ((uint64_t) 64 << 20) /* of one mapping */
#define SCAN_AT_ONCE 65536u
#define SCAN_TRIES_MAX 200000u /* places that look like an interpreter's */
#define VERSION_TEXTS_MAX ((size_t) 8 << 20)

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
static bool self_test(struct memory_reader *m, uint64_t runtime, const struct cpython_offsets *o,
                      uint64_t *ret_interpreter) {
    uint64_t interpreter = 0, thread = 0, owner = 0;

    for (unsigned i = 0; i < 4; i++)
        if (memory_read_u64(m, runtime + o->runtime.interpreters_head, &interpreter) < 0 ||
            memory_read_u64(m, interpreter + o->interpreter.threads_head, &thread) < 0 ||
            memory_read_u64(m, thread + o->thread.interp, &owner) < 0 || owner != interpreter) {
            continue; /* it may have changed between two reads: look again */
        } else {
            *ret_interpreter = interpreter;
            return true;
        }
    return false;
}

static void set_version(struct cpython_runtime *r, unsigned minor, uint32_t hex) {
    if (hex)
        snprintf(r->version, sizeof(r->version), "3.%u.%u", minor, hex >> 8 & 0xff);
    else
        snprintf(r->version, sizeof(r->version), "3.%u", minor);
}

/* sys.hexversion, read as if the offsets were right; 0: not to be had (yet). */
static uint32_t hex_version(struct memory_reader *m, uint64_t interpreter,
                            const struct cpython_offsets *o) {
    struct arena texts;
    struct inspector in = {m, o, &texts};
    uint64_t value = 0;

    arena_init(&texts, VERSION_TEXTS_MAX);
    uint64_t number = dict_get(&in, module_dict(&in, interpreter, "sys"), "hexversion");
    if (!number || !int_value(&in, number, &value) || value >> 24 != 3)
        value = 0;
    arena_done(&texts);
    return (uint32_t) value;
}

/* Tries the table's rows; `minor` 0: whichever says of itself that it is that version. */
static int try_known(struct memory_reader *m, uint64_t address, unsigned minor, uint32_t hex,
                     struct cpython_runtime *ret) {
    uint64_t interpreter;

    for (unsigned known = 8; known <= 12; known++) {
        const struct cpython_offsets *o = cpython_offsets_known(known);
        if ((minor && minor != known) || !o || !self_test(m, address, o, &interpreter))
            continue;
        uint32_t says = hex ? hex : hex_version(m, interpreter, o);
        if (says ? (says >> 16 & 0xff) != known : !minor)
            continue;
        ret->offsets = *o;
        ret->address = address;
        set_version(ret, known, says);
        return 0;
    }
    return -ENOENT;
}

/* Tries `address` as _PyRuntime. 0; -ENOENT: it is not; -ENOTSUP: a version we do not know. */
static int try_runtime(struct memory_reader *m, uint64_t address, unsigned minor, uint32_t hex,
                       struct cpython_runtime *ret) {
    uint8_t head[CPYTHON_DEBUG_OFFSETS_MAX];
    uint64_t interpreter;

    if (memory_read(m, address, head, sizeof(head)) < 0)
        return -ENOENT;
    int r = cpython_offsets_parse(slice_new(head, sizeof(head)), &ret->offsets, &hex);
    if (r == -ENOTSUP || r == -EBADMSG)
        return -ENOTSUP;
    if (r == 0 && self_test(m, address, &ret->offsets, &interpreter)) {
        ret->address = address;
        set_version(ret, ret->offsets.minor, hex);
        return 0;
    }
    r = try_known(m, address, minor, hex, ret);
    return r < 0 && minor ? try_known(m, address, 0, 0, ret) : r; /* the name may lie */
}

static int try_file(const struct image *image, struct memory_reader *m,
                    const struct image_mapping *map, struct cpython_runtime *ret) {
    struct elf_file elf;
    uint64_t symbol, size, version_at;
    uint32_t hex = 0;

    if (image_open_file(image, map, &elf) < 0)
        return -ENOENT;
    uint64_t base = image_bias(map, &elf);
    int r = elf_find_symbol(&elf, "_PyRuntime", &symbol);
    if (r < 0)
        r = elf_find_section(&elf, ".PyRuntime", &symbol, &size);
    if (r == 0) {
        unsigned minor = version_in_name(map->path);
        if (elf_find_symbol(&elf, "Py_Version", &version_at) == 0 &&
            memory_read(m, base + version_at, &hex, sizeof(hex)) == 0 && hex >> 24 == 3)
            minor = hex >> 16 & 0xff;
        else
            hex = 0;
        r = try_runtime(m, base + symbol, minor, hex, ret);
        if (r == 0)
            snprintf(ret->path, sizeof(ret->path), "%s", map->path);
    }
    elf_close(&elf);
    return r;
}

/* ---- Binaries that tell nothing ---- */

struct scan {
    const struct image *image;
    struct memory_reader *memory;
    struct cpython_runtime *ret;
    unsigned tries;
};

/* Whether the word at `address` may be the head of a runtime's list of interpreters: 0, -ENOENT. */
static int try_word(struct scan *s, uint64_t address, uint64_t word) {
    const struct image_mapping *map = word & 7 ? NULL : image_find(s->image, word);

    if (!map || !map->writable || s->tries >= SCAN_TRIES_MAX)
        return -ENOENT;
    for (unsigned minor = 8; minor <= 12; minor++) {
        const struct cpython_offsets *o = cpython_offsets_known(minor);
        uint64_t thread = 0, owner = 0;
        s->tries++;
        if (memory_read_u64(s->memory, word + o->interpreter.threads_head, &thread) == 0 &&
            memory_read_u64(s->memory, thread + o->thread.interp, &owner) == 0 && owner == word &&
            try_known(s->memory, address - o->runtime.interpreters_head, 0, 0, s->ret) == 0)
            return 0;
    }
    return -ENOENT;
}

static int scan_mapping(struct scan *s, const struct image_mapping *map) {
    uint64_t end = map->end - map->start > SCAN_BYTES_MAX ? map->start + SCAN_BYTES_MAX : map->end;
    uint64_t *words = malloc(SCAN_AT_ONCE);
    int r = -ENOENT;

    for (uint64_t at = map->start; words && r == -ENOENT && at < end; at += SCAN_AT_ONCE) {
        size_t size = end - at < SCAN_AT_ONCE ? (size_t) (end - at) : SCAN_AT_ONCE;
        if (memory_read(s->memory, at, words, size) < 0)
            continue;
        for (size_t i = 0; r == -ENOENT && i < size / 8; i++)
            if (memcmp(&words[i], "xdebugpy", 8) == 0)
                r = try_runtime(s->memory, at + i * 8, 0, 0, s->ret);
            else if (words[i])
                r = try_word(s, at + i * 8, words[i]);
    }
    free(words);
    return r;
}

/* The writable data of files, with what follows it (zeroed data has no file behind it). */
static int scan(struct scan *s) {
    const struct image *image = s->image;
    int r = -ENOENT;

    for (size_t i = 0; r == -ENOENT && i < image->maps.n; i++) {
        const struct image_mapping *map = &image->maps.items[i], *before = i ? map - 1 : map;
        bool of_file = map->path[0] == '/',
             follows = i && !map->path[0] && before->path[0] == '/' && before->end == map->start;
        if (!map->writable || (!of_file && !follows))
            continue;
        r = scan_mapping(s, map);
        if (r == 0)
            snprintf(s->ret->path, sizeof(s->ret->path), "%s", of_file ? map->path : before->path);
    }
    return r;
}

/* ---- All of it ---- */

static bool is_library(const char *path) {
    return strstr(strrchr(path, '/'), ".so") != NULL;
}

/* Executables and libraries with Python in their name; or the other ones. */
static int try_files(const struct image *image, struct memory_reader *memory, bool others,
                     struct cpython_runtime *ret) {
    int found = -ENOENT;

    for (size_t i = 0; found == -ENOENT && i < image->maps.n; i++) {
        const struct image_mapping *map = &image->maps.items[i];
        if (!image_first_of_file(image, i))
            continue;
        bool usual = !is_library(map->path) || strstr(strrchr(map->path, '/'), "python");
        if (usual != others)
            found = try_file(image, memory, map, ret);
        if (found == -ENOTSUP)
            snprintf(ret->path, sizeof(ret->path), "%s", map->path);
    }
    return found;
}

int cpython_runtime_find(const struct image *image, struct memory_reader *memory,
                         enum runtime_search search, struct cpython_runtime *ret, struct error *e) {
    struct scan s = {.image = image, .memory = memory, .ret = ret};
    uint8_t byte;
    int access = image->maps.n ? memory_read(memory, image->maps.items[0].start, &byte, 1) : -EPERM;

    ret->path[0] = 0;
    if (access == -EPERM || access == -ESRCH)
        return cpython_explain_refusal(image->pid, access, e);
    int found = try_files(image, memory, false, ret);
    if (found == -ENOENT && search == RUNTIME_THOROUGH)
        found = try_files(image, memory, true, ret);
    if (found == -ENOENT && search == RUNTIME_THOROUGH)
        found = scan(&s);
    if (found == -ENOTSUP)
        return error_set(
                e, -ENOTSUP,
                "process %d runs a CPython whose layout is not known (known: 3.8 to 3.14): %s",
                (int) image->pid, ret->path);
    if (found < 0)
        return error_set(e, -ENOENT,
                         image->core ? "the core of process %d holds no CPython 3.8 to 3.14; the "
                                       "program's files must be where they were when it ran"
                                     : "process %d runs no CPython 3.8 to 3.14 (or it has not "
                                       "started yet)",
                         (int) image->pid);
    return 0;
}
