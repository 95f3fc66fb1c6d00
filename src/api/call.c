/* Parameters and answers of a request. One worker at a time. */
#include "api/call.h"

#include <math.h>

static const char common_params[] = "from to filter limit cursor";

static bool has_word(const char *words, struct slice word) {
    struct slice rest = slice_from(words);

    while (rest.size)
        if (slice_equal(slice_cut(&rest, ' '), word))
            return true;
    return false;
}

static bool check_param(void *ctx, struct slice name, struct slice value) {
    struct call *c = ctx;

    if (has_word(common_params, name) || has_word(c->resource->params, name))
        return true;
    error_set(&c->error, -EINVAL, "there is no parameter %.*s here",
              SLICE_ARG(slice_take(name, 60)));
    return false;
}

struct slice call_param(struct call *c, const char *name) {
    return http_request_param(c->request, name);
}

int call_number(struct call *c, const char *name, uint64_t low, uint64_t high, uint64_t fallback,
                uint64_t *ret) {
    struct slice text = call_param(c, name);
    uint64_t v = fallback;

    if (text.data && (slice_to_u64(text, &v) < 0 || v < low || v > high))
        return error_set(&c->error, -EINVAL, "%s: a number from %llu to %llu is expected", name,
                         (unsigned long long) low, (unsigned long long) high);
    *ret = v;
    return 0;
}

/* Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size. */
static int parse_unix(struct slice text, int64_t *ret_ns) {
    int64_t v;
    double seconds;

    if (slice_to_i64(text, &v) == 0) {
        if (v < 0)
            return -EINVAL;
        *ret_ns = v < INT64_C(100000000000)         ? v * NS_PER_S
                  : v < INT64_C(100000000000000)    ? v * NS_PER_MS
                  : v < INT64_C(100000000000000000) ? v * NS_PER_US
                                                    : v;
        return 0;
    }
    if (slice_to_double(text, &seconds) < 0 || !(seconds >= 0 && seconds < 9e9))
        return -EINVAL;
    *ret_ns = llround(seconds * 1e9);
    return 0;
}

int parse_time(struct slice text, int64_t now_ns, int64_t *ret_ns) {
    int64_t delta;

    if (!slice_starts(text, SLICE("now")))
        return parse_unix(text, ret_ns) == 0 ? 0 : time_parse_rfc3339(text, ret_ns);
    struct slice rest = slice_skip(text, 3);
    if (rest.size == 0) {
        *ret_ns = now_ns;
        return 0;
    }
    if ((rest.data[0] != '-' && rest.data[0] != '+') ||
        duration_parse(slice_skip(rest, 1), &delta) < 0 || delta < 0 || delta > now_ns)
        return -EINVAL;
    *ret_ns = rest.data[0] == '-' ? now_ns - delta : now_ns + delta;
    return *ret_ns < 0 ? -EINVAL : 0;
}

int call_time(struct call *c, const char *name, int64_t fallback, int64_t *ret) {
    struct slice text = call_param(c, name);
    int64_t v = fallback;

    if (text.data && (parse_time(text, c->received_ns, &v) < 0 || v < 0 || v > INT64_MAX / 2))
        return error_set(&c->error, -EINVAL,
                         "%s: a time is expected: RFC 3339, Unix seconds, or now-15m", name);
    *ret = v;
    return 0;
}

static int read_signal(struct call *c) {
    struct slice text = call_param(c, "signal");

    if (!text.data)
        return 0;
    if (slice_is(text, "span"))
        c->query.signal = FILTER_SPANS;
    else if (slice_is(text, "log"))
        c->query.signal = FILTER_LOGS;
    else
        return error_set(&c->error, -EINVAL, "signal: span or log is expected");
    return 0;
}

static int read_range(struct call *c) {
    struct query *q = &c->query;

    int r = call_time(c, "to", c->received_ns, &q->to_ns);
    if (r == 0)
        r = call_time(c, "from", q->to_ns - API_DEFAULT_RANGE_NS, &q->from_ns);
    if (r == 0 && q->from_ns < 0)
        q->from_ns = 0;
    if (r == 0 && q->from_ns >= q->to_ns)
        r = error_set(&c->error, -EINVAL, "from: it must be before to");
    return r;
}

int call_begin(struct call *c) {
    struct query *q = &c->query;
    uint64_t limit;

    if (c->resource->params)
        http_request_params(c->request, check_param, c);
    if (c->error.code)
        return c->error.code;
    int r = read_range(c);
    if (r == 0)
        r = call_number(c, "limit", 1, QUERY_LIMIT_MAX, QUERY_LIMIT_DEFAULT, &limit);
    if (r == 0)
        r = read_signal(c);
    if (r < 0)
        return r;
    q->limit = (unsigned) limit;
    q->cursor = call_param(c, "cursor");
    struct filter *f = NULL;
    r = filter_parse(&c->arena, q->signal, call_param(c, "filter"), &f, &c->filter_error);
    q->filter = f;
    return r == -EINVAL && c->resource->takes_filter_errors ? 0 : r;
}

/* ---- Answers ---- */

void json_filter_error(struct json_writer *w, const struct filter_error *e) {
    json_begin_object(w);
    json_field_text(w, "code", e->code);
    json_field_text(w, "message", e->message);
    json_field_uint(w, "column", e->column);
    json_field_uint(w, "length", e->length);
    json_field_text(w, "hint", e->hint);
    json_end_object(w);
}

static const struct outcome {
    int error, status;
    const char *code, *message; /* when nobody said more */
} outcomes[] = {
        {-EINVAL, 400, "bad_request", "the request cannot be understood"},
        {-EPERM, 400, "bad_request", "this is not allowed"},
        {-ENOENT, 404, "not_found", "there is nothing of that name"},
        {-EFBIG, 413, "too_large", "the request is too large"},
        {-ETIMEDOUT, 504, "timeout",
         "the query took too long; narrow the time range or the filter"},
        {-ENOBUFS, 413, "too_many_rows", "the answer is too large; ask for less"},
        {-ECANCELED, 503, "timeout", "the client left"},
        {-ENOMEM, 503, "overloaded", "out of memory"},
        {-EAGAIN, 503, "overloaded", "too many questions at once; try again"},
        {-EIO, 500, "storage", "storage failed"},
        {0, 500, "internal", "something went wrong"},
};

static void send_error(struct call *c, int r) {
    const struct outcome *o = outcomes;

    while (o->error && o->error != r)
        o++;
    buffer_clear(&c->body);
    c->json = json_writer(&c->body);
    if (c->filter_error.code) {
        json_begin_object(&c->json);
        json_put_key(&c->json, "error");
        json_filter_error(&c->json, &c->filter_error);
        json_end_object(&c->json);
        http_respond(c->request, 400, "application/json", buffer_slice(&c->body), NULL, 0);
        return;
    }
    http_respond_error(c->request, o->status, o->code, "%s",
                       c->error.code == r && c->error.text[0] ? c->error.text : o->message);
}

void call_end(struct call *c, int r) {
    static const struct http_header no_store = {"Cache-Control", "no-store"};

    pool_leave(c);
    if (r < 0)
        send_error(c, r);
    else
        http_respond_buffer(c->request, 200, c->content_type ? c->content_type : "application/json",
                            &c->body, &no_store, 1);
    buffer_done(&c->body);
    arena_done(&c->arena);
}
