/* The lines are asked of the module's own file: nothing is looked for elsewhere. */
#include "profile/native_source.h"
#include "profile/target_file.h"

#include <dwarf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 10000u
#define FILES_BYTES_MAX ((size_t) 8 << 20)
#define TEXTS_BYTES_MAX ((size_t) 256 << 20)
#define FILE_BYTES_MAX (32 << 20)

void native_sources_init(struct native_sources *s, pid_t pid) {
    s->pid = pid;
    map_init(&s->files, FILES_MAX, FILES_BYTES_MAX);
    arena_init(&s->texts, TEXTS_BYTES_MAX);
}

void native_sources_done(struct native_sources *s) {
    map_each(&s->files, e) {
        struct native_marks *marks = e->pointer;
        if (marks)
            vector_done(marks);
    }
    map_done(&s->files);
    arena_done(&s->texts);
}

static struct slice read_text(struct native_sources *s, const char *path) {
    struct slice text = SLICE_EMPTY;
    struct stat st;
    int fd = target_open(s->pid, path);

    if (fd < 0)
        return text;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_BYTES_MAX) {
        uint8_t *data = arena_alloc(&s->texts, (size_t) st.st_size);
        ssize_t n = data ? read(fd, data, (size_t) st.st_size) : -1;
        if (n > 0)
            text = slice_new(data, (size_t) n);
    }
    close(fd);
    return text;
}

/* The marks of a C file, read once; NULL: it has none. */
static const struct native_marks *marks_of(struct native_sources *s, const char *path) {
    struct map_entry *e = map_get(&s->files, slice_from(path));

    if (e)
        return e->pointer;
    e = map_put(&s->files, slice_from(path), NULL);
    struct native_marks *marks = e ? arena_new(&s->texts, struct native_marks) : NULL;
    if (!marks)
        return NULL;
    *marks = (struct native_marks){0};
    e->pointer = marks;
    native_marks_read(read_text(s, path), marks); /* what was read until a limit stands */
    return marks;
}

/* Cython was given the file's name relative to where it ran: mostly beside the C file or above. */
static const char *find_pyx(struct native_sources *s, const char *c_file, struct slice name) {
    char path[PATH_MAX];
    size_t folder = (size_t) (strrchr(c_file, '/') - c_file);

    while (name.data[0] != '/') {
        int n = snprintf(path, sizeof(path), "%.*s/%.*s", (int) folder, c_file, (int) name.size,
                         (const char *) name.data);
        int fd = n < (int) sizeof(path) ? target_open(s->pid, path) : -1;
        if (fd >= 0) {
            close(fd);
            return (const char *) arena_dup(&s->texts, slice_from(path)).data;
        }
        while (folder && c_file[--folder] != '/')
            ;
        if (!folder)
            break;
    }
    return (const char *) arena_dup(&s->texts, name).data;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);

    return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* What one row of the line table tells. */
static bool source_of(struct native_sources *s, const char *file, int line, const char **ret_file,
                      int *ret_line) {
    if (file[0] != '/')
        return false;
    if (ends_with(file, ".pyx") || ends_with(file, ".pxd") || ends_with(file, ".py")) {
        *ret_file = (const char *) arena_dup(&s->texts, slice_from(file)).data;
        *ret_line = line;
        return *ret_file != NULL;
    }
    const struct native_marks *marks = marks_of(s, file);
    const struct native_mark *mark = marks ? native_mark_before(marks, (unsigned) line) : NULL;
    if (!mark || !mark->line)
        return false;
    *ret_file = find_pyx(s, file, mark->file);
    *ret_line = (int) mark->line;
    return *ret_file != NULL;
}

static Dwarf_Word number_of(Dwarf_Die *die, unsigned attribute) {
    Dwarf_Attribute a;
    Dwarf_Word value = 0;

    return dwarf_formudata(dwarf_attr(die, attribute, &a), &value) == 0 ? value : 0;
}

/* What was inlined there, from the inside out: the line that called it, until one is known. */
static bool source_of_caller(struct native_sources *s, Dwfl_Module *module, uint64_t pc,
                             const char **ret_file, int *ret_line) {
    Dwarf_Addr bias;
    Dwarf_Die *unit = dwfl_module_addrdie(module, pc, &bias), *around = NULL, *chain = NULL;
    Dwarf_Files *files;
    bool found = false;
    int n = -1;

    if (unit && dwarf_getsrcfiles(unit, &files, NULL) == 0 &&
        dwarf_getscopes(unit, pc - bias, &around) > 0)
        n = dwarf_getscopes_die(&around[0], &chain);
    for (int i = 0; i < n && !found; i++) {
        if (dwarf_tag(&chain[i]) != DW_TAG_inlined_subroutine)
            continue;
        const char *file = dwarf_filesrc(files, number_of(&chain[i], DW_AT_call_file), NULL, NULL);
        Dwarf_Word line = number_of(&chain[i], DW_AT_call_line);
        found = file && line && line < NATIVE_LINE_MAX &&
                source_of(s, file, (int) line, ret_file, ret_line);
    }
    free(chain);
    free(around);
    return found;
}

bool native_source_at(struct native_sources *s, Dwfl_Module *module, uint64_t pc,
                      const char **ret_file, int *ret_line) {
    Dwfl_Line *row = dwfl_module_getsrc(module, pc);
    int line = 0;
    const char *file = row ? dwfl_lineinfo(row, NULL, &line, NULL, NULL, NULL) : NULL;

    if (file && line > 0 && source_of(s, file, line, ret_file, ret_line))
        return true;
    return source_of_caller(s, module, pc, ret_file, ret_line);
}
