/*
 * Calls between services. Calls of databases, brokers and the like are known from the client's span
 * alone. For calls of other services the client's span (its span id) and the server's span (its
 * parent's id) wait for each other in a bounded table, whichever comes first; a client's span that
 * waits in vain is a call of something outside. A matched entry stays until its time is over, so
 * that a repeated request is not counted twice.
 *
 * The table is shared by all batches and has a lock; it is taken once per transaction.
 */
#include "base/clock.h"
#include "derive/private.h"

#include <errno.h>

void edges_init(struct edges *e) {
    pthread_mutex_init(&e->lock, NULL);
    map_init(&e->names, EDGE_NAMES_MAX, EDGE_NAMES_BYTES_MAX);
}

void edges_done(struct edges *e) {
    free(e->ring);
    free(e->slots);
    map_done(&e->names);
    vector_done(&e->texts);
    pthread_mutex_destroy(&e->lock);
}

static uint64_t key_of(const uint8_t trace_id[16], const uint8_t span_id[8]) {
    uint8_t bytes[24];

    memcpy(bytes, trace_id, 16);
    memcpy(bytes + 16, span_id, 8);
    return slice_hash(slice_new(bytes, sizeof(bytes)));
}

/* The name's number; UINT32_MAX when there are too many. */
static uint32_t name_of(struct edges *e, struct slice text) {
    bool added;

    struct map_entry *m = map_put(&e->names, text, &added);
    if (m && added) {
        m->number = e->texts.n;
        if (vector_push(&e->texts, m->key, EDGE_NAMES_MAX + 1) < 0)
            m->number = UINT32_MAX;
    }
    return m ? (uint32_t) m->number : UINT32_MAX;
}

static struct slice text_of(const struct edges *e, uint32_t name) {
    return name < e->texts.n ? e->texts.items[name] : SLICE("(other)");
}

static size_t slot_of(const struct edges *e, uint64_t key) {
    size_t mask = e->slots_n - 1, i = key & mask;

    while (e->slots[i] && e->ring[e->slots[i] - 1].key != key)
        i = (i + 1) & mask;
    return i;
}

static struct pending *find(const struct edges *e, uint64_t key) {
    if (e->n == 0)
        return NULL;
    size_t i = slot_of(e, key);
    return e->slots[i] ? &e->ring[e->slots[i] - 1] : NULL;
}

/* Linear probing without graves: what follows moves up. */
static void slot_free(struct edges *e, size_t i) {
    size_t mask = e->slots_n - 1;

    for (size_t k = (i + 1) & mask; e->slots[k]; k = (k + 1) & mask) {
        size_t home = e->ring[e->slots[k] - 1].key & mask;
        if (((k - home) & mask) >= ((k - i) & mask)) {
            e->slots[i] = e->slots[k];
            i = k;
        }
    }
    e->slots[i] = 0;
}

static int emit_outside(struct state *s, struct edges *e, const struct pending *p) {
    struct slice peer = text_of(e, p->peer);

    if (!p->client || p->matched || peer.size == 0)
        return 0;
    return window_add_edge(s, text_of(e, p->service), peer, "external", text_of(e, p->system),
                           p->start_ns, p->duration_ns, p->error);
}

static int drop_oldest(struct state *s, struct edges *e) {
    struct pending *p = &e->ring[e->first];

    slot_free(e, slot_of(e, p->key));
    int r = emit_outside(s, e, p);
    e->first = (e->first + 1) & (e->allocated - 1);
    e->n--;
    return r;
}

static int grow(struct edges *e) {
    size_t want = e->allocated ? e->allocated * 2 : 256;
    struct pending *ring = memory_alloc(want * sizeof(*ring));
    uint32_t *slots = memory_alloc(want * 2 * sizeof(*slots));

    if (!ring || !slots) {
        free(ring);
        free(slots);
        return -ENOMEM;
    }
    for (size_t i = 0; i < e->n; i++)
        ring[i] = e->ring[(e->first + i) & (e->allocated - 1)];
    free(e->ring);
    free(e->slots);
    e->ring = ring;
    e->slots = slots;
    e->slots_n = want * 2;
    e->allocated = want;
    e->first = 0;
    memset(slots, 0, want * 2 * sizeof(*slots));
    for (size_t i = 0; i < e->n; i++)
        slots[slot_of(e, ring[i].key)] = (uint32_t) i + 1;
    return 0;
}

static int add(struct state *s, struct edges *e, const struct pending *p) {
    int r = 0;

    if (e->n == e->allocated) {
        r = e->allocated < EDGE_PENDING_MAX ? grow(e) : drop_oldest(s, e);
        if (r < 0)
            return r;
    }
    size_t slot = slot_of(e, p->key), at = (e->first + e->n) & (e->allocated - 1);
    e->ring[at] = *p;
    e->slots[slot] = (uint32_t) at + 1;
    e->n++;
    return 0;
}

/* A client's or server's span meets the other side, or begins to wait. */
static int meet(struct state *s, struct edges *e, const struct span_note *n, int64_t now_ns) {
    bool client = n->kind == SPAN_CLIENT || n->kind == SPAN_PRODUCER;
    struct pending mine = {
            .key = key_of(n->trace_id, client ? n->span_id : n->parent_span_id),
            .expires_ns = now_ns + EDGE_WINDOW_S * NS_PER_S,
            .start_ns = n->start_ns,
            .duration_ns = n->duration_ns,
            .client = client,
            .error = n->status == STATUS_ERROR,
            .service = name_of(e, n->service->text),
            .peer = client ? name_of(e, n->peer ? n->peer->text : SLICE("")) : UINT32_MAX,
            .system = client ? name_of(e, n->system ? n->system->text : SLICE("")) : UINT32_MAX,
    };
    struct pending *other = find(e, mine.key);
    if (!other)
        return add(s, e, &mine);
    if (other->client == client || other->matched)
        return 0; /* sent again, or a second server span below one client span */
    other->matched = true;
    const struct pending *c = client ? &mine : other, *d = client ? other : &mine;
    return window_add_edge(s, text_of(e, c->service), text_of(e, d->service), "service",
                           text_of(e, c->system), c->start_ns, c->duration_ns,
                           c->error || d->error);
}

static int apply_note(struct state *s, struct edges *e, const struct span_note *n, int64_t now_ns) {
    static const uint8_t zeros[8];
    bool error = n->status == STATUS_ERROR;
    struct slice system = n->system ? n->system->text : SLICE_EMPTY;

    if (n->call == CALL_DATABASE || n->call == CALL_MESSAGING) {
        if (!n->peer)
            return 0;
        if (n->kind == SPAN_CONSUMER) /* the broker calls the consumer */
            return window_add_edge(s, n->peer->text, n->service->text, "service", system,
                                   n->start_ns, n->duration_ns, error);
        return window_add_edge(s, n->service->text, n->peer->text,
                               n->call == CALL_DATABASE ? "database" : "messaging", system,
                               n->start_ns, n->duration_ns, error);
    }
    if (n->call == CALL_SERVICE || ((n->kind == SPAN_SERVER || n->kind == SPAN_CONSUMER) &&
                                    memcmp(n->parent_span_id, zeros, 8) != 0))
        return meet(s, e, n, now_ns);
    return 0;
}

static int sweep(struct state *s, struct edges *e, int64_t now_ns) {
    int r = 0;

    while (r == 0 && e->n && e->ring[e->first].expires_ns <= now_ns)
        r = drop_oldest(s, e);
    return r;
}

int edges_apply(struct state *s) {
    struct edges *e = &s->ingest->edges;
    int64_t now_ns = clock_monotonic_ns();

    if (s->notes.n == 0)
        return 0;
    pthread_mutex_lock(&e->lock);
    int r = sweep(s, e, now_ns);
    for (size_t i = 0; i < s->notes.n && r == 0; i++)
        r = apply_note(s, e, &s->notes.items[i], now_ns);
    pthread_mutex_unlock(&e->lock);
    return r;
}

int edges_sweep(struct state *s, int64_t now_ns) {
    struct edges *e = &s->ingest->edges;

    pthread_mutex_lock(&e->lock);
    int r = sweep(s, e, now_ns);
    pthread_mutex_unlock(&e->lock);
    return r;
}

bool edges_due(struct edges *e, int64_t now_ns) {
    bool due = false;

    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n && !due; i++) {
        const struct pending *p = &e->ring[(e->first + i) & (e->allocated - 1)];
        if (p->expires_ns > now_ns)
            break;
        due = p->client && !p->matched;
    }
    pthread_mutex_unlock(&e->lock);
    return due;
}
