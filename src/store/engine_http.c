/*
 * The engine as a ClickHouse server over HTTP: the statement in the URL or the body, parameters as
 * param_name, settings as URL parameters, blocks as the body of INSERT … FORMAT Native. Clients
 * (kept connections) are lent to the calling threads. Thread-safe.
 */
#include "base/clock.h"
#include "net/client.h"
#include "net/url.h"
#include "store/engine.h"

#include <pthread.h>

#define CLIENTS_MAX 16u /* kept; more are made and freed when all are busy */
#define URL_BYTES_MAX ((size_t) 1 << 20)
#define INSERT_BYTES_MAX ((size_t) 1 << 30)
#define STATEMENT_TIMEOUT_NS (600 * NS_PER_S)
#define INSERT_TIMEOUT_NS (120 * NS_PER_S)

struct http_engine {
    struct engine engine;
    char *base;            /* "http://host:8123/" without user and password */
    char *user, *password; /* header lines, or NULL */
    char *database;
    pthread_mutex_t lock;
    struct http_client *idle[CLIENTS_MAX];
    size_t n_idle;
};

static int client_lend(struct http_engine *g, struct http_client **ret) {
    struct http_client *c = NULL;

    pthread_mutex_lock(&g->lock);
    if (g->n_idle)
        c = g->idle[--g->n_idle];
    pthread_mutex_unlock(&g->lock);
    if (!c) {
        int r = http_client_new(&c);
        if (r < 0)
            return r;
    }
    *ret = c;
    return 0;
}

static void client_return(struct http_engine *g, struct http_client *c) {
    pthread_mutex_lock(&g->lock);
    if (g->n_idle < CLIENTS_MAX) {
        g->idle[g->n_idle++] = c;
        c = NULL;
    }
    pthread_mutex_unlock(&g->lock);
    http_client_free(c);
}

static void url_add(struct buffer *url, const char *name, struct slice value) {
    buffer_append_u8(url, '&');
    buffer_append_text(url, name);
    buffer_append_u8(url, '=');
    url_encode(url, value);
}

static void url_begin(struct http_engine *g, struct buffer *url) {
    buffer_init(url, URL_BYTES_MAX);
    buffer_append_text(url, g->base);
    buffer_append_text(url,
                       "?wait_end_of_query=1"); /* an error after the first row is a status too */
    if (g->database)
        url_add(url, "database", slice_from(g->database));
}

/* One exchange; the answer's body goes to `ret` (may be NULL). Consumes `url`. */
static int exchange(struct http_engine *g, struct buffer *url, struct slice body,
                    int64_t timeout_ns, size_t bytes_max, const atomic_bool *cancel,
                    struct buffer *ret, struct error *e) {
    const char *headers[2];
    struct http_client_request q = {.method = "POST",
                                    .body = body,
                                    .headers = headers,
                                    .timeout_ns = timeout_ns,
                                    .answer_bytes_max = bytes_max,
                                    .cancel = cancel};
    struct http_client_answer a = {0};
    struct http_client *c = NULL;

    int r = buffer_append_u8(url, 0);
    if (r == 0)
        r = client_lend(g, &c);
    if (r < 0) {
        buffer_done(url);
        return error_set(e, r, "The statement for ClickHouse is too long.");
    }
    q.url = (const char *) url->data;
    if (g->user)
        headers[q.n_headers++] = g->user;
    if (g->password)
        headers[q.n_headers++] = g->password;
    r = http_client_send(c, &q, &a, e);
    client_return(g, c);
    buffer_done(url);
    if (r < 0)
        return r;
    if (a.status != 200) {
        buffer_append_u8(&a.body, 0);
        r = a.body.size > 1 && !a.body.failed
                    ? engine_error((const char *) a.body.data, e)
                    : error_set(e, -EIO, "ClickHouse answered with status %d.", a.status);
    } else if (ret) {
        r = buffer_append_slice(ret, buffer_slice(&a.body));
        if (r < 0)
            error_set(e, r, "The answer has %zu bytes, more than the limit.", a.body.size);
    }
    buffer_done(&a.body);
    return r;
}

static void url_add_number(struct buffer *url, const char *name, uint64_t value) {
    buffer_printf(url, "&%s=%llu", name, (unsigned long long) value);
}

static int http_query(struct engine *engine, const struct engine_query *q, struct buffer *ret,
                      struct error *e) {
    struct http_engine *g = (struct http_engine *) engine;
    const struct store_limits *l = q->limits;
    struct buffer url, value;
    char name[128];

    if (q->n_params > ENGINE_PARAMS_MAX)
        return error_set(e, -EINVAL, "A query has at most %u parameters.", ENGINE_PARAMS_MAX);
    url_begin(g, &url);
    url_add(&url, "default_format", slice_from(q->format));
    buffer_printf(&url, "&max_execution_time=%.3f", (double) l->timeout_ns / NS_PER_S);
    url_add_number(&url, "max_memory_usage", l->memory_bytes_max);
    url_add_number(&url, "max_result_rows", l->rows_max);
    url_add_number(&url, "max_result_bytes", l->result_bytes_max);
    buffer_append_text(&url, "&result_overflow_mode=throw&timeout_overflow_mode=throw");
    url_add_number(&url, "readonly", 2);
    buffer_init(&value, URL_BYTES_MAX);
    for (size_t i = 0; i < q->n_params; i++) {
        buffer_clear(&value);
        param_write(q->sql, &q->params[i], &value);
        snprintf(name, sizeof(name), "param_%s", q->params[i].name);
        url_add(&url, name, buffer_slice(&value));
    }
    buffer_done(&value);
    /* Closing the connection then ends the query there too. */
    buffer_append_text(&url, "&cancel_http_readonly_queries_on_client_close=1");
    return exchange(g, &url, slice_from(q->sql), l->timeout_ns + NS_PER_S, l->result_bytes_max,
                    l->cancel, ret, e);
}

static int http_execute(struct engine *engine, const char *sql, struct buffer *ret,
                        struct error *e) {
    struct http_engine *g = (struct http_engine *) engine;
    struct buffer url;

    url_begin(g, &url);
    url_add(&url, "default_format", SLICE("TSV"));
    return exchange(g, &url, slice_from(sql), STATEMENT_TIMEOUT_NS, ENGINE_EXECUTE_BYTES_MAX, NULL,
                    ret, e);
}

static int http_insert(struct engine *engine, const char *sql,
                       const struct native_block *const *blocks, size_t n, struct error *e) {
    struct http_engine *g = (struct http_engine *) engine;
    struct buffer url, query, body;
    int r = 0;

    buffer_init(&body, INSERT_BYTES_MAX);
    for (size_t i = 0; i < n && r == 0; i++)
        r = native_block_write(blocks[i], &body);
    if (r < 0) {
        buffer_done(&body);
        return error_set(e, r, "The rows of one commit are too large for one request.");
    }
    buffer_init(&query, URL_BYTES_MAX);
    buffer_append_text(&query, sql);
    buffer_append_text(&query, " FORMAT Native");
    url_begin(g, &url);
    url_add(&url, "query", buffer_slice(&query));
    buffer_append_text(&url, "&async_insert=0&max_partitions_per_insert_block=0"
                             /* a Distributed table answers when its shards have the rows */
                             "&distributed_foreground_insert=1");
    buffer_done(&query);
    r = exchange(g, &url, buffer_slice(&body), INSERT_TIMEOUT_NS, 0, NULL, NULL, e);
    buffer_done(&body);
    return r;
}

/* ---- Opening ---- */

static void http_close(struct engine *engine) {
    struct http_engine *g = (struct http_engine *) engine;

    for (size_t i = 0; i < g->n_idle; i++)
        http_client_free(g->idle[i]);
    pthread_mutex_destroy(&g->lock);
    if (g->password)
        explicit_bzero(g->password, strlen(g->password));
    free(g->base);
    free(g->user);
    free(g->password);
    free(g->database);
    free(g);
}

static const struct engine_ops http_ops = {
        .close = http_close,
        .query = http_query,
        .execute = http_execute,
        .insert = http_insert,
};

static int unescape(struct slice s, const char *prefix, char **ret) {
    struct buffer out;

    buffer_init(&out, 4096);
    buffer_append_text(&out, prefix);
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if (c == '%') {
            if (slice_from_hex(slice_take(slice_skip(s, i + 1), 2), &c, 1) < 0) {
                buffer_done(&out);
                return -EINVAL;
            }
            i += 2;
        }
        if (c < 0x20)
            out.failed = out.failed ? out.failed : -EINVAL; /* would break the header */
        buffer_append_u8(&out, c);
    }
    buffer_append_u8(&out, 0);
    if (out.failed) {
        int r = out.failed;
        buffer_done(&out);
        return r;
    }
    *ret = (char *) out.data;
    return 0;
}

/* "http://user:password@host:8123/" → base, and the two header lines. */
static int parse_url(struct http_engine *g, const char *url, struct error *e) {
    struct slice all = slice_from(url), rest = all, scheme;
    struct slice secure = SLICE("https://"), plain = SLICE("http://");

    scheme = slice_starts(all, secure) ? secure : plain;
    if (!slice_starts(all, scheme))
        return error_set(e, -EINVAL, "The ClickHouse address must begin with http:// or https://.");
    rest = slice_skip(all, scheme.size);
    struct slice host = rest;
    host = slice_cut(&host, '/');
    ptrdiff_t at = slice_find_byte(host, '@');
    int r = 0;
    if (at >= 0) {
        struct slice secret = slice_take(host, (size_t) at), user = slice_cut(&secret, ':');
        host = slice_skip(host, (size_t) at + 1);
        r = unescape(user, "X-ClickHouse-User: ", &g->user);
        if (r == 0 && secret.size)
            r = unescape(secret, "X-ClickHouse-Key: ", &g->password);
    }
    if (r < 0 || host.size == 0)
        return error_set(e, -EINVAL, "The ClickHouse address has no host, or a malformed user.");
    size_t size = scheme.size + host.size + 2;
    g->base = memory_alloc(size);
    if (!g->base)
        return error_set(e, -ENOMEM, "No memory for the engine.");
    snprintf(g->base, size, "%.*s%.*s/", SLICE_ARG(scheme), SLICE_ARG(host));
    return 0;
}

static int http_start(struct http_engine *g, const char *database, struct error *e) {
    struct buffer answer;
    char sql[256];
    int r = 0;

    if (strlen(database) > 64)
        return error_set(e, -EINVAL, "The ClickHouse database's name is too long.");
    for (const char *p = database; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              *p == '_'))
            return error_set(e, -EINVAL,
                             "The ClickHouse database's name may have letters, digits and _ "
                             "only.");
    snprintf(sql, sizeof(sql), "CREATE DATABASE IF NOT EXISTS %s", database);
    r = g->engine.ops->execute(&g->engine, sql, NULL, e);
    if (r < 0)
        return r;
    g->database = strdup(database);
    if (!g->database)
        return error_set(e, -ENOMEM, "No memory for the engine.");
    buffer_init(&answer, 64);
    r = g->engine.ops->execute(&g->engine, "SELECT version()", &answer, e);
    struct slice text = slice_trim(buffer_slice(&answer));
    snprintf(g->engine.version, sizeof(g->engine.version), "%.*s", SLICE_ARG(text));
    buffer_done(&answer);
    return r;
}

int engine_http_open(const char *url, const char *database, struct engine **ret, struct error *e) {
    struct http_engine *g = calloc(1, sizeof(*g));

    if (!g)
        return error_set(e, -ENOMEM, "No memory for the engine.");
    g->engine.ops = &http_ops;
    pthread_mutex_init(&g->lock, NULL);
    int r = parse_url(g, url, e);
    if (r == 0)
        r = http_start(g, database, e);
    if (r < 0) {
        http_close(&g->engine);
        return r;
    }
    *ret = &g->engine;
    return 0;
}
