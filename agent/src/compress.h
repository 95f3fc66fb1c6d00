/* gzip by the system's zlib, which is loaded when it is first needed; without it bodies go out as
 * they are. */
#ifndef VARAN_AGENT_COMPRESS_H
#define VARAN_AGENT_COMPRESS_H

#include <stddef.h>

/* Replaces a malloc'ed body by its gzip form. Returns 0, or a negative error and leaves it as it
 * was. */
int compress_gzip(char **body, size_t *length);

#endif
