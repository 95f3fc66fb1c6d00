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

/* The scopes around that address from the inside out, to be freed; their number. */
static int scopes_at(Dwarf_Die *unit, uint64_t address, Dwarf_Die **ret) {
    Dwarf_Die *around = NULL;
    int n = 0;

    if (dwarf_getscopes(unit, address, &around) > 0)
        n = dwarf_getscopes_die(&around[0], ret);
    free(around);
    return n > 0 ? n : 0;
}

static bool spot_of(struct native_sources *s, Dwarf_Files *files, const char *file, Dwarf_Word line,
                    Dwarf_Die *function, struct native_spot *ret) {
    *ret = (struct native_spot){0};
    if (!file || !line || line >= NATIVE_LINE_MAX ||
        !source_of(s, file, (int) line, &ret->file, &ret->line))
        return false;
    const char *first_file = NULL, *of = NULL;
    Dwarf_Attribute a;
    Dwarf_Word index = 0, first = 0;
    if (dwarf_formudata(dwarf_attr_integrate(function, DW_AT_decl_file, &a), &index) == 0 &&
        dwarf_formudata(dwarf_attr_integrate(function, DW_AT_decl_line, &a), &first) == 0)
        of = dwarf_filesrc(files, index, NULL, NULL);
    if (!of || !first || first >= NATIVE_LINE_MAX ||
        !source_of(s, of, (int) first, &first_file, &ret->first_line) ||
        strcmp(first_file, ret->file) != 0)
        ret->first_line = 0;
    return true;
}

size_t native_source_at(struct native_sources *s, Dwfl_Module *module, uint64_t pc,
                        struct native_spot ret[NATIVE_INLINED_MAX]) {
    Dwfl_Line *row = dwfl_module_getsrc(module, pc);
    Dwarf_Die *scopes = NULL;
    Dwarf_Files *files;
    Dwarf_Addr bias;
    int line = 0;
    size_t n = 0;
    Dwarf_Die *unit = dwfl_module_addrdie(module, pc, &bias);
    const char *file = row ? dwfl_lineinfo(row, NULL, &line, NULL, NULL, NULL) : NULL;

    if (!unit || dwarf_getsrcfiles(unit, &files, NULL) != 0)
        return 0;
    Dwarf_Word at = line > 0 ? (Dwarf_Word) line : 0;
    int n_scopes = scopes_at(unit, pc - bias, &scopes);
    for (int i = 0; i < n_scopes && n < NATIVE_INLINED_MAX; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        if (spot_of(s, files, file, at, &scopes[i], &ret[n])) {
            ret[n].symbol = tag == DW_TAG_subprogram ? NULL : dwarf_diename(&scopes[i]);
            n += tag == DW_TAG_subprogram || ret[n].symbol;
        }
        if (tag == DW_TAG_subprogram)
            break;
        at = number_of(&scopes[i], DW_AT_call_line);
        file = dwarf_filesrc(files, number_of(&scopes[i], DW_AT_call_file), NULL, NULL);
    }
    free(scopes);
    return n;
}
