/* Remote write, from a message to rows; the first byte chooses the version. */
#include "memory_store.h"
#include "receive/remote_write_decode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void done(void *ctx, int result) {
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct store *store;
    static struct ingest *ingest;
    struct ingest_txn *t;
    unsigned retry_s;

    if (size == 0)
        return 0;
    if (!ingest) {
        struct ingest_options o = {.scrub = true};
        struct error e;
        o.store = store = memory_store_new();
        if (ingest_new(&o, &ingest, &e) < 0)
            abort();
    }
    if (ingest_begin(ingest, size, &t, &retry_s) < 0)
        abort();
    struct remote_decoder *d = remote_decoder_new(t);
    int r = remote_decode(d, data[0] & 1 ? REMOTE_V2 : REMOTE_V1, slice_new(data + 1, size - 1));
    if (r < 0 && r != -EBADMSG && r != -ENOMEM && r != -ENOBUFS)
        abort();
    if ((d->rejected > 0) != (d->n_reasons > 0))
        abort();
    remote_decoder_free(d);
    if (r < 0)
        ingest_abort(t);
    else
        ingest_commit(t, done, NULL);
    return 0;
}
