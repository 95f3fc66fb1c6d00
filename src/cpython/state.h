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

struct known_thread {
    uint64_t address, thread_id;
    pid_t native_id;
    pid_t told_id; /* as the target tells it: in its own namespace of process ids */
    struct thread_files files;
    struct stack stack;
    enum cpython_state state;
    unsigned looks; /* while it ran */
    char name[16];
    uint64_t runs;      /* 0: not known, the stack must be walked */
    bool slept;         /* `stack` was read while the thread slept, whole and consistent */
    bool read_ahead;    /* `raw` is of this walk */
    uint64_t last_walk; /* that met the thread */
    uint8_t *raw;       /* its thread state */
    bool waits_gil;
    size_t place;                      /* in the sample that is being made */
    char python_name[THREAD_NAME_MAX]; /* "": not known */
};

struct cpython {
    pid_t pid;
    struct core_file *core; /* NULL: the process lives */
    struct namespaced_threads namespaced;
    struct memory_reader memory;
    struct cpython_runtime runtime;
    struct stack_reader reader;
    VECTOR(struct known_thread *) known;
    size_t expected; /* index in `known` of the thread that is probably next in the list */
    struct cpython_stats stats;
    unsigned want;
    struct pages fixed; /* of the runtime's and interpreters' states; as of the walk's begin */
    struct page_hints fixed_hints;
    struct arena scratch;
    int64_t names_ns; /* when names were read; 0: never */
    struct asyncio_places asyncio;
};

/* Whether names should be looked for in this walk. */
bool known_names_due(struct cpython *c, int64_t now_ns);
/* Reads the names of threads that have none, and of all once in a while: threads are renamed. */
void known_names_read(struct cpython *c, uint64_t interpreter);

#endif
