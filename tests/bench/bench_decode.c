/*
 * What one core decodes: realistic OTLP bodies of about 1,000 spans (or log lines) through
 * decoding, scrubbing, derived tables and native columns, without storage. Prints records/s, ns
 * each, and bytes.
 *
 * Usage: bench_decode [SECONDS [no-scrub]]
 */
#include "base/clock.h"
#include "derive/ingest.h"
#include "memory_store.h"
#include "realistic.h"
#include "receive/otlp_decode.h"

#include <stdio.h>

#define BODIES 32
#define FLUSH_BYTES (8u << 20)
#define RECORDS 1000

struct run {
    struct store *store;
    struct ingest *ingest;
    enum otlp_signal signal;
    struct buffer bodies[BODIES];
    struct realistic_places places[BODIES];
    size_t records[BODIES];
};

static void done(void *ctx, int result) {
    if (result < 0)
        abort();
}

static void build(struct run *r) {
    for (unsigned i = 0; i < BODIES; i++) {
        buffer_init(&r->bodies[i], SIZE_MAX / 2);
        r->records[i] = RECORDS;
        if (r->signal == OTLP_TRACES)
            realistic_traces(&r->bodies[i], i + 1, RECORDS, &r->records[i]);
        else
            realistic_logs(&r->bodies[i], i + 1, RECORDS);
        if (realistic_find(buffer_slice(&r->bodies[i]), r->signal == OTLP_LOGS, &r->places[i]) < 0)
            abort();
    }
}

static void one(struct run *r, unsigned i) {
    struct otlp_decoder d;
    struct ingest_txn *txn;
    unsigned retry_s;

    if (ingest_begin(r->ingest, r->bodies[i].size, &txn, &retry_s) < 0)
        abort();
    otlp_decoder_init(&d, txn);
    if (otlp_decode_protobuf(&d, r->signal, buffer_slice(&r->bodies[i])) < 0 || d.rejected)
        abort();
    otlp_decoder_done(&d);
    ingest_commit(txn, done, NULL);
}

static void measure(const char *name, enum otlp_signal signal, double seconds, bool scrub) {
    struct ingest_options o = {.store = memory_store_new(), .scrub = scrub};
    struct run r = {.store = o.store, .signal = signal};
    uint64_t records = 0, bytes = 0, renewals = 0;
    int64_t spent = 0, flush = 0;
    struct error e;

    if (ingest_new(&o, &r.ingest, &e) < 0)
        abort();
    memory_store_hold(r.store, true);
    build(&r);
    while ((double) spent < seconds * 1e9) {
        unsigned i = (unsigned) (renewals++ % BODIES);
        realistic_renew(r.bodies[i].data, &r.places[i], renewals * 0x9e3779b97f4a7c15ull, 1000000);
        int64_t begin = clock_cpu_ns();
        one(&r, i);
        int64_t middle = clock_cpu_ns();
        if (memory_store_bytes(r.store) >= FLUSH_BYTES)
            memory_store_flush(r.store, 0);
        int64_t end = clock_cpu_ns();
        spent += end - begin;
        flush += end - middle;
        records += r.records[i];
        bytes += r.bodies[i].size;
    }
    printf("%-6s %7.0f k/s  %5.0f ns each (%3.0f of it writing derived rows)  %4.0f MB/s  %.0f "
           "bytes each\n",
           name, (double) records / ((double) spent / 1e9) / 1e3, (double) spent / (double) records,
           (double) flush / (double) records, (double) bytes / ((double) spent / 1e9) / 1e6,
           (double) bytes / (double) records);
    memory_store_flush(r.store, 0);
    ingest_stop(r.ingest);
    ingest_free(r.ingest);
    memory_store_free(r.store);
    for (unsigned i = 0; i < BODIES; i++) {
        buffer_done(&r.bodies[i]);
        realistic_places_done(&r.places[i]);
    }
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
    bool scrub = argc < 3;

    measure("spans", OTLP_TRACES, seconds, scrub);
    measure("logs", OTLP_LOGS, seconds, scrub);
    return 0;
}
