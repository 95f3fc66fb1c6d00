/* See url.h. */
#include "url.h"

#include <strings.h>

#include "glimpse.h"
#include "value.h"

static const char REDACTED[] = "REDACTED"; /* as the semantic conventions have it */

static bool is_secret(const char *name, size_t n) {
    return (n == 3 && strncasecmp(name, "sig", 3) == 0) || glimpse_is_secret(name, n);
}

/* The end of the parameter that begins at p. */
static const char *parameter_end(const char *p, const char *end) {
    while (p < end && *p != '&' && *p != ';' && *p != '#')
        p++;
    return p;
}

/* Appends; what does not fit is left out, no character is split. */
static void append(char *out, size_t *used, const char *text, size_t n) {
    n = text_cut(text, n, URL_BYTES_MAX - *used);
    memcpy(out + *used, text, n);
    *used += n;
}

static bool has_secret(const char *p, const char *end) {
    for (const char *next; p < end; p = next + 1) {
        const char *equals;
        next = parameter_end(p, end);
        equals = memchr(p, '=', (size_t) (next - p));
        if (equals && is_secret(p, (size_t) (equals - p)))
            return true;
    }
    return false;
}

bool url_redact(const char *text, size_t n, bool whole, char *out, size_t *ret_n) {
    const char *end = text + n, *p = whole ? memchr(text, '?', n) : text;
    size_t used = 0;

    if (!p || !memchr(p, '=', (size_t) (end - p)))
        return false;
    if (whole)
        p++;
    if (!has_secret(p, end))
        return false;
    append(out, &used, text, (size_t) (p - text));
    while (p < end) {
        const char *next = parameter_end(p, end);
        const char *equals = memchr(p, '=', (size_t) (next - p));
        bool secret = equals && is_secret(p, (size_t) (equals - p));

        append(out, &used, p, (size_t) ((secret ? equals + 1 : next) - p));
        if (secret)
            append(out, &used, REDACTED, sizeof(REDACTED) - 1);
        if (next < end)
            append(out, &used, next++, 1);
        p = next;
    }
    *ret_n = used;
    return true;
}
