/* /api/v1/profiles/…: parameters of profiles' questions. */
#include "api/call.h"

#define NODES_DEFAULT 20000u
#define NODES_MAX 200000u
#define SEARCH_BYTES_MAX 256u

static bool flag(struct call *c, const char *name) {
    return slice_is(call_param(c, name), "1") || slice_is(call_param(c, name), "true");
}

static int read_id(struct call *c, const char *name, struct slice text, uint8_t *ret, size_t size) {
    if (slice_from_hex(text, ret, size) < 0)
        return error_set(&c->error, -EINVAL, "%s has %zu hexadecimal digits", name, 2 * size);
    return 0;
}

static int read_spans(struct call *c, struct profile_selection *p) {
    struct slice rest = call_param(c, "span_id");

    if (rest.size == 0)
        return 0;
    p->span_ids = arena_alloc(&c->arena, PROFILE_SPANS_MAX * SPAN_ID_SIZE);
    if (!p->span_ids)
        return -ENOMEM;
    while (rest.size) {
        if (p->n_spans == PROFILE_SPANS_MAX)
            return error_set(&c->error, -EINVAL, "span_id: more than %u spans", PROFILE_SPANS_MAX);
        int r = read_id(c, "span_id", slice_cut(&rest, ','),
                        p->span_ids + p->n_spans++ * SPAN_ID_SIZE, SPAN_ID_SIZE);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_selection(struct call *c, struct profile_selection *ret) {
    struct slice trace = call_param(c, "trace_id");
    struct profile_selection p = {.from_ns = c->query.from_ns,
                                  .to_ns = c->query.to_ns,
                                  .service = call_param(c, "service"),
                                  .version = call_param(c, "version"),
                                  .endpoint = call_param(c, "endpoint"),
                                  .thread = call_param(c, "thread"),
                                  .type = call_param(c, "type")};
    int r = 0;

    bool subtree = flag(c, "subtree");
    if (p.type.size == 0)
        p.type = SLICE("cpu");
    if (call_param(c, "process").data) {
        r = call_number(c, "process", 0, UINT64_MAX, 0, &p.process);
        p.has_process = true;
    }
    if (r == 0 && trace.size) {
        r = read_id(c, "trace_id", trace, p.trace_id, TRACE_ID_SIZE);
        p.has_trace = true;
    }
    if (r == 0)
        r = read_spans(c, &p);
    if (r == 0 && subtree && !(p.has_trace && p.n_spans))
        r = error_set(&c->error, -EINVAL, "subtree: trace_id and span_id are expected beside it");
    if (r == 0 && p.has_trace)
        r = query_profile_of_trace(&c->query, &p, !call_param(c, "from").data, subtree);
    if (r == 0)
        *ret = p;
    return r;
}

/* What the selection is compared with: the same at another time, of another version, of another
 * endpoint; or nothing. */
static int read_base(struct call *c, const struct profile_selection *p,
                     struct profile_selection *room, const struct profile_selection **ret) {
    struct slice version = call_param(c, "base_version"), endpoint = call_param(c, "base_endpoint");
    bool asked = version.data || endpoint.data || call_param(c, "base_from").data ||
                 call_param(c, "base_to").data;

    *room = *p;
    *ret = NULL;
    if (!asked)
        return 0;
    if (version.data)
        room->version = version;
    if (endpoint.data)
        room->endpoint = endpoint;
    int r = call_time(c, "base_from", p->from_ns, &room->from_ns);
    if (r == 0)
        r = call_time(c, "base_to", p->to_ns, &room->to_ns);
    if (r == 0 && room->from_ns >= room->to_ns)
        r = error_set(&c->error, -EINVAL, "base_from: it must be before base_to");
    *ret = room;
    return r;
}

static int answer_summary(struct call *c) {
    struct profile_selection p;
    int r = read_selection(c, &p);

    return r < 0 ? r : query_profile_summary(&c->query, &p);
}

static int answer_series(struct call *c) {
    static const struct {
        const char *name;
        enum profile_by by;
    } names[] = {{"type", PROFILE_BY_TYPE},
                 {"service", PROFILE_BY_SERVICE},
                 {"version", PROFILE_BY_VERSION},
                 {"endpoint", PROFILE_BY_ENDPOINT},
                 {"thread", PROFILE_BY_THREAD}};
    struct slice by = call_param(c, "by");
    struct profile_selection p;
    size_t i = 0;
    int r = read_selection(c, &p);

    while (r == 0 && by.size && !slice_is(by, names[i].name))
        if (++i == sizeof(names) / sizeof(*names))
            r = error_set(&c->error, -EINVAL,
                          "by: type, service, version, endpoint or thread is expected");
    if (r < 0)
        return r;
    if (names[i].by == PROFILE_BY_TYPE && call_param(c, "type").size == 0)
        p.type = SLICE_EMPTY;
    return query_profile_series(&c->query, &p, names[i].by);
}

static int answer_trace(struct call *c) {
    struct profile_selection p;
    int r = read_selection(c, &p);

    if (r == 0 && !p.has_trace)
        r = error_set(&c->error, -EINVAL, "trace_id: 32 hexadecimal digits are expected");
    p.type = SLICE_EMPTY; /* all of them */
    return r < 0 ? r : query_profile_trace(&c->query, &p);
}

static const struct {
    const char *name, *content_type;
    enum profile_format format;
} formats[] = {
        {"collapsed", "text/plain; charset=utf-8", PROFILE_COLLAPSED},
        {"pprof", "application/octet-stream", PROFILE_PPROF},
        {"speedscope", "application/json", PROFILE_SPEEDSCOPE},
};

static int answer_export(struct call *c, const struct profile_selection *p, struct slice format) {
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (slice_is(format, formats[i].name)) {
            c->content_type = formats[i].content_type;
            return query_profile_export(&c->query, p, formats[i].format, &c->body);
        }
    return error_set(&c->error, -EINVAL,
                     "format: json, collapsed, pprof or speedscope is expected");
}

static int read_tree(struct call *c, struct profile_tree *ret) {
    uint64_t nodes;
    int r = call_number(c, "nodes", 10, NODES_MAX, NODES_DEFAULT, &nodes);

    if (r == 0)
        *ret = (struct profile_tree){nodes, flag(c, "lines")};
    return r;
}

static int answer_flame(struct call *c) {
    struct slice format = call_param(c, "format");
    const struct profile_selection *base = NULL;
    struct profile_selection p, room;
    struct profile_tree tree;
    int r = read_selection(c, &p);

    if (r == 0)
        r = read_base(c, &p, &room, &base);
    if (r == 0)
        r = read_tree(c, &tree);
    if (r < 0)
        return r;
    if (format.size && !slice_is(format, "json"))
        return answer_export(c, &p, format);
    return query_profile_flame(&c->query, &p, base, &tree);
}

static int answer_function(struct call *c) {
    const struct profile_selection *base = NULL;
    struct slice function = call_param(c, "function");
    struct profile_selection p, room;
    struct profile_tree tree;
    int r = read_selection(c, &p);

    if (r == 0)
        r = read_base(c, &p, &room, &base);
    if (r == 0)
        r = read_tree(c, &tree);
    if (r == 0 && function.size == 0)
        r = error_set(&c->error, -EINVAL,
                      "function: the name as it stands in the profile is expected");
    if (r < 0)
        return r;
    return query_profile_function(&c->query, &p, base, function, call_param(c, "file"), &tree);
}

static int answer_table(struct call *c) {
    const struct profile_selection *base = NULL;
    struct profile_selection p, room;
    struct slice sort = call_param(c, "sort");
    int r = read_selection(c, &p);

    if (r == 0)
        r = read_base(c, &p, &room, &base);
    if (r == 0 && sort.size && !slice_is(sort, "own") && !slice_is(sort, "sum"))
        r = error_set(&c->error, -EINVAL, "sort: own or sum is expected");
    if (r < 0)
        return r;
    const struct profile_table table = {flag(c, "lines"), slice_is(sort, "sum"),
                                        slice_take(call_param(c, "search"), SEARCH_BYTES_MAX)};
    return query_profile_table(&c->query, &p, base, &table);
}

static int answer_source(struct call *c) {
    struct slice file = call_param(c, "file");
    struct profile_selection p;
    int r = read_selection(c, &p);

    if (r == 0 && file.size == 0)
        r = error_set(&c->error, -EINVAL, "file: the path as it stands in the profile is expected");
    return r < 0 ? r : query_profile_source(&c->query, &p, file, call_param(c, "function"));
}

#define SELECTION "service version endpoint thread process type trace_id span_id subtree"
#define BASE " base_from base_to base_version base_endpoint"
#define RESOURCE(name, params)                                                                     \
    const struct api_resource profiles_##name##_resource = {params, FILTER_SPANS, answer_##name,   \
                                                            false};

RESOURCE(summary, SELECTION)
RESOURCE(series, SELECTION " by")
RESOURCE(trace, SELECTION)
RESOURCE(flame, SELECTION BASE " nodes lines format")
RESOURCE(function, SELECTION BASE " function file nodes lines")
RESOURCE(table, SELECTION BASE " lines sort search")
RESOURCE(source, SELECTION " file function")
