/* Remote write, from a message to rows; the first byte chooses the version. What is known of its
 * series from before must not change what is taken. */
#include "memory_store.h"
#include "receive/remote_write_decode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void done(void *ctx, int result) {
}

static void decode(struct ingest *ingest, struct remote_memo *memo, const uint8_t *data,
                   size_t size, uint64_t ret_counts[3]) {
    struct ingest_txn *t;
    unsigned retry_s;

    if (ingest_begin(ingest, size, &t, &retry_s) < 0)
        abort();
    struct remote_decoder *d = remote_decoder_new(t, memo);
    int r = remote_decode(d, data[0] & 1 ? REMOTE_V2 : REMOTE_V1, slice_new(data + 1, size - 1));
    if (r < 0 && r != -EBADMSG && r != -ENOMEM && r != -ENOBUFS)
        abort();
    if ((d->rejected > 0) != (d->n_reasons > 0))
        abort();
    ret_counts[0] = d->samples;
    ret_counts[1] = d->histograms;
    ret_counts[2] = d->rejected;
    remote_decoder_free(d);
    if (r < 0)
        ingest_abort(t);
    else
        ingest_commit(t, done, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct store *store;
    static struct ingest *ingest;
    static struct remote_memo *memo;
    uint64_t plain[3], counts[3];

    if (size == 0)
        return 0;
    if (!ingest) {
        struct ingest_options o = {.scrub = true};
        struct error e;
        o.store = store = memory_store_new();
        if (ingest_new(&o, &ingest, &e) < 0 || remote_memo_new(&memo) < 0)
            abort();
    }
    decode(ingest, NULL, data, size, plain);
    for (unsigned i = 0; i < 2; i++) {
        decode(ingest, memo, data, size, counts);
        if (memcmp(plain, counts, sizeof(plain)) != 0)
            abort();
    }
    return 0;
}
