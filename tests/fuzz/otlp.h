/* What the OTLP fuzz targets share: decoding into blocks in memory, with scrubbing and derived
 * tables. */
#ifndef VARAN_TESTS_FUZZ_OTLP_H
#define VARAN_TESTS_FUZZ_OTLP_H

#include "derive/ingest.h"
#include "memory_store.h"
#include "receive/otlp_decode.h"
#include "receive/otlp_delta.h"

#include <stdlib.h>

static void fuzz_done(void *ctx, int result) {
}

static int fuzz_otlp(enum otlp_signal signal, bool json, const uint8_t *data, size_t size) {
    static struct store *store;
    static struct ingest *ingest;
    static struct otlp_deltas *deltas;
    struct otlp_decoder d;
    struct ingest_txn *t;
    unsigned retry_s;

    if (!ingest) {
        struct ingest_options o = {.scrub = true};
        struct error e;
        o.store = store = memory_store_new();
        if (ingest_new(&o, &ingest, &e) < 0 || otlp_deltas_new(ingest, 0, &deltas) < 0)
            abort();
    }
    if (ingest_begin(ingest, size, &t, &retry_s) < 0)
        abort();
    otlp_decoder_init(&d, t);
    d.deltas = deltas;
    int r = json ? otlp_decode_json(&d, signal, slice_new(data, size))
                 : otlp_decode_protobuf(&d, signal, slice_new(data, size));
    if (r < 0 && r != -EBADMSG && r != -E2BIG && r != -ENOMEM && r != -ENOBUFS)
        abort();
    otlp_decoder_done(&d);
    if (r < 0)
        ingest_abort(t);
    else
        ingest_commit(t, fuzz_done, NULL);
    return 0;
}

#endif
