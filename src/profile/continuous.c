/* See continuous.h. A target's stacks are a trie that begins anew with each window; what a stack
 * cost is summed by thread. CPU time is the kernel's, per thread, and charged to the next stack
 * that is seen at work, as the agent does it. */
#include "profile/continuous.h"

#include "base/clock.h"
#include "profile/profile.h"
#include "profile/target_file.h"
#include "profile/texts.h"
#include "wire/pprof.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define COST_SHARE 110 /* a walk's time times this is the least period: 0.9 % of a processor */
#define PERIOD_NS_MAX (2 * NS_PER_S)
#define FAILURES_MAX 10u
#define OPEN_ATTEMPTS_MAX 5u /* looks at a process that is no Python (yet) */
#define KNOWN_MAX 8192u
#define COSTS_MAX 200000u /* stacks and threads of one window */
#define WINDOW_BYTES_MAX ((size_t) 32 << 20)

enum { CPU, WALL, GIL_WAIT, VALUES };

struct cost {
    uint32_t node, thread;
    uint64_t ns[VALUES];
};

struct thread_cpu {
    pid_t tid;
    uint64_t ns;     /* what the kernel said last */
    uint64_t window; /* in which it was read last */
};

struct target {
    struct process_info info;
    struct cpython *c;
    struct profile profile;
    struct function_texts *texts; /* NULL: they are not wanted */
    VECTOR(struct cost) costs;
    struct map cost_ids;
    VECTOR(struct thread_cpu) threads;
    struct map thread_ids;
    unsigned failures;
    bool seen;
    uint64_t window;
    int64_t last_ns, start_wall_ns, start_ns, end_ns;
};

/* A process that matches and is not sampled (yet). */
struct known {
    pid_t pid;
    uint64_t start_ticks;
    unsigned attempts;
    bool settled, seen;
};

struct continuous {
    struct continuous_options o;
    struct cpython_sample sample;
    struct target *targets[CONTINUOUS_TARGETS_MAX];
    size_t n;
    VECTOR(struct known) known;
    struct continuous_stats stats;
    int64_t period_ns, cost_ns, last_ns;
};

static int64_t thread_cpu_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int continuous_new(const struct continuous_options *o, struct continuous **ret) {
    struct continuous *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    if (o->rate_max < 1 || o->rate_max > CONTINUOUS_RATE_MAX) {
        free(c);
        return -EINVAL;
    }
    c->o = *o;
    c->period_ns = NS_PER_S / o->rate_max;
    cpython_sample_init(&c->sample);
    *ret = c;
    return 0;
}

static void target_free(struct target *t) {
    if (!t)
        return;
    cpython_close(t->c);
    profile_done(&t->profile);
    function_texts_free(t->texts);
    vector_done(&t->costs);
    map_done(&t->cost_ids);
    vector_done(&t->threads);
    map_done(&t->thread_ids);
    free(t);
}

void continuous_free(struct continuous *c) {
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        target_free(c->targets[i]);
    vector_done(&c->known);
    cpython_sample_done(&c->sample);
    free(c);
}

/* ---- Windows ---- */

static void begin_window(struct target *t) {
    t->start_ns = clock_monotonic_ns();
    t->start_wall_ns = clock_now_ns();
    /* Windows end every ten seconds sharp, at another moment for each process. */
    int64_t phase = NS_PER_S / 2 + (int64_t) t->info.pid * 7919 % 9000 * NS_PER_MS;
    int64_t since = (t->start_wall_ns + CONTINUOUS_WINDOW_NS - phase) % CONTINUOUS_WINDOW_NS;
    t->end_ns = t->start_ns + CONTINUOUS_WINDOW_NS - since;
    if (t->end_ns - t->start_ns < NS_PER_S)
        t->end_ns += CONTINUOUS_WINDOW_NS;
    t->window++;
}

/* Threads that were not met since the last window have ended. */
static void forget_ended(struct target *t) {
    size_t kept = 0;

    map_clear(&t->thread_ids);
    for (size_t i = 0; i < t->threads.n; i++)
        if (t->threads.items[i].window == t->window) {
            struct map_entry *e = map_put(
                    &t->thread_ids,
                    slice_new(&t->threads.items[i].tid, sizeof(t->threads.items[i].tid)), NULL);
            if (!e)
                break;
            e->number = kept;
            t->threads.items[kept++] = t->threads.items[i];
        }
    t->threads.n = kept;
}

static void write_costs(struct target *t, struct pprof_writer *w) {
    static const struct pprof_frame none;
    uint32_t places[PPROF_FRAMES_MAX];
    struct pprof_frame frames[PPROF_FRAMES_MAX];

    vector_each(&t->costs, c) {
        const int64_t values[VALUES] = {(int64_t) c->ns[CPU], (int64_t) c->ns[WALL],
                                        (int64_t) c->ns[GIL_WAIT]};
        size_t n = profile_stack(&t->profile, c->node, places, PPROF_FRAMES_MAX);
        for (size_t i = 0; i < n; i++) { /* the trie's order is outermost first */
            const struct profile_frame *f = &t->profile.frames.items[places[n - 1 - i]];
            const struct profile_function *fn = &t->profile.functions.items[f->function];
            frames[i] = none;
            frames[i].function = slice_from(fn->name);
            frames[i].file = slice_from(fn->file);
            frames[i].line = f->line;
            frames[i].start_line = fn->first_line;
        }
        const char *name = t->profile.threads.items[c->thread].name;
        const struct pprof_label label = {
                .key = SLICE("thread_name"),
                .text = slice_from(strcmp(name, "main") == 0 ? "MainThread" : name)};
        pprof_write_sample(w, &(struct pprof_sample){.frames = frames,
                                                     .n_frames = n,
                                                     .values = values,
                                                     .n_values = VALUES,
                                                     .labels = &label,
                                                     .n_labels = 1});
    }
}

static void write_texts(struct target *t, struct pprof_writer *w) {
    uint64_t *costs = t->texts ? calloc(t->profile.nodes.n + 1, sizeof(*costs)) : NULL;

    if (!costs)
        return;
    vector_each(&t->costs, c) for (int i = 0; i < VALUES; i++) costs[c->node] += c->ns[i];
    profile_write_texts(t->texts, &t->profile, costs, VALUES, w);
    free(costs);
}

static void seal(struct continuous *c, struct target *t) {
    const struct pprof_value_type types[VALUES] = {
            [CPU] = {SLICE("cpu"), SLICE("nanoseconds")},
            [WALL] = {SLICE("wall"), SLICE("nanoseconds")},
            [GIL_WAIT] = {SLICE("gil_wait"), SLICE("nanoseconds")},
    };
    struct pprof_writer w;
    struct buffer body;

    if (t->costs.n) {
        buffer_init(&body, WINDOW_BYTES_MAX);
        pprof_writer_init(&w, types, VALUES, WINDOW_BYTES_MAX);
        write_costs(t, &w);
        write_texts(t, &w);
        if (pprof_write_end(&w, t->start_wall_ns, clock_monotonic_ns() - t->start_ns, &types[WALL],
                            c->period_ns, &body) == 0) {
            c->stats.windows++;
            c->o.sealed(c->o.ctx, &t->info, cpython_version(t->c), buffer_slice(&body));
        } else {
            c->stats.dropped += t->costs.n;
        }
        pprof_writer_done(&w);
        buffer_done(&body);
    }
    forget_ended(t);
    map_clear(&t->cost_ids);
    t->costs.n = 0;
    profile_done(&t->profile);
    profile_init(&t->profile); /* without memory its stacks are counted as dropped */
    begin_window(t);
}

void continuous_seal(struct continuous *c) {
    for (size_t i = 0; i < c->n; i++)
        seal(c, c->targets[i]);
}

/* ---- Finding processes ---- */

static struct known *find_known(struct continuous *c, const struct process_info *p) {
    const struct known fresh = {.pid = p->pid, .start_ticks = p->start_ticks};

    vector_each(&c->known, k) {
        if (k->pid == p->pid && k->start_ticks == p->start_ticks)
            return k;
    }
    if (vector_push(&c->known, fresh, KNOWN_MAX) < 0)
        return NULL;
    return &c->known.items[c->known.n - 1];
}

static int open_file(void *ctx, const char *path) {
    const struct target *t = ctx;

    return target_open(t->info.pid, path);
}

static int open_target(struct continuous *c, struct process_info *p, struct error *e) {
    struct target *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    int r = profile_init(&t->profile);
    if (r == 0)
        r = cpython_open(p->pid, &t->c, e);
    if (r == 0 && c->o.source)
        r = function_texts_new(process_began_ns(p), open_file, t, &t->texts);
    if (r < 0) {
        target_free(t);
        return r;
    }
    map_init(&t->cost_ids, COSTS_MAX, COSTS_MAX * 16);
    map_init(&t->thread_ids, CPYTHON_THREADS_MAX, CPYTHON_THREADS_MAX * 16);
    cpython_want(t->c, CPYTHON_THREAD_NAMES | CPYTHON_GIL_WAIT);
    t->info = *p;
    t->seen = true;
    t->last_ns = clock_monotonic_ns();
    begin_window(t);
    c->targets[c->n++] = t;
    return 0;
}

static void attach(struct continuous *c, struct process_info *p, struct known *k) {
    struct error e = ERROR_NONE;

    process_name(p);
    if (c->o.service)
        snprintf(p->service, sizeof(p->service), "%s", c->o.service);
    k->attempts++;
    if (process_has_profiler(p->pid)) {
        k->settled = true;
        c->o.tell(c->o.ctx, CONTINUOUS_HAS_AGENT, p, "");
        return;
    }
    if (c->n == CONTINUOUS_TARGETS_MAX) {
        k->settled = true;
        c->o.tell(c->o.ctx, CONTINUOUS_REFUSED, p, "too many processes match already");
        return;
    }
    int r = open_target(c, p, &e);
    if (r == 0)
        c->o.tell(c->o.ctx, CONTINUOUS_ATTACHED, p, cpython_version(c->targets[c->n - 1]->c));
    else if (r != -ENOENT && r != -ESRCH) /* not (yet) a Python: a shell around it, for example */
        c->o.tell(c->o.ctx, CONTINUOUS_REFUSED, p, e.text);
    k->settled = r != -ENOENT || k->attempts >= OPEN_ATTEMPTS_MAX;
}

static int met(void *ctx, const struct process_info *p) {
    struct continuous *c = ctx;
    struct process_info info = *p;

    if (c->o.pid && p->pid != c->o.pid)
        return 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->targets[i]->info.pid == p->pid &&
            c->targets[i]->info.start_ticks == p->start_ticks) {
            c->targets[i]->seen = true;
            return 0;
        }
    struct known *k = find_known(c, p);
    if (!k)
        return 0;
    k->seen = true;
    if (!k->settled)
        attach(c, &info, k);
    return 0;
}

static void leave(struct continuous *c, size_t i, enum continuous_event why) {
    struct target *t = c->targets[i];

    if (why == CONTINUOUS_ENDED)
        seal(c, t);
    c->o.tell(c->o.ctx, why, &t->info, "");
    target_free(t);
    c->targets[i] = c->targets[--c->n];
}

size_t continuous_look(struct continuous *c) {
    size_t kept = 0;

    vector_each(&c->known, k) k->seen = false;
    for (size_t i = 0; i < c->n; i++)
        c->targets[i]->seen = false;
    process_each(c->o.regex, met, c);
    for (size_t i = c->n; i > 0; i--) {
        const struct target *t = c->targets[i - 1];
        if (!t->seen)
            leave(c, i - 1, CONTINUOUS_ENDED);
        else if (process_has_profiler(t->info.pid)) /* it began a moment after the program */
            leave(c, i - 1, CONTINUOUS_HAS_AGENT);
    }
    for (size_t i = 0; i < c->known.n; i++)
        if (c->known.items[i].seen)
            c->known.items[kept++] = c->known.items[i];
    c->known.n = kept;
    return c->n;
}

/* ---- Walking ---- */

static bool read_cpu(pid_t pid, pid_t tid, uint64_t *ret) {
    char path[64], text[128];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int) pid, (int) tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    unsigned long long ns;
    text[n > 0 ? n : 0] = 0;
    if (sscanf(text, "%llu", &ns) != 1)
        return false;
    *ret = ns;
    return true;
}

/* CPU time since the thread was last seen at work. Of one that sleeps nothing is read: what it used
 * before is charged when it works again. */
static uint64_t cpu_cost(struct target *t, const struct cpython_thread *thread,
                         uint64_t passed_ns) {
    bool works = thread->state != CPYTHON_SLEEPING || thread->holds_gil, is_new;
    const struct thread_cpu fresh = {.tid = thread->native_id};
    uint64_t now;

    if (!thread->native_id)
        return works && thread->holds_gil ? passed_ns : 0; /* a namespace of its own */
    struct map_entry *e = map_put(
            &t->thread_ids, slice_new(&thread->native_id, sizeof(thread->native_id)), &is_new);
    if (!e)
        return 0;
    if (is_new) {
        e->number = t->threads.n;
        if (vector_push(&t->threads, fresh, CPYTHON_THREADS_MAX) < 0)
            return 0;
    }
    struct thread_cpu *k = &t->threads.items[e->number];
    k->window = t->window;
    if ((!works && !is_new) || !read_cpu(t->info.pid, thread->native_id, &now))
        return 0;
    uint64_t cost = is_new ? 0 : now - k->ns; /* what it did before is not charged */
    k->ns = now;
    return cost;
}

static struct cost *cost_of(struct target *t, uint32_t node, uint32_t thread) {
    const uint32_t key[] = {node, thread};
    const struct cost fresh = {.node = node, .thread = thread};
    bool is_new;
    struct map_entry *e = map_put(&t->cost_ids, slice_new(key, sizeof(key)), &is_new);

    if (!e)
        return NULL;
    if (is_new) {
        e->number = t->costs.n;
        if (vector_push(&t->costs, fresh, COSTS_MAX) < 0)
            return NULL;
    }
    return &t->costs.items[e->number];
}

static void add_thread(struct continuous *c, struct target *t, const struct cpython_thread *thread,
                       uint64_t passed_ns) {
    uint32_t node, place;

    if (thread->torn || thread->n_frames == 0) {
        c->stats.torn += thread->torn;
        return;
    }
    const uint64_t ns[VALUES] = {cpu_cost(t, thread, passed_ns), c->o.wall ? passed_ns : 0,
                                 thread->waits_gil ? passed_ns : 0};
    if (!(ns[CPU] | ns[WALL] | ns[GIL_WAIT]))
        return;
    struct cost *cost = NULL;
    if (profile_place_stack(&t->profile, t->info.pid, thread, &node, &place) == 0)
        cost = cost_of(t, node, place);
    if (!cost) {
        c->stats.dropped++;
        return;
    }
    for (int i = 0; i < VALUES; i++)
        cost->ns[i] += ns[i];
    c->stats.samples++;
}

/* False: the process has ended, or has become something else. */
static bool walk(struct continuous *c, struct target *t) {
    int64_t now = clock_monotonic_ns();
    int r = cpython_sample(t->c, &c->sample);

    for (size_t i = 0; r == 0 && i < c->sample.n_threads; i++)
        add_thread(c, t, &c->sample.threads[i], (uint64_t) (now - t->last_ns));
    t->last_ns = now;
    t->failures = r < 0 ? t->failures + 1 : 0;
    return r != -ESRCH && t->failures < FAILURES_MAX;
}

void continuous_tick(struct continuous *c) {
    int64_t before = thread_cpu_ns();

    c->last_ns = clock_monotonic_ns();
    c->stats.walks++;
    for (size_t i = c->n; i > 0; i--) {
        if (!walk(c, c->targets[i - 1]))
            leave(c, i - 1, CONTINUOUS_ENDED);
        else if (c->last_ns >= c->targets[i - 1]->end_ns)
            seal(c, c->targets[i - 1]);
    }
    int64_t cost = thread_cpu_ns() - before;
    c->stats.cpu_ns += cost;
    c->cost_ns = c->cost_ns ? (c->cost_ns * 7 + cost) / 8 : cost;
    c->period_ns = c->cost_ns * COST_SHARE;
    if (c->period_ns < NS_PER_S / c->o.rate_max)
        c->period_ns = NS_PER_S / c->o.rate_max;
    if (c->period_ns > PERIOD_NS_MAX)
        c->period_ns = PERIOD_NS_MAX;
}

int64_t continuous_due_ns(const struct continuous *c) {
    return c->last_ns + c->period_ns;
}

void continuous_read_stats(const struct continuous *c, struct continuous_stats *ret) {
    *ret = c->stats;
}
