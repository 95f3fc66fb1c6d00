/* Serves the embedded page. Constant data; any thread. */
#include "api/page.h"
#include "api/page_files.h"
#include "wire/compress.h"

/* Scripts come from here only; styles may stand in the document, as charts and editors put them
 * there. */
static const char policy[] =
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' "
        "data: "
        "blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static const struct page_file *find(struct slice path) {
    for (size_t i = 0; i < page_files_n; i++)
        if (slice_is(path, page_files[i].path))
            return &page_files[i];
    return NULL;
}

/* Whether the client holds this very content. */
static bool is_known(struct slice tags, const char *etag) {
    while (tags.size) {
        struct slice tag = slice_trim(slice_cut(&tags, ','));
        if (slice_starts(tag, SLICE("W/")))
            tag = slice_skip(tag, 2);
        if (slice_is(tag, etag) || slice_is(tag, "*"))
            return true;
    }
    return false;
}

static void send_file(struct http_request *q, const struct page_file *f) {
    bool zipped = f->gzipped && http_request_accepts_gzip(q);
    struct http_header headers[8] = {
            {"ETag", f->etag},
            {"Cache-Control", f->hashed ? "public, max-age=31536000, immutable" : "no-cache"},
            {"Vary", "Accept-Encoding"},
            {"Content-Security-Policy", policy},
            {"Referrer-Policy", "same-origin"},
            {"Content-Encoding", zipped ? "gzip" : "identity"},
    };
    size_t n = zipped ? 6 : 5;

    if (is_known(http_request_header(q, "if-none-match"), f->etag)) {
        http_respond(q, 304, NULL, SLICE_EMPTY, headers, 5);
    } else if (f->gzipped && !zipped) {
        struct buffer plain;
        buffer_init(&plain, f->plain_size);
        if (decompress(COMPRESSION_GZIP, slice_new(f->data, f->size), &plain) < 0) {
            buffer_done(&plain);
            http_respond_error(q, 503, "overloaded", "out of memory");
            return;
        }
        http_respond_buffer(q, 200, f->type, &plain, headers, n);
    } else {
        http_respond(q, 200, f->type, slice_new(f->data, f->size), headers, n);
    }
}

/* A view of the page, and not a file that is missing: service names may hold dots, so a browser
 * that asks for a document gets one. */
static bool is_view(struct http_request *q, struct slice path) {
    struct slice rest = path, last = path;

    if (slice_starts(path, SLICE("assets/")))
        return false;
    while (rest.size)
        last = slice_cut(&rest, '/');
    return slice_find_byte(last, '.') < 0 ||
           slice_find(http_request_header(q, "accept"), SLICE("text/html")) >= 0;
}

static bool is_api(struct slice path) {
    static const char *const spaces[] = {"api/", "v1/", "prometheus/", "loki/", "jaeger/"};

    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
        if (slice_starts(path, slice_from(spaces[i])))
            return true;
    return false;
}

static void serve_page(struct http_request *q, void *ctx) {
    struct slice path = http_request_capture(q, 0);
    const struct page_file *f = find(path);

    if (!f && !is_api(path) && is_view(q, path))
        f = find(SLICE("index.html"));
    if (f)
        send_file(q, f);
    else
        http_respond_error(q, 404, "not_found", "there is nothing at this path");
}

static const struct http_route routes[] = {
        {HTTP_GET, "/*", serve_page, 0, "the page"},
};

struct http_routes page_routes(void) {
    return (struct http_routes){routes, 1, NULL};
}
