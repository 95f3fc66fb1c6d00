/*
 * Prometheus' protobuf exposition format: io.prometheus.client.MetricFamily messages, each behind
 * its length (application/vnd.google.protobuf;…;encoding=delimited). A walk hands out entries as
 * the text formats have them (wire/prometheus_text.h): a histogram becomes its _count, _sum and
 * _bucket, the text of a series is put together as it would be exposed. Native histograms come as
 * such.
 *
 * Sources: prometheus/client_model's metrics.proto; Prometheus' documentation of native histograms.
 * A reader belongs to one thread. Slices that are handed out are valid during the call only.
 */
#ifndef VARAN_RECEIVE_SCRAPE_PROTOBUF_H
#define VARAN_RECEIVE_SCRAPE_PROTOBUF_H

#include "receive/native_buckets.h"
#include "wire/prometheus_text.h"

#define SCRAPE_SERIES_TEXT_MAX ((size_t) 1 << 20) /* name and labels of one series, as text */
#define SCRAPE_EXEMPLARS_MAX 1000u                /* of one native histogram */

struct scrape_protobuf_options {
    /* Whether native histograms are handed out; without, their classic form is. */
    bool native;
    /* With: the classic form of a histogram that has both, too. */
    bool classic_too;
    /* Buckets that a native histogram may have: it is made coarser until it has no more. 0: any. */
    uint64_t bucket_limit;
    int schema_max; /* finer ones are made coarser */
};

struct scrape_protobuf_handler {
    /* TYPE, HELP, UNIT of a family, then its SAMPLEs; `histogram`: a native one, or NULL. Any
     * negative result ends the walk. */
    int (*entry)(void *ctx, const struct prometheus_entry *x, const struct histogram *histogram);
    /* One more exemplar of the series that was handed out last. */
    int (*exemplar)(void *ctx, const struct prometheus_entry *x);
    void *ctx;
};

/* Walks over a whole body. 0; what a handler said; -EBADMSG with the reason and its place ("family
 * 3 (http_requests_total), metric 2: …") in `e`; -ENOMEM. */
int scrape_protobuf_walk(struct slice body, const struct scrape_protobuf_options *o,
                         const struct scrape_protobuf_handler *h, struct error *e);
/* The coarsest schema whose buckets grow by at most `factor`, as native_histogram_min_bucket_factor
 * has it. */
int scrape_schema_of_factor(double factor);

#endif
