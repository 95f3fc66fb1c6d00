/* The sums of delta series: a table by series id. See otlp_delta.h. */
#include "receive/otlp_delta.h"
#include "base/clock.h"
#include "receive/otlp_metrics.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS_MIN 64u

struct sum {
    uint64_t id;               /* 0: a free slot */
    int64_t start_ns, last_ns; /* last_ns 0: no point yet */
    int64_t used_s;
    bool stored; /* the last time is storage's, in milliseconds */
    double value;
    struct histogram *histogram; /* one allocation with its arrays, or NULL */
    size_t histogram_bytes;
};

struct otlp_deltas {
    struct ingest *ingest;
    int64_t lookback_s;
    pthread_mutex_t lock;
    struct sum *slots;
    size_t n, n_slots; /* n_slots: a power of two, or 0 */
    struct otlp_deltas_stats stats;
};

int otlp_deltas_new(struct ingest *g, int64_t lookback_s, struct otlp_deltas **ret) {
    struct otlp_deltas *x = memory_alloc(sizeof(*x));

    if (!x)
        return -ENOMEM;
    *x = (struct otlp_deltas){.ingest = g, .lookback_s = lookback_s};
    pthread_mutex_init(&x->lock, NULL);
    *ret = x;
    return 0;
}

void otlp_deltas_free(struct otlp_deltas *x) {
    if (!x)
        return;
    for (size_t i = 0; i < x->n_slots; i++)
        free(x->slots[i].histogram);
    free(x->slots);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

/* ---- The table; the lock is held ---- */

static struct sum *slot_of(struct sum *slots, size_t n_slots, uint64_t id) {
    size_t at = (size_t) (id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (n_slots - 1);

    while (slots[at].id && slots[at].id != id)
        at = (at + 1) & (n_slots - 1);
    return &slots[at];
}

static struct sum *find(struct otlp_deltas *x, uint64_t id) {
    struct sum *s = x->n_slots ? slot_of(x->slots, x->n_slots, id) : NULL;

    return s && s->id ? s : NULL;
}

/* Moves all to a table of that size; those idle since before `since_s` are forgotten. */
static int rebuild(struct otlp_deltas *x, size_t n_slots, int64_t since_s) {
    struct sum *slots = memory_alloc(n_slots * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    memset(slots, 0, n_slots * sizeof(*slots));
    for (size_t i = 0; i < x->n_slots; i++) {
        struct sum *s = &x->slots[i];
        if (s->id && s->used_s >= since_s) {
            *slot_of(slots, n_slots, s->id) = *s;
        } else if (s->id) {
            x->stats.histogram_bytes -= s->histogram_bytes;
            x->stats.evicted++;
            x->n--;
            free(s->histogram);
        }
    }
    free(x->slots);
    x->slots = slots;
    x->n_slots = n_slots;
    return 0;
}

static int make_room(struct otlp_deltas *x, int64_t now_s) {
    if (x->n >= OTLP_DELTA_SERIES_MAX) {
        int r = rebuild(x, x->n_slots, now_s - OTLP_DELTA_IDLE_S);
        return r < 0 ? r : x->n >= OTLP_DELTA_SERIES_MAX ? -ENOSPC : 0;
    }
    if (x->n_slots && x->n < x->n_slots / 2)
        return 0;
    return rebuild(x, x->n_slots ? 2 * x->n_slots : SLOTS_MIN, INT64_MIN);
}

/* ---- Histograms ---- */

static void copy_buckets(struct histogram_buckets *b, uint8_t **at, int32_t **index) {
    double *count = (double *) *at;

    memcpy(count, b->count, b->n * sizeof(*count));
    memcpy(*index, b->index, b->n * sizeof(**index));
    b->count = count;
    b->index = *index;
    *at += b->n * sizeof(*count);
    *index += b->n;
}

/* Puts a copy in the place of the one that is kept. */
static int keep_histogram(struct otlp_deltas *x, struct sum *s, const struct histogram *h) {
    size_t n = h->positive.n + h->negative.n,
           bytes = sizeof(*h) + n * (sizeof(double) + sizeof(int32_t));

    if (x->stats.histogram_bytes - s->histogram_bytes + bytes > OTLP_DELTA_HISTOGRAM_BYTES_MAX)
        return -ENOSPC;
    struct histogram *copy = memory_alloc(bytes);
    if (!copy)
        return -ENOMEM;
    *copy = *h;
    uint8_t *at = (uint8_t *) (copy + 1);
    int32_t *index = (int32_t *) (void *) (at + n * sizeof(double));
    copy_buckets(&copy->positive, &at, &index);
    copy_buckets(&copy->negative, &at, &index);
    copy->custom = NULL;
    copy->n_custom = 0;
    x->stats.histogram_bytes += bytes - s->histogram_bytes;
    free(s->histogram);
    s->histogram = copy;
    s->histogram_bytes = bytes;
    return 0;
}

/* A copy that stays valid without the lock. */
static int give_histogram(const struct sum *s, struct arena *a, const struct histogram **ret) {
    struct histogram *copy = arena_new(a, struct histogram),
                     nothing = {.schema = s->histogram->schema};

    *ret = copy;
    return copy ? otlp_histogram_add(a, s->histogram, &nothing, copy) : -E2BIG;
}

static int add_histogram(struct otlp_deltas *x, struct sum *s, struct otlp_delta *p,
                         struct arena *a) {
    struct histogram *sum = arena_new(a, struct histogram);
    int r = 0;

    if (!sum)
        return -E2BIG;
    if (s->histogram)
        r = otlp_histogram_add(a, s->histogram, p->histogram, sum);
    else
        *sum = *p->histogram;
    if (r == 0)
        r = keep_histogram(x, s, sum);
    p->histogram = sum;
    return r;
}

/* ---- Adding ---- */

bool otlp_delta_known(struct otlp_deltas *x, uint64_t id) {
    pthread_mutex_lock(&x->lock);
    bool known = find(x, id) != NULL;
    pthread_mutex_unlock(&x->lock);
    return known;
}

static bool is_stale(double v) {
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits == STALE_BITS;
}

static int begin(struct otlp_deltas *x, uint64_t id, const struct ingest_last *last) {
    int64_t now_s = clock_now_ns() / NS_PER_S;

    if (find(x, id))
        return 0; /* another request was quicker */
    int r = make_room(x, now_s);
    if (r < 0)
        return r;
    struct sum *s = slot_of(x->slots, x->n_slots, id);
    *s = (struct sum){.id = id, .used_s = now_s};
    x->n++;
    if (last->time_ms == 0 || is_stale(last->histogram ? last->histogram->sum : last->value))
        return 0;
    s->last_ns = last->time_ms * NS_PER_MS;
    s->start_ns = last->start_ms * NS_PER_MS;
    s->stored = true;
    s->value = last->value;
    return last->histogram ? keep_histogram(x, s, last->histogram) : 0;
}

int otlp_delta_begin(struct otlp_deltas *x, uint64_t id, const struct ingest_last *last) {
    pthread_mutex_lock(&x->lock);
    int r = begin(x, id, last);
    pthread_mutex_unlock(&x->lock);
    return r;
}

/* The same point again: the sum as it is. */
static int repeat(struct otlp_deltas *x, const struct sum *s, struct otlp_delta *p,
                  struct arena *a) {
    x->stats.repeated++;
    p->start_ns = s->start_ns;
    p->value = s->value;
    int r = p->histogram ? give_histogram(s, a, &p->histogram) : 0;
    return r < 0 ? r : 1;
}

static int add(struct otlp_deltas *x, struct otlp_delta *p, struct arena *a) {
    struct sum *s = find(x, p->id);

    if (!s)
        return -ENOENT;
    int64_t time_ns = s->stored ? p->time_ns / NS_PER_MS * NS_PER_MS : p->time_ns;
    if (s->last_ns && time_ns == s->last_ns && !p->histogram == !s->histogram)
        return repeat(x, s, p, a);
    if (s->last_ns && time_ns < s->last_ns) {
        x->stats.out_of_order++;
        return -ESTALE;
    }
    if (p->histogram) {
        int r = add_histogram(x, s, p, a);
        if (r < 0)
            return r;
    }
    if (s->start_ns == 0)
        s->start_ns = p->start_ns;
    s->value += p->value;
    s->last_ns = p->time_ns;
    s->stored = false;
    s->used_s = clock_now_ns() / NS_PER_S;
    p->start_ns = s->start_ns;
    p->value = s->value;
    x->stats.added++;
    return 0;
}

int otlp_delta_add(struct otlp_deltas *x, struct otlp_delta *p, struct arena *a) {
    pthread_mutex_lock(&x->lock);
    int r = add(x, p, a);
    pthread_mutex_unlock(&x->lock);
    return r;
}

void otlp_deltas_read_stats(struct otlp_deltas *x, struct otlp_deltas_stats *ret) {
    pthread_mutex_lock(&x->lock);
    *ret = x->stats;
    ret->series = x->n;
    pthread_mutex_unlock(&x->lock);
}

struct ingest *otlp_deltas_ingest(struct otlp_deltas *x) {
    return x->ingest;
}

int64_t otlp_deltas_lookback_s(struct otlp_deltas *x) {
    return x->lookback_s;
}
