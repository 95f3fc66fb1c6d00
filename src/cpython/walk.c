/*
 * The walk: interpreters → threads → stacks. What is known of a thread is kept between walks; what
 * the walk will want is mostly read before it begins (ahead.c).
 */
#include "base/clock.h"
#include "base/hot.h"
#include "cpython/ahead.h"
#include "cpython/open.h"
#include "cpython/state.h"
#include "cpython/tasks.h"

#include <stdio.h>

#define SAMPLE_BYTES_MAX ((size_t) 256 << 20)
#define SCRATCH_BYTES_MAX ((size_t) 64 << 20)
#define GIL_BYTES 208u /* of struct _gil_runtime_state, whose futexes are waited for */

int cpython_open_reader(pid_t pid, struct memory_reader memory,
                        const struct cpython_runtime *runtime, struct cpython **ret) {
    struct cpython *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->pid = pid;
    c->memory = memory;
    c->runtime = *runtime;
    arena_init(&c->scratch, SCRATCH_BYTES_MAX);
    c->reader.memory = &c->memory;
    c->reader.offsets = &c->runtime.offsets;
    codes_init(&c->reader.codes, &c->memory, &c->runtime.offsets);
    if (pages_init(&c->reader.pages, &c->memory, PAGES_KEPT) < 0 ||
        pages_init(&c->reader.shared, &c->memory, PAGES_SHARED) < 0 ||
        pages_init(&c->fixed, &c->memory, PAGES_KEPT) < 0) {
        cpython_close(c);
        return -ENOMEM;
    }
    /* Frames are objects among others up to 3.10, and threads share their pages. */
    c->reader.pages.whole = c->reader.shared.whole = runtime->offsets.minor < 11;
    *ret = c;
    return 0;
}

static int open_target(pid_t pid, struct core_file *core, enum runtime_search search,
                       struct cpython **ret, struct error *e) {
    struct memory_reader memory = core ? memory_reader_core(core) : memory_reader_process(pid);
    struct cpython_runtime runtime;
    struct image image;
    int r = image_read(&image, pid, core);

    if (r < 0)
        cpython_explain_refusal(pid, r, e);
    else
        r = cpython_runtime_find(&image, &memory, search, &runtime, e);
    image_done(&image);
    if (r < 0)
        return r == -ENOENT && !core && process_alive(pid) == false ? -ESRCH : r;
    r = cpython_open_reader(pid, memory, &runtime, ret);
    if (r < 0)
        return error_set(e, r, "out of memory");
    (*ret)->core = core;
    return 0;
}

int cpython_open(pid_t pid, struct cpython **ret, struct error *e) {
    return open_target(pid, NULL, RUNTIME_THOROUGH, ret, e);
}

int cpython_try(pid_t pid, struct cpython **ret) {
    return open_target(pid, NULL, RUNTIME_QUICK, ret, NULL);
}

int cpython_open_core(const char *path, struct cpython **ret, struct error *e) {
    struct core_file *core;
    int r = core_file_open(path, &core, e);

    if (r < 0)
        return r;
    r = open_target(core->pid, core, RUNTIME_THOROUGH, ret, e);
    if (r < 0)
        core_file_close(core);
    return r;
}

static void free_known(struct known_thread *k) {
    thread_files_done(&k->files);
    stack_done(&k->stack);
    free(k->raw);
    free(k);
}

void cpython_close(struct cpython *c) {
    if (!c)
        return;
    vector_each(&c->known, k) free_known(*k);
    vector_done(&c->known);
    codes_done(&c->reader.codes);
    pages_done(&c->reader.pages);
    pages_done(&c->reader.shared);
    pages_done(&c->fixed);
    vector_done(&c->by_address);
    vector_done(&c->threads);
    free(c->group);
    free(c->merged);
    arena_done(&c->scratch);
    vector_done(&c->namespaced.items);
    core_file_close(c->core);
    free(c);
}

const char *cpython_version(const struct cpython *c) {
    return c->runtime.version;
}

bool cpython_free_threaded(const struct cpython *c) {
    return c->runtime.offsets.free_threaded;
}

pid_t cpython_pid(const struct cpython *c) {
    return c->pid;
}

bool cpython_core_end(const struct cpython *c, int *ret_signal, pid_t *ret_thread) {
    if (!c->core || !c->core->signal || !c->core->threads.n)
        return false;
    *ret_signal = c->core->signal;
    *ret_thread = c->core->threads.items[0].id;
    return true;
}

const char *cpython_path(const struct cpython *c) {
    return c->runtime.path;
}

void cpython_want(struct cpython *c, unsigned what) {
    c->want = what;
}

void cpython_trust(struct cpython *c, int64_t code_ns) {
    c->reader.codes.trust_ns = code_ns;
}

void cpython_read_stats(const struct cpython *c, struct cpython_stats *ret) {
    *ret = c->stats;
    ret->reads = c->memory.reads;
    ret->failed_reads = c->memory.failed;
}

void cpython_sample_init(struct cpython_sample *s) {
    *s = (struct cpython_sample){0};
    arena_init(&s->arena, SAMPLE_BYTES_MAX);
}

void cpython_sample_done(struct cpython_sample *s) {
    arena_done(&s->arena);
    s->threads = NULL;
    s->n_threads = 0;
}

struct walk {
    struct cpython *c;
    struct cpython_sample *sample;
    int64_t now_ns;
};

/* ---- What is known of threads ---- */

static struct known_thread *new_known(struct cpython *c, uint64_t address) {
    struct known_thread *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->address = address;
    k->state = CPYTHON_UNKNOWN;
    k->raw = calloc(1, c->runtime.offsets.thread.size);
    thread_files_init(&k->files, c->pid, 0);
    if (!k->raw || vector_push(&c->known, k, CPYTHON_THREADS_MAX) < 0) {
        free_known(k);
        return NULL;
    }
    c->known_changed = true;
    return k;
}

/* Threads are met in the order of the last walk, so the search is short. */
static HOT struct known_thread *find_known(struct cpython *c, uint64_t address) {
    for (size_t i = 0; i < c->known.n; i++) {
        size_t at = (c->expected + i) % c->known.n;
        if (c->known.items[at]->address == address) {
            c->expected = at + 1;
            return c->known.items[at];
        }
    }
    return new_known(c, address);
}

/* Our id of the thread that calls itself so; 0: there is none. */
static pid_t native_of(struct cpython *c, pid_t told) {
    if (c->core)
        return core_file_has_thread(c->core, told) ? told : 0;
    return thread_outer_id(&c->namespaced, c->pid, told);
}

/* Takes over who the thread is; another one at the same address begins anew. */
static HOT void identify(struct cpython *c, struct known_thread *k) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint64_t id = field_u64(k->raw, o->thread.size, o->thread.thread_id);
    pid_t told = o->thread.native_id
                         ? (pid_t) field_u64(k->raw, o->thread.size, o->thread.native_id)
                         : k->told_id;

    if (id == k->thread_id && told == k->told_id && k->native_id > 0)
        return;
    if (!o->thread.native_id)
        told = thread_told_id(&c->memory, id);
    k->told_id = told;
    pid_t native = native_of(c, told);
    if (!native &&
        o->thread.native_id) /* as it was before a fork that Python did not make: uWSGI */
        native = native_of(c, thread_told_id(&c->memory, id));
    thread_files_done(&k->files);
    thread_files_init(&k->files, c->pid, c->core ? 0 : native);
    k->thread_id = id;
    k->native_id = native;
    k->asked = k->runs = k->looks = 0;
    k->state = CPYTHON_UNKNOWN;
    k->good = k->still = k->asleep = k->waits_gil = false;
    k->name[0] = k->python_name[0] = 0;
}

static HOT void forget_ended(struct cpython *c) {
    size_t kept = 0;

    for (size_t i = 0; i < c->known.n; i++)
        if (c->known.items[i]->last_walk == c->stats.walks)
            c->known.items[kept++] = c->known.items[i];
        else
            free_known(c->known.items[i]);
    c->known_changed |= kept < c->known.n;
    c->known.n = kept;
}

/* ---- Names ---- */

/* Gives the threads of the walk their names. */
static HOT void put_names(struct walk *w) {
    struct cpython *c = w->c;

    vector_each(&c->known, k) if ((*k)->last_walk == c->stats.walks && (*k)->python_name[0] &&
                                  (*k)->place < c->threads.n) c->threads.items[(*k)->place]
            .python_name = (*k)->python_name;
}

/* ---- The walk ---- */

/* The stack as it is now: read, or known to be the last one. */
static HOT int look(struct walk *w, struct known_thread *k, struct gil gil, bool *ret_torn) {
    bool asleep = ahead_ask(w->c, k);

    *ret_torn = false;
    if (w->c->want & CPYTHON_CLOCKS)
        ahead_tell_state(w->c, k, gil, GIL_BYTES);
    else if (w->c->want & CPYTHON_GIL_WAIT && !asleep)
        k->waits_gil = k->state == CPYTHON_SLEEPING && gil.address &&
                       thread_waits_at(&k->files, gil.address, gil.address + GIL_BYTES);
    if (k->still)
        return 0;
    int r = stack_walk(&w->c->reader, k->address, w->now_ns, &k->stack);
    if (r == -EIO)
        k->stack.now.frames.n = k->stack.now.lined.n = 0; /* the thread has ended */
    *ret_torn = r == -EAGAIN;
    k->good = r == 0;
    return r == -ENOMEM ? r : 0;
}

static HOT int add_thread(struct walk *w, struct known_thread *k, uint64_t interpreter, int64_t id,
                          struct gil gil) {
    struct cpython_thread t = {.interpreter = id, .holds_gil = k->address == gil.holder};

    w->c->stats.stacks++;
    int r = look(w, k, gil, &t.torn);
    if (r < 0)
        return r;
    w->c->stats.torn += t.torn;
    size_t n = k->stack.now.frames.n;
    if (w->c->want & CPYTHON_AWAITERS && !t.torn && n) {
        r = task_stack(w->c, interpreter, k, w->now_ns, &w->sample->arena, &t.frames, &t.n_frames);
        if (r < 0)
            return r;
    }
    if (!t.n_frames) {
        t.frames = k->stack.now.frames.items;
        t.n_frames = n;
    }
    t.thread_id = k->thread_id;
    t.native_id = k->native_id;
    t.state = k->state;
    if (w->c->want & CPYTHON_CLOCKS && k->runs) {
        t.cpu_ns = k->runs - THREAD_CLOCK_AHEAD;
        t.on_cpu = k->on_cpu;
    }
    t.cut = k->stack.cut;
    t.version = w->c->want & CPYTHON_AWAITERS ? 0 : k->stack.version;
    t.waits_gil = k->waits_gil && !t.holds_gil;
    k->place = w->c->threads.n;
    memcpy(t.name, k->name, sizeof(t.name));
    return vector_push(&w->c->threads, t, CPYTHON_THREADS_MAX);
}

static HOT int walk_threads(struct walk *w, uint64_t interpreter, int64_t id) {
    struct cpython *c = w->c;
    const struct cpython_offsets *o = &c->runtime.offsets;
    struct gil gil = ahead_read_gil(c, interpreter);
    uint64_t thread;

    if (ahead_read_fixed(c, interpreter + o->interpreter.threads_head, &thread, 8) < 0)
        return -EIO;
    for (unsigned n = 0; thread && n < CPYTHON_THREADS_MAX; n++) {
        struct known_thread *k = find_known(c, thread);
        if (!k)
            return c->known.n >= CPYTHON_THREADS_MAX ? 0 : -ENOMEM;
        if (k->last_walk == c->stats.walks)
            break; /* met already: the list changed into a circle under us */
        if (!k->read_ahead && memory_read(&c->memory, thread, k->raw, o->thread.size) < 0)
            break; /* the list changed under us: what was found stands */
        k->last_walk = c->stats.walks;
        identify(c, k);
        int r = add_thread(w, k, interpreter, id, gil);
        if (r == -ENOBUFS)
            break; /* more than CPYTHON_THREADS_MAX in all interpreters together */
        if (r < 0)
            return r;
        thread = field_u64(k->raw, o->thread.size, o->thread.next);
    }
    return 0;
}

static HOT int walk_interpreters(struct walk *w) {
    struct cpython *c = w->c;
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint64_t interpreter, next;
    bool named = false;
    unsigned met = 0;

    if (ahead_read_fixed(c, c->runtime.address + o->runtime.interpreters_head, &interpreter, 8) < 0)
        return c->core || process_alive(c->pid) ? -EIO : -ESRCH;
    c->interpreter = interpreter;
    for (; interpreter && met < CPYTHON_INTERPRETERS_MAX; met++) {
        uint64_t id = 0;
        if (ahead_read_fixed(c, interpreter + o->interpreter.id, &id, 8) < 0 ||
            ahead_read_fixed(c, interpreter + o->interpreter.next, &next, 8) < 0)
            return -EIO;
        int r = walk_threads(w, interpreter, (int64_t) id);
        if (r < 0)
            return r;
        if (named || known_names_due(c, w->now_ns)) {
            known_names_read(c, interpreter);
            named = true;
        }
        interpreter = next;
    }
    c->interpreters = met;
    if (named)
        c->names_ns = w->now_ns;
    if (c->want & CPYTHON_THREAD_NAMES)
        put_names(w);
    return 0;
}

HOT int cpython_sample(struct cpython *c, struct cpython_sample *s) {
    struct walk w = {.c = c, .sample = s, .now_ns = clock_monotonic_ns()};

    arena_clear(&s->arena);
    s->threads = NULL;
    s->n_threads = 0;
    c->stats.walks++;
    c->expected = c->threads.n = 0;
    ahead_read(c);
    c->interpreters = 0; /* unless the walk meets all of them */
    int r = walk_interpreters(&w);
    if (c->interpreters != 1)
        c->gil.known = false;
    forget_ended(c);
    if (r < 0)
        return r;
    s->threads = arena_array(&s->arena, struct cpython_thread, c->threads.n);
    if (!s->threads)
        return -ENOMEM;
    if (c->threads.n)
        memcpy(s->threads, c->threads.items, c->threads.n * sizeof(*s->threads));
    s->n_threads = c->threads.n;
    return 0;
}
