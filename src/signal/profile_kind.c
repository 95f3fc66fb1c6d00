/* Whose code a file holds, by its path alone. Pure. */
#include "signal/profile_kind.h"

#include <string.h>

static bool has(struct slice path, const char *part) {
    return slice_find(path, slice_from(part)) >= 0;
}

/* The agent's hooks too, wherever they were put. */
static bool is_installed(struct slice path) {
    return has(path, "/site-packages/") || has(path, "/dist-packages/") ||
           has(path, "/varan/hooks/") || slice_starts(path, SLICE("site-packages/")) ||
           slice_starts(path, SLICE("dist-packages/"));
}

/* "libpython3.11.so.1.0": a shared library with or without its version. */
static bool is_shared_library(struct slice path) {
    while (path.size && ((path.data[path.size - 1] >= '0' && path.data[path.size - 1] <= '9') ||
                         path.data[path.size - 1] == '.'))
        path.size--;
    return slice_ends(path, SLICE(".so"));
}

static bool is_compiled(struct slice path) {
    static const char *const endings[] = {".c",  ".cc",  ".cpp", ".cxx", ".h",    ".hpp",
                                          ".rs", ".pyx", ".pxd", ".dll", ".dylib"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
        if (slice_ends(path, slice_from(endings[i])))
            return true;
    return path.size == 0 || is_shared_library(path) || slice_starts(path, SLICE("[")) ||
           slice_starts(path, SLICE("/bin/")) || slice_starts(path, SLICE("/sbin/")) ||
           slice_starts(path, SLICE("/usr/bin/")) || slice_starts(path, SLICE("/usr/sbin/")) ||
           slice_starts(path, SLICE("/usr/libexec/"));
}

/* "…/lib/python3.11/json/decoder.py", "…/lib64/python3.11/…", "python311.zip/…". */
static bool is_standard_library(struct slice path) {
    static const char *const folders[] = {"/lib/python", "/lib64/python", "/lib/pypy", "/Lib/"};

    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        ptrdiff_t at = slice_find(path, slice_from(folders[i]));
        if (at < 0)
            continue;
        struct slice rest = slice_skip(path, (size_t) at + strlen(folders[i]));
        if (folders[i][1] == 'L' || (rest.size && rest.data[0] >= '2' && rest.data[0] <= '9'))
            return true;
    }
    return has(path, ".zip/") && has(path, "/python");
}

enum profile_kind profile_kind_of(struct slice file) {
    if (is_installed(file))
        return is_shared_library(file) ? PROFILE_NATIVE : PROFILE_LIBRARY;
    if (is_compiled(file))
        return PROFILE_NATIVE;
    if (slice_starts(file, SLICE("<frozen ")))
        return PROFILE_PYTHON;
    if (slice_starts(file, SLICE("<")))
        return slice_is(file, "<stdin>") ? PROFILE_APP : PROFILE_LIBRARY; /* generated code */
    return is_standard_library(file) ? PROFILE_PYTHON : PROFILE_APP;
}

const char *profile_kind_name(enum profile_kind kind) {
    static const char *const names[] = {"app", "library", "python", "native"};

    return names[kind];
}
