/*
 * RED figures (rate, errors, duration) over a range and the one before it, per service or
 * operation: from the RED table where the filter allows, else from the spans themselves. Private to
 * query/; one owner.
 *
 * Durations are sketches: counts per bucket ceil(log(ns) / log(1.02)); docs/internals/storage.md.
 */
#ifndef VARAN_QUERY_RED_H
#define VARAN_QUERY_RED_H

#include "query/internal.h"

#define DURATION_BUCKETS 2304u /* log(2^64) / log(1.02) is 2240 */

struct durations {
    uint64_t total;
    uint64_t counts[DURATION_BUCKETS];
};

void durations_add(struct durations *k, int64_t bucket, uint64_t count);
/* The duration below which the share `q` (0…1) lies, in nanoseconds; NAN when empty. */
double durations_quantile(const struct durations *k, double q);
/* Upper bound of a bucket in nanoseconds. */
double durations_bound(int64_t bucket);
/* Adds a map column's entries of a row. */
void durations_add_row(struct durations *k, const struct rows *r, size_t row, unsigned column);
/* SQL of a span's bucket. */
#define SKETCH_SQL "toInt16(if(duration_ns <= 1, 0, ceil(log(duration_ns) / log(1.02))))"

enum red_key { RED_TOTAL, RED_BY_SERVICE, RED_BY_OPERATION };

enum { RED_NOW, RED_BEFORE };

struct red_entry {
    struct slice key;
    unsigned kind; /* of an operation */
    uint64_t count[2], errors[2], time_ns[2];
    struct durations *sketch[2];
    /* Per step. */
    uint64_t *counts, *error_counts;
    double *p50, *p95, *p99;
};

struct red_set {
    struct red_entry *items;
    size_t n;
    struct steps steps;
};

#define RED_KEYS_MAX 300u

/* Entry spans that match q's filter (and `service`, unless empty), the busiest RED_KEYS_MAX keys,
 * sorted by count. Everything lies in q's arena. */
int red_fetch(struct query *q, enum red_key by, struct slice service, struct red_set *ret);

/* "rate", "errors", "p50", "p95", "p99", each a figure. */
void json_red_figures(struct json_writer *w, const struct query *q, const struct red_entry *e,
                      const struct steps *st);
/* Calls between services, most first: `each` writes one. Columns: client, server, server_type,
 * system, calls, errors. `where_column` ("client" or "server") must equal `service`, unless NULL.
 */
int json_edges(struct query *q, const char *where_column, struct slice service, unsigned limit,
               void (*each)(struct query *q, const struct rows *r, size_t row, double p95));
/* "rate", "errors", "p95", "calls" of an edge. */
void json_edge_figures(struct query *q, const struct rows *r, size_t row, double p95);
/* A number, or null when it is not one. */
void json_field_known(struct json_writer *w, const char *key, double v);

#endif
