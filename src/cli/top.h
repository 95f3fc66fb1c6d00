/* The parts of `varan top`: what was seen (top_data.c), the tables (top_view.c), the flame graph
 * (top_flame.c), the keys (top_keys.c). Single-threaded. */
#ifndef VARAN_CLI_TOP_H
#define VARAN_CLI_TOP_H

#include "profile/sampler.h"

#define TOP_THREADS_MAX 65536u
#define TOP_FILTER_MAX 128u
#define TOP_PATH_MAX 256u /* frames of the flame graph's marked path */

enum top_view { VIEW_FUNCTIONS, VIEW_LINES, VIEW_THREADS, VIEW_PROCESSES, VIEW_FLAME };
enum top_sort { SORT_OWN = 1, SORT_TOTAL, SORT_OWN_TIME, SORT_TOTAL_TIME, SORT_GIL };

struct top_settings {
    uint64_t rate, count;
    int64_t interval_ns;
    const char *view, *filter;
    bool gil, idle, subprocesses, lines;
};

/* Of a thread, asleep or not: walks that met it, and in how many of them it … */
struct top_tally {
    uint64_t walks, active, gil, gil_wait;
};

struct top_thread {
    pid_t pid, native_id;
    uint64_t thread_id;
    const char *name;
    struct top_tally now, last; /* in this interval and the one before */
    uint64_t all_active;
    uint32_t function; /* that it was in last, number + 1; 0: none */
    bool seen;         /* in one of them */
};

/* A function, or a line of one. */
struct top_row {
    uint32_t id;
    uint64_t own, total, gil;    /* in the last interval; gil: in all, holding it */
    uint64_t all_own, all_total; /* since the start */
};

struct top {
    const struct top_settings *settings;
    struct sampler *sampler;
    pid_t pid;
    struct profile profile; /* threads that hold the GIL are threads of their own in it */
    struct profile_stats before;
    /* Samples of each of the profile's counts before this interval, and before the last one. */
    VECTOR(uint64_t) counted, counted_last;
    VECTOR(struct top_thread) threads;
    struct map thread_ids;
    struct arena texts;
    uint64_t walks, walks_last; /* in the intervals */
    /* What is to be seen */
    enum top_view view;
    enum top_sort sort;
    char filter[TOP_FILTER_MAX];
    pid_t only_pid;              /* 0: all processes */
    uint64_t only_id;            /* thread_id; 0: all threads */
    size_t cursor, first;        /* the marked row, the first that is shown */
    size_t shown;                /* rows that there are */
    uint32_t path[TOP_PATH_MAX]; /* the flame graph's marked branch: functions from the root */
    size_t n_path, zoom;         /* of it, the frame that fills the width */
    uint64_t marked_thread;      /* of the threads' view */
    pid_t marked_pid;
    bool terminal, quit, typing, paused, help;
};

/* ---- top_data.c ---- */

int top_data_init(struct top *t);
void top_data_done(struct top *t);
/* A sampler_fn. */
void top_count(void *ctx, pid_t pid, const struct cpython_thread *t);
/* Samples of each count that pass the filters on process and thread: of the last interval, or of
 * all. The caller frees *ret. */
int top_weights(const struct top *t, bool all, uint64_t **ret);
/* Rows of functions or lines, sorted. The caller frees *ret. */
int top_rows(const struct top *t, bool lines, struct top_row **ret, size_t *ret_n);
/* While an interval is young, what is shown is it and the one before: walks, and of a thread. */
uint64_t top_walks(const struct top *t);
struct top_tally top_tally(const struct top *t, const struct top_thread *thread);
/* Begins the next interval. */
int top_next(struct top *t);
/* Forgets what was counted; the schedule and the processes stay. */
int top_start_over(struct top *t);
/* Whether a text holds the filter, in whatever case. */
bool top_matches(const struct top *t, const char *text);

/* ---- top_view.c, top_flame.c ---- */

/* Draws the whole screen: `lines` of `columns`. 0 or a negative errno. */
int top_draw(struct top *t, struct buffer *out, size_t lines, size_t columns);
int top_draw_flame(struct top *t, struct buffer *out, size_t lines, size_t columns);
/* Appends a text, at most `most` columns of it; control characters give way to "?". The columns
 * used. */
size_t top_put_text(struct buffer *out, const char *text, size_t most);
/* Walks the marked branch by one step: 'u'p, 'd'own, 'l'eft, 'r'ight. */
void top_flame_move(struct top *t, char step);

/* ---- top_keys.c ---- */

/* Takes what was typed: whether the screen must be drawn anew. */
bool top_take_keys(struct top *t);
extern const char top_help[];

#endif
