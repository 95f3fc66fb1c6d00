/* Samples in memory. Everything lies in the store's arena, which clearing empties. */
#include "query/promql/memstore.h"

#include "query/promql/histogram.h"
#include "query/promql/labels.h"

#include <errno.h>
#include <stdio.h>

struct stored {
    const struct promql_labels *labels;
    size_t n, allocated;
    int64_t *t, *st;
    double *v;
    size_t n_h, allocated_h;
    int64_t *t_h, *st_h;
    struct promql_histogram **h;
    bool dirty, has_st, has_st_h;
};

struct memstore {
    struct promql_source source; /* first: the evaluator's handle is the store */
    struct arena arena;
    struct labels_table table;
    struct stored *series;
    size_t allocated;
};

static int copy_labels(struct arena *a, const struct promql_labels *l,
                       const struct promql_labels **ret) {
    struct promql_label *items = arena_array(a, struct promql_label, l->n);

    if (!items)
        return -ENOMEM;
    for (uint32_t i = 0; i < l->n; i++) {
        items[i].name = arena_dup(a, l->items[i].name);
        items[i].value = arena_dup(a, l->items[i].value);
        if (!items[i].name.data || !items[i].value.data)
            return -ENOMEM;
    }
    *ret = labels_make(a, items, l->n);
    return *ret ? 0 : -ENOMEM;
}

static struct stored *find_series(struct memstore *m, const struct promql_labels *l) {
    int64_t id = labels_table_get(&m->table, l);
    const struct promql_labels *copy;

    if (id >= 0)
        return &m->series[id];
    if (copy_labels(&m->arena, l, &copy) < 0)
        return NULL;
    if (m->table.n == m->allocated) {
        size_t want = m->allocated ? m->allocated * 2 : 64;
        struct stored *series = arena_array(&m->arena, struct stored, want);

        if (!series)
            return NULL;
        if (m->allocated)
            memcpy(series, m->series, m->allocated * sizeof(*series));
        m->series = series;
        m->allocated = want;
    }
    id = labels_table_put(&m->table, copy);
    if (id < 0)
        return NULL;
    m->series[id].labels = copy;
    return &m->series[id];
}

/* A larger copy of an array. */
static int grow(struct arena *a, void **p, size_t n, size_t want, size_t size) {
    void *q = arena_alloc(a, want * size);

    if (!q)
        return -ENOMEM;
    if (n)
        memcpy(q, *p, n * size);
    *p = q;
    return 0;
}

/* Where a sample of time ms goes; *ret_replace: one of that time is there. */
static size_t place(const int64_t *t, size_t n, int64_t ms, bool *ret_replace) {
    size_t i = n;

    while (i > 0 && t[i - 1] >= ms)
        i--;
    *ret_replace = i < n && t[i] == ms;
    return i;
}

#define SHIFT(array, n, i) memmove((array) + (i) + 1, (array) + (i), ((n) - (i)) * sizeof(*(array)))

int memstore_add(struct memstore *m, const struct promql_labels *labels, int64_t ms, double v,
                 int64_t start_ms) {
    struct stored *s = find_series(m, labels);
    bool replace;

    if (!s)
        return -ENOMEM;
    if (s->n == s->allocated) {
        size_t want = s->allocated ? s->allocated * 2 : 16;

        if (grow(&m->arena, (void **) &s->t, s->n, want, sizeof(*s->t)) < 0 ||
            grow(&m->arena, (void **) &s->st, s->n, want, sizeof(*s->st)) < 0 ||
            grow(&m->arena, (void **) &s->v, s->n, want, sizeof(*s->v)) < 0)
            return -ENOMEM;
        s->allocated = want;
    }
    size_t i = place(s->t, s->n, ms, &replace);
    if (!replace) {
        SHIFT(s->t, s->n, i);
        SHIFT(s->st, s->n, i);
        SHIFT(s->v, s->n, i);
        s->n++;
    }
    s->t[i] = ms;
    s->v[i] = v;
    s->st[i] = start_ms;
    s->has_st |= start_ms != 0;
    return 0;
}

int memstore_add_histogram(struct memstore *m, const struct promql_labels *labels, int64_t ms,
                           const struct promql_histogram *h, int64_t start_ms) {
    struct stored *s = find_series(m, labels);
    struct promql_histogram *copy = histogram_copy(&m->arena, h);
    double *custom = arena_alloc(&m->arena, h->n_custom * sizeof(double));
    bool replace;

    if (!s || !copy || !custom)
        return -ENOMEM;
    if (h->n_custom)
        memcpy(custom, h->custom, h->n_custom * sizeof(double));
    copy->custom = custom;
    if (s->n_h == s->allocated_h) {
        size_t want = s->allocated_h ? s->allocated_h * 2 : 16;

        if (grow(&m->arena, (void **) &s->t_h, s->n_h, want, sizeof(*s->t_h)) < 0 ||
            grow(&m->arena, (void **) &s->st_h, s->n_h, want, sizeof(*s->st_h)) < 0 ||
            grow(&m->arena, (void **) &s->h, s->n_h, want, sizeof(*s->h)) < 0)
            return -ENOMEM;
        s->allocated_h = want;
    }
    size_t i = place(s->t_h, s->n_h, ms, &replace);
    if (!replace) {
        SHIFT(s->t_h, s->n_h, i);
        SHIFT(s->st_h, s->n_h, i);
        SHIFT(s->h, s->n_h, i);
        s->n_h++;
    }
    s->t_h[i] = ms;
    s->h[i] = copy;
    s->st_h[i] = start_ms;
    s->has_st_h |= start_ms != 0;
    s->dirty = true;
    return 0;
}

/* ---- Hints. ---- */

/* Whether a chunk that ends with `prev` can take `h`: then `h` is known not to follow a reset. */
static bool continues(struct arena *scratch, const struct promql_histogram *prev,
                      const struct promql_histogram *h) {
    struct promql_histogram plain = *h;

    if (h->hint == PROMQL_RESET || histogram_is_stale(prev) || h->schema != prev->schema ||
        h->zero_threshold != prev->zero_threshold || h->n_custom != prev->n_custom ||
        (h->n_custom && memcmp(h->custom, prev->custom, h->n_custom * sizeof(double)) != 0))
        return false;
    plain.hint = PROMQL_RESET_UNKNOWN;
    return !histogram_reset_between(scratch, prev, &plain);
}

/* Chunks hold one kind of sample. Only within a chunk of counters is the absence of a reset
 * certain. */
static void set_hints(struct stored *s, struct arena *scratch, enum promql_reset_hint *hints) {
    size_t f = 0;

    for (size_t i = 0; i < s->n_h; i++) {
        bool apart = i == 0;

        while (f < s->n && s->t[f] < s->t_h[i]) {
            apart |= i && s->t[f] > s->t_h[i - 1];
            f++;
        }
        if (s->h[i]->hint == PROMQL_GAUGE)
            hints[i] = PROMQL_GAUGE;
        else if (!apart && s->h[i - 1]->hint != PROMQL_GAUGE &&
                 continues(scratch, s->h[i - 1], s->h[i]))
            hints[i] = PROMQL_NOT_RESET;
        else
            hints[i] = PROMQL_RESET_UNKNOWN;
    }
    for (size_t i = 0; i < s->n_h; i++)
        s->h[i]->hint = hints[i];
}

int memstore_commit(struct memstore *m) {
    struct arena scratch;
    int r = 0;

    arena_init(&scratch, m->arena.cap);
    for (size_t i = 0; r == 0 && i < m->table.n; i++) {
        struct stored *s = &m->series[i];
        enum promql_reset_hint *hints;

        if (!s->dirty)
            continue;
        hints = arena_alloc(&scratch, s->n_h * sizeof(*hints));
        if (hints)
            set_hints(s, &scratch, hints);
        else
            r = -ENOMEM;
        s->dirty = false;
        arena_clear(&scratch);
    }
    arena_done(&scratch);
    return r;
}

/* ---- Reading. ---- */

static size_t first_at(const int64_t *t, size_t n, int64_t from) {
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t[mid] < from)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int matches(const struct promql_labels *l, const struct promql_matcher *m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int r = promql_matcher_test(&m[i], promql_labels_get(l, m[i].name));

        if (r != 1)
            return r;
    }
    return 1;
}

static int select_memory(struct promql_source *source, const struct promql_matcher *matchers,
                         size_t n_matchers, int64_t from, int64_t to,
                         const struct promql_hints *hints, struct arena *arena, promql_add_fn *add,
                         void *ctx, struct promql_error *e) {
    struct memstore *m = (struct memstore *) source;

    for (size_t i = 0; i < m->table.n; i++) {
        const struct stored *s = &m->series[i];
        size_t a = first_at(s->t, s->n, from), b = first_at(s->t, s->n, to + 1);
        size_t a_h = first_at(s->t_h, s->n_h, from), b_h = first_at(s->t_h, s->n_h, to + 1);
        int r;

        if (a == b && a_h == b_h)
            continue;
        r = matches(s->labels, matchers, n_matchers);
        if (r < 0) {
            e->kind = PROMQL_LIMIT;
            snprintf(e->text, sizeof(e->text), "a regular expression takes too long to match");
            return r;
        }
        if (r == 0)
            continue;
        struct promql_samples samples = {
                .labels = s->labels,
                .n_floats = b - a,
                .float_ms = s->n ? s->t + a : NULL,
                .floats = s->n ? s->v + a : NULL,
                .float_start_ms = s->has_st ? s->st + a : NULL,
                .n_histograms = b_h - a_h,
                .histogram_ms = s->n_h ? s->t_h + a_h : NULL,
                .histograms = s->n_h ? (const struct promql_histogram *const *) s->h + a_h : NULL,
                .histogram_start_ms = s->has_st_h ? s->st_h + a_h : NULL,
        };
        r = add(ctx, &samples);
        if (r < 0)
            return r;
    }
    return 0;
}

struct memstore *memstore_new(size_t cap) {
    struct memstore *m = memory_alloc(sizeof(*m));

    if (!m)
        return NULL;
    *m = (struct memstore){.source = {select_memory}};
    arena_init(&m->arena, cap);
    labels_table_init(&m->table, &m->arena);
    return m;
}

void memstore_clear(struct memstore *m) {
    arena_clear(&m->arena);
    labels_table_init(&m->table, &m->arena);
    m->series = NULL;
    m->allocated = 0;
}

void memstore_free(struct memstore *m) {
    if (!m)
        return;
    arena_done(&m->arena);
    free(m);
}

struct promql_source *memstore_source(struct memstore *m) {
    return &m->source;
}
