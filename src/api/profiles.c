/* /api/v1/profiles/…: summary, flame graph, table, source lines, export. */
#include "api/call.h"

#define NODES_DEFAULT 20000u
#define NODES_MAX 200000u

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

    if (p.type.size == 0)
        p.type = SLICE("cpu");
    if (trace.size) {
        r = read_id(c, "trace_id", trace, p.trace_id, TRACE_ID_SIZE);
        p.has_trace = true;
    }
    if (r == 0)
        r = read_spans(c, &p);
    if (r == 0)
        *ret = p;
    return r;
}

/* What the selection is compared with: the same at another time, of another version; or nothing. */
static int read_base(struct call *c, const struct profile_selection *p,
                     struct profile_selection *room, const struct profile_selection **ret) {
    struct slice version = call_param(c, "base_version");
    bool asked = version.data || call_param(c, "base_from").data || call_param(c, "base_to").data;

    *room = *p;
    *ret = NULL;
    if (!asked)
        return 0;
    if (version.data)
        room->version = version;
    int r = call_time(c, "base_from", p->from_ns, &room->from_ns);
    if (r == 0)
        r = call_time(c, "base_to", p->to_ns, &room->to_ns);
    if (r == 0 && room->from_ns >= room->to_ns)
        r = error_set(&c->error, -EINVAL, "base_from: it must be before base_to");
    *ret = room;
    return r;
}

static bool flag(struct call *c, const char *name) {
    return slice_is(call_param(c, name), "1") || slice_is(call_param(c, name), "true");
}

static int answer_summary(struct call *c) {
    struct profile_selection p;
    int r = read_selection(c, &p);

    return r < 0 ? r : query_profile_summary(&c->query, &p);
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

static int answer_flame(struct call *c) {
    struct slice format = call_param(c, "format");
    const struct profile_selection *base = NULL;
    struct profile_selection p, room;
    uint64_t nodes;
    int r = read_selection(c, &p);

    if (r == 0)
        r = read_base(c, &p, &room, &base);
    if (r == 0)
        r = call_number(c, "nodes", 10, NODES_MAX, NODES_DEFAULT, &nodes);
    if (r < 0)
        return r;
    if (format.size && !slice_is(format, "json"))
        return answer_export(c, &p, format);
    return query_profile_flame(&c->query, &p, base, nodes, flag(c, "lines"));
}

static int answer_table(struct call *c) {
    const struct profile_selection *base = NULL;
    struct profile_selection p, room;
    struct slice sort = call_param(c, "sort");
    int r = read_selection(c, &p);

    if (r == 0)
        r = read_base(c, &p, &room, &base);
    if (r < 0)
        return r;
    if (sort.size && !slice_is(sort, "own") && !slice_is(sort, "sum"))
        return error_set(&c->error, -EINVAL, "sort: own or sum is expected");
    return query_profile_table(&c->query, &p, base, flag(c, "lines"), slice_is(sort, "sum"));
}

static int answer_source(struct call *c) {
    struct slice file = call_param(c, "file");
    struct profile_selection p;
    int r = read_selection(c, &p);

    if (r == 0 && file.size == 0)
        r = error_set(&c->error, -EINVAL, "file: the path as it stands in the profile is expected");
    return r < 0 ? r : query_profile_source(&c->query, &p, file);
}

#define SELECTION "service version endpoint thread type trace_id span_id"
#define BASE " base_from base_to base_version"

const struct api_resource profiles_summary_resource = {SELECTION, FILTER_SPANS, answer_summary,
                                                       false};
const struct api_resource profiles_flame_resource = {SELECTION BASE " nodes lines format",
                                                     FILTER_SPANS, answer_flame, false};
const struct api_resource profiles_table_resource = {SELECTION BASE " lines sort", FILTER_SPANS,
                                                     answer_table, false};
const struct api_resource profiles_source_resource = {SELECTION " file", FILTER_SPANS,
                                                      answer_source, false};
