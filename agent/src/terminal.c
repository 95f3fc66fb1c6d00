/* Control sequences of terminals, taken out of text: ECMA-48, 5th edition, 5.4 (CSI), 5.6
 * (strings), and xterm's habit of ending OSC with BEL. */
#include "terminal.h"

#include <string.h>

#define ESC '\x1b'
#define BEL '\x07'
#define SEQUENCE_MAX 4096 /* bytes of one; what is longer is text that contains an ESC */

bool terminal_talks(const char *text, size_t n) {
    return n && memchr(text, ESC, n);
}

/* CSI: parameters 0x30-0x3f, intermediates 0x20-0x2f, one final byte 0x40-0x7e. */
static size_t csi_size(const char *p, size_t n) {
    size_t i = 2;

    while (i < n && p[i] >= 0x30 && p[i] <= 0x3f)
        i++;
    while (i < n && p[i] >= 0x20 && p[i] <= 0x2f)
        i++;
    return i < n && p[i] >= 0x40 && p[i] <= 0x7e ? i + 1 : 0;
}

/* OSC, DCS, APC, PM, SOS: until ST (ESC \) or BEL; a line's end means that none was meant. */
static size_t string_size(const char *p, size_t n) {
    for (size_t i = 2; i < n && p[i] != '\n'; i++) {
        if (p[i] == BEL)
            return i + 1;
        if (p[i] == ESC)
            return i + 1 < n && p[i + 1] == '\\' ? i + 2 : 0;
    }
    return 0;
}

/* Bytes of the sequence that begins with the ESC at `p`; 0: none does. */
static size_t sequence_size(const char *p, size_t n) {
    size_t i = 1;

    if (n > SEQUENCE_MAX)
        n = SEQUENCE_MAX;
    if (n < 2)
        return 0;
    switch (p[1]) {
    case '[': return csi_size(p, n);
    case ']':
    case 'P':
    case '_':
    case '^':
    case 'X': return string_size(p, n);
    }
    /* ESC ( B and the like; an ESC before a space is rather a stray one than a choice of C1. */
    while (i < n && p[i] >= 0x21 && p[i] <= 0x2f)
        i++;
    return i < n && p[i] >= 0x30 && p[i] <= 0x7e ? i + 1 : 0;
}

size_t terminal_strip(const char *text, size_t n, char *to) {
    size_t used = 0, i = 0;

    while (i < n) {
        const char *next = memchr(text + i, ESC, n - i);
        size_t plain = next ? (size_t) (next - text) - i : n - i, skip;
        memcpy(to + used, text + i, plain);
        used += plain;
        i += plain;
        if (i == n)
            break;
        skip = sequence_size(text + i, n - i);
        if (skip == 0)
            to[used++] = text[i++];
        i += skip;
    }
    return used;
}
