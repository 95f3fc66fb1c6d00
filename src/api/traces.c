/* /api/v1/traces, its histogram, facets and comparison, /api/v1/traces/:id */
#include "api/call.h"

static int answer_traces(struct call *c) {
    struct slice sort = call_param(c, "sort");

    if (sort.data && !slice_is(sort, "recent") && !slice_is(sort, "slowest"))
        return error_set(&c->error, -EINVAL, "sort: recent or slowest is expected");
    return query_traces(&c->query, slice_is(sort, "slowest") ? TRACES_SLOWEST : TRACES_RECENT);
}

static int answer_histogram(struct call *c) {
    return query_traces_histogram(&c->query);
}

static int answer_facets(struct call *c) {
    return query_facets(&c->query, call_param(c, "keys"));
}

static int answer_compare(struct call *c) {
    struct compare_box box;

    int r = call_time(c, "box_from", c->query.from_ns, &box.from_ns);
    if (r == 0)
        r = call_time(c, "box_to", c->query.to_ns, &box.to_ns);
    if (r == 0)
        r = call_number(c, "min_ns", 0, UINT64_MAX, 0, &box.duration_min_ns);
    if (r == 0)
        r = call_number(c, "max_ns", 0, UINT64_MAX, UINT64_MAX, &box.duration_max_ns);
    if (r == 0 && box.from_ns >= box.to_ns)
        r = error_set(&c->error, -EINVAL, "box_from: it must be before box_to");
    return r < 0 ? r : query_traces_compare(&c->query, &box);
}

static int answer_trace(struct call *c) {
    struct slice text = http_request_capture(c->request, 0);
    uint8_t id[TRACE_ID_SIZE];

    if (slice_from_hex(text, id, sizeof(id)) < 0)
        return error_set(&c->error, -EINVAL, "a trace's id has %u hexadecimal digits",
                         2 * TRACE_ID_SIZE);
    return query_trace(&c->query, id);
}

const struct api_resource traces_resource = {"sort", FILTER_SPANS, answer_traces, false};
const struct api_resource traces_histogram_resource = {"", FILTER_SPANS, answer_histogram, false};
const struct api_resource traces_facets_resource = {"keys", FILTER_SPANS, answer_facets, false};
const struct api_resource traces_compare_resource = {"min_ns max_ns box_from box_to", FILTER_SPANS,
                                                     answer_compare, false};
const struct api_resource trace_resource = {"", FILTER_SPANS, answer_trace, false};
