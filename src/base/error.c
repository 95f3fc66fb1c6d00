/* Errors with a sentence. Any thread; each `struct error` belongs to its caller. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, const char *format, ...) {
    va_list args;

    if (!e)
        return code;
    e->code = code;
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    return code;
}

int error_prefix(struct error *e, const char *format, ...) {
    char text[sizeof(e->text)];
    va_list args;

    if (!e)
        return -EINVAL;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n >= 0 && (size_t) n < sizeof(text))
        snprintf(text + n, sizeof(text) - (size_t) n, "%s", e->text);
    memcpy(e->text, text, sizeof(text));
    return e->code;
}

const char *error_name(int code) {
    const char *text = strerrordesc_np(code < 0 ? -code : code);

    return text ? text : "unknown error";
}
