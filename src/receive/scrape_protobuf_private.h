/* Shared by the files of the protobuf reader: see scrape_protobuf.h. */
#ifndef VARAN_RECEIVE_SCRAPE_PROTOBUF_PRIVATE_H
#define VARAN_RECEIVE_SCRAPE_PROTOBUF_PRIVATE_H

#include "receive/scrape_protobuf.h"

/* MetricType of metrics.proto. */
enum proto_type {
    PROTO_COUNTER,
    PROTO_GAUGE,
    PROTO_SUMMARY,
    PROTO_UNTYPED,
    PROTO_HISTOGRAM,
    PROTO_GAUGE_HISTOGRAM
};

struct proto_walk {
    const struct scrape_protobuf_options *options;
    const struct scrape_protobuf_handler *handler;
    struct error *e;

    unsigned family, metric; /* which one is read, from 1 */
    struct slice name;
    enum proto_type type;

    struct buffer labels; /* of the metric at hand, as text: a="x",b="y" */
    struct buffer series, exemplar;
    bool has_time;
    int64_t time_ms;
    struct native_buckets positive, negative;
};

/* "family N (name), metric M: …": -EBADMSG. */
int proto_fail(struct proto_walk *w, const char *why);
/* Hands a sample out: name, suffix, labels, and one label more unless `label` is NULL. `exemplar`:
 * its message, or empty. */
struct proto_sample {
    const char *suffix, *label;
    double label_value, value;
    struct slice exemplar;
};
int proto_emit(struct proto_walk *w, const struct proto_sample *s,
               const struct histogram *histogram);
/* One more exemplar of the series handed out last; without a time it is left out. */
int proto_emit_exemplar(struct proto_walk *w, struct slice message);
/* A Histogram message: its native form, its classic one, or both. */
int proto_histogram(struct proto_walk *w, struct slice message);

#define PROTO_FIELD(number, wire) ((number) << 3 | (wire))
#define PROTO_FIELD_OF(f) ((f).number << 3 | (f).wire)

#endif
