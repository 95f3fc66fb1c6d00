/* What both encodings of OTLP share. See otlp_decode.h. */
#include "receive/otlp_decode.h"
#include "receive/otlp_metrics.h"
#include "wire/utf8.h"

void otlp_decoder_init(struct otlp_decoder *d, struct ingest_txn *txn) {
    memset(d, 0, sizeof(*d));
    d->txn = txn;
    arena_init(&d->message, OTLP_MESSAGE_BYTES_MAX);
    arena_init(&d->record, OTLP_RECORD_BYTES_MAX);
    buffer_init(&d->build, OTLP_MESSAGE_BYTES_MAX);
}

void otlp_decoder_done(struct otlp_decoder *d) {
    arena_done(&d->message);
    arena_done(&d->record);
    buffer_done(&d->build);
    vector_done(&d->attributes);
    vector_done(&d->events);
    vector_done(&d->links);
    vector_done(&d->deltas_noted);
}

struct slice otlp_text(struct otlp_decoder *d, struct arena *a, struct slice s) {
    return utf8_clean(s, a, &d->repaired);
}

int otlp_rejected(struct otlp_decoder *d, int r, uint64_t records, const struct error *e) {
    if (r != -EINVAL)
        return r;
    d->rejected += records;
    if (!d->first.code)
        d->first = *e;
    return 0;
}

int otlp_add_span(struct otlp_decoder *d, const struct span *s) {
    struct error e;
    int r = ingest_span(d->txn, s, &e);

    return __builtin_expect(r == 0, 1) ? 0 : otlp_rejected(d, r, 1, &e);
}

int otlp_add_log(struct otlp_decoder *d, const struct log_record *l) {
    struct error e;
    int r = ingest_log(d->txn, l, &e);

    return __builtin_expect(r == 0, 1) ? 0 : otlp_rejected(d, r, 1, &e);
}
