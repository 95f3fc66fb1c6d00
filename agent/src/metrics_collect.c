/* From cells to OTLP metrics. Runs in the export thread, without the GIL: see metrics.h for what it
 * may read. Field numbers are those of opentelemetry/proto/metrics/v1. */
#include <sched.h>
#include <stddef.h>

#include "encode.h"
#include "metrics.h"

#define METRIC_ENCODED_MAX (512u << 10) /* bytes of one Metric; more points make another one */
#define POINT_BYTES_MAX 8192            /* without attributes */
#define READ_TRIES_MAX 1000

enum { POINTS = 0x0a, TEMPORALITY = 0x10, MONOTONIC = 0x18 };

struct collection {
    metrics_take take;
    void *userdata;
    const struct instrument *m;
    struct buf points;
    uint32_t n;
    uint64_t now_ns;
    uint32_t epoch; /* the interval that ends */
    bool delta;
    struct distribution *scratch;
};

/* A consistent copy of what changes together. */
struct snapshot {
    bool is_set, is_real;
    uint32_t round;
    int64_t integer;
    double real;
    unsigned exemplars_n;
    struct exemplar exemplars[EXEMPLARS_MAX];
};

static bool is_delta(const struct instrument *m) {
    switch (m->kind) {
    case METRIC_COUNTER:
    case METRIC_HISTOGRAM: return metrics_config.temporality != TEMPORALITY_CUMULATIVE;
    case METRIC_OBSERVED_COUNTER: return metrics_config.temporality == TEMPORALITY_DELTA;
    default: return false;
    }
}

static void copy_cell(const struct collection *k, struct cell *c, struct snapshot *ret) {
    uint64_t bits;

    ret->is_set = atomic_load_explicit(&c->is_set, memory_order_relaxed);
    ret->is_real = atomic_load_explicit(&c->is_real, memory_order_relaxed);
    ret->round = c->round;
    ret->integer = atomic_load_explicit(&c->integer, memory_order_relaxed);
    bits = atomic_load_explicit(&c->real, memory_order_relaxed);
    memcpy(&ret->real, &bits, 8);
    ret->exemplars_n = 0;
    if (c->exemplars)
        for (unsigned i = 0; i < EXEMPLARS_MAX; i++)
            if (c->exemplars[i].time_ns && c->exemplars[i].epoch == k->epoch)
                ret->exemplars[ret->exemplars_n++] = c->exemplars[i];
    if (c->distribution)
        memcpy(k->scratch, c->distribution, distribution_size(k->m));
}

/* False when the writer was never seen at rest: the next collection has it. */
static bool read_cell(const struct collection *k, struct cell *c, struct snapshot *ret) {
    for (unsigned tries = 0; tries < READ_TRIES_MAX; tries++) {
        uint32_t before = atomic_load_explicit(&c->sequence, memory_order_acquire);
        if (!(before & 1)) {
            copy_cell(k, c, ret);
            atomic_thread_fence(memory_order_acquire);
            if (atomic_load_explicit(&c->sequence, memory_order_relaxed) == before)
                return true;
        }
        sched_yield();
    }
    return false;
}

static void put_double(struct buf *b, unsigned tag, double v) {
    uint64_t bits;
    memcpy(&bits, &v, 8);
    pb_put_fixed64(b, tag, bits);
}

static void put_exemplars(struct buf *b, unsigned tag, const struct snapshot *s) {
    for (unsigned i = 0; i < s->exemplars_n; i++) {
        const struct exemplar *e = &s->exemplars[i];
        uint32_t mark = pb_open(b, tag);

        if (mark == UINT32_MAX)
            return;
        pb_put_fixed64(b, 0x11, e->time_ns);
        put_double(b, 0x19, e->value);
        if (e->has_span) {
            pb_put_bytes(b, 0x22, e->span_id, 8);
            pb_put_bytes(b, 0x2a, e->trace_id, 16);
        }
        pb_close(b, mark);
    }
}

static void put_times(const struct collection *k, struct buf *b, const struct cell *c) {
    uint64_t start_ns = k->delta && c->sent_ns ? c->sent_ns : c->start_ns;

    if (k->m->kind != METRIC_GAUGE && k->m->kind != METRIC_OBSERVED_GAUGE)
        pb_put_fixed64(b, 0x11, start_ns);
    pb_put_fixed64(b, 0x19, k->now_ns);
}

static void put_number(const struct collection *k, struct buf *b, struct cell *c,
                       struct snapshot *s) {
    int64_t integer = s->integer;
    double real = s->real;

    if (k->delta) {
        integer -= c->sent_integer;
        real -= c->sent_real;
    }
    buf_append(b, c->attributes, c->attributes_n);
    put_times(k, b, c);
    if (s->is_real)
        put_double(b, 0x21, (double) integer + real);
    else
        pb_put_fixed64(b, 0x31, (uint64_t) integer);
    put_exemplars(b, 0x2a, s);
}

static void put_explicit(const struct collection *k, struct buf *b, const struct cell *c,
                         const struct snapshot *s) {
    const struct distribution *d = k->scratch;

    buf_append(b, c->attributes, c->attributes_n);
    put_times(k, b, c);
    pb_put_fixed64(b, 0x21, d->count);
    put_double(b, 0x29, d->sum);
    pb_put_bytes(b, 0x32, d->counts, (k->m->bounds_n + 1u) * 8);
    pb_put_bytes(b, 0x3a, k->m->bounds, k->m->bounds_n * 8u);
    put_exemplars(b, 0x42, s);
    if (d->count) {
        put_double(b, 0x59, d->min);
        put_double(b, 0x61, d->max);
    }
}

static uint64_t zigzag(int32_t v) {
    return (uint32_t) ((uint32_t) v << 1 ^ (uint32_t) (v >> 31));
}

static void put_buckets(struct buf *b, unsigned tag, const struct exponential_buckets *x) {
    uint32_t mark, list;

    if (!x->n)
        return;
    mark = pb_open(b, tag);
    if (mark == UINT32_MAX)
        return;
    pb_put_varint(b, 0x08, zigzag(x->first));
    list = pb_open(b, 0x12);
    for (uint32_t i = 0; list != UINT32_MAX && i < x->n; i++) {
        char *p = buf_reserve(b, 10);
        if (p)
            b->used = (uint32_t) (pb_varint(p, x->counts[i]) - b->data);
    }
    if (list != UINT32_MAX)
        pb_close(b, list);
    pb_close(b, mark);
}

static void put_exponential(const struct collection *k, struct buf *b, const struct cell *c,
                            const struct snapshot *s) {
    const struct distribution *d = k->scratch;

    buf_append(b, c->attributes, c->attributes_n);
    put_times(k, b, c);
    pb_put_fixed64(b, 0x21, d->count);
    put_double(b, 0x29, d->sum);
    pb_put_varint(b, 0x30, zigzag(d->scale));
    pb_put_fixed64(b, 0x39, d->zero_count);
    put_buckets(b, 0x42, &d->buckets[0]);
    put_buckets(b, 0x4a, &d->buckets[1]);
    put_exemplars(b, 0x5a, s);
    if (d->count) {
        put_double(b, 0x61, d->min);
        put_double(b, 0x69, d->max);
    }
}

/* What is new since the last time, into the scratch; keeps the present state. Returns whether there
 * is anything. */
static bool take_delta(struct collection *k, struct cell *c) {
    const struct instrument *m = k->m;
    size_t size = distribution_size(m);
    struct distribution *whole;

    if (!c->sent) {
        c->sent = calloc(1, size); /* the reader's own, bounded by the number of cells */
        if (!c->sent)
            return false;
        distribution_clear(m, c->sent);
    }
    if (k->scratch->count == c->sent->count)
        return false;
    whole = malloc(size);
    if (!whole)
        return false;
    memcpy(whole, k->scratch, size);
    distribution_subtract(m, k->scratch, c->sent);
    free(c->sent);
    c->sent = whole;
    return true;
}

/* Does this cell have something to tell? */
static bool is_due(struct collection *k, struct cell *c, const struct snapshot *s) {
    const struct instrument *m = k->m;

    if (!s->is_set)
        return false;
    if (m->kind >= METRIC_OBSERVED_COUNTER && s->round != m->round)
        return false; /* the callback no longer tells this one */
    if (!k->delta)
        return true;
    if (m->kind == METRIC_HISTOGRAM)
        return take_delta(k, c);
    return s->integer != c->sent_integer || s->real != c->sent_real;
}

static void flush_points(struct collection *k) {
    const struct instrument *m = k->m;
    struct buf *p = &k->points;
    char *whole;
    size_t size;
    bool sum = m->kind == METRIC_COUNTER || m->kind == METRIC_UP_DOWN ||
               m->kind == METRIC_OBSERVED_COUNTER || m->kind == METRIC_OBSERVED_UP_DOWN;
    unsigned tag = sum ? 0x3a : m->kind != METRIC_HISTOGRAM ? 0x2a : m->exponential ? 0x52 : 0x4a;

    if (!k->n)
        return;
    if (tag != 0x2a)
        pb_put_varint(p, TEMPORALITY, k->delta ? 1 : 2);
    if (m->kind == METRIC_COUNTER || m->kind == METRIC_OBSERVED_COUNTER)
        pb_put_varint(p, MONOTONIC, 1);
    size = m->head_n + pb_bytes_size(p->used);
    whole = malloc(pb_bytes_size(size));
    if (whole) {
        char *to = whole;
        *to++ = 0x12; /* ScopeMetrics.metrics */
        to = pb_varint(to, size);
        memcpy(to, m->head, m->head_n);
        to = pb_bytes(to + m->head_n, tag, p->data, p->used);
        k->take(k->userdata, m->scope, k->n, whole, (size_t) (to - whole));
        free(whole);
    }
    p->used = 0;
    k->n = 0;
}

static void collect_cell(struct collection *k, struct cell *c) {
    struct snapshot s;
    uint32_t mark;

    if (!read_cell(k, c, &s) || !is_due(k, c, &s))
        return;
    mark = pb_open(&k->points, POINTS);
    if (mark == UINT32_MAX)
        return;
    if (k->m->kind != METRIC_HISTOGRAM)
        put_number(k, &k->points, c, &s);
    else if (k->m->exponential)
        put_exponential(k, &k->points, c, &s);
    else
        put_explicit(k, &k->points, c, &s);
    pb_close(&k->points, mark);
    k->n++;
    c->sent_integer = s.integer;
    c->sent_real = s.real;
    c->sent_ns = k->now_ns;
    if (k->points.used > METRIC_ENCODED_MAX)
        flush_points(k);
}

void metrics_collect(metrics_take take, void *userdata) {
    static struct distribution room; /* of exponential ones, and of up to 323 bounds */
    unsigned n = atomic_load_explicit(&instruments_n, memory_order_acquire);
    struct collection k = {.take = take, .userdata = userdata, .scratch = &room};

    _Static_assert(sizeof(room) >= offsetof(struct distribution, counts) +
                                           (METRIC_BOUNDS_MAX + 1) * sizeof(uint64_t),
                   "any distribution fits");
    k.now_ns = clock_wall_ns();
    k.epoch = atomic_fetch_add_explicit(&metrics_epoch, 1, memory_order_relaxed);
    buf_init(&k.points, NULL, 0, METRIC_ENCODED_MAX + (64u << 10));
    for (unsigned i = 0; i < n; i++) {
        k.m = atomic_load_explicit(&instruments[i], memory_order_relaxed);
        k.delta = is_delta(k.m);
        for (struct cell *c = atomic_load_explicit(&k.m->first, memory_order_acquire); c;
             c = atomic_load_explicit(&c->next, memory_order_relaxed))
            collect_cell(&k, c);
        flush_points(&k);
    }
    buf_done(&k.points);
}
