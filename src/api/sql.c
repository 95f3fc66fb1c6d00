/* POST /api/v1/sql {"query", "format"}: read-only SQL. */
#include "api/call.h"

#include <jansson.h>

static const char *content_type(const char *format) {
    if (strncmp(format, "JSON", 4) == 0)
        return strstr(format, "EachRow") ? "application/x-ndjson" : "application/json";
    return strncmp(format, "CSV", 3) == 0 ? "text/csv; charset=utf-8" : "text/plain; charset=utf-8";
}

static int answer_sql(struct call *c) {
    struct json_limits limits = {.bytes_max = API_SQL_BODY_MAX, .values_max = 100, .depth_max = 4};
    json_t *body = NULL;
    struct error e = ERROR_NONE;

    int r = json_parse(http_request_body(c->request), &limits, &body, NULL, &e);
    if (r < 0)
        return error_set(&c->error, r == -ENOMEM ? r : -EINVAL, "the body: %s", e.text);
    const json_t *query = json_object_get(body, "query"), *format = json_object_get(body, "format");
    if (!json_is_string(query) || (format && !json_is_string(format))) {
        r = error_set(
                &c->error, -EINVAL,
                "the body: {\"query\": \"SELECT …\", \"format\": \"JSONCompact\"} is expected");
    } else {
        struct slice name = format ? slice_from(json_string_value(format)) : SLICE("JSONCompact");
        const char *kept = (const char *) arena_dup(&c->arena, name).data;
        r = kept ? query_sql(&c->query,
                             slice_new(json_string_value(query), json_string_length(query)), kept,
                             &c->body)
                 : -ENOMEM;
        if (r == 0)
            c->content_type = content_type(kept);
    }
    json_decref(body);
    return r;
}

const struct api_resource sql_resource = {NULL, FILTER_SPANS, answer_sql, false};
