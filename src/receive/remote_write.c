/*
 * Remote write's requests and answers. A request is decoded on the server's thread; its answer is
 * given on the writer's, once the rows are durable. Pressure is answered with 503, as senders throw
 * away on 429 unless told otherwise. See remote_write.h.
 */
#include "receive/remote_write.h"
#include "receive/remote_write_decode.h"
#include "wire/compress.h"
#include "wire/snappy.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_STORAGE_S 5u
#define TEXT_TYPE "text/plain; charset=utf-8"

struct remote_write {
    struct ingest *ingest;
    struct remote_memo *memo;
    _Atomic uint64_t requests, requests_v2, malformed, partial, samples, histograms, exemplars,
            rejected, rejected_exemplars;
};

/* One request from decoding to its answer. Freed when it is answered. */
struct call {
    struct remote_write *owner;
    struct http_request *request;
    enum remote_version version;
    uint64_t samples, histograms, exemplars, rejected, rejected_exemplars;
    struct buffer reasons;
};

/* ---- Answers ---- */

static void refuse(struct http_request *q, int status, const char *text, unsigned retry_s) {
    struct buffer body;
    char retry[16];
    struct http_header header = {"Retry-After", retry};

    snprintf(retry, sizeof(retry), "%u", retry_s);
    buffer_init(&body, 8192);
    buffer_printf(&body, "%s\n", text);
    http_respond_buffer(q, status, TEXT_TYPE, &body, &header, retry_s > 0);
    buffer_done(&body);
}

static void call_free(struct call *c) {
    buffer_done(&c->reasons);
    free(c);
}

static void count(struct call *c) {
    struct remote_write *w = c->owner;

    atomic_fetch_add(&w->samples, c->samples);
    atomic_fetch_add(&w->histograms, c->histograms);
    atomic_fetch_add(&w->exemplars, c->exemplars);
    atomic_fetch_add(&w->rejected, c->rejected);
    atomic_fetch_add(&w->rejected_exemplars, c->rejected_exemplars);
    if (c->rejected)
        atomic_fetch_add(&w->partial, 1);
}

/* What was written, for 2.0; and what was not, by 400: the sender does not send it again. */
static void answer_kept(struct call *c) {
    char samples[24], histograms[24], exemplars[24];
    const struct http_header headers[] = {
            {"X-Prometheus-Remote-Write-Samples-Written", samples},
            {"X-Prometheus-Remote-Write-Histograms-Written", histograms},
            {"X-Prometheus-Remote-Write-Exemplars-Written", exemplars},
    };

    snprintf(samples, sizeof(samples), "%" PRIu64, c->samples);
    snprintf(histograms, sizeof(histograms), "%" PRIu64, c->histograms);
    snprintf(exemplars, sizeof(exemplars), "%" PRIu64, c->exemplars);
    if (c->rejected) {
        buffer_append_u8(&c->reasons, '\n');
        http_respond_buffer(c->request, 400, TEXT_TYPE, &c->reasons, headers, 3);
    } else {
        http_respond(c->request, 204, NULL, SLICE_EMPTY, headers, 3);
    }
}

static void answer(void *ctx, int result) {
    struct call *c = ctx;

    if (result == -EAGAIN) {
        refuse(c->request, 503, "too much is waiting to be written", 1);
    } else if (result < 0) {
        refuse(c->request, 503, "storage could not take the samples", RETRY_STORAGE_S);
    } else {
        count(c);
        answer_kept(c);
    }
    call_free(c);
}

/* ---- Requests ---- */

/* application/x-protobuf; proto=io.prometheus.write.v2.Request */
static int parse_content_type(struct slice header, enum remote_version *ret) {
    struct slice type = slice_trim(slice_cut(&header, ';'));

    *ret = REMOTE_V1;
    if (type.size && !slice_equal_nocase(type, SLICE("application/x-protobuf")))
        return -ENOTSUP;
    while (header.size) {
        struct slice value = slice_trim(slice_cut(&header, ';')),
                     name = slice_trim(slice_cut(&value, '='));
        if (!slice_equal_nocase(name, SLICE("proto")))
            continue;
        value = slice_trim(value);
        if (value.size > 1 && value.data[0] == '"' && value.data[value.size - 1] == '"')
            value = slice_new(value.data + 1, value.size - 2);
        if (slice_is(value, "io.prometheus.write.v2.Request"))
            *ret = REMOTE_V2;
        else if (!slice_is(value, "prometheus.WriteRequest"))
            return -ENOTSUP;
    }
    return 0;
}

static int unpack(struct slice encoding, struct slice body, struct buffer *out, struct error *e) {
    enum compression other = COMPRESSION_NONE;
    int r;

    encoding = slice_trim(encoding);
    if (encoding.size == 0 || slice_equal_nocase(encoding, SLICE("snappy")))
        r = snappy_decompress(body, out);
    else if (compression_parse(encoding, &other) < 0)
        return error_set(e, -ENOTSUP, "Content-Encoding must be snappy, gzip or zstd");
    else if (other == COMPRESSION_NONE)
        r = buffer_append_slice(out, body);
    else
        r = decompress(other, body, out);
    if (r == -ENOBUFS)
        return error_set(e, -E2BIG, "the body is larger than %zu bytes when decompressed",
                         REMOTE_WRITE_PLAIN_BYTES_MAX);
    if (r == -EBADMSG)
        return error_set(e, r, "the body cannot be decompressed: it is not whole or not %s",
                         encoding.size ? "what Content-Encoding says" : "a snappy block");
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

static void take_over(struct call *c, struct remote_decoder *d) {
    c->samples = d->samples;
    c->histograms = d->histograms;
    c->exemplars = d->exemplars;
    c->rejected = d->rejected;
    c->rejected_exemplars = d->rejected_exemplars;
    c->reasons = d->reasons;
    c->reasons.cap++; /* for the newline at its end */
    buffer_init(&d->reasons, 0);
}

static int decode(struct call *c, struct slice message, struct error *e, unsigned *ret_retry_s) {
    struct ingest_txn *txn;

    int r = ingest_begin(c->owner->ingest, message.size, &txn, ret_retry_s);
    if (r < 0)
        return error_set(e, -EAGAIN, "too much is waiting to be written");
    struct remote_decoder *d = remote_decoder_new(txn, c->owner->memo);
    r = d ? remote_decode(d, c->version, message) : -ENOMEM;
    if (r == -EBADMSG)
        *e = d->error;
    else if (r < 0)
        error_set(e, r, "no room for the samples now");
    if (r == 0)
        take_over(c, d);
    remote_decoder_free(d);
    if (r < 0)
        ingest_abort(txn);
    else
        ingest_commit(txn, answer, c);
    return r;
}

static int status_of(int r) {
    switch (r) {
    case -EBADMSG: return 400;
    case -E2BIG: return 413;
    case -ENOTSUP: return 415;
    default: return 503;
    }
}

static int begin(struct call *c, struct error *e, unsigned *ret_retry_s) {
    struct http_request *q = c->request;
    struct buffer plain;

    if (parse_content_type(http_request_header(q, "Content-Type"), &c->version) < 0)
        return error_set(e, -ENOTSUP,
                         "Content-Type must be application/x-protobuf, its proto "
                         "prometheus.WriteRequest or io.prometheus.write.v2.Request");
    if (c->version == REMOTE_V2)
        atomic_fetch_add(&c->owner->requests_v2, 1);
    buffer_init(&plain, REMOTE_WRITE_PLAIN_BYTES_MAX);
    int r = unpack(http_request_header(q, "Content-Encoding"), http_request_body(q), &plain, e);
    if (r == 0)
        r = decode(c, buffer_slice(&plain), e, ret_retry_s);
    buffer_done(&plain);
    return r;
}

static void serve(struct http_request *q, void *ctx) {
    struct remote_write *w = ctx;
    struct call *c = memory_alloc(sizeof(*c));
    struct error e = ERROR_NONE;
    unsigned retry_s = 1;

    atomic_fetch_add(&w->requests, 1);
    if (!c) {
        refuse(q, 503, "out of memory", 1);
        return;
    }
    *c = (struct call){.owner = w, .request = q};
    buffer_init(&c->reasons, 0);
    int r = begin(c, &e, &retry_s);
    if (r == 0)
        return; /* answer() has the call now */
    if (r == -EBADMSG)
        atomic_fetch_add(&w->malformed, 1);
    call_free(c);
    refuse(q, status_of(r), e.text, status_of(r) == 503 ? retry_s : 0);
}

static const struct http_route table[] = {
        {HTTP_POST, "/prometheus/api/v1/write", serve, REMOTE_WRITE_BODY_BYTES_MAX,
         "Takes Prometheus' remote write."},
        {HTTP_POST, "/api/v1/push", serve, REMOTE_WRITE_BODY_BYTES_MAX,
         "Takes Prometheus' remote write, where Mimir does."},
};

int remote_write_new(struct ingest *g, struct remote_write **ret) {
    struct remote_write *w = memory_alloc(sizeof(*w));

    if (!w)
        return -ENOMEM;
    memset(w, 0, sizeof(*w));
    w->ingest = g;
    int r = remote_memo_new(&w->memo);
    if (r < 0) {
        free(w);
        return r;
    }
    *ret = w;
    return 0;
}

void remote_write_free(struct remote_write *w) {
    if (w)
        remote_memo_free(w->memo);
    free(w);
}

struct http_routes remote_write_routes(struct remote_write *w) {
    return (struct http_routes){table, sizeof(table) / sizeof(table[0]), w};
}

void remote_write_read_stats(struct remote_write *w, struct remote_write_stats *ret) {
    *ret = (struct remote_write_stats){
            .requests = atomic_load(&w->requests),
            .requests_v2 = atomic_load(&w->requests_v2),
            .malformed = atomic_load(&w->malformed),
            .partial = atomic_load(&w->partial),
            .samples = atomic_load(&w->samples),
            .histograms = atomic_load(&w->histograms),
            .exemplars = atomic_load(&w->exemplars),
            .rejected = atomic_load(&w->rejected),
            .rejected_exemplars = atomic_load(&w->rejected_exemplars),
    };
}
