/* Live tails: copies of a transaction's log records, made only while somebody listens, handed out
 * on the writer's thread once they are durable. The copies belong to the transaction. */
#include "derive/private.h"

#include <errno.h>

struct ingest_tail {
    struct ingest *ingest;
    ingest_tail_fn fn;
    void *ctx;
    struct ingest_tail *next;
};

static int copy_value(struct arena *a, const struct value *v, unsigned depth, struct value *ret);

static int copy_pairs(struct arena *a, const struct attribute *items, size_t n, unsigned depth,
                      const struct attribute **ret) {
    struct attribute *copy = arena_array(a, struct attribute, n);

    for (size_t i = 0; copy && i < n; i++) {
        copy[i].key = arena_dup(a, items[i].key);
        if (!copy[i].key.data || copy_value(a, &items[i].value, depth, &copy[i].value) < 0)
            return -ENOMEM;
    }
    *ret = copy;
    return copy ? 0 : -ENOMEM;
}

static int copy_value(struct arena *a, const struct value *v, unsigned depth, struct value *ret) {
    *ret = *v;
    if (v->type == VALUE_STRING || v->type == VALUE_BYTES) {
        ret->text = arena_dup(a, v->text);
        return ret->text.data ? 0 : -ENOMEM;
    }
    if (depth > 32)
        return -ENOMEM;
    if (v->type == VALUE_MAP)
        return copy_pairs(a, v->map.items, v->map.n, depth + 1, &ret->map.items);
    if (v->type != VALUE_ARRAY)
        return 0;
    struct value *copy = arena_array(a, struct value, v->array.n);
    for (size_t i = 0; copy && i < v->array.n; i++)
        if (copy_value(a, &v->array.items[i], depth + 1, &copy[i]) < 0)
            return -ENOMEM;
    ret->array.items = copy;
    return copy ? 0 : -ENOMEM;
}

static int copy_attributes(struct ingest_txn *t, const struct attributes *from,
                           struct attributes *ret) {
    struct arena *a = &t->tail_arena;
    struct attribute *copy = arena_array(a, struct attribute, from->n);

    for (size_t i = 0; copy && i < from->n; i++) {
        struct key *k = state_key(t->state, from->items[i].key);
        struct value clean;
        copy[i].key = arena_dup(a, from->items[i].key);
        if (!copy[i].key.data ||
            clean_value(t, k ? k->verdict : SCRUB_KEEP, &from->items[i].value, &clean) < 0 ||
            copy_value(a, &clean, 0, &copy[i].value) < 0)
            return -ENOMEM;
    }
    *ret = (struct attributes){copy, from->n, from->dropped};
    return copy ? 0 : -ENOMEM;
}

static int copy_resource(struct ingest_txn *t, const struct resource *from,
                         const struct resource **ret) {
    struct arena *a = &t->tail_arena;
    struct resource *copy = arena_new(a, struct resource);

    if (t->tail.n && t->tail.items[t->tail.n - 1].resource->id == from->id) {
        *ret = t->tail.items[t->tail.n - 1].resource;
        return 0;
    }
    if (!copy || copy_attributes(t, &from->attributes, &copy->attributes) < 0)
        return -ENOMEM;
    copy->id = from->id;
    copy->service = arena_dup(a, from->service);
    copy->service_namespace = arena_dup(a, from->service_namespace);
    copy->version = arena_dup(a, from->version);
    copy->instance = arena_dup(a, from->instance);
    copy->environment = arena_dup(a, from->environment);
    *ret = copy;
    return copy->environment.data ? 0 : -ENOMEM;
}

/* A tail that cannot be served for want of memory misses the line; the line itself is stored. */
int tail_gather(struct ingest_txn *t, const struct log_record *l, const struct value *body) {
    struct arena *a = &t->tail_arena;
    struct log_record copy = *l;
    struct scope *scope = arena_new(a, struct scope);
    uint64_t scrubbed = t->scrubbed;

    if (t->tail.n >= TAIL_RECORDS_MAX || !scope ||
        copy_resource(t, l->resource, &copy.resource) < 0 ||
        copy_attributes(t, &l->attributes, &copy.attributes) < 0 ||
        copy_value(a, body, 0, &copy.body) < 0)
        return 0;
    t->scrubbed = scrubbed; /* counted when the row was made */
    copy.severity_text = arena_dup(a, l->severity_text);
    copy.event_name = arena_dup(a, l->event_name);
    scope->name = arena_dup(a, l->scope->name);
    scope->version = arena_dup(a, l->scope->version);
    copy.scope = scope;
    if (scope->version.data)
        (void) vector_push(&t->tail, copy, TAIL_RECORDS_MAX);
    return 0;
}

void tail_deliver(struct ingest_txn *t) {
    struct ingest *g = t->ingest;

    if (t->tail.n == 0)
        return;
    pthread_mutex_lock(&g->tails_lock);
    for (struct ingest_tail *x = g->tails; x; x = x->next)
        vector_each(&t->tail, l) x->fn(x->ctx, l);
    pthread_mutex_unlock(&g->tails_lock);
}

struct ingest_tail *ingest_tail_start(struct ingest *g, ingest_tail_fn fn, void *ctx) {
    struct ingest_tail *x = memory_alloc(sizeof(*x));

    if (!x)
        return NULL;
    *x = (struct ingest_tail){.ingest = g, .fn = fn, .ctx = ctx};
    pthread_mutex_lock(&g->tails_lock);
    if (atomic_load(&g->n_tails) >= TAILS_MAX) {
        pthread_mutex_unlock(&g->tails_lock);
        free(x);
        return NULL;
    }
    x->next = g->tails;
    g->tails = x;
    atomic_fetch_add(&g->n_tails, 1);
    pthread_mutex_unlock(&g->tails_lock);
    return x;
}

void ingest_tail_stop(struct ingest_tail *x) {
    if (!x)
        return;
    struct ingest *g = x->ingest;
    pthread_mutex_lock(&g->tails_lock);
    for (struct ingest_tail **p = &g->tails; *p; p = &(*p)->next)
        if (*p == x) {
            *p = x->next;
            break;
        }
    atomic_fetch_sub(&g->n_tails, 1);
    pthread_mutex_unlock(&g->tails_lock);
    free(x);
}
