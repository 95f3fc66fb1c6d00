/*
 * Continuous profiling from outside: processes are found by their command lines and sampled as they
 * come and go; what they did is handed over window by window, as pprof. The caller drives it: look
 * around now and then, tick when it is due. One thread.
 */
#ifndef VARAN_PROFILE_CONTINUOUS_H
#define VARAN_PROFILE_CONTINUOUS_H

#include "base/memory.h"
#include "cpython/cpython.h"

#include <stdbool.h>

#define CONTINUOUS_TARGETS_MAX 256u
#define CONTINUOUS_RATE_MAX 250u
#define CONTINUOUS_WINDOW_NS (INT64_C(10) * 1000000000)
#define SERVICE_BYTES_MAX 128u

/* ---- Processes: processes.c ---- */

struct process_info {
    pid_t pid;
    uint64_t start_ticks; /* with the pid a name that is not given again */
    char command[512];    /* its words, with blanks between; control characters are gone */
    char service[SERVICE_BYTES_MAX], version[SERVICE_BYTES_MAX]; /* version: may be empty */
};

/* Calls `fn` for each process that has a command line and whose words, joined with blanks, match
 * (an extended regular expression, compiled with regcomp()); kernel threads have none, and this
 * process is left out. 0, what `fn` returned when not 0, or a negative errno. Service and version
 * are not filled in. */
int process_each(const void *regex, int (*fn)(void *ctx, const struct process_info *p), void *ctx);
/* What the process calls itself: VARAN_SERVICE, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES in its
 * environment, else a name out of its command line, as the agent makes it. */
void process_name(struct process_info *p);
/* Whether the agent's profiler runs in the process. */
bool process_has_profiler(pid_t pid);
/* When it began (wall clock), to a hundredth of a second. */
int64_t process_began_ns(const struct process_info *p);
/* The parts, for tests: a command line's words, each ending with NUL; `folder`: the process's. */
void process_guess_service(struct slice words, const char *folder, char ret[SERVICE_BYTES_MAX]);

/* ---- Sampling ---- */

enum continuous_event {
    CONTINUOUS_ATTACHED,
    CONTINUOUS_ENDED,
    CONTINUOUS_REFUSED,  /* it cannot be read; `text` says why */
    CONTINUOUS_HAS_AGENT /* it profiles itself */
};

struct continuous_options {
    const void *regex;   /* NULL: `pid` */
    pid_t pid;           /* 0: by the regular expression */
    const char *service; /* for all of them; NULL: each by its own name */
    unsigned rate_max;
    bool wall;
    bool source; /* the text of the hottest functions of the application too */
    /* Says what happened to a process. */
    void (*tell)(void *ctx, enum continuous_event event, const struct process_info *p,
                 const char *text);
    /* A window: a gzipped pprof with values cpu, wall, gil_wait in nanoseconds. The slice is valid
     * during the call. */
    void (*sealed)(void *ctx, const struct process_info *p, const char *python_version,
                   struct slice pprof);
    void *ctx;
};

struct continuous;

int continuous_new(const struct continuous_options *o, struct continuous **ret);
void continuous_free(struct continuous *c);
/* Attaches to processes that came, leaves those that went: the number that is sampled now. */
size_t continuous_look(struct continuous *c);
/* One walk over all processes. */
void continuous_tick(struct continuous *c);
/* When the next walk is due (monotonic): the rate, or more seldom where a walk is costly. */
int64_t continuous_due_ns(const struct continuous *c);
/* Hands over what was seen so far. */
void continuous_seal(struct continuous *c);

struct continuous_stats {
    uint64_t walks, samples, torn, dropped, windows;
    int64_t cpu_ns; /* spent in walks */
};
void continuous_read_stats(const struct continuous *c, struct continuous_stats *ret);

#endif
