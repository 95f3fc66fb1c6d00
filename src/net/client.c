/*
 * HTTP client on libcurl's easy interface. A client keeps its connections; one thread at a time.
 * The answer's buffer is the caller's.
 */
#include "net/client.h"
#include "base/clock.h"

#include <curl/curl.h>
#include <pthread.h>

#define TIMEOUT_NS_DEFAULT (30 * NS_PER_S)
#define ANSWER_BYTES_MAX_DEFAULT ((size_t) 64 << 20)
/* An address as errors name it: a query is long, and may hold what is nobody's business. */
#define URL_ARG(url) (int) strcspn(url, "?"), url

struct http_client {
    CURL *curl;
};

/* What one exchange needs in libcurl's callbacks. */
struct transfer {
    const struct http_client_request *request;
    struct http_client_answer *answer;
    int stopped; /* negative errno: why a callback ended the transfer */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_client_new(struct http_client **ret) {
    pthread_once(&once, init_curl);
    struct http_client *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->curl = curl_easy_init();
    if (!c->curl) {
        free(c);
        return -ENOMEM;
    }
    *ret = c;
    return 0;
}

void http_client_free(struct http_client *c) {
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    free(c);
}

static size_t on_write(char *data, size_t size, size_t n, void *ctx) {
    struct transfer *t = ctx;
    struct slice piece = slice_new(data, size * n);

    if (t->request->on_body) {
        int r = t->request->on_body(t->request->ctx, piece);
        if (r == 0)
            return piece.size;
        t->stopped = r < 0 ? r : -ECANCELED;
        return 0;
    }
    t->stopped = buffer_append_slice(&t->answer->body, piece);
    return t->stopped < 0 ? 0 : piece.size;
}

static size_t on_read(char *to, size_t size, size_t n, void *ctx) {
    struct transfer *t = ctx;
    ssize_t got = t->request->read_body(t->request->ctx, (uint8_t *) to, size * n);

    if (got >= 0)
        return (size_t) got;
    t->stopped = (int) got;
    return CURL_READFUNC_ABORT;
}

static struct curl_slist *make_headers(const struct http_client_request *q, bool *ret_failed) {
    /* No wait for "100 Continue": our servers answer at once. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    *ret_failed = !list;
    for (size_t i = 0; list && i < q->n_headers; i++) {
        struct curl_slist *longer = curl_slist_append(list, q->headers[i]);
        if (!longer) {
            *ret_failed = true;
            break;
        }
        list = longer;
    }
    return list;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    struct transfer *t = ctx;

    if (!atomic_load(t->request->cancel))
        return 0;
    t->stopped = -ECANCELED;
    return 1;
}

static void set_options(CURL *h, struct transfer *t, struct curl_slist *headers, char *why) {
    const struct http_client_request *q = t->request;
    int64_t timeout_ns = q->timeout_ns ? q->timeout_ns : TIMEOUT_NS_DEFAULT;
    long timeout_ms = (long) ((timeout_ns + NS_PER_MS - 1) / NS_PER_MS);

    curl_easy_reset(h);
    curl_easy_setopt(h, CURLOPT_URL, q->url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "varan");
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    if (q->cancel) {
        curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(h, CURLOPT_XFERINFODATA, t);
    }
    if (q->ca_file)
        curl_easy_setopt(h, CURLOPT_CAINFO, q->ca_file);
    if (q->insecure) {
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (q->read_body) {
        curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(h, CURLOPT_READDATA, t);
    } else if (q->body.data) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) q->body.size);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, (const char *) q->body.data);
    } else if (strcmp(q->method, "HEAD") == 0) {
        curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, q->method);
}

/* libcurl's reason as an errno of ours. */
static int reason(CURLcode code, const struct transfer *t) {
    if (t->stopped)
        return t->stopped;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
    case CURLE_COULDNT_CONNECT: return -ECONNREFUSED;
    case CURLE_COULDNT_RESOLVE_HOST: return -EADDRNOTAVAIL;
    case CURLE_OUT_OF_MEMORY: return -ENOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return -EINVAL;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return -ECONNRESET;
    default: return -EIO;
    }
}

int http_client_send(struct http_client *c, const struct http_client_request *q,
                     struct http_client_answer *ret, struct error *e) {
    size_t cap = q->answer_bytes_max ? q->answer_bytes_max : ANSWER_BYTES_MAX_DEFAULT;
    struct http_client_answer answer = {0};
    struct transfer t = {.request = q, .answer = &answer};
    char why[CURL_ERROR_SIZE] = "";
    bool failed;

    buffer_init(&answer.body, cap);
    struct curl_slist *headers = make_headers(q, &failed);
    if (failed) {
        curl_slist_free_all(headers);
        return error_set(e, -ENOMEM, "%.*s: out of memory", URL_ARG(q->url));
    }
    set_options(c->curl, &t, headers, why);
    CURLcode code = curl_easy_perform(c->curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        int r = reason(code, &t);
        buffer_done(&answer.body);
        if (r == -ENOBUFS)
            return error_set(e, r, "%.*s: the answer is larger than %zu bytes", URL_ARG(q->url),
                             cap);
        return error_set(e, r, "%.*s: %s", URL_ARG(q->url),
                         t.stopped ? error_name(r)
                         : *why    ? why
                                   : curl_easy_strerror(code));
    }
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->curl, CURLINFO_CONTENT_TYPE, &type);
    answer.status = (int) status;
    snprintf(answer.content_type, sizeof(answer.content_type), "%s", type ? type : "");
    *ret = answer;
    return 0;
}
