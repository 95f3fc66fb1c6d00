/* See profiler_slot.h. Slots are sequence locks: a reader that meets a writer looks again, and
 * gives up after a few times, since a writer may have been put to sleep in between. */
#include "profiler_slot.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime.h"

#define READS_MAX 4
#define WAYS 4u /* places where a trace's operation may stand */

struct operation {
    _Atomic uint32_t sequence;
    uint32_t length;
    uint64_t trace_id[2];
    char name[PROFILER_OPERATION_BYTES];
};

_Atomic bool profiler_wants_spans;

static struct profiler_slot slots[PROFILER_SLOTS];
static struct operation operations[PROFILER_OPERATIONS];
static unsigned next_way;

struct profiler_slot *profiler_slot_take(void) {
    struct thread_state *t = thread_state();
    uint32_t id;

    if (t->slot || t->slot_refused)
        return t->slot;
    id = (uint32_t) syscall(SYS_gettid);
    for (unsigned i = 0; i < PROFILER_SLOTS && !t->slot; i++) {
        struct profiler_slot *s = &slots[(id + i) % PROFILER_SLOTS];
        uint32_t owner = 0;
        if (atomic_compare_exchange_strong(&s->native_id, &owner, id))
            t->slot = s;
    }
    t->slot_refused = !t->slot;
    return t->slot;
}

static struct profiler_slot *find(uint32_t native_id) {
    for (unsigned i = 0; i < PROFILER_SLOTS; i++) {
        struct profiler_slot *s = &slots[(native_id + i) % PROFILER_SLOTS];
        uint32_t owner = atomic_load_explicit(&s->native_id, memory_order_acquire);
        if (owner == native_id)
            return s;
        if (owner == 0 && i > PROFILER_SLOTS / 8)
            return NULL; /* slots that were freed leave gaps, but not such long ones */
    }
    return NULL;
}

bool profiler_slot_read(uint32_t native_id, uint64_t ret_trace_id[2], uint64_t *ret_span_id) {
    struct profiler_slot *s = find(native_id);

    for (int i = 0; s && i < READS_MAX; i++) {
        uint32_t before = atomic_load_explicit(&s->sequence, memory_order_acquire);
        if (before & 1)
            continue;
        ret_trace_id[0] = s->trace_id[0];
        ret_trace_id[1] = s->trace_id[1];
        *ret_span_id = s->span_id;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&s->sequence, memory_order_relaxed) == before)
            return *ret_span_id != 0;
    }
    return false;
}

void profiler_slots_sweep(void) {
    pid_t pid = getpid();

    for (unsigned i = 0; i < PROFILER_SLOTS; i++) {
        uint32_t id = atomic_load(&slots[i].native_id);
        if (id && syscall(SYS_tgkill, pid, (pid_t) id, 0) < 0 && errno == ESRCH) {
            profiler_slot_write(&slots[i], NULL, NULL);
            atomic_store(&slots[i].native_id, 0);
        }
    }
}

void profiler_slots_fork_child(void) {
    memset(slots, 0, sizeof(slots));
    memset(operations, 0, sizeof(operations));
}

/* ---- Operations ---- */

static struct operation *place(const uint64_t trace_id[2], unsigned way) {
    return &operations[(trace_id[1] + way) % PROFILER_OPERATIONS];
}

void profiler_operation_set(const uint8_t *trace_id, const char *name, size_t n) {
    struct operation *to = NULL;
    uint64_t id[2];
    uint32_t before;

    memcpy(id, trace_id, 16);
    for (unsigned way = 0; way < WAYS && !to; way++)
        if (memcmp(place(id, way)->trace_id, id, 16) == 0)
            to = place(id, way);
    if (!to)
        to = place(id, next_way++ % WAYS);
    if (n >= PROFILER_OPERATION_BYTES)
        for (n = PROFILER_OPERATION_BYTES - 1; n && ((uint8_t) name[n] & 0xc0) == 0x80; n--)
            ; /* not within a character */
    before = atomic_load_explicit(&to->sequence, memory_order_relaxed);
    atomic_store_explicit(&to->sequence, before + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    memcpy(to->trace_id, id, 16);
    memcpy(to->name, name, n);
    to->length = (uint32_t) n;
    atomic_store_explicit(&to->sequence, before + 2, memory_order_release);
}

size_t profiler_operation_get(const uint64_t trace_id[2], char ret[PROFILER_OPERATION_BYTES]) {
    for (unsigned i = 0; i < WAYS * READS_MAX; i++) {
        const struct operation *o = place(trace_id, i % WAYS);
        uint32_t before = atomic_load_explicit(&o->sequence, memory_order_acquire);
        if (before & 1 || memcmp(o->trace_id, trace_id, 16) != 0)
            continue;
        uint32_t n = o->length;
        if (n >= PROFILER_OPERATION_BYTES)
            continue;
        memcpy(ret, o->name, n);
        ret[n] = 0;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&o->sequence, memory_order_relaxed) == before)
            return n;
    }
    return 0;
}
