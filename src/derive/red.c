/* RED statistics that a process has counted itself. See ingest.h; one thread per transaction. */
#include "derive/private.h"
#include "wire/utf8.h"

#include <errno.h>

#define RED_NOTES_MAX 100000u /* of one transaction */
#define RED_BUCKETS_MAX 4096u
#define RED_COUNT_MAX UINT64_C(1000000000)

static int copy_buckets(struct ingest_txn *t, const struct red_report *r, struct red_note *n,
                        struct error *e) {
    uint64_t *durations = arena_array(&t->state->window, uint64_t, r->n + 1);
    uint64_t *counts = arena_array(&t->state->window, uint64_t, r->n + 1), sum = 0;

    if (!durations || !counts)
        return -ENOMEM;
    for (size_t i = 0; i < r->n; i++) {
        if (!(r->durations_ns[i] >= 0) || r->durations_ns[i] > 1e18 || r->counts[i] > RED_COUNT_MAX)
            return error_set(e, -EINVAL, "varan.red: bucket %zu is out of range", i);
        if (!r->counts[i])
            continue;
        durations[n->n] = (uint64_t) r->durations_ns[i];
        counts[n->n++] = r->counts[i];
        n->max_ns = (uint64_t) r->durations_ns[i];
        sum += r->counts[i];
    }
    if (sum != r->count)
        return error_set(e, -EINVAL, "varan.red: the buckets hold %llu of %llu",
                         (unsigned long long) sum, (unsigned long long) r->count);
    n->durations_ns = durations;
    n->counts = counts;
    return 0;
}

static int add(struct ingest_txn *t, const struct red_report *report, struct error *e) {
    struct red_note n = {.time_ns = report->time_ns,
                         .kind = (uint8_t) report->kind,
                         .status = (uint8_t) report->status,
                         .entry = report->entry,
                         .count = report->count,
                         .sum_ns = report->sum_ns};

    if (report->n > RED_BUCKETS_MAX || report->count > RED_COUNT_MAX)
        return error_set(e, -EINVAL, "varan.red: more than %u buckets", RED_BUCKETS_MAX);
    if ((unsigned) report->kind > SPAN_CONSUMER || (unsigned) report->status > STATUS_ERROR ||
        report->operation.size == 0)
        return error_set(e, -EINVAL, "varan.red: not an operation, kind and status of spans");
    int r = txn_time(t, report->time_ns, e);
    if (r == 0)
        r = txn_resource(t, report->resource, e);
    if (r == 0)
        r = copy_buckets(t, report, &n, e);
    if (r < 0)
        return r;
    n.service = t->service;
    n.operation = state_text(t->state, utf8_cut(report->operation, NAME_BYTES_MAX));
    if (!n.operation)
        n.operation = t->state->other;
    return vector_push(&t->state->red_notes, n, RED_NOTES_MAX);
}

int ingest_red(struct ingest_txn *t, const struct red_report *report, struct error *e) {
    int r = add(t, report, e);

    if (r == 0)
        t->samples++;
    else if (r == -EINVAL)
        t->rejected_samples++;
    return r;
}
