/*
 * The walk: interpreters → threads → stacks. What is known of a thread is kept between walks. A
 * thread that slept when its stack was read, and that the kernel has not run since, still has that
 * stack: it costs one read of its run count. The thread states are read together, in one call.
 */
#include "base/clock.h"
#include "cpython/open.h"
#include "cpython/state.h"
#include "cpython/tasks.h"

#include <stdio.h>

#define SAMPLE_BYTES_MAX ((size_t) 256 << 20)
#define SCRATCH_BYTES_MAX ((size_t) 64 << 20)
#define GIL_BYTES 208u        /* of struct _gil_runtime_state, whose futexes are waited for */
#define NAME_AGAIN_LOOKS 256u /* the kernel's name, of a thread that runs and runs */

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
    if (pages_init(&c->reader.pages, &c->memory) < 0 || pages_init(&c->fixed, &c->memory) < 0) {
        cpython_close(c);
        return -ENOMEM;
    }
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
    pages_done(&c->fixed);
    arena_done(&c->scratch);
    vector_done(&c->namespaced.items);
    core_file_close(c->core);
    free(c);
}

const char *cpython_version(const struct cpython *c) {
    return c->runtime.version;
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

/* The GIL of that interpreter: where its state lies (0: it has none), and the thread state that
 * holds it (0: none or not known). */
struct gil {
    uint64_t address, holder;
};

/* Reads of what lies at the same place in every walk. */
static int read_fixed(struct cpython *c, uint64_t address, void *to, size_t size) {
    return pages_read(&c->fixed, address, to, size, &c->fixed_hints);
}

static struct gil read_gil(struct cpython *c, uint64_t interpreter) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    struct gil gil = {0};
    uint32_t locked = 0;

    if (o->minor <= 11) {
        gil.address = c->runtime.address + o->runtime.gil;
        read_fixed(c, c->runtime.address + o->runtime.tstate_current, &gil.holder, 8);
        return gil;
    }
    if (read_fixed(c, interpreter + o->interpreter.gil, &gil.address, 8) < 0)
        return (struct gil){0};
    if (read_fixed(c, gil.address + o->interpreter.gil_locked, &locked, 4) < 0 || locked != 1 ||
        read_fixed(c, gil.address + o->interpreter.gil_holder, &gil.holder, 8) < 0)
        gil.holder = 0;
    return gil;
}

struct walk {
    struct cpython *c;
    struct cpython_sample *sample;
    VECTOR(struct cpython_thread) threads;
    int64_t now_ns;
};

/* ---- What is known of threads ---- */

/* The thread whose stack is probably to be walked: the first that ran when it was last looked at.
 */
static struct known_thread *probably_running(struct cpython *c) {
    for (size_t i = 0; i < c->known.n; i++)
        if (c->known.items[i]->state != CPYTHON_SLEEPING)
            return c->known.items[i];
    return NULL;
}

/* Reads what this walk will want, as far as the last one tells, in as few calls as can be: the
 * runtime's and interpreters' states, all threads' states, one running thread's stack. */
static void read_ahead(struct cpython *c) {
    struct memory_part parts[MEMORY_PARTS_MAX];
    struct known_thread *running = probably_running(c);
    size_t at = 0, n_fixed = pages_plan(&c->fixed, &c->fixed_hints, parts), n_stack = 0;

    c->reader.ahead = 0;
    if (running)
        n_stack = stack_ahead_plan(&c->reader, running->address, &running->stack, parts + n_fixed);
    do {
        size_t before = n_fixed + n_stack, n = before;
        for (; n < MEMORY_PARTS_MAX && at + n - before < c->known.n; n++) {
            struct known_thread *k = c->known.items[at + n - before];
            parts[n] = (struct memory_part){k->address, k->raw, c->runtime.offsets.thread.size};
            k->read_ahead = false;
        }
        size_t done = memory_read_many(&c->memory, parts, n);
        if (n_fixed && done < n_fixed)
            pages_unread(&c->fixed, parts + done, n_fixed - done);
        if (n_stack)
            stack_ahead_done(&c->reader, running->address, &running->stack, parts + n_fixed,
                             n_stack, done < n_fixed ? 0 : done - n_fixed);
        for (size_t i = before; i < done; i++)
            c->known.items[at + i - before]->read_ahead = true;
        if (done < before) /* something there is gone: the threads once more, without it */
            done = n = before;
        else
            at += done < n ? done - before + 1 : n - before; /* a thread that is gone */
        n_fixed = n_stack = 0;
    } while (at < c->known.n);
}

static struct known_thread *new_known(struct cpython *c, uint64_t address) {
    struct known_thread *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->address = address;
    k->raw = malloc(c->runtime.offsets.thread.size);
    thread_files_init(&k->files, c->pid, 0);
    if (!k->raw || vector_push(&c->known, k, CPYTHON_THREADS_MAX) < 0) {
        free_known(k);
        return NULL;
    }
    return k;
}

/* Threads are met in the order of the last walk, so the search is short. */
static struct known_thread *find_known(struct cpython *c, uint64_t address) {
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
static void identify(struct cpython *c, struct known_thread *k) {
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
    k->runs = 0;
    k->slept = false;
    k->name[0] = k->python_name[0] = 0;
}

static void forget_ended(struct cpython *c) {
    size_t kept = 0;

    for (size_t i = 0; i < c->known.n; i++)
        if (c->known.items[i]->last_walk == c->stats.walks)
            c->known.items[kept++] = c->known.items[i];
        else
            free_known(c->known.items[i]);
    c->known.n = kept;
}

/* ---- Names ---- */

/* Gives the threads of the walk their names. */
static void put_names(struct walk *w) {
    struct cpython *c = w->c;

    vector_each(&c->known, k) if ((*k)->last_walk == c->stats.walks && (*k)->python_name[0] &&
                                  (*k)->place < w->threads.n) w->threads.items[(*k)->place]
            .python_name =
            (const char *) arena_dup(&w->sample->arena, slice_from((*k)->python_name)).data;
}

/* ---- The walk ---- */

/* Reads the stack. One that sleeps, and that the kernel has not run meanwhile, cannot have changed:
 * that is asked for by one small read. */
static int walk_stack(struct walk *w, struct known_thread *k, uint64_t runs) {
    struct stack_reader *reader = &w->c->reader;
    bool ahead = reader->ahead == k->address; /* the stack was read before the run count */

    k->slept = false;
    if (runs && k->state == CPYTHON_SLEEPING && !ahead) {
        int r = stack_walk_still(reader, k->address, w->now_ns, &k->stack);
        k->slept = r == 0 && thread_read_runs(&k->files) == runs;
        if (k->slept || r == -ENOMEM)
            return r;
    }
    return stack_walk(reader, k->address, w->now_ns, &k->stack);
}

/* What the kernel says of the thread: one that ran the last time is asked only whether it still
 * does, except for now and then, since its name may change. */
static void look_at_state(struct walk *w, struct known_thread *k) {
    bool held = w->c->want & CPYTHON_HELD;

    if (k->files.tid && k->state == CPYTHON_RUNNING && !held && ++k->looks % NAME_AGAIN_LOOKS &&
        thread_runs(&k->files))
        return;
    if (!k->files.tid || thread_read_stat(&k->files, held, &k->state, k->name) < 0)
        k->state = CPYTHON_UNKNOWN;
}

/* The stack as it is now: read, or known to be the last one. The run count is read first, then the
 * state, then the stack: whatever wakes the thread after the first changes the count. */
static int look(struct walk *w, struct known_thread *k, struct gil gil, bool *ret_torn) {
    /* one that ran the last time will hardly be the same stack: it is asked for its count once it
     * has been seen asleep */
    uint64_t runs = k->files.tid && k->state == CPYTHON_SLEEPING ? thread_read_runs(&k->files) : 0;

    *ret_torn = false;
    if (runs && runs == k->runs && k->slept)
        return 0;
    look_at_state(w, k);
    int r = walk_stack(w, k, runs);
    if (r == -EIO)
        k->stack.now.frames.n = k->stack.now.lined.n = 0; /* the thread has ended */
    *ret_torn = r == -EAGAIN;
    k->waits_gil = w->c->want & CPYTHON_GIL_WAIT && k->state == CPYTHON_SLEEPING && gil.address &&
                   thread_waits_at(&k->files, gil.address, gil.address + GIL_BYTES);
    k->runs = runs;
    return r == -ENOMEM ? r : 0;
}

static int copy_frames(struct walk *w, const struct known_thread *k, struct cpython_thread *t) {
    size_t n = k->stack.now.frames.n;
    struct cpython_frame *frames = arena_alloc(&w->sample->arena, n * sizeof(*frames));

    if (!frames)
        return -ENOMEM;
    if (n)
        memcpy(frames, k->stack.now.frames.items, n * sizeof(*frames));
    t->frames = frames;
    t->n_frames = n;
    return 0;
}

static int add_thread(struct walk *w, struct known_thread *k, uint64_t interpreter, int64_t id,
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
    if (!t.n_frames && copy_frames(w, k, &t) < 0)
        return -ENOMEM;
    t.thread_id = k->thread_id;
    t.native_id = k->native_id;
    t.state = k->state;
    t.cut = k->stack.cut;
    t.version = w->c->want & CPYTHON_AWAITERS ? 0 : k->stack.version;
    t.waits_gil = k->waits_gil && !t.holds_gil;
    k->place = w->threads.n;
    memcpy(t.name, k->name, sizeof(t.name));
    return vector_push(&w->threads, t, CPYTHON_THREADS_MAX);
}

static int walk_threads(struct walk *w, uint64_t interpreter, int64_t id) {
    struct cpython *c = w->c;
    const struct cpython_offsets *o = &c->runtime.offsets;
    struct gil gil = read_gil(c, interpreter);
    uint64_t thread;

    if (read_fixed(c, interpreter + o->interpreter.threads_head, &thread, 8) < 0)
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

static int walk_interpreters(struct walk *w) {
    struct cpython *c = w->c;
    const struct cpython_offsets *o = &c->runtime.offsets;
    uint64_t interpreter, next;
    bool named = false;

    if (read_fixed(c, c->runtime.address + o->runtime.interpreters_head, &interpreter, 8) < 0)
        return c->core || process_alive(c->pid) ? -EIO : -ESRCH;
    for (unsigned n = 0; interpreter && n < CPYTHON_INTERPRETERS_MAX; n++) {
        uint64_t id = 0;
        if (read_fixed(c, interpreter + o->interpreter.id, &id, 8) < 0 ||
            read_fixed(c, interpreter + o->interpreter.next, &next, 8) < 0)
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
    if (named)
        c->names_ns = w->now_ns;
    if (c->want & CPYTHON_THREAD_NAMES)
        put_names(w);
    return 0;
}

int cpython_sample(struct cpython *c, struct cpython_sample *s) {
    struct walk w = {.c = c, .sample = s, .now_ns = clock_monotonic_ns()};

    arena_clear(&s->arena);
    s->threads = NULL;
    s->n_threads = 0;
    c->stats.walks++;
    c->expected = 0;
    read_ahead(c);
    int r = walk_interpreters(&w);
    forget_ended(c);
    if (r == 0) {
        s->threads = arena_array(&s->arena, struct cpython_thread, w.threads.n);
        if (!s->threads)
            r = -ENOMEM;
        else if (w.threads.n)
            memcpy(s->threads, w.threads.items, w.threads.n * sizeof(*s->threads));
        s->n_threads = s->threads ? w.threads.n : 0;
    }
    vector_done(&w.threads);
    return r;
}
