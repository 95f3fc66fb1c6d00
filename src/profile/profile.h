/*
 * What was sampled: a trie of stacks with counts by thread. Functions, frames and threads are
 * numbered in the order they were first seen; texts are copied, so a profile outlives its targets.
 * Bounded: beyond a limit a stack is counted in `dropped`. One owner at a time.
 */
#ifndef VARAN_PROFILE_PROFILE_H
#define VARAN_PROFILE_PROFILE_H

#include "base/map.h"
#include "base/vector.h"
#include "cpython/cpython.h"

#define PROFILE_FUNCTIONS_MAX 1000000u
#define PROFILE_FRAMES_MAX 2000000u
#define PROFILE_NODES_MAX 8000000u
#define PROFILE_THREADS_MAX 100000u
#define PROFILE_SPANS_MAX 4000000u
#define PROFILE_BYTES_MAX ((size_t) 1 << 30)

struct profile_function {
    const char *name, *file; /* UTF-8 */
    int first_line;
    int last_line;   /* of its line table; 0: not known */
    uint64_t serial; /* of the code object that was last found to be this function; 0: none */
};

/* A place in a function. */
struct profile_frame {
    uint32_t function;
    int line; /* 0: none */
};

/* A stack: the frame it ends with and the stack it was called from. Node 0 is the empty stack. */
struct profile_node {
    uint32_t parent, frame;
};

struct profile_thread {
    pid_t pid, native_id;
    uint64_t thread_id;
    const char *name; /* its name in Python, "main", the kernel's name, "thread" */
    uint64_t samples;
    uint64_t version; /* of the stack that was counted last; 0: none */
    uint32_t node;    /* that stack */
    uint32_t count;   /* its place in `counts` */
};

/* How often a thread was seen in exactly that stack. */
struct profile_count {
    uint32_t node, thread;
    uint64_t samples;
};

/* Ticks in a row in which a thread had the same stack, for formats that have a time axis. */
struct profile_span {
    uint32_t node, thread;
    uint64_t first_tick, last_tick;
};

/* Lines of a function's source, as they were when the profile was taken. */
struct profile_source {
    uint32_t function;
    int first_line;
    const char *text; /* with line breaks between */
};

struct profile_stats {
    uint64_t ticks;   /* walks that were made */
    uint64_t samples; /* stacks that were counted */
    uint64_t torn;    /* stacks that changed while they were read: not counted */
    uint64_t late;    /* walks that began more than half a period after their time */
    uint64_t missed;  /* walks that were left out because an earlier one took too long */
    uint64_t dropped; /* stacks beyond a limit of the profile */
    uint64_t cut;     /* stacks whose outermost calls are missing: too deep */
};

struct profile {
    int64_t start_ns, duration_ns; /* wall clock; set by the recorder */
    int64_t period_ns;
    bool timeline;         /* keep spans */
    bool functions_only;   /* set before the first stack: lines are not told apart */
    bool threads_as_roots; /* set before the first stack: every stack begins with its thread */
    bool no_thread_roots;  /* set before merging: stacks lose the thread that they begin with */
    char title[256];
    struct profile_stats stats;
    VECTOR(struct profile_function) functions;
    VECTOR(struct profile_frame) frames;
    VECTOR(struct profile_node) nodes;
    VECTOR(struct profile_thread) threads;
    size_t expected; /* index in `threads` of the one whose stack probably comes next */
    VECTOR(struct profile_count) counts;
    VECTOR(struct profile_count) base; /* of a profile to compare with; its stacks are nodes here */
    VECTOR(struct profile_source) sources;
    VECTOR(struct profile_span) spans;
    VECTOR(uint32_t) open_spans; /* by thread: index of its last span + 1 */
    struct map code_ids, function_ids, frame_ids, node_ids, thread_ids, count_ids;
    struct arena texts;
};

/* 0 or -ENOMEM; profile_done() in both cases. */
int profile_init(struct profile *p);
void profile_done(struct profile *p);
/* The number of a function; 0 or more, -ENOBUFS, -ENOMEM. */
int64_t profile_add_function(struct profile *p, const char *name, const char *file, int first_line);
int64_t profile_add_frame(struct profile *p, uint32_t function, int line);
/* The stack `parent` with `frame` called from it. */
int64_t profile_add_node(struct profile *p, uint32_t parent, uint32_t frame);
int64_t profile_add_thread(struct profile *p, pid_t pid, const struct cpython_thread *t);
/* Counts a stack once, at the present tick (stats.ticks). A torn one is only counted as torn. 0;
 * -ENOBUFS (counted as dropped), -ENOMEM. */
int profile_add_stack(struct profile *p, pid_t pid, const struct cpython_thread *t);

/* The numbers of a stack's node and thread, without counting it: 0, -ENOBUFS, -ENOMEM. */
int profile_place_stack(struct profile *p, pid_t pid, const struct cpython_thread *t,
                        uint32_t *ret_node, uint32_t *ret_thread);

/* ---- Profiles out of others: edit.c ---- */

/* A thread by what it is called: its number, as the functions above. */
int64_t profile_name_thread(struct profile *p, pid_t pid, pid_t native_id, const char *name);
/* The node that the thread's stacks begin with: 0, or its own (threads_as_roots). */
int64_t profile_thread_root(struct profile *p, uint32_t thread);
/* Adds `samples` of a stack for a thread: 0, -ENOBUFS, -ENOMEM. */
int profile_add_samples(struct profile *p, uint32_t node, uint32_t thread, uint64_t samples);
/* Does every stack begin with its thread, as threads_as_roots lets them? Also of a file that was
 * read. */
bool profile_has_thread_roots(const struct profile *p);
/* Adds the stacks of `from`, by `into`'s own flags; into `base`, to compare with, when asked. */
int profile_merge(struct profile *into, const struct profile *from, bool as_base);

/* What is to be kept; NULL: everything. Extended regular expressions (POSIX), in function names and
 * files; of threads in their names and ids. */
struct profile_filter {
    const char *include; /* only stacks with a frame that matches */
    const char *exclude; /* no stacks with such a frame */
    const char *thread;
};

/* Takes out what does not pass: 0, -EINVAL with a sentence, -ENOMEM. */
int profile_filter(struct profile *p, const struct profile_filter *filter, struct error *e);
/* Reads the source lines of the functions with most samples, from the files as the process sees and
 * may read them, or as they are here when it has ended; what is not there is left out. 0 or
 * -ENOMEM. source.c */
int profile_read_sources(struct profile *p, pid_t pid);
/* For a format with a time axis, of a profile without one: each thread's stacks in a row. */
int profile_make_spans(struct profile *p);

/* ---- The tree of calls: tree.c ---- */

struct profile_branch {
    uint32_t function;
    uint32_t parent, first, next; /* places; 0: none. Children: most samples first */
    uint32_t depth;               /* of the root, place 0: 0 */
    uint64_t own, total;
    uint64_t base; /* total in the profile compared with */
};

/* Functions called from functions. `weights`: samples of each of the profile's `counts` that are to
 * be seen; NULL: all of them. The caller frees *ret. 0 or -ENOMEM. */
int profile_tree(const struct profile *p, const uint64_t *weights, struct profile_branch **ret,
                 size_t *ret_n);

/* ---- Sums ---- */

struct profile_total {
    uint32_t id;         /* of a function, or of a frame when lines are told apart */
    uint64_t own, total; /* samples: at the end of the stack; anywhere in it, once per stack */
};

/* One row per function (or frame), in the order of their ids. The caller frees *ret. */
int profile_totals(const struct profile *p, bool lines, struct profile_total **ret, size_t *ret_n);
/* Most own samples first, then most in all. */
void profile_sort_totals(struct profile_total *rows, size_t n);
/* The frames of a stack, outermost first, at most `room`: their number. */
size_t profile_stack(const struct profile *p, uint32_t node, uint32_t *ret_frames, size_t room);

#endif
