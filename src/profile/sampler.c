/* The schedule is absolute: a walk that took too long does not shift the later ones. Each period
 * has one walk, at a chance moment of it: a program that does things at a steady pace would else be
 * seen at the same one of them always. */
#include "profile/sampler.h"
#include "base/hot.h"
#include "profile/native.h"
#include "profile/pause.h"

#include "base/clock.h"

#include <errno.h>
#include <time.h>

#define CHILDREN_EVERY_NS (NS_PER_S / 4)
#define ROOT_EVERY_NS (10 * NS_PER_MS) /* a command that starts is looked at this often */
/* Walks in a row that read nothing: the process may have become another program. */
#define FAILURES_MAX 10u
#define THOROUGH_EVERY 16u    /* of these attempts one looks into everything that is mapped */
#define OPEN_ATTEMPTS_MAX 20u /* a child that is no Python (yet) is tried this often */

struct process {
    pid_t pid;
    struct cpython *c;            /* NULL: not opened (yet) */
    struct native_stacks *native; /* NULL: not asked for, or not to be had */
    unsigned attempts, failures;
    bool root, gone, seen;
};

struct sampler {
    struct sampler_options options;
    int64_t period_ns, start_ns, children_ns, roots_ns;
    uint64_t next; /* number of the next walk */
    struct cpython_sample sample;
    struct pause pause;
    VECTOR(struct process) processes;
};

int sampler_new(const struct sampler_options *options, struct sampler **ret) {
    struct sampler *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->options = *options;
    if (s->options.rate < 1 || s->options.rate > SAMPLER_RATE_MAX) {
        free(s);
        return -EINVAL;
    }
    s->period_ns = NS_PER_S / options->rate;
    cpython_sample_init(&s->sample);
    *ret = s;
    return 0;
}

static void close_process(struct process *p) {
    native_stacks_close(p->native);
    cpython_close(p->c);
    p->native = NULL;
    p->c = NULL;
}

void sampler_free(struct sampler *s) {
    if (!s)
        return;
    vector_each(&s->processes, p) close_process(p);
    pause_done(&s->pause);
    vector_done(&s->processes);
    cpython_sample_done(&s->sample);
    free(s);
}

/* Says what is wanted of a process that was opened. */
static void want(const struct sampler *s, struct process *p) {
    bool held = s->options.blocking || s->options.native,
         unasked = s->options.no_states && s->options.include_idle && !s->options.gil_only && !held;

    cpython_want(p->c, (unasked ? CPYTHON_NO_STATES : 0u) | CPYTHON_THREAD_NAMES |
                               (s->options.awaiters ? CPYTHON_AWAITERS : 0u) |
                               (s->options.gil_wait ? CPYTHON_GIL_WAIT : 0u) |
                               (held ? CPYTHON_HELD : 0u));
    if (s->options.native && native_stacks_open(p->pid, cpython_path(p->c), &p->native) < 0)
        p->native = NULL;
}

uint64_t sampler_not_held(const struct sampler *s) {
    return s->pause.failed;
}

int sampler_add(struct sampler *s, pid_t pid, struct error *e) {
    struct process p = {.pid = pid, .root = true};
    int r = cpython_open_starting(pid, &p.c, e);

    if (r < 0)
        return r;
    want(s, &p);
    r = vector_push(&s->processes, p, SAMPLER_PROCESSES_MAX);
    if (r < 0) {
        close_process(&p);
        return error_set(e, r, "too many processes");
    }
    return 0;
}

int sampler_watch(struct sampler *s, pid_t pid) {
    struct process p = {.pid = pid, .root = true};

    return vector_push(&s->processes, p, SAMPLER_PROCESSES_MAX);
}

size_t sampler_processes(const struct sampler *s) {
    size_t n = 0;

    for (size_t i = 0; i < s->processes.n; i++)
        n += s->processes.items[i].c != NULL;
    return n;
}

void sampler_describe(const struct sampler *s, char *ret, size_t room) {
    ret[0] = 0;
    for (size_t i = 0; i < s->processes.n && !ret[0]; i++)
        if (s->processes.items[i].c)
            snprintf(ret, room, "Python %s%s, process %d", cpython_version(s->processes.items[i].c),
                     cpython_free_threaded(s->processes.items[i].c) ? " free-threaded" : "",
                     (int) s->processes.items[i].pid);
}

/* When in its period the walk of that number takes place: splitmix64. */
static HOT int64_t chance_ns(uint64_t number, int64_t period_ns) {
    uint64_t z = (number + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (int64_t) ((z ^ (z >> 31)) % (uint64_t) period_ns);
}

HOT int sampler_wait(struct sampler *s, int64_t now, int64_t most_ns, struct profile_stats *stats) {
    if (s->start_ns == 0)
        s->start_ns = now;
    if (s->pause.threads.n) { /* some stop only now: they must not wait for the next walk */
        pause_end(&s->pause);
        most_ns = s->pause.threads.n && most_ns > NS_PER_MS ? NS_PER_MS : most_ns;
    }
    int64_t begin = s->start_ns + (int64_t) s->next * s->period_ns,
            due = begin + chance_ns(s->next, s->period_ns);
    int64_t until = due - now > most_ns ? now + most_ns : due;
    if (until > now) {
        struct timespec at = {until / NS_PER_S, until % NS_PER_S};
        if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            return -EINTR;
        now = clock_monotonic_ns();
    }
    if (until < due)
        return -EAGAIN;
    int64_t behind = now - due;
    stats->late += behind > s->period_ns / 2;
    uint64_t passed = (uint64_t) ((now - begin) / s->period_ns),
             skipped = passed ? passed - 1 : 0; /* periods that passed from end to end */
    stats->missed += skipped;
    stats->ticks += skipped; /* ticks number the time axis; those left out keep their place */
    s->next += skipped + 1;
    return 0;
}

static int note_child(void *ctx, pid_t child) {
    struct sampler *s = ctx;

    vector_each(&s->processes, p) {
        if (p->pid == child) {
            p->seen = true;
            return 0;
        }
    }
    struct process p = {.pid = child, .seen = true};
    return vector_push(&s->processes, p, SAMPLER_PROCESSES_MAX);
}

static void try_open(struct sampler *s, struct process *p) {
    bool thorough = ++p->attempts % THOROUGH_EVERY == 0;

    p->failures = 0;
    if ((thorough ? cpython_open(p->pid, &p->c, NULL) : cpython_try(p->pid, &p->c)) < 0)
        p->c = NULL;
    else
        want(s, p);
}

/* Finds new children, opens those that have become a Python, forgets those that ended. */
static void poll_children(struct sampler *s) {
    size_t n = s->processes.n, kept = 0;

    vector_each(&s->processes, p) p->seen = false;
    for (size_t i = 0; i < n; i++)
        if (s->processes.items[i].root)
            process_descendants(s->processes.items[i].pid, note_child, s);
    vector_each(&s->processes, p) {
        if (!p->c && !p->gone && !p->root && p->attempts < OPEN_ATTEMPTS_MAX)
            try_open(s, p);
    }
    for (size_t i = 0; i < s->processes.n; i++) {
        struct process *p = &s->processes.items[i];
        if (p->root || p->seen || p->c)
            s->processes.items[kept++] = *p;
    }
    s->processes.n = kept;
}

/* Whether there may be something to open. */
static HOT bool waits_for_processes(const struct sampler *s) {
    if (s->options.subprocesses)
        return true;
    for (size_t i = 0; i < s->processes.n; i++)
        if (s->processes.items[i].root && !s->processes.items[i].c && !s->processes.items[i].gone)
            return true;
    return false;
}

static void look_around(struct sampler *s) {
    int64_t now = clock_monotonic_ns();

    if (now - s->roots_ns >= ROOT_EVERY_NS) {
        s->roots_ns = now;
        vector_each(&s->processes, p) {
            if (p->root && !p->c && !p->gone)
                try_open(s, p);
        }
    }
    if (s->options.subprocesses && now - s->children_ns >= CHILDREN_EVERY_NS) {
        s->children_ns = now;
        poll_children(s);
    }
}

static HOT bool counts(const struct sampler_options *o, const struct cpython_thread *t) {
    if (t->n_frames == 0 && !t->torn)
        return false;
    if (o->gil_only)
        return t->holds_gil;
    return o->include_idle || t->holds_gil || t->state != CPYTHON_SLEEPING;
}

/* Hands on the stacks that count, with their native frames where those were captured. */
static HOT void hand_on(struct sampler *s, struct process *p, sampler_fn *fn, void *ctx) {
    for (size_t i = 0; i < s->sample.n_threads; i++) {
        struct cpython_thread *t = &s->sample.threads[i];
        if (!counts(&s->options, t))
            continue;
        if (p->native)
            native_stacks_merge(p->native, &s->sample.arena,
                                t); /* without memory: Python's frames alone */
        fn(ctx, p->pid, t);
    }
}

static int sample_held(struct sampler *s, struct process *p) {
    pause_begin(&s->pause, p->pid, s->options.native && s->options.include_idle);
    int r = cpython_sample(p->c, &s->sample);
    if (r == 0 && p->native) {
        native_stacks_clear(p->native);
        for (size_t i = 0; i < s->sample.n_threads; i++) {
            const struct cpython_thread *t = &s->sample.threads[i];
            if (counts(&s->options, t) && pause_holds(&s->pause, t->native_id))
                native_stacks_capture(p->native, t->native_id);
        }
    }
    pause_end(&s->pause);
    return r;
}

static HOT bool tick_process(struct sampler *s, struct process *p, sampler_fn *fn, void *ctx) {
    bool held = s->options.blocking || s->options.native;
    int r = held ? sample_held(s, p) : cpython_sample(p->c, &s->sample);

    p->failures = r < 0 ? p->failures + 1 : 0;
    if (r == -ESRCH || p->failures >= FAILURES_MAX) {
        close_process(p);
        p->gone = r == -ESRCH;
        p->attempts = 0;
        return false;
    }
    if (r == 0)
        hand_on(s, p, fn, ctx);
    return true;
}

HOT int sampler_tick(struct sampler *s, struct profile_stats *stats, sampler_fn *fn, void *ctx) {
    bool any = false;

    stats->ticks++;
    if (waits_for_processes(s))
        look_around(s);
    vector_each(&s->processes, p) {
        if (p->c && tick_process(s, p, fn, ctx))
            any = true;
    }
    return any ? 0 : -ESRCH;
}
