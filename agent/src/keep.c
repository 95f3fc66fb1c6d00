/* See keep.h. */
#include "keep.h"

#include <math.h>

#include "ring.h"

#define SLOTS 1024
#define DECISIONS 4096 /* of the latest traces, for spans that end after their root */
#define CLASSES 256    /* of durations: four to each power of two */
#define SLOW_SHARE 0.01
#define SLOW_AFTER 100  /* requests, before "usual" means something */
#define FADE_AFTER 4096 /* requests; then older ones count half */
#define RARE_PER_MINUTE 5

struct waiting {
    uint32_t length;
    uint16_t scope;
};

struct trace {
    struct trace *next;
    uint8_t id[16];
    unsigned roots; /* of this process that are open */
    bool error;
    struct buf records;
    uint32_t n;
};

struct operation {
    uint64_t hash; /* 0: free */
    uint32_t counts[CLASSES], total;
    uint64_t minute_ns; /* when the present minute began */
    uint32_t in_minute;
};

struct decision {
    uint8_t id[16];
    bool kept;
};

bool keep_enabled;
static uint64_t share_threshold;
static struct trace *slots[SLOTS];
static unsigned open_n;
static size_t bytes_held;
static struct operation *operations; /* KEEP_OPERATIONS_MAX, by hash; made when needed */
static struct decision decisions[DECISIONS];

void keep_set(bool enabled, double share) {
    keep_enabled = enabled;
    share_threshold = share >= 1 ? UINT64_MAX : share <= 0 ? 0 : (uint64_t) ldexp(share, 64);
}

static uint64_t low_half(const uint8_t *id) {
    uint64_t v;
    memcpy(&v, id + 8, 8);
    return v;
}

static struct trace **find(const uint8_t *id) {
    struct trace **p = &slots[low_half(id) % SLOTS];

    while (*p && memcmp((*p)->id, id, 16) != 0)
        p = &(*p)->next;
    return p;
}

void keep_begin(const Span *s) {
    struct trace **p = find(s->id.trace_id), *t = *p;

    if (!t) {
        t = open_n < KEEP_OPEN_MAX ? calloc(1, sizeof(*t)) : NULL;
        if (!t)
            return;
        memcpy(t->id, s->id.trace_id, 16);
        buf_init(&t->records, NULL, 0, KEEP_TRACE_BYTES_MAX);
        *p = t;
        open_n++;
    }
    t->roots++;
}

bool keep_offer(const Span *s, const char *record, size_t n) {
    struct trace *t = *find(s->id.trace_id);
    struct waiting w = {.length = (uint32_t) n, .scope = s->scope};
    const struct decision *d = &decisions[low_half(s->id.trace_id) % DECISIONS];
    uint32_t before;

    if (!t) {
        if (memcmp(d->id, s->id.trace_id, 16) != 0 || d->kept)
            return true; /* nobody decides about it any more */
        count(SPANS_NOT_KEPT, 1);
        return false;
    }
    t->error |= s->status == STATUS_ERROR;
    before = t->records.used;
    if (bytes_held + n + sizeof(w) > KEEP_BYTES_MAX || buf_append(&t->records, &w, sizeof(w)) < 0 ||
        buf_append(&t->records, record, n) < 0) {
        t->records.used = before;
        count(SPANS_DROPPED_BUFFER_FULL, 1);
        return false;
    }
    bytes_held += t->records.used - before;
    t->n++;
    return false;
}

static unsigned class_of(uint64_t ns) {
    unsigned high = ns ? 63 - (unsigned) __builtin_clzll(ns) : 0;

    return high < 2 ? 0 : high * 4 + (unsigned) (ns >> (high - 2) & 3);
}

/* The class above which only SLOW_SHARE of the requests lie. */
static unsigned slow_class(const struct operation *o) {
    uint32_t above = 0, limit = (uint32_t) (SLOW_SHARE * o->total);

    for (unsigned i = CLASSES; i-- > 0;) {
        above += o->counts[i];
        if (above > limit)
            return i;
    }
    return 0;
}

static void learn(struct operation *o, unsigned class) {
    o->counts[class]++;
    if (++o->total < FADE_AFTER)
        return;
    o->total = 0;
    for (unsigned i = 0; i < CLASSES; i++)
        o->total += o->counts[i] /= 2;
}

static struct operation *operation_of(PyObject *name) {
    uint64_t hash = (uint64_t) PyObject_Hash(name) | 1;

    PyErr_Clear();
    if (!operations)
        operations = calloc(KEEP_OPERATIONS_MAX, sizeof(*operations));
    for (unsigned i = 0; operations && i < 8; i++) {
        struct operation *o = &operations[(hash + i) % KEEP_OPERATIONS_MAX];
        if (!o->hash)
            o->hash = hash;
        if (o->hash == hash)
            return o;
    }
    return NULL; /* too many to tell what is usual */
}

static const char *judge(const Span *s, bool error) {
    struct operation *o = operation_of(s->name);
    uint64_t low = __builtin_bswap64(low_half(s->id.trace_id));
    unsigned class = class_of(s->end_ns - s->start_ns);
    bool slow = false, rare = false;

    if (o) {
        slow = o->total >= SLOW_AFTER && class > slow_class(o);
        learn(o, class);
        if (s->end_ns - o->minute_ns > 60 * 1000000000ull) {
            o->minute_ns = s->end_ns;
            o->in_minute = 0;
        }
        rare = o->in_minute++ < RARE_PER_MINUTE;
    }
    if (error)
        return "error";
    if (slow)
        return "slow";
    if (rare)
        return "rare";
    return low < share_threshold ? "share" : NULL;
}

static void release(struct trace *t) {
    const char *p = t->records.data, *end = p + t->records.used;

    while (p < end) {
        struct waiting w;
        char *to;

        memcpy(&w, p, sizeof(w));
        p += sizeof(w);
        to = ring_reserve(SIGNAL_SPAN, w.scope, w.length);
        if (to) {
            memcpy(to, p, w.length);
            ring_commit();
        }
        p += w.length;
    }
}

const char *keep_decide(const Span *s) {
    struct trace **p = find(s->id.trace_id), *t = *p;
    struct decision *d;
    const char *why;

    if (!t)
        return "share"; /* too many at a time: as if there were no choice */
    t->error |= s->status == STATUS_ERROR;
    why = judge(s, t->error);
    if (!why && t->roots > 1) { /* another part of the trace is at work here: it decides */
        t->roots--;
        return "";
    }
    d = &decisions[low_half(s->id.trace_id) % DECISIONS];
    memcpy(d->id, s->id.trace_id, 16);
    d->kept = why != NULL;
    if (why)
        release(t);
    else
        count(SPANS_NOT_KEPT, t->n);
    bytes_held -= t->records.used;
    t->records.used = 0;
    t->n = 0;
    if (--t->roots == 0) {
        *p = t->next;
        buf_done(&t->records);
        free(t);
        open_n--;
    }
    return why;
}

void keep_fork_reset(void) {
    memset(slots, 0, sizeof(slots)); /* what they held is left to the parent's pages */
    open_n = 0;
    bytes_held = 0;
}
