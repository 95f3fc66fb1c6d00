/*
 * Samples in memory: the source of the conformance tests and benchmarks. It stores what is
 * appended, in any order, and gives the counter reset hints that a storage of Prometheus' kind
 * would give on reading. One owner at a time; evaluations may run while nothing is appended.
 */
#ifndef VARAN_PROMQL_MEMSTORE_H
#define VARAN_PROMQL_MEMSTORE_H

#include "query/promql/promql.h"

struct memstore;

/* At most `cap` bytes. NULL without memory. */
struct memstore *memstore_new(size_t cap);
void memstore_free(struct memstore *m);
/* Forgets all series. */
void memstore_clear(struct memstore *m);
/* Appends a float; start_ms 0: not known. A sample of the same time is replaced. 0 or -ENOMEM. */
int memstore_add(struct memstore *m, const struct promql_labels *labels, int64_t ms, double v,
                 int64_t start_ms);
/* The same for a histogram, which is copied. */
int memstore_add_histogram(struct memstore *m, const struct promql_labels *labels, int64_t ms,
                           const struct promql_histogram *h, int64_t start_ms);
/* Makes what was appended readable. Call before a query. 0 or -ENOMEM. */
int memstore_commit(struct memstore *m);
struct promql_source *memstore_source(struct memstore *m);

#endif
