/* /api/v1/status: what the page shows of the server itself. */
#include "api/call.h"

#include "derive/ingest.h"

static void write_storage(struct json_writer *w, const struct store_stats *s) {
    json_put_key(w, "engine");
    json_begin_object(w);
    json_field_text(w, "transport", s->transport);
    json_field_text(w, "version", s->engine_version);
    json_end_object(w);
    json_field_uint(w, "queue_bytes", s->queue_bytes);
    json_put_key(w, "disk");
    json_begin_object(w);
    json_field_uint(w, "used_bytes", s->disk_used_bytes);
    json_field_uint(w, "free_bytes", s->disk_free_bytes);
    json_end_object(w);
    json_field_text(w, "notice", s->notice);
}

static void write_ingest(struct json_writer *w, const struct ingest_stats *g) {
    json_put_key(w, "received");
    json_begin_object(w);
    json_field_uint(w, "spans", g->spans);
    json_field_uint(w, "logs", g->logs);
    json_field_uint(w, "samples", g->samples);
    json_end_object(w);
    json_field_uint(w, "refused", g->refused_pressure);
    json_field_uint(w, "rejected", g->rejected_spans + g->rejected_logs + g->rejected_samples);
}

static int answer_status(struct call *c) {
    const struct api_options *o = &c->api->options;
    struct json_writer *w = &c->json;
    struct ingest_stats ingest = {0};
    struct store_stats store;
    bool has[3];

    int r = query_has_data(&c->query, has);
    if (r < 0)
        return r;
    store_read_stats(o->store, &store);
    if (o->ingest)
        ingest_read_stats(o->ingest, &ingest);
    json_begin_object(w);
    json_field_text(w, "version", o->version);
    json_field_double(w, "uptime_s",
                      (double) ((clock_monotonic_ns() - c->api->started_ns) / NS_PER_MS) / 1e3);
    write_storage(w, &store);
    write_ingest(w, &ingest);
    json_field_uint(w, "retention_days", o->retention_days);
    json_put_key(w, "endpoints");
    json_begin_object(w);
    json_field_text(w, "page", o->page_url);
    json_field_text(w, "otlp_http", o->otlp_http_url);
    json_field_text(w, "otlp_grpc", o->otlp_grpc_url);
    json_end_object(w);
    json_put_key(w, "has_data");
    json_begin_object(w);
    json_field_bool(w, "spans", has[0]);
    json_field_bool(w, "logs", has[1]);
    json_field_bool(w, "samples", has[2]);
    json_end_object(w);
    json_end_object(w);
    return 0;
}

const struct api_resource status_resource = {"", FILTER_SPANS, answer_status, false};
