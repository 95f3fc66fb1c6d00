/* Updates of cells, and the exemplars they leave. GIL held. */
#include <math.h>

#include "context.h"
#include "exporter.h"
#include "metrics.h"

#define PATIENCE 32 /* updates outside of a span, before one looks again */

static uint32_t touched_generation;

void metrics_touch(void) {
    if (__builtin_expect(touched_generation == process_generation, 1))
        return;
    thread_state(); /* in a forked child: forgets what the parent has counted */
    touched_generation = process_generation;
    exporter_ensure();
}

static double as_double(uint64_t bits) {
    double d;
    memcpy(&d, &bits, 8);
    return d;
}

static uint64_t as_bits(double d) {
    uint64_t bits;
    memcpy(&bits, &d, 8);
    return bits;
}

/* The exemplar's span: the given one, else the current one. */
static bool find_span(const struct trace_context *given, struct trace_context *ret) {
    struct context_parent at;
    bool found;

    if (given) {
        *ret = *given;
        return true;
    }
    context_find_parent(NULL, &at);
    found = at.found;
    if (found)
        *ret = at.context;
    context_parent_done(&at);
    return found;
}

static void put_exemplar(struct cell *c, unsigned slot, double v, uint32_t epoch,
                         const struct trace_context *given) {
    struct trace_context at = {0};
    struct exemplar *e;
    bool found;

    if (!c->exemplars) {
        c->exemplars = metrics_alloc(EXEMPLARS_MAX * sizeof(*c->exemplars));
        if (!c->exemplars) {
            c->patience = UINT16_MAX;
            return;
        }
    }
    found = find_span(given, &at);
    if (metrics_config.filter == EXEMPLARS_TRACE_BASED && !(found && (at.flags & FLAG_SAMPLED))) {
        c->patience = PATIENCE;
        return;
    }
    e = &c->exemplars[slot];
    atomic_fetch_add_explicit(&c->sequence, 1, memory_order_acq_rel);
    e->time_ns = clock_wall_ns();
    e->epoch = epoch;
    e->value = v;
    e->has_span = found;
    if (found) {
        memcpy(e->trace_id, at.trace_id, 16);
        memcpy(e->span_id, at.span_id, 8);
    }
    atomic_fetch_add_explicit(&c->sequence, 1, memory_order_release);
}

/* One exemplar for each slot and interval: the first one that comes. */
static inline void offer_exemplar(struct cell *c, unsigned slot, double v,
                                  const struct trace_context *given) {
    uint32_t epoch;

    if (metrics_config.filter == EXEMPLARS_NEVER)
        return;
    if (c->patience) {
        c->patience--;
        return;
    }
    epoch = atomic_load_explicit(&metrics_epoch, memory_order_relaxed);
    if (!c->exemplars || c->exemplars[slot].epoch != epoch)
        put_exemplar(c, slot, v, epoch, given);
}

void cell_add_integer(struct instrument *m, struct cell *c, int64_t v) {
    int64_t before = atomic_load_explicit(&c->integer, memory_order_relaxed), after;

    if (m->kind == METRIC_COUNTER && v < 0)
        return;
    if (__builtin_add_overflow(before, v, &after)) {
        cell_add_real(m, c, (double) v);
        return;
    }
    atomic_store_explicit(&c->integer, after, memory_order_relaxed);
    atomic_store_explicit(&c->is_set, true, memory_order_release);
    offer_exemplar(c, 0, (double) v, NULL);
}

void cell_add_real(struct instrument *m, struct cell *c, double v) {
    double before = as_double(atomic_load_explicit(&c->real, memory_order_relaxed));

    if (!isfinite(v) || (m->kind == METRIC_COUNTER && v < 0))
        return;
    atomic_store_explicit(&c->real, as_bits(before + v), memory_order_relaxed);
    atomic_store_explicit(&c->is_real, true, memory_order_relaxed);
    atomic_store_explicit(&c->is_set, true, memory_order_release);
    offer_exemplar(c, 0, v, NULL);
}

void cell_set(struct instrument *m, struct cell *c, bool is_real, int64_t integer, double real) {
    /* The reader adds both: never a moment with the old of one and the new of the other. */
    atomic_fetch_add_explicit(&c->sequence, 1, memory_order_acq_rel);
    atomic_store_explicit(&c->integer, is_real ? 0 : integer, memory_order_relaxed);
    atomic_store_explicit(&c->real, is_real ? as_bits(real) : 0, memory_order_relaxed);
    atomic_store_explicit(&c->is_real, is_real, memory_order_relaxed);
    c->round = m->round;
    atomic_store_explicit(&c->is_set, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->sequence, 1, memory_order_release);
    if (m->kind == METRIC_GAUGE)
        offer_exemplar(c, 0, is_real ? real : (double) integer, NULL);
}

void cell_record(struct instrument *m, struct cell *c, double v) {
    cell_record_of(m, c, v, NULL);
}

void cell_record_of(struct instrument *m, struct cell *c, double v,
                    const struct trace_context *at) {
    struct distribution *d = c->distribution;
    uint32_t sequence = atomic_load_explicit(&c->sequence, memory_order_relaxed);
    unsigned bucket;

    if (!isfinite(v))
        return;
    atomic_store_explicit(&c->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    bucket = distribution_record(m, d, v);
    atomic_store_explicit(&c->sequence, sequence + 2, memory_order_release);
    atomic_store_explicit(&c->is_set, true, memory_order_relaxed);
    offer_exemplar(c, bucket % EXEMPLARS_MAX, v, at);
}
