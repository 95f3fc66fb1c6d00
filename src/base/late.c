/* dlopen() and dlsym(): see late.h. Opening a library twice at once is harmless. */
#include "base/late.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#define STATUS_CANNOT_LOAD 127 /* the dynamic linker's own */

static _Noreturn void give_up(const struct late_library *library) {
    fprintf(stderr, "varan: cannot load %s: %s (Debian and Ubuntu: apt install %s)\n",
            library->file, dlerror(), library->package);
    _exit(STATUS_CANNOT_LOAD);
}

void *late_function(struct late_library *library, const char *name) {
    void *handle = __atomic_load_n(&library->handle, __ATOMIC_ACQUIRE);

    if (!handle) {
        handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
            give_up(library);
        __atomic_store_n(&library->handle, handle, __ATOMIC_RELEASE);
    }
    void *function = dlsym(handle, name);
    if (!function)
        give_up(library);
    return function;
}
