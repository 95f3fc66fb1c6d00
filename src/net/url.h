/*
 * URL text: percent-encoding and -decoding, query strings and form bodies, listen addresses.
 * Everything here takes bytes from the network. Pure functions: any thread.
 */
#ifndef VARAN_NET_URL_H
#define VARAN_NET_URL_H

#include "base/memory.h"

/* Most parameters that are read of one query string and form body together; the rest is ignored. */
#define URL_PARAMS_MAX 1000

struct url_param {
    struct slice name, value; /* decoded */
};

struct url_params {
    struct url_param *items; /* in the arena */
    size_t n, allocated;
};

/* Percent-decodes `s`; `plus`: '+' means a space (query strings and forms, not paths). A slice
 * without escapes is returned as it is, others as a copy in `a`. -EINVAL for a broken escape,
 * -ENOMEM/-ENOBUFS. */
int url_decode(struct arena *a, struct slice s, bool plus, struct slice *ret);
/* Appends `s` with all but letters, digits and -_.~ percent-encoded: part of a path or a query. */
void url_encode(struct buffer *to, struct slice s);
/* Appends the parameters of "a=1&b=2". A parameter with a broken escape keeps its raw text, as
 * browsers send it so. 0 or -ENOMEM; parameters beyond URL_PARAMS_MAX are left out. */
int url_params_parse(struct arena *a, struct slice text, struct url_params *params);

#endif
