/*
 * Routes: finds the handler of a path and method. A pattern is "/a/:name/b" (a segment with a colon
 * captures) or ends in "/" + "*", which captures the rest. Pure functions: any thread.
 */
#ifndef VARAN_NET_ROUTER_H
#define VARAN_NET_ROUTER_H

#include "net/http.h"

#define ROUTE_CAPTURES_MAX 8
#define ROUTE_SEGMENTS_MAX 32

struct route_match {
    const struct http_route *route; /* NULL: none fits */
    void *ctx;
    struct slice captures[ROUTE_CAPTURES_MAX]; /* decoded; in the arena or in the path */
    unsigned n_captures;
    unsigned allowed; /* bits (1 << enum http_method) that the path has routes for */
};

/*
 * `path`: as it stands in the request, still percent-encoded, so that a captured name may contain
 * "%2F". A pattern with a star is used only when none without fits the path: an API path asked with
 * the wrong method is a 405 and not the page. 0; -EINVAL for a path that is
 * not a path; -ENOMEM.
 */
int router_match(const struct http_routes *tables, size_t n_tables, struct arena *a,
                 enum http_method method, struct slice path, struct route_match *ret);
/* The table whose `prefix` the path is or lies below and that has a shape of errors, or NULL. */
const struct http_routes *router_shape(const struct http_routes *tables, size_t n_tables,
                                       struct slice path);
/* "GET, HEAD, POST" for an Allow header; `ret` has room for 80 bytes. */
void router_format_allow(unsigned allowed, char ret[80]);

#endif
