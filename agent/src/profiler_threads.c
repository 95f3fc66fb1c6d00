/* See profiler_threads.h.
 *
 * A stack and a span belong together when the thread's slot says the same before the stack was read
 * and after: the profiler may have been put to sleep in between. How much CPU time belongs to a
 * trace is the threads' own account: visits that ended, and of the one that lasts, what the
 * thread's clock says now. The rest of what the thread used is outside of all spans. */
#include "profiler_threads.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "profiler_slot.h"
#include "runtime.h"

#define KNOWN_MAX 4096u
#define NAME_BYTES 48u
/* A thread may be ready to run and wait for a processor: one whose clock stands still under the
 * look counts for less; not for nothing, since the look itself may have taken its processor. */
#define SEEN_ON_CPU 2u

/* Looks come late after that. */
#define STOOD_LONG_NS UINT64_C(100000000)

struct known {
    pid_t native_id;
    uint32_t label;      /* of the window; 0: ask again */
    uint64_t cpu_ns;     /* of the thread's clock, when it was read last */
    int64_t traced_ns;   /* since then, charged to traces already */
    uint64_t outside_ns; /* outside of all spans, not charged yet */
    uint64_t seen_at_ns; /* monotonic: the last look that counted */
    int64_t last_row;    /* where it was seen at work last in this window; -1: nowhere */
    unsigned last_factor;
    uint64_t version; /* of the stack that `node` is in this window; 0: none */
    int64_t node;
    int64_t row;        /* of the last look in this window that counted; -1: none */
    bool woke;          /* it stood for long, until the look that comes */
    bool waits_gil;     /* as of then */
    bool met, placed;   /* by this look; at work outside of all spans in this window */
    bool unseen;        /* known by its visits alone */
    bool cut_in;        /* what it did before the first look at it is not charged */
    unsigned slot;      /* PROFILER_SLOTS: none */
    uint64_t slot_mark; /* owners_mark, when it was looked for */
    char name[NAME_BYTES];
};

static struct known known[KNOWN_MAX];
static size_t known_n, known_next; /* next: looks meet threads in the same order mostly */
static struct profiler_view views[PROFILER_SLOTS];
static uint32_t view_owners[PROFILER_SLOTS];
static bool view_read[PROFILER_SLOTS];         /* false: its owner was writing all the time */
static uint64_t visit_charged[PROFILER_SLOTS]; /* of the visit that lasts */
static unsigned views_n;
static bool began;           /* there was a look before */
static uint64_t owners_mark; /* another one when slots have other owners */
static bool owners_changed;  /* since the views were read */

/* The CPU clock of a thread by its kernel id, as clock_getcpuclockid(3) makes it for a process. */
static bool thread_cpu_ns(pid_t id, uint64_t *ret) {
    *ret = clock_read_ns((clockid_t) (~(unsigned) id << 3 | 6));
    return *ret > 0;
}

static struct known *find(pid_t id) {
    for (size_t i = 0; i < known_n; i++) {
        size_t at = known_next + i < known_n ? known_next + i : known_next + i - known_n;
        if (known[at].native_id == id) {
            known_next = at + 1;
            return &known[at];
        }
    }
    return NULL;
}

static struct known *add(pid_t id) {
    if (known_n == KNOWN_MAX)
        return NULL;
    known[known_n] = (struct known){
            .native_id = id, .unseen = true, .slot = PROFILER_SLOTS, .last_row = -1, .row = -1};
    return &known[known_n++];
}

/* A thread that cannot have been there at the last look, for it has used no more CPU time than
 * passed since then, is charged from its beginning; of another (one of a library's that calls
 * Python for the first time, or at the profiler's start) nothing is known about what it did before.
 */
static void begin_thread(struct known *k, uint64_t now_ns, uint64_t passed_ns) {
    uint64_t cpu_ns = 0;

    k->unseen = false;
    k->seen_at_ns = now_ns - passed_ns;
    thread_cpu_ns(k->native_id, &cpu_ns);
    k->cut_in = !began || cpu_ns > passed_ns;
    if (k->cut_in) {
        k->cpu_ns = cpu_ns;
        k->traced_ns = 0;
    }
}

static struct known *find_or_begin(pid_t id, uint64_t now_ns, uint64_t passed_ns) {
    struct known *k = find(id);

    if (!k)
        k = add(id);
    if (k && k->unseen)
        begin_thread(k, now_ns, passed_ns);
    return k;
}

static uint32_t label_of(struct profiler_window *w, struct known *k) {
    if (!k->label)
        k->label = window_label(w, k->name);
    return k->label;
}

/* ---- Before the look ---- */

static struct known *visitor(uint32_t id) {
    struct known *k = find((pid_t) id);

    return k ? k : add((pid_t) id);
}

static void charge_visits(struct profiler_window *w, const struct profiler_visit *visits, size_t n,
                          uint64_t lost_ns) {
    struct known *k = n ? visitor(visits[0].native_id) : NULL;
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += visits[i].cpu_ns;
    for (size_t i = 0; i < n; i++) {
        uint64_t ns = visits[i].cpu_ns;
        if (k && (uint32_t) k->native_id != visits[i].native_id)
            k = visitor(visits[i].native_id);
        if (lost_ns) /* those that found no room were like those that did */
            ns += (uint64_t) ((double) lost_ns * (double) ns / (double) (sum + !sum));
        window_charge(w, visits[i].trace_id, k ? label_of(w, k) : 0, ns);
        if (k)
            k->traced_ns += (int64_t) ns;
    }
}

static void take_visits(struct profiler_window *w) {
    unsigned used = profiler_slots_used();

    for (unsigned at = 0; at < used; at++) {
        struct profiler_slot *s = profiler_slot_at(at);
        struct profiler_visit visits[PROFILER_VISITS];
        size_t n = 0;
        while (n < PROFILER_VISITS && profiler_slot_next_visit(s, &visits[n])) {
            uint64_t already = visit_charged[at];
            visits[n].cpu_ns -= already < visits[n].cpu_ns ? already : visits[n].cpu_ns;
            visit_charged[at] = 0;
            n++;
        }
        uint64_t lost_ns = atomic_exchange_explicit(&s->lost_ns, 0, memory_order_relaxed);
        if (w)
            charge_visits(w, visits, n, lost_ns);
    }
}

static uint64_t mark_owners(uint32_t owners[], unsigned n) {
    uint64_t mark = n;

    for (unsigned at = 0; at < n; at++) {
        uint32_t owner = profiler_slot_owner(at);
        mark = mark * 31 + owner;
        if (owners)
            owners[at] = owner;
    }
    return mark;
}

static void check_owners(void) {
    owners_changed = mark_owners(NULL, profiler_slots_used()) != owners_mark;
}

/* Views first: a visit that ends between is not taken for time outside of all spans, as its thread
 * is then no longer where the view says. */
void threads_look(struct profiler_window *w) {
    views_n = profiler_slots_used();
    owners_mark = mark_owners(view_owners, views_n);
    for (unsigned at = 0; at < views_n; at++)
        view_read[at] = view_owners[at] && profiler_slot_view(profiler_slot_at(at), &views[at]);
    take_visits(w);
    window_resolve(w);
}

/* ---- After it ---- */

/* The slot that the thread has had since before the look; none: PROFILER_SLOTS. */
static unsigned slot_of(struct known *k) {
    if (k->slot < views_n && view_owners[k->slot] == (uint32_t) k->native_id)
        return k->slot;
    if (k->slot == PROFILER_SLOTS && k->slot_mark == owners_mark)
        return k->slot;
    k->slot = PROFILER_SLOTS;
    k->slot_mark = owners_mark;
    for (unsigned at = 0; at < views_n && k->slot == PROFILER_SLOTS; at++)
        if (view_owners[at] == (uint32_t) k->native_id)
            k->slot = at;
    return k->slot;
}

static bool has_slot_now(pid_t id) {
    unsigned used = owners_changed ? profiler_slots_used() : 0, at = 0;

    while (at < used && profiler_slot_owner(at) != (uint32_t) id)
        at++;
    return at < used;
}

/* Whether the thread was in the span that was noted before the look, all the time; without a slot:
 * in none. One change within a trace does no harm: it is one of two spans of the same request. */
static bool still_there(const struct known *k, unsigned slot) {
    struct profiler_view now;

    if (slot == PROFILER_SLOTS)
        return !has_slot_now(k->native_id);
    const struct profiler_view *before = &views[slot];
    if (!view_read[slot] || !profiler_slot_view(profiler_slot_at(slot), &now))
        return false;
    return now.sequence == before->sequence ||
           (now.sequence - before->sequence == 2 && before->span_id &&
            now.trace_id[0] == before->trace_id[0] && now.trace_id[1] == before->trace_id[1]);
}

/* Charges what the thread has used until `cpu_ns`: what of it belongs to the present span. */
static uint64_t charge(struct profiler_window *w, struct known *k, unsigned slot, uint64_t cpu_ns) {
    uint64_t of_span = 0;

    if (slot < PROFILER_SLOTS && views[slot].span_id && cpu_ns > views[slot].cpu_begin_ns) {
        uint64_t visit = cpu_ns - views[slot].cpu_begin_ns;
        of_span = visit > visit_charged[slot] ? visit - visit_charged[slot] : 0;
        visit_charged[slot] += of_span;
        window_charge(w, views[slot].trace_id, label_of(w, k), of_span);
        k->traced_ns += (int64_t) of_span;
    }
    /* An error of one look is put right by the next ones. */
    int64_t outside = (int64_t) (k->outside_ns + cpu_ns - k->cpu_ns) - k->traced_ns;
    k->cpu_ns = cpu_ns;
    k->traced_ns = outside < 0 && !k->cut_in ? -outside : 0;
    k->cut_in = false;
    k->outside_ns = outside > 0 ? (uint64_t) outside : 0;
    return of_span;
}

/* The stack counts for half of the CPU time that the thread used since it was seen at work last,
 * and for half of what it uses until the next time (the trapezoidal rule): so looks that come late
 * on a busy machine, or at a thread that has no processor, count for what was done about them. */
static uint64_t see(struct profiler_window *w, const struct cpython_thread *t, struct known *k,
                    uint64_t cpu_ns, unsigned *ret_factor) {
    uint64_t used = cpu_ns > k->cpu_ns ? cpu_ns - k->cpu_ns : 0, half = used / 2, now = cpu_ns;

    bool on_cpu = t->cpu_ns ? t->on_cpu : thread_cpu_ns(k->native_id, &now) && now > cpu_ns;

    *ret_factor = on_cpu ? SEEN_ON_CPU : 1;
    if (k->woke) { /* what was before is over */
        k->woke = false;
        return used * *ret_factor;
    }
    window_see(w, k->last_row, half * k->last_factor);
    return half * *ret_factor;
}

static void add_costs(struct profiler_window *w, const struct cpython_thread *t, struct known *k,
                      unsigned slot, uint64_t costs[COSTS], uint64_t cpu_ns) {
    struct window_span span = {{0, 0}, 0};
    unsigned factor = 0;
    uint64_t seen = 0;

    if (slot < PROFILER_SLOTS && views[slot].span_id)
        span = (struct window_span){{views[slot].trace_id[0], views[slot].trace_id[1]},
                                    views[slot].span_id};
    if (cpu_ns) {
        seen = see(w, t, k, cpu_ns, &factor);
        costs[COST_CPU] = charge(w, k, slot, cpu_ns);
        k->placed |= seen && !span.span_id;
    }
    if (!seen && !costs[COST_CPU] && !costs[COST_WALL] && !costs[COST_GIL_WAIT])
        return;
    if (!t->version || k->version != t->version) {
        k->node = window_node(w, t);
        k->version = t->version;
    }
    k->row = window_add_at(w, k->node, label_of(w, k), &span, costs, seen);
    if (cpu_ns) {
        k->last_row = k->row;
        k->last_factor = factor;
    }
}

static void name_thread(struct known *k, const struct cpython_thread *t) {
    const char *name = t->python_name             ? t->python_name
                       : t->native_id == getpid() ? "MainThread"
                                                  : t->name;

    if (strncmp(k->name, name, NAME_BYTES - 1) == 0)
        return;
    snprintf(k->name, sizeof(k->name), "%s", name);
    k->label = 0;
}

/* False: it does not count, the stack and the span may not belong together. */
static bool add_thread(struct profiler_window *w, const struct cpython_thread *t, bool wall,
                       uint64_t now_ns, uint64_t passed_ns) {
    struct known *k = t->native_id ? find_or_begin(t->native_id, now_ns, passed_ns) : NULL;
    uint64_t costs[COSTS] = {0}, cpu_ns = 0;

    if (!k)
        return false;
    k->met = true;
    k->row = -1;
    name_thread(k, t);
    unsigned slot = slot_of(k);
    if (t->torn || t->n_frames == 0)
        return !t->torn;
    if (t->state != CPYTHON_SLEEPING || t->holds_gil)
        cpu_ns = t->cpu_ns;
    if (!t->cpu_ns && (t->state != CPYTHON_SLEEPING || t->holds_gil))
        thread_cpu_ns(k->native_id, &cpu_ns);
    if (!still_there(k, slot))
        return false;
    costs[COST_WALL] = wall ? now_ns - k->seen_at_ns : 0;
    costs[COST_GIL_WAIT] = t->waits_gil ? now_ns - k->seen_at_ns : 0;
    k->seen_at_ns = now_ns;
    k->waits_gil = t->waits_gil;
    add_costs(w, t, k, slot, costs, cpu_ns);
    return true;
}

static void forget_ended(struct profiler_window *w) {
    size_t kept = 0;

    for (size_t i = 0; i < known_n; i++) {
        if (known[i].met)
            known[kept++] = known[i];
        else if (known[i].placed)
            window_charge(w, (const uint64_t[2]){0, 0}, label_of(w, &known[i]),
                          known[i].outside_ns);
    }
    known_n = kept;
    known_next = 0;
    for (size_t i = 0; i < known_n; i++)
        known[i].met = false;
}

void threads_add(struct profiler_window *w, const struct cpython_sample *s, bool wall,
                 uint64_t now_ns, uint64_t passed_ns, uint64_t *ret_seen, uint64_t *ret_torn) {
    *ret_seen = *ret_torn = 0;
    check_owners();
    for (size_t i = 0; i < s->n_threads; i++) {
        bool counts = add_thread(w, &s->threads[i], wall, now_ns, passed_ns);
        *ret_seen += counts && s->threads[i].n_frames;
        *ret_torn += !counts;
    }
    forget_ended(w);
    began = true;
}

void threads_stood(struct profiler_window *w, bool wall, uint64_t until_ns) {
    for (size_t i = 0; i < known_n; i++) {
        struct known *k = &known[i];
        uint64_t stood = until_ns > k->seen_at_ns ? until_ns - k->seen_at_ns : 0;
        if (k->row < 0)
            continue;
        window_wait(w, k->row, wall ? stood : 0, k->waits_gil ? stood : 0);
        k->seen_at_ns += stood;
        k->woke |= stood >= STOOD_LONG_NS;
    }
}

/* ---- The window's end ---- */

void threads_settle(struct profiler_window *w) {
    take_visits(w);
    check_owners();
    for (size_t i = 0; i < known_n; i++) {
        struct known *k = &known[i];
        uint64_t cpu_ns;
        if (k->unseen)
            continue;
        unsigned slot = slot_of(k);
        /* What a visit that lasts has used since the last look comes with the next one. */
        bool between = still_there(k, slot) && (slot == PROFILER_SLOTS || !views[slot].span_id);
        if (between && thread_cpu_ns(k->native_id, &cpu_ns) && still_there(k, slot)) {
            cpu_ns = cpu_ns > k->cpu_ns ? cpu_ns : k->cpu_ns;
            window_see(w, k->last_row, (cpu_ns - k->cpu_ns) / 2 * k->last_factor);
            charge(w, k, slot, cpu_ns);
        }
        if (k->placed && k->outside_ns) { /* else it waits until the thread is seen at work */
            window_charge(w, (const uint64_t[2]){0, 0}, label_of(w, k), k->outside_ns);
            k->outside_ns = 0;
        }
        k->placed = false;
        k->last_row = k->row = -1;
        k->version = 0;
        k->label = 0; /* another window, another label */
    }
}

void threads_forget(void) {
    take_visits(NULL);
    known_n = known_next = 0;
    began = false;
    memset(visit_charged, 0, sizeof(visit_charged));
}
