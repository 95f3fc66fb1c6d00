/*
 * Errors. Functions return 0 (or a useful non-negative number) on success and a negative errno on
 * failure; those whose failure a person must understand also fill a `struct error` with a sentence.
 * Library code returns errors and never logs them.
 */
#ifndef VARAN_BASE_ERROR_H
#define VARAN_BASE_ERROR_H

#include <errno.h>

struct error {
    int code;        /* negative errno, 0 when nothing is wrong */
    char text[1000]; /* a sentence for a person; no newline at its end */
};

#define ERROR_NONE ((struct error){0})

/* Fills `e` (may be NULL) and returns `code`, to be written: return error_set(e, -EINVAL, …). */
int error_set(struct error *e, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Puts a context before the text that is there: "reading x.yml: " + text. Returns e->code. */
int error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The name of a negative errno for a person ("No such file or directory"). Thread-safe. */
const char *error_name(int code);

#endif
