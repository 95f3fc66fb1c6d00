/* What a program says to a terminal among its text: colours, cursor movements, titles, links
 * (ECMA-48). A log's body is text; to read "\x1b[31m" in it helps nobody. Free of Python. */
#ifndef VARAN_AGENT_TERMINAL_H
#define VARAN_AGENT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether there may be something to strip: costs no more than a look for ESC. */
bool terminal_talks(const char *text, size_t n);
/* Copies `n` bytes to `to` (room for as many) without control sequences and returns how many are
 * left. What only begins like a sequence, and everything else, stays as it is. */
size_t terminal_strip(const char *text, size_t n, char *to);

#endif
