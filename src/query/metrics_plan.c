/*
 * Which table a selector's samples are read from, by time. Raw samples as long as they are there;
 * downsampled ones where they are not, and where they give the same answer at a fraction of the
 * cost: the windows begin and end where buckets do, and the function can do with what a bucket has.
 */
#include "query/metrics_private.h"

#define COARSE_BUCKETS_MIN 6 /* in a window that an hour's rows may stand for */

static const struct {
    const char *function;
    enum tier_emit emit;
    bool exact; /* the same as from samples, when windows are whole buckets */
} uses[] = {
        {"", EMIT_LAST, true}, /* an instant selector */
        {"rate", EMIT_COUNTER, true},
        {"increase", EMIT_COUNTER, true},
        {"delta", EMIT_COUNTER, true},
        {"min_over_time", EMIT_MIN, true},
        {"max_over_time", EMIT_MAX, true},
        {"sum_over_time", EMIT_SUM, true},
        {"avg_over_time", EMIT_SUM, true},
        {"count_over_time", EMIT_SUM, true},
        {"first_over_time", EMIT_FIRST, true},
        {"last_over_time", EMIT_LAST, true},
        {"present_over_time", EMIT_LAST, true},
        {"absent_over_time", EMIT_LAST, true},
};

struct ask {
    const struct promql_hints *hints;
    int64_t from_ms, to_ms;
    size_t n_series;
    enum tier_emit emit;
    bool can_be_exact;
};

/* Whether every window, or every point of an instant selector, is of whole buckets. */
static bool is_exact(const struct ask *a, enum tier t) {
    const struct promql_hints *h = a->hints;
    int64_t bucket = tier_ms(t);
    /* The end of the first window. */
    int64_t first = a->from_ms - 1 + (h->range_ms ? h->range_ms : h->lookback_ms);

    if (!a->can_be_exact || first % bucket != 0 || h->range_ms % bucket != 0)
        return false;
    return first == a->to_ms || h->step_ms % bucket == 0;
}

static double rows_of(const struct ask *a, int64_t each_ms) {
    return (double) a->n_series * (double) (a->to_ms - a->from_ms) / (double) each_ms;
}

/* The coarsest table that has all of it and gives the same answer. RAW: none, or not worth it. */
static enum tier exact_tier(struct metrics *m, const struct ask *a) {
    if (rows_of(a, METRICS_INTERVAL_MS) <= m->raw_samples_max || late_hours_count(m->late) > 0)
        return TIER_RAW;
    int64_t begins = INT64_MAX; /* what there is */
    for (enum tier t = 0; t < TIERS; t++)
        if (atomic_load(&m->oldest_ms[t]) < begins)
            begins = atomic_load(&m->oldest_ms[t]);
    if (begins < a->from_ms)
        begins = a->from_ms;
    for (enum tier t = TIERS; --t > TIER_RAW;)
        if (atomic_load(&m->oldest_ms[t]) <= begins && is_exact(a, t))
            return t;
    return TIER_RAW;
}

/* Whether an hour's rows do for a range that has five minutes' too: many, and wide windows. */
static bool coarse_will_do(const struct metrics *m, const struct ask *a) {
    const struct promql_hints *h = a->hints;
    int64_t width = h->range_ms ? h->range_ms : h->step_ms;

    return rows_of(a, tier_ms(TIER_5M)) > m->raw_samples_max &&
           (is_exact(a, TIER_1H) || width >= COARSE_BUCKETS_MIN * tier_ms(TIER_1H));
}

static void add(struct tier_plan *p, const struct ask *a, enum tier t, int64_t *from, int64_t to) {
    if (to > a->to_ms)
        to = a->to_ms;
    if (to < *from)
        return;
    p->parts[p->n++] = (struct tier_part){t, t == TIER_RAW || is_exact(a, t), a->emit, *from, to};
    *from = to + 1;
}

/* For times before those of raw samples: up to and including `to`. */
static void add_without_raw(struct metrics *m, struct tier_plan *p, const struct ask *a,
                            int64_t *from, int64_t to) {
    int64_t fine = atomic_load(&m->oldest_ms[TIER_5M]);
    bool has_coarse = atomic_load(&m->oldest_ms[TIER_1H]) < INT64_MAX;

    if (has_coarse && (fine >= to || coarse_will_do(m, a)))
        add(p, a, TIER_1H, from, to);
    else if (has_coarse && fine > *from)
        add(p, a, TIER_1H, from, fine);
    if (fine < to)
        add(p, a, TIER_5M, from, to);
}

void metrics_plan(struct metrics *m, const struct promql_hints *hints, int64_t from_ms,
                  int64_t to_ms, size_t n_series, struct tier_plan *ret) {
    struct ask a = {hints, from_ms, to_ms, n_series, EMIT_LAST, false};
    int64_t raw = atomic_load(&m->oldest_ms[TIER_RAW]);
    int64_t done = late_hours_until(m->late) * HOUR_MS;

    *ret = (struct tier_plan){0};
    for (size_t i = 0; i < sizeof(uses) / sizeof(*uses); i++)
        if (slice_is(hints->function, uses[i].function)) {
            a.emit = uses[i].emit;
            a.can_be_exact = uses[i].exact;
        }
    enum tier t = exact_tier(m, &a);
    if (t != TIER_RAW)
        add(ret, &a, t, &from_ms, done);
    else if (raw > from_ms && (raw < INT64_MAX || done))
        add_without_raw(m, ret, &a, &from_ms, raw < INT64_MAX ? raw : done);
    add(ret, &a, TIER_RAW, &from_ms, to_ms);
}
