/* Profiles of other tools, from bytes to rows; the first byte chooses the format. */
#include "memory_store.h"
#include "receive/multipart.h"
#include "receive/profiles_call.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void done(void *ctx, int result) {
}

static int read_parts(struct slice bytes) {
    struct slice name, content;
    struct multipart m;

    if (!multipart_begin(&m, SLICE("multipart/form-data; boundary=\"x\""), bytes))
        abort();
    for (size_t n = 0; multipart_next(&m, &name, &content) > 0; n++)
        if (n > bytes.size || content.size > bytes.size)
            abort();
    return 0;
}

static int decode(struct profiles_call *c, unsigned format) {
    const struct profile_about about = {
            .time_ns = INT64_C(1700000000) * 1000000000,
            .type = SLICE("cpu"),
            .unit = SLICE("nanoseconds"),
            .period = 10000000,
    };
    struct slice name;

    switch (format % 9) {
    case 0: return profile_sink_pprof(c->sink, c->body, &about, &c->error);
    case 1: return profile_sink_folded(c->sink, FOLDED_GROUPS, c->body, &about, &c->error);
    case 2: return profile_sink_folded(c->sink, FOLDED_LINES, c->body, &about, &c->error);
    case 3: return profile_sink_folded(c->sink, FOLDED_TRIE, c->body, &about, &c->error);
    case 4: return profile_sink_folded(c->sink, FOLDED_TREE, c->body, &about, &c->error);
    case 5: c->content_type = SLICE("application/json"); return profiles_push(c);
    case 6: c->content_type = SLICE("application/proto"); return profiles_push(c);
    case 7: return read_parts(c->body);
    default: return pyroscope_parse_name(c->sink, c->body, &name, &c->error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ingest *ingest;
    static struct profile_sink sink;
    struct ingest_txn *t;
    struct arena arena;
    unsigned retry_s;

    if (size == 0)
        return 0;
    if (!ingest) {
        struct ingest_options o = {.scrub = true};
        struct error e;
        o.store = memory_store_new();
        if (ingest_new(&o, &ingest, &e) < 0)
            abort();
    }
    if (ingest_begin(ingest, size, &t, &retry_s) < 0)
        abort();
    arena_init(&arena, (size_t) 256 << 20);
    struct profiles_call c = {.body = slice_new(data + 1, size - 1),
                              .sink = &sink,
                              .arena = &arena,
                              .error = ERROR_NONE};
    profile_sink_init(&sink, t, &arena);
    profile_sink_tag(&sink, SLICE("service.name"), SLICE("fuzz"));
    if (profile_sink_begin(&sink) < 0)
        abort();
    int r = decode(&c, data[0]);
    if (r < 0 && r != -EBADMSG && r != -EINVAL && r != -E2BIG && r != -ENOTSUP && r != -ENOMEM &&
        r != -ENOBUFS)
        abort();
    if ((r == -EBADMSG || r == -EINVAL || r == -ENOTSUP) && !c.error.code)
        abort(); /* whoever sent it is told nothing */
    arena_done(&arena);
    if (r < 0)
        ingest_abort(t);
    else
        ingest_commit(t, done, NULL);
    return 0;
}
