/* Labels of OTLP's series and targets. See otlp_metrics.h; one thread at a time. */
#include "base/clock.h"
#include "receive/otlp_metrics.h"

#define LABELS_EXTRA 5 /* __name__, job, instance, le or quantile, one to spare */

static int compare(const void *a, const void *b) {
    return slice_compare(((const struct label *) a)->name, ((const struct label *) b)->name);
}

/* Whether the name is one that the target or the sample itself gives. */
static bool is_taken(const struct otlp_labels *set, size_t fixed, struct slice name) {
    for (size_t i = 0; i < fixed; i++)
        if (slice_equal(set->items[i].name, name))
            return true;
    return false;
}

static int add_attributes(struct otlp_decoder *d, const struct attributes *a, bool target,
                          struct otlp_labels *set) {
    size_t fixed = set->n;

    for (size_t i = 0; i < a->n; i++) {
        struct slice key = a->items[i].key, text;
        if (target && (slice_is(key, "service.name") || slice_is(key, "service.namespace") ||
                       slice_is(key, "service.instance.id")))
            continue;
        int r = value_text(&a->items[i].value, &d->build, &d->record, &text);
        if (r < 0)
            return r;
        struct slice name = prometheus_label_name(&d->record, key);
        if (!name.data)
            return -E2BIG;
        if (name.size && text.size && !is_taken(set, fixed, name))
            set->items[set->n++] = (struct label){name, text};
    }
    return 0;
}

/* Sorts; of labels whose names fell together the values are joined with ";". */
static int settle(struct otlp_decoder *d, struct otlp_labels *set) {
    size_t n = 0;

    qsort(set->items, set->n, sizeof(*set->items), compare);
    for (size_t i = 0; i < set->n; i++) {
        struct label *last = n ? &set->items[n - 1] : NULL, *l = &set->items[i];
        if (!last || !slice_equal(last->name, l->name)) {
            set->items[n++] = *l;
            continue;
        }
        uint8_t *joined = arena_alloc(&d->record, last->value.size + l->value.size + 1);
        if (!joined)
            return -E2BIG;
        memcpy(joined, last->value.data, last->value.size);
        joined[last->value.size] = ';';
        memcpy(joined + last->value.size + 1, l->value.data, l->value.size);
        last->value = slice_new(joined, last->value.size + l->value.size + 1);
    }
    set->n = n;
    for (size_t i = 0; i < n; i++) {
        if (slice_is(set->items[i].name, "__name__"))
            set->name = &set->items[i].value;
        else if (set->extra == NULL && set->items[i].value.size == 0)
            set->extra = &set->items[i].value; /* the place kept for le or quantile */
    }
    return 0;
}

int otlp_labels_of(struct otlp_decoder *d, const struct otlp_target *t, const struct attributes *a,
                   const char *extra, struct otlp_labels *ret) {
    struct otlp_labels set = {.items = arena_array(&d->record, struct label, a->n + LABELS_EXTRA)};

    if (!set.items)
        return -E2BIG;
    set.items[set.n++] = (struct label){SLICE("__name__"), SLICE("?")};
    if (t->job.size)
        set.items[set.n++] = (struct label){SLICE("job"), t->job};
    if (t->instance.size)
        set.items[set.n++] = (struct label){SLICE("instance"), t->instance};
    if (extra)
        set.items[set.n++] = (struct label){slice_from(extra), SLICE_EMPTY};
    int r = add_attributes(d, a, a == &t->resource->attributes, &set);
    if (r == 0)
        r = settle(d, &set);
    *ret = set;
    return r;
}

int otlp_target_init(struct otlp_decoder *d, const struct resource *r, struct otlp_target *ret) {
    struct slice name = attributes_text(&r->attributes, "service.name");

    *ret = (struct otlp_target){.resource = r, .instance = r->instance, .job = name};
    if (r->service_namespace.size && name.size) {
        char *joined = arena_printf(&d->message, "%.*s/%.*s", SLICE_ARG(r->service_namespace),
                                    SLICE_ARG(name));
        if (!joined)
            return -E2BIG;
        ret->job = slice_from(joined);
    }
    return 0;
}

int otlp_target_finish(struct otlp_decoder *d, struct otlp_target *t) {
    struct otlp_labels set;
    struct error e;

    if (t->newest_ns == 0 || (t->job.size == 0 && t->instance.size == 0))
        return 0;
    arena_clear(&d->record);
    int r = otlp_labels_of(d, t, &t->resource->attributes, NULL, &set);
    if (r < 0)
        return r == -EINVAL ? 0 : r;
    if (set.n <= 1u + (t->job.size > 0) + (t->instance.size > 0))
        return 0;
    *set.name = SLICE("target_info");
    struct sample s = {.labels = set.items,
                       .n_labels = set.n,
                       .time_ms = t->newest_ns / NS_PER_MS,
                       .value = 1};
    r = ingest_sample(d->txn, &s, &e);
    return r == -EINVAL ? 0 : r;
}
