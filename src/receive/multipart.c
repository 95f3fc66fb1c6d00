/* See multipart.h. */
#include "receive/multipart.h"

#include <errno.h>

#define BOUNDARY_BYTES_MAX 200u

/* The value of `name` in the parameters of a header's value: quoted or not. */
static struct slice parameter(struct slice header, const char *name) {
    slice_cut(&header, ';');
    while (header.size) {
        struct slice value = slice_trim(slice_cut(&header, ';')),
                     key = slice_trim(slice_cut(&value, '='));
        value = slice_trim(value);
        if (!slice_equal_nocase(key, slice_from(name)))
            continue;
        if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"')
            value = slice_take(slice_skip(value, 1), value.size - 2);
        return value;
    }
    return SLICE_EMPTY;
}

bool multipart_begin(struct multipart *m, struct slice content_type, struct slice body) {
    struct slice type = content_type;

    *m = (struct multipart){.rest = body, .boundary = parameter(content_type, "boundary")};
    return slice_equal_nocase(slice_trim(slice_cut(&type, ';')), SLICE("multipart/form-data")) &&
           m->boundary.size && m->boundary.size <= BOUNDARY_BYTES_MAX;
}

/* Position of the next "--boundary", or -1. */
static ptrdiff_t find_delimiter(const struct multipart *m) {
    struct slice rest = m->rest;
    size_t skipped = 0;

    for (;;) {
        ptrdiff_t at = slice_find(rest, m->boundary);
        if (at < 0)
            return -1;
        if (at >= 2 && rest.data[at - 1] == '-' && rest.data[at - 2] == '-')
            return (ptrdiff_t) skipped + at - 2;
        skipped += (size_t) at + 1;
        rest = slice_skip(rest, (size_t) at + 1);
    }
}

static struct slice part_name(struct slice head) {
    while (head.size) {
        struct slice line = slice_trim(slice_cut(&head, '\n')), value = line;
        struct slice key = slice_trim(slice_cut(&value, ':'));
        if (slice_equal_nocase(key, SLICE("Content-Disposition")))
            return parameter(value, "name");
    }
    return SLICE_EMPTY;
}

int multipart_next(struct multipart *m, struct slice *ret_name, struct slice *ret_content) {
    ptrdiff_t at = find_delimiter(m);

    if (at < 0 || m->parts++ == MULTIPART_PARTS_MAX)
        return -EBADMSG;
    m->rest = slice_skip(m->rest, (size_t) at + 2 + m->boundary.size);
    if (slice_starts(m->rest, SLICE("--")))
        return 0;
    ptrdiff_t end = slice_find(m->rest, SLICE("\r\n\r\n"));
    if (end < 0)
        return -EBADMSG;
    *ret_name = part_name(slice_take(m->rest, (size_t) end));
    m->rest = slice_skip(m->rest, (size_t) end + 4);
    at = find_delimiter(m);
    if (at < 2)
        return -EBADMSG;
    *ret_content = slice_take(m->rest, (size_t) at - 2); /* without its CRLF */
    return 1;
}
