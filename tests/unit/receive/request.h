/* Building OTLP requests for tests: one span, log record or metric with everything in it. */
#ifndef VARAN_TESTS_RECEIVE_REQUEST_H
#define VARAN_TESTS_RECEIVE_REQUEST_H

#include "base/clock.h"
#include "wire/protobuf.h"

#define NOW() ((uint64_t) (clock_now_ns() - 30 * NS_PER_S))

static inline void put_text(struct buffer *b, uint32_t field, const char *key, struct slice value) {
    size_t pair = pb_begin(b, field);
    pb_put_bytes(b, 1, slice_from(key));
    size_t any = pb_begin(b, 2);
    pb_put_bytes(b, 1, value);
    pb_end(b, any);
    pb_end(b, pair);
}

/* key → [1, "a", {"k": true}, 2.5, bytes] */
static inline void put_nested(struct buffer *b, uint32_t field, const char *key) {
    size_t pair = pb_begin(b, field);
    pb_put_bytes(b, 1, slice_from(key));
    size_t any = pb_begin(b, 2), array = pb_begin(b, 5), item = pb_begin(b, 1);
    pb_put_varint(b, 3, 1);
    pb_end(b, item);
    item = pb_begin(b, 1);
    pb_put_bytes(b, 1, SLICE("a"));
    pb_end(b, item);
    item = pb_begin(b, 1);
    size_t map = pb_begin(b, 6), inner = pb_begin(b, 1);
    pb_put_bytes(b, 1, SLICE("k"));
    size_t flag = pb_begin(b, 2);
    pb_put_varint(b, 2, 1);
    pb_end(b, flag);
    pb_end(b, inner);
    pb_end(b, map);
    pb_end(b, item);
    item = pb_begin(b, 1);
    pb_put_double(b, 4, 2.5);
    pb_end(b, item);
    item = pb_begin(b, 1);
    pb_put_bytes(b, 7, SLICE("\xff\x01"));
    pb_end(b, item);
    pb_end(b, array);
    pb_end(b, any);
    pb_end(b, pair);
}

static inline size_t begin_resource(struct buffer *b, size_t *ret_scope) {
    size_t resource_records = pb_begin(b, 1), resource = pb_begin(b, 1);
    put_text(b, 1, "service.name", SLICE("shop"));
    put_text(b, 1, "service.namespace", SLICE("demo"));
    put_text(b, 1, "service.instance.id", SLICE("i-1"));
    put_text(b, 1, "host.name", SLICE("node"));
    pb_end(b, resource);
    *ret_scope = pb_begin(b, 2);
    size_t scope = pb_begin(b, 1);
    pb_put_bytes(b, 1, SLICE("lib"));
    pb_put_bytes(b, 2, SLICE("1.0"));
    pb_end(b, scope);
    return resource_records;
}

static inline void put_span(struct buffer *b, bool with_id, const char *name) {
    size_t span = pb_begin(b, 2);
    pb_put_bytes(b, 1, with_id ? SLICE("0123456789abcdef") : SLICE("short"));
    pb_put_bytes(b, 2, SLICE("01234567"));
    pb_put_bytes(b, 3, SLICE("a=b"));
    pb_put_bytes(b, 4, SLICE("76543210"));
    pb_put_bytes(b, 5, slice_from(name));
    pb_put_varint(b, 6, 2);
    pb_put_fixed64(b, 7, NOW());
    pb_put_fixed64(b, 8, NOW() + 1000000);
    put_text(b, 9, "http.route", SLICE("/x"));
    put_nested(b, 9, "nested");
    pb_put_varint(b, 10, 4);
    size_t event = pb_begin(b, 11);
    pb_put_fixed64(b, 1, NOW());
    pb_put_bytes(b, 2, SLICE("exception"));
    put_text(b, 3, "exception.type", SLICE("E"));
    pb_end(b, event);
    size_t link = pb_begin(b, 13);
    pb_put_bytes(b, 1, SLICE("fedcba9876543210"));
    pb_put_bytes(b, 2, SLICE("89abcdef"));
    put_nested(b, 4, "why");
    pb_put_fixed32(b, 6, 1);
    pb_end(b, link);
    size_t status = pb_begin(b, 15);
    pb_put_bytes(b, 2, SLICE("bad"));
    pb_put_varint(b, 3, 2);
    pb_end(b, status);
    pb_put_fixed32(b, 16, 0x101);
    pb_put_varint(b, 999, 5); /* unknown */
    pb_end(b, span);
}

static inline void put_log(struct buffer *b, struct slice body) {
    size_t record = pb_begin(b, 2);
    pb_put_fixed64(b, 1, NOW());
    pb_put_varint(b, 2, 17);
    pb_put_bytes(b, 3, SLICE("ERROR"));
    size_t any = pb_begin(b, 5);
    pb_put_bytes(b, 1, body);
    pb_end(b, any);
    put_nested(b, 6, "nested");
    pb_put_fixed32(b, 8, 1);
    pb_put_bytes(b, 9, SLICE("0123456789abcdef"));
    pb_put_bytes(b, 10, SLICE("01234567"));
    pb_put_fixed64(b, 11, NOW());
    pb_put_bytes(b, 12, SLICE("event"));
    pb_end(b, record);
}

static inline void build_traces(struct buffer *b, bool with_id) {
    size_t scope, resource = begin_resource(b, &scope);
    put_span(b, true, "good");
    put_span(b, with_id, "other");
    pb_end(b, scope);
    pb_end(b, resource);
}

static inline void build_logs(struct buffer *b, struct slice body) {
    size_t scope, resource = begin_resource(b, &scope);
    put_log(b, body);
    pb_end(b, scope);
    pb_end(b, resource);
}

/* A gauge (ratio), a sum, a histogram, an exponential histogram, a summary, and a delta sum. */
static inline void build_metrics(struct buffer *b) {
    size_t scope, resource = begin_resource(b, &scope), metric, data, point;

    metric = pb_begin(b, 2);
    pb_put_bytes(b, 1, SLICE("cpu.utilization"));
    pb_put_bytes(b, 3, SLICE("1"));
    data = pb_begin(b, 5);
    point = pb_begin(b, 1);
    pb_put_fixed64(b, 3, NOW());
    pb_put_double(b, 4, 0.5);
    put_text(b, 7, "cpu.mode", SLICE("user"));
    pb_end(b, point);
    pb_end(b, data);
    pb_end(b, metric);

    for (unsigned temporality = 2; temporality >= 1; temporality--) {
        metric = pb_begin(b, 2);
        pb_put_bytes(b, 1, SLICE("http.requests"));
        pb_put_bytes(b, 3, SLICE("{request}"));
        data = pb_begin(b, 7);
        point = pb_begin(b, 1);
        pb_put_fixed64(b, 3, NOW());
        pb_put_fixed64(b, 6, 42);
        pb_end(b, point);
        pb_put_varint(b, 2, temporality);
        pb_put_varint(b, 3, 1);
        pb_end(b, data);
        pb_end(b, metric);
    }

    metric = pb_begin(b, 2);
    pb_put_bytes(b, 1, SLICE("http.server.request.duration"));
    pb_put_bytes(b, 3, SLICE("s"));
    data = pb_begin(b, 9);
    point = pb_begin(b, 1);
    pb_put_fixed64(b, 3, NOW());
    pb_put_fixed64(b, 4, 6);
    pb_put_double(b, 5, 1.5);
    size_t list = pb_begin(b, 6);
    buffer_append_u64(b, 1);
    buffer_append_u64(b, 2);
    buffer_append_u64(b, 3);
    pb_end(b, list);
    pb_put_double(b, 7, 0.1);
    pb_put_double(b, 7, 1);
    pb_end(b, point);
    pb_put_varint(b, 2, 2);
    pb_end(b, data);
    pb_end(b, metric);

    metric = pb_begin(b, 2);
    pb_put_bytes(b, 1, SLICE("latency"));
    pb_put_bytes(b, 3, SLICE("ms"));
    data = pb_begin(b, 10);
    point = pb_begin(b, 1);
    pb_put_fixed64(b, 3, NOW());
    pb_put_fixed64(b, 4, 9);
    pb_put_double(b, 5, 99);
    pb_put_varint(b, 6, 6);
    pb_end(b, point);
    pb_put_varint(b, 2, 2);
    pb_end(b, data);
    pb_end(b, metric);

    metric = pb_begin(b, 2);
    pb_put_bytes(b, 1, SLICE("rpc.size"));
    pb_put_bytes(b, 3, SLICE("By"));
    data = pb_begin(b, 11);
    point = pb_begin(b, 1);
    pb_put_fixed64(b, 3, NOW());
    pb_put_fixed64(b, 4, 3);
    pb_put_double(b, 5, 30);
    size_t quantile = pb_begin(b, 6);
    pb_put_double(b, 1, 0.5);
    pb_put_double(b, 2, 10);
    pb_end(b, quantile);
    pb_end(b, point);
    pb_end(b, data);
    pb_end(b, metric);
    pb_end(b, scope);
    pb_end(b, resource);
}

#endif
