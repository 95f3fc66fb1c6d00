/* /api/v1/attributes, /api/v1/attributes/values, /api/v1/filter/check: what editors of filters
 * need. */
#include "api/call.h"

#define PREFIX_BYTES_MAX 256u

static int read_prefix(struct call *c, struct slice *ret) {
    *ret = call_param(c, "prefix");
    if (ret->size > PREFIX_BYTES_MAX || !slice_is_utf8(*ret))
        return error_set(&c->error, -EINVAL, "prefix: at most %u bytes of text", PREFIX_BYTES_MAX);
    return 0;
}

static int answer_keys(struct call *c) {
    struct slice prefix;
    int r = read_prefix(c, &prefix);

    return r < 0 ? r : query_attribute_keys(&c->query, prefix);
}

static int answer_values(struct call *c) {
    struct slice prefix, key = call_param(c, "key");
    int r = read_prefix(c, &prefix);

    if (r == 0 && !key.data)
        r = error_set(&c->error, -EINVAL, "key: it is missing");
    return r < 0 ? r : query_attribute_values(&c->query, key, prefix);
}

/* Asked by editors with each key stroke: an error in the filter is an answer here. */
static int answer_check(struct call *c) {
    struct json_writer *w = &c->json;
    struct buffer canonical;

    json_begin_object(w);
    if (c->filter_error.code) {
        json_put_key(w, "error");
        json_filter_error(w, &c->filter_error);
        c->filter_error.code = NULL;
    } else {
        buffer_init(&canonical, 4 * FILTER_BYTES_MAX);
        int r = filter_print(c->query.filter, &canonical);
        json_field_bool(w, "ok", true);
        if (r == 0)
            json_field_string(w, "canonical", buffer_slice(&canonical));
        buffer_done(&canonical);
    }
    json_end_object(w);
    return 0;
}

const struct api_resource attributes_resource = {"signal prefix", FILTER_SPANS, answer_keys, false};
const struct api_resource attribute_values_resource = {"signal key prefix", FILTER_SPANS,
                                                       answer_values, false};
const struct api_resource filter_check_resource = {"signal", FILTER_SPANS, answer_check, true};
