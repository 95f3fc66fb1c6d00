/* What a window holds. Internal to profiler_window.c, profiler_settle.c and profiler_encode.c. */
#ifndef VARAN_AGENT_PROFILER_ROWS_H
#define VARAN_AGENT_PROFILER_ROWS_H

#include "base/map.h"
#include "base/vector.h"
#include "profiler_operation.h"
#include "profiler_window.h"

#define STRINGS_MAX 65536u
#define FRAMES_MAX 65536u
#define KEY_BYTES_MAX ((size_t) 4 << 20)
#define CHARGES_MAX 2000u /* traces that are not at their end */
#define SHARES_MAX 65536u /* operation and thread together */

struct node {
    uint32_t parent, frame; /* frame: index into `frames` */
    uint32_t stack;         /* index in the message's table + 1; 0: not written */
};

struct row {
    struct window_span span;
    uint32_t node, label;
    uint32_t operation; /* 0: none */
    uint64_t costs[COSTS], seen;
};

/* CPU time of a trace on a thread whose operation was not known for good. */
struct charge {
    uint64_t trace_id[2], cpu_ns;
    uint32_t label;
};

/* CPU time of an operation on the threads of one label. */
struct share {
    uint32_t operation, label;
    uint64_t cpu_ns;
};

struct frame {
    uint32_t function; /* index among functions */
    int line;
};

struct function {
    uint32_t name, file;       /* strings */
    int first_line, last_line; /* last: 0 when not known */
    struct slice text;         /* of its lines, to be sent; empty: none */
};

struct profiler_window {
    struct map nodes_by_key, rows_by_key, strings_by_text, frames_by_key, functions_by_key,
            shares_by_key;
    VECTOR(struct node) nodes; /* 0: the empty stack */
    VECTOR(struct row) rows;
    VECTOR(uint32_t) open_rows; /* their operation is not known for good */
    VECTOR(struct charge) charges;
    VECTOR(struct share) shares;
    VECTOR(struct slice) strings; /* 0: empty */
    VECTOR(struct frame) frames;
    VECTOR(struct function) functions;
    uint64_t dropped;
    uint64_t waiting[PROFILER_OPERATIONS_MAX]; /* CPU time whose stacks were not seen yet */
};

/* The number under `key`, or what `push` makes of it; -1 beyond a limit. */
#define NUMBER_OF(map, key, size, vector, value, most)                                             \
    ({                                                                                             \
        bool _is_new;                                                                              \
        struct map_entry *_e = map_put(map, slice_new(key, size), &_is_new);                       \
        if (_e && _is_new) {                                                                       \
            _e->number = (vector)->n;                                                              \
            if (vector_push(vector, value, most) < 0)                                              \
                _e->number = UINT64_MAX;                                                           \
        }                                                                                          \
        _e ? (int64_t) _e->number : INT64_C(-1);                                                   \
    })

/* 0 beyond a limit: the empty string. */
int64_t window_string(struct profiler_window *w, const char *text, size_t n);
/* The row of that stack, thread and span (or operation without a span); NULL beyond a limit. */
struct row *window_row(struct profiler_window *w, const struct row *wanted);
void window_charge_operation(struct profiler_window *w, uint32_t operation, uint32_t label,
                             uint64_t cpu_ns);

#endif
