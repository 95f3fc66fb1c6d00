/* Exemplars of OTLP's points. See otlp_metrics.h; one thread at a time. */
#include "base/clock.h"
#include "receive/otlp_metrics.h"

#include <math.h>

#define OWN_BYTES_MAX 128u /* of all names and values, as OpenMetrics has it */

static int compare(const void *a, const void *b) {
    return slice_compare(((const struct label *) a)->name, ((const struct label *) b)->name);
}

static int add_id(struct otlp_decoder *d, const char *name, const uint8_t *id, size_t size,
                  struct label *own, size_t *n, size_t *bytes) {
    char *hex = arena_alloc(&d->record, 2 * size);

    if (!hex)
        return -E2BIG;
    slice_to_hex(slice_new(id, size), hex);
    own[(*n)++] = (struct label){slice_from(name), slice_new(hex, 2 * size)};
    *bytes += strlen(name) + 2 * size;
    return 0;
}

/* trace_id, span_id, and as many attributes as there is room for. */
static int own_labels(struct otlp_decoder *d, const struct otlp_exemplar *x, struct label **ret,
                      size_t *ret_n) {
    struct label *own = arena_array(&d->record, struct label, x->attributes.n + 2);
    size_t n = 0, bytes = 0;
    int r = own ? 0 : -E2BIG;

    if (r == 0 && x->has_trace)
        r = add_id(d, "trace_id", x->trace_id, sizeof(x->trace_id), own, &n, &bytes);
    if (r == 0 && x->has_span)
        r = add_id(d, "span_id", x->span_id, sizeof(x->span_id), own, &n, &bytes);
    for (size_t i = 0; r == 0 && i < x->attributes.n; i++) {
        const struct attribute *a = &x->attributes.items[i];
        struct slice text, name = prometheus_label_name(&d->record, a->key);
        r = value_text(&a->value, &d->build, &d->record, &text);
        if (r == 0 && !name.data)
            r = -E2BIG;
        if (r == 0 && name.size && text.size && bytes + name.size + text.size <= OWN_BYTES_MAX) {
            own[n++] = (struct label){name, text};
            bytes += name.size + text.size;
        }
    }
    if (r < 0)
        return r;
    qsort(own, n, sizeof(*own), compare);
    *ret = own;
    *ret_n = n;
    return 0;
}

static int add_one(struct otlp_decoder *d, const struct otlp_labels *set,
                   const struct otlp_exemplar *x) {
    struct label *own;
    struct error e;
    size_t n;

    int r = own_labels(d, x, &own, &n);
    if (r == 0) {
        struct exemplar found = {.labels = set->items,
                                 .n_labels = set->n,
                                 .own = own,
                                 .n_own = n,
                                 .value = x->value,
                                 .time_ms = x->time_ns / NS_PER_MS};
        r = ingest_exemplar(d->txn, &found, &e);
    }
    return r == -EINVAL ? 0 : r;
}

int otlp_add_exemplars(struct otlp_decoder *d, const struct otlp_labels *set,
                       const struct otlp_point *p) {
    int r = 0;

    for (size_t i = 0; i < p->n_exemplars && r == 0; i++)
        r = add_one(d, set, &p->exemplars[i]);
    return r;
}

int otlp_add_bucket_exemplars(struct otlp_decoder *d, struct otlp_labels *set,
                              const struct otlp_point *p) {
    int r = 0;

    for (size_t i = 0; i < p->n_exemplars && r == 0; i++) {
        double bound = INFINITY;
        for (size_t k = p->n_bounds; k-- > 0;)
            if (p->exemplars[i].value <= p->bounds[k])
                bound = p->bounds[k];
        r = otlp_set_bound(d, bound, set->extra);
        if (r == 0)
            r = add_one(d, set, &p->exemplars[i]);
    }
    return r;
}
