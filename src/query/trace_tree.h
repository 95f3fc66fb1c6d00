/*
 * What a trace's spans mean together: tree, self time (children that run side by side are counted
 * once), critical path, where the time went, repeated statements. Pure: works on the caller's
 * array, takes memory from its arena; one owner.
 */
#ifndef VARAN_QUERY_TRACE_TREE_H
#define VARAN_QUERY_TRACE_TREE_H

#include "query/query.h"

#define NO_SPAN UINT32_MAX

struct trace_span {
    /* Given. */
    uint8_t span_id[SPAN_ID_SIZE], parent_id[SPAN_ID_SIZE];
    int64_t start_ns, end_ns;
    struct slice service, name, db_system, statement, peer;
    unsigned kind, status;
    /* Found. */
    uint32_t parent;    /* NO_SPAN: a root, or its parent is not there */
    uint32_t *children; /* by end, latest first */
    uint32_t n_children;
    int64_t self_ns;
};

struct trace_segment {
    uint32_t span;
    int64_t from_ns, to_ns;
};

enum time_category { TIME_OWN, TIME_DATABASE, TIME_NETWORK, TIME_MESSAGING, TIME_CATEGORIES };
extern const char *const time_category_names[TIME_CATEGORIES];

struct trace_time { /* of the critical path */
    enum time_category category;
    struct slice service;
    int64_t ns;
};

#define FINDINGS_MAX 20u
#define FINDING_SPANS_MAX 200u

struct trace_finding {
    uint32_t *spans; /* at most FINDING_SPANS_MAX of `count` */
    size_t n_spans, count;
    int64_t ns;
    struct slice what; /* the statement, or the call */
    bool database;
};

struct trace_tree {
    struct trace_span *spans;
    size_t n;
    int64_t start_ns, end_ns;
    uint32_t root;              /* the longest one without a parent */
    bool skewed;                /* clocks of two services disagree */
    struct trace_segment *path; /* in order of time */
    size_t n_path;
    struct trace_time *times; /* most first */
    size_t n_times;
    struct trace_finding findings[FINDINGS_MAX];
    size_t n_findings;
};

/* `n` ≥ 1 spans; *ret points to them. -ENOMEM. Cycles among parents are cut. */
int trace_tree_build(struct arena *a, struct trace_span *spans, size_t n, struct trace_tree *ret);
enum time_category trace_category(const struct trace_span *s);

#endif
