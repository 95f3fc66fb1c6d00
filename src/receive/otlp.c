/*
 * OTLP's requests and answers. A call decodes on the server's thread, hands its transaction to the
 * store, and answers from the writer's thread once the rows are durable. Thread-safe.
 */
#include "receive/otlp.h"
#include "receive/otlp_decode.h"
#include "receive/otlp_delta.h"
#include "wire/compress.h"
#include "wire/json.h"
#include "wire/protobuf.h"

#include <stdatomic.h>
#include <stdio.h>

#define RETRY_STORAGE_S 5u
#define MESSAGE_BYTES_MAX 1000

enum format { FORMAT_PROTOBUF, FORMAT_JSON };

/* google.rpc.Code */
enum code { CODE_INVALID_ARGUMENT = 3, CODE_RESOURCE_EXHAUSTED = 8, CODE_UNAVAILABLE = 14 };

struct otlp {
    struct ingest *ingest;
    struct otlp_deltas *deltas;
    _Atomic uint64_t requests, malformed, repaired_texts;
};

/* One request from decoding to its answer. Freed when it is answered. */
struct call {
    struct otlp *otlp;
    struct http_request *request;
    enum otlp_signal signal;
    enum format format;
    bool grpc;
    uint64_t rejected;
    char reason[MESSAGE_BYTES_MAX];
};

static const char *const rejected_names[] = {"rejectedSpans", "rejectedLogRecords",
                                             "rejectedDataPoints", "rejectedProfiles"};

static const char *content_type(enum format f) {
    return f == FORMAT_JSON ? "application/json" : "application/x-protobuf";
}

/* ---- Answers ---- */

static void status_body(enum format format, enum code code, const char *message,
                        struct buffer *out) {
    struct json_writer w = json_writer(out);

    if (format == FORMAT_PROTOBUF) {
        pb_put_varint(out, 1, code);
        pb_put_bytes(out, 2, slice_from(message));
        return;
    }
    json_begin_object(&w);
    json_field_int(&w, "code", code);
    json_field_text(&w, "message", message);
    json_end_object(&w);
}

/* A header's value must not break the header. */
static void header_text(const char *message, char *ret, size_t room) {
    size_t n = 0;

    for (; message[n] && n + 1 < room; n++)
        ret[n] = message[n] < ' ' && message[n] >= 0 ? ' ' : message[n];
    ret[n] = 0;
}

static void refuse(struct http_request *q, bool grpc, enum format format, int status,
                   const char *message, unsigned retry_s) {
    enum code code = status == 429   ? CODE_RESOURCE_EXHAUSTED
                     : status >= 500 ? CODE_UNAVAILABLE
                                     : CODE_INVALID_ARGUMENT;
    char retry[16], text[MESSAGE_BYTES_MAX];
    struct http_header headers[2];
    struct buffer body;
    size_t n = 0;

    if (retry_s) {
        snprintf(retry, sizeof(retry), "%u", retry_s);
        headers[n++] = (struct http_header){"Retry-After", retry};
    }
    if (grpc) {
        header_text(message, text, sizeof(text));
        headers[n++] = (struct http_header){"grpc-message", text};
        http_respond(q, status, NULL, SLICE_EMPTY, headers, n);
        return;
    }
    buffer_init(&body, 8192);
    status_body(format, code, message, &body);
    http_respond_buffer(q, status, content_type(format), &body, headers, n);
    buffer_done(&body);
}

static void success_body(const struct call *c, struct buffer *out) {
    struct json_writer w = json_writer(out);

    if (c->format == FORMAT_PROTOBUF) {
        if (c->rejected == 0)
            return;
        size_t begin = pb_begin(out, 1);
        pb_put_varint(out, 1, c->rejected);
        pb_put_bytes(out, 2, slice_from(c->reason));
        pb_end(out, begin);
        return;
    }
    json_begin_object(&w);
    if (c->rejected) {
        json_put_key(&w, "partialSuccess");
        json_begin_object(&w);
        json_put_key(&w, rejected_names[c->signal]);
        json_put_int_text(&w, (int64_t) c->rejected);
        json_field_text(&w, "errorMessage", c->reason);
        json_end_object(&w);
    }
    json_end_object(&w);
}

static void answer(void *ctx, int result) {
    struct call *c = ctx;
    struct buffer body;

    if (result == -EAGAIN) {
        refuse(c->request, c->grpc, c->format, 429, "too much is waiting to be written", 1);
    } else if (result < 0) {
        refuse(c->request, c->grpc, c->format, 503, "storage could not take the data",
               RETRY_STORAGE_S);
    } else {
        buffer_init(&body, 8192);
        success_body(c, &body);
        http_respond_buffer(c->request, 200, c->grpc ? "application/grpc" : content_type(c->format),
                            &body, NULL, 0);
        buffer_done(&body);
    }
    free(c);
}

/* ---- Requests ---- */

static int parse_content_type(struct slice header, enum format *ret) {
    struct slice type = slice_trim(slice_cut(&header, ';'));

    if (slice_equal_nocase(type, SLICE("application/x-protobuf")) ||
        slice_equal_nocase(type, SLICE("application/protobuf")))
        *ret = FORMAT_PROTOBUF;
    else if (slice_equal_nocase(type, SLICE("application/json")))
        *ret = FORMAT_JSON;
    else
        return -ENOTSUP;
    return 0;
}

/* The status of an error that the sender must hear of at once. */
static int status_of(int r) {
    switch (r) {
    case -EBADMSG: return 400;
    case -E2BIG: return 413;
    case -ENOTSUP: return 415;
    case -ENOMEM:
    case -ENOBUFS:
    case -EAGAIN: return 429;
    default: return 503;
    }
}

/* Decodes into the transaction. On success the rejected records are noted in the call. */
static int decode(struct call *c, struct ingest_txn *txn, struct slice body, struct error *e) {
    struct otlp_decoder d;

    otlp_decoder_init(&d, txn);
    d.deltas = c->otlp->deltas;
    int r = c->format == FORMAT_JSON ? otlp_decode_json(&d, c->signal, body)
                                     : otlp_decode_protobuf(&d, c->signal, body);
    c->rejected = d.rejected;
    if (d.rejected)
        snprintf(c->reason, sizeof(c->reason), "%.*s", MESSAGE_BYTES_MAX - 1, d.first.text);
    atomic_fetch_add(&c->otlp->repaired_texts, d.repaired);
    if (r == -E2BIG)
        error_set(e, r, "the message needs more memory than one may");
    else if (r == -EBADMSG)
        *e = d.error;
    else if (r < 0)
        error_set(e, r, "no room for the message now");
    otlp_decoder_done(&d);
    return r;
}

static int call_body(struct call *c, struct slice body, struct error *e, unsigned *ret_retry_s) {
    struct ingest_txn *txn;

    int r = ingest_begin(c->otlp->ingest, body.size, &txn, ret_retry_s);
    if (r < 0)
        return error_set(e, r, "too much is waiting to be written");
    r = decode(c, txn, body, e);
    if (r < 0) {
        ingest_abort(txn);
        *ret_retry_s = status_of(r) == 429 ? 1 : 0;
        return r;
    }
    ingest_commit(txn, answer, c);
    return 0;
}

static int encoded_body(struct call *c, enum compression encoding, struct slice body,
                        struct error *e, unsigned *ret_retry_s) {
    struct buffer plain;

    if (encoding == COMPRESSION_NONE)
        return call_body(c, body, e, ret_retry_s);
    buffer_init(&plain, OTLP_BODY_BYTES_MAX);
    int r = decompress(encoding, body, &plain);
    if (r == -ENOBUFS)
        r = error_set(e, -E2BIG, "the body is larger than %u bytes when decompressed",
                      OTLP_BODY_BYTES_MAX);
    else if (r == -EBADMSG)
        error_set(e, r, "the body cannot be decompressed");
    else if (r == 0)
        r = call_body(c, buffer_slice(&plain), e, ret_retry_s);
    else
        error_set(e, r, "no room for the message now");
    buffer_done(&plain);
    return r;
}

static void serve(struct otlp *o, struct http_request *q, enum otlp_signal signal, bool grpc) {
    enum compression encoding = COMPRESSION_NONE;
    enum format format = FORMAT_PROTOBUF;
    unsigned retry_s = 0;
    struct error e = ERROR_NONE;

    atomic_fetch_add(&o->requests, 1);
    if (!grpc && parse_content_type(http_request_header(q, "Content-Type"), &format) < 0) {
        refuse(q, false, FORMAT_JSON, 415,
               "Content-Type must be application/x-protobuf or application/json", 0);
        return;
    }
    if (!grpc && compression_parse(http_request_header(q, "Content-Encoding"), &encoding) < 0) {
        refuse(q, false, format, 415, "Content-Encoding must be gzip, deflate, zstd or identity",
               0);
        return;
    }
    if (signal == OTLP_PROFILES && format == FORMAT_JSON) {
        refuse(q, false, format, 415, "profiles are taken as application/x-protobuf only", 0);
        return;
    }
    struct call *c = memory_alloc(sizeof(*c));
    if (!c) {
        refuse(q, grpc, format, 429, "out of memory", 1);
        return;
    }
    *c = (struct call){.otlp = o, .request = q, .signal = signal, .format = format, .grpc = grpc};
    int r = encoded_body(c, encoding, http_request_body(q), &e, &retry_s);
    if (r == 0)
        return; /* answer() has the call now */
    if (r == -EBADMSG)
        atomic_fetch_add(&o->malformed, 1);
    free(c);
    refuse(q, grpc, format, status_of(r), e.text, retry_s);
}

static void http_traces(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_TRACES, false);
}

static void http_logs(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_LOGS, false);
}

static void http_metrics(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_METRICS, false);
}

static void grpc_traces(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_TRACES, true);
}

static void grpc_logs(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_LOGS, true);
}

static void grpc_metrics(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_METRICS, true);
}

static void http_profiles(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_PROFILES, false);
}

static void grpc_profiles(struct http_request *q, void *ctx) {
    serve(ctx, q, OTLP_PROFILES, true);
}

static const struct http_route http_table[] = {
        {HTTP_POST, "/v1/traces", http_traces, OTLP_BODY_BYTES_MAX, "Takes OTLP spans."},
        {HTTP_POST, "/v1/logs", http_logs, OTLP_BODY_BYTES_MAX, "Takes OTLP log records."},
        {HTTP_POST, "/v1/metrics", http_metrics, OTLP_BODY_BYTES_MAX, "Takes OTLP metrics."},
        {HTTP_POST, "/prometheus/api/v1/otlp/v1/metrics", http_metrics, OTLP_BODY_BYTES_MAX,
         "The same, where Prometheus has it."},
        {HTTP_POST, "/v1development/profiles", http_profiles, OTLP_BODY_BYTES_MAX,
         "Takes OTLP profiles."},
        {HTTP_POST, "/v1/profiles", http_profiles, OTLP_BODY_BYTES_MAX, "Takes OTLP profiles."},
};

static const struct http_route grpc_table[] = {
        {HTTP_POST, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", grpc_traces,
         OTLP_BODY_BYTES_MAX, "Takes OTLP spans."},
        {HTTP_POST, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", grpc_logs,
         OTLP_BODY_BYTES_MAX, "Takes OTLP log records."},
        {HTTP_POST, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", grpc_metrics,
         OTLP_BODY_BYTES_MAX, "Takes OTLP metrics."},
        {HTTP_POST, "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
         grpc_profiles, OTLP_BODY_BYTES_MAX, "Takes OTLP profiles."},
};

int otlp_new(struct ingest *g, struct otlp **ret) {
    struct otlp *o = memory_alloc(sizeof(*o));

    if (!o)
        return -ENOMEM;
    *o = (struct otlp){.ingest = g};
    int r = otlp_deltas_new(g, OTLP_DELTA_LOOKBACK_S, &o->deltas);
    if (r < 0) {
        free(o);
        return r;
    }
    *ret = o;
    return 0;
}

void otlp_free(struct otlp *o) {
    if (!o)
        return;
    otlp_deltas_free(o->deltas);
    free(o);
}

struct http_routes otlp_http_routes(struct otlp *o) {
    return (struct http_routes){http_table, sizeof(http_table) / sizeof(*http_table), o};
}

struct http_routes otlp_grpc_routes(struct otlp *o) {
    return (struct http_routes){grpc_table, sizeof(grpc_table) / sizeof(*grpc_table), o};
}

void otlp_read_stats(struct otlp *o, struct otlp_stats *ret) {
    struct otlp_deltas_stats deltas;

    otlp_deltas_read_stats(o->deltas, &deltas);
    *ret = (struct otlp_stats){
            .requests = atomic_load(&o->requests),
            .malformed = atomic_load(&o->malformed),
            .repaired_texts = atomic_load(&o->repaired_texts),
            .delta_series = deltas.series,
            .delta_repeated = deltas.repeated,
            .delta_out_of_order = deltas.out_of_order,
    };
}
