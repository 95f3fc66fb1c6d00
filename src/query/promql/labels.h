/*
 * Label sets inside the engine: building, deriving, comparing, and a table that gives equal sets
 * the same number. All sets live in the arena they were made in. One owner at a time.
 */
#ifndef VARAN_PROMQL_LABELS_H
#define VARAN_PROMQL_LABELS_H

#include "query/promql/promql.h"

#define PROMQL_METRIC_NAME SLICE("__name__")
#define PROMQL_BUCKET_LABEL SLICE("le")
#define PROMQL_LABELS_MAX 1024u /* labels of one set */

extern const struct promql_labels promql_no_labels;

/* Sorts a copy of `items`, drops empty values; of equal names the last wins. NULL without memory.
 */
const struct promql_labels *labels_make(struct arena *a, const struct promql_label *items,
                                        uint32_t n);
/* `l` with `name` set to `value`; an empty value removes it. */
const struct promql_labels *labels_set(struct arena *a, const struct promql_labels *l,
                                       struct slice name, struct slice value);
/* Only the labels named (keep) or all but those (not keep). */
const struct promql_labels *labels_select(struct arena *a, const struct promql_labels *l,
                                          const struct slice *names, size_t n_names, bool keep);
/* A copy that shares nothing with `l`. NULL without memory. */
const struct promql_labels *labels_copy(struct arena *a, const struct promql_labels *l);
/* Without __name__, __type__ and __unit__; `l` itself when it has none of them. */
const struct promql_labels *labels_drop_name(struct arena *a, const struct promql_labels *l);
bool labels_equal(const struct promql_labels *a, const struct promql_labels *b);
int labels_compare(const struct promql_labels *a, const struct promql_labels *b);
/* The hash Prometheus itself takes over a label set: limit_ratio() must choose the same series. */
uint64_t labels_prometheus_hash(struct arena *scratch, const struct promql_labels *l);

/* Numbers label sets 0, 1, … in the order of their arrival. */
struct labels_table {
    struct arena *arena;
    uint32_t *slots; /* number + 1; 0: free */
    size_t n_slots;
    const struct promql_labels **sets;
    size_t n, allocated;
};

void labels_table_init(struct labels_table *t, struct arena *a);
/* The number of `l`; -ENOMEM. */
int64_t labels_table_put(struct labels_table *t, const struct promql_labels *l);
/* The number of `l`, or -1. */
int64_t labels_table_get(const struct labels_table *t, const struct promql_labels *l);

#endif
