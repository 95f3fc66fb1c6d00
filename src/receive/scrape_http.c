/* libcurl's handles, set up for scraping and for discovery. One owner at a time. */
#include "base/clock.h"
#include "receive/scrape_private.h"

#include <stdarg.h>
#include <stdio.h>

#define SECRET_BYTES_MAX 65536u
#define REDIRECTS_MAX 10L

/* ---- Settings that stay ---- */

static long tls_version(const char *name) {
    if (!name)
        return 0;
    return strcmp(name, "TLS10") == 0   ? CURL_SSLVERSION_TLSv1_0
           : strcmp(name, "TLS11") == 0 ? CURL_SSLVERSION_TLSv1_1
           : strcmp(name, "TLS12") == 0 ? CURL_SSLVERSION_TLSv1_2
                                        : CURL_SSLVERSION_TLSv1_3;
}

/* The text lives as long as the configuration. */
static void set_pem(CURL *curl, CURLoption option, const char *pem) {
    struct curl_blob blob = {.data = (void *) pem, .flags = CURL_BLOB_COPY};

    if (!pem)
        return;
    blob.len = strlen(pem);
    curl_easy_setopt(curl, option, &blob);
}

/* As other programs read it: HTTP_PROXY or HTTPS_PROXY by the address' scheme, in either spelling.
 * libcurl itself heeds NO_PROXY. */
static const char *environment_proxy(const char *url) {
    bool tls = strncmp(url, "https:", 6) == 0;
    const char *upper = getenv(tls ? "HTTPS_PROXY" : "HTTP_PROXY"),
               *lower = getenv(tls ? "https_proxy" : "http_proxy");

    return upper && *upper ? upper : lower ? lower : "";
}

int scrape_http_init(CURL *curl, const struct scrape_http *h, struct error *e) {
    long min = tls_version(h->tls_min), max = tls_version(h->tls_max) << 16;

    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, (long) h->follow_redirects);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
                     h->enable_http2 ? (long) CURL_HTTP_VERSION_2TLS
                                     : (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, h->insecure ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, h->insecure ? 0L : 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, min | max);
    curl_easy_setopt(curl, CURLOPT_PROXY, h->proxy_url ? h->proxy_url : "");
    if (h->no_proxy)
        curl_easy_setopt(curl, CURLOPT_NOPROXY, h->no_proxy);
    set_pem(curl, CURLOPT_CAINFO_BLOB, h->ca);
    set_pem(curl, CURLOPT_SSLCERT_BLOB, h->cert);
    set_pem(curl, CURLOPT_SSLKEY_BLOB, h->key);
    if (h->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, h->ca_file);
    if (h->cert_file)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, h->cert_file);
    if (h->key_file)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, h->key_file);
    return 0;
}

/* ---- Headers ---- */

int scrape_http_header(struct curl_slist **list, const char *format, ...) {
    char *text;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    struct curl_slist *longer = n < 0 ? NULL : curl_slist_append(*list, text);
    if (n >= 0)
        free(text);
    if (!longer) {
        curl_slist_free_all(*list);
        *list = NULL;
        return -ENOMEM;
    }
    *list = longer;
    return 0;
}

/* The file's text without the line end, or the value. */
static int secret(const char *value, const char *file, struct arena *a, const char **ret,
                  struct error *e) {
    *ret = value ? value : "";
    if (!file)
        return 0;
    struct slice text = scrape_file_read(file, SECRET_BYTES_MAX, a, e);
    if (!text.data)
        return error_prefix(e, "reading credentials: ");
    text = slice_trim(text);
    *ret = (const char *) arena_dup(a, text).data;
    return *ret ? 0 : -ENOMEM;
}

int scrape_http_authorize(CURL *curl, const struct scrape_http *h, struct curl_slist **headers,
                          struct error *e) {
    const char *user, *password;
    struct arena a;
    int r = 0;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; r == 0 && i < h->n_headers; i++)
        r = scrape_http_header(headers, "%.*s: %.*s", SLICE_ARG(h->headers[i].name),
                               SLICE_ARG(h->headers[i].value));
    for (size_t i = 0; r == 0 && i < h->n_file_headers; i++) {
        r = secret(NULL, (const char *) h->file_headers[i].value.data, &a, &password, e);
        if (r == 0)
            r = scrape_http_header(headers, "%.*s: %s", SLICE_ARG(h->file_headers[i].name),
                                   password);
    }
    if (r == 0 && h->has_basic_auth) {
        r = secret(h->username, h->username_file, &a, &user, e);
        if (r == 0)
            r = secret(h->password, h->password_file, &a, &password, e);
        if (r == 0) {
            curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
            curl_easy_setopt(curl, CURLOPT_USERNAME, user);
            curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
        }
    } else if (r == 0 && h->has_authorization) {
        r = secret(h->credentials, h->credentials_file, &a, &password, e);
        if (r == 0)
            r = scrape_http_header(headers, "Authorization: %s %s",
                                   h->auth_type ? h->auth_type : "Bearer", password);
    }
    arena_done(&a);
    return r;
}

/* ---- Addresses ---- */

/* "host:port" of the URL, as its author wrote it or with the scheme's port. */
static char *authority(CURLU *u, bool whole, struct arena *a) {
    char *host = NULL, *port = NULL, *text = NULL;

    curl_url_get(u, CURLUPART_HOST, &host, 0);
    curl_url_get(u, CURLUPART_PORT, &port, whole ? CURLU_DEFAULT_PORT : 0);
    if (host)
        text = arena_printf(a, "%s%s%s", host, port ? ":" : "", port ? port : "");
    curl_free(host);
    curl_free(port);
    return text;
}

/* libcurl verifies a certificate against the URL's host alone: it becomes the server's name, and
 * the connection goes to the host that it was. */
static int rename_host(CURL *curl, CURLU *u, const char *name, struct curl_slist **connect_to,
                       struct curl_slist **headers, struct arena *a) {
    char *host = authority(u, false, a), *from = authority(u, true, a), *url = NULL;

    if (!host || !from || curl_url_set(u, CURLUPART_HOST, name, 0) != CURLUE_OK)
        return -EINVAL;
    char *to = authority(u, true, a);
    if (!to || curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK)
        return -ENOMEM;
    int r = scrape_http_header(headers, "Host: %s", host);
    if (r == 0)
        r = scrape_http_header(connect_to, "%s:%s", to, from);
    if (r == 0) {
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_CONNECT_TO, *connect_to);
    }
    curl_free(url);
    return r;
}

int scrape_http_address(CURL *curl, const struct scrape_http *h, const char *url,
                        struct curl_slist **connect_to, struct curl_slist **headers) {
    struct arena a;
    int r = 0;

    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (h->proxy_from_environment)
        curl_easy_setopt(curl, CURLOPT_PROXY, environment_proxy(url));
    if (!h->server_name || strncmp(url, "https:", 6) != 0)
        return 0;
    CURLU *u = curl_url();
    if (!u)
        return -ENOMEM;
    arena_init(&a, 1 << 20);
    if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
        r = rename_host(curl, u, h->server_name, connect_to, headers, &a);
    arena_done(&a);
    curl_url_cleanup(u);
    return r;
}

/* ---- A target's requests ---- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx) {
    struct scrape_target *t = ctx;
    uint64_t limit = t->job->body_size_limit;
    size_t bytes = size * n, before = t->body.allocated;

    if ((limit && t->body.size + bytes > limit) || t->body.size + bytes > SCRAPE_BODY_BYTES_MAX) {
        t->body_too_large = true;
        return 0;
    }
    if (atomic_load(&t->scrape->body_bytes) + bytes > SCRAPE_BODIES_BYTES_MAX) {
        snprintf(t->error, sizeof(t->error), "the answers of all targets take too much memory");
        return 0;
    }
    if (buffer_append(&t->body, data, bytes) < 0)
        return 0;
    t->body_room += t->body.allocated - before;
    atomic_fetch_add(&t->scrape->body_bytes, t->body.allocated - before);
    return bytes;
}

static int set_accept(struct scrape_target *t) {
    static const char *const types[SCRAPE_PROTOCOLS] = {
            [SCRAPE_PROTOBUF] = ("application/vnd.google.protobuf;"
                                 "proto=io.prometheus.client.MetricFamily;encoding=delimited"),
            [SCRAPE_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
            [SCRAPE_OPENMETRICS_1_0_0] =
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            [SCRAPE_TEXT_0_0_4] = "text/plain;version=0.0.4",
            [SCRAPE_TEXT_1_0_0] = "text/plain;version=1.0.0;escaping=allow-utf-8"};
    char accept[600];
    size_t n = 0;
    int weight = SCRAPE_PROTOCOLS + 1;

    for (size_t i = 0; i < t->job->n_protocols; i++, weight--)
        n += (size_t) snprintf(accept + n, sizeof(accept) - n, "%s;q=0.%d,",
                               types[t->job->protocols[i]], weight);
    snprintf(accept + n, sizeof(accept) - n, "*/*;q=0.%d", weight);
    return scrape_http_header(&t->headers, "Accept: %s", accept);
}

int scrape_http_prepare(struct scrape_target *t, struct error *e) {
    const struct scrape_http *h = &t->job->http;
    CURL *curl = t->curl;
    int r;

    if (!curl) {
        t->curl = curl = curl_easy_init();
        if (!curl)
            return error_set(e, -ENOMEM, "out of memory");
        scrape_http_init(curl, h, e);
        curl_easy_setopt(curl, CURLOPT_PRIVATE, t);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) (t->timeout_ns / NS_PER_MS));
        curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    }
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connect_to);
    t->headers = t->connect_to = NULL;
    r = scrape_http_address(curl, h, t->url, &t->connect_to, &t->headers);
    if (r == 0)
        r = set_accept(t);
    if (r == 0)
        r = scrape_http_header(&t->headers, "User-Agent: Varan/%s",
                               t->scrape->version ? t->scrape->version : "");
    if (r == 0)
        r = scrape_http_header(&t->headers, "X-Prometheus-Scrape-Timeout-Seconds: %g",
                               (double) t->timeout_ns / NS_PER_S);
    if (r == 0)
        r = scrape_http_header(&t->headers, "Accept-Encoding: %s",
                               t->job->compression ? "gzip" : "identity");
    if (r == 0)
        r = scrape_http_authorize(curl, h, &t->headers, e);
    if (r < 0)
        return e->code ? e->code
                       : error_set(e, r, "%s",
                                   r == -EINVAL ? "tls_config: server_name is not a host's name"
                                                : "out of memory");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers);
    return 0;
}
