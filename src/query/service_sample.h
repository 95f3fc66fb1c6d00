/*
 * Where an operation's time goes, told from a sample of recent requests: their traces are read and
 * each request's critical path within the service is summed up by category and by statement.
 * Private to query/; one owner, memory of the question's arena.
 */
#ifndef VARAN_QUERY_SERVICE_SAMPLE_H
#define VARAN_QUERY_SERVICE_SAMPLE_H

#include "query/internal.h"
#include "query/trace_tree.h"

struct sampled_operation {
    struct slice name;
    uint64_t requests;
    int64_t total_ns, by_category[TIME_CATEGORIES];
    /* The statement with most time. */
    struct slice statement;
    int64_t statement_ns;
    uint64_t statement_calls;
};

struct service_sample {
    struct sampled_operation *items;
    size_t n;
};

int service_sample_fetch(struct query *q, struct slice service, struct service_sample *ret);
/* The operation of that name, or NULL. */
const struct sampled_operation *service_sample_find(const struct service_sample *s,
                                                    struct slice name);

#endif
