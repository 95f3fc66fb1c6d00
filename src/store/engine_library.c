/* Finding and opening libchdb: see engine_library.h. Thread-safe. */
#include "store/engine_library.h"
#include "base/memory.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#define LIBRARY_NAME "libchdb.so"
#define LIBRARY_PACKAGE "@chdb/lib-linux-x64-gnu@26.7.3-stable.1"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct engine_library library;
static bool loaded;

static int load(const char *path, struct error *e) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return error_set(e, -ELIBBAD, "The storage engine's library could not be opened: %s",
                         dlerror());
#define CALL(name)                                                                                 \
    if (!(library.name = (__typeof__(library.name)) dlsym(handle, "chdb_" #name)))                 \
        return error_set(e, -ELIBBAD, "%s has no chdb_%s: it is another version; Varan needs %s.", \
                         path, #name, LIBRARY_PACKAGE);
    CALL(connect)
    CALL(close_conn)
    CALL(query_n)
    CALL(query_with_params_n)
    CALL(stream_query_n)
    CALL(stream_fetch_result)
    CALL(stream_cancel_query)
    CALL(destroy_query_result)
    CALL(result_buffer)
    CALL(result_length)
    CALL(result_error)
    CALL(stream_insert_n)
    CALL(stream_append)
    CALL(stream_done)
    CALL(stream_cancel_insert)
    CALL(stream_insert_error)
    CALL(destroy_insert_stream)
    CALL(classify_query_n)
    CALL(set_signal_handlers_enabled)
#undef CALL
    /* This process has its own; must come before the first connection. */
    library.set_signal_handlers_enabled(0);
    loaded = true;
    return 0;
}

/* The folder of the executable, without a slash at its end; empty when unknown. */
static void executable_dir(char *ret, size_t size) {
    ssize_t n = readlink("/proc/self/exe", ret, size - 1);

    ret[n > 0 ? n : 0] = 0;
    char *slash = strrchr(ret, '/');
    if (slash)
        *slash = 0;
}

static bool find(char *ret, size_t size) {
    char dir[PATH_MAX];
    const char *home = getenv("HOME");

    executable_dir(dir, sizeof(dir));
    const struct {
        const char *base, *tail;
    } places[] = {
            {dir, ""},        {dir, "/../lib"}, {home, "/.local/lib/varan"}, {"/usr/local/lib", ""},
            {"/usr/lib", ""},
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        if (!places[i].base || !*places[i].base)
            continue;
        int n = snprintf(ret, size, "%s%s/" LIBRARY_NAME, places[i].base, places[i].tail);
        if (n > 0 && (size_t) n < size && access(ret, R_OK) == 0)
            return true;
    }
    return false;
}

static int find_and_load(const char *path, struct error *e) {
    char found[PATH_MAX];

    if (!path || !*path)
        path = getenv("VARAN_ENGINE_LIB");
    if (!path || !*path) {
        if (!find(found, sizeof(found)))
            return error_set(
                    e, -ENOENT,
                    "The storage engine's library " LIBRARY_NAME " was not found (looked beside "
                    "the program, in ../lib, ~/.local/lib/varan, /usr/local/lib, /usr/lib). "
                    "`make build` puts it beside the program; by hand: cd $(mktemp -d) && npm "
                    "pack " LIBRARY_PACKAGE " && tar xzf chdb-lib-*.tgz && mkdir -p "
                    "~/.local/lib/varan && mv package/" LIBRARY_NAME " ~/.local/lib/varan/. "
                    "Or name it with --engine-lib or $VARAN_ENGINE_LIB.");
        path = found;
    }
    if (access(path, R_OK) < 0)
        return error_set(
                e, -ENOENT,
                "The storage engine's library %s cannot be read: %s. It comes from the npm "
                "package " LIBRARY_PACKAGE " (npm pack, then package/" LIBRARY_NAME ").",
                path, error_name(-errno));
    return load(path, e);
}

int engine_library_open(const char *path, const struct engine_library **ret, struct error *e) {
    pthread_mutex_lock(&lock);
    int r = loaded ? 0 : find_and_load(path, e);
    pthread_mutex_unlock(&lock);
    if (r == 0)
        *ret = &library;
    return r;
}
