/* Cython: Compiler/Naming.py (prefixes) and Symtab.py (names with their lengths before them). */
#include "profile/native.h"

#include <ctype.h>
#include <stdio.h>

#define LENGTH_MAX 200u

/* Takes "<length><name>" from the front when the name has that length and an underscore or nothing
 * follows. */
static bool take_part(const char **at, char *to, size_t room) {
    char *end;

    if (!isdigit((unsigned char) **at))
        return false;
    unsigned long size = strtoul(*at, &end, 10);
    if (!size || size > LENGTH_MAX || strnlen(end, size) < size || end[size] != '_' ||
        size + 2 > room)
        return false;
    memcpy(to, end, size);
    to[size] = '.';
    to[size + 1] = 0;
    *at = end + size + 1;
    return true;
}

bool native_cython_name(const char *symbol, char *ret, size_t room) {
    static const char *const prefixes[] = {"__pyx_pw_", "__pyx_pf_", "__pyx_f_", "__pyx_fuse_",
                                           "__pyx_gb_"};
    const char *at = NULL;
    size_t used = 0;

    for (size_t i = 0; !at && i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(symbol, prefixes[i], strlen(prefixes[i])) == 0)
            at = symbol + strlen(prefixes[i]);
    if (!at || !room)
        return false;
    ret[0] = 0;
    while (take_part(&at, ret + used, room - used))
        used += strlen(ret + used);
    if (!used)
        return false;                    /* not even a module's name */
    while (isdigit((unsigned char) *at)) /* its number among the methods */
        at++;
    if (!*at || strlen(at) + used + 1 > room)
        return false;
    memcpy(ret + used, at, strlen(at) + 1);
    return true;
}

bool native_is_eval(const char *symbol) {
    static const char name[] = "_PyEval_EvalFrameDefault"; /* with ".cold", ".lto_priv.0" too */

    return strncmp(symbol, name, sizeof(name) - 1) == 0;
}
