/* /api/v1/logs, its histogram, facets and context, /api/v1/logs/:id */
#include "api/call.h"

#define CONTEXT_LINES_DEFAULT 20u
#define CONTEXT_LINES_MAX 500u

static int answer_logs(struct call *c) {
    struct slice order = call_param(c, "order");

    if (order.data && !slice_is(order, "asc") && !slice_is(order, "desc"))
        return error_set(&c->error, -EINVAL, "order: desc or asc is expected");
    return query_logs(&c->query, slice_is(order, "asc"));
}

static int answer_histogram(struct call *c) {
    return query_logs_histogram(&c->query);
}

static int answer_facets(struct call *c) {
    return query_facets(&c->query, call_param(c, "keys"));
}

static int answer_context(struct call *c) {
    uint64_t id, before, after;
    int64_t time_ns;

    if (!call_param(c, "id").data)
        return error_set(&c->error, -EINVAL, "id: the line's number is missing");
    int r = call_number(c, "id", 0, UINT64_MAX, 0, &id);
    if (r == 0)
        r = call_number(c, "before", 0, CONTEXT_LINES_MAX, CONTEXT_LINES_DEFAULT, &before);
    if (r == 0)
        r = call_number(c, "after", 0, CONTEXT_LINES_MAX, CONTEXT_LINES_DEFAULT, &after);
    if (r == 0)
        r = call_time(c, "time_ns", 0, &time_ns);
    return r < 0 ? r
                 : query_logs_context(&c->query, id, time_ns, (unsigned) before, (unsigned) after);
}

static int answer_log(struct call *c) {
    uint64_t id;
    int64_t time_ns;

    if (slice_to_u64(http_request_capture(c->request, 0), &id) < 0)
        return error_set(&c->error, -EINVAL, "a line's id is a number");
    int r = call_time(c, "time_ns", 0, &time_ns);
    return r < 0 ? r : query_log(&c->query, id, time_ns);
}

const struct api_resource logs_resource = {"order", FILTER_LOGS, answer_logs, false};
const struct api_resource logs_histogram_resource = {"", FILTER_LOGS, answer_histogram, false};
const struct api_resource logs_facets_resource = {"keys", FILTER_LOGS, answer_facets, false};
const struct api_resource logs_context_resource = {"id before after time_ns", FILTER_LOGS,
                                                   answer_context, false};
const struct api_resource log_resource = {"time_ns", FILTER_LOGS, answer_log, false};
