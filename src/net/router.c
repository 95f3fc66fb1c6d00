/* Route matching, segment by segment. Memory: the caller's arena for decoded segments. */
#include "net/router.h"
#include "net/url.h"

#include <stdio.h>

struct segments {
    struct slice decoded[ROUTE_SEGMENTS_MAX];
    struct slice raw_rest[ROUTE_SEGMENTS_MAX]; /* the path from this segment on */
    size_t n;
};

static int split(struct arena *a, struct slice path, struct segments *ret) {
    if (!path.size || path.data[0] != '/')
        return -EINVAL;
    struct slice rest = slice_skip(path, 1);
    ret->n = 0;
    for (bool more = true; more;) {
        if (ret->n == ROUTE_SEGMENTS_MAX)
            return 0; /* what follows belongs to the last one, which only a star can match */
        ret->raw_rest[ret->n] = rest;
        more = slice_find_byte(rest, '/') >= 0;
        int r = url_decode(a, slice_cut(&rest, '/'), false, &ret->decoded[ret->n]);
        if (r < 0)
            return r;
        if (slice_find_byte(ret->decoded[ret->n], 0) >= 0)
            return -EINVAL;
        ret->n++;
    }
    return 0;
}

/* Whether the pattern fits; fills the captures. 1, 0, -EINVAL or -ENOMEM. */
static int fits(const char *pattern, const struct segments *path, struct arena *a,
                struct slice captures[ROUTE_CAPTURES_MAX], unsigned *ret_n) {
    struct slice rest = slice_skip(slice_from(pattern), 1);
    unsigned n = 0;

    for (size_t i = 0;; i++) {
        bool last = slice_find_byte(rest, '/') < 0;
        struct slice want = slice_cut(&rest, '/');
        if (i >= path->n)
            return 0;
        if (last && slice_is(want, "*")) {
            struct slice tail;
            int r = url_decode(a, path->raw_rest[i], false, &tail);
            if (r < 0)
                return r;
            captures[n++] = tail;
            *ret_n = n;
            return 1;
        }
        if (want.size && want.data[0] == ':') {
            if (!path->decoded[i].size || n + 1 >= ROUTE_CAPTURES_MAX)
                return 0;
            captures[n++] = path->decoded[i];
        } else if (!slice_equal(want, path->decoded[i])) {
            return 0;
        }
        if (last) {
            *ret_n = n;
            return i + 1 == path->n;
        }
    }
}

static unsigned method_bits(enum http_method m) {
    return 1u << m | (m == HTTP_GET ? 1u << HTTP_HEAD : 0);
}

int router_match(const struct http_routes *tables, size_t n_tables, struct arena *a,
                 enum http_method method, struct slice path, struct route_match *ret) {
    struct segments segments;
    struct slice captures[ROUTE_CAPTURES_MAX];
    bool known = false; /* a pattern without a star fits */

    *ret = (struct route_match){0};
    int r = split(a, path, &segments);
    if (r < 0)
        return r;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct http_route *route = &tables[t].items[i];
            size_t length = strlen(route->pattern);
            bool everything = route->pattern[length - 1] == '*';
            unsigned n = 0;
            if (known && everything)
                continue;
            r = fits(route->pattern, &segments, a, captures, &n);
            if (r < 0)
                return r;
            if (r == 0)
                continue;
            known = known || !everything;
            ret->allowed |= method_bits(route->method);
            if (!(method_bits(route->method) & 1u << method))
                continue;
            ret->route = route;
            ret->ctx = tables[t].ctx;
            memcpy(ret->captures, captures, sizeof(captures[0]) * n);
            ret->n_captures = n;
            return 0;
        }
    return 0;
}

const struct http_routes *router_shape(const struct http_routes *tables, size_t n_tables,
                                       struct slice path) {
    for (size_t i = 0; i < n_tables; i++) {
        struct slice prefix = slice_from(tables[i].prefix ? tables[i].prefix : "");
        if (tables[i].format_error && slice_starts(path, prefix) &&
            (path.size == prefix.size || path.data[prefix.size] == '/'))
            return &tables[i];
    }
    return NULL;
}

void router_format_allow(unsigned allowed, char ret[80]) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    size_t n = 0;

    ret[0] = 0;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (allowed & 1u << i)
            n += (size_t) snprintf(ret + n, 80 - n, "%s%s", n ? ", " : "", names[i]);
}
