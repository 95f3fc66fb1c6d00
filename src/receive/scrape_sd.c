/* Discovery by files and by HTTP. See scrape_private.h; called on a discovery's thread. */
#include "base/clock.h"
#include "receive/scrape_private.h"

#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX ((size_t) 64 << 20)
#define HTTP_BYTES_MAX ((size_t) 64 << 20)
#define HTTP_TIMEOUT_MS 30000L

/* ---- Files ---- */

static uint64_t stamp_of(const char *path, uint64_t before) {
    struct stat st;

    if (stat(path, &st) < 0)
        return before;
    const uint64_t parts[] = {before, st.st_ino, (uint64_t) st.st_size,
                              (uint64_t) st.st_mtim.tv_sec, (uint64_t) st.st_mtim.tv_nsec};
    return slice_hash(slice_new(parts, sizeof(parts))) ^ slice_hash(slice_from(path));
}

static int find_paths(const struct scrape_provider *p, glob_t *found) {
    int flags = 0;

    for (size_t i = 0; i < p->n_names; i++, flags = GLOB_APPEND) {
        int r = glob((const char *) p->names[i].data, flags, NULL, found);
        if (r == GLOB_NOSPACE)
            return -ENOMEM;
    }
    return 0;
}

int scrape_find_files(const struct scrape_provider *p, struct scrape_found *found, uint64_t *stamp,
                      struct error *e) {
    glob_t paths = {0};
    uint64_t now = 1;
    int r = find_paths(p, &paths);

    for (size_t i = 0; i < paths.gl_pathc; i++)
        now = stamp_of(paths.gl_pathv[i], now);
    if (r == 0 && now == *stamp)
        r = 1;
    for (size_t i = 0; r == 0 && i < paths.gl_pathc; i++) {
        const char *path = paths.gl_pathv[i];
        struct slice text = scrape_file_read(path, FILE_BYTES_MAX, &found->arena, e);
        struct slice source = arena_dup(&found->arena, slice_from(path));
        r = !text.data     ? e->code
            : !source.data ? error_set(e, -ENOMEM, "out of memory")
                           : scrape_groups_parse(path, text, SLICE("__meta_filepath"), source,
                                                 &found->arena, &found->list, e);
    }
    globfree(&paths);
    if (r == 0)
        *stamp = now;
    return r;
}

/* ---- HTTP ---- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx) {
    return buffer_append(ctx, data, size * n) < 0 ? 0 : size * n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    return atomic_load((const _Atomic bool *) ctx);
}

static int fetch(CURL *curl, const struct scrape_provider *p, const char *version,
                 const _Atomic bool *stop, struct buffer *body, struct error *e) {
    struct curl_slist *headers = NULL, *connect_to = NULL;
    struct curl_header *type;
    long status = 0;

    scrape_http_init(curl, &p->http, e);
    int r = scrape_http_header(&headers, "User-Agent: Varan/%s", version ? version : "");
    if (r == 0)
        r = scrape_http_header(&headers, "Accept: application/json");
    if (r == 0)
        r = scrape_http_header(&headers, "X-Prometheus-Refresh-Interval-Seconds: %g",
                               (double) p->refresh_ns / NS_PER_S);
    if (r == 0)
        r = scrape_http_authorize(curl, &p->http, &headers, e);
    if (r == 0)
        r = scrape_http_address(curl, &p->http, p->url, &connect_to, &headers);
    if (r < 0) {
        curl_slist_free_all(headers);
        curl_slist_free_all(connect_to);
        return e->code ? e->code : error_set(e, r, "out of memory");
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, HTTP_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *) stop);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        r = error_set(e, -EIO, "%s: %s", p->url, curl_easy_strerror(code));
    else if (status != 200)
        r = error_set(e, -EIO, "%s: server returned HTTP status %ld", p->url, status);
    else if (curl_easy_header(curl, "Content-Type", 0, CURLH_HEADER, -1, &type) != CURLHE_OK ||
             !slice_starts(slice_from(type->value), SLICE("application/json")))
        r = error_set(e, -EIO, "%s: the answer's Content-Type is not application/json", p->url);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
    return r;
}

int scrape_find_http(const struct scrape_provider *p, const char *version, const _Atomic bool *stop,
                     struct scrape_found *found, uint64_t *stamp, struct error *e) {
    struct buffer body;
    CURL *curl = curl_easy_init();

    if (!curl)
        return error_set(e, -ENOMEM, "out of memory");
    buffer_init(&body, HTTP_BYTES_MAX);
    int r = fetch(curl, p, version, stop, &body, e);
    uint64_t now = slice_hash(buffer_slice(&body)) | 1;
    if (r == 0 && now == *stamp)
        r = 1;
    if (r == 0)
        r = scrape_groups_parse(p->url, buffer_slice(&body), SLICE("__meta_url"),
                                slice_from(p->url), &found->arena, &found->list, e);
    if (r == 0)
        *stamp = now;
    buffer_done(&body);
    curl_easy_cleanup(curl);
    return r;
}
