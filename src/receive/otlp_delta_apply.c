/*
 * The delta points of one message: noted while it is decoded, added up at its end, when it is known
 * to be well-formed. One thread at a time.
 */
#include "base/clock.h"
#include "receive/otlp_delta.h"
#include "receive/otlp_metrics.h"

#include <stdlib.h>

#define NOTED_MAX (4u << 20)

static int copy_labels(struct otlp_decoder *d, const struct otlp_labels *set, struct label **ret) {
    struct label *labels = arena_array(&d->message, struct label, set->n);

    if (!labels)
        return -E2BIG;
    for (size_t i = 0; i < set->n; i++) {
        labels[i].name = arena_dup(&d->message, set->items[i].name);
        labels[i].value = arena_dup(&d->message, set->items[i].value);
        if (!labels[i].name.data || !labels[i].value.data)
            return -E2BIG;
    }
    *ret = labels;
    return 0;
}

static int copy_histogram(struct otlp_decoder *d, const struct histogram *h,
                          const struct histogram **ret) {
    struct histogram *copy = arena_new(&d->message, struct histogram),
                     nothing = {.schema = h->schema};

    *ret = copy;
    return copy ? otlp_histogram_add(&d->message, h, &nothing, copy) : -E2BIG;
}

int otlp_delta_note(struct otlp_decoder *d, const struct otlp_labels *set,
                    const struct otlp_point *p, double value, const struct histogram *h) {
    struct otlp_delta_sample s = {.start_ns = p->start_ns,
                                  .time_ns = p->time_ns,
                                  .value = value,
                                  .n_labels = set->n,
                                  .order = d->deltas_noted.n,
                                  .point = d->points};
    struct label *labels = NULL;
    struct error e;

    if (!d->deltas)
        return error_set(&d->error, -EINVAL, "delta temporality is not kept here");
    if (p->time_ns <= 0)
        return error_set(&d->error, -EINVAL, "the time is missing or before 1970");
    int r = ingest_series_lookup(d->txn, set->items, set->n, &s.series, &e);
    if (r == -EINVAL)
        return error_set(&d->error, r, "%s", e.text);
    if (r == 0)
        r = copy_labels(d, set, &labels);
    if (r == 0 && h)
        r = copy_histogram(d, h, &s.histogram);
    if (r < 0)
        return r;
    s.labels = labels;
    r = vector_push(&d->deltas_noted, s, NOTED_MAX);
    return r == -ENOBUFS ? -E2BIG : r;
}

static int compare(const void *a, const void *b) {
    const struct otlp_delta_sample *x = a, *y = b;

    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* ---- What storage knows ---- */

struct unknown {
    struct ingest_labels labels[LAST_VALUES_MAX];
    uint64_t ids[LAST_VALUES_MAX];
    struct ingest_last last[LAST_VALUES_MAX];
    size_t n;
};

/* Begins the sums that storage knows (`known`), or those that it does not know. */
static int begin_some(struct otlp_decoder *d, struct unknown *u, bool known) {
    int r = 0;

    for (size_t i = 0; i < u->n && r == 0; i++) {
        if ((u->last[i].time_ms != 0) != known)
            continue;
        r = otlp_delta_begin(d->deltas, u->ids[i], &u->last[i]);
        if (r == -ENOSPC)
            r = 0; /* its points are rejected one by one */
    }
    return r;
}

/* A series may stand in the list twice, and storage's answer at one of the two places. */
static int ask_storage(struct otlp_decoder *d, struct unknown *u) {
    int64_t lookback_s = otlp_deltas_lookback_s(d->deltas),
            since_ms = clock_now_ns() / NS_PER_MS - lookback_s * 1000;
    struct error e;
    int r = 0;

    memset(u->last, 0, u->n * sizeof(*u->last));
    if (u->n && lookback_s)
        r = ingest_last_values(otlp_deltas_ingest(d->deltas), u->labels, u->n, since_ms, &d->record,
                               u->last, &e);
    if (r == 0)
        r = begin_some(d, u, true);
    if (r == 0)
        r = begin_some(d, u, false);
    u->n = 0;
    return r;
}

static int begin_sums(struct otlp_decoder *d) {
    struct unknown *u = memory_alloc(sizeof(*u));
    int r = 0;

    if (!u)
        return -ENOMEM;
    u->n = 0;
    arena_clear(&d->record);
    vector_each(&d->deltas_noted, s) {
        if (otlp_delta_known(d->deltas, s->series.id))
            continue;
        u->labels[u->n] = (struct ingest_labels){s->labels, s->n_labels};
        u->ids[u->n++] = s->series.id;
        if (u->n == LAST_VALUES_MAX)
            r = ask_storage(d, u);
        if (r < 0)
            break;
    }
    if (r == 0)
        r = ask_storage(d, u);
    free(u);
    return r;
}

/* ---- Adding up ---- */

static const char *reason(int r) {
    switch (r) {
    case -ESTALE: return "a delta older than the last one that was added up";
    case -ENOSPC:
    case -ENOENT: return "too many series of delta temporality at once";
    default: return "a histogram that cannot be added to those before it";
    }
}

static int reject(struct otlp_decoder *d, const struct otlp_delta_sample *s, const char *why) {
    struct error e;
    struct slice name = SLICE("?"), job = SLICE(""), instance = SLICE("");

    if (d->last_rejected == s->point)
        return 0;
    d->last_rejected = s->point;
    for (size_t i = 0; i < s->n_labels; i++) {
        const struct label *l = &s->labels[i];
        if (slice_is(l->name, "__name__"))
            name = slice_take(l->value, 200);
        else if (slice_is(l->name, "job"))
            job = slice_take(l->value, 200);
        else if (slice_is(l->name, "instance"))
            instance = slice_take(l->value, 200);
    }
    error_set(&e, -EINVAL, "job \"%.*s\", instance \"%.*s\", series \"%.*s\": %s", SLICE_ARG(job),
              SLICE_ARG(instance), SLICE_ARG(name), why);
    return otlp_rejected(d, -EINVAL, 1, &e);
}

static int add_one(struct otlp_decoder *d, struct otlp_delta_sample *s) {
    struct otlp_delta p = {s->series.id, s->start_ns, s->time_ns, s->value, s->histogram};
    struct error e;

    int r = otlp_delta_add(d->deltas, &p, &d->record);
    if (r == -ESTALE || r == -ENOSPC || r == -ENOENT || r == -EINVAL)
        return reject(d, s, reason(r));
    if (r < 0)
        return r;
    struct sample sum = {.labels = s->labels,
                         .n_labels = s->n_labels,
                         .time_ms = p.time_ns / NS_PER_MS,
                         .value = p.value,
                         .histogram = p.histogram,
                         .start_ms = p.start_ns / NS_PER_MS};
    r = ingest_sample_by_id(d->txn, &s->series, &sum, &e);
    if (r == -ESTALE)
        r = ingest_sample(d->txn, &sum, &e);
    return r == -EINVAL ? reject(d, s, e.text) : r;
}

int otlp_deltas_apply(struct otlp_decoder *d) {
    if (d->deltas_noted.n == 0)
        return 0;
    qsort(d->deltas_noted.items, d->deltas_noted.n, sizeof(*d->deltas_noted.items), compare);
    int r = begin_sums(d);
    vector_each(&d->deltas_noted, s) {
        if (r < 0)
            break;
        arena_clear(&d->record);
        r = add_one(d, s);
    }
    return r;
}
