/*
 * Transactions: begin, resources, commit, abort; and the thread that settles edges when
 * nothing else comes. `struct ingest` is thread-safe; a transaction belongs to one thread.
 */
#include "derive/ingest.h"
#include "base/clock.h"
#include "derive/private.h"
#include "signal/columns.h"
#include "store/store.h"
#include "wire/utf8.h"

#include <errno.h>
#include <limits.h>

#define TAIL_BYTES_MAX (16u << 20)
#define RETRY_PRESSURE_S 1u
#define RETRY_DISK_S 30u
#define FUTURE_NS_MAX (INT64_C(86400) * NS_PER_S)
#define PAST_DAYS_MAX 3650
#define SERIES_SWEEP_ROUNDS 60u /* of EDGE_SWEEP_S */

static int flush_hook(void *ctx, struct store_batch *b) {
    struct state *s = *store_batch_user(b);
    uint64_t day = (uint64_t) (clock_now_ns() / NS_PER_S / 86400);

    if (!s)
        return 0;
    int r = window_write(s, b);
    s->n_days = 0;
    if (s->late_hours.n) {
        struct ingest *g = ctx;
        struct store_stats stats;
        store_read_stats(g->store, &stats);
        late_hours_mark(g->late, s->late_hours.items, s->late_hours.n, stats.commits);
        s->late_hours.n = 0;
    }
    if (s->full || s->day != day || r < 0)
        state_forget(s);
    state_shrink(s);
    s->day = day;
    return r;
}

static void *sweeper_main(void *arg) {
    struct ingest *g = arg;
    struct timespec until;
    unsigned rounds = 0;

    pthread_mutex_lock(&g->sweeper_lock);
    while (!g->sweeper_stops) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += EDGE_SWEEP_S;
        pthread_cond_timedwait(&g->sweeper_wake, &g->sweeper_lock, &until);
        if (!g->sweeper_stops && ++rounds % SERIES_SWEEP_ROUNDS == 0)
            series_evict(g->series, (uint32_t) (clock_now_ns() / NS_PER_S),
                         SERIES_EMIT_S + SERIES_IDLE_S);
        if (g->sweeper_stops || !edges_due(&g->edges, clock_monotonic_ns()))
            continue;
        struct ingest_txn *t;
        unsigned retry_s;
        if (ingest_begin(g, 0, &t, &retry_s) < 0)
            continue;
        if (edges_sweep(t->state, clock_monotonic_ns()) < 0)
            ingest_abort(t);
        else
            txn_commit_always(t, NULL, NULL);
    }
    pthread_mutex_unlock(&g->sweeper_lock);
    return NULL;
}

static int sweeper_start(struct ingest *g) {
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->sweeper_wake, &attr);
    pthread_condattr_destroy(&attr);
    int r = pthread_create(&g->sweeper, NULL, sweeper_main, g);
    g->sweeper_runs = r == 0;
    return -r;
}

int ingest_new(const struct ingest_options *o, struct ingest **ret, struct error *e) {
    struct ingest *g = memory_alloc(sizeof(*g));

    if (!g)
        return error_set(e, -ENOMEM, "out of memory");
    *g = (struct ingest){.store = o->store};
    pthread_mutex_init(&g->states_lock, NULL);
    pthread_mutex_init(&g->tails_lock, NULL);
    pthread_mutex_init(&g->sweeper_lock, NULL);
    pthread_mutex_init(&g->metadata.lock, NULL);
    map_init(&g->metadata.written, METADATA_MEMO_MAX, METADATA_MEMO_MAX * 8);
    rollup_init(&g->rollup);
    edges_init(&g->edges);
    atomic_init(&g->seq, (uint64_t) clock_now_ns()); /* grows from one start to the next */
    int r = o->scrub ? scrub_new(o->scrub_keys, o->n_scrub_keys, &g->scrub) : 0;
    if (r < 0) {
        ingest_free(g);
        return error_set(e, r, r == -E2BIG ? "more than %u keys to scrub" : "out of memory",
                         SCRUB_EXTRA_KEYS_MAX);
    }
    r = series_index_new(o->series_max, o->instance_series_max, &g->series);
    if (r < 0) {
        ingest_free(g);
        return error_set(e, r, "out of memory");
    }
    r = late_hours_new(o->store, &g->late, e);
    if (r < 0) {
        ingest_free(g);
        return r;
    }
    store_set_flush_hook(o->store, flush_hook, g);
    r = sweeper_start(g);
    if (r == 0 && o->load_series)
        r = series_loader_start(g);
    if (r < 0) {
        ingest_free(g);
        return error_set(e, r, "cannot start a thread: %s", error_name(r));
    }
    *ret = g;
    return 0;
}

void ingest_stop(struct ingest *g) {
    series_loader_stop(g);
    if (!g->sweeper_runs)
        return;
    pthread_mutex_lock(&g->sweeper_lock);
    g->sweeper_stops = true;
    pthread_cond_signal(&g->sweeper_wake);
    pthread_mutex_unlock(&g->sweeper_lock);
    pthread_join(g->sweeper, NULL);
    g->sweeper_runs = false;
}

void ingest_free(struct ingest *g) {
    if (!g)
        return;
    ingest_stop(g);
    for (struct state *s = g->states, *next; s; s = next) {
        next = s->next;
        state_free(s);
    }
    while (g->tails)
        ingest_tail_stop(g->tails);
    scrub_free(g->scrub);
    rollup_done(&g->rollup);
    edges_done(&g->edges);
    series_index_free(g->series);
    late_hours_free(g->late);
    map_done(&g->metadata.written);
    free(g);
}

static int state_of(struct ingest *g, struct store_batch *b, struct state **ret) {
    void **user = store_batch_user(b);
    struct state *s;

    if (!*user) {
        int r = state_new(g, &s);
        if (r < 0)
            return r;
        pthread_mutex_lock(&g->states_lock);
        s->next = g->states;
        g->states = s;
        pthread_mutex_unlock(&g->states_lock);
        *user = s;
    }
    *ret = s = *user;
    if (!s->other)
        s->other = state_text(s, SLICE("(other)"));
    return s->other ? 0 : -ENOMEM;
}

int ingest_begin(struct ingest *g, size_t bytes, struct ingest_txn **ret, unsigned *ret_retry_s) {
    struct ingest_txn *t = memory_alloc(sizeof(*t));
    struct store_batch *b;
    struct state *s = NULL;

    int r = t ? store_batch_acquire(g->store, bytes, &b) : -ENOMEM;
    if (r == 0) {
        r = state_of(g, b, &s);
        if (r < 0)
            store_batch_abort(b);
    }
    if (r < 0) {
        free(t);
        atomic_fetch_add(&g->refused_pressure, 1);
        *ret_retry_s = r == -ENOSPC ? RETRY_DISK_S : RETRY_PRESSURE_S;
        return -EAGAIN;
    }
    *t = (struct ingest_txn){
            .ingest = g,
            .batch = b,
            .state = s,
            .spans_block = store_batch_block(b, TABLE_SPANS),
            .logs_block = store_batch_block(b, TABLE_LOGS),
            .samples_block = store_batch_block(b, TABLE_SAMPLES),
            .now_ns = clock_now_ns(),
            .days_before = s->n_days,
    };
    t->late_ms = t->now_ns / NS_PER_MS - LATE_MS;
    int64_t until_ms = late_hours_until(g->late) * HOUR_MS;
    if (until_ms > t->late_ms) /* the clock was ahead */
        t->late_ms = until_ms;
    do
        t->token = atomic_fetch_add(&g->token, 1) + 1;
    while (!t->token);
    arena_init(&t->tail_arena, TAIL_BYTES_MAX);
    uint64_t generation = atomic_load(&g->generation);
    if (s->generation != generation) { /* rows that were thought written may be gone */
        map_clear(&s->resources);
        map_clear(&s->stacks);
        s->generation = generation;
    }
    *ret = t;
    return 0;
}

static void txn_free(struct ingest_txn *t) {
    arena_done(&t->tail_arena);
    vector_done(&t->tail);
    vector_done(&t->series);
    vector_done(&t->starts);
    vector_done(&t->metadata);
    free(t);
}

int txn_time(struct ingest_txn *t, int64_t ns, struct error *e) {
    struct state *s = t->state;
    int64_t day = ns / NS_PER_S / 86400;

    for (unsigned i = 0; i < s->n_days; i++)
        if (s->days[i] == day)
            return ns > t->now_ns + FUTURE_NS_MAX
                           ? error_set(e, -EINVAL,
                                       "the time lies more than a day ahead of this server's")
                           : 0;
    if (ns <= 0)
        return error_set(e, -EINVAL, "the time is missing or before 1970");
    if (ns > t->now_ns + FUTURE_NS_MAX)
        return error_set(e, -EINVAL, "the time lies more than a day ahead of this server's");
    if (t->now_ns / NS_PER_S / 86400 - day > PAST_DAYS_MAX)
        return error_set(e, -EINVAL, "the time lies more than %d days back", PAST_DAYS_MAX);
    if (s->n_days == DAYS_PER_BATCH)
        return error_set(e, -EINVAL, "records of more than %d days at once; send fewer at a time",
                         DAYS_PER_BATCH);
    s->days[s->n_days++] = day;
    return 0;
}

static int resource_row(struct ingest_txn *t, const struct resource *r, struct error *e) {
    struct attribute_texts texts;
    struct resource clean = *r;
    uint32_t beyond;

    int error = clean_attributes(t, ROLLUP_RESOURCE, &r->attributes, NULL, &texts, &beyond, e);
    clean.service = utf8_cut(r->service, NAME_BYTES_MAX);
    clean.service_namespace = utf8_cut(r->service_namespace, NAME_BYTES_MAX);
    clean.version = utf8_cut(r->version, NAME_BYTES_MAX);
    clean.instance = utf8_cut(r->instance, NAME_BYTES_MAX);
    clean.environment = utf8_cut(r->environment, NAME_BYTES_MAX);
    if (error == 0)
        error = resource_row_append(store_batch_block(t->batch, TABLE_RESOURCES), &clean, &texts,
                                    (uint32_t) (t->now_ns / NS_PER_S));
    arena_clear(&t->state->scratch);
    return error;
}

/* Whether a row for resource `m` is due, and notes that it will be written in this transaction. */
static bool emission_due(struct ingest_txn *t, struct map_entry *m, int *ret_r) {
    uint64_t now_s = (uint64_t) (t->now_ns / NS_PER_S);

    *ret_r = 0;
    if (m && m->number && now_s - m->number < EMIT_AGAIN_S)
        return false;
    if (m) {
        uint64_t key;
        memcpy(&key, m->key.data, sizeof(key));
        struct emitted x = {key, m->number};
        *ret_r = vector_push(&t->state->emitted, x, TEXTS_MAX);
        m->number = now_s;
    }
    return *ret_r == 0;
}

int txn_resource(struct ingest_txn *t, const struct resource *r, struct error *e) {
    struct state *s = t->state;
    int error;

    if (t->resource == r)
        return 0;
    t->service = state_text(s, utf8_cut(r->service, NAME_BYTES_MAX));
    if (!t->service)
        t->service = s->other;
    struct map_entry *m = map_put(&s->resources, slice_new(&r->id, sizeof(r->id)), NULL);
    if (emission_due(t, m, &error))
        error = resource_row(t, r, e);
    t->red_counted = slice_is(attributes_text(&r->attributes, RED_ATTRIBUTE), RED_BY_PROCESS);
    if (error == 0)
        t->resource = r;
    return error;
}

static void account(struct ingest_txn *t, bool kept) {
    struct ingest *g = t->ingest;

    if (kept) {
        atomic_fetch_add(&g->spans, t->spans);
        atomic_fetch_add(&g->logs, t->logs);
        atomic_fetch_add(&g->samples, t->samples);
        atomic_fetch_add(&g->exemplars, t->exemplars);
        atomic_fetch_add(&g->metadata_rows, t->metadata.n);
        atomic_fetch_add(&g->profile_samples, t->profile_samples);
        atomic_fetch_add(&g->scrubbed_values, t->scrubbed);
    }
    atomic_fetch_add(&g->rejected_spans, t->rejected_spans);
    atomic_fetch_add(&g->rejected_logs, t->rejected_logs);
    atomic_fetch_add(&g->rejected_samples, t->rejected_samples);
    atomic_fetch_add(&g->rejected_profiles, t->rejected_profiles);
}

static void committed(void *ctx, int result) {
    struct ingest_txn *t = ctx;

    if (result < 0)
        atomic_fetch_add(&t->ingest->generation, 1);
    account(t, result == 0);
    metric_committed(t, result);
    if (result == 0)
        tail_deliver(t);
    if (t->done)
        t->done(t->done_ctx, result);
    txn_free(t);
}

void txn_commit_always(struct ingest_txn *t, ingest_done done, void *ctx) {
    t->done = done;
    t->done_ctx = ctx;
    int r = metric_apply(t);
    if (r == 0)
        r = state_apply(t->state);
    if (r < 0) {
        t->spans = t->logs = t->samples = t->profile_samples = 0;
        ingest_abort(t);
        if (done)
            done(ctx, r);
        return;
    }
    if (t->patient)
        store_batch_commit_patiently(t->batch, committed, t);
    else
        store_batch_commit(t->batch, committed, t);
}

void ingest_commit_patiently(struct ingest_txn *t, ingest_done done, void *ctx) {
    t->patient = true;
    ingest_commit(t, done, ctx);
}

void ingest_commit(struct ingest_txn *t, ingest_done done, void *ctx) {
    if (t->spans + t->logs + t->samples + t->exemplars + t->metadata.n + t->profile_samples ==
        0) { /* nothing to wait for */
        account(t, true);
        t->rejected_spans = t->rejected_logs = t->rejected_samples = 0;
        ingest_abort(t);
        done(ctx, 0);
        return;
    }
    txn_commit_always(t, done, ctx);
}

void ingest_abort(struct ingest_txn *t) {
    t->state->n_days = t->days_before;
    metric_committed(t, -ECANCELED);
    state_undo(t->state);
    if (t->stacks_written) /* their rows go with the transaction */
        map_clear(&t->state->stacks);
    store_batch_abort(t->batch);
    txn_free(t);
}

void ingest_read_stats(struct ingest *g, struct ingest_stats *ret) {
    *ret = (struct ingest_stats){
            .spans = atomic_load(&g->spans),
            .logs = atomic_load(&g->logs),
            .samples = atomic_load(&g->samples),
            .exemplars = atomic_load(&g->exemplars),
            .metadata = atomic_load(&g->metadata_rows),
            .rejected_spans = atomic_load(&g->rejected_spans),
            .rejected_logs = atomic_load(&g->rejected_logs),
            .rejected_samples = atomic_load(&g->rejected_samples),
            .refused_pressure = atomic_load(&g->refused_pressure),
            .scrubbed_values = atomic_load(&g->scrubbed_values),
            .profile_samples = atomic_load(&g->profile_samples),
            .rejected_profiles = atomic_load(&g->rejected_profiles),
    };
}
