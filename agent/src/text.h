/* Bytes of UTF-8. Free of Python. */
#ifndef VARAN_AGENT_TEXT_H
#define VARAN_AGENT_TEXT_H

#include <stddef.h>

/* Cuts at most to `max` bytes without splitting a character. */
static inline size_t text_cut(const char *text, size_t n, size_t max) {
    if (n <= max)
        return n;
    n = max;
    while (n && ((unsigned char) text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

#endif
