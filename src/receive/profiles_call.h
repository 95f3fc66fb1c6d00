/* One request with profiles, between its files. Private to receive/. */
#ifndef VARAN_RECEIVE_PROFILES_CALL_H
#define VARAN_RECEIVE_PROFILES_CALL_H

#include "net/http.h"
#include "receive/profile_sink.h"

struct profiles_call {
    struct http_request *request;
    struct slice body, content_type;
    struct profile_sink *sink; /* of the transaction */
    struct arena *arena;
    struct error error;
};

/* Each decodes the body into the sink: 0; -EBADMSG, -EINVAL (400), -E2BIG (413), -ENOTSUP (415),
 * all with a sentence in `error`; -ENOMEM, -ENOBUFS (429). */
int profiles_upload(struct profiles_call *c);
int profiles_pyroscope(struct profiles_call *c);
int profiles_push(struct profiles_call *c);

/* "app.name.cpu{a=b,c=d}": tags are given to the sink. The name is what stands before the braces.
 */
int pyroscope_parse_name(struct profile_sink *s, struct slice text, struct slice *ret_name,
                         struct error *e);

#endif
