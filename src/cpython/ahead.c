/*
 * A walk's reads, in two calls mostly. The first: the runtime's, the interpreter's and the GIL's
 * state, and the stack of the thread that had the GIL in the last walk. The second: the states and
 * stacks of those threads that may have run since.
 *
 * Only who holds the GIL changes its stack or the list of threads. The GIL counts how often it came
 * to another thread (switch_number) and knows the last one that had it. So while that count stands
 * still, every stack but that thread's is what it was; when it went on by one, every stack but
 * those of two threads. Thus few stacks are read at all; and those that are read together need no
 * second look at whether they changed meanwhile. That needs one interpreter with one GIL: else, and
 * in free-threaded builds, all stacks are read, and looked at twice.
 */
#include "cpython/ahead.h"
#include "base/hot.h"

#include <stdlib.h>

#define NAME_AGAIN_LOOKS 256u /* the kernel's name, of a thread that runs and runs */
#define GIL_WORDS_BYTES 24u   /* its last holder, whether it is locked, its count of switches */
#define GIL_LAST_HOLDER 8u    /* in struct _gil_runtime_state up to 3.11 */
#define MERGED_BYTES_MAX (256u << 10)
#define STATE_PARTS_MAX 256u /* of one call; the same number of stacks at most */
#define STACKS_PARTS_MAX 640u

_Static_assert(STATE_PARTS_MAX + STACKS_PARTS_MAX + 2 * STACK_PARTS_MAX <= MEMORY_PARTS_MAX,
               "they fit in one call");

/* ---- The GIL ---- */

HOT int ahead_read_fixed(struct cpython *c, uint64_t address, void *to, size_t size) {
    return pages_read(&c->fixed, address, to, size, &c->fixed_hints);
}

/* Takes over the words that begin with the last holder. */
static HOT void take_words(struct gil *gil, const uint8_t words[GIL_WORDS_BYTES]) {
    gil->last = field_u64(words, GIL_WORDS_BYTES, 0);
    gil->switches = field_u64(words, GIL_WORDS_BYTES, 16);
}

HOT struct gil ahead_read_gil(struct cpython *c, uint64_t interpreter) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint8_t words[GIL_WORDS_BYTES];
    struct gil gil = {0};
    uint32_t last = GIL_LAST_HOLDER;

    if (o->minor <= 11) {
        gil.address = c->runtime.address + o->runtime.gil;
        if (ahead_read_fixed(c, c->runtime.address + o->runtime.tstate_current, &gil.holder, 8) < 0)
            gil.holder = 0;
    } else {
        last = o->interpreter.gil_holder;
        if (ahead_read_fixed(c, interpreter + o->interpreter.gil, &gil.address, 8) < 0)
            return (struct gil){0};
    }
    gil.words = gil.address + last;
    if (ahead_read_fixed(c, gil.words, words, sizeof(words)) < 0)
        return gil;
    take_words(&gil, words);
    if (o->minor >= 12) {
        uint32_t locked = 0;
        ahead_read_fixed(c, gil.address + o->interpreter.gil_locked, &locked, 4);
        gil.holder = locked == 1 ? gil.last : 0;
    }
    gil.known = gil.last && !o->free_threaded &&
                (o->minor <= 11 || o->interpreter.gil_locked == last + 8);
    return gil;
}

/* Whether the thread's stack may have changed between two looks at the GIL. */
static HOT bool may_have_run(const struct gil *before, const struct gil *after, uint64_t thread) {
    return !before->known || !after->known || after->switches - before->switches > 1 ||
           thread == before->last || thread == after->last || thread == before->holder ||
           thread == after->holder;
}

/* ---- The kernel's view ---- */

/* One that ran the last time is asked only whether it still does, except for now and then, since
 * its name may change. */
static void look_at_state(struct cpython *c, struct known_thread *k) {
    bool held = c->want & CPYTHON_HELD, often = ++k->looks % NAME_AGAIN_LOOKS;

    if (k->files.tid && k->state == CPYTHON_RUNNING && !held && often && thread_runs(&k->files))
        return;
    if (!k->files.tid || thread_read_stat(&k->files, held, &k->state, k->name) < 0)
        k->state = CPYTHON_UNKNOWN;
}

HOT bool ahead_ask(struct cpython *c, struct known_thread *k) {
    uint64_t runs = 0;

    if (k->asked == c->stats.walks)
        return k->asleep;
    k->asked = c->stats.walks;
    k->asleep = false;
    if (c->want & CPYTHON_CLOCKS) { /* the rest is told by ahead_tell_state() */
        runs = k->files.tid ? thread_read_runs(&k->files) : 0;
        k->asleep = runs && runs == k->runs && k->state == CPYTHON_SLEEPING;
        k->runs = runs;
        return k->asleep;
    }
    if (c->want & CPYTHON_NO_STATES) {
        if (k->looks % NAME_AGAIN_LOOKS == 0)
            look_at_state(c, k);
        k->looks += k->looks % NAME_AGAIN_LOOKS != 0;
        k->state = CPYTHON_UNKNOWN;
        return false;
    }
    /* one that ran the last time will hardly be the same stack: it is asked for its count once it
     * has been seen asleep. The count is read first, then the state, then the stack: whatever wakes
     * the thread after the first changes the count. */
    if (k->files.tid && k->state == CPYTHON_SLEEPING)
        runs = thread_read_runs(&k->files);
    k->asleep = runs && runs == k->runs;
    k->runs = runs;
    if (!k->asleep)
        look_at_state(c, k);
    return k->asleep;
}

void ahead_tell_state(struct cpython *c, struct known_thread *k, struct gil gil, uint64_t size) {
    uint64_t futex;

    if (k->asleep)
        return;
    k->waits_gil = k->on_cpu = false;
    if (!k->files.tid || (k->looks++ % NAME_AGAIN_LOOKS == 0 &&
                          thread_read_stat(&k->files, false, &k->state, k->name) < 0)) {
        k->state = CPYTHON_UNKNOWN;
        return;
    }
    /* its clock first: who is seen to run needs not be asked for */
    k->on_cpu = thread_read_runs(&k->files) > k->runs;
    k->stack.ahead.sure |= !k->on_cpu && k->runs; /* it was read in between */
    if (k->on_cpu || k->address == gil.holder)
        k->state = CPYTHON_RUNNING;
    else if (thread_read_sleep(&k->files, &k->state, &futex) == 0)
        k->waits_gil = c->want & CPYTHON_GIL_WAIT && gil.address && futex >= gil.address &&
                       futex < gil.address + size;
    else if (thread_read_stat(&k->files, false, &k->state, k->name) < 0)
        k->state = CPYTHON_UNKNOWN;
}

/* ---- The first call ---- */

static HOT struct known_thread *known_at(struct cpython *c, uint64_t address) {
    for (size_t i = 0; address && i < c->known.n; i++)
        if (c->known.items[i]->address == address)
            return c->known.items[i];
    return NULL;
}

/* The thread whose stack has surely changed: the one that had the GIL, else the first that ran. */
static HOT struct known_thread *probably_running(struct cpython *c) {
    struct known_thread *k = c->gil.known ? known_at(c, c->gil.last) : NULL;

    for (size_t i = 0; !k && i < c->known.n; i++)
        if (c->known.items[i]->state != CPYTHON_SLEEPING)
            k = c->known.items[i];
    return k && !(ahead_ask(c, k) && k->good) ? k : NULL;
}

/* Whether the thread is what it was in the last walk: it has neither ended nor begun another. */
static HOT bool same_thread(const struct cpython_offsets *o, const uint8_t *a, const uint8_t *b) {
    const uint32_t fields[] = {o->thread.next, o->thread.interp, o->thread.thread_id};

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (field_u64(a, o->thread.size, fields[i]) != field_u64(b, o->thread.size, fields[i]))
            return false;
    return true;
}

/* The fixed places and the probably running thread `k` (NULL: none). False: that one could not be
 * read, or is another thread now. */
static HOT bool read_first(struct cpython *c, struct known_thread *k) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    struct memory_part parts[PAGES_HINTED + 1 + STACK_PARTS_MAX];
    size_t n_fixed = pages_plan(&c->fixed, &c->fixed_hints, false, parts), n = n_fixed, n_stack = 0;

    if (k) {
        parts[n++] = (struct memory_part){k->address, c->merged, o->thread.size};
        n_stack = stack_ahead_plan_twice(&c->reader, k->address, &k->stack, parts + n);
    }
    size_t done = memory_read_many(&c->memory, parts, n + n_stack);
    if (done < n_fixed)
        pages_unread(&c->fixed, parts + done, n_fixed - done);
    if (!k)
        return true;
    bool read = done >= n, same = read && same_thread(o, c->merged, k->raw);
    if (n_stack)
        stack_ahead_done_twice(&c->reader, read ? c->merged : k->raw, &k->stack, parts + n, n_stack,
                               read ? done - n : 0);
    if (read)
        memcpy(k->raw, c->merged, o->thread.size);
    k->read_ahead = read;
    k->stack.ahead.read &= read;
    return same;
}

/* ---- The second call ---- */

/* Threads whose states and stacks are read by one call. */
struct group {
    struct known_thread *threads[STATE_PARTS_MAX];
    struct memory_part states[STATE_PARTS_MAX], stacks[STACKS_PARTS_MAX + STACK_PARTS_MAX];
    uint32_t state_of[STATE_PARTS_MAX]; /* the part that the thread's state is in */
    size_t at[STATE_PARTS_MAX];         /* … and where in `merged` */
    uint32_t first[STATE_PARTS_MAX];    /* of its parts in `stacks` */
    uint32_t n_of[STATE_PARTS_MAX];
    size_t n, n_states, n_stacks, bytes; /* of `merged` */
};

static HOT void empty(struct group *g) {
    g->n = g->n_states = g->n_stacks = g->bytes = 0;
}

static int by_address(const void *a, const void *b) {
    const struct known_thread *const *x = a, *const *y = b;

    return (*x)->address < (*y)->address ? -1 : (*x)->address > (*y)->address;
}

/* Threads' states lie close together mostly: neighbours are read as one part, with what lies
 * between them. */
static void plan_state(struct cpython *c, struct group *g, struct known_thread *k) {
    uint32_t size = c->runtime.offsets.thread.size;
    struct memory_part *last = g->n_states ? &g->states[g->n_states - 1] : NULL;
    uint64_t gap = last ? k->address - (last->address + last->size) : UINT64_MAX;

    if (gap < PAGE_BYTES && g->bytes + gap + size <= MERGED_BYTES_MAX) {
        last->size += gap + size;
        g->bytes += gap;
    } else {
        g->states[g->n_states++] = (struct memory_part){k->address, c->merged + g->bytes, size};
    }
    g->state_of[g->n] = (uint32_t) g->n_states - 1;
    g->at[g->n] = g->bytes;
    g->bytes += size;
}

/* False: there is no room. */
static bool plan_thread(struct cpython *c, struct group *g, struct known_thread *k, bool stack) {
    if (g->n == STATE_PARTS_MAX || g->n_stacks >= STACKS_PARTS_MAX ||
        g->bytes + PAGE_BYTES + c->runtime.offsets.thread.size > MERGED_BYTES_MAX)
        return false;
    plan_state(c, g, k);
    g->threads[g->n] = k;
    g->first[g->n] = (uint32_t) g->n_stacks;
    g->n_of[g->n] = 0;
    if (stack)
        g->n_of[g->n] = (uint32_t) stack_ahead_plan(&c->reader, &k->stack, g->stacks + g->n_stacks);
    g->n_stacks += g->n_of[g->n++];
    return true;
}

/* The GIL once more, behind the stacks: those of threads that have not had it meanwhile are as they
 * were all the time. */
static size_t plan_gil(struct cpython *c, const struct gil *before, uint8_t words[GIL_WORDS_BYTES],
                       uint64_t *holder, struct memory_part parts[2]) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    size_t n = 0;

    *holder = 0;
    if (!before->known)
        return 0;
    parts[n++] = (struct memory_part){before->words, words, GIL_WORDS_BYTES};
    if (o->minor <= 11)
        parts[n++] =
                (struct memory_part){c->runtime.address + o->runtime.tstate_current, holder, 8};
    return n;
}

static HOT void read_group(struct cpython *c, struct group *g, const struct gil *before) {
    struct memory_part parts[MEMORY_PARTS_MAX];
    uint8_t words[GIL_WORDS_BYTES];
    struct gil after = {0};
    size_t n = g->n_states + g->n_stacks;

    if (!g->n)
        return;
    memcpy(parts, g->states, g->n_states * sizeof(*parts));
    if (g->n_stacks)
        memcpy(parts + g->n_states, g->stacks, g->n_stacks * sizeof(*parts));
    n += plan_gil(c, before, words, &after.holder, parts + n);
    size_t done = memory_read_many(&c->memory, parts, n),
           stacks = done > g->n_states ? done - g->n_states : 0;
    after.known = before->known && done == n;
    if (after.known)
        take_words(&after, words);
    for (size_t i = 0; i < g->n; i++) {
        struct known_thread *k = g->threads[i];
        size_t got = stacks > g->first[i] ? stacks - g->first[i] : 0;
        k->read_ahead = g->state_of[i] < done;
        if (k->read_ahead)
            memcpy(k->raw, c->merged + g->at[i], c->runtime.offsets.thread.size);
        if (!g->n_of[i])
            continue;
        stack_ahead_done(&c->reader, k->raw, &k->stack, g->stacks + g->first[i], g->n_of[i],
                         got < g->n_of[i] ? got : g->n_of[i]);
        k->stack.ahead.read &= k->read_ahead;
        k->stack.ahead.sure = !may_have_run(before, &after, k->address);
    }
}

/* Reads the threads of which more than `first` is wanted. */
static HOT void read_others(struct cpython *c, struct known_thread *first, const struct gil *now,
                            bool states) {
    struct group *g = c->group;

    empty(g);
    vector_each(&c->by_address, known) {
        struct known_thread *k = *known;
        bool stack = !k->still && k->address != now->last;
        if (k == first || (!states && k->still))
            continue;
        if (plan_thread(c, g, k, stack))
            continue;
        read_group(c, g, now);
        empty(g);
        plan_thread(c, g, k, stack);
    }
    read_group(c, g, now);
}

/* The threads in the order of their addresses; false without memory. */
static HOT bool sort_known(struct cpython *c) {
    if (!c->known_changed)
        return true;
    c->by_address.n = 0;
    vector_each(&c->known,
                k) if (vector_push(&c->by_address, *k, CPYTHON_THREADS_MAX) < 0) return false;
    qsort(c->by_address.items, c->by_address.n, sizeof(*c->by_address.items), by_address);
    c->known_changed = false;
    return true;
}

static HOT bool prepare(struct cpython *c) {
    if (!c->merged)
        c->merged = malloc(MERGED_BYTES_MAX);
    if (!c->group)
        c->group = malloc(sizeof(*c->group));
    return c->merged && c->group && sort_known(c);
}

HOT void ahead_read(struct cpython *c) {
    stack_ahead_clear(&c->reader);
    pages_clear(&c->fixed);
    vector_each(&c->known, k) {
        (*k)->read_ahead = (*k)->still = false;
        (*k)->stack.ahead.read = false;
    }
    if (!prepare(c))
        return; /* then everything is read when it is needed */
    struct known_thread *first = probably_running(c);
    bool same = read_first(c, first);
    struct gil now = {0};
    uint64_t head = 0;
    if (c->interpreters == 1 &&
        ahead_read_fixed(c, c->runtime.address + c->runtime.offsets.runtime.interpreters_head,
                         &head, 8) == 0 &&
        head == c->interpreter)
        now = ahead_read_gil(c, head);
    now.known &= known_at(c, now.last) != NULL;
    bool switched = !same || !c->gil.known || !now.known || now.switches != c->gil.switches;
    vector_each(&c->known, known) {
        struct known_thread *k = *known;
        k->still = (ahead_ask(c, k) && k->good) ||
                   (k->good && k != first && !may_have_run(&c->gil, &now, k->address));
        k->read_ahead |= k->still && !switched; /* its state is that of the last walk, too */
    }
    c->gil = now;
    read_others(c, first && first->read_ahead ? first : NULL, &now, switched);
}
