/*
 * Answers: the calls of http.h, the error shape, gzip. Any thread; the caller gives up its hold on
 * the request with the call.
 */
#include "net/request.h"
#include "wire/compress.h"

#include <stdarg.h>
#include <strings.h>

#define GZIP_BYTES_MIN 1024
#define GZIP_BYTES_MAX ((size_t) 64 << 20)
#define GZIP_LEVEL 4

const char json_content_type[] = "application/json; charset=utf-8";

static void answer(struct http_request *q, struct request_answer *a) {
    request_body_drop(q); /* who hears the answer finds its memory free for the next request */
    q->transport->answer(q, a);
    buffer_done(a->body);
    request_unref(q);
}

void http_respond_buffer(struct http_request *q, int status, const char *content_type,
                         struct buffer *body, const struct http_header *headers, size_t n_headers) {
    struct request_answer a = {status, content_type, body, headers, n_headers};

    answer(q, &a);
}

void http_respond(struct http_request *q, int status, const char *content_type, struct slice body,
                  const struct http_header *headers, size_t n_headers) {
    struct buffer copy;

    buffer_init(&copy, body.size);
    if (buffer_append_slice(&copy, body) < 0) {
        buffer_done(&copy);
        status = 503;
        content_type = NULL;
    }
    http_respond_buffer(q, status, content_type, &copy, headers, n_headers);
}

static void append_json_text(struct buffer *b, const char *text) {
    for (const unsigned char *p = (const unsigned char *) text; *p; p++)
        if (*p == '"' || *p == '\\')
            buffer_printf(b, "\\%c", *p);
        else if (*p < 32)
            buffer_printf(b, "\\u%04x", *p);
        else
            buffer_append_u8(b, *p);
}

void request_format_error(struct buffer *b, const char *code, const char *message) {
    buffer_append_text(b, "{\"error\":{\"code\":\"");
    append_json_text(b, code);
    buffer_append_text(b, "\",\"message\":\"");
    if (slice_is_utf8(slice_from(message)))
        append_json_text(b, message);
    else
        buffer_append_text(b, "the message holds bytes that are not UTF-8");
    buffer_append_text(b, "\"}}\n");
}

void http_respond_error(struct http_request *q, int status, const char *code, const char *format,
                        ...) {
    static const struct http_header retry = {"Retry-After", "1"};
    char message[1000];
    struct buffer b;
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    buffer_init(&b, 16384);
    request_format_error(&b, code, message);
    http_respond_buffer(q, status, json_content_type, &b, &retry, status == 503 || status == 429);
}

struct http_stream *http_stream_start(struct http_request *q, int status,
                                      const char *content_type) {
    return q->transport->stream(q, status, content_type);
}

/* ---- gzip ---- */

/* How much an item of a list like "gzip;q=0.5" wants `name`: its q, or -1 for another coding. */
static double coding_weight(struct slice item, const char *name) {
    struct slice coding = slice_trim(slice_cut(&item, ';'));
    double q = 1;

    if (!slice_equal_nocase(coding, slice_from(name)))
        return -1;
    item = slice_trim(item);
    if (item.size >= 2 && (item.data[0] | 32) == 'q' && item.data[1] == '=' &&
        slice_to_double(slice_skip(item, 2), &q) < 0)
        q = 1;
    return q;
}

bool accepts_gzip(struct slice accept_encoding) {
    double gzip = -1, any = -1;

    while (accept_encoding.size) {
        struct slice item = slice_cut(&accept_encoding, ',');
        double weight = coding_weight(item, "gzip");
        gzip = weight >= 0 ? weight : gzip;
        weight = coding_weight(item, "*");
        any = weight >= 0 ? weight : any;
    }
    return gzip >= 0 ? gzip > 0 : any > 0;
}

bool http_request_accepts_gzip(const struct http_request *q) {
    return accepts_gzip(http_request_header(q, "accept-encoding"));
}

bool worth_gzip(const char *content_type, size_t size) {
    static const char *const textual[] = {"text/", "json", "javascript", "xml", "yaml"};

    if (!content_type || size < GZIP_BYTES_MIN || size > GZIP_BYTES_MAX)
        return false;
    for (size_t i = 0; i < sizeof(textual) / sizeof(textual[0]); i++)
        if (strcasestr(content_type, textual[i]))
            return true;
    return false;
}

bool gzip_body(struct buffer *body) {
    struct buffer zipped;

    buffer_init(&zipped, GZIP_BYTES_MAX * 2);
    if (compress(COMPRESSION_GZIP, buffer_slice(body), GZIP_LEVEL, &zipped) < 0 ||
        zipped.size > body->size - body->size / 16) {
        buffer_done(&zipped); /* what does not shrink is sent as it is */
        return false;
    }
    uint8_t *shrunk = realloc(zipped.data, zipped.size);
    if (shrunk) {
        zipped.data = shrunk;
        zipped.allocated = zipped.size;
    }
    free(body->data);
    *body = zipped;
    return true;
}
