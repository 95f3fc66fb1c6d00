/*
 * The metric "varan.red": a delta histogram in nanoseconds with a point for each operation, kind,
 * status and window of ten seconds. A bound of a point is the duration of the bucket below it, so
 * that bounds differ from point to point and only what occurred is told. One thread at a time.
 */
#include "receive/otlp_metrics.h"

#include <math.h>

bool otlp_is_red(const struct otlp_metric *m) {
    return m->kind == OTLP_HISTOGRAM && m->delta && slice_is(m->name, "varan.red");
}

static const struct value *attribute(const struct attributes *a, const char *key) {
    for (size_t i = 0; i < a->n; i++)
        if (slice_is(a->items[i].key, key))
            return &a->items[i].value;
    return NULL;
}

static int64_t integer(const struct attributes *a, const char *key) {
    const struct value *v = attribute(a, key);

    return v && v->type == VALUE_INT ? v->integer : -1;
}

int otlp_add_red(struct otlp_decoder *d, struct otlp_target *t, const struct otlp_metric *m,
                 const struct otlp_point *p) {
    int64_t kind = integer(&p->attributes, "kind"), status = integer(&p->attributes, "status");
    struct red_report report = {
            .resource = t->resource,
            .operation = attributes_text(&p->attributes, "operation"),
            .kind = kind < 0 || kind > SPAN_CONSUMER ? SPAN_UNSPECIFIED : (enum span_kind) kind,
            .status =
                    status < 0 || status > STATUS_ERROR ? STATUS_UNSET : (enum span_status) status,
            .entry = integer(&p->attributes, "entry") == 1,
            .time_ns = p->time_ns,
            .count = p->count,
            .durations_ns = p->bounds,
            .counts = p->counts,
            .n = p->n_bounds,
    };

    (void) m;
    if (p->n_counts != p->n_bounds + 1)
        return error_set(&d->error, -EINVAL, "varan.red: %zu bucket counts for %zu bounds",
                         p->n_counts, p->n_bounds);
    if (!p->has_sum || !(p->sum >= 0) || p->sum > 1e18)
        return error_set(&d->error, -EINVAL, "varan.red: a point without a sum");
    report.sum_ns = (uint64_t) p->sum;
    return ingest_red(d->txn, &report, &d->error);
}
