/*
 * What a Prometheus takes from here in its protobuf format, in which native histograms have a
 * place: io.prometheus.client.MetricFamily messages, each behind its length. They are histograms of
 * floats, as PromQL has them; floats are untyped, as in the text.
 */
#include "api/prometheus_call.h"
#include "receive/label_set.h"
#include "wire/protobuf.h"

enum { TYPE_UNTYPED = 3, TYPE_HISTOGRAM = 4, TYPE_GAUGE_HISTOGRAM = 5 };

struct writer {
    struct buffer family, name; /* one family, and room for a name */
    bool utf8;
};

static void put_name(struct writer *w, uint32_t number, struct slice name, bool legacy) {
    if (legacy || w->utf8) {
        pb_put_bytes(&w->family, number, name);
        return;
    }
    buffer_clear(&w->name);
    prom_federate_put_escaped_name(&w->name, name);
    pb_put_bytes(&w->family, number, buffer_slice(&w->name));
}

static void put_labels(struct writer *w, const struct promql_labels *labels) {
    for (uint32_t i = 0; i < labels->n; i++) {
        const struct promql_label *l = &labels->items[i];
        if (slice_is(l->name, "__name__"))
            continue;
        size_t begin = pb_begin(&w->family, 1);
        put_name(w, 1, l->name, label_name_is_legacy(l->name));
        pb_put_bytes(&w->family, 2, l->value);
        pb_end(&w->family, begin);
    }
}

/* Indices as spans: where a run begins after the end of the one before, and how long it is. */
static void put_buckets(struct buffer *b, const struct promql_buckets *buckets, uint32_t spans,
                        uint32_t counts) {
    int64_t end = 0;

    for (size_t i = 0, n; i < buckets->n; i += n) {
        for (n = 1; i + n < buckets->n && buckets->index[i + n] == buckets->index[i] + (int64_t) n;)
            n++;
        size_t begin = pb_begin(b, spans);
        pb_put_varint(b, 1, pb_to_zigzag(buckets->index[i] - end));
        pb_put_varint(b, 2, n);
        pb_end(b, begin);
        end = (int64_t) buckets->index[i] + (int64_t) n;
    }
    for (size_t i = 0; i < buckets->n; i++)
        pb_put_double(b, counts, buckets->count[i]);
}

static void put_histogram(struct buffer *b, const struct promql_histogram *h) {
    size_t begin = pb_begin(b, 7);

    pb_put_double(b, 2, h->sum);
    pb_put_double(b, 4, h->count);
    pb_put_varint(b, 5, pb_to_zigzag(h->schema));
    pb_put_double(b, 6, h->zero_threshold);
    pb_put_double(b, 8, h->zero_count);
    put_buckets(b, &h->negative, 9, 11);
    put_buckets(b, &h->positive, 12, 14);
    if (!h->positive.n && !h->negative.n) { /* else it could be taken for a classic one */
        size_t span = pb_begin(b, 12);
        pb_put_varint(b, 2, 0);
        pb_end(b, span);
    }
    pb_end(b, begin);
}

static void put_metric(struct writer *w, const struct promql_samples *s) {
    struct buffer *b = &w->family;
    size_t begin = pb_begin(b, 4);
    bool histogram = prom_federate_is_histogram(s);

    put_labels(w, s->labels);
    if (histogram) {
        put_histogram(b, s->histograms[s->n_histograms - 1]);
    } else {
        size_t value = pb_begin(b, 5);
        pb_put_double(b, 1, s->floats[s->n_floats - 1]);
        pb_end(b, value);
    }
    pb_put_varint(b, 6,
                  (uint64_t) (histogram ? s->histogram_ms[s->n_histograms - 1]
                                        : s->float_ms[s->n_floats - 1]));
    pb_end(b, begin);
}

static uint64_t type_of(const struct promql_samples *s) {
    if (!prom_federate_is_histogram(s))
        return TYPE_UNTYPED;
    return s->histograms[s->n_histograms - 1]->hint == PROMQL_GAUGE ? TYPE_GAUGE_HISTOGRAM
                                                                    : TYPE_HISTOGRAM;
}

int prom_federate_put_protobuf(struct prom_call *c, const struct promql_samples *const *items,
                               size_t n, bool utf8) {
    struct writer w = {.utf8 = utf8};

    buffer_init(&w.family, PROMETHEUS_ANSWER_BYTES);
    buffer_init(&w.name, (size_t) 1 << 20);
    for (size_t i = 0, end; i < n && !w.family.failed; i = end) {
        struct slice name = prom_federate_name(items[i]);
        uint64_t type = type_of(items[i]);
        buffer_clear(&w.family);
        put_name(&w, 1, name, metric_name_is_legacy(name));
        pb_put_varint(&w.family, 3, type);
        for (end = i; end < n && type_of(items[end]) == type &&
                      slice_equal(prom_federate_name(items[end]), name);
             end++)
            put_metric(&w, items[end]);
        pb_put_raw_varint(&c->body, w.family.size);
        buffer_append_slice(&c->body, buffer_slice(&w.family));
    }
    bool failed = w.family.failed || w.name.failed;
    buffer_done(&w.family);
    buffer_done(&w.name);
    return failed ? -ENOMEM : 0;
}
