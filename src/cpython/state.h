/* What is kept of a target between walks. Internal to cpython/; one owner at a time. */
#ifndef VARAN_CPYTHON_STATE_H
#define VARAN_CPYTHON_STATE_H

#include "cpython/cpython.h"
#include "cpython/names.h"
#include "cpython/runtime.h"
#include "cpython/stack.h"
#include "cpython/thread_stat.h"

/* Where asyncio keeps its tasks; see tasks.c. */
struct asyncio_places {
    int64_t looked_ns;      /* 0: never */
    uint64_t interpreter;   /* that `current` was found in */
    uint64_t current;       /* up to 3.13: the dict of loops' present tasks */
    bool told;              /* 3.14: the offsets that follow are known */
    uint32_t running, head; /* in a thread's state: its running task, its list of tasks */
    uint32_t orphans;       /* in an interpreter's state: tasks of threads that ended */
    uint32_t node;          /* in a task: its place in the list */
};

/* The GIL of an interpreter. */
struct gil {
    uint64_t address;  /* 0: it has none */
    uint64_t holder;   /* the thread state that has it; 0: none, or not known */
    bool known;        /* what follows can be believed */
    uint64_t words;    /* address of: */
    uint64_t last;     /* the thread state that had it last, or has it */
    uint64_t switches; /* how often it came to another thread */
};

struct known_thread {
    uint64_t address, thread_id;
    pid_t native_id;
    pid_t told_id; /* as the target tells it: in its own namespace of process ids */
    struct thread_files files;
    struct stack stack;
    enum cpython_state state;
    unsigned looks; /* at its state, that asked for more than whether it still runs */
    char name[16];
    uint64_t asked;     /* the walk that asked the kernel about it */
    uint64_t runs;      /* how often it was put on a processor; 0: not asked */
    bool on_cpu;        /* its clock went on under the look (CPYTHON_CLOCKS) */
    bool asleep;        /* in this walk as in the last one, and has not run meanwhile */
    bool good;          /* `stack` was whole and consistent when it was read */
    bool still;         /* it is what it was in the last walk */
    bool read_ahead;    /* `raw` is of this walk */
    uint64_t last_walk; /* that met the thread */
    uint8_t *raw;       /* its thread state */
    bool waits_gil;
    size_t place;                      /* in the sample that is being made */
    char python_name[THREAD_NAME_MAX]; /* "": not known */
};

/* What a walk needs of it stands together, behind a path that is long and before data that is
 * larger. */
struct cpython {
    struct cpython_runtime runtime;
    pid_t pid;
    struct core_file *core; /* NULL: the process lives */
    struct namespaced_threads namespaced;
    struct memory_reader memory;
    VECTOR(struct known_thread *) known;
    size_t expected; /* index in `known` of the thread that is probably next in the list */
    VECTOR(struct known_thread *) by_address; /* the same, sorted */
    bool known_changed;                       /* since it was */
    VECTOR(struct cpython_thread) threads;    /* of the sample that is being made */
    uint64_t interpreter;                     /* the first one, in the last walk */
    unsigned interpreters;                    /* met by it */
    struct gil gil;                           /* of the first one, as of the walk's begin */
    struct group *group;                      /* see ahead.c */
    uint8_t *merged;
    struct cpython_stats stats;
    unsigned want;
    struct pages fixed; /* of the runtime's and interpreters' states; as of the walk's begin */
    struct page_hints fixed_hints;
    struct arena scratch;
    int64_t names_ns; /* when names were read; 0: never */
    struct asyncio_places asyncio;
    struct stack_reader reader;
};

/* Whether names should be looked for in this walk. */
bool known_names_due(struct cpython *c, int64_t now_ns);
/* Reads the names of threads that have none, and of all once in a while: threads are renamed. */
void known_names_read(struct cpython *c, uint64_t interpreter);

#endif
