/* See batch.h. One static batch: there is one export thread. */
#include "batch.h"

#include "compress.h"
#include "encode.h"
#include "resource.h"

struct bucket {
    struct buf records;
    uint32_t count;
};

struct batch {
    struct bucket buckets[SIGNAL_N][SCOPES_MAX];
    uint32_t bytes[SIGNAL_N];
};

static struct batch the_batch;

struct batch *batch_get(void) {
    return &the_batch;
}

int batch_add(struct batch *b, const struct record *record, const char *bytes) {
    struct bucket *k = &b->buckets[record->signal][record->scope];

    /* A batch takes at least one record, whatever its size. */
    if (b->bytes[record->signal] && b->bytes[record->signal] + record->length > BATCH_BYTES_MAX)
        return -EAGAIN;
    k->records.cap = UINT32_MAX / 4;
    if (buf_append(&k->records, bytes, record->length) < 0) {
        count(COUNTER_OF(SPANS_DROPPED_MEMORY, record->signal), 1);
        return 0;
    }
    k->count++;
    b->bytes[record->signal] += record->length;
    return 0;
}

static size_t scope_size(const struct scope *s, const struct bucket *k) {
    return pb_bytes_size(s->length) + k->records.used +
           (s->schema_url ? pb_bytes_size(strlen(s->schema_url)) : 0);
}

static char *put_scope(char *p, const struct scope *s, const struct bucket *k) {
    *p++ = 0x12; /* Resource….scope_…, of all signals */
    p = pb_varint(p, scope_size(s, k));
    p = pb_bytes(p, 0x0a, s->bytes, s->length);
    memcpy(p, k->records.data, k->records.used);
    p += k->records.used;
    if (s->schema_url)
        p = pb_bytes(p, 0x1a, s->schema_url, strlen(s->schema_url));
    return p;
}

static char *assemble(struct batch *b, enum signal_kind signal, size_t *ret_length,
                      uint32_t *ret_records) {
    char storage[2048];
    struct buf resource;
    size_t inner;
    char *body = NULL, *p;

    buf_init(&resource, storage, sizeof(storage), RESOURCE_BYTES_MAX + 256);
    *ret_records = 0;
    for (unsigned i = 0; i < SCOPES_MAX; i++)
        *ret_records += b->buckets[signal][i].count;
    if (resource_append(&resource) < 0)
        goto finish;
    inner = pb_bytes_size(resource.used);
    for (unsigned i = 0; i < SCOPES_MAX; i++)
        if (b->buckets[signal][i].count)
            inner += pb_bytes_size(scope_size(scope_get(i), &b->buckets[signal][i]));
    body = p = malloc(pb_bytes_size(inner));
    if (!body)
        goto finish;
    *p++ = 0x0a; /* Export…ServiceRequest.resource_… */
    p = pb_varint(p, inner);
    p = pb_bytes(p, 0x0a, resource.data, resource.used);
    for (unsigned i = 0; i < SCOPES_MAX; i++)
        if (b->buckets[signal][i].count)
            p = put_scope(p, scope_get(i), &b->buckets[signal][i]);
    *ret_length = (size_t) (p - body);
finish:
    buf_done(&resource);
    return body;
}

/* Empties the batch; keeps the memory of small buckets. */
static void clear(struct batch *b, enum signal_kind signal) {
    for (unsigned i = 0; i < SCOPES_MAX; i++) {
        struct bucket *k = &b->buckets[signal][i];
        k->count = 0;
        k->records.used = 0;
        if (k->records.size > (64u << 10))
            buf_done(&k->records);
    }
    b->bytes[signal] = 0;
}

struct request *batch_seal(struct batch *b, enum signal_kind signal, bool gzip) {
    struct request *r;
    uint32_t records;
    size_t length = 0;
    char *body;

    if (!b->bytes[signal])
        return NULL;
    body = assemble(b, signal, &length, &records);
    clear(b, signal);
    r = body ? calloc(1, sizeof(*r)) : NULL;
    if (!r) {
        free(body);
        count(COUNTER_OF(SPANS_DROPPED_MEMORY, signal), records);
        return NULL;
    }
    r->signal = signal;
    r->records = records;
    r->made_ns = clock_monotonic_ns();
    r->body = body;
    r->length = length;
    r->gzip = gzip && compress_gzip(&r->body, &r->length) == 0;
    return r;
}

void request_free(struct request *r) {
    free(r->body);
    free(r);
}
