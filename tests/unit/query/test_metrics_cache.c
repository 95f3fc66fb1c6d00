/* The cache of samples: chunks keep every bit; what the cache says is what was written, whatever
 * the order and whoever writes meanwhile; its bytes are bounded; queries through it give what
 * storage gives. */
#include "base/clock.h"
#include "ingest_txn.h"
#include "query/metrics_cache.h"
#include "query/metrics_private.h"
#include "unit.h"

#include <math.h>

#define MAX 3000

static uint64_t seed = 1;

static uint64_t dice(uint64_t n) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (seed >> 33) % n;
}

static double stale(void) {
    uint64_t bits = PROMQL_STALE_BITS;
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static double value_of(unsigned kind, size_t i) {
    switch (kind) {
    case 0: return 7.25;
    case 1: return (double) (1000 + i * 3);
    case 2: return (double) dice(1u << 30);
    case 3: return (double) i * 1.1;
    case 4: return i % 7 ? (double) i : stale();
    case 5: return i % 2 ? -0.0 : 0.0;
    case 6: return i % 3 ? 1e300 : -INFINITY;
    default: return (double) dice(3) - 1e15;
    }
}

static void test_chunks_keep_every_bit(void **state) {
    int64_t t[CHUNK_SAMPLES_MAX], t2[CHUNK_SAMPLES_MAX];
    double v[CHUNK_SAMPLES_MAX], v2[CHUNK_SAMPLES_MAX];

    for (unsigned round = 0; round < 400; round++) {
        size_t n = 1 + dice(CHUNK_SAMPLES_MAX);
        for (size_t i = 0; i < n; i++) {
            int64_t apart =
                    (int64_t[]){15000, 15000 + (int64_t) dice(50), 1 + (int64_t) dice(1u << 22),
                                1 + (int64_t) dice(1u << 30) * 1000}[round / 8 % 4];
            t[i] = i ? t[i - 1] + apart : 1700000000000;
            v[i] = value_of(round % 8, i);
        }
        struct chunk *c = chunk_new(t, v, n);
        assert_non_null(c);
        assert_int_equal(c->n, n);
        chunk_unpack(c, t2, v2);
        assert_memory_equal(t, t2, n * sizeof(*t));
        assert_memory_equal(v, v2, n * sizeof(*v));
        if (round % 8 == 1 && round / 8 % 4 == 0)
            assert_true(c->size <= sizeof(*c) + 2 * n);
        free(c);
    }
}

/* ---- Against a model ---- */

struct model {
    size_t n;
    int64_t t[MAX];
    double v[MAX];
};

static void model_put(struct model *m, int64_t t, double v) {
    size_t at = m->n;

    while (at > 0 && m->t[at - 1] > t)
        at--;
    if (at > 0 && m->t[at - 1] == t) {
        m->v[at - 1] = v;
        return;
    }
    memmove(m->t + at + 1, m->t + at, (m->n - at) * sizeof(*m->t));
    memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof(*m->v));
    m->t[at] = t;
    m->v[at] = v;
    m->n++;
}

static void append_one(struct metrics_cache *c, uint64_t id, int64_t t, double v) {
    metrics_cache_append(c, (uint8_t *) &id, (uint8_t *) &t, (uint8_t *) &v, 1);
}

/* 1 when the cache answered, rightly. */
static int check(struct metrics_cache *c, uint64_t id, const struct model *m,
                 const struct samples_range *r) {
    struct floats f = {0};
    struct arena arena;
    size_t n = 0;

    arena_init(&arena, 16 << 20);
    int known = metrics_cache_read(c, id, r, &arena, &f);
    assert_true(known >= 0);
    for (size_t i = 0; known && i < m->n; i++) {
        if (!samples_are_wanted(r, samples_have_gaps(r), m->t[i]))
            continue;
        assert_true(n < f.n);
        assert_int_equal(f.times[n], m->t[i]);
        assert_memory_equal(&f.values[n], &m->v[i], sizeof(double));
        n++;
    }
    assert_int_equal(f.n, n);
    arena_done(&arena);
    return known;
}

static void test_as_a_model(void **state) {
    struct metrics_cache *c;
    int answered = 0;

    assert_int_equal(metrics_cache_new(8 << 20, &c), 0);
    for (unsigned round = 0; round < 200; round++) {
        struct model *m = calloc(1, sizeof(*m));
        uint64_t id = dice(20) + 1, number = 0;
        int64_t now = 1700000000000;
        size_t writes = 200 + dice(800), begin = dice(writes), end = begin + dice(50);
        metrics_cache_clear(c);
        for (size_t i = 0; i < writes; i++) {
            now += (int64_t) dice(20000);
            int64_t t = dice(40) ? now : now - (int64_t) dice(round % 2 ? 60000 : 2000000);
            if (i == begin)
                number = metrics_cache_begin(c, id, m->n ? m->t[m->n / 3] : 1);
            struct model *stored = i == end ? memcpy(malloc(sizeof(*m)), m, sizeof(*m)) : NULL;
            if (stored) {
                metrics_cache_fill(c, id, number, stored->t, stored->v, stored->n, false);
                free(stored);
            }
            double v = value_of(round % 8, i);
            model_put(m, t, v);
            append_one(c, id, t, v);
            struct samples_range r = {now - 3000000, now, 0, 0};
            if (i % 3 == 0)
                r = (struct samples_range){now - 4000000, now, 600000, 100000, now - 4000000};
            if (i > end)
                answered += check(c, id, m, &r);
        }
        free(m);
    }
    assert_true(answered > 3000);
    metrics_cache_free(c);
}

static void test_bytes_are_bounded(void **state) {
    struct metrics_cache_stats stats;
    struct metrics_cache *c;
    int64_t t[MAX];
    double v[MAX];

    assert_int_equal(metrics_cache_new(2 << 20, &c), 0);
    for (size_t i = 0; i < MAX; i++) {
        t[i] = 1700000000000 + (int64_t) i * 1000;
        v[i] = (double) i * 1.1;
    }
    for (uint64_t id = 1; id < 2000; id++) {
        uint64_t number = metrics_cache_begin(c, id << 40, 1);
        assert_true(number);
        assert_int_equal(metrics_cache_begin(c, id << 40, 1), 0);
        metrics_cache_fill(c, id << 40, number, t, v, 300, false);
        append_one(c, id << 40, t[300], v[300]);
    }
    metrics_cache_read_stats(c, &stats);
    assert_in_range(stats.bytes, 1 << 20, (2 << 20) + 64 * 8192);
    assert_in_range(stats.series, 100, 900);
    metrics_cache_clear(c);
    metrics_cache_read_stats(c, &stats);
    assert_int_equal(stats.bytes, 0);
    metrics_cache_free(c);
}

/* ---- On the real engine: with the cache and without it ---- */

static struct store *store;
static struct ingest *ingest;
static struct metrics *cached, *plain;

static struct promql_result *ask(struct metrics *m, const char *text, int64_t from, int64_t to,
                                 int64_t step) {
    struct promql_options o = {0};
    struct promql_result *ret = NULL;
    struct promql_query *q = NULL;
    struct promql_error e = {0};
    struct metrics_source source;

    metrics_source_init(&source, m);
    if (promql_parse(slice_from(text), &q, &e) < 0 ||
        promql_eval_range(q, &source.source, from, to, step, &o, &ret, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    promql_query_free(q);
    return ret;
}

static void same(const char *text, int64_t from, int64_t to, int64_t step) {
    struct promql_result *a = ask(plain, text, from, to, step);
    struct promql_result *b = ask(cached, text, from, to, step);

    assert_int_equal(a->n_columns, b->n_columns);
    for (size_t i = 0; i < a->n_columns; i++) {
        assert_int_equal(a->columns[i].n, b->columns[i].n);
        assert_memory_equal(a->columns[i].times_ms, b->columns[i].times_ms, a->columns[i].n * 8);
        assert_memory_equal(a->columns[i].values, b->columns[i].values, a->columns[i].n * 8);
    }
    promql_result_free(a);
    promql_result_free(b);
}

static void write_samples(int64_t from, int64_t to, double add) {
    struct ingest_txn *t = txn_begin(ingest, 0);

    for (int64_t at = from; at < to; at += 15000)
        for (unsigned i = 0; i < 30; i++) {
            char name[20];
            snprintf(name, sizeof(name), "host-%u", i);
            struct label l[] = {{SLICE("__name__"), SLICE("requests_total")},
                                {SLICE("instance"), slice_from(name)}};
            struct sample s = {.labels = l,
                               .n_labels = 2,
                               .time_ms = at + i * 11,
                               .value = (double) (at / 15000 % 1000 * (i + 1)) + add};
            struct error e = ERROR_NONE;
            assert_int_equal(ingest_sample(t, &s, &e), 0);
        }
    txn_commit(t);
}

static void all_same(int64_t now) {
    int64_t hour = 3600000;

    same("requests_total", now - hour, now, 15000);
    same("sum(rate(requests_total[5m]))", now - hour, now, 60000);
    same("sum(rate(requests_total[5m]))", now - 2 * hour, now, 900000);
    same("requests_total{instance=~'host-1.*'}", now, now, 1000);
    same("max_over_time(requests_total[30m])", now - hour, now - hour / 3, 300000);
}

/* A long range in wide steps: the cache is filled behind the queries, until one misses nothing. */
static void is_filled_in_the_end(int64_t from, int64_t now) {
    int64_t deadline = clock_monotonic_ns() + 60 * NS_PER_S;
    struct metrics_cache_figures before, after;

    do {
        assert_true(clock_monotonic_ns() < deadline);
        metrics_read_cache(cached, &before);
        same("sum(rate(requests_total[5m]))", from, now, 900000);
        metrics_read_cache(cached, &after);
    } while (after.misses != before.misses);
}

static void test_queries(void **state) {
    struct store_options o = fixture_options();
    struct metrics_cache_figures figures;
    struct error e = ERROR_NONE;
    int64_t now = clock_now_ns() / 1000000 / 15000 * 15000, hour = 3600000;

    store = fixture_open(&o);
    struct ingest_options i = {.store = store};
    assert_int_equal(ingest_new(&i, &ingest, &e), 0);
    struct metrics_options m = {.store = store, .ingest = ingest};
    assert_int_equal(metrics_new(&m, &plain, &e), 0);
    m.cache_bytes = 16 << 20;
    assert_int_equal(metrics_new(&m, &cached, &e), 0);
    write_samples(now - 3 * hour, now - hour / 2, 0);
    all_same(now);
    all_same(now);
    is_filled_in_the_end(now - 3 * hour, now);
    write_samples(now - hour / 2, now, 0); /* goes on */
    all_same(now);
    write_samples(now - 5 * hour / 2 + 7000, now - 2 * hour, 1); /* late */
    all_same(now);
    is_filled_in_the_end(now - 2 * hour, now); /* anew: until then what was kept is gone */
    metrics_read_cache(cached, &figures);
    if (store_writes_alone(store)) {
        assert_true(figures.hits > 200 && figures.series == 30 && figures.bytes > 10000);
    } else {
        assert_int_equal(figures.bytes, 0);
    }
    /* Two values of one time are not kept: storage knows which counts. */
    write_samples(now - hour / 4, now - hour / 8, 5); /* other values of times that are there */
    all_same(now);
    write_samples(now, now + hour / 10, 0);
    all_same(now + hour / 10);
    metrics_free(cached);
    metrics_free(plain);
    ingest_stop(ingest);
    store_close(store);
    ingest_free(ingest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_chunks_keep_every_bit),
            cmocka_unit_test(test_as_a_model),
            cmocka_unit_test(test_bytes_are_bounded),
            cmocka_unit_test(test_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
