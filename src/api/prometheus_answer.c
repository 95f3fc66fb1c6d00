/* Prometheus' envelope of answers and errors. One worker at a time. */
#include "api/prometheus_call.h"

#include <stdarg.h>
#include <stdio.h>

#define ERROR_BYTES_MAX ((size_t) 16 << 10)
#define ANNOTATIONS_MAX 1000u

/* 499 is what Prometheus says to a client that has left, and nobody hears. */
static const struct error_kind {
    const char *name;
    int status;
} error_kinds[] = {
        [PROM_BAD_DATA] = {"bad_data", 400},       [PROM_EXECUTION] = {"execution", 422},
        [PROM_CANCELED] = {"canceled", 499},       [PROM_TIMEOUT] = {"timeout", 503},
        [PROM_INTERNAL] = {"internal", 500},       [PROM_NOT_FOUND] = {"not_found", 404},
        [PROM_UNAVAILABLE] = {"unavailable", 503},
};

int prom_fail(struct prom_call *c, enum prom_error type, const char *format, ...) {
    va_list args;

    c->failure.type = type;
    va_start(args, format);
    vsnprintf(c->failure.text, sizeof(c->failure.text), format, args);
    va_end(args);
    return -EINVAL;
}

int prom_fail_storage(struct prom_call *c, int r, const struct error *e) {
    const char *text = e->code && e->text[0] ? e->text : error_name(r);

    switch (r) {
    case -EINVAL: return prom_fail(c, PROM_BAD_DATA, "%s", text);
    case -ECANCELED: return prom_fail(c, PROM_CANCELED, "the client left");
    case -ETIMEDOUT: return prom_fail(c, PROM_TIMEOUT, "%s", text);
    case -ENOBUFS: return prom_fail(c, PROM_EXECUTION, "%s", text);
    case -ENOMEM:
    case -EAGAIN: return prom_fail(c, PROM_UNAVAILABLE, "%s", text);
    default: return prom_fail(c, PROM_INTERNAL, "%s", text);
    }
}

int prom_fail_query(struct prom_call *c, int r, const char *param, const struct promql_error *e) {
    static const enum prom_error types[] = {
            [PROMQL_OK] = PROM_INTERNAL,         [PROMQL_BAD_QUERY] = PROM_BAD_DATA,
            [PROMQL_EXECUTION] = PROM_EXECUTION, [PROMQL_TIMEOUT] = PROM_TIMEOUT,
            [PROMQL_CANCELED] = PROM_CANCELED,   [PROMQL_LIMIT] = PROM_EXECUTION,
            [PROMQL_STORAGE] = PROM_INTERNAL,
    };

    if (e->kind == PROMQL_BAD_QUERY && e->line)
        return prom_fail(c, PROM_BAD_DATA, "invalid parameter \"%s\": %u:%u: parse error: %s",
                         param, e->line, e->column, e->text);
    if (e->kind == PROMQL_BAD_QUERY)
        return prom_fail(c, PROM_BAD_DATA, "invalid parameter \"%s\": %s", param, e->text);
    return prom_fail(c, types[e->kind], "%s", e->text[0] ? e->text : error_name(r));
}

static int add_text(struct prom_call *c, struct slice **list, size_t *n, const char *text) {
    if (!*list)
        *list = arena_array(&c->arena, struct slice, ANNOTATIONS_MAX);
    if (!*list)
        return -ENOMEM;
    if (*n == ANNOTATIONS_MAX)
        return 0;
    struct slice copy = arena_dup(&c->arena, slice_from(text));
    if (!copy.data)
        return -ENOMEM;
    (*list)[(*n)++] = copy;
    return 0;
}

int prom_warn(struct prom_call *c, const char *text) {
    return add_text(c, &c->warnings, &c->n_warnings, text);
}

int prom_annotate(struct prom_call *c, const struct promql_result *result) {
    int r = 0;

    for (size_t i = 0; i < result->n_annotations && r == 0; i++) {
        const struct promql_annotation *a = &result->annotations[i];
        r = a->info ? add_text(c, &c->infos, &c->n_infos, a->text)
                    : add_text(c, &c->warnings, &c->n_warnings, a->text);
    }
    return r;
}

static void put_texts(struct json_writer *w, const char *key, const struct slice *texts, size_t n) {
    if (n == 0)
        return;
    json_put_key(w, key);
    json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        json_put_string(w, texts[i]);
    json_end_array(w);
}

static void put_error(struct buffer *out, enum prom_error type, const char *text) {
    struct json_writer w = json_writer(out);

    json_begin_object(&w);
    json_field_text(&w, "status", "error");
    json_field_text(&w, "errorType", error_kinds[type].name);
    json_field_text(&w, "error", text);
    json_end_object(&w);
}

void prom_format_error(struct buffer *to, int status, const char *message) {
    enum prom_error type = PROM_BAD_DATA;

    if (status == 404)
        type = PROM_NOT_FOUND;
    else if (status >= 500)
        type = status == 500 ? PROM_INTERNAL : PROM_UNAVAILABLE;
    put_error(to, type, message);
}

void prom_refuse(struct http_request *q, enum prom_error type, const char *text) {
    static const struct http_header retry = {"Retry-After", "1"};
    struct buffer body;

    buffer_init(&body, ERROR_BYTES_MAX);
    put_error(&body, type, text);
    http_respond_buffer(q, error_kinds[type].status, "application/json", &body, &retry,
                        type == PROM_UNAVAILABLE);
    buffer_done(&body);
}

static int produce(struct prom_call *c) {
    struct json_writer *w = &c->json;
    int r;

    if (c->resource->plain)
        return c->resource->answer(c);
    json_begin_object(w);
    json_field_text(w, "status", "success");
    json_put_key(w, "data");
    r = c->resource->answer(c);
    if (r < 0)
        return r;
    put_texts(w, "warnings", c->warnings, c->n_warnings);
    put_texts(w, "infos", c->infos, c->n_infos);
    json_end_object(w);
    return 0;
}

static void count(struct prom_call *c, int r) {
    struct prometheus *p = c->p;

    atomic_fetch_add(&p->answer_ns, (uint64_t) (clock_monotonic_ns() - c->begun_ns));
    if (r < 0)
        atomic_fetch_add(&p->failed, 1);
    if (r < 0 && c->failure.type == PROM_TIMEOUT)
        atomic_fetch_add(&p->timeouts, 1);
}

void prom_answer(struct prom_call *c) {
    int r;

    arena_init(&c->arena, PROMETHEUS_ARENA_BYTES);
    buffer_init(&c->body, PROMETHEUS_ANSWER_BYTES);
    c->json = json_writer(&c->body);
    c->failure.type = PROM_INTERNAL;
    r = produce(c);
    if (r == 0 && c->body.failed)
        r = prom_fail(c, PROM_EXECUTION, "the answer is larger than %zu MiB; ask for less",
                      PROMETHEUS_ANSWER_BYTES >> 20);
    else if (r == -ENOMEM)
        prom_fail(c, PROM_UNAVAILABLE, "out of memory");
    count(c, r);
    prom_pool_leave(c);
    if (r < 0)
        prom_refuse(c->request, c->failure.type,
                    c->failure.text[0] ? c->failure.text : error_name(r));
    else
        http_respond_buffer(c->request, 200, c->content_type ? c->content_type : "application/json",
                            &c->body, NULL, 0);
    buffer_done(&c->body);
    arena_done(&c->arena);
}
