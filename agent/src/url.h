/* Secrets in addresses: values of query parameters whose names sound secret do not leave the
 * process. No Python objects. */
#ifndef VARAN_AGENT_URL_H
#define VARAN_AGENT_URL_H

#include <stdbool.h>
#include <stddef.h>

#define URL_BYTES_MAX 4096 /* of an address in which something was replaced */

/* `text` is a query, or, if `whole`, an address with one. True when something had to be replaced:
 * out[URL_BYTES_MAX] has the text without it then, cut to what fits; not ended by NUL. */
bool url_redact(const char *text, size_t n, bool whole, char *out, size_t *ret_n);

#endif
