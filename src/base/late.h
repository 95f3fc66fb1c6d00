/*
 * Libraries that are opened when they are first called. A program linked with a library pays for it
 * at every start, used or not, and libcurl, libmicrohttpd and libcrypto bring thirty others with
 * them: more work than all the rest of a short command. So their functions are defined here by
 * LATE(), under their own names: callers include the library's header and notice nothing.
 *
 * Which file is opened (its SONAME) is asked of the installed library when Varan is configured, so
 * that it fits the header. Thread-safe.
 */
#ifndef VARAN_BASE_LATE_H
#define VARAN_BASE_LATE_H

struct late_library {
    const char *file;    /* as the dynamic linker knows it: "libcurl.so.4" */
    const char *package; /* to install when it is not there */
    void *handle;        /* NULL: not opened yet */
};

/* The library's function. When it cannot be had the process ends, with a message and status 127: as
 * if the library had been linked. */
void *late_function(struct late_library *library, const char *name);

/* The library's own function of that name, whose prototype is known: looked up once. */
#define LATE_FUNCTION(library, name)                                                               \
    ({                                                                                             \
        static __typeof__(&name) _found;                                                           \
        __typeof__(&name) _function = __atomic_load_n(&_found, __ATOMIC_RELAXED);                  \
        if (!_function) {                                                                          \
            _function = (__typeof__(&name)) late_function(library, #name);                         \
            __atomic_store_n(&_found, _function, __ATOMIC_RELAXED);                                \
        }                                                                                          \
        _function;                                                                                 \
    })

/* Defines a function of the library: LATE(&curl, CURL *, curl_easy_init, (void)), or with the names
 * of its parameters behind. */
#define LATE(library, type, name, parameters, ...)                                                 \
    type name parameters {                                                                         \
        return LATE_FUNCTION(library, name)(__VA_ARGS__);                                          \
    }

#endif
