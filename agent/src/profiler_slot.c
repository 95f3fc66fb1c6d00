/* See profiler_slot.h. Slots are sequence locks: a reader that meets a writer looks again, and
 * gives up after a few times, since a writer may have been put to sleep in between. */
#include "profiler_slot.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiler_operation.h"
#include "runtime.h"

#define READS_MAX 4
/* A thread's clock costs a system call: within so short a time all that passed counts as used. The
 * next reading puts right what was not. */
#define READ_AGAIN_NS 100000u

_Atomic bool profiler_wants_spans;

static struct profiler_slot slots[PROFILER_SLOTS];
static _Atomic uint32_t owners[PROFILER_SLOTS]; /* native ids; 0: free */
static _Atomic uint32_t slots_n;                /* those behind it have never been used */
static pthread_key_t end_of_thread;
static bool end_of_thread_made;

/* ---- The owner's side ---- */

/* The thread ends. */
static void give_back(void *slot) {
    struct profiler_slot *s = slot;
    uint32_t id = (uint32_t) syscall(SYS_gettid);

    if (atomic_load(&owners[s - slots]) != id)
        return; /* of the process that this one was forked from */
    profiler_slot_write(s, NULL, NULL);
    atomic_store(&owners[s - slots], 0);
    thread_state_self.slot = NULL;
    thread_state_self.slot_refused = true;
}

static struct profiler_slot *find_place(uint32_t id) {
    uint32_t used = atomic_load(&slots_n);

    for (uint32_t i = 0; i < used; i++)
        if (atomic_load_explicit(&owners[i], memory_order_relaxed) == id)
            return &slots[i]; /* of a thread of that id which ended unseen */
    for (uint32_t i = 0; i < PROFILER_SLOTS; i++) {
        uint32_t free_place = 0;
        if (atomic_load_explicit(&owners[i], memory_order_relaxed) ||
            !atomic_compare_exchange_strong(&owners[i], &free_place, id))
            continue;
        if (i >= atomic_load(&slots_n))
            atomic_store(&slots_n, i + 1);
        return &slots[i];
    }
    return NULL;
}

struct profiler_slot *profiler_slot_take(void) {
    struct thread_state *t = thread_state();

    if (t->slot || t->slot_refused)
        return t->slot;
    if (!end_of_thread_made)
        end_of_thread_made = pthread_key_create(&end_of_thread, give_back) == 0;
    uint32_t id = (uint32_t) syscall(SYS_gettid);
    t->slot = find_place(id);
    t->slot_refused = !t->slot;
    if (t->slot) {
        t->slot->native_id = id;
        t->slot->read_at_ns = 0;
        if (end_of_thread_made)
            pthread_setspecific(end_of_thread, t->slot);
    }
    return t->slot;
}

static uint64_t own_cpu_ns(struct profiler_slot *s) {
    uint64_t now = clock_monotonic_ns();

    if (s->read_at_ns && now - s->read_at_ns < READ_AGAIN_NS)
        return s->read_cpu_ns + (now - s->read_at_ns);
    s->read_at_ns = now;
    return s->read_cpu_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* The visit of the present trace is over. */
static void end_visit(struct profiler_slot *s, uint64_t cpu_ns) {
    uint32_t at = atomic_load_explicit(&s->written, memory_order_relaxed);
    uint64_t used = cpu_ns > s->cpu_begin_ns ? cpu_ns - s->cpu_begin_ns : 0;

    if (at - atomic_load_explicit(&s->read, memory_order_acquire) >= PROFILER_VISITS) {
        atomic_fetch_add_explicit(&s->lost_ns, used, memory_order_relaxed);
        return;
    }
    s->visits[at % PROFILER_VISITS] = (struct profiler_visit){
            {s->trace_id[0], s->trace_id[1]},
            used,
            s->native_id,
    };
    atomic_store_explicit(&s->written, at + 1, memory_order_release);
}

void profiler_slot_write(struct profiler_slot *s, const uint8_t *trace_id, const uint8_t *span_id) {
    uint64_t trace[2] = {0, 0}, span = 0, cpu_ns = 0;

    if (trace_id) {
        memcpy(trace, trace_id, 16);
        memcpy(&span, span_id, 8);
    }
    if (trace[0] == s->trace_id[0] && trace[1] == s->trace_id[1] && span == s->span_id)
        return;
    bool another = trace[0] != s->trace_id[0] || trace[1] != s->trace_id[1];
    if (another)
        cpu_ns = own_cpu_ns(s);
    uint32_t before = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    atomic_store_explicit(&s->sequence, before + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    if (another && s->span_id)
        end_visit(s, cpu_ns);
    if (another)
        s->cpu_begin_ns = cpu_ns;
    s->trace_id[0] = trace[0];
    s->trace_id[1] = trace[1];
    s->span_id = span;
    atomic_store_explicit(&s->sequence, before + 2, memory_order_release);
}

/* ---- The profiler's side ---- */

unsigned profiler_slots_used(void) {
    return atomic_load(&slots_n);
}

struct profiler_slot *profiler_slot_at(unsigned place) {
    return &slots[place];
}

uint32_t profiler_slot_owner(unsigned place) {
    return atomic_load_explicit(&owners[place], memory_order_acquire);
}

bool profiler_slot_view(const struct profiler_slot *s, struct profiler_view *ret) {
    for (int i = 0; i < READS_MAX; i++) {
        ret->sequence = atomic_load_explicit(&s->sequence, memory_order_acquire);
        if (ret->sequence & 1)
            continue;
        ret->trace_id[0] = s->trace_id[0];
        ret->trace_id[1] = s->trace_id[1];
        ret->span_id = s->span_id;
        ret->cpu_begin_ns = s->cpu_begin_ns;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&s->sequence, memory_order_relaxed) == ret->sequence)
            return true;
    }
    return false;
}

bool profiler_slot_next_visit(struct profiler_slot *s, struct profiler_visit *ret) {
    uint32_t at = atomic_load_explicit(&s->read, memory_order_relaxed);

    if (at == atomic_load_explicit(&s->written, memory_order_acquire))
        return false;
    *ret = s->visits[at % PROFILER_VISITS];
    atomic_store_explicit(&s->read, at + 1, memory_order_release);
    return true;
}

/* Nobody owns the slot: what its thread was in is over. */
static void clear_slot(struct profiler_slot *s) {
    uint32_t before = atomic_load_explicit(&s->sequence, memory_order_relaxed);

    atomic_store_explicit(&s->sequence, before + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    s->trace_id[0] = s->trace_id[1] = s->span_id = 0;
    atomic_store_explicit(&s->sequence, before + 2, memory_order_release);
}

void profiler_slots_sweep(void) {
    pid_t pid = getpid();

    for (unsigned i = 0; i < profiler_slots_used(); i++) {
        uint32_t id = atomic_load(&owners[i]);
        if (id && syscall(SYS_tgkill, pid, (pid_t) id, 0) < 0 && errno == ESRCH) {
            clear_slot(&slots[i]);
            atomic_store(&owners[i], 0);
        }
    }
}

void profiler_slots_fork_child(void) {
    uint32_t used = atomic_load(&slots_n);

    memset(slots, 0, used * sizeof(*slots));
    memset(owners, 0, used * sizeof(*owners));
    atomic_store(&slots_n, 0);
    profiler_operations_fork_child();
}
