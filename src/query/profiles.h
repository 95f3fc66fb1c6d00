/*
 * Profiles inside query/: the stacks of one or two selections, loaded once, and what is computed
 * from them. Everything lies in the question's arena; one owner.
 */
#ifndef VARAN_QUERY_PROFILES_H
#define VARAN_QUERY_PROFILES_H

#include "base/map.h"
#include "base/vector.h"
#include "query/internal.h"

#define PROFILE_STACKS_MAX 50000u /* the most costly ones; the rest is said to be left out */
#define PROFILE_FUNCTIONS_MAX 500000u
#define PROFILE_NODES_LIMIT 4000000u /* of a tree, before it is cut */

struct profile_function {
    struct slice name, file;
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
};

/* Loads the stacks. `base` NULL: no comparison. The caller ends it with profile_set_done(). */
int profile_set_load(struct query *q, const struct profile_selection *selection,
                     const struct profile_selection *base, struct profile_set *ret);
void profile_set_done(struct profile_set *s);

/* The FROM part: rows of ts, columns of the selection, `value`, from steps where the range allows
 * and from samples elsewhere. `columns`: what each part selects. */
void sql_profile_rows(struct sql *s, const struct profile_selection *p, const char *columns);

/* "type", "unit", "total", "left_out" and for a comparison "base_total", "base_left_out". */
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

/* `lines`: the same function at another line is another node. */
int flame_build(const struct profile_set *set, bool lines, struct flame *ret);
void flame_done(struct flame *f);

#endif
