/*
 * Bound parameters. The engine reads a value in its tab-separated form for the declared type
 * ({name:Type}): text needs its backslashes, tabs and newlines escaped; arrays, maps and tuples are
 * already literals with quotes of their own and are passed as they are. Pure: any thread.
 */
#include "store/engine.h"

#include <ctype.h>

/* Where the type begins in the first "{name:Type}" of `sql`; NULL when there is none. */
static const char *declared_type(const char *sql, const char *name) {
    size_t size = strlen(name);

    for (const char *p = sql; (p = strchr(p, '{')); p++) {
        const char *at = p + 1;
        while (isspace((unsigned char) *at))
            at++;
        if (strncmp(at, name, size) != 0)
            continue;
        at += size;
        while (isspace((unsigned char) *at))
            at++;
        if (*at++ != ':')
            continue;
        while (isspace((unsigned char) *at))
            at++;
        return at;
    }
    return NULL;
}

int param_write(const char *sql, const struct store_param *p, struct buffer *ret) {
    static const char *const literals[] = {"Array(", "Map(", "Tuple("};
    const char *type = declared_type(sql, p->name);

    for (size_t i = 0; type && i < sizeof(literals) / sizeof(*literals); i++)
        if (strncmp(type, literals[i], strlen(literals[i])) == 0)
            return buffer_append_slice(ret, p->value);
    for (size_t i = 0; i < p->value.size; i++) {
        uint8_t c = p->value.data[i];
        static const char from[] = "\\\t\n\r\0", to[] = "\\tnr0";
        const char *hit = memchr(from, c, sizeof(from) - 1);
        if (hit) {
            buffer_append_u8(ret, '\\');
            c = (uint8_t) to[hit - from];
        }
        buffer_append_u8(ret, c);
    }
    return ret->failed;
}
