/*
 * Reading a running CPython (3.8 … 3.14): its interpreters, threads, frames and lines, from outside
 * by process_vm_readv(), without pausing it and without writing anything. A process may read itself
 * the same way: cpython_open(getpid(), …), from a thread that needs no Python; anew after fork().
 * Everything read is untrusted: pointers are followed through the reader only, chains and sizes are
 * bounded, and a walk that was overtaken by the target is counted as torn.
 *
 * Facts about the layouts: offsets.h. A `struct cpython` belongs to one thread at a time.
 */
#ifndef VARAN_CPYTHON_CPYTHON_H
#define VARAN_CPYTHON_CPYTHON_H

#include "base/error.h"
#include "base/map.h"

#include <sys/types.h>

#define CPYTHON_FRAMES_MAX 2048u  /* of one stack; what lies below is left out */
#define CPYTHON_THREADS_MAX 8192u /* of one process */
#define CPYTHON_INTERPRETERS_MAX 64u

/* A code object as it was found: kept once for all samples. */
struct cpython_code {
    uint64_t address;
    uint64_t serial;           /* of no other code object that this process has met */
    const char *file, *name;   /* UTF-8; name is qualified from 3.11 on */
    int first_line, last_line; /* last: of the line table */
    uint64_t check[2];         /* name and line table pointers, against reuse of the address */
    struct slice line_table;
    uint64_t instructions; /* address of the first instruction (3.11+) */
};

struct cpython_frame {
    const struct cpython_code *code; /* valid until cpython_close() */
    int line;                        /* 0: none */
    uint64_t address;                /* of the frame in the target, for cpython_locals() */
    bool entry; /* the outermost that one call of the interpreter's loop runs */
};

enum cpython_state { CPYTHON_RUNNING, CPYTHON_SLEEPING, CPYTHON_UNKNOWN };

struct cpython_thread {
    uint64_t thread_id; /* pthread_self() */
    pid_t native_id;    /* 0: not known */
    int64_t interpreter;
    bool holds_gil;
    bool waits_gil;           /* sleeps until it gets the GIL (CPYTHON_GIL_WAIT) */
    bool torn;                /* the stack changed under the walk, twice */
    bool cut;                 /* deeper than CPYTHON_FRAMES_MAX */
    enum cpython_state state; /* the kernel's view, when the native id is known */
    uint64_t cpu_ns;          /* its CPU clock before the look (CPYTHON_CLOCKS); 0: not read */
    bool on_cpu;              /* … went on under the look */
    char name[16];            /* the kernel's name of the thread */
    const char *python_name;  /* threading.Thread.name; NULL: none, or not asked for; valid
                                 until the next cpython_sample() */
    const struct cpython_frame *frames; /* innermost first; valid until the next cpython_sample() */
    size_t n_frames;
    uint64_t version; /* of the stack: while it is the same, so are functions and lines */
};

struct cpython_stats {
    uint64_t walks, stacks, torn, failed_reads, reads;
};

struct cpython_sample {
    struct arena arena; /* owns the arrays below */
    struct cpython_thread *threads;
    size_t n_threads;
};

struct cpython;

/* Finds the interpreter inside the process. -ESRCH: no such process; -EPERM with what to do about
 * it; -ENOENT: no CPython in it (yet); -ENOTSUP: a version that is not known. */
int cpython_open(pid_t pid, struct cpython **ret, struct error *e);
/* The same for a process that may have just begun: waits a little for its interpreter. */
int cpython_open_starting(pid_t pid, struct cpython **ret, struct error *e);
/* As cpython_open(), in the usual places only, and quicker: for a program that may become a Python
 * any moment. */
int cpython_try(pid_t pid, struct cpython **ret);
/* Opens a core file. The program's files must lie where they lay when it ran. */
int cpython_open_core(const char *path, struct cpython **ret, struct error *e);
void cpython_close(struct cpython *c);
/* The process, of a core too. */
pid_t cpython_pid(const struct cpython *c);
/* What ended the process of a core, and in which thread; false: not told. */
bool cpython_core_end(const struct cpython *c, int *ret_signal, pid_t *ret_thread);
/* "3.11.7", or "3.8" before the interpreter has come far enough to tell its patch level. */
const char *cpython_version(const struct cpython *c);
/* Whether it is a build without a GIL (3.13t, 3.14t): its threads run at the same time. */
bool cpython_free_threaded(const struct cpython *c);
/* What a sample holds beside the stacks; a set of these, none at first. */
enum {
    CPYTHON_THREAD_NAMES = 1, /* names are looked for when a thread is new, and now and then */
    CPYTHON_GIL_WAIT = 2,     /* one more read of /proc for each thread that sleeps */
    CPYTHON_HELD = 8, /* the caller holds the threads that run: a held one counts as running */
    CPYTHON_NO_STATES = 16, /* threads' states may stay unknown: much less is asked of the kernel */
    /* of this process itself: threads' CPU clocks tell who runs, and /proc is asked about few */
    CPYTHON_CLOCKS = 32,
    CPYTHON_AWAITERS = 4, /* below the frames of a running asyncio task: those of its awaiters */
};
void cpython_want(struct cpython *c, unsigned what);
/* A code object that was found to be still itself is believed for so long, unless told otherwise
 * 0.1 s: another one may come to lie where it lay. */
void cpython_trust(struct cpython *c, int64_t code_ns);
/* The file that the interpreter lives in, as the target sees it. */
const char *cpython_path(const struct cpython *c);

/* Walks all threads of all interpreters. `s` must be initialised by cpython_sample_init() and is
 * filled anew. 0; -ESRCH when the process has ended; -EIO when nothing could be read. */
void cpython_sample_init(struct cpython_sample *s);
void cpython_sample_done(struct cpython_sample *s);
int cpython_sample(struct cpython *c, struct cpython_sample *s);
/* A coroutine that asyncio runs, and how deep it stands in awaits. */
struct cpython_task {
    uint64_t address;
    const char *name;                   /* "Task-7"; "" when it cannot be read */
    pid_t native_id;                    /* of the thread that runs it now; 0: it is suspended */
    const struct cpython_frame *frames; /* innermost first, from the present wait outwards */
    size_t n_frames;
    const char *waits_for;    /* type of what the innermost frame awaits ("Future"); NULL: none */
    const uint32_t *awaiters; /* places of the tasks that wait for this one */
    size_t n_awaiters;
};

#define CPYTHON_TASKS_MAX 65536u
#define CPYTHON_AWAITERS_MAX 64u

struct cpython_tasks {
    struct arena arena; /* owns the array */
    struct cpython_task *items;
    size_t n;
};

/* All asyncio tasks of all loops (CPython's own C implementation of them), with the stacks of the
 * last sample for those that run: call it right after cpython_sample(). As there about `t`. */
void cpython_tasks_init(struct cpython_tasks *t);
void cpython_tasks_done(struct cpython_tasks *t);
int cpython_read_tasks(struct cpython *c, struct cpython_tasks *t);

/* ---- Greenlets ---- */

#define CPYTHON_GREENLETS_MAX 65536u

/* A suspended greenlet (gevent's and eventlet's too). */
struct cpython_greenlet {
    uint64_t address;
    const char *type;                   /* "greenlet", "Greenlet", "GreenThread" */
    const struct cpython_frame *frames; /* innermost first */
    size_t n_frames;
};

struct cpython_greenlets {
    struct arena arena; /* owns the array */
    struct cpython_greenlet *items;
    size_t n;
};

/* All suspended greenlets, where the package is imported; none of free-threaded builds. Call it
 * after cpython_sample(), whose stacks tell which of them run. */
void cpython_greenlets_init(struct cpython_greenlets *g);
void cpython_greenlets_done(struct cpython_greenlets *g);
int cpython_read_greenlets(struct cpython *c, struct cpython_greenlets *g);

/* ---- Locks ---- */

#define CPYTHON_LOCKS_MAX 65536u

/* A threading.Lock or RLock that some thread has in hand. */
struct cpython_lock {
    uint64_t address;
    const char *name; /* what a frame that waits for it or holds it calls it; NULL: not known */
    bool reentrant, locked;
    bool parked;       /* somebody waits, from 3.13 on */
    uint64_t futex;    /* where its waiters sleep; 0: elsewhere */
    uint64_t owner_id; /* thread_id of an RLock's holder; 0: not told */
    size_t holder;     /* place of the thread in the sample; SIZE_MAX: not known */
    size_t frame;      /* of the `with` that holds it, when that is known */
    bool frame_known;
};

/* What a thread sleeps for. */
struct cpython_wait {
    size_t lock;       /* SIZE_MAX: none that is known */
    size_t frame;      /* which has the lock in hand */
    size_t thread;     /* whose end is waited for (Thread.join()); SIZE_MAX: none */
    bool notification; /* in Condition.wait(): the lock is its own, a notify() frees it */
    uint64_t futex; /* it sleeps there, whatever that is; 0: it does not, or it waits for the GIL */
};

struct cpython_locks {
    struct arena arena; /* owns the arrays */
    struct cpython_lock *items;
    size_t n;
    struct cpython_wait *waits; /* by thread of the sample */
};

/* Of the threads of the last sample: call it right after cpython_sample(). */
void cpython_locks_init(struct cpython_locks *l);
void cpython_locks_done(struct cpython_locks *l);
int cpython_read_locks(struct cpython *c, const struct cpython_sample *s,
                       struct cpython_locks *ret);
/* The thread that must go on first: SIZE_MAX: none, or not known. */
size_t cpython_waits_on(const struct cpython_locks *l, size_t thread);
/* The circle of threads that wait for each other, from `thread` on; 0: it is in none. */
size_t cpython_deadlock(const struct cpython_locks *l, size_t n_threads, size_t thread,
                        size_t *ret_circle, size_t room);

/* A local variable and what is in it, as repr() would say it, bounded; "<Type at 0x…>" for what is
 * no plain value. */
struct cpython_variable {
    const char *name, *value;
};

#define CPYTHON_VARIABLES_MAX 256u /* of one frame */

/* The local variables of a frame, as they are now: -EAGAIN when the frame runs something else
 * meanwhile. The array and its texts live in `to`. */
int cpython_locals(struct cpython *c, const struct cpython_frame *f, struct arena *to,
                   struct cpython_variable **ret, size_t *ret_n);
void cpython_read_stats(const struct cpython *c, struct cpython_stats *ret);

#endif
