/*
 * Profiles inside query/: the stacks of one or two selections, loaded once, and what is computed
 * from them. Everything lies in the question's arena; one owner.
 */
#ifndef VARAN_QUERY_PROFILES_H
#define VARAN_QUERY_PROFILES_H

#include "base/map.h"
#include "base/vector.h"
#include "query/internal.h"
#include "signal/profile_kind.h"

#define DAY_NS (86400 * NS_PER_S)
#define PROFILE_STACKS_MAX 50000u   /* the most costly ones; the rest is said to be left out */
#define PROFILE_PLACES_MAX 3000000u /* of all stacks together, likewise */
#define PROFILE_FUNCTIONS_MAX 500000u
#define FLAME_LINE_PARTS 2000u /* a line that costs less of the whole may be joined with others */
#define PROFILE_NODES_LIMIT 4000000u /* of a tree, before it is cut */

struct profile_function {
    struct slice name, file;
    enum profile_kind kind;
};

struct profile_place {
    uint32_t function, line;
};

struct profile_stack {
    uint64_t value[2];                  /* of the selection, and of what it is compared with */
    const struct profile_place *places; /* innermost first */
    uint32_t n;
};

struct profile_set {
    VECTOR(struct profile_function) functions;
    struct profile_stack *stacks; /* in the arena */
    size_t n;
    uint64_t total[2];    /* of all stacks, those left out too */
    uint64_t left_out[2]; /* value of stacks beyond the limit, or that are gone */
    struct slice unit;
    struct map by_pointer, by_text; /* functions */
    size_t places;                  /* of all stacks */
    bool full;                      /* a limit is reached: no further stacks */
};

/* Loads the stacks. `base` NULL: no comparison. The caller ends it with profile_set_done(). */
int profile_set_load(struct query *q, const struct profile_selection *selection,
                     const struct profile_selection *base, struct profile_set *ret);
void profile_set_done(struct profile_set *s);

/* A stack that is to be loaded. */
struct profile_want {
    uint64_t id;
    struct profile_stack *stack; /* its places are filled in */
};
/* Loads stacks of the days of the ranges, the most costly first. Those that are gone or beyond a
 * limit keep their NULL. `base` may be NULL; the order of `wants` changes. */
int profile_stacks_load(struct query *q, const struct profile_selection *p,
                        const struct profile_selection *base, struct profile_want *wants, size_t n,
                        struct profile_set *set);

/* The FROM part: rows of `keys` and `value`, sums by the keys of each part of the range (so there
 * may be several rows of the same keys), from steps of ten minutes where the range allows and from
 * samples elsewhere. `keys` are columns of the selection, stack_id and ts; several at least one. */
void sql_profile_sums(struct sql *s, const struct profile_selection *p, const char *keys);
/* The same from samples alone: where ts matters, or what only they have (span_id). */
void sql_profile_samples(struct sql *s, const struct profile_selection *p, const char *keys);
/* One row: the unit of the selection's values. To sum by it too would cost more than all the rest.
 */
void sql_profile_unit(struct sql *s, const struct profile_selection *p);
/* Rows of resource_id, version, value, first, last (ts); the range must not be empty. */
void sql_profile_processes(struct sql *s, const struct profile_selection *p);
/* Steps for a chart, and whether their rows are to be samples. */
struct steps profile_steps_of(const struct profile_selection *p, bool *ret_samples);

/* "processes": those of the selection's service and type with what they cost, most first. */
int write_profile_processes(struct query *q, const struct profile_selection *p);
/* "releases": versions of the selection's service that appeared in its range, and when. */
int write_profile_releases(struct query *q, const struct profile_selection *p);

/* "sources": texts of the file's functions, newest first. `function` data NULL: of all. */
int write_profile_sources(struct query *q, const struct profile_selection *p, struct slice file,
                          struct slice function);

/* "type", "unit", "total", "left_out", "truncated" and for a comparison "base_total",
 * "base_left_out". */
void json_profile_head(struct query *q, const struct profile_selection *p,
                       const struct profile_set *set, bool compared);

/* ---- A tree of calls ---- */

struct flame_node {
    uint32_t parent, function, line; /* function: index + 1; 0 at the root */
    uint32_t first, next;            /* children, siblings; 0: none */
    uint64_t own[2], total[2];
};

struct flame {
    VECTOR(struct flame_node) nodes; /* 0 is the root; a parent stands before its children */
    struct map children;
};

int flame_init(struct flame *f);
/* The node's child of that function (an index) and line, made when it is new; or -ENOMEM. */
int64_t flame_child(struct flame *f, uint32_t parent, uint32_t function, uint32_t line,
                    bool *ret_new);
/* Adds places from..to-1, outermost first: the root's child is the last of them. */
int flame_add(struct flame *f, const struct profile_place *places, size_t n,
              const uint64_t value[2], bool lines);
/* The same, innermost first: the root's child is places[0]. */
int flame_add_upwards(struct flame *f, const struct profile_place *places, size_t n,
                      const uint64_t value[2], bool lines);
/* To be called after the last stack: totals. */
void flame_sum(struct flame *f);
void flame_done(struct flame *f);
/* What it cost, of the dearer side in a comparison. */
uint64_t flame_weight(const struct flame_node *n);

#define FLAME_LINES_JOINED UINT32_MAX /* the key of several lines in one node; their line is 0 */
/* The tree with totals, where below one node all lines of a function that cost less than `least`
 * are one. `ret` is to be freed with flame_done(). 0 or -ENOMEM. */
int flame_join_lines(struct query *q, const struct flame *f, uint64_t least, struct flame *ret);

/* "functions", "parent", "function", "line", "own", "sum", "nodes", "nodes_left_out" and, compared,
 * "base_own", "base_sum". */
int json_flame(struct query *q, const struct profile_set *set, const struct flame *f,
               const struct profile_tree *tree, bool compared);

#endif
