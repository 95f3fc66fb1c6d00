/* multipart/form-data bodies (RFC 7578): the parts as slices of the body. Any thread. */
#ifndef VARAN_RECEIVE_MULTIPART_H
#define VARAN_RECEIVE_MULTIPART_H

#include "base/slice.h"

#define MULTIPART_PARTS_MAX 32u

struct multipart {
    struct slice rest, boundary; /* without the leading hyphens */
    unsigned parts;
};

/* Whether that Content-Type is multipart/form-data with a boundary. */
bool multipart_begin(struct multipart *m, struct slice content_type, struct slice body);
/* The next part: 1 with its form name and content; 0 after the last; -EBADMSG. */
int multipart_next(struct multipart *m, struct slice *ret_name, struct slice *ret_content);

#endif
