/* A log record's way in. See ingest.h; one thread per transaction. */
#include "base/clock.h"
#include "derive/private.h"
#include "signal/value.h"
#include "wire/utf8.h"

#include <errno.h>

#define SEVERITY_MAX 24

static int add(struct ingest_txn *t, struct log_record *l, struct error *e) {
    struct log_row row = {0};
    struct value body;
    uint32_t beyond;
    int64_t now_ns = 0;

    if (l->time_ns == 0 && l->observed_ns == 0)
        now_ns = clock_now_ns();
    row.observed_ns = l->observed_ns ? l->observed_ns : l->time_ns ? l->time_ns : now_ns;
    row.ts_ns = l->time_ns ? l->time_ns : row.observed_ns;
    if (row.observed_ns < 0)
        row.observed_ns = row.ts_ns;
    if (l->severity > SEVERITY_MAX)
        l->severity = 0;
    int r = txn_time(t, row.ts_ns, e);
    if (r == 0)
        r = txn_resource(t, l->resource, e);
    if (r == 0)
        r = clean_attributes(t, ROLLUP_LOG, &l->attributes, NULL, &row.attributes, &beyond, e);
    if (r < 0)
        return r;
    struct value sent = l->body;
    if (sent.type == VALUE_STRING || sent.type == VALUE_BYTES)
        r = clean_cut(t, sent.text, &sent.text);
    if (r == 0)
        r = clean_value(t, SCRUB_KEEP, &sent, &body);
    if (r == 0)
        r = value_text(&body, &t->state->build, &t->state->scratch, &row.body);
    if (r == -EINVAL)
        return error_set(e, r, "the body of a log record is nested too deeply");
    if (r < 0)
        return r;
    row.body_type = row.body.size > VALUE_BYTES_MAX ? VALUE_STRING : body.type;
    r = clean_cut(t, row.body, &row.body);
    l->seq = row.seq = atomic_fetch_add_explicit(&t->ingest->seq, 1, memory_order_relaxed);
    if (r == 0)
        r = log_row_append(t->logs_block, l, &row);
    if (r == 0 && atomic_load_explicit(&t->ingest->n_tails, memory_order_relaxed)) {
        l->time_ns = row.ts_ns;
        l->observed_ns = row.observed_ns;
        r = tail_gather(t, l, &body);
    }
    return r;
}

int ingest_log(struct ingest_txn *t, const struct log_record *sent, struct error *e) {
    struct log_record l = *sent;
    size_t counted = t->state->counted.n;

    l.severity_text = utf8_cut(l.severity_text, NAME_BYTES_MAX);
    l.event_name = utf8_cut(l.event_name, NAME_BYTES_MAX);
    int r = add(t, &l, e);
    arena_clear(&t->state->scratch);
    if (r == 0) {
        t->logs++;
        return 0;
    }
    if (r == -EINVAL) {
        t->rejected_logs++;
        state_uncount(t->state, counted);
    }
    return r;
}
