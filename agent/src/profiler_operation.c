/* See profiler_operation.h. Traces lie in sets of WAYS places, each a sequence lock: a reader that
 * meets a writer looks again, and gives up after a few times, since the writer may have been put to
 * sleep in between. */
#include "profiler_operation.h"

#include <stdatomic.h>
#include <string.h>

#include "text.h"

#define READS_MAX 4u
#define SETS 512u /* of WAYS traces each */
#define WAYS 8u
#define NAME_PLACES                                                                                \
    (2 * PROFILER_OPERATIONS_MAX) /* of the hash table over names; a power of two                  \
                                   */

struct name {
    uint64_t hash;
    uint32_t size;
    char text[PROFILER_OPERATION_BYTES];
};

struct trace {
    _Atomic uint32_t sequence; /* odd while it is written */
    uint16_t operation;        /* 0: the place is free */
    bool final;
    uint32_t age; /* the greater, the newer */
    uint64_t id[2];
};

static struct name names[PROFILER_OPERATIONS_MAX]; /* from 1 on; they stay */
static _Atomic uint32_t names_n;
static uint16_t name_places[NAME_PLACES];
static struct trace traces[SETS][WAYS];
static uint32_t next_age;

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* A request asks several times: eight bytes at once, the last ones with some of those before them.
 */
static uint64_t hash_name(const char *name, size_t n) {
    uint64_t hash = n, word = 0;

    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            word = word << 8 | (uint8_t) name[i];
        return mix(hash, word);
    }
    for (size_t i = 0; i + 8 <= n; i += 8) {
        memcpy(&word, name + i, 8);
        hash = mix(hash, word);
    }
    memcpy(&word, name + n - 8, 8);
    return mix(hash, word);
}

/* 0 when there are too many. */
static uint16_t number_of(const char *name, size_t n) {
    uint64_t hash = hash_name(name, n);
    uint32_t used = atomic_load_explicit(&names_n, memory_order_relaxed);
    size_t at = hash % NAME_PLACES;

    for (; name_places[at]; at = (at + 1) % NAME_PLACES) {
        const struct name *known = &names[name_places[at]];
        if (known->hash == hash && known->size == n && memcmp(known->text, name, n) == 0)
            return name_places[at];
    }
    if (used + 1 >= PROFILER_OPERATIONS_MAX)
        return 0;
    struct name *new = &names[used + 1];
    new->hash = hash;
    new->size = (uint32_t) n;
    memcpy(new->text, name, n);
    atomic_store_explicit(&names_n, used + 1, memory_order_release);
    return name_places[at] = (uint16_t) (used + 1);
}

/* The place of the trace, or the one that it can best have: a free one, else the oldest of those
 * that have ended, else the oldest. */
static struct trace *place_for(const uint64_t id[2]) {
    struct trace *set = traces[id[1] % SETS], *best = set;

    for (struct trace *t = set; t < set + WAYS; t++) {
        if (t->operation == 0 || (t->id[0] == id[0] && t->id[1] == id[1]))
            return t;
        if (t->final != best->final ? t->final : (int32_t) (t->age - best->age) < 0)
            best = t;
    }
    return best;
}

void profiler_operation_set(const uint8_t *trace_id, const char *name, size_t n, bool final) {
    uint16_t operation = number_of(name, text_cut(name, n, PROFILER_OPERATION_BYTES));
    uint64_t id[2];

    if (operation == 0)
        return;
    memcpy(id, trace_id, 16);
    struct trace *t = place_for(id);
    uint32_t before = atomic_load_explicit(&t->sequence, memory_order_relaxed);
    atomic_store_explicit(&t->sequence, before + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    t->operation = operation;
    t->final = final;
    t->age = next_age++;
    memcpy(t->id, id, 16);
    atomic_store_explicit(&t->sequence, before + 2, memory_order_release);
}

/* 1: this is the place, and was read whole; 0: it is of another trace; -1: somebody writes it. */
static int read_place(const struct trace *t, const uint64_t id[2], uint32_t *ret, bool *ret_final) {
    uint32_t before = atomic_load_explicit(&t->sequence, memory_order_acquire);

    if (before & 1)
        return -1;
    if (t->id[0] != id[0] || t->id[1] != id[1])
        return 0;
    *ret = t->operation;
    *ret_final = t->final;
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&t->sequence, memory_order_relaxed) == before ? 1 : -1;
}

uint32_t profiler_operation_of(const uint64_t trace_id[2], bool *ret_final) {
    const struct trace *set = traces[trace_id[1] % SETS];
    uint32_t operation;
    bool written = true;

    for (unsigned i = 0; i < READS_MAX && written; i++) {
        written = false;
        for (unsigned way = 0; way < WAYS; way++) {
            int r = read_place(&set[way], trace_id, &operation, ret_final);
            if (r > 0)
                return operation;
            written |= r < 0;
        }
    }
    *ret_final = false;
    return 0;
}

const char *profiler_operation_name(uint32_t operation, size_t *ret_size) {
    bool known = operation && operation <= atomic_load_explicit(&names_n, memory_order_acquire);

    *ret_size = known ? names[operation].size : 0;
    return known ? names[operation].text : "";
}

void profiler_operations_fork_child(void) {
    memset(traces, 0, sizeof(traces)); /* one may have been half written; names are whole */
}
