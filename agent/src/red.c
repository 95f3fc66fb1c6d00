/* See red.h. One lock, held for moments: while a row is counted, and while the table is exchanged
 * for an empty one. */
#include "red.h"

#include <math.h>
#include <pthread.h>

#include "encode.h"
#include "exporter.h"

#define SLOTS 4096
#define GAMMA 1.02 /* the server's sketch: durations are at most 1 % off */
#define BUCKETS_MAX 512
#define OPERATION_MAX 255
#define ENCODED_MAX (256u << 10) /* rows of one Metric */

struct bucket {
    uint32_t count;
    uint16_t index;
};

struct row {
    struct row *next; /* of the slot */
    uint64_t hash, window_ns, count;
    double sum_ns;
    uint8_t kind, status, entry;
    uint8_t operation_n;
    uint16_t buckets_n, buckets_size;
    struct bucket *buckets; /* ascending */
    char operation[OPERATION_MAX + 1];
};

struct table {
    struct row *slots[SLOTS];
    unsigned n;
    uint64_t first_ns; /* monotonic, of the first row */
};

bool red_enabled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct table *table;

static uint64_t hash_of(const char *p, size_t n, uint64_t h) {
    h ^= 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t) p[i]) * 0x100000001b3u; /* FNV-1a */
    return h ^ h >> 32;
}

/* The server's bucket, ceil(log(ns) / log(gamma)). */
static unsigned bucket_index(uint64_t ns) {
    static double step;

    if (step == 0)
        step = log(GAMMA);
    return ns <= 1 ? 0 : (unsigned) ceil(log((double) ns) / step);
}

static void add_duration(struct row *r, uint64_t ns) {
    unsigned index = bucket_index(ns), low = 0, high = r->buckets_n;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (r->buckets[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < r->buckets_n && r->buckets[low].index == index) {
        r->buckets[low].count++;
        return;
    }
    if (r->buckets_n == r->buckets_size && r->buckets_size < BUCKETS_MAX) {
        uint16_t size = (uint16_t) (r->buckets_size ? r->buckets_size * 2 : 8);
        struct bucket *more = realloc(r->buckets, size * sizeof(*more));
        if (more) {
            r->buckets = more;
            r->buckets_size = size;
        }
    }
    if (r->buckets_n == r->buckets_size) { /* no room: the nearest one will do */
        if (r->buckets_n)
            r->buckets[low < r->buckets_n ? low : low - 1u].count++;
        return;
    }
    memmove(r->buckets + low + 1, r->buckets + low, (r->buckets_n - low) * sizeof(*r->buckets));
    r->buckets[low] = (struct bucket){.count = 1, .index = (uint16_t) index};
    r->buckets_n++;
}

static struct row *find(struct table *t, const struct row *key, bool add) {
    struct row **slot = &t->slots[key->hash % SLOTS], *r;

    for (r = *slot; r; r = r->next)
        if (r->hash == key->hash && r->window_ns == key->window_ns && r->kind == key->kind &&
            r->status == key->status && r->entry == key->entry &&
            r->operation_n == key->operation_n &&
            memcmp(r->operation, key->operation, key->operation_n) == 0)
            return r;
    r = add ? malloc(sizeof(*r)) : NULL;
    if (!r)
        return NULL;
    *r = *key;
    r->next = *slot;
    *slot = r;
    t->n++;
    return r;
}

void red_count(const char *operation, size_t n, unsigned kind, unsigned status, bool entry,
               uint64_t start_ns, uint64_t duration_ns) {
    struct row key, *r;
    bool first = false;

    memset(&key, 0, offsetof(struct row, operation));
    key.window_ns = start_ns - start_ns % RED_WINDOW_NS;
    key.kind = (uint8_t) kind;
    key.status = (uint8_t) status;
    key.entry = entry;
    key.operation_n = (uint8_t) (n < OPERATION_MAX ? n : OPERATION_MAX);
    memcpy(key.operation, operation, key.operation_n);
    key.hash = hash_of(operation, key.operation_n, key.window_ns + kind * 8 + status * 2 + entry);
    pthread_mutex_lock(&lock);
    if (!table)
        table = calloc(1, sizeof(*table));
    if (table) {
        first = table->n == 0;
        r = find(table, &key, table->n < RED_ROWS_MAX);
        if (!r) {
            key.operation_n = 7;
            memcpy(key.operation, "(other)", 7);
            key.hash = hash_of(key.operation, 7, key.window_ns + kind * 8 + status * 2 + entry);
            r = find(table, &key, table->n < RED_ROWS_MAX + 100);
        }
        if (r) {
            r->count++;
            r->sum_ns += (double) duration_ns;
            add_duration(r, duration_ns);
        }
        if (first)
            table->first_ns = clock_monotonic_ns();
    }
    pthread_mutex_unlock(&lock);
    if (first)
        exporter_ensure();
}

uint64_t red_due_ns(void) {
    uint64_t due;

    if (!red_enabled)
        return UINT64_MAX;
    pthread_mutex_lock(&lock);
    due = table && table->n ? table->first_ns + RED_PERIOD_NS : UINT64_MAX;
    pthread_mutex_unlock(&lock);
    return due;
}

static void put_row(struct buf *b, const struct row *r) {
    uint32_t mark = pb_open(b, 0x0a), list;
    uint64_t bits, zero = 0;

    if (mark == UINT32_MAX)
        return;
    PUT_STRING(b, 0x4a, "operation", r->operation, r->operation_n);
    PUT_INT(b, 0x4a, "kind", r->kind);
    PUT_INT(b, 0x4a, "status", r->status);
    PUT_INT(b, 0x4a, "entry", r->entry);
    pb_put_fixed64(b, 0x11, r->window_ns);
    pb_put_fixed64(b, 0x19, r->window_ns + RED_WINDOW_NS - 1);
    pb_put_fixed64(b, 0x21, r->count);
    memcpy(&bits, &r->sum_ns, 8);
    pb_put_fixed64(b, 0x29, bits);
    list = pb_open(b, 0x32);
    for (unsigned i = 0; list != UINT32_MAX && i < r->buckets_n; i++) {
        uint64_t count = r->buckets[i].count;
        buf_append(b, &count, 8);
    }
    if (list != UINT32_MAX) {
        buf_append(b, &zero, 8); /* none above the last bound */
        pb_close(b, list);
    }
    list = pb_open(b, 0x3a);
    for (unsigned i = 0; list != UINT32_MAX && i < r->buckets_n; i++) {
        /* Inside of the bucket, clear of its edges. */
        double ns = r->buckets[i].index ? pow(GAMMA, r->buckets[i].index - 0.5) : 1;
        buf_append(b, &ns, 8);
    }
    if (list != UINT32_MAX)
        pb_close(b, list);
    pb_close(b, mark);
}

struct output {
    void (*take)(void *, uint16_t, uint32_t, const char *, size_t);
    void *userdata;
    struct buf points;
    uint32_t n;
};

static void flush(struct output *o) {
    struct buf whole;
    uint32_t metric, data;

    if (!o->n)
        return;
    buf_init(&whole, NULL, 0, UINT32_MAX / 4);
    metric = pb_open(&whole, 0x12); /* ScopeMetrics.metrics */
    pb_put_bytes(&whole, 0x0a, "varan.red", 9);
    pb_put_bytes(&whole, 0x1a, "ns", 2);
    data = pb_open(&whole, 0x4a);
    if (metric != UINT32_MAX && data != UINT32_MAX &&
        buf_append(&whole, o->points.data, o->points.used) == 0 &&
        pb_put_varint(&whole, 0x10, 1) == 0) { /* delta */
        pb_close(&whole, data);
        pb_close(&whole, metric);
        o->take(o->userdata, 0, o->n, whole.data, whole.used);
    }
    buf_done(&whole);
    o->points.used = 0;
    o->n = 0;
}

void red_collect(void (*take)(void *, uint16_t, uint32_t, const char *, size_t), void *userdata) {
    struct output o = {.take = take, .userdata = userdata};
    struct table *t;

    pthread_mutex_lock(&lock);
    t = table;
    table = NULL;
    pthread_mutex_unlock(&lock);
    if (!t)
        return;
    buf_init(&o.points, NULL, 0, ENCODED_MAX * 2);
    for (unsigned i = 0; t->n && i < SLOTS; i++)
        for (struct row *r = t->slots[i], *next; r; r = next) {
            next = r->next;
            put_row(&o.points, r);
            o.n++;
            free(r->buckets);
            free(r);
            if (o.points.used > ENCODED_MAX)
                flush(&o);
        }
    flush(&o);
    buf_done(&o.points);
    free(t);
}

void red_fork_prepare(void) {
    pthread_mutex_lock(&lock);
}

void red_fork_parent(void) {
    pthread_mutex_unlock(&lock);
}

void red_fork_child(void) {
    pthread_mutex_init(&lock, NULL);
    table = NULL; /* left to the parent's pages */
}
